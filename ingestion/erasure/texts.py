"""A person out of a delivered CSV or JSON text: only the person's rows change, and there only what names the person."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ingestion.erasure.person import Person, Replace

#: Lines that a record with line breaks inside quotes may have; more is a stray quote, and the line stands for itself.
_RECORD_LINES = 200

_DELIMITERS = ",\t;|"


def csv_without(text: str, person: Person, surrogate: Replace) -> tuple[str, int]:
    """The text with the person's records changed, and how many those are."""
    pieces, done, rows = [], 0, 0
    for start, end in _records(text, person):
        if start < done:
            continue
        pieces += [text[done:start], person.without(text[start:end], surrogate)]
        done, rows = end, rows + 1
    return "".join([*pieces, text[done:]]), rows


def _records(text: str, person: Person) -> Iterator[tuple[int, int]]:
    """Where the person's records start and end, in order."""
    hits = {match.start() for match in person.number.finditer(text)} if person.number else set()
    if person.name_alone and person.name:
        hits |= {match.start() for match in person.name.finditer(text) if _is_cell(text, *match.span())}
    counted_to = quotes = 0
    for hit in sorted(hits):
        line = text.rfind("\n", 0, hit) + 1
        if line >= counted_to:
            quotes += text.count('"', counted_to, line)
            counted_to = line
        start = line
        if quotes % 2:
            start = _line_with_odd_quotes(text, line)
        end = _record_end(text, start)
        yield (start, end) if end is not None and end > hit else (line, _line_end(text, hit))


def _line_with_odd_quotes(text: str, line: int) -> int:
    """The start of the record that a line inside quotes belongs to; the line itself where none is near."""
    start = line
    for _ in range(_RECORD_LINES):
        if not start:
            break
        previous = text.rfind("\n", 0, start - 1) + 1
        if text.count('"', previous, start) % 2:
            return previous
        start = previous
    return line


def _record_end(text: str, start: int) -> int | None:
    end, quotes = start, 0
    for _ in range(_RECORD_LINES):
        following = _line_end(text, end)
        quotes += text.count('"', end, following)
        end = following
        if quotes % 2 == 0:
            return end
        if end == len(text):
            return None
    return None


def _line_end(text: str, position: int) -> int:
    found = text.find("\n", position)
    return len(text) if found < 0 else found + 1


def _is_cell(text: str, start: int, end: int) -> bool:
    before, after = text[:start][-40:].rstrip(' "\u3000'), text[end : end + 40].lstrip(' "\u3000')
    return (not before or before[-1] in _DELIMITERS + "\r\n") and (not after or after[0] in _DELIMITERS + "\r\n")


def json_without(text: str, person: Person, surrogate: Replace) -> tuple[str, int]:
    """The same for JSON: an object whose own values name the person is the person's row. Raises ValueError on none."""
    rows = 0

    def changed(value: Any) -> Any:
        nonlocal rows
        if isinstance(value, list):
            return [changed(each) for each in value]
        if not isinstance(value, dict):
            return value
        cells = [each if isinstance(each, str) else json.dumps(each) for each in value.values() if _is_cell_value(each)]
        if not person.owns(cells):
            return {name: changed(each) for name, each in value.items()}
        rows += 1
        return {name: _replaced(each, person, surrogate) for name, each in value.items()}

    found = changed(json.loads(text))
    return (json.dumps(found, ensure_ascii=False, separators=(",", ":")), rows) if rows else (text, 0)


def _is_cell_value(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool))


def _replaced(value: Any, person: Person, surrogate: Replace) -> Any:
    if isinstance(value, dict):
        return {name: _replaced(each, person, surrogate) for name, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, person, surrogate) for each in value]
    if not _is_cell_value(value):
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    new = person.without(text, surrogate)
    return value if new == text else new
