"""The grammar of RFC 4180 over UTF-8 bytes: records, their fields, and where a record breaks the grammar.

A field is quoted (quotes inside are doubled, anything else is itself) or holds no quote, delimiter or line break.
A record ends with LF, CRLF or the end of the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

QUOTE, LF, CR = 0x22, 0x0A, 0x0D


@dataclass(frozen=True)
class Fault:
    """Where and how a record breaks the grammar: field (from 0), offset of the byte, and whether a quote never closes."""

    field: int
    offset: int
    reason: str
    unclosed: bool = False


class Grammar:
    """The grammar for one delimiter. Get it by ``grammar(delimiter)``: the patterns are compiled once."""

    def __init__(self, delimiter: bytes) -> None:
        self.delimiter = delimiter
        mark = re.escape(delimiter)
        bare = rb'[^"\r\n' + mark + rb"]*+"
        quoted = rb'"(?>[^"]++|"")*+"'
        field = rb"(?>" + quoted + rb"|" + bare + rb")"
        self._record = re.compile(field + rb"(?>" + mark + field + rb")*+(?:\r?\n|\Z)")
        self._field = re.compile(rb'(?>"((?>[^"]++|"")*+)"|(' + bare + rb"))(" + mark + rb"|\r?\n|\Z)")
        self._quoted = re.compile(quoted)
        self._bare = re.compile(bare)

    def record_end(self, data: bytes, start: int) -> int | None:
        """Where the record that starts here ends (behind its line break); None when it breaks the grammar."""
        match = self._record.match(data, start)
        return match.end() if match else None

    def fields(self, record: bytes) -> list[bytes]:
        """The fields of one whole record, quotes resolved."""
        if b'"' not in record:
            return _without_line_break(record).split(self.delimiter)
        found, position = [], 0
        while match := self._field.match(record, position):
            quoted, bare, end = match.groups()
            found.append(bare if quoted is None else quoted.replace(b'""', b'"'))
            if end != self.delimiter:
                break
            position = match.end()
        return found

    def fault(self, data: bytes, start: int) -> Fault:
        """Why the record that starts here is none. To be asked only when ``record_end`` gave None."""
        position, number = start, 0
        while match := self._field.match(data, position):
            position = match.end()
            number += 1
        if data[position : position + 1] == b'"':
            closed = self._quoted.match(data, position)
            if not closed:
                return Fault(number, len(data), "a quoted field that is never closed", unclosed=True)
            return Fault(number, closed.end(), "text after the closing quote of a field")
        bare = self._bare.match(data, position)
        end = bare.end() if bare else position
        if data[end : end + 1] == b"\r":
            return Fault(number, end, "a carriage return inside a field without quotes")
        return Fault(number, end, "a quote inside a field without quotes")


@cache
def grammar(delimiter: bytes) -> Grammar:
    """The grammar with this one-byte delimiter."""
    return Grammar(delimiter)


@dataclass(frozen=True)
class CleanBlock:
    """The longest run of whole records at the start of a block in which every quote is where the grammar wants it."""

    #: Length of the run in bytes.
    end: int
    #: Does a quoted field hold a line break?
    broken_lines: bool
    #: Numbers of the run's physical lines (from 0) on which records start; None when every line is a record.
    starts: np.ndarray[Any, Any] | None


def clean_block(data: bytes, delimiter: bytes, width: int, at_end: bool) -> CleanBlock | None:
    """Prove with whole-array operations that the records of a block keep the grammar; None where they do not.

    Between an odd and an even quote text is quoted. The grammar holds when each opening quote stands behind a
    delimiter or line break, each closing quote before one, and those that do neither touch another quote (a doubled
    quote closes and opens at once). Line breaks with an even number of quotes before them end records.

    A quoted field that holds a line which is itself a row of the table's width is not taken as proven: two stray
    quotes that swallow the rows between them look just so.
    """
    if b'"' not in data:
        end = len(data) if at_end else data.rfind(b"\n") + 1
        # A lone carriage return is no line break and may stand only inside quotes.
        return None if data.count(b"\r", 0, end) != data.count(b"\r\n", 0, end) else CleanBlock(end, False, None)
    view = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(view == QUOTE)
    breaks = np.flatnonzero(view == LF)
    inside = np.searchsorted(quotes, breaks) & 1
    if at_end:
        end = len(data)
    else:
        ends = breaks[inside == 0]
        end = int(ends[-1]) + 1 if ends.size else 0
    quotes = quotes[: np.searchsorted(quotes, end)]
    breaks, inside = breaks[breaks < end], inside[breaks < end]
    if len(quotes) & 1 or not _quotes_in_place(view[:end], quotes, delimiter[0]):
        return None
    returns = np.flatnonzero(view[:end] == CR)
    lone = returns[(returns + 1 >= end) | (view[np.minimum(returns + 1, end - 1)] != LF)] if returns.size else returns
    if lone.size and not (np.searchsorted(quotes, lone) & 1).all():
        return None
    if not inside.any():
        return CleanBlock(end, bool(lone.size), None)
    # Lines that lie wholly inside quotes: from one inner line break to the next.
    marks = np.flatnonzero(view[:end] == delimiter[0])
    counts = np.searchsorted(marks, breaks[1:]) - np.searchsorted(marks, breaks[:-1])
    if ((inside[:-1] == 1) & (inside[1:] == 1) & (counts >= width - 1)).any():
        return None
    line_is_start = np.concatenate([[True], inside == 0])
    starts = np.flatnonzero(line_is_start)
    if breaks.size and breaks[-1] == end - 1:
        starts = starts[:-1]
    return CleanBlock(end, True, starts)


def _quotes_in_place(view: np.ndarray[Any, Any], quotes: np.ndarray[Any, Any], delimiter: int) -> bool:
    opening, closing = quotes[0::2], quotes[1::2]
    before = view[np.maximum(opening - 1, 0)]
    opens = (opening == 0) | (before == delimiter) | (before == LF)
    opens[1:] |= opening[1:] - 1 == closing[:-1]
    if not opens.all():
        return False
    last = len(view) - 1
    after = view[np.minimum(closing + 1, last)]
    after2 = view[np.minimum(closing + 2, last)]
    closes = (
        (closing == last)
        | (after == delimiter)
        | (after == LF)
        | ((after == CR) & (after2 == LF) & (closing + 2 <= last))
    )
    closes[:-1] |= closing[:-1] + 1 == opening[1:]
    return bool(closes.all())


def _without_line_break(record: bytes) -> bytes:
    if record.endswith(b"\r\n"):
        return record[:-2]
    return record[:-1] if record.endswith(b"\n") else record
