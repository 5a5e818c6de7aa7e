"""Files that are no single table under one header: refused whole, in all three formats."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from faults import material as m
from faults.judge import EXACT, QUARANTINE, REFUSE, Expect
from faults.variants import Variant, delivered
from faults.workplace import Files
from ingestion.contracts import CONTRACTS

Cells = list[list[str]]
REFUSED = frozenset({REFUSE})


def _groups(cells: Cells) -> list[str]:
    """A line of group names above the header, as in a sheet with merged heads."""
    return [f"第{n}组" if n % 2 == 0 else "" for n in range(len(cells[0]))]


def _units(cells: Cells) -> list[str]:
    return ["(文本)" for _ in cells[0]]


#: What is done to header and rows; every one must be refused.
TABLES: dict[str, Callable[[Cells], Cells]] = {
    "header_twice": lambda t: [t[0], *t],
    "header_three_times": lambda t: [t[0], t[0], *t],
    "groups_above": lambda t: [_groups(t), *t],
    "two_groups_above": lambda t: [_groups(t), _groups(t), *t],
    "no_header": lambda t: t[1:],
    "only_first_row_as_header": lambda t: t[1:2],
    "header_below": lambda t: [*t[1:], t[0]],
    "header_in_the_middle": lambda t: [*t[:20], t[0], *t[20:]],
    "same_table_again": lambda t: [*t, [""] * len(t[0]), *t],
    "same_table_again_without_gap": lambda t: [*t, *t],
    "another_table_below": lambda t: [*t, [""], ["一", "二", "三", "四"], *[["1", "2", "3", "4"]] * 30],
    "wrong_header": lambda t: [[f"列{n}" for n in range(len(t[0]))], *t[1:]],
    "english_header": lambda t: [[f"column_{n}" for n in range(len(t[0]))], *t[1:]],
    "column_twice": lambda t: [[t[0][0], *t[0][:-1]], *t[1:]],
    "header_shifted": lambda t: [["", *t[0]], *t[1:]],
    "transposed": lambda t: [list(column) for column in zip(*t, strict=True)],
    "blank_lines_only": lambda t: [[""] * len(t[0])] * 5,
    "numbers_as_header": lambda t: [[str(n) for n in range(len(t[0]))], *t[1:]],
}
#: Not wrong to read: one title, or a line of units that is set aside as a row.
LENIENT: dict[str, Callable[[Cells], Cells]] = {
    "title": lambda t: [["办件明细表"], *t],
    "two_titles": lambda t: [["办件明细表"], ["2022年7月"], *t],
    "title_and_blank": lambda t: [["办件明细表"], [""], *t],
    "total_below": lambda t: [*t, ["合计", str(len(t) - 1)]],
    "blank_below": lambda t: [*t, *[[""] * len(t[0])] * 4],
    "blank_between": lambda t: [*t[:9], [""] * len(t[0]), *t[9:]],
    "trailing_columns": lambda t: [[*row, "", ""] for row in t],
}


def variants() -> Iterator[Variant]:
    """All variants of the row."""
    for dataset in m.DATASETS:
        for kind, change in TABLES.items():
            yield from _both(dataset, kind, change, REFUSED)
        for kind, change in LENIENT.items():
            yield from _both(dataset, kind, change, frozenset({EXACT}))
        yield from _both(dataset, "units_below", lambda t: [t[0], _units(t), *t[1:]], frozenset({QUARANTINE, REFUSE}))
        yield from _bytes(dataset)
        yield from _json(dataset)


def _both(dataset: str, kind: str, change: Callable[[Cells], Cells], may: frozenset[str]) -> Iterator[Variant]:
    for delimiter, mark in ((",", "comma"), ("\t", "tab"), (";", "semicolon")):

        def as_csv(delimiter: str = delimiter) -> tuple[Files, Expect]:
            rows = m.generated(dataset)
            width = len(m.headers(dataset))
            cells = change(m.table(dataset, rows))
            # Short rows of another table stay short; a title's or total's are padded as a spreadsheet does.
            if kind != "another_table_below":
                cells = [[*row, *[""] * (width - len(row))] for row in cells]
            text = m.csv_text(cells, delimiter)
            return {"export.csv": text.encode()}, _expect(dataset, rows, may, m.lines_of(text))

        yield delivered(f"{dataset}/{mark}/{kind}", dataset, as_csv)

    def as_xlsx() -> tuple[Files, Expect]:
        rows = m.generated(dataset)
        return {"export.xlsx": m.xlsx_bytes(change(m.table(dataset, rows)))}, _expect(dataset, rows, may, None)

    yield delivered(f"{dataset}/xlsx/{kind}", dataset, as_xlsx)


def _expect(dataset: str, rows: tuple[m.Cells, ...], may: frozenset[str], lines: int | None) -> Expect:
    good = m.wanted(dataset, rows if may != REFUSED else ())
    return Expect(good, may, lines=lines, spreads=QUARANTINE in may, secrets=m.secrets(dataset))


def _bytes(dataset: str) -> Iterator[Variant]:
    """Files without a table, and quotes that are opened and never closed."""
    contents = {
        "empty": b"", "one_line_end": b"\r\n", "blank": b"   \n\n\n", "nul": b"\x00" * 4096, "mark": b"\xef\xbb\xbf",
        "commas": b",,,,\n,,,,\n", "page": b"<html><body>500</body></html>", "pdf": b"%PDF-1.7\n" + b"x" * 400,
        "noise": bytes(m.rng(dataset).randrange(256) for _ in range(4096)), "json": b'{"rows": []}',
        "png": b"\x89PNG\r\n\x1a\n",
    }  # fmt: skip
    for kind, content in contents.items():
        for form in ("csv", "json", "xlsx"):
            if form == "json" and kind == "json":
                continue
            yield delivered(
                f"{dataset}/{form}/{kind}", dataset,
                lambda c=content, f=form: ({f"export.{f}": c}, Expect(may=REFUSED)),  # type: ignore[misc]
            )  # fmt: skip
    for column in range(0, len(m.headers(dataset)), 3):

        def unclosed(column: int = column) -> tuple[Files, Expect]:
            lines = m.csv_text(m.table(dataset, m.generated(dataset)), ",", "\n").splitlines()
            cells = lines[1].split(",")
            cells[column] = '"' + cells[column]
            lines[1] = ",".join(cells)
            return {"export.csv": "\n".join(lines).encode()}, Expect(
                m.wanted(dataset, m.generated(dataset)[1:]), frozenset({REFUSE, QUARANTINE}), spreads=True,
                secrets=m.secrets(dataset),
            )  # fmt: skip

        yield delivered(f"{dataset}/csv/unclosed/column{column}", dataset, unclosed)


def _json(dataset: str) -> Iterator[Variant]:
    """Page objects that contradict themselves or the delivery."""
    first = m.headers(dataset)[0]
    rows = m.generated(dataset)

    def text(**changes: Any) -> str:
        return json.dumps(
            {key: value for key, value in (m.page(dataset, rows) | changes).items() if value is not ...},
            ensure_ascii=False,
        )

    other = next(name for name in CONTRACTS if name != dataset)
    refused: dict[str, Callable[[], str]] = {
        "period_of_another_month": lambda: text(period="2022-06"),
        "period_as_number": lambda: text(period=202207),
        "period_is_no_month": lambda: text(period="七月"),
        "period_of_a_year": lambda: text(period="2022"),
        "another_dataset": lambda: text(dataset=other),
        "dataset_as_list": lambda: text(dataset=[dataset]),
        "rows_missing": lambda: text(rows=...),
        "rows_null": lambda: text(rows=None),
        "rows_object": lambda: text(rows={"1": rows[0]}),
        "rows_of_lists": lambda: text(rows=[list(row.values()) for row in rows]),
        "a_row_null": lambda: text(rows=[*rows[:5], None, *rows[6:]]),
        "a_cell_list": lambda: text(rows=[rows[0] | {first: ["x"]}, *rows[1:]]),
        "a_cell_object": lambda: text(rows=[*rows[:-1], rows[-1] | {first: {"v": 1}}]),
        "rows_without_key_column": lambda: text(rows=[{k: v for k, v in row.items() if k != first} for row in rows]),
        "rows_twice": lambda: text()[:-1] + ', "rows": []}',
        "a_bare_list": lambda: json.dumps(rows, ensure_ascii=False),
        "a_string": lambda: '"rows"',
        "two_objects": lambda: text() * 2,
        "lines": lambda: "\n".join(json.dumps(row, ensure_ascii=False) for row in rows),
        "comma_too_many": lambda: text()[:-2] + ",]}",
        "half_surrogate": lambda: text().replace(rows[0][first], "\\ud800", 1),
        "control_character": lambda: text().replace(rows[0][first], "a\x01b", 1),
        "deep": lambda: '{"rows": ' + "[" * 50_000,
        "login_page": lambda: "<!DOCTYPE html><html>登录</html>",
        "error_object": lambda: '{"error": "系统繁忙"}',
        "bad_bytes": lambda: text() + "\udcff",
    }
    for kind, make in refused.items():
        yield delivered(
            f"{dataset}/json/{kind}", dataset,
            lambda make=make: (  # type: ignore[misc]
                {"export.json": make().encode("utf-8", "surrogateescape")},
                Expect(may=REFUSED, secrets=m.secrets(dataset)),
            ),
        )  # fmt: skip
    shuffled = [dict(sorted(row.items(), key=lambda item: m.rng(item[0], n).random())) for n, row in enumerate(rows)]
    sparse = [{name: cell for name, cell in row.items() if cell} for row in rows]
    exact: dict[str, Callable[[], bytes]] = {
        "plain": lambda: text().encode(),
        "keys_shuffled": lambda: text(rows=shuffled).encode(),
        "empty_cells_left_out": lambda: text(rows=sparse).encode(),
        "null_cells": lambda: text(rows=[{k: v or None for k, v in row.items()} for row in rows]).encode(),
        "escaped": lambda: json.dumps(m.page(dataset, rows)).encode(),
        "indented": lambda: json.dumps(m.page(dataset, rows), indent=4, ensure_ascii=False).encode(),
        "rows_first": lambda: json.dumps(dict(reversed(m.page(dataset, rows).items()))).encode(),
        "mark": lambda: b"\xef\xbb\xbf" + text().encode(),
        "utf16": lambda: text().encode("utf-16"),
        "gb18030": lambda: text().encode("gb18030"),
    }
    for kind, content in exact.items():
        # JSON is UTF-8: another encoding may be refused.
        may = frozenset({EXACT, REFUSE}) if kind in ("utf16", "gb18030") else frozenset({EXACT})
        yield delivered(
            f"{dataset}/json/{kind}", dataset,
            lambda content=content, may=may: (  # type: ignore[misc]
                {"export.json": content()}, Expect(m.wanted(dataset, rows), may, secrets=m.secrets(dataset))
            ),
        )  # fmt: skip
