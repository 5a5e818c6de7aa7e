"""Figures with a memory: what is printed knows the query, the row and the column that it came from.

Text of the notice holds marks in place of figures and of texts from data; a renderer puts them in after it has read the
structure, so no name in the data can become a heading, a tag or a formula.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from ingestion.yaml_file import read_yaml
from publishing.evidence import rows_behind
from publishing.labels import period_name
from publishing.small_cells import MARK

_OPEN, _CLOSE = "\ue000", "\ue001"
_MARKED = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
_CENT = Decimal("0.01")


@cache
def queries() -> dict[str, dict[str, Any]]:
    """The content of queries.yaml."""
    return read_yaml(Path(__file__).with_name("queries.yaml"))


@dataclass(frozen=True)
class Row:
    """One row of a query's answer; attributes are its columns (of any case, null is None)."""

    query: str
    cells: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.cells[name]
        except KeyError:
            raise AttributeError(f"{self.query} has no column {name}") from None

    @property
    def key(self) -> dict[str, Any]:
        return {name: self.cells[name] for name in queries()[self.query]["key"]}


@dataclass(frozen=True)
class Piece:
    """What stands at a mark: a text, and for a figure where it came from; its number (f1, f2, …) once it is printed."""

    text: str
    source: dict[str, Any] = field(default_factory=dict)

    @property
    def reference(self) -> str | None:
        return self.source.get("id")


class Ledger:
    """Every figure and text of one document, in the order they are printed."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, period: str) -> None:
        self.connection, self.period = connection, period
        self.pieces: list[Piece] = []

    def rows(self, query: str) -> list[Row]:
        """The answer to a named query of queries.yaml for this period."""
        found = self.connection.execute(queries()[query]["sql"], {"period": self.period})
        names = [column[0] for column in found.description or []]
        return [Row(query, dict(zip(names, row, strict=True))) for row in found.fetchall()]

    def text(self, value: Any) -> str:
        """A text of the data, as a mark: without control characters, on one line, no formula."""
        clean = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in str(value))
        return self._mark(Piece(" ".join(clean.split())))

    def figure(self, row: Row, column: str, form: str, *, rows: dict[str, Any] | None = None) -> str:
        """A figure, as a mark: a cell of a query's answer in one of the forms that ``printed`` knows.

        ``rows`` overrides which rows lie behind it: ``area``, ``metric`` and ``unit``.
        """
        value = row.cells[column]
        return self._figure(row, column, form, value, printed(value, form), rows)

    def shares(self, parts: Sequence[Row]) -> list[str]:
        """The parts' shares of their sum in per cent with two decimals, that add up to 100.00 (largest remainders)."""
        texts = largest_remainders([int(part.numerator) for part in parts])
        return [
            self._figure(part, "numerator", "share_of_parts", part.numerator, text, None)
            for part, text in zip(parts, texts, strict=True)
        ]

    def rest(self, parts: Sequence[Row], printed_parts: Sequence[Row]) -> str:
        """The share that the printed parts leave of 100.00 %."""
        shut = [part for part in parts if part not in printed_parts]
        texts = largest_remainders([int(part.numerator) for part in [*printed_parts, *shut]])
        left = sum((Decimal(text.rstrip("%")) for text in texts[len(printed_parts) :]), Decimal(0))
        keys = {name: [part.cells[name] for part in shut] for name in shut[0].key}
        row = Row(shut[0].query, shut[0].cells | keys)
        return self._figure(row, "numerator", "share_of_parts", sum(int(p.numerator) for p in shut), f"{left}%", None)

    def total(self, parts: Sequence[Row], column: str) -> str:
        """The sum of a column over several rows of a query's answer, as one figure."""
        value = sum(int(part.cells[column]) for part in parts)
        keys = {name: [part.cells[name] for part in parts] for name in parts[0].key}
        return self._figure(Row(parts[0].query, parts[0].cells | keys), column, "sum", value, str(value), None)

    def withheld(self) -> str:
        """What stands for a figure about too few people."""
        return self._mark(Piece(MARK))

    def _figure(self, row: Row, column: str, form: str, value: Any, text: str, rows: dict[str, Any] | None) -> str:
        source: dict[str, Any] = {
            "text": text,
            "value": _plain(value),
            "form": form,
            "query": row.query,
            # In a sum each key is a list: the rows that are added up.
            "row": {name: _plain(cell) for name, cell in row.key.items()},
            "column": column,
            "rows": self._behind(row, rows or {}),
        }
        return self._mark(Piece(text, source))

    def _behind(self, row: Row, given: dict[str, Any]) -> dict[str, Any] | None:
        """The rows behind a figure: SQL and its parameters; None where the query itself reads them."""
        cells = row.cells | given
        if isinstance(cells.get("area"), list):
            return None
        area, unit = cells.get("area"), cells.get("unit_code")
        metric = cells.get("metric") or cells.get("component") or str(cells.get("figure") or "").split("/")[0]
        if area and metric and (sql := rows_behind(str(area), metric)):
            return {"sql": sql, "parameters": {"period": self.period, "unit": unit}}
        if area and unit:
            sql = (
                "SELECT * FROM marts.rank_explanations WHERE period_code = $period AND area = $area "
                "AND unit_code = $unit ORDER BY component_order"
            )
            return {"sql": sql, "parameters": {"period": self.period, "area": area, "unit": unit}}
        return None

    def _mark(self, piece: Piece) -> str:
        self.pieces.append(piece)
        return f"{_OPEN}{len(self.pieces) - 1}{_CLOSE}"

    def number(self, text: str) -> list[dict[str, Any]]:
        """Numbers the figures that the rendered text holds, in their order, and returns where each came from."""
        used: list[dict[str, Any]] = []
        for place in dict.fromkeys(_MARKED.findall(text)):
            source = self.pieces[int(place)].source
            if source:
                source["id"] = f"f{len(used) + 1}"
                used.append(source)
        return used

    def split(self, text: str) -> list[Piece]:
        """A line of rendered text as pieces: what the template wrote, and what its marks stand for."""
        found: list[Piece] = []
        for place, part in enumerate(_MARKED.split(text)):
            if place % 2:
                found.append(self.pieces[int(part)])
            elif part:
                found.append(Piece(part))
        return found


