"""XLSX: what Excel and others write is read exactly; hostile and damaged workbooks are refused, fast and small."""

from __future__ import annotations

import datetime as dt
import io
import random
import re
import resource
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter

from ingestion.errors import DeliveryRefused
from ingestion.home import PROJECT
from ingestion.readers import open_table
from tests.readers.helpers import Read, contract_for, read_bytes

HEADERS = ["信息编号", "标题", "发布时间", "字数", "状态"]
SAMPLE = contract_for(HEADERS, optional=("标题", "发布时间", "字数"))


def wall(*parts: int) -> dt.datetime:
    """A wall-clock time, as a spreadsheet holds it."""
    return dt.datetime(*parts)  # type: ignore[arg-type, misc]  # noqa: DTZ001 - cells know no time zone


Build = Callable[[xlsxwriter.Workbook], None]


def workbook(build: Build, **options: object) -> bytes:
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True, **options})
    build(book)
    book.close()
    return out.getvalue()


def table(rows: list[list[object]], **options: object) -> bytes:
    """A workbook with the header and these rows; dates are formatted as such."""

    def build(book: xlsxwriter.Workbook) -> None:
        sheet = book.add_worksheet()
        moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        for number, row in enumerate([HEADERS, *rows]):
            for column, value in enumerate(row):
                if isinstance(value, dt.date):
                    sheet.write_datetime(number, column, value, moment)
                elif value is not None:
                    sheet.write(number, column, value)

    return workbook(build, **options)


