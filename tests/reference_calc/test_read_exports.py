"""Reading, quarantine, refusal and upsert, each on a handful of rows."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from tests.reference_calc.fixtures import DEFAULTS, PULLED_AT, write_csv
from tests.reference_calc.read_exports import Exports, read_exports
from tests.reference_calc.schema import SCHEMA
from tests.reference_calc.units import UnitNames

CASE = {"申请时间": "2022-07-01 08:00:00", "受理时间": "2022-07-01 09:00:00"}


def cases(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    return [CASE | row for row in rows]


def read(root: Path) -> Exports:
    return read_exports(root, PULLED_AT, UnitNames())


def case_file(root: Path, name: str = "a.csv", month: str = "2022-07") -> Path:
    path = root / "platform" / "platform_cases" / month / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def numbers(found: Exports) -> list[str]:
    return found.current["platform_cases"]["办件编号"].tolist()


def as_csv(tmp_path: Path, *rows: dict[str, Any]) -> str:
    write_csv(tmp_path / "plain.csv", "platform_cases", cases(*rows))
    return (tmp_path / "plain.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_csv_with_title_and_total_line(tmp_path: Path, encoding: str, delimiter: str) -> None:
    content = as_csv(tmp_path, {"办件编号": "Ｎ1"}, {"办件编号": "N2"}).replace(",", delimiter)
    content = "精河县办件明细\r\n" + content + f"合计{delimiter}2\r\n\r\n"
    case_file(tmp_path / "x").write_bytes(content.encode(encoding))
    found = read(tmp_path / "x")
    assert numbers(found) == ["N1", "N2"]
    assert found.loaded["platform_cases"]["_row"].tolist() == [3, 4]
    assert found.current["platform_cases"]["unit_code"].tolist() == ["U01", "U01"]


def test_zip_gz_json_and_xlsx_make_one_month(tmp_path: Path) -> None:
    root = tmp_path / "x"
    with zipfile.ZipFile(case_file(root, "a.zip"), "w") as archive:
        archive.writestr("inner.csv", as_csv(tmp_path, {"办件编号": "1"}))
    case_file(root, "b.csv.gz").write_bytes(gzip.compress(as_csv(tmp_path, {"办件编号": "2"}).encode()))
    row = DEFAULTS["platform_cases"] | CASE | {"办件编号": "3", "更新时间": "2022-08-01"}
    page = {"dataset": "platform_cases", "period": "2022-07", "page": 1, "pages": 1, "total": 1, "rows": [row]}
    case_file(root, "c.json").write_text(json.dumps(page), encoding="utf-8")
    book = openpyxl.Workbook()
    book.active.title = "hidden"
    book.active.sheet_state = "hidden"
    sheet = book.create_sheet("办件")
    headers = [column.header for column in SCHEMA["platform_cases"]]
    sheet.append(headers)
    typed = row | {"办件编号": 4, "受理时间": pd.Timestamp("2022-07-01 09:00:00").to_pydatetime(), "承诺时限": 5.0}
    sheet.append([typed.get(header) for header in headers])
    book.save(case_file(root, "d.xlsx"))
    found = read(root)
    assert numbers(found) == ["1", "2", "3", "4"]
    assert found.current["platform_cases"]["受理时间"].nunique() == 1
    assert found.current["platform_cases"]["承诺时限"].tolist() == [5, 5, 5, 5]


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        ({"办件编号": ""}, "办件编号", "missing key"),
        ({"办件编号": "6.527E+17", "事项名称": ""}, "办件编号", "lost key"),
        ({"事项名称": ""}, "事项名称", "required"),
        ({"承诺时限": "", "法定时限": ""}, "承诺时限", "required"),
        ({"办结时间": "明天", "申请来源": "电话"}, "办结时间", "unreadable"),
        ({"承诺时限": "五"}, "承诺时限", "unreadable"),
        ({"申请来源": "电话"}, "申请来源", "code outside its list"),
        ({"是否超期": "Y"}, "是否超期", "code outside its list"),
        ({"办结时间": "2022-07-01 08:59:59"}, "办结时间", "an end before its start"),
        ({"办结时间": "2022-09-06 08:00:01"}, "办结时间", "after the moment of the pull"),
        ({"更新时间": "2022-09-07"}, "更新时间", "after the moment of the pull"),
    ],
)
def test_first_fault_is_the_reason(tmp_path: Path, row: dict[str, Any], column: str, reason: str) -> None:
    write_csv(case_file(tmp_path), "platform_cases", cases({"办件编号": "1"}, {"办件编号": "2"} | row))
    found = read(tmp_path)
    assert numbers(found) == ["1"]
    assert found.quarantine[["row", "column", "reason"]].to_numpy().tolist() == [[3, column, reason]]


@pytest.mark.parametrize(
    "row",
    [
        {"办结时间": "2022-07-01"},  # an end: the last second of the day, not before 受理
        {"办结时间": "2022-09-06"},  # the day of the pull
        {"办件类型": "即办件", "承诺时限": "", "法定时限": ""},
        {"承诺时限": ""},
        {"同步类型": "D", "申请来源": "", "办结时间": "明天"},  # needs only key and 更新时间
    ],
)
def test_no_fault(tmp_path: Path, row: dict[str, Any]) -> None:
    write_csv(case_file(tmp_path), "platform_cases", cases({"办件编号": "1"} | row))
    assert read(tmp_path).quarantine.empty


def test_reference_stored_as_number_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "platform" / "platform_reviews" / "2022-07" / "a.csv"
    write_csv(path, "platform_reviews", [{"评价编号": "R1", "办件编号": "6.5E+17", "评价时间": "2022-07-01"}])
    assert read(tmp_path).quarantine["reason"].tolist() == ["lost key"]


@pytest.mark.parametrize(("bad", "good", "refused"), [(4, 75, True), (4, 76, False), (3, 1, False)])
def test_more_than_five_percent_and_three_rows(tmp_path: Path, bad: int, good: int, refused: bool) -> None:
    rows = [{"办件编号": f"g{i}"} for i in range(good)] + [{"办件编号": f"b{i}", "申请来源": "?"} for i in range(bad)]
    write_csv(case_file(tmp_path), "platform_cases", cases(*rows))
    found = read(tmp_path)
    assert (len(found.refused) == 1) is refused
    assert len(numbers(found)) == (0 if refused else good)
    assert found.accepted["platform_cases"] == ([] if refused else ["2022-07"])


def test_missing_required_header_is_refused_and_an_optional_one_is_empty(tmp_path: Path) -> None:
    content = as_csv(tmp_path, {"办件编号": "1"})
    case_file(tmp_path / "x").write_text(content.replace("申请来源", "来源"), encoding="utf-8")
    assert "申请来源" in read(tmp_path / "x").refused["reason"][0]
    case_file(tmp_path / "y").write_text(content.replace("法定时限", "额外"), encoding="utf-8")
    assert read(tmp_path / "y").current["platform_cases"]["法定时限"].isna().all()


def test_manifest(tmp_path: Path) -> None:
    path = case_file(tmp_path)
    write_csv(path, "platform_cases", cases({"办件编号": "1"}))
    entry: dict[str, Any] = {"name": "a.csv", "rows": 1, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    manifest = path.parent / "manifest.json"
    changes: list[tuple[dict[str, Any], int]] = [
        ({}, 0),
        ({"rows": 2}, 1),
        ({"sha256": "0" * 64}, 1),
        ({"name": "b.csv"}, 1),
    ]
    for change, refused in changes:
        manifest.write_text(json.dumps({"files": [entry | change]}), encoding="utf-8")
        assert len(read(tmp_path).refused) == refused


def upserted(tmp_path: Path, *rows: tuple[str, str, dict[str, Any]]) -> list[Any]:
    """Write (month, file, row) each; the 事项名称 that counts for case 1."""
    for month, name, row in rows:
        write_csv(case_file(tmp_path, name, month), "platform_cases", cases({"办件编号": "1"} | row))
    return read(tmp_path).current["platform_cases"]["事项名称"].tolist()


def test_greatest_update_time_wins_over_later_delivery(tmp_path: Path) -> None:
    first = ("2022-07", "a.csv", {"更新时间": "2022-08-02", "事项名称": "new"})
    assert upserted(tmp_path, first, ("2022-08", "a.csv", {"更新时间": "2022-08-01", "事项名称": "old"})) == ["new"]


def test_then_month_then_file(tmp_path: Path) -> None:
    same = {"更新时间": "2022-08-01"}
    rows = [("2022-08", "a.csv", "late"), ("2022-08", "b.csv", "later"), ("2022-07", "z.csv", "early")]
    assert upserted(tmp_path, *((m, f, same | {"事项名称": n}) for m, f, n in rows)) == ["later"]


def test_then_row(tmp_path: Path) -> None:
    rows = cases({"办件编号": "1", "事项名称": "a"}, {"办件编号": "1", "事项名称": "b"})
    write_csv(case_file(tmp_path), "platform_cases", rows)
    assert read(tmp_path).current["platform_cases"]["事项名称"].tolist() == ["b"]


@pytest.mark.parametrize(
    ("deleted_at", "kept_at", "left"),
    [
        ("2022-08-02", "2022-08-01", []),
        ("2022-08-01", "2022-08-02", ["事项"]),  # an older D removes nothing
        ("2022-08-01", "2022-08-01", []),  # the same second: the later delivery, here the D
    ],
)
def test_deletions(tmp_path: Path, deleted_at: str, kept_at: str, left: list[str]) -> None:
    kept = ("2022-07", "a.csv", {"更新时间": kept_at})
    assert upserted(tmp_path, kept, ("2022-08", "a.csv", {"更新时间": deleted_at, "同步类型": "D"})) == left


def test_a_bad_newer_row_leaves_the_older_good_one(tmp_path: Path) -> None:
    good = ("2022-07", "a.csv", {"更新时间": "2022-08-01", "事项名称": "good"})
    assert upserted(tmp_path, good, ("2022-08", "a.csv", {"更新时间": "2022-08-02", "申请来源": "?"})) == ["good"]


def test_exclusion_key_holds_the_resolved_unit(tmp_path: Path) -> None:
    path = tmp_path / "hotline" / "hotline_exclusions" / "2022-07" / "a.csv"
    base = {"工单编号": "T1", "申请时间": "2022-07-01", "审批结果": "同意"}
    rows = [
        base | {"承办单位": "县人社局", "更新时间": "2022-07-02"},
        base | {"承办单位": "人社局", "更新时间": "2022-07-03", "审批结果": "不同意"},
        base | {"承办单位": "谁"},
        base | {"承办单位": "哪"},
        # 县工商局 is U21 up to 2018-12-31: a bare D resolves on the day of its 更新时间, when it is nobody.
        base | {"承办单位": "县工商局", "申请时间": "2018-12-31", "更新时间": "2018-12-31"},
        {"工单编号": "T1", "承办单位": "县工商局", "剔除原因": "", "申请时间": "", "同步类型": "D"},
    ]
    write_csv(path, "hotline_exclusions", rows)
    found = read(tmp_path).current["hotline_exclusions"]
    assert found["_unit_key"].tolist() == ["U16", "U21", "name:哪", "name:谁"]
    assert found["审批结果"].tolist() == ["不同意", "同意", "同意", "同意"]


def test_unit_names(tmp_path: Path) -> None:
    units = UnitNames()
    day = pd.Timestamp
    assert units.unit_on("托里乡", day("2014-10-20")) == "U03"
    assert units.unit_on("托里乡", day("2014-10-21")) == "UNMAPPED"
    assert units.unit_on("托里镇八家户", day("2022-07-01")) == "UNMAPPED"


def test_dates_alone(tmp_path: Path) -> None:
    path = tmp_path / "hotline" / "hotline_dispatches" / "2022-07" / "a.csv"
    days = ["派单时间", "签收期限", "签收时间", "办理期限", "办复时间", "退单时间"]
    write_csv(path, "hotline_dispatches", [{"工单编号": "T1"} | dict.fromkeys(days, "2022-07-05")])
    row = read(tmp_path).current["hotline_dispatches"].iloc[0]
    ends = {"签收期限", "签收时间", "办理期限", "办复时间"}
    assert {name for name in days if row[name] == pd.Timestamp("2022-07-05 23:59:59")} == ends
    assert {name for name in days if row[name] == pd.Timestamp("2022-07-05")} == {"派单时间", "退单时间"}


def test_obligation_periods_fit_their_material(tmp_path: Path) -> None:
    path = tmp_path / "cms" / "cms_submissions" / "2022-07" / "a.csv"
    sent = {"报送时间": "2022-07-20"}
    rows = [
        sent | {"报送编号": "1", "所属期": "2022年7月"},
        sent | {"报送编号": "2", "所属期": "2022-W7", "材料类型": "动态信息"},
        sent | {"报送编号": "3", "所属期": "2022-7--2022-8", "材料类型": "整改报告"},
        sent | {"报送编号": "4", "所属期": "2022-07", "材料类型": "动态信息"},
    ]
    write_csv(path, "cms_submissions", rows)
    found = read(tmp_path)
    assert found.current["cms_submissions"]["所属期"].tolist() == ["2022-07", "2022-W07", "2022-07--2022-08"]
    assert found.quarantine["row"].tolist() == [5]
