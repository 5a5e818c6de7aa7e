"""A ranking table as an XLSX that prints: A4, a sheet per group, the header on each page, notes below."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xlsxwriter

from publishing.labels import labels

if TYPE_CHECKING:
    from publishing.tables import RankingTable

_NUMBER_FORMATS = {
    "share": "0.00%",
    "score": "0.00",
    "count": "0",
    "mean": "0.00",
    "ratio": "0.00%",
    "change": '"↑"0;"↓"0;"—"',
}
_A4 = 9
#: Widths in characters of the columns whose content is longer than their header.
_MIN_WIDTH, _MAX_WIDTH = 7, 30


def write(table: RankingTable, path: Path) -> None:
    """Writes one workbook: text cells are typed strings, numbers are numbers, its time is the release's."""
    group_column = labels()["columns"]["unit_group"]
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    options["in_memory"] = True  # a dozen temporary files take longer than a table of some dozens of rows
    with xlsxwriter.Workbook(str(path), options) as book:
        book.set_properties({"title": table.title, "created": table.released_at})
        base = {"font_name": "宋体", "font_size": 10, "valign": "vcenter"}
        cell = base | {"border": 1}
        formats = {
            "title": book.add_format(base | {"font_size": 15, "bold": True, "align": "center"}),
            "header": book.add_format(
                cell | {"bold": True, "align": "center", "text_wrap": True, "bg_color": "#E8E8E8"}
            ),
            "text": book.add_format(cell | {"text_wrap": True}),
            "note": book.add_format(base | {"font_size": 9, "text_wrap": True, "valign": "top"}),
        }
        formats |= {
            kind: book.add_format(cell | {"num_format": code, "align": "center"})
            for kind, code in _NUMBER_FORMATS.items()
        }
        groups = table.columns[group_column]
        for group in dict.fromkeys(groups):
            rows = {
                name: [cell for cell, of in zip(cells, groups, strict=True) if of == group]
                for name, cells in table.columns.items()
                if name != group_column
            }
            _sheet(book, table, group, rows, formats)


def _sheet(
    book: xlsxwriter.Workbook,
    table: RankingTable,
    group: str,
    rows: dict[str, list[Any]],
    formats: dict[str, xlsxwriter.format.Format],
) -> None:
    sheet = book.add_worksheet(group[:31])
    last, count = len(rows) - 1, len(next(iter(rows.values())))
    sheet.merge_range(0, 0, 0, last, f"{table.title}（{group}）", formats["title"])
    sheet.set_row(0, 30)
    sheet.set_row(1, 32)
    for place, (name, cells) in enumerate(rows.items()):
        sheet.write_string(1, place, name, formats["header"])
        kind = table.kinds.get(name, "text")
        for line, value in enumerate(cells, start=2):
            if value is None or value == "":
                sheet.write_blank(line, place, None, formats[kind])
            elif kind == "text":
                sheet.write_string(line, place, value, formats["text"])
            else:
                sheet.write_number(line, place, float(value), formats[kind])
        sheet.set_column(place, place, _width(name, cells if kind == "text" else ()))
    for line, note in enumerate(table.notes, start=count + 3):
        sheet.merge_range(line, 0, line, last, note, formats["note"])
        sheet.set_row(line, 26)
    sheet.set_paper(_A4)
    sheet.set_landscape()
    sheet.set_margins(left=0.5, right=0.5, top=0.6, bottom=0.6)
    sheet.fit_to_pages(1, 0)
    sheet.center_horizontally()
    sheet.repeat_rows(1)
    sheet.freeze_panes(2, 2)
    sheet.print_area(0, 0, count + 2 + len(table.notes), last)
    sheet.set_footer("&C第 &P 页，共 &N 页")


def _width(header: str, texts: Sequence[str]) -> float:
    # A header wraps onto two lines; text cells keep theirs on one as far as the page allows.
    longest = max([_columns(header) / 2 + 1, *map(_columns, texts)])
    return min(max(longest + 1, _MIN_WIDTH), _MAX_WIDTH)


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
