"""Reads the pages of the site and finds each of their figures in the published file again, by its own attributes."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, unquote

import duckdb

_VOID = {"meta", "link", "br", "img"}
_NUMBER = re.compile(r"[+−↓-]?\d+(?:\.\d+)?%?")


@dataclass
class Node:
    """An element: tag, attributes, and its children: elements and texts."""

    tag: str
    attributes: dict[str, str]
    children: list[Node | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def all(self, *tags: str) -> Iterator[Node]:
        for child in self.children:
            if isinstance(child, Node):
                if child.tag in tags or not tags:
                    yield child
                yield from child.all(*tags)


class _Tree(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Node("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(node)
        if tag not in _VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parse(html: str) -> Node:
    """The tree of a page; fails where an element is not closed in order."""
    tree = _Tree()
    tree.feed(html)
    assert len(tree.open) == 1, f"<{tree.open[-1].tag}> is not closed"
    return tree.open[0]


@dataclass(frozen=True)
class Printed:
    """One printed figure and where it says that it comes from."""

    text: str
    source: str
    where: dict[str, str]
    fields: str
    table: str


def printed(page: Node) -> Iterator[Printed]:
    """Every figure of a page: the cells of its tables, and those inside sentences."""
    for table in page.all("table"):
        about = dict(parse_qsl(table.attributes["data-where"]))
        keys = table.attributes["data-key"].split("/")
        columns = list(next(table.all("thead")).all("th"))
        for row in next(table.all("tbody")).all("tr"):
            mine = dict(zip(keys, map(unquote, row.attributes["data-is"].split("/")), strict=True))
            cells = [cell for cell in row.children if isinstance(cell, Node)]
            for column, cell in zip(columns, cells, strict=True):
                if "data-field" in column.attributes:
                    where = about | mine | dict(parse_qsl(column.attributes.get("data-where", "")))
                    fields = column.attributes["data-field"]
                    yield Printed(cell.text, table.attributes["data-from"], where, fields, table.attributes["id"])
    for one in page.all("data"):
        where = dict(parse_qsl(one.attributes["data-where"]))
        yield Printed(one.text, one.attributes["data-from"], where, one.attributes["data-field"], "")


class Finder:
    """Looks figures up in the published file: each relation and expression is read once, as a whole."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self._read: dict[tuple[str, tuple[str, ...], str], dict[tuple[str, ...], list[tuple[Any, ...]]]] = {}

    def values(self, figure: Printed) -> tuple[Any, ...] | None:
        """The values of its fields; None where no row, or several that differ, are what the figure says it is."""
        names = tuple(sorted(figure.where))
        at = (figure.source, names, figure.fields)
        if at not in self._read:
            keys = ", ".join(f'CAST("{name}" AS VARCHAR)' for name in names)
            fields = figure.fields.replace(";", ", ")
            found: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
            for row in self.connection.execute(f"SELECT {keys}, {fields} FROM {figure.source} GROUP BY ALL").fetchall():
                found.setdefault(row[: len(names)], []).append(row[len(names) :])
            self._read[at] = found
        rows = self._read[at].get(tuple(figure.where[name] for name in names), [])
        return rows[0] if len(rows) == 1 else None


def agrees(figure: Printed, values: tuple[Any, ...]) -> bool:
    """Is what is printed these values, to the decimals that are printed?"""
    if any(value is None for value in values):
        return figure.text == "—"
    if isinstance(values[0], dt.date):
        return f"{values[0]:%Y-%m-%d %H:%M}".startswith(figure.text) and len(figure.text) >= 10
    texts = _NUMBER.findall(figure.text)
    if len(texts) == 1 and len(set(values)) == 1:
        values = values[:1]
    # Parts of a whole are rounded so that they add up: either neighbour may be printed.
    slack = 1.0 if figure.table.startswith(("parts-", "change")) else 0.5
    return len(texts) == len(values) and all(
        abs(_number(text) - float(value)) <= slack * _unit(text) + 1e-9
        for text, value in zip(texts, values, strict=True)
    )


def _number(text: str) -> float:
    bare = float(re.sub(r"[^\d.]", "", text))
    sign = -1 if text[0] in "−↓-" else 1
    return sign * bare / (100 if text.endswith("%") else 1)


def _unit(text: str) -> float:
    decimals = len(text.rstrip("%").partition(".")[2])
    return 10.0 ** -(decimals + (2 if text.endswith("%") else 0))
