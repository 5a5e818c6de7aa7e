"""The load edge: each expectation is shown to pass and to fail, and nothing passes for want of something to look at."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations import build_data_docs, results, validate_load
from expectations.judge import read_expectations, suite_files
from ingestion.contracts import CONTRACTS
from ingestion.errors import DeliveryRefused
from ingestion.home import Home
from tests.expectations.builders import Row, accept, good_rows, history, stage

MONTH = "2022-07"


def newest(home: Home) -> dict[str, dict[str, Any]]:
    """Expectations of the newest result by name."""
    return {e["name"]: e for e in results(home, "load")[-1]["expectations"]}


def changed(dataset: str, **values: Any) -> list[Row]:
    """Good rows of which the third holds these values."""
    rows = good_rows(dataset, MONTH)
    rows[2] |= values
    return rows


@pytest.mark.parametrize("dataset", CONTRACTS)
def test_a_good_delivery_passes_everything(home: Home, dataset: str) -> None:
    history(home, dataset)
    validate_load(home, stage(home, dataset, MONTH))
    found = newest(home)
    assert {name: e["observed"] for name, e in found.items() if e["status"] != "passed"} == {}
    assert len(found) >= 7


@pytest.mark.parametrize("dataset", CONTRACTS)
def test_a_first_delivery_is_a_baseline_and_no_pass(home: Home, dataset: str) -> None:
    validate_load(home, stage(home, dataset, MONTH))
    found = newest(home)
    compared = {
        e["meta"]["name"] for e in read_expectations("load", f"load_{dataset}") if e["meta"].get("against_history")
    }
    assert {name for name, e in found.items() if e["status"] == "baseline"} == compared & set(found)
    assert {"volume_ratio", "empty_against_history", "columns_emptied"} <= compared


def test_a_first_delivery_with_the_past_in_it_is_no_measure_of_the_next(home: Home) -> None:
    """The demo's first month of reviews holds years of them; the ordinary months after it are not a loss."""
    accept(home, stage(home, "platform_reviews", "2022-05", good_rows("platform_reviews", "2022-05", 900)))
    for month in ("2022-06", MONTH):
        delivery = stage(home, "platform_reviews", month)
        validate_load(home, delivery)
        accept(home, delivery)
        assert newest(home)["volume_ratio"]["status"] == ("baseline" if month == "2022-06" else "passed")


def test_a_month_without_changed_accounts_is_ordinary(home: Home) -> None:
    history(home, "cms_media_accounts")
    validate_load(home, stage(home, "cms_media_accounts", MONTH, []))
    assert "volume_ratio" not in newest(home)
    assert newest(home)["empty_against_history"]["status"] == "passed"


def test_what_the_load_reported_stands_in_the_result(home: Home) -> None:
    from ingestion.ledger import findings_path, quarantine_path

    delivery = stage(home, "platform_cases", MONTH)
    (file,) = delivery.files
    place = (home, "platform_cases", MONTH, file.landing_id)
    for path, table in (
        (
            findings_path(*place),
            {
                "file": ["export.csv"] * 2,
                "column_name": [None, "applicant_phone"],
                "kind": ["extra_column", "lost_personal_value"],
                "detail": ["unknown column '备注13912345678' is kept out", "emptied"],
            },
        ),
        (
            quarantine_path(*place),
            {"file": ["export.csv"] * 2, "column_name": ["result"] * 2, "reason": ["unknown_code"] * 2},
        ),
    ):
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table(table), path)
    reported = dataclasses.replace(file, rows_in=file.rows_in + 2, rows_quarantined=2)
    validate_load(home, dataclasses.replace(delivery, files=(reported,)))
    found = newest(home)
    assert {name for name, e in found.items() if e["status"] == "failed"} == {
        "rows_quarantined",
        "extra_columns",
        "lost_personal_values",
    }
    (reason,) = found["rows_quarantined"]["items"]
    assert (reason["reason"], reason["rows"], reason["column"]) == ("取值不在代码表内", 2, "result")
    assert found["extra_columns"]["items"][0]["detail"] == "unknown column '备注＊＊＊' is kept out"


