"""The half of the Pollock benchmark of damaged CSV that lies in REAL_DATA_DIR: nothing silently wrong, little lost.

Pollock's own score rewards a loader for guessing; here a file is exact, quarantined, refused or wrong.
"""

from __future__ import annotations

import csv
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from ingestion.contracts import Contract
from ingestion.errors import DeliveryRefused
from tests.readers.helpers import REAL_DATA, contract_for, physical_lines, read

HEADERS = ["DATE", "TIME", "Qty", "PRODUCTID", "Price", "ProductType", "ProductDescription", "URL", "Comments"]

#: Why each refused file must be refused; the rest must be delivered.
REFUSED = {
    "file_field_delimiter_0x2C_0x20.csv": "no header",  # a blank after each comma makes every quote a stray one
    "file_header_multirow_3.csv": "second header",
    "file_multitable_less.csv": "second header",
    "file_multitable_same.csv": "second header",
    "file_no_payload.csv": "empty",
    "file_quotation_char_0x27.csv": "lacks",
    "file_record_delimiter_0xD.csv": "CR alone",
}


@pytest.fixture(scope="module")
def pollock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = REAL_DATA / "pollock_half.tar.xz"
    if not archive.exists():
        pytest.fail(f"{archive} is missing: set REAL_DATA_DIR to the folder of the real data")
    folder = tmp_path_factory.mktemp("pollock")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / "pollock_half"


@pytest.fixture(scope="module")
def contract() -> Contract:
    return contract_for(HEADERS, optional=("Comments",))


def expected(path: Path) -> Counter[tuple[str | None, ...]]:
    with path.open(newline="", encoding="utf-8") as file:
        return Counter(tuple(cell.strip() or None for cell in row) for row in list(csv.reader(file))[1:])


def test_no_file_is_silently_wrong_and_good_rows_are_delivered(pollock: Path, contract: Contract) -> None:
    outcomes: Counter[str] = Counter()
    wrong, refused, good, total = [], {}, 0, 0
    for path in sorted((pollock / "csv").iterdir()):
        want = expected(pollock / "clean" / path.name)
        try:
            got = read(path, contract)
        except DeliveryRefused as refusal:
            outcomes["refuse"] += 1
            refused[path.name] = str(refusal)
            continue
        have = Counter(got.rows)
        if have - want or (want - have and not got.bad):
            wrong.append(path.name)
        outcomes["quarantine" if got.bad else "exact"] += 1
        assert got.rows_in + got.rows_other == physical_lines(path.read_bytes()), path.name
        good, total = good + (have & want).total(), total + want.total()
    assert wrong == []
    assert outcomes.total() == 1145
    assert good / total >= 0.97, (good, total)
    # Whole files are refused for what is named above, and damaged rows only where the damaged row is the header.
    for name, why in refused.items():
        if name.startswith("file_"):
            assert why and REFUSED[name] in why
        else:
            assert name.startswith(("row_extra_quote0_", "row_less_sep_row0_", "row_more_sep_row0_")), name
    assert {name for name in refused if name.startswith("file_")} == REFUSED.keys()
