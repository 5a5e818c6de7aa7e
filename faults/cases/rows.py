"""Rows that break the grammar of CSV: made ones in generated and real deliveries, and the half of Pollock."""

from __future__ import annotations

import csv
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from faults import material as m
from faults.judge import EXACT, QUARANTINE, REFUSE, Expect
from faults.variants import Variant, delivered, every
from faults.workplace import Files

POLLOCK = "pollock/"

#: What is done to one line (delimiter, column): the faults of a row.
Damage = Callable[[str, str, int], str]


def _fields(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter))


def _with_field(line: str, delimiter: str, column: int, change: Callable[[str], str]) -> str:
    cells = _fields(line, delimiter)
    cells[column] = change(cells[column])
    return delimiter.join(cells)


def _one_more(line: str, delimiter: str, column: int) -> str:
    cells = _fields(line, delimiter)
    return delimiter.join([*cells[: column + 1], "", *cells[column + 1 :]])


def _one_less(line: str, delimiter: str, column: int) -> str:
    cells = _fields(line, delimiter)
    column = min(column, len(cells) - 2)
    return delimiter.join([*cells[:column], cells[column] + cells[column + 1], *cells[column + 2 :]])


def _quote_inside(line: str, delimiter: str, column: int) -> str:
    return _with_field(line, delimiter, column, lambda cell: (cell or "xy")[:1] + '"' + (cell or "xy")[1:])


def _quote_before(line: str, delimiter: str, column: int) -> str:
    return _with_field(line, delimiter, column, lambda cell: '"' + (cell or "x"))


def _quote_behind(line: str, delimiter: str, column: int) -> str:
    return _with_field(line, delimiter, column, lambda cell: (cell or "x") + '"')


def _quoted_then_text(line: str, delimiter: str, column: int) -> str:
    return _with_field(line, delimiter, column, lambda cell: f'"{cell or "x"}"y')


def _other_delimiter(line: str, delimiter: str, column: int) -> str:
    return line.replace(delimiter, ";" if delimiter != ";" else "\t")


def _cut_off(line: str, delimiter: str, column: int) -> str:
    return delimiter.join(_fields(line, delimiter)[: column + 1])


DAMAGES: dict[str, Damage] = {
    "delimiter_added": _one_more,
    "delimiter_lost": _one_less,
    "quote_inside": _quote_inside,
    "quote_before": _quote_before,
    "quote_behind": _quote_behind,
    "text_behind_quote": _quoted_then_text,
    "other_delimiter": _other_delimiter,
    "cut_off": _cut_off,
}
#: A quote before a cell may swallow what follows: neighbours, or the whole file.
_REACHES = {"quote_before"}


def damaged_lines(
    dataset: str, rows: tuple[m.Cells, ...], damage: str, places: dict[int, int], delimiter: str, quote_all: bool
) -> tuple[Files, Expect]:
    """A file of the rows with one damage at some of them: row index -> column."""
    cells = m.table(dataset, rows, list(rows[0]) if dataset.startswith("real_") else None)
    cells = [[cell.replace("\n", " ").replace('"', "") for cell in row] for row in cells]
    # Without quotes elsewhere the damage is the only one; with all quoted, the damaged row is written bare.
    lines = m.csv_text(cells, delimiter, "\n", quote_all).splitlines()
    for row, column in places.items():
        lines[row + 1] = DAMAGES[damage](lines[row + 1], delimiter, column)
    text = "\n".join(lines) + "\n"
    clean = [dict(zip(cells[0], row, strict=True)) for row in cells[1:]]
    good = [row for index, row in enumerate(clean) if index not in places]
    bad = [row for index, row in enumerate(clean) if index in places]
    # A file may be refused for it only where a quote can have swallowed the rest.
    return {"export.csv": text.encode()}, Expect(
        rows=m.wanted(dataset, good),
        may=frozenset({QUARANTINE, REFUSE} if damage in _REACHES else {QUARANTINE}),
        damaged=frozenset() if damage in _REACHES else frozenset(row + 2 for row in places),
        spreads=damage in _REACHES,
        as_they_stand=m.wanted(dataset, bad) if damage in _REACHES else Counter(),
        lines=m.lines_of(text),
        secrets=m.secrets(dataset) if dataset in m.DATASETS else frozenset(),
    )