def printed(value: Any, form: str) -> str:
    """A value as it is printed: count, percent, score, mean, change, text, period, day, short_day; empty is —."""
    if value is None:
        return "—"
    match form:
        case "count" | "text":
            return str(value)
        case "percent":
            return f"{(Decimal(repr(float(value))) * 100).quantize(_CENT, ROUND_HALF_UP)}%"
        case "score" | "mean":
            return str(Decimal(repr(float(value))).quantize(_CENT, ROUND_HALF_UP))
        case "change":
            return f"↑{value}" if value > 0 else f"↓{-value}" if value < 0 else "0"
        case "places":
            return str(abs(value))
        case "period":
            return period_name(value)
        case "day" | "short_day":
            day: dt.date = value
            return (f"{day.year}年" if form == "day" else "") + f"{day.month}月{day.day}日"
    raise ValueError(f"no form {form}")


def largest_remainders(parts: Sequence[int]) -> list[str]:
    """Parts as per cent of their sum, two decimals, adding up to exactly 100.00; all zero where the sum is."""
    whole = sum(parts)
    if not whole:
        return ["0.00%" for _ in parts]
    floors = [part * 10000 // whole for part in parts]
    order = sorted(range(len(parts)), key=lambda at: (-(parts[at] * 10000 % whole), at))
    for at in order[: 10000 - sum(floors)]:
        floors[at] += 1
    return [f"{hundredths // 100}.{hundredths % 100:02d}%" for hundredths in floors]


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, (dt.date, Decimal)) else value