def rewritten(content: bytes, part: str, change: Callable[[str], str]) -> bytes:
    """The workbook with one part changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            text = source.read(name).decode()
            if name == part:
                changed = change(text)
                assert changed != text, "the change changed nothing"
                text = changed
            target.writestr(name, text)
    return out.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
ROWS: list[list[object]] = [
    ["P1", "标题一", wall(2022, 7, 1, 8, 30), 12, "t"],
    ["P2", "标题二", wall(2022, 7, 2), 12.5, "t"],
]
SHOWN = [("P1", "标题一", "2022-07-01 08:30:00", "12", "t"), ("P2", "标题二", "2022-07-02", "12.5", "t")]


def sample(folder: Path, content: bytes) -> Read:
    return read_bytes(folder, "信息.xlsx", content, SAMPLE)


def test_values(tmp_path: Path) -> None:
    rows = [*ROWS, ["P3", True, wall(2022, 7, 1, 23, 59, 59, 700_000), 6.527011990010112e17, "t"]]
    rows += [["P4", False, wall(2022, 7, 1, 8, 30, 29, 600_000), 1e15, "t"], [5.0, "=", None, -3, " Ｔ "]]
    got = sample(tmp_path, table(rows, strings_to_formulas=False))
    assert got.rows == [
        *SHOWN,
        ("P3", "是", "2022-07-02", "6.527011990010112E+17", "t"),
        ("P4", "否", "2022-07-01 08:30:30", "1E+15", "t"),
        ("5", "=", None, "-3", "T"),
    ]
    assert got.numbers == [2, 3, 4, 5, 6]


def test_1904_dates(tmp_path: Path) -> None:
    assert sample(tmp_path, table(ROWS, date_1904=True)).rows == SHOWN


def test_lying_dimension_hidden_rows_and_sheets(tmp_path: Path) -> None:
    content = rewritten(
        table(ROWS), SHEET, lambda text: re.sub(r'<dimension ref="[^"]+"', '<dimension ref="A1:B2"', text)
    )
    assert sample(tmp_path, content).rows == SHOWN

    def build(book: xlsxwriter.Workbook) -> None:
        book.add_worksheet("旧").hide()
        book.add_worksheet("很旧").very_hidden()
        sheet = book.add_worksheet("现行")
        for number, row in enumerate([HEADERS, ["P1", None, None, None, "t"], ["P2", None, None, None, "t"]]):
            sheet.write_row(number, 0, row)
        sheet.set_row(2, None, None, {"hidden": True})
        sheet.activate()

    assert [row[0] for row in sample(tmp_path, workbook(build)).rows] == ["P1", "P2"]


def test_title_total_blank_rows_and_offset(tmp_path: Path) -> None:
    def build(book: xlsxwriter.Workbook) -> None:
        sheet = book.add_worksheet()
        sheet.merge_range("B2:F2", "网站信息发布情况")
        sheet.write_row(2, 1, HEADERS)
        sheet.write_row(3, 1, ["P1", "一", "", "", "t"])
        sheet.write_row(5, 1, ["P2", "二", "", "", "t"])
        sheet.write_row(7, 1, ["合计", "", "", 2])

    got = sample(tmp_path, workbook(build))
    assert [(row[0], number) for row, number in zip(got.rows, got.numbers, strict=True)] == [("P1", 4), ("P2", 6)]
    assert (got.rows_in, got.rows_other) == (2, 6)
    assert [(finding.kind, finding.row) for finding in got.findings] == [("title_line", 2), ("total_line", 8)]


def test_text_is_exact(tmp_path: Path) -> None:
    text = "一\n二\r三\t<&>\"' 😀\u200b_x0041_ e\u0301"
    contract = contract_for(HEADERS, optional=tuple(HEADERS[1:4]), text=("标题",))
    for options in ({}, {"constant_memory": True}):
        content = table([["P1", text, None, None, "t"]], **options)
        got = read_bytes(tmp_path, "信息.xlsx", content, contract)
        assert got.rows == [("P1", text, None, None, "t")]


def test_formulas(tmp_path: Path) -> None:
    def stored(book: xlsxwriter.Workbook) -> None:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADERS)
        sheet.write_row(1, 0, ["P1", "一", "", "", "t"])
        sheet.write_formula(1, 3, "=6*7", None, 42)

    assert sample(tmp_path, workbook(stored)).rows == [("P1", "一", None, "42", "t")]

    book = openpyxl.Workbook()
    book.active.append(HEADERS)
    book.active.append(["P1", "一", None, "=6*7", "t"])
    out = io.BytesIO()
    book.save(out)
    with pytest.raises(DeliveryRefused, match="row 2, column 字数"):
        sample(tmp_path, out.getvalue())


def test_a_formula_without_value_in_a_column_that_is_kept_out_or_a_total(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append([*HEADERS, "备注"])
    book.active.append(["P1", "一", None, 3, "t", "=D2"])
    book.active.append(["合计", None, None, "=SUM(D2:D2)"])
    out = io.BytesIO()
    book.save(out)
    got = sample(tmp_path, out.getvalue())
    assert got.rows == [("P1", "一", None, "3", "t")]


def test_error_values_are_set_aside(tmp_path: Path) -> None:
    def build(book: xlsxwriter.Workbook) -> None:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADERS)
        for number in (1, 2, 3):
            sheet.write_row(number, 0, [f"P{number}", "一", "", number, "t"])
        sheet.write_formula(2, 1, "=1/0", None, "#DIV/0!")

    got = sample(tmp_path, workbook(build))
    assert [row[0] for row in got.rows] == ["P1", "P3"]
    assert [(bad.row, bad.header) for bad in got.bad] == [(3, "标题")]


def merged(book: xlsxwriter.Workbook) -> None:
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, HEADERS)
    sheet.write_row(1, 0, ["P1", "一", "", 1, "t"])
    sheet.write_row(2, 0, ["P2", "一", "", 2, "t"])
    sheet.merge_range("B2:B3", "一")


def two_tables(book: xlsxwriter.Workbook) -> None:
    sheet = book.add_worksheet()
    for number, row in enumerate([HEADERS, ["P1", "一", "", 1, "t"], [], HEADERS, ["P2", "一", "", 1, "t"]]):
        sheet.write_row(number, 0, row)


def macros(content: bytes) -> bytes:
    out = io.BytesIO(content)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"\xd0\xcf\x11\xe0")
    return out.getvalue()


def bomb(size: int) -> bytes:
    """A small workbook whose sheet unpacks to ``size`` bytes of cells."""
    row = "<row>" + "<c><v>1</v></c>" * 1000 + "</row>"
    return rewritten(
        table(ROWS), SHEET, lambda text: text.replace("</sheetData>", row * (size // len(row)) + "</sheetData>")
    )


ENTITIES = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
)
XXE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


def with_doctype(part: str, doctype: str) -> bytes:
    return rewritten(table(ROWS), part, lambda text: text.replace("?>", "?>" + doctype, 1).replace("标题一", "&a;"))


def far_cell(text: str) -> str:
    return text.replace("</sheetData>", '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>')


def hidden(content: bytes) -> bytes:
    return rewritten(content, "xl/workbook.xml", lambda text: text.replace("<sheet ", '<sheet state="hidden" '))


HOSTILE = {
    "merged cells among the rows": (lambda: workbook(merged), "merged cells in row 2"),
    "two tables": (lambda: workbook(two_tables), "second header in row 4"),
    "macros": (lambda: macros(table(ROWS)), "macros"),
    "html": (lambda: b"<html><table><tr><td>1</td></tr></table></html>", "web page"),
    "csv": (lambda: ",".join(HEADERS).encode(), "not an XLSX"),
    "old or encrypted": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2000, "encrypted or old"),
    "no sheet": (lambda: hidden(table(ROWS)), "no visible"),
    "empty sheet": (lambda: workbook(lambda book: book.add_worksheet() and None), "empty"),
    "other zip": (lambda: zip_of("a.txt", b"x"), "not an XLSX"),
    "bomb of 100 MB": (lambda: bomb(100 << 20), "far more"),
    "entity bomb in the sheet": (lambda: with_doctype(SHEET, ENTITIES), "document type"),
    "entity bomb in the strings": (lambda: with_doctype("xl/sharedStrings.xml", ENTITIES), "document type"),
    "external entity": (lambda: with_doctype("xl/sharedStrings.xml", XXE), "document type"),
    "external entity in the book": (lambda: with_doctype("xl/workbook.xml", XXE), "document type"),
    "a cell at the far corner": (lambda: rewritten(table(ROWS), SHEET, far_cell), "limits"),
}  # fmt: skip


def zip_of(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize("case", HOSTILE)
def test_refused_fast_and_small(tmp_path: Path, case: str) -> None:
    build, why = HOSTILE[case]
    content = build()
    used = _children()
    started = time.process_time()
    with pytest.raises(DeliveryRefused) as refusal:
        sample(tmp_path, content)
    assert why in str(refusal.value)
    assert "信息.xlsx" in str(refusal.value)
    assert time.process_time() - started + _children() - used < 5
    assert _peak_mib(tmp_path, content) < 512


def test_the_largest_unpacked_size_that_is_not_refused_stays_small(tmp_path: Path) -> None:
    used = _children()
    got = sample(tmp_path, bomb(30 << 20))
    assert got.rows[:2] == SHOWN
    assert got.bad == []
    assert "value_without_header" in {finding.kind for finding in got.findings}
    assert _children() - used < 5
    assert _peak_mib(tmp_path, bomb(30 << 20)) < 512


#: A fresh process, because a child's peak counts what its parent held when it forked: here, every test before this one.
PEAK = """
import pathlib, resource, sys
from ingestion.errors import DeliveryRefused
from tests.readers.test_workbook import sample
try:
    sample(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).read_bytes())