LATE, EARLY = dt.datetime.fromisoformat("2022-07-30"), dt.datetime.fromisoformat("2022-07-01")

#: dataset, expectation, what the third row says. One fault, one failing row, found by its row number.
CONTRADICTIONS: list[tuple[str, str, Row]] = [
    ("platform_cases", "closed_without_result", {"result": None}),
    ("platform_cases", "result_without_closed", {"result": "办结", "closed_at": None}),
    ("platform_cases", "promise_above_statutory", {"case_type": "承诺件", "promised_days": 21}),
    ("platform_reviews", "rectified_though_good", {"level": "满意"}),
    (
        "hotline_tickets",
        "called_back_without_time",
        {"ticket_status": "已回访", "callback_at": None, "solved": None, "satisfaction": None},
    ),
    ("hotline_tickets", "closed_without_time", {"ticket_status": "已办结", "closed_at": None}),
    (
        "hotline_tickets",
        "answer_without_call_back",
        {"ticket_status": "已办结", "callback_at": None, "satisfaction": "满意"},
    ),
    ("hotline_tickets", "repeats_itself", {"ticket_no": "7", "related_ticket_no": "7"}),
    ("hotline_dispatches", "return_decided_without_time", {"returned_at": None, "return_upheld": True}),
    ("hotline_dispatches", "extension_before_limit", {"extended_due_at": EARLY, "due_at": LATE}),
    ("hotline_dispatches", "solved_without_reply", {"replied_at": None, "reported_solved": "解决"}),
    ("hotline_exclusions", "decided_without_time", {"approved_at": None, "decision": "同意"}),
    ("hotline_exclusions", "decided_by_nobody", {"approved_by": None, "decision": "同意"}),
    ("hotline_calls", "part_above_whole", {"calls_answered": 1000}),
    ("hotline_calls", "part_above_whole", {"calls_answered_15s": 91}),
    ("hotline_calls", "negative_count", {"calls_answered": -1, "calls_answered_15s": -1}),
    ("cms_posts", "published_without_time", {"status": "已发布", "published_at": None}),
    ("cms_posts", "unpublished_with_time", {"status": "草稿"}),
    ("cms_media_accounts", "cancelled_before_opened", {"cancelled_on": dt.date(2022, 6, 1)}),
    ("cms_submissions", "returned_without_count", {"review_status": "退回", "return_count": None}),
    ("cms_posts", "unknown_unit_rows", {"unit_name": "托里镇八家户"}),
    # 县工商局 was the name of what is now 县市场监督管理局 until 2018: in 2022 nobody bears it.
    ("platform_cases", "unknown_unit_rows", {"unit_name": "县工商局"}),
]


