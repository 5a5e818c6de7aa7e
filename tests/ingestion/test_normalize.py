"""Strings to types: spellings, each row-level fault, their order, rows that delete."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise

import pyarrow as pa
import pytest

from ingestion.contracts import CONTRACTS
from ingestion.normalize import Normalizer, Origin, TypedBatch, connect, staged_schema
from ingestion.personal import PseudonymKey
from tests.ingestion.deliveries import MONTH, Row, good_row

CONNECTION = connect()
PULLED = dt.datetime.fromisoformat("2022-08-06 06:00")


def normalise(dataset: str, rows: Sequence[Row], pulled_at: dt.datetime = PULLED) -> TypedBatch:
    contract = CONTRACTS[dataset]
    raw = pa.table(
        {
            column.name: pa.array([row.get(column.name) or None for row in rows], pa.string())
            for column in contract.columns
        }
        | {"_row": pa.array(range(2, len(rows) + 2), pa.int64())}
    )
    normalizer = Normalizer(contract, PseudonymKey("k", b"s" * 32), CONNECTION)
    return normalizer.normalise(raw, Origin(MONTH, pulled_at, "f.csv", 7))


@pytest.mark.parametrize("sizes", [(151, 270, 1), (1, 9000, 1, 1, 9000), (65536, 3)])
def test_rows_stay_as_they_stand_in_uneven_batches(sizes: tuple[int, ...]) -> None:
    """Of several batches the engine's threads give back the short ones first; some columns do not pass through it."""
    dataset, count = "platform_reviews", sum(sizes)
    contract = CONTRACTS[dataset]
    row = good_row(dataset, 1) | {"reviewed_at": "2022/7/1 8:30"}  # not the usual spelling: typed by the engine
    columns = {name: pa.array([row.get(name)] * count, pa.string()) for name in contract.by_name}
    columns["review_no"] = columns["unit_name"] = pa.array(map(str, range(count)), pa.string())
    whole = pa.table(columns | {"_row": pa.array(range(2, count + 2), pa.int64())})
    ends = [sum(sizes[:number]) for number in range(len(sizes) + 1)]
    raw = pa.concat_tables(whole.slice(a, b - a) for a, b in pairwise(ends))
    normalizer = Normalizer(contract, PseudonymKey("k", b"s" * 32), CONNECTION)
    for _ in range(10):
        good = normalizer.normalise(raw, Origin(MONTH, PULLED, "f.json", 7)).good
        assert good["review_no"].to_pylist() == good["unit_name"].to_pylist() == list(map(str, range(count)))
        assert good["_row"].to_pylist() == list(range(2, count + 2))


def reasons(dataset: str, *changes: Row, pulled_at: dt.datetime = PULLED) -> list[tuple[str, str] | None]:
    """The fault (reason, column) of a good row with each of the changes; None where it loads."""
    batch = normalise(dataset, [good_row(dataset, 1) | change for change in changes], pulled_at)
    found = {fault["row"]: (fault["reason"], fault["column_name"]) for fault in batch.faults.to_pylist()}
    assert batch.good.num_rows + len(found) == len(changes)
    return [found.get(number + 2) for number in range(len(changes))]


@pytest.mark.parametrize("dataset", sorted(CONTRACTS))
def test_a_good_row_of_every_dataset_loads(dataset: str) -> None:
    batch = normalise(dataset, [good_row(dataset, 1)])
    assert batch.faults.num_rows == 0
    assert batch.good.schema == staged_schema(CONTRACTS[dataset])
    (row,) = batch.good.to_pylist()
    assert row["_key"] and not row["_deleted"] and row["_file"] == "f.csv" and row["_landing_id"] == 7
    assert all(row[column.name] is not None for column in CONTRACTS[dataset].columns)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2022-07-01 08:30:00", "2022-07-01 08:30:00"),
        ("2022-07-01T08:30:00", "2022-07-01 08:30:00"),
        ("2022/7/1 8:30", "2022-07-01 08:30:00"),
        ("2022年7月1日 8时30分", "2022-07-01 08:30:00"),
        ("2022年7月1日8时5分9秒", "2022-07-01 08:05:09"),
        ("2022-07-01", "2022-07-01 00:00:00"),
        ("2022/7/1", "2022-07-01 00:00:00"),
        ("2022-02-29 08:30:00", None),
        ("2022-06-31", None),
        ("2022-07-01 24:00:00", None),
        ("2022-07-01 08:60", None),
        ("2022-07-01 08:30:60", None),
        ("01/07/2022", None),
        ("2022-07/01", None),
        ("22-07-01", None),
        ("0022-07-01 08:30:00", None),
        ("20220701", None),
        ("44743", None),
        ("2022-07-01 08:3 :00", None),
        ("2022-07-018:30", None),
        ("2022-07-01 08:30:00.5", None),
        ("2022-07-01 08:30:00+08", None),
        ("2022-07-01 8 PM", None),
    ],
)
def test_time_spellings(text: str, read: str | None) -> None:
    batch = normalise("platform_cases", [good_row("platform_cases") | {"applied_at": text}])
    if read is None:
        assert batch.faults["reason"].to_pylist() == ["unreadable_time"]
    else:
        assert batch.good["applied_at"].to_pylist() == [dt.datetime.fromisoformat(read)]


