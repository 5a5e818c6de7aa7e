"""Workbooks as Excel and others write them, and those that cannot be read at all."""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import xlsxwriter

from faults import material as m
from faults.judge import EXACT, QUARANTINE, REFUSE, Expect
from faults.variants import Variant, delivered, every
from faults.workplace import Files

DATASETS = ("cms_posts", "hotline_tickets", "platform_cases")
SHEET = "xl/worksheets/sheet1.xml"
ONLY_EXACT, EITHER, REFUSED = frozenset({EXACT}), frozenset({EXACT, REFUSE}), frozenset({REFUSE})


def rewritten(content: bytes, part: str, change: Callable[[str], str]) -> bytes:
    """The workbook with one part changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            text = source.read(name).decode()
            changed = change(text) if name == part else text
            if name == part and changed == text:
                raise AssertionError(f"{part}: the change changed nothing")
            target.writestr(name, changed)
    return out.getvalue()


def book(build: Callable[[Any], object], **options: Any) -> bytes:
    """What ``build`` makes of an empty workbook."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, **options}) as made:
        build(made)
    return out.getvalue()


def plain(dataset: str, **options: Any) -> bytes:
    """The good rows as a workbook of text cells."""
    return m.xlsx_bytes(m.table(dataset, m.generated(dataset)), **options)


def dated(dataset: str, **options: Any) -> bytes:
    """The good rows with their moments as Excel's dates and their integers as numbers."""
    cells: list[list[Any]] = [list(row) for row in m.table(dataset, m.generated(dataset))]
    for row in cells[1:]:
        for position, text in enumerate(row):
            if re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", text) and not text.endswith("00:00:00"):
                row[position] = dt.datetime.fromisoformat(text)
            elif re.fullmatch(r"[1-9]\d{0,3}", text):
                row[position] = int(text)
    return m.xlsx_bytes(cells, **options)


def _dimension(ref: str) -> Callable[[str], bytes]:
    tag = f'<dimension ref="{ref}"/>' if ref else ""
    return lambda dataset: rewritten(plain(dataset), SHEET, lambda text: re.sub(r"<dimension [^>]*/>", tag, text))


def _sheets(*before: str) -> Callable[[str], bytes]:
    """Other sheets before the table's: ``hidden``, ``very_hidden`` or ``empty`` and visible."""

    def make(dataset: str) -> bytes:
        def build(made: Any) -> None:
            for number, kind in enumerate(before):
                sheet = made.add_worksheet(f"s{number}")
                sheet.write_row(0, 0, ["旧表", "x"])
                if kind != "visible":
                    getattr(sheet, kind)()
            sheet = made.add_worksheet("现行")
            m.fill(sheet, m.table(dataset, m.generated(dataset)), made)
            sheet.activate()

        return book(build)

    return make


def _changed(change: Callable[[Any, Any], object], top: int = 0) -> Callable[[str], bytes]:
    """The table with something done to its sheet."""

    def make(dataset: str) -> bytes:
        def build(made: Any) -> None:
            sheet = made.add_worksheet()
            m.fill(sheet, m.table(dataset, m.generated(dataset)), made, top)
            change(made, sheet)

        return book(build)

    return make


def _row_numbers_left_out(dataset: str) -> bytes:
    return rewritten(plain(dataset), SHEET, lambda text: re.sub(r'<row r="\d+"', "<row", text))


def _cell_names_left_out(dataset: str) -> bytes:
    """Cells without names stand one after another: right only where none was left out."""
    cells = [[cell or " " for cell in row] for row in m.table(dataset, m.generated(dataset))]
    return rewritten(m.xlsx_bytes(cells), SHEET, lambda text: re.sub(r'<c r="[A-Z]+\d+"', "<c", text))


