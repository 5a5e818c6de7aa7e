"""The contracts are checked when they are read: a slip of the pen fails here, not in a load."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import ingestion.contracts
from ingestion.contracts import CONTRACTS, SYSTEMS, contract_of, read_contract
from ingestion.errors import BadParameter

FOLDER = Path(ingestion.contracts.__file__).parent


def test_ten_datasets_of_three_systems() -> None:
    assert len(CONTRACTS) == 10
    assert sorted(name for names in SYSTEMS.values() for name in names) == sorted(CONTRACTS)
    assert {len(names) for names in SYSTEMS.values()} == {2, 4}


@pytest.mark.parametrize(
    "change",
    [
        {"tilte": "x"},
        {"key": ["no_such_column"]},
        {"ordered": [["accepted_at", "no_such_column"]]},
        {"columns": [{"name": "Case No", "header": "办件编号", "type": "string"}]},
        {"columns": [{"name": "case_no", "header": "办件编号", "type": "text"}]},
    ],
)
def test_a_slip_is_refused_and_named(tmp_path: Path, change: dict[str, object]) -> None:
    content = yaml.safe_load((FOLDER / "platform_cases.yaml").read_text(encoding="utf-8")) | change
    path = tmp_path / "platform_cases.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    with pytest.raises(BadParameter, match=r"platform_cases\.yaml"):
        read_contract(path)


@pytest.mark.parametrize("name", ["", "platform_case", "../platform_cases", "platform_cases; DROP TABLE x"])
def test_only_datasets_are_datasets(name: str) -> None:
    with pytest.raises(BadParameter, match="not a dataset"):
        contract_of(name)