@pytest.mark.parametrize("never", ["9999-12-31", "9999/12/31", "9999年12月31日", "9999-12-31 23:59:59"])
def test_a_limit_of_never_is_a_limit(never: str) -> None:
    rows = [good_row("hotline_dispatches") | {"due_at": never, "sign_due_at": "2022-07-05 08:00:00"}]
    batch = normalise("hotline_dispatches", rows)
    assert batch.good["due_at"].to_pylist() == [dt.datetime.fromisoformat("9999-12-31 23:59:59")]


def test_a_date_alone_ends_the_day_in_limits_and_ends_only() -> None:
    names = ["dispatched_at", "sign_due_at", "signed_at", "due_at", "extended_due_at", "replied_at", "returned_at"]
    batch = normalise("hotline_dispatches", [good_row("hotline_dispatches") | dict.fromkeys(names, "2022-07-05")])
    (row,) = batch.good.to_pylist()
    last, first = dt.time(23, 59, 59), dt.time(0)
    assert [row[name].time() for name in names] == [first, last, last, last, last, last, first]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        *(("12", 12), ("12.0", 12), ("0", 0), ("007", 7), ("12.5", None), ("1,200", None), ("1e3", None)),
        # A sum or a day counted from it would overflow and stop every later build.
        *(("-999999999999999", -999999999999999), ("1000000000000000", None), ("9223372036854775807", None)),
    ],
)
def test_integers(text: str, read: int | None) -> None:
    batch = normalise("platform_cases", [good_row("platform_cases") | {"promised_days": text}])
    assert batch.good["promised_days"].to_pylist() == ([] if read is None else [read])


def test_each_row_level_fault_of_a_case() -> None:
    late = "2022-08-06 06:00:01"
    assert reasons(
        "platform_cases",
        {"case_no": ""},
        {"case_no": "6.527E+17"},
        {"item_name": ""},
        {"case_type": "承诺件", "promised_days": "", "statutory_days": ""},
        {"case_type": "承诺件", "promised_days": "", "statutory_days": "5"},
        {"applied_at": "上周"},
        {"paused_days": "三天"},
        {"channel": "电话"},
        {"platform_overdue": "可能"},
        {"sync_type": "X"},
        {"accepted_at": "2022-07-05 10:00:01"},
        {"applied_at": late},
        {"updated_at": late},
        {"updated_at": "2022-08-06"},
        {"updated_at": "2022-08-07"},
        {"closed_at": "2022-08-06"},
    ) == [
        ("missing_key", "case_no"),
        ("lost_key", "case_no"),
        ("required_empty", "item_name"),
        ("required_empty", "promised_days"),
        None,
        ("unreadable_time", "applied_at"),
        ("unreadable_number", "paused_days"),
        ("unknown_code", "channel"),
        ("unknown_code", "platform_overdue"),
        ("unknown_code", "sync_type"),
        ("end_before_start", "closed_at"),
        ("future_event", "applied_at"),
        ("future_event", "updated_at"),
        None,
        ("future_event", "updated_at"),
        None,
    ]


def test_the_first_fault_in_the_fixed_order_is_the_reason() -> None:
    faults: list[tuple[Row, tuple[str, str]]] = [
        ({"review_no": ""}, ("missing_key", "review_no")),
        ({"case_no": "1.23E+17"}, ("lost_key", "case_no")),
        ({"unit_name": ""}, ("required_empty", "unit_name")),
        ({"reviewed_at": "x"}, ("unreadable_time", "reviewed_at")),
        ({"level": "好"}, ("unknown_code", "level")),
        ({"revisited_at": "2099-01-01"}, ("future_event", "revisited_at")),
    ]
    for number in range(len(faults)):
        everything: Row = {}
        for change, _ in faults[number:]:
            everything |= change
        assert reasons("platform_reviews", everything) == [faults[number][1]]


