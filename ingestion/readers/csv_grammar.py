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
    """Where and how a record breaks the grammar: field (from 0), offset of the byte, is a quote never closed."""

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


def clean_end(data: bytes, delimiter: bytes, at_end: bool) -> int | None:
    """Length of the longest run of whole records at the start, proven to keep the grammar; None where it does not.

    Proven with whole-array operations: between an odd and an even quote text is quoted, so the grammar holds when each
    opening quote stands behind a delimiter or line break, each closing quote before one, and those that do neither
    touch another quote (a doubled quote closes and opens at once). A line break with an even number of quotes before
    it ends a record.
    """
    view = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(view == QUOTE) if b'"' in data else np.empty(0, np.int64)
    end = len(data)
    if not at_end:
        end = data.rfind(b"\n") + 1
        while end and np.searchsorted(quotes, end) & 1:
            end = data.rfind(b"\n", 0, end - 1) + 1
    quotes = quotes[: np.searchsorted(quotes, end)]
    if len(quotes) & 1 or (quotes.size and not _quotes_in_place(view[:end], quotes, delimiter[0])):
        return None
    return end if _returns_in_place(data, view[:end], quotes) else None


def _returns_in_place(data: bytes, view: np.ndarray[Any, Any], quotes: np.ndarray[Any, Any]) -> bool:
    """Whether each carriage return is part of CRLF or inside quotes."""
    if data.find(b"\r", 0, len(view)) < 0:
        return True
    returns = np.flatnonzero(view == CR)
    lone = returns[view[np.minimum(returns + 1, len(view) - 1)] != LF]
    return not lone.size or bool((np.searchsorted(quotes, lone) & 1).all())


def record_lines(data: bytes, end: int, delimiter: bytes, width: int) -> np.ndarray[Any, Any] | None:
    """Physical lines (from 0) on which the records of a clean run start; for runs with line breaks inside quotes.

    None when two stray quotes may have swallowed what lies between them: a quoted field that holds a line which is
    itself a row of the table's width, or a record each of whose lines has the delimiters of a row (a quote at the
    edge of a cell in each of two neighbouring rows). Nothing proves that the quotes are not stray.
    """
    view = np.frombuffer(data, np.uint8)[:end]
    breaks = np.flatnonzero(view == LF)
    inside = np.searchsorted(np.flatnonzero(view == QUOTE), breaks) & 1
    ends = breaks if breaks.size and breaks[-1] == end - 1 else np.append(breaks, end)
    counts = np.diff(np.searchsorted(np.flatnonzero(view == delimiter[0]), ends), prepend=0)
    starts = np.flatnonzero(np.concatenate([[True], inside == 0]))[: None if len(ends) > len(breaks) else -1]
    if ((inside[:-1] == 1) & (inside[1:] == 1) & (counts[1 : len(breaks)] >= width - 1)).any():
        return None
    several = np.diff(starts, append=len(counts)) > 1
    if width > 1 and (several & np.logical_and.reduceat(counts == width - 1, starts)).any():
        return None
    return starts


def holds_rows(record: bytes, delimiter: bytes, width: int) -> bool:
    """Whether a record of several lines may be rows that two stray quotes have joined; see ``record_lines``."""
    counts = [line.count(delimiter) for line in _without_line_break(record).split(b"\n")]
    return any(count >= width - 1 for count in counts[1:-1]) or (
        len(counts) > 1 and width > 1 and all(count == width - 1 for count in counts)
    )


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
