"""The marked copy (检查结果) of an export file: an XLSX with what to mend listed first and the bad cells marked.

Sheet 问题清单 lists every problem with a link to its cell; sheet 数据 holds the rows of the file, each in the sheet row
of its own number (line of a CSV, row of a sheet; JSON records start below a header), bad cells filled and commented.
Every cell is a text and none can start a formula. The copy holds what the file holds, personal data included.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import xlsxwriter
from xlsxwriter.utility import xl_rowcol_to_cell

from ingestion.check import Problem, Report, Table
from ingestion.check_text import place
from ingestion.durable import put
from ingestion.errors import BadParameter

LIST_SHEET, DATA_SHEET = "问题清单", "数据"

#: Of larger files only the rows with a problem are copied: the copy is for mending, not for keeping.
ROWS_COPIED_MOST = 100_000

#: What Excel allows: rows of a sheet, characters of a cell, links of a sheet. Comments are few enough to open fast.
_SHEET_ROWS, _CELL_CHARACTERS, _LINKS, _COMMENTS = 1_048_576, 32_767, 65_000, 10_000

#: As in publishing: what would make Excel read a text as a formula, also behind blanks and as full-width twins.
_FORMULA = re.compile(r"^\s*[=+\-−@\t\r\n＝＋－＠]|^[\t\r\n]")

_LIST_COLUMNS = (("序号", 6), ("级别", 8), ("位置", 22), ("列名", 16), ("问题", 60), ("怎么改", 60))
_LEVELS = {"error": "错误", "warning": "请核对"}
_OPTIONS = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}


def guarded(text: str) -> str:
    """The text as a cell may hold it: never the start of a formula, no longer than Excel allows."""
    text = "'" + text if _FORMULA.match(text) else text
    return text if len(text) <= _CELL_CHARACTERS else text[: _CELL_CHARACTERS - 4] + "……截断"


def default_target(path: Path) -> Path:
    """Where the copy lies when nothing else is said: beside the file."""
    return path.with_name(f"{path.name}.检查.xlsx")


def write_copy(report: Report, source: Path, target: Path) -> None:
    """Writes the copy, whole or not at all, readable by its owner alone (mode 0600).

    ``report`` was made with ``keep_rows``. Raises BadParameter where the target is the checked file itself or no .xlsx.
    """
    if target.suffix.lower() != ".xlsx":
        raise BadParameter(f"--out {target.name}：请以 .xlsx 结尾（the copy is an XLSX）")
    if target.exists() and target.samefile(source):
        raise BadParameter("--out 指向了被检查的文件本身，请换一个名字（the copy would replace the file）")
    if not target.parent.is_dir():
        raise BadParameter(f"--out：没有文件夹 {target.parent.name}（no such folder）")
    # What the workbook writer keeps on disk meanwhile lies in the same folder and is gone with it.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".check-") as folder:
        made = Path(folder) / "copy.xlsx"
        os.close(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with xlsxwriter.Workbook(str(made), {**_OPTIONS, "constant_memory": True, "tmpdir": folder}) as book:
            _Copy(book, report).write()
        put(made, target)


class _Copy:
    def __init__(self, book: Any, report: Report) -> None:
        self._report, self._table = report, report.table
        self._list = book.add_worksheet(LIST_SHEET)
        self._data: Any = book.add_worksheet(DATA_SHEET) if report.table.cells else None
        text = {"num_format": "@", "valign": "top"}
        self._plain = book.add_format(text)
        self._wrapped = book.add_format(text | {"text_wrap": True})
        self._head = book.add_format(text | {"bold": True, "bg_color": "#D9E1F2", "border": 1})
        self._quiet = book.add_format(text | {"italic": True, "font_color": "#808080"})
        self._link = book.add_format(text | {"font_color": "#0563C1", "underline": 1})
        self._marked = {
            "error": book.add_format(text | {"bg_color": "#FFC7CE", "font_color": "#9C0006"}),
            "warning": book.add_format(text | {"bg_color": "#FFEB9C", "font_color": "#7F6000"}),
        }

    def write(self) -> None:
        marks: dict[int, dict[int, list[Problem]]] = defaultdict(lambda: defaultdict(list))
        for problem in self._report.problems:
            if problem.row is not None and self._data is not None:
                marks[problem.row][self._column(problem)].append(problem)
        written = self._write_data(marks) if self._data is not None else set()
        self._write_list(written)

    def _column(self, problem: Problem) -> int:
        return self._table.first_column + self._table.positions.get(problem.header or "", 0)

    def _sheet_row(self, row: int) -> int:
        """Row of the sheet (from 0): a JSON record's number counts from below the header."""
        return row if self._table.header_row == 0 else row - 1

    # -- 问题清单 ----------------------------------------------------------------------------------------------

    def _write_list(self, written: set[int]) -> None:
        sheet = self._list
        for column, (name, width) in enumerate(_LIST_COLUMNS):
            sheet.set_column(column, column, width)
            sheet.write_string(0, column, name, self._head)
        sheet.freeze_panes(1, 0)
        for number, problem in enumerate(self._report.problems[: _SHEET_ROWS - 1], 1):
            sheet.write_string(number, 0, str(number), self._plain)
            sheet.write_string(number, 1, _LEVELS[problem.level], self._marked[problem.level])
            where = place(self._report, problem)
            if problem.row in written and number <= _LINKS:
                cell = xl_rowcol_to_cell(self._sheet_row(problem.row or 0), self._column(problem))
                sheet.write_url(number, 2, f"internal:'{DATA_SHEET}'!{cell}", self._link, string=where)
            else:
                sheet.write_string(number, 2, where, self._plain)
            texts = (problem.header or "", _full_text(problem), problem.remedy)
            for column, text in enumerate(texts, 3):
                sheet.write_string(number, column, guarded(text), self._wrapped)
        count = len(self._report.problems)
        sheet.autofilter(0, 0, max(1, min(count, _SHEET_ROWS - 1)), len(_LIST_COLUMNS) - 1)
        if not count:
            sheet.write_string(1, 4, "没有发现问题", self._plain)

    # -- 数据 --------------------------------------------------------------------------------------------------

    def _write_data(self, marks: dict[int, dict[int, list[Problem]]]) -> set[int]:
        """Writes the rows in the order of their numbers; returns the numbers of those that are in the sheet."""
        sheet, table = self._data, self._table
        first, width = table.first_column, len(table.cells)
        sheet.set_column(first, first + max(width - 1, 0), 18)
        few = None if self._report.rows_in <= ROWS_COPIED_MOST else set(marks)
        written: set[int] = set()
        comments = 0
        head_done = False
        for row, cells in _rows(table, few):
            at = self._sheet_row(row)
            if at >= _SHEET_ROWS:
                break
            if not head_done and row > table.header_row:
                self._write_head()
                head_done = True
            if row in table.skipped:
                sheet.write_string(at, first, f"〔{table.skipped[row]}〕", self._quiet)
                continue
            found = marks.get(row, {})
            whole = next((each.level for problems in found.values() for each in problems if not each.header), None)
            for position, text in enumerate(cells):
                column = first + position
                problems = found.get(column)
                level = min(each.level for each in problems) if problems else whole
                form = self._marked[level] if level else self._plain
                if text:
                    sheet.write_string(at, column, guarded(text), form)
                elif level:
                    sheet.write_blank(at, column, None, form)
                if problems and comments < _COMMENTS:
                    sheet.write_comment(at, column, _comment(problems), {"x_scale": 2, "y_scale": 1.5})
                    comments += 1
            written.add(row)
        if not head_done:
            self._write_head()
        if table.header_row:
            sheet.freeze_panes(table.header_row, 0)
        else:
            sheet.freeze_panes(1, 0)
        return written

    def _write_head(self) -> None:
        at = max(self._table.header_row - 1, 0)
        for position, text in enumerate(self._table.cells):
            if text:
                self._data.write_string(at, self._table.first_column + position, guarded(text), self._head)