@pytest.mark.parametrize(
    ("dataset", "name", "values"), CONTRADICTIONS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_contradiction_is_reported_with_its_row(home: Home, dataset: str, name: str, values: Row) -> None:
    validate_load(home, stage(home, dataset, MONTH, changed(dataset, **values)))  # a warning stops nothing
    found = newest(home)
    assert (found[name]["status"], found[name]["severity"], found[name]["observed"]) == ("failed", "warning", 1)
    assert [(item["file"], item["row"]) for item in found[name]["items"]] == [("export.csv", 4)]
    assert [other for other, e in found.items() if e["status"] == "failed"] == [name]
    assert results(home)[-1]["outcome"] == "warning"


def test_every_row_expectation_of_the_suites_was_shown_to_fail() -> None:
    """The list above is whole: an expectation that nobody has seen fail is none."""
    planted = {name for _, name, _ in CONTRADICTIONS}
    of_rows = {
        e["meta"]["name"]
        for path in suite_files()
        if path.stem.startswith("load_")
        for e in read_expectations(path.stem)
        if e["meta"]["unit"] == "rows"
    }
    assert of_rows and of_rows <= planted


def test_a_deleting_row_contradicts_nothing(home: Home) -> None:
    rows = good_rows("cms_posts", MONTH)
    rows[2] = {"post_no": rows[2]["post_no"], "updated_at": rows[2]["updated_at"], "sync_type": "D"}
    validate_load(home, stage(home, "cms_posts", MONTH, rows))
    assert "failed" not in {e["status"] for e in newest(home).values()}


def test_rows_that_are_nowhere_refuse_the_delivery(home: Home) -> None:
    with pytest.raises(DeliveryRefused, match=r"来数行数 = 入库行数 \+ 隔离行数.*rows in = .*: 1 \(须 = 0\)"):
        validate_load(home, stage(home, "cms_posts", MONTH, lost=1))
    assert results(home)[-1]["outcome"] == "refused"


def test_a_staged_file_that_lost_rows_refuses_the_delivery(home: Home) -> None:
    from tests.expectations.builders import write

    delivery = stage(home, "cms_posts", MONTH)
    write(delivery.files[0].path, "cms_posts", MONTH, good_rows("cms_posts", MONTH)[:-1], "export.csv")
    with pytest.raises(DeliveryRefused, match="staged files hold exactly"):
        validate_load(home, delivery)


def test_an_empty_key_refuses_the_delivery(home: Home) -> None:
    with pytest.raises(DeliveryRefused, match="主键不为空"):
        validate_load(home, stage(home, "cms_posts", MONTH, changed("cms_posts", post_no=None)))
    assert newest(home)["null_key_rows"]["items"] == [{"key": "—", "file": "export.csv", "row": 4}]


def test_an_empty_delivery_is_refused_where_months_were_never_small(home: Home) -> None:
    for month in ("2022-04", "2022-05", "2022-06"):
        accept(home, stage(home, "cms_posts", month, good_rows("cms_posts", month, 120)))
    with pytest.raises(DeliveryRefused, match="历史上一向有数"):
        validate_load(home, stage(home, "cms_posts", MONTH, []))


def test_an_empty_delivery_is_ordinary_where_months_were_small(home: Home) -> None:
    for month in ("2022-04", "2022-05", "2022-06"):
        accept(home, stage(home, "hotline_exclusions", month, good_rows("hotline_exclusions", month, 3)))
    validate_load(home, stage(home, "hotline_exclusions", MONTH, []))
    found = newest(home)
    assert found["empty_against_history"]["status"] == "passed"
    assert found["volume_ratio"]["status"] == "baseline"


@pytest.mark.parametrize(("count", "status"), [(24, "failed"), (25, "passed"), (179, "passed"), (180, "failed")])
def test_the_volume_is_judged_against_the_median(home: Home, count: int, status: str) -> None:
    history(home, "platform_cases")
    validate_load(home, stage(home, "platform_cases", MONTH, good_rows("platform_cases", MONTH, count)))
    assert newest(home)["volume_ratio"]["status"] == status


def test_a_second_file_of_the_month_is_no_small_month(home: Home) -> None:
    """A late correction brings a handful of rows; the month is still as large as it was."""
    history(home, "platform_cases", ("2022-04", "2022-05", "2022-06", MONTH))
    validate_load(home, stage(home, "platform_cases", MONTH, good_rows("platform_cases", MONTH, 2), file="late.csv"))
    found = newest(home)
    assert found["volume_ratio"]["observed"] == pytest.approx(62 / 60, abs=1e-4)
    assert {e["status"] for e in found.values()} == {"passed"}


def test_an_emptied_and_a_flattened_column_and_an_absent_unit_are_named(home: Home) -> None:
    history(home, "platform_cases")
    rows = [
        {**row, "applicant_phone": None, "channel": "窗口登记"}
        for row in good_rows("platform_cases", MONTH)
        if row["unit_name"] != "县教育局"
    ]
    validate_load(home, stage(home, "platform_cases", MONTH, rows))
    found = newest(home)
    assert found["columns_emptied"]["items"] == [{"column": "applicant_phone", "header": "联系电话"}]
    assert found["columns_flattened"]["items"] == [{"column": "channel", "header": "申请来源"}]
    assert found["units_absent"]["items"] == [{"unit_code": "U22", "unit_name": "县教育局"}]
    assert results(home)[-1]["outcome"] == "warning"


def test_a_unit_under_another_name_is_not_absent(home: Home) -> None:
    history(home, "platform_cases")
    renamed = [
        {**row, "unit_name": "　教育局 " if row["unit_name"] == "县教育局" else row["unit_name"]}
        for row in good_rows("platform_cases", MONTH)
    ]
    validate_load(home, stage(home, "platform_cases", MONTH, renamed))
    assert {e["status"] for e in newest(home).values()} == {"passed"}


def test_the_share_of_default_reviews_is_judged_alone_and_against_history(home: Home) -> None:
    history(home, "platform_reviews")
    rows = [{**row, "review_channel": "系统默认"} for row in good_rows("platform_reviews", MONTH)]
    validate_load(home, stage(home, "platform_reviews", MONTH, rows))
    found = newest(home)
    assert (found["default_review_share"]["status"], found["default_review_share"]["observed"]) == ("failed", 1)
    assert found["default_review_share_change"]["status"] == "failed"


def test_the_share_of_unanswered_call_backs_is_judged_alone_and_against_history(home: Home) -> None:
    history(home, "hotline_tickets")
    rows = [{**row, "callback_result": "拒访"} for row in good_rows("hotline_tickets", MONTH)]
    validate_load(home, stage(home, "hotline_tickets", MONTH, rows))
    found = newest(home)
    assert found["unanswered_call_back_share"]["status"] == "failed"
    assert found["unanswered_call_back_share_change"]["status"] == "failed"


PLANTED = ("13912345678", "１３９１２３４５６７８", "一三九一二三四五六七八", "11010519491231002X", "买买提江")


def test_personal_data_stands_in_no_result_and_on_no_page(home: Home, tmp_path: Path) -> None:
    """Planted where ingestion would have removed it and where it cannot: in a key and in a unit's name."""
    rows = good_rows("hotline_tickets", MONTH)
    for n, value in enumerate(PLANTED):
        rows[n] |= {
            "content": value,
            "caller": value,
            "caller_phone": value,
            "ticket_status": "已回访",
            "callback_at": None,
        }
    for n, value in enumerate(PLANTED[:4]):
        rows[n] |= {"ticket_no": f"{value}", "related_ticket_no": value}
    validate_load(home, stage(home, "hotline_tickets", MONTH, rows))
    posts = [{**row, "unit_name": f"办公室{PLANTED[n % 4]}"} for n, row in enumerate(good_rows("cms_posts", MONTH))]
    validate_load(home, stage(home, "cms_posts", MONTH, posts, file=f"{PLANTED[0]}.csv"))
    failed = [e for result in results(home) for e in result["expectations"] if e["status"] == "failed"]
    assert {"called_back_without_time", "repeats_itself", "unknown_unit_rows"} <= {e["name"] for e in failed}
    build_data_docs(home, tmp_path / "docs")
    written = [*(home.root / "validation").rglob("*.json"), *(tmp_path / "docs").rglob("*.html")]
    assert len(written) >= 5
    for path in written:
        text = path.read_text(encoding="utf-8")
        assert [value for value in PLANTED if value in text] == [], path


def test_at_most_twenty_rows_are_listed(home: Home) -> None:
    rows = [{**row, "unit_name": "无此单位"} for row in good_rows("cms_posts", MONTH)]
    validate_load(home, stage(home, "cms_posts", MONTH, rows))
    found = newest(home)["unknown_unit_rows"]
    assert (len(found["items"]), found["items_total"]) == (20, 60)


def test_validating_again_changes_nothing_but_the_clock(home: Home) -> None:
    history(home, "cms_posts")
    delivery = stage(home, "cms_posts", MONTH)
    validate_load(home, delivery)
    (first,) = results(home)
    validate_load(home, delivery)
    (second,) = results(home)
    for result in (first, second):
        del result["validated_at"], result["seconds"]
    assert json.dumps(first) == json.dumps(second)
