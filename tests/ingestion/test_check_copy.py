"""The marked copy: openpyxl finds the marks at the right cells, every cell a text, nobody else can read the file."""

from __future__ import annotations

import io
import json
import stat
import time
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter
import yaml
from click.testing import CliRunner, Result

from ingestion import check_copy
from ingestion.cli import main
from ingestion.contracts import CONTRACTS
from tests.ingestion.deliveries import Row, csv_bytes
from tests.ingestion.test_check import CASES, row, table, write

RED, YELLOW = "FFFFC7CE", "FFFFEB9C"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["check", *(str(argument) for argument in arguments)])


def marks(path: Path) -> dict[str, tuple[str, str]]:
    """Cell -> fill and comment, of the commented cells of the sheet 数据."""
    cells = openpyxl.load_workbook(path)["数据"].iter_rows()
    return {c.coordinate: (c.fill.fgColor.rgb, c.comment.text) for line in cells for c in line if c.comment}


def faulty_rows() -> list[Row]:
    rows = [row(n=n) for n in range(1, 61)]
    rows[3] |= {"channel": "电话"}
    rows[4] |= {"unit_name": "托里镇八家户"}
    rows[5] |= {"closed_at": "昨天"}
    return rows


def column_of(header: str) -> str:
    return openpyxl.utils.get_column_letter(list(CONTRACTS[CASES].by_header).index(header) + 1)


def check_marks(target: Path, offset_rows: int = 0) -> None:
    """The three faults of ``faulty_rows`` at their cells, this many rows further down than in a plain CSV."""
    found = marks(target)
    expected = {
        f"{column_of('申请来源')}{5 + offset_rows}": (RED, "窗口登记"),
        f"{column_of('办理单位')}{6 + offset_rows}": (YELLOW, "托里镇 + 八家户农场"),
        f"{column_of('办结时间')}{7 + offset_rows}": (RED, "2022-07-01 08:30:00"),
    }
    assert found.keys() == expected.keys()
    for cell, (fill, words) in expected.items():
        assert found[cell][0] == fill and words in found[cell][1] and "办法：" in found[cell][1]


@pytest.mark.parametrize("ending", ["csv", "json", "xlsx"])
def test_round_trip(tmp_path: Path, ending: str) -> None:
    rows = faulty_rows()
    head, *body = table(CASES, rows)
    if ending == "csv":
        content = csv_bytes(CASES, rows)
    elif ending == "json":
        page = {"rows": [dict(zip(map(str, head), cells, strict=True)) for cells in body]}
        content = json.dumps(page, ensure_ascii=False).encode()
    else:
        out = io.BytesIO()
        with xlsxwriter.Workbook(out) as book:
            page_sheet = book.add_worksheet("七月")
            for number, cells in enumerate([head, *body]):
                page_sheet.write_row(number, 0, cells)
        content = out.getvalue()
    source = write(tmp_path, f"x.{ending}", content)
    result = run(source, "--out")
    assert result.exit_code == 1, result.output
    target = tmp_path / f"x.{ending}.检查.xlsx"
    assert f"已写出标注副本：{target}" in result.output and "个人信息" in result.output
    check_marks(target)

    book = openpyxl.load_workbook(target)
    assert book.sheetnames == ["问题清单", "数据"]
    data = book["数据"]
    assert [cell.value for cell in data[1]] == head
    assert [[cell.value for cell in line] for line in data.iter_rows(min_row=2)] == body
    assert {cell.data_type for line in data.iter_rows() for cell in line} == {"s"}
    listed = book["问题清单"]
    assert [cell.value for cell in listed[1]] == ["序号", "级别", "位置", "列名", "问题", "怎么改"]
    links = [listed.cell(number, 3).hyperlink.location for number in range(2, listed.max_row + 1)]
    assert set(links) == {f"'数据'!{cell}" for cell in marks(target)}
    assert [listed.cell(number, 4).value for number in range(2, 5)] == ["申请来源", "办理单位", "办结时间"]


