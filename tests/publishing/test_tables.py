"""The tables people open: what stands in them, how they print, and that no text in them becomes a formula."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from ingestion.errors import BadParameter
from ingestion.home import Home
from publishing import publish, summary
from publishing.labels import period_name, reason_text
from publishing.tables import guarded
from tests.publishing.warehouses import hand_made_run

PERIOD = "2022-07--2022-08"


@pytest.fixture
def tables(home: Home) -> Path:
    hand_made_run(home, "run1", [PERIOD], version=80)
    publish(home, "run1")
    return home.current / "tables" / PERIOD


def test_csv_opens_in_excel_with_chinese_headers(tables: Path) -> None:
    content = (tables / "overall.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert list(rows[0]) == ["分组", "名次", "单位", "得分", "名次区间", "较上期", "名单", "网站", "一体化平台", "备注"]
    assert [(row["分组"], row["名次"], row["单位"]) for row in rows] == [
        ("乡镇场街道", "1", "精河镇"),
        ("乡镇场街道", "", "托里镇"),
        ("县直部门", "1", "县公安局"),
        ("县直部门", "", '\'=HYPERLINK("http://x")'),
    ]
    assert (rows[0]["名次区间"], rows[0]["较上期"], rows[0]["名单"]) == ("1—2", "-2", "良好、进步")
    assert (rows[1]["名单"], rows[1]["备注"]) == ("滞后", "发生严重错误（一票否决）；业务量不足，不排名")


def test_area_table_has_its_scored_metrics_only(tables: Path) -> None:
    rows = list(csv.DictReader((tables / "platform.csv").open(encoding="utf-8-sig")))
    assert "网办率" in rows[0] and "受理办件量" not in rows[0]
    assert float(rows[0]["网办率"]) == 0.5
    assert rows[0]["名次区间"] == ""


def test_parquet_is_typed(tables: Path) -> None:
    table = pq.read_table(tables / "overall.parquet")
    types = {field.name: str(field.type) for field in table.schema}
    assert (types["名次"], types["得分"], types["较上期"]) == ("int64", "double", "int64")
    assert table.num_rows == 4 and table.column("得分").to_pylist()[:2] == [80.0, None]


def test_workbook_prints_on_a4_with_the_header_on_each_page(tables: Path) -> None:
    book = openpyxl.load_workbook(tables / "overall.xlsx")
    assert book.sheetnames == ["乡镇场街道", "县直部门"]
    for sheet in book.worksheets:
        assert int(sheet.page_setup.paperSize) == 9
        assert sheet.page_setup.orientation == "landscape"
        assert sheet.sheet_properties.pageSetUpPr.fitToPage
        assert (sheet.page_setup.fitToWidth or 1, sheet.page_setup.fitToHeight) == (1, 0), (
            "one page wide, as long as needed"
        )
        assert sheet.print_title_rows == "$2:$2"
        assert sheet["A1"].value == f"2022年7—8月政务服务效能通报：综合排名（{sheet.title}）"
        assert [cell.value for cell in sheet[2]][:3] == ["名次", "单位", "得分"]
        notes = " ".join(str(sheet.cell(row, 1).value) for row in range(5, sheet.max_row + 1))
        assert "规则集 2022.1" in notes and "2022-09-05 23:59:59" in notes and f"{PERIOD}-r1" in notes
    cells = [cell for sheet in book.worksheets for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in cells} == {"s", "n"}, "no formula, no date, no error"
    assert book["县直部门"]["B4"].value == '\'=HYPERLINK("http://x")'
    assert book["乡镇场街道"]["E3"].value == -2 and "↓" in book["乡镇场街道"]["E3"].number_format


def test_same_figures_give_the_same_bytes(home: Home, tmp_path: Path, tables: Path) -> None:
    other = Home(tmp_path / "other")
    hand_made_run(other, "run1", [PERIOD], version=80)
    publish(other, "run1")
    for path in tables.iterdir():
        assert path.read_bytes() == (other.current / "tables" / PERIOD / path.name).read_bytes(), path.name


@pytest.mark.parametrize(
    "text", ["=1", "+1", "-1", "−1", "@x", "\t=1", "\r=1", "\n1", "＝1", "＋1", "－1", "＠x", "  =1", "\u3000=1"]
)
def test_formula_guard(text: str) -> None:
    assert guarded(text) == "'" + text


@pytest.mark.parametrize("text", ["精河镇", "1—2", "a=b", "", "（精河）", "12345热线"])
def test_formula_guard_leaves_text_alone(text: str) -> None:
    assert guarded(text) == text


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("2022-07", "2022年7月"),
        ("2022-07--2022-08", "2022年7—8月"),
        ("2022-07--2022-09", "2022年第三季度"),
        ("2022-07--2022-12", "2022年下半年"),
        ("2022-01--2022-12", "2022年"),
    ],
)
def test_period_names(code: str, name: str) -> None:
    assert period_name(code) == name


def test_reasons_are_chinese_and_unknown_codes_are_shown() -> None:
    assert reason_text("serious_error;backdated") == "发生严重错误（一票否决）；伪造发稿日期（一票否决）"
    assert reason_text("something_new") == "something_new"
    assert reason_text(None) == ""


def test_summary_says_what_came_out(home: Home, tables: Path) -> None:
    with io.StringIO() as out:
        summary(home, PERIOD, Console(file=out, width=140))
        text = out.getvalue()
    for expected in (
        *(
            "2022年7—8月",
            "乡镇场街道",
            "精河镇",
            "80.00",
            "1—2",
            "↓2",
            "良好、进步",
            "主键为空",
            "托里镇八家户",
            "八家户农场、托里镇",
        ),
        str(home.current / "warehouse.duckdb"),
        f"第 1 版（{PERIOD}-r1）",
    ):
        assert expected in text, expected
    assert any("办件明细" in line and "主键为空 2" in line for line in text.splitlines())
    with pytest.raises(BadParameter, match="2022-06 is not published"):
        summary(home, "2022-06")
    with pytest.raises(BadParameter, match="nothing is published"):
        summary(Home(home.root / "none"), PERIOD)
