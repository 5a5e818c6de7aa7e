"""A page object piece by piece: ``{"dataset", "period", ..., "rows": [{...}, ...]}`` in bounded memory, strictly.

The rows are cut between two objects and each run of them is decoded by the standard decoder in one call. A cut that
is no cut (inside a text, or a nested value) leaves something that does not decode, so a wrong one cannot pass.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, BinaryIO

#: Characters of text decoded at a time.
WINDOW = 4 << 20

#: Bytes read at a time.
BLOCK = 1 << 20

#: A single row, or what stands around the rows, of more characters than this is refused.
LONGEST = 64 << 20

_BETWEEN_ROWS = re.compile(r"\}[ \t\r\n]*+,[ \t\r\n]*+(?=\{)")
_BLANK = re.compile(r"[ \t\r\n]*")


class NotAPage(ValueError):
    """What is wrong with the page; its text holds no value of it."""


class Page:
    """One page object. ``runs`` gives its rows; ``fields`` (what stands beside them) is complete after that."""

    def __init__(self, file: BinaryIO) -> None:
        self.fields: dict[str, Any] = {}
        self._file = file
        self._text = ""
        self._at_end = False
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")("strict")
        self._decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
        self._rows = 0

    def runs(self) -> Iterator[list[Any]]:
        """The rows in order, some thousands at a time; raises NotAPage when the page is not strictly one."""
        try:
            yield from self._runs()
        except UnicodeDecodeError:
            raise NotAPage(f"not UTF-8 {self._place()}") from None
        except json.JSONDecodeError as error:
            raise NotAPage(f"no JSON {self._place()}: {error.msg}; it may be cut") from None
        except NotAPage:
            raise
        except (RecursionError, ValueError):
            raise NotAPage(f"nested too deeply, or a number with thousands of digits, {self._place()}") from None

    def _runs(self) -> Iterator[list[Any]]:
        self._fill(1 << 16)
        position = self._skip(0)
        if self._text[position : position + 1] != "{":
            raise NotAPage('no JSON page object {"dataset": ..., "rows": [...]}')
        self._drop(self._skip(position + 1))
        seen_rows = False
        if self._text[:1] == "}":
            self._drop(1)
        else:
            while True:
                name = self._name()
                if name in self.fields or (name == "rows" and seen_rows):
                    raise NotAPage("a key that stands twice in one object")
                if name == "rows":
                    seen_rows = True
                    yield from self._row_runs()
                else:
                    self.fields[name] = self._value()
                self._fill(1 << 16)
                position = self._skip(0)
                mark = self._text[position : position + 1]
                self._drop(self._skip(position + 1))
                if mark == "}":
                    break
                if mark != ",":
                    raise NotAPage(
                        f"no JSON {self._place()}: a comma or the end of the object is missing; it may be cut"
                    )
        self._fill(1)
        if self._skip(0) != len(self._text):
            raise NotAPage("no JSON: something follows the page object")
        if not seen_rows:
            raise NotAPage('no list of rows; a month with nothing is "rows": []')

    def _name(self) -> str:
        self._fill(1 << 16)
        if self._text[:1] != '"':
            raise NotAPage(f"no JSON {self._place()}: the name of a key is missing; it may be cut")
        name, end = scanstring(self._text, 1, True)
        end = self._skip(end)
        if self._text[end : end + 1] != ":":
            raise NotAPage(f"no JSON {self._place()}: a colon is missing; it may be cut")
        self._drop(self._skip(end + 1))
        return str(name)

    def _value(self) -> Any:
        """A value beside the rows. They are short: the window holds it, or what is left of the file does."""
        self._fill(WINDOW)
        value, end = self._decoder.raw_decode(self._text, 0)
        self._drop(end)
        return value

    def _row_runs(self) -> Iterator[list[Any]]:
        if self._text[:1] != "[":
            raise NotAPage('no list of rows; a month with nothing is "rows": []')
        self._drop(1)
        wanted = WINDOW
        while True:
            self._fill(wanted)
            if self._at_end:
                rows, end = self._decoder.raw_decode("[" + self._text, 0)
                self._rows += len(rows)
                self._drop(end - 1)
                yield rows
                return
            found = self._longest_run()
            if found is None:
                # The window holds the end of the rows, or a row longer than it: read on.
                wanted = len(self._text) + WINDOW
                if wanted > LONGEST:
                    raise NotAPage(f"no end of a row {self._place()}")
                continue
            rows, end = found
            self._rows += len(rows)
            self._drop(end)
            wanted = WINDOW
            yield rows

    def _longest_run(self) -> tuple[list[Any], int] | None:
        """Whole rows at the start of the text, and where the next row starts."""
        for cut in [match.span() for match in _BETWEEN_ROWS.finditer(self._text, max(0, len(self._text) - (1 << 18)))][
            :-50:-1
        ]:
            try:
                rows, end = self._decoder.raw_decode("[" + self._text[: cut[0] + 1] + "]", 0)
            except json.JSONDecodeError:
                continue
            if end == cut[0] + 3:
                return rows, cut[1]
        return None

    def _fill(self, length: int) -> None:
        """Read until the text at hand has this length or the file ends."""
        pieces, have = [self._text], len(self._text)
        while have < length and not self._at_end:
            block = self._file.read(BLOCK)
            self._at_end = not block
            pieces.append(self._utf8.decode(block, final=not block))
            have += len(pieces[-1])
        self._text = "".join(pieces)

    def _drop(self, length: int) -> None:
        self._text = self._text[length:]

    def _skip(self, position: int) -> int:
        match = _BLANK.match(self._text, position)
        return match.end() if match else position

    def _place(self) -> str:
        return f"behind row {self._rows}" if self._rows else "before the first row's end"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotAPage("a key that stands twice in one object")
    return found


def _constant(_: str) -> float:
    raise NotAPage("NaN or Infinity, which JSON does not know")