LAYOUTS: dict[str, tuple[Callable[[str], bytes], frozenset[str]]] = {
    "plain": (plain, ONLY_EXACT),
    "dates_and_numbers": (dated, ONLY_EXACT),
    "dates_1904": (lambda d: dated(d, date_1904=True), ONLY_EXACT),
    "inline_strings": (lambda d: plain(d, constant_memory=True), ONLY_EXACT),
    **{f"dimension_{ref.replace(':', '_') or 'none'}": (_dimension(ref), EITHER)
       for ref in ("A1", "A1:B2", "A1:XFD1048576", "C5:D9", "", "A1:A61", "ZZZ1:A0")},
    "rows_hidden": (_changed(lambda _, s: [s.set_row(n, None, None, {"hidden": True}) for n in (3, 4, 40)]),
                    ONLY_EXACT),
    "columns_hidden": (_changed(lambda _, s: s.set_column(2, 4, None, None, {"hidden": True})), ONLY_EXACT),
    "filtered": (_changed(lambda _, s: s.autofilter(0, 0, 60, 5)), ONLY_EXACT),
    "frozen": (_changed(lambda _, s: s.freeze_panes(1, 1)), ONLY_EXACT),
    "comment": (_changed(lambda _, s: s.write_comment(3, 3, "核对")), ONLY_EXACT),
    "title_merged": (_changed(lambda _, s: s.merge_range(0, 0, 0, 6, "明细表"), 1), ONLY_EXACT),
    "two_titles_merged": (_changed(lambda _, s: [s.merge_range(r, 0, r, 6, "明细表") for r in (0, 1)], 2), ONLY_EXACT),
    "rows_below_the_top": (_changed(lambda *_: None, 4), ONLY_EXACT),
    "hidden_first": (_sheets("hide"), ONLY_EXACT),
    "very_hidden_first": (_sheets("very_hidden"), ONLY_EXACT),
    "three_hidden_first": (_sheets("hide", "very_hidden", "hide"), ONLY_EXACT),
    "another_visible_first": (_sheets("visible"), REFUSED),
    "rows_merged": (_changed(lambda _, s: s.merge_range(4, 1, 7, 1, "合并")), REFUSED),
    "columns_merged": (_changed(lambda _, s: s.merge_range(9, 1, 9, 3, "合并")), REFUSED),
    "formula_without_value": (_changed(lambda _, s: s.write_formula(5, 1, "=A1&A2", None, "")), REFUSED | {QUARANTINE}),
    "row_numbers_left_out": (_row_numbers_left_out, EITHER),
    "cell_names_left_out": (_cell_names_left_out, EITHER),
    "no_rows": (lambda d: m.xlsx_bytes([m.headers(d)]), ONLY_EXACT),
    "no_cells": (lambda d: book(lambda made: made.add_worksheet()), REFUSED),
    "only_a_chart": (lambda d: book(lambda made: (made.add_worksheet("x"), made.add_chartsheet("y"))), REFUSED),
}  # fmt: skip


def layouts() -> Iterator[Variant]:
    """All variants of the row *layout*."""
    for dataset in DATASETS:
        for kind, (build, may) in LAYOUTS.items():

            def make(
                dataset: str = dataset, kind: str = kind, build: Any = build, may: frozenset[str] = may
            ) -> tuple[Files, Expect]:
                rows = () if EXACT not in may or kind == "no_rows" else m.generated(dataset)
                if QUARANTINE in may:
                    rows = tuple(row for n, row in enumerate(m.generated(dataset)) if n != 4)
                return {"export.xlsx": build(dataset)}, Expect(
                    m.wanted(dataset, rows), may, spreads=QUARANTINE in may, secrets=m.secrets(dataset)
                )

            yield delivered(f"{dataset}/{kind}", dataset, make)
        yield from _formulas(dataset)


def _formulas(dataset: str) -> Iterator[Variant]:
    """Formulas with the value that Excel stored, and cells that hold an error."""
    names = m.headers(dataset)
    for column in range(0, len(names), 2):

        def stored(column: int = column) -> tuple[Files, Expect]:
            rows = m.generated(dataset)
            value = rows[5][names[column]] or None
            build = _changed(lambda _, s: s.write_formula(6, column, '=A1&""', None, value) if value else None)
            return {"export.xlsx": build(dataset)}, Expect(
                m.wanted(dataset, rows), ONLY_EXACT, secrets=m.secrets(dataset)
            )

        def error(column: int = column) -> tuple[Files, Expect]:
            rows = m.generated(dataset)
            build = _changed(lambda _, s: s.write_formula(6, column, "=1/0", None, "#DIV/0!"))
            return {"export.xlsx": build(dataset)}, Expect(
                m.wanted(dataset, [*rows[:5], *rows[6:]]), frozenset({QUARANTINE, REFUSE}), damaged=frozenset({7}),
                secrets=m.secrets(dataset),
            )  # fmt: skip

        yield delivered(f"{dataset}/formula_stored/column{column}", dataset, stored)
        yield delivered(f"{dataset}/error_value/column{column}", dataset, error)