def test_a_sheet_keeps_its_places(tmp_path: Path) -> None:
    """A table that starts at B4 under a title: the marks are where the cells were."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        page = book.add_worksheet()
        page.write_string(1, 1, "七月办件明细")
        for number, cells in enumerate(table(CASES, [row(n=1), row(n=2, case_no="")])):
            page.write_row(3 + number, 1, cells)
    source = write(tmp_path, "x.xlsx", out.getvalue())
    assert run(source, "--out", tmp_path / "marked.xlsx").exit_code == 1
    assert list(marks(tmp_path / "marked.xlsx")) == ["B6"]
    data = openpyxl.load_workbook(tmp_path / "marked.xlsx")["数据"]
    assert (data["B4"].value, data["B5"].value, data["A6"].value) == ("办件编号", "case_no1", None)
    assert data["B2"].value == "〔标题行，未载入〕"


def test_damaged_and_broken_lines_keep_their_numbers(tmp_path: Path) -> None:
    rows = [row(n=n) for n in range(1, 7)]
    rows[1] |= {"item_name": "两行\n事项"}
    lines = csv_bytes(CASES, rows).decode().split("\n")
    lines[6] += ",多"  # the row of case_no5: one line further down for the quoted line break
    source = write(tmp_path, "x.csv", "\n".join(lines).encode())
    assert run(source, "--out", tmp_path / "marked.xlsx").exit_code == 1
    data = openpyxl.load_workbook(tmp_path / "marked.xlsx")["数据"]
    assert [data.cell(number, 1).value for number in (2, 3, 4, 5, 6, 8)] == [
        "case_no1", "case_no2", None, "case_no3", "case_no4", "case_no6"
    ]  # fmt: skip
    assert data["A7"].value == lines[6] and data["A7"].fill.fgColor.rgb == data["T7"].fill.fgColor.rgb == RED
    assert "21 个字段，表头有 20 个" in data["A7"].comment.text


def test_no_cell_starts_a_formula(tmp_path: Path) -> None:
    evil = ["=1+1", "+1", "-1", "@SUM(A1)", "＝1+1", ' =HYPERLINK("http://x")', "http://example.org"]
    rows = [row(n=n, item_name=text) for n, text in enumerate(evil, 1)] + [row(n=99, unit_name="=cmd|' /C calc'!A0")]
    assert run(write(tmp_path, "x.csv", csv_bytes(CASES, rows)), "--out", tmp_path / "m.xlsx").exit_code == 1
    book = openpyxl.load_workbook(tmp_path / "m.xlsx")
    for page in book:
        for line in page.iter_rows():
            for cell in line:
                assert cell.data_type in "sn" and (cell.value is None or isinstance(cell.value, str))
                assert not str(cell.value or "").lstrip().startswith(("=", "+", "-", "@", "＝"))
    assert book["数据"]["C2"].value == "'=1+1" and book["数据"]["C8"].hyperlink is None


def test_the_copy_is_for_its_owner_and_only_where_asked(tmp_path: Path) -> None:
    source = write(tmp_path, "x.csv", csv_bytes(CASES, faulty_rows()))
    assert run(source).exit_code == 1
    assert list(tmp_path.iterdir()) == [source]
    target = tmp_path / "m.xlsx"
    target.write_bytes(b"an earlier one")
    target.chmod(0o644)
    assert run(source, "--out", target).exit_code == 1
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == ["m.xlsx", "x.csv"]
    before = source.read_bytes()
    for wrong in (tmp_path / "m.csv", tmp_path / "no such folder" / "m.xlsx"):
        assert run(source, "--out", wrong).exit_code == 2
    assert run(target, "--dataset", CASES, "--out", target).exit_code == 2
    assert source.read_bytes() == before


def test_a_file_that_cannot_be_read_has_a_list_alone(tmp_path: Path) -> None:
    source = write(tmp_path, "x.csv", b"")
    assert run(source, "--dataset", CASES, "--out", tmp_path / "m.xlsx").exit_code == 2
    book = openpyxl.load_workbook(tmp_path / "m.xlsx")
    assert book.sheetnames == ["问题清单"] and book["问题清单"]["E2"].value == "文件是空的"


def test_a_large_file_is_copied_where_it_has_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_copy, "ROWS_COPIED_MOST", 50)
    result = run(write(tmp_path, "x.csv", csv_bytes(CASES, faulty_rows())), "--out", tmp_path / "m.xlsx")
    assert "副本里只有有问题的行" in result.output
    check_marks(tmp_path / "m.xlsx")
    data = openpyxl.load_workbook(tmp_path / "m.xlsx")["数据"]
    assert [data.cell(number, 1).value is not None for number in range(1, 9)] == [
        True, False, False, False, True, True, True, False
    ]  # fmt: skip


def test_twenty_thousand_rows_in_a_few_seconds(tmp_path: Path) -> None:
    rows = [row(n=n, channel="电话" if n % 100 == 0 else "窗口登记") for n in range(1, 20_001)]
    source = write(tmp_path, "x.csv", csv_bytes(CASES, rows))
    start = time.process_time()
    assert run(source).exit_code == 1
    checked = time.process_time() - start
    assert run(source, "--out", tmp_path / "m.xlsx").exit_code == 1
    copied = time.process_time() - start - checked
    # Seconds of processor time; 1 and 5 on the machine this was written on.
    assert checked < 10 and copied < 30, (checked, copied)


def test_a_county_with_other_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's own headers are named and its own cells marked, though the table is read as ours."""
    county = tmp_path / "county"
    county.mkdir()
    profile = {
        "title": "某县",
        "datasets": {
            "hotline_calls": {},
            CASES: {"columns": {"办理单位": "DEPT", "申请来源": {"header": "SRC", "codes": {"网上": "政务服务网"}}}},
        },
    }
    (county / "profile.yaml").write_text(yaml.safe_dump(profile, allow_unicode=True), "utf-8")
    monkeypatch.setenv("TONGBAO_COUNTY", str(county))
    rows = [row(n=n, channel="网上") for n in range(1, 5)]
    rows[1] |= {"unit_name": "县公安分局"}
    rows[2] |= {"channel": "电话"}
    text = csv_bytes(CASES, rows).decode().replace("办理单位", "DEPT").replace("申请来源", "SRC")
    result = run(write(tmp_path, "x.csv", text.encode()), "--out", tmp_path / "m.xlsx")
    assert result.exit_code == 1
    assert "按“办件明细”（platform_cases）检查" in result.output
    assert "“DEPT”（办理单位）列：“县公安分局”不在单位别名表" in result.output
    assert "“SRC”（申请来源）列：取值不在代码表内" in result.output
    assert list(marks(tmp_path / "m.xlsx")) == [f"{column_of('办理单位')}3", f"{column_of('申请来源')}4"]
    assert openpyxl.load_workbook(tmp_path / "m.xlsx")["数据"][f"{column_of('申请来源')}1"].value == "SRC"
