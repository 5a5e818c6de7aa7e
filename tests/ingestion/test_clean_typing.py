"""Rows that are proved clean come out as the row-wise SQL types them; whatever it would set aside is never proved."""

from __future__ import annotations

import csv
import datetime as dt
import io

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion import normalize
from ingestion.clean_typing import typed_if_clean
from ingestion.contracts import CONTRACTS
from ingestion.normalize import Normalizer, Origin, TypedBatch, connect
from ingestion.personal import PseudonymKey
from ingestion.readers.cells import is_tidy, narrow_column

CASES = CONTRACTS["platform_cases"]
PULLED_AT = dt.datetime.fromisoformat("2022-08-06 09:00:00")
ORIGIN = Origin("2022-07", PULLED_AT, "cases.csv", 7)
NORMALIZER = Normalizer(CASES, PseudonymKey("k1", b"k" * 32), connect())

CLEAN: dict[str, str | None] = {
    "case_no": "2207001", "item_code": "0124", "item_name": "社保参保", "case_type": "承诺件", "unit_name": "县住建局",
    "channel": "政务服务网", "applicant_type": "自然人", "applicant": "王伟", "applicant_id": "652722198001010011",
    "applicant_phone": "13812345678", "applied_at": "2022-07-01 08:30:00", "accepted_at": "2022-07-01 09:30:00",
    "statutory_days": "20", "promised_days": "5", "paused_days": None, "closed_at": "2022-07-05 10:00:00",
    "result": "办结", "platform_overdue": "否", "updated_at": "2022-07-05 10:00:00", "sync_type": "I",
}  # fmt: skip

#: What may stand in any column: right in some, a fault in others, in every spelling that is read.
CELLS = st.sampled_from(
    [
        None, "2022-07-01T08:30:00", "2022/7/1 8:30", "2022-07-01", "2022-07-09 08:30:00", "1899-12-31 00:00:00",
        "3022-07-01 08:30:00", "3022-07-01T08:30:00", "2022-13-01 08:30:00", "2022-07-01 08:30+01", "12", "007", "12.0",
        "-3", "+3", "0x1F", "1e3", "1234567890123456", "6.527E+17", "ABC公司",
        "即办件", "承诺件", "办结", "是", "D", "U", "X", "",
    ]
)  # fmt: skip


def raw_rows(rows: list[dict[str, str | None]]) -> pa.Table:
    columns = {
        column.name: pa.array([row[column.name] or None for row in rows], pa.string()) for column in CASES.columns
    }
    return pa.table(columns | {"_row": pa.array(range(2, len(rows) + 2), pa.int64())})


def by_sql_alone(raw: pa.Table) -> TypedBatch:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(normalize, "typed_if_clean", lambda *_: None)
        return NORMALIZER.normalise(raw, ORIGIN)


def is_proved(raw: pa.Table) -> bool:
    return typed_if_clean(CASES, raw, PULLED_AT, normalize._E_NOTATION) is not None


def test_clean_rows_are_proved_and_typed_as_the_sql_types_them() -> None:
    bare_deletion = dict.fromkeys(CLEAN) | {"case_no": "2207002", "updated_at": "2022-07-06 00:00:00", "sync_type": "D"}
    open_case = CLEAN | dict.fromkeys(("closed_at", "result", "platform_overdue", "accepted_at", "applicant"))
    raw = raw_rows([CLEAN, bare_deletion, open_case, CLEAN | {"applicant": "ABC公司", "sync_type": None}])
    assert is_proved(raw)
    got = NORMALIZER.normalise(raw, ORIGIN)
    assert got.good.equals(by_sql_alone(raw).good)
    assert got.good.num_rows == 4 and got.faults.num_rows == 0


@settings(max_examples=80, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(sorted(CLEAN)), CELLS, max_size=2), min_size=1, max_size=3))
def test_any_cell_anywhere(changes: list[dict[str, str | None]]) -> None:
    raw = raw_rows([CLEAN | change for change in changes])
    got, wanted = NORMALIZER.normalise(raw, ORIGIN), by_sql_alone(raw)
    assert got.good.equals(wanted.good)
    assert got.faults.equals(wanted.faults)
    assert got.lost_values.equals(wanted.lost_values)


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("case_no", None), ("case_no", "6.5E+17"), ("applicant_id", "6.527E+17"), ("unit_name", None),
        ("closed_at", "2022-07-01 09:00:00"), ("updated_at", "2022-08-06 09:00:01"), ("result", "完成"),
        ("platform_overdue", "0"), ("promised_days", "五"), ("statutory_days", "0x1F"),
        ("applied_at", "2022-07-32 08:30:00"),
    ],
)  # fmt: skip
def test_a_fault_is_never_proved_clean(column: str, cell: str | None) -> None:
    raw = raw_rows([CLEAN, CLEAN | {column: cell}])
    assert not is_proved(raw)


TEXTS = st.text(alphabet='ab ,"\r\n\t\x01中·Ａ\u3000', max_size=5)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5))
def test_tidy_records_need_no_narrowing(rows: list[tuple[str, str]]) -> None:
    """Where the bytes of the records are tidy, narrowing leaves each of the cells as it is."""
    written = io.StringIO()
    # The writer of this Python leaves a carriage return alone without quotes: such a record is damaged.
    loose = any("\r" in cell for row in rows for cell in row)
    csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_ALL if loose else csv.QUOTE_MINIMAL).writerows(rows)
    cells = pa.array([cell for row in rows for cell in row], pa.string())
    if is_tidy(np.frombuffer(written.getvalue().encode(), np.uint8), ord(",")):
        assert narrow_column(cells, fold=True).to_pylist() == [cell or None for cell in cells.to_pylist()]


def test_tidy_is_said_of_ordinary_rows_alone() -> None:
    ordinary = "2207001,县住建局,2022-07-01 08:30:00\r\n" * 20_000
    for piece, tidy in (("", True), ("a, b\n", False), ("a ,b\n", False), ('"a",b\n', False), ("（a）,b\n", False)):
        text = (ordinary + piece + ordinary).encode()
        assert is_tidy(np.frombuffer(text, np.uint8), ord(",")) is tidy