except DeliveryRefused:
    pass
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10)
"""


def _peak_mib(folder: Path, content: bytes) -> int:
    """Peak memory of the largest child that reading the content starts, in MiB."""
    file = folder / "content"
    file.write_bytes(content)
    command = [sys.executable, "-c", PEAK, str(folder), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT)
    return int(done.stdout)


def _child_ids() -> set[str]:
    """Processes that this one started and that have not ended."""
    tasks = Path("/proc/self/task").iterdir()
    return {child for task in tasks for child in (task / "children").read_text().split()}


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_truncated_and_fuzzed_are_exact_or_refused(tmp_path: Path) -> None:
    """Cut anywhere or with bytes changed anywhere: the same table, or a refusal."""
    content = table(ROWS)
    chance = random.Random(7)
    variants = [content[: len(content) * share // 16] for share in range(1, 16)]
    for _ in range(25):
        changed = bytearray(content)
        for _ in range(chance.choice([1, 3])):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        variants.append(bytes(changed))
    outcomes = {"exact": 0, "refused": 0}
    for variant in variants:
        try:
            got = sample(tmp_path, variant)
        except DeliveryRefused:
            outcomes["refused"] += 1
        else:
            outcomes["exact"] += 1
            assert got.rows == SHOWN
    assert outcomes["refused"] >= 15


def test_no_child_is_left(tmp_path: Path) -> None:
    """Neither when the reader is left early nor when it refuses."""
    path = tmp_path / "a"
    path.write_bytes(table([[f"P{n}", "一", None, n, "t"] for n in range(40_000)]))
    before = _child_ids()
    with open_table(path, "a.xlsx", SAMPLE) as reader:
        next(reader.batches())
    other = contract_for(["甲", "乙"])
    with pytest.raises(DeliveryRefused):
        open_table(path, "a.xlsx", other)
    assert _child_ids() <= before