def _full_text(problem: Problem) -> str:
    return f"{problem.text}（{problem.shown}）" if problem.code == "duplicate_key" else problem.text


def _comment(problems: list[Problem]) -> str:
    return "\n".join(f"{_full_text(each)}。办法：{each.remedy}" for each in problems)[:_CELL_CHARACTERS]


def _rows(table: Table, few: set[int] | None) -> Iterator[tuple[int, list[str]]]:
    """Row numbers and cells in order: rows of the table, damaged ones as their text, skipped ones empty.

    ``few``: these rows alone, and what was skipped.
    """
    width = max(len(table.cells), 1)
    single = {row: [text.rstrip("\r\n")] + [""] * (width - 1) for row, text in table.damaged.items()}
    single |= {row: [""] * width for row in table.skipped}
    waiting = iter(sorted(single))
    next_single = next(waiting, None)
    last = -1
    for chunk in table.chunks:
        columns = None
        for index, row in enumerate(chunk.rows.tolist()):
            if row <= last:
                continue  # a workbook's rows with an error value come twice: as they are, and without them
            while next_single is not None and next_single <= row:
                if next_single < row:
                    yield next_single, single[next_single]
                next_single = next(waiting, None)
            last = row
            if few is None or row in few:
                columns = columns or [column.to_pylist() for column in chunk.columns]
                yield row, [column[index] or "" for column in columns]
    while next_single is not None:
        if next_single > last:
            yield next_single, single[next_single]
        next_single = next(waiting, None)