def _made() -> Iterator[Variant]:
    for dataset in ("hotline_tickets", "platform_cases", "hotline_dispatches"):
        width = len(m.headers(dataset))
        for delimiter, mark in ((",", "comma"), ("\t", "tab"), (";", "semicolon")):
            for damage in DAMAGES:
                for column in every(range(width - 1), 3):
                    for row in (0, 59):

                        def make(d=dataset, k=damage, c=column, r=row, s=delimiter):  # type: ignore[no-untyped-def]
                            rows = m.generated(d)
                            return damaged_lines(d, rows, k, {min(r, len(rows) - 1): c}, s, False)

                        yield delivered(f"{dataset}/{mark}/{damage}/row{row}/column{column}", dataset, make)
    for damage in DAMAGES:
        for seed in range(6):

            def several(k=damage, seed=seed):  # type: ignore[no-untyped-def]
                draw = m.rng(k, seed)
                places = {draw.randrange(58): draw.randrange(15) for _ in range(3)}
                return damaged_lines("hotline_tickets", m.generated("hotline_tickets"), k, places, ",", seed % 2 == 1)

            yield delivered(f"several/{damage}/{seed}", "hotline_tickets", several)


def _real() -> Iterator[Variant]:
    for source in ("pingshan", "ottawa:Jan", "ottawa:Mar", "ottawa:Aug"):
        dataset, rows = m.real(source)
        for damage in DAMAGES:
            for place in (0, 199):
                for column in every(range(len(rows[0]) - 1), 2):

                    def make(d=dataset, s=source, k=damage, p=place, c=column):  # type: ignore[no-untyped-def]
                        return damaged_lines(d, m.real(s)[1], k, {p: c}, ",", False)

                    yield delivered(f"{source}/{damage}/row{place}/column{column}", dataset, make)


def _pairs() -> Iterator[Variant]:
    """Two stray quotes in neighbouring rows, each at the edge of a cell: together they look like one quoted cell."""
    for dataset in ("hotline_tickets", "platform_cases"):
        for column in range(1, len(m.headers(dataset)) - 1):
            for apart in (1, 2):

                def make(d=dataset, c=column, apart=apart):  # type: ignore[no-untyped-def]
                    rows = m.generated(d)
                    lines = m.csv_text(m.table(d, rows), ",", "\n").splitlines()
                    lines[11] = _quote_before(lines[11], ",", c)
                    lines[11 + apart] = _quote_behind(lines[11 + apart], ",", c)
                    text = "\n".join(lines) + "\n"
                    good = [row for index, row in enumerate(rows) if not 10 <= index <= 10 + apart]
                    between = rows[11 : 10 + apart]
                    return {"export.csv": text.encode()}, Expect(
                        rows=m.wanted(d, good), may=frozenset({QUARANTINE, REFUSE}), spreads=True,
                        as_they_stand=m.wanted(d, between), lines=m.lines_of(text), secrets=m.secrets(d),
                    )  # fmt: skip

                yield delivered(f"{dataset}/pair_of_quotes/column{column}/{apart}_apart", dataset, make)


# -- Pollock -----------------------------------------------------------------------------------------------------------

POLLOCK_HEADERS = ("DATE", "TIME", "Qty", "PRODUCTID", "Price", "ProductType", "ProductDescription", "URL", "Comments")


@cache
def pollock() -> dict[str, tuple[bytes, bytes]]:
    """Name -> (damaged file, its clean twin) of the half of the benchmark."""
    found: dict[str, dict[str, bytes]] = {}
    with tarfile.open(m.REAL_DATA / "pollock_half.tar.xz") as packed:
        for member in packed:
            path = Path(member.name)
            if member.isfile() and path.parent.name in ("csv", "clean") and (file := packed.extractfile(member)):
                found.setdefault(path.name, {})[path.parent.name] = file.read()
    return {name: (pair["csv"], pair["clean"]) for name, pair in sorted(found.items()) if "csv" in pair}


def _pollock_file(name: str) -> tuple[Files, Expect]:
    damaged, clean = pollock()[name]
    dataset = m.adopt("real_pollock", POLLOCK_HEADERS, "DATE")
    text = clean.decode("utf-8")
    records = list(csv.reader(text.splitlines(keepends=True)))[1:]
    rows = [dict(zip(POLLOCK_HEADERS, record, strict=True)) for record in records]
    # Every row of the clean twin counts as good, the damaged one too: delivered whole, or set aside.
    return {name: damaged}, Expect(
        rows=m.wanted(dataset, rows),
        may=frozenset({EXACT, QUARANTINE, REFUSE}),
        spreads=True,
        lines=damaged.count(b"\n") + (bool(damaged) and not damaged.endswith(b"\n")),
    )


def _pollock() -> Iterator[Variant]:
    dataset = m.adopt("real_pollock", POLLOCK_HEADERS, "DATE")
    for name in pollock():
        yield delivered(POLLOCK + name, dataset, lambda name=name: _pollock_file(name))  # type: ignore[misc]


def damaged() -> Iterator[Variant]:
    """All variants of the row."""
    yield from _pollock()
    yield from _made()
    yield from _pairs()
    yield from _real()