def test_references_that_excel_has_destroyed_and_integers_of_a_closed_list() -> None:
    assert reasons("platform_reviews", {"case_no": "6.5E+17"}, {"review_order": "3"}, {"review_order": "2.0"}) == [
        ("lost_key", "case_no"),
        ("unknown_code", "review_order"),
        None,
    ]
    assert reasons("hotline_tickets", {"related_ticket_no": "2.02207E+15"}, {"callback_at": "2022-07-04"}) == [
        ("lost_key", "related_ticket_no"),
        ("end_before_start", "callback_at"),
    ]
    assert reasons(
        "hotline_dispatches", {"signed_at": "2022-07-04"}, {"dispatch_no": "1E+15"}, {"dispatch_no": "甲"}
    ) == [
        ("end_before_start", "signed_at"),
        ("lost_key", "dispatch_no"),
        ("unreadable_number", "dispatch_no"),
    ]


def test_limits_and_what_may_lie_ahead_are_no_events() -> None:
    assert reasons("hotline_dispatches", {"due_at": "2023-01-01", "sign_due_at": "2023-01-01"}) == [None]
    assert reasons("cms_media_accounts", {"cancelled_on": "2023-01-01"}, {"opened_on": "2023-01-01"}) == [
        None,
        ("future_event", "opened_on"),
    ]
    assert reasons("cms_posts", {"display_date": "2023-01-01"}) == [None]


def test_a_destroyed_personal_value_is_emptied_and_reported_and_the_row_loads() -> None:
    batch = normalise("platform_cases", [good_row("platform_cases") | {"applicant_id": "6.527E+17"}])
    assert batch.good["applicant_id"].to_pylist() == [None]
    assert batch.lost_values.to_pylist() == [{"row": 2, "column_name": "applicant_id"}]


def test_a_deletion_needs_its_key_and_its_moment_only() -> None:
    empty = dict.fromkeys(CONTRACTS["hotline_exclusions"].by_name, "")
    bare = empty | {"ticket_no": "T1", "unit_name": "u", "updated_at": "2022-07-06", "sync_type": "D"}
    batch = normalise(
        "hotline_exclusions",
        [
            bare,
            bare | {"requested_at": "2022年7月1日", "decision": "也许", "approved_at": "x"},
            bare | {"unit_name": ""},
            bare | {"ticket_no": "1.2E+17"},
            bare | {"updated_at": ""},
            bare | {"updated_at": "昨天"},
            bare | {"updated_at": "2099-01-01"},
        ],
    )
    assert batch.good["_deleted"].to_pylist() == [True, True]
    assert batch.good["_key"].to_pylist() == ["T1\x1fu"] * 2
    assert batch.good["requested_at"].to_pylist() == [None, dt.datetime.fromisoformat("2022-07-01")]
    assert batch.good["decision"].to_pylist() == [None, None]
    assert batch.faults["reason"].to_pylist() == [
        "missing_key",
        "lost_key",
        "required_empty",
        "unreadable_time",
        "future_event",
    ]


@pytest.mark.parametrize(
    ("material", "text", "code"),
    [
        ("月小结", "2022-07", "2022-07"),
        ("月小结", "2022年7月", "2022-07"),
        ("月小结", "2022-7", "2022-07"),
        ("月小结", "2022-07-01", "2022-07"),
        ("月小结", "2022-13", None),
        ("月小结", "2022-W27", None),
        ("动态信息", "2022-W7", "2022-W07"),
        ("动态信息", "2020-W53", "2020-W53"),
        ("动态信息", "2022-W53", None),
        ("动态信息", "2022-W00", None),
        ("动态信息", "2022-07-01", None),
        ("整改报告", "2022-07--2022-08", "2022-07--2022-08"),
        ("整改报告", "2022年7月", "2022-07"),
        # A period is any run of whole months, ranked or not.
        ("整改报告", "2022-8--2022年9月", "2022-08--2022-09"),
        ("整改报告", "2022-08--2022-08", None),
        ("整改报告", "2022-08--2022-07", None),
        ("整改报告", "2022-08--", None),
        ("整改报告", "2022-W27", None),
    ],
)
def test_periods(material: str, text: str, code: str | None) -> None:
    row = good_row("cms_submissions") | {"material_type": material, "obligation_period": text}
    batch = normalise("cms_submissions", [row])
    assert batch.good["obligation_period"].to_pylist() == ([code] if code else [])
    assert batch.faults["reason"].to_pylist() == ([] if code else ["unreadable_period"])


def test_masks_show_the_shape_and_never_the_value() -> None:
    values = {"applied_at": "张三 13812345678", "item_name": ""}
    batch = normalise("platform_cases", [good_row("platform_cases") | {"applied_at": values["applied_at"]}])
    assert batch.faults["value_masked"].to_pylist() == ["汉汉 99999999999"]
    batch = normalise("platform_cases", [good_row("platform_cases") | {"channel": "ئالىم Ab1" + "x" * 50}])
    (mask,) = batch.faults["value_masked"].to_pylist()
    assert set(mask) == {"a", "9", " "} and len(mask) == 24