# -- those that cannot be read -----------------------------------------------------------------------------------------

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def _with_part(dataset: str, name: str, content: bytes = b"x") -> bytes:
    out = io.BytesIO(plain(dataset))
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(name, content)
    return out.getvalue()


def _encrypted_zip(dataset: str) -> bytes:
    """The encryption flag of every entry set, in its local header and in the directory."""
    content = bytearray(plain(dataset))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + offset] |= 1
            at = content.find(mark, at + 4)
    return bytes(content)


def unreadable() -> Iterator[Variant]:
    """All variants of the row *unreadable workbooks*."""
    html = "<html><table><tr><td>{}</td></tr></table></html>"
    for dataset in DATASETS:
        contents: dict[str, Callable[[], tuple[str, bytes]]] = {
            "encrypted_ole": lambda: ("a.xlsx", OLE + "EncryptedPackage".encode("utf-16-le") + bytes(4096)),
            "encrypted_zip": lambda d=dataset: ("a.xlsx", _encrypted_zip(d)),  # type: ignore[misc]
            "old_xls": lambda: ("a.xls", OLE + bytes(4096)),
            "old_xls_named_xlsx": lambda: ("a.xlsx", OLE + bytes(4096)),
            "macros": lambda d=dataset: ("a.xlsx", _with_part(d, "xl/vbaProject.bin")),  # type: ignore[misc]
            "macros_other_case": lambda d=dataset: ("a.xlsx", _with_part(d, "xl/VBAPROJECT.BIN")),  # type: ignore[misc]
            "macro_sheet": lambda d=dataset: ("a.xlsx", _with_part(d, "xl/macrosheets/sheet1.xml")),  # type: ignore[misc]
            "named_xlsm": lambda d=dataset: ("a.xlsm", plain(d)),  # type: ignore[misc]
            "named_xlsb": lambda d=dataset: ("a.xlsb", plain(d)),  # type: ignore[misc]
            "named_ods": lambda d=dataset: ("a.ods", plain(d)),  # type: ignore[misc]
            "named_csv": lambda d=dataset: ("a.csv", plain(d)),  # type: ignore[misc]
            "named_json": lambda d=dataset: ("a.json", plain(d)),  # type: ignore[misc]
            "csv_named_xlsx": lambda d=dataset: ("a.xlsx", m.csv_bytes(d, m.generated(d))),  # type: ignore[misc]
            "json_named_xlsx": lambda d=dataset: ("a.xlsx", m.json_bytes(d, m.generated(d))),  # type: ignore[misc]
            "part_twice": lambda d=dataset: ("a.xlsx", _with_part(d, "xl/WORKBOOK.xml", b"<x/>")),  # type: ignore[misc]
        }
        for name in ("a.xls", "a.xlsx", "a.csv", "a.json"):
            for mark in ("", "\ufeff", " \r\n", "<?xml version='1.0'?>", "<!DOCTYPE html>", "<meta charset='gb2312'>"):
                contents[f"html/{name}/{mark.strip()[:9]!r}"] = lambda n=name, t=mark: (n, (t + html).encode())  # type: ignore[misc]
        for kind, content in contents.items():

            def make(content: Any = content, dataset: str = dataset) -> tuple[Files, Expect]:
                name, data = content()
                return {name: data}, Expect(may=REFUSED, secrets=m.secrets(dataset))

            yield delivered(f"{dataset}/{kind}", dataset, make)
        for share in every(range(1000), 40):

            def cut(share: int = share, dataset: str = dataset) -> tuple[Files, Expect]:
                whole = dated(dataset)
                return {"a.xlsx": whole[: len(whole) * share // 1000]}, Expect(may=REFUSED, secrets=m.secrets(dataset))

            yield delivered(f"{dataset}/cut/{share}", dataset, cut)
