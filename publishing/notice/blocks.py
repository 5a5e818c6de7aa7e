"""The rendered template as blocks: the notice's structure, apart from how a DOCX or HTML shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

_KINDS = {
    "# ": "title",
    "> ": "addressee",
    "## ": "heading_1",
    "### ": "heading_2",
    "~ ": "signature",
    "@ ": "annex",
    "! ": "note",
}
#: Parts the lines of a title that is longer than one.
LINE_BREAK = " // "

_TEN = "一二三四五六七八九十"
#: ㈠ to ㈩, the form that notices use.
_BRACKETED = "㈠㈡㈢㈣㈤㈥㈦㈧㈨㈩"


@dataclass
class Block:
    """A paragraph of a kind, or a table: its rows are cells of text with marks, the first row is the header."""

    kind: str
    text: str = ""
    rows: list[list[str]] = field(default_factory=list)


def blocks(text: str) -> Iterator[Block]:
    """The lines of a rendered template as blocks, headings numbered 一、 and ㈠; blank lines only end a table."""
    table: Block | None = None
    first = second = 0
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("| "):
            table = table or Block("table")
            table.rows.append([cell.strip() for cell in line[2:].split(" | ")])
            continue
        if table:
            yield table
            table = None
        if not line:
            continue
        kind = next((kind for prefix, kind in _KINDS.items() if line.startswith(prefix)), "paragraph")
        if kind != "paragraph":
            line = line.split(" ", 1)[1].strip()
        if kind == "heading_1":
            first, second = first + 1, 0
            line = f"{chinese(first)}、{line}"
        elif kind == "heading_2":
            second += 1
            line = f"{_BRACKETED[second - 1]}{line}" if second <= len(_BRACKETED) else f"（{chinese(second)}）{line}"
        yield Block(kind, line)
    if table:
        yield table


def chinese(number: int) -> str:
    """1 to 99 as 一 … 九十九."""
    tens, ones = divmod(number, 10)
    return (("" if tens == 1 else _TEN[tens - 1]) + "十" if tens else "") + (_TEN[ones - 1] if ones else "")
