"""Tables as the page shows them: each figure says by which query it is found again in the published file.

A table names the relation (``source``), the rows that it is about (``where``) and the key columns whose values each
row gives; a column the SQL expression of its cells (``field``, several joined by ``;``) and, where columns differ by
rows, more of the condition. ``SELECT <field> FROM <source> WHERE <all of these>`` is the figure. The HTML carries them
as ``data-`` attributes, the charts are drawn from the very cells, and the test of the page follows every one of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup, escape

from publishing.labels import labels
from publishing.small_cells import MARK

#: What stands where there is no figure.
NOTHING = "—"

#: In place of a figure that is not printed because it is about too few people.
WITHHELD = object()


@dataclass(frozen=True)
class At:
    """A unit in a period: what a page is about."""

    period_code: str
    unit_code: str

    @property
    def key(self) -> tuple[str, str]:
        return self.period_code, self.unit_code

    @property
    def where(self) -> dict[str, Any]:
        return {"period_code": self.period_code, "unit_code": self.unit_code}


@dataclass(frozen=True)
class Column:
    """``name``: key of the cell in a record. ``kind`` says how a cell is printed: text, count, score (2 decimals),
    signed (2 decimals with sign), part and signed_part (of a whole that they add up to), share (per cent), mean,
    number (as short as it is),
    change (of a place), interval, fraction, points, shares, day, time; ``row``: as the record's own ``kind`` says.
    ``series``: what a chart takes the column for."""

    name: str
    header: str
    kind: str = "text"
    field: str = ""
    where: Mapping[str, Any] = attribute(default_factory=dict)
    series: str = ""
    head: bool = False

    @property
    def figure(self) -> bool:
        return self.kind not in ("text", "key")

    @property
    def of(self) -> str:
        return self.field or self.name

    @property
    def condition(self) -> str:
        return urlencode(self.where)


@dataclass(frozen=True)
class Row:
    """One row: the values of its table's key, its printed cells in the order of the columns, and links by column."""

    key: str
    cells: list[str]
    links: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """A table with the relation that its figures come from; ``chart`` names the plot that is drawn from it."""

    id: str
    caption: str
    source: str
    columns: list[Column]
    rows: list[Row]
    key: tuple[str, ...]
    where: Mapping[str, Any]
    chart: str = ""

    @property
    def condition(self) -> str:
        return urlencode(self.where)

    def body(self, root: str) -> Markup:
        """The rows as HTML, every text escaped; ``root`` leads to the top of the site. Built here, not in the template:
        a site has some hundred thousand cells."""
        tags = [
            ('<th scope="row">', "</th>") if column.head else ("<td>" if column.figure else '<td class="t">', "</td>")
            for column in self.columns
        ]
        lines = []
        for row in self.rows:
            cells = []
            for column, (opening, closing), cell in zip(self.columns, tags, row.cells, strict=True):
                link = row.links.get(column.name)
                inner = f'<a href="{escape(root + link)}">{escape(cell)}</a>' if link else escape(cell)
                cells.append(f"{opening}{inner}{closing}")
            lines.append(f'<tr data-is="{escape(row.key)}">{"".join(cells)}</tr>\n')
        return Markup("".join(lines))  # noqa: S704 - each text in it is escaped above


def table(
    identifier: str,
    caption: str,
    source: str,
    columns: Iterable[Column],
    records: Iterable[Mapping[str, Any]],
    key: Iterable[str],
    where: Mapping[str, Any] | None = None,
    chart: str = "",
) -> Table:
    """A table of records: dicts by column name and key; ``_links`` of a record are its links by column name."""
    columns, key = list(columns), tuple(key)
    rows = [
        Row(
            "/".join(quote(str(record[name]), safe="") for name in key),
            [
                text(record.get(column.name), record["kind"] if column.kind == "row" else column.kind)
                for column in columns
            ],
            record.get("_links", {}),
        )
        for record in records
    ]
    return Table(identifier, caption, source, columns, rows, key, where or {}, chart)


@dataclass(frozen=True)
class Figure:
    """One figure inside a sentence, with the query that finds it again."""

    text: str
    source: str
    field: str
    condition: str


def figure(value: Any, kind: str, source: str, of: str, **where: Any) -> Figure:
    """A figure printed as a cell of the kind would be."""
    return Figure(text(value, kind), source, of, urlencode(where))


def missing(value: Any) -> bool:
    """Nothing to print: null, or a tuple that holds one."""
    return value is None or (isinstance(value, tuple) and any(each is None for each in value))


def text(value: Any, kind: str) -> str:
    """The cell as it is printed."""
    if value is WITHHELD:
        return MARK
    if missing(value):
        return "" if kind in ("text", "key") else NOTHING
    match kind:
        case "score" | "mean" | "part":
            return f"{value:.2f}".replace("-", "−")
        case "signed" | "signed_part":
            return f"{value:+.2f}".replace("-", "−") if round(value, 2) else "0.00"
        case "share" | "ratio":
            return f"{value:.2%}"
        case "count":
            return f"{value:.0f}"
        case "number":
            return f"{value:g}"
        case "change":
            return f"↑{value}" if value > 0 else f"↓{-value}" if value < 0 else "0"
        case "interval":
            return f"{value[0]}" if value[0] == value[1] else f"{value[0]}—{value[1]}"
        case "fraction":
            return f"{value[0]}/{value[1]}"
        case "points":
            return f"{value[0]:.2f}/{value[1]:g}"
        case "shares":
            return f"{value[0]:.1%}—{value[1]:.1%}"
        case "day":
            return f"{value:%Y-%m-%d}"
        case "time":
            return f"{value:%Y-%m-%d %H:%M}" if isinstance(value, dt.datetime) else f"{value:%Y-%m-%d}"
    return str(value)


def lists(kind: Any, improved: Any) -> str:
    """良好, 滞后, 进步."""
    codes = [kind, "most_improved" if improved else None]
    return "、".join(labels()["lists"].get(code, code) for code in codes if code)
