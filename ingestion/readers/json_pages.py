"""A page object piece by piece: ``{"dataset", "period", ..., "rows": [{...}, ...]}`` in bounded memory, strictly.

The rows are cut between two objects and each run of them is decoded by the standard decoder in one call. A cut that
is no cut (inside a text, or a nested value) leaves something that does not decode, so a wrong one cannot pass.
Who reads the rows may offer a quicker decoder of a run (``Page.quick``); where it declines, the standard one decides.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, BinaryIO, TypeAlias

import pyarrow as pa

#: Bytes decoded at a time; the first time fewer, since what the rows look like is learnt from them.
WINDOW = 8 << 20
FIRST_WINDOW = 1 << 16

#: Bytes read at a time.
BLOCK = 1 << 20

#: A single row, or what stands around the rows, of more bytes than this is refused.
LONGEST = 64 << 20

_BETWEEN_ROWS = re.compile(rb"\}[ \t\r\n]*+,[ \t\r\n]*+(?=\{)")
_BLANK = re.compile(rb"[ \t\r\n]*")
_BOM = b"\xef\xbb\xbf"

#: Rows as the standard decoder gives them, or as a table of the same where they were decoded more quickly.
Run: TypeAlias = list[Any] | pa.Table


class NotAPage(ValueError):
    """What is wrong with the page; its text holds no value of it."""


class Page:
    """One page object. ``runs`` gives its rows; ``fields`` (what stands beside them) is complete after that."""

    def __init__(self, file: BinaryIO) -> None:
        self.fields: dict[str, Any] = {}
        #: Asked first for a run of whole rows, and what stands between them; None: the standard decoder is to decide.
        self.quick: Callable[[bytes, bytes], pa.Table | None] | None = None
        self._file = file
        self._data = b""
        self._is_utf8 = True
        self._at_end = False
        self._decoder = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
        self._rows = 0

    def runs(self) -> Iterator[Run]:
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

    def _runs(self) -> Iterator[Run]:
        self._fill(FIRST_WINDOW)
        self._data = self._data.removeprefix(_BOM)
        position = self._skip(0)
        if self._data[position : position + 1] != b"{":
            raise NotAPage('no JSON page object {"dataset": ..., "rows": [...]}')
        self._drop(self._skip(position + 1))
        seen_rows = False
        if self._data[:1] == b"}":
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
                self._fill(FIRST_WINDOW)
                position = self._skip(0)
                mark = self._data[position : position + 1]
                self._drop(self._skip(position + 1))
                if mark == b"}":
                    break
                if mark != b",":
                    raise NotAPage(
                        f"no JSON {self._place()}: a comma or the end of the object is missing; it may be cut"
                    )
        self._fill(1)
        if self._skip(0) != len(self._data):
            raise NotAPage("no JSON: something follows the page object")
        if not seen_rows:
            raise NotAPage('no list of rows; a month with nothing is "rows": []')

    def _name(self) -> str:
        self._fill(FIRST_WINDOW)
        if self._data[:1] != b'"':
            self._text()  # bytes that are no text are the better reason
            raise NotAPage(f"no JSON {self._place()}: the name of a key is missing; it may be cut")
        text = self._text(FIRST_WINDOW)
        try:
            name, end = scanstring(text, 1, True)
        except json.JSONDecodeError:  # longer than that, or none
            text = self._text()
            name, end = scanstring(text, 1, True)
        end = self._skip(_bytes(text, end))
        if self._data[end : end + 1] != b":":
            raise NotAPage(f"no JSON {self._place()}: a colon is missing; it may be cut")
        self._drop(self._skip(end + 1))
        return str(name)

    def _value(self) -> Any:
        """A value beside the rows. They are short: the window holds it, or what is left of the file does."""
        for window in (FIRST_WINDOW, WINDOW):
            self._fill(window)
            last = window == WINDOW or self._at_end
            text = self._text(None if last else window)
            try:
                value, end = self._decoder.raw_decode(text, 0)
            except json.JSONDecodeError:
                if last:
                    raise
                continue
            if last or end < len(text):  # a number that the window ends in may go on
                break
        self._drop(_bytes(text, end))
        return value

    def _row_runs(self) -> Iterator[Run]:
        if self._data[:1] != b"[":
            raise NotAPage('no list of rows; a month with nothing is "rows": []')
        self._drop(1)
        wanted = min(WINDOW, FIRST_WINDOW)
        while True:
            self._fill(wanted)
            found = self._quick_run()
            if found is None and self._at_end:
                text = self._text()
                rows, end = self._decoder.raw_decode("[" + text, 0)
                self._rows += len(rows)
                self._drop(_bytes(text, end - 1))
                yield rows
                return
            found = found or self._longest_run(wanted)
            if found is None:
                # The window holds the end of the rows, or a row longer than it: read on.
                wanted = len(self._data) + WINDOW
                if wanted > LONGEST:
                    raise NotAPage(f"no end of a row {self._place()}")
                continue
            run, end = found
            self._rows += len(run)
            self._drop(end)
            wanted = WINDOW
            yield run

    def _cuts(self, within: int | None = None) -> list[tuple[int, int]]:
        """What looks like the space between two rows near the end of the data (or of its start), the last one first."""
        stop = min(len(self._data), within or len(self._data))
        return [match.span() for match in _BETWEEN_ROWS.finditer(self._data, max(0, stop - (1 << 18)), stop)][::-1]

    def _quick_run(self) -> tuple[pa.Table, int] | None:
        """Whole rows at the start of the data and where the next row starts, if the quicker decoder takes them."""
        if self.quick is None or not (cuts := self._cuts()):
            return None
        start, end = cuts[0]
        table = self.quick(self._data[: start + 1], self._data[start:end])
        return None if table is None else (table, end)

    def _longest_run(self, within: int) -> tuple[list[Any], int] | None:
        """Whole rows at the start of the data, in about so many bytes, and where the next row starts."""
        for start, end in self._cuts(within)[:49]:
            text = "[" + self._data[: start + 1].decode() + "]"
            try:
                rows, used = self._decoder.raw_decode(text, 0)
            except json.JSONDecodeError:
                continue
            if used == len(text):
                return rows, end
        return None

    def _fill(self, length: int) -> None:
        """Read until so many bytes are at hand or the file ends."""
        pieces, have = [self._data], len(self._data)
        while have < length and not self._at_end:
            block = self._file.read(BLOCK)
            self._at_end = not block
            pieces.append(block)
            have += len(block)
            self._is_utf8 = False
        self._data = b"".join(pieces)

    def _text(self, within: int | None = None) -> str:
        """The data at hand as text, or so many bytes of it; a character that the window cuts is left out.

        Raises UnicodeDecodeError wherever in the data at hand is none, which is looked for once.
        """
        if within is None or not self._is_utf8:
            text = codecs.utf_8_decode(self._data, "strict", self._at_end)[0]
            self._is_utf8 = True
            return text
        return codecs.utf_8_decode(self._data[:within], "strict", self._at_end and within >= len(self._data))[0]

    def _drop(self, length: int) -> None:
        self._data = self._data[length:]

    def _skip(self, position: int) -> int:
        match = _BLANK.match(self._data, position)
        return match.end() if match else position

    def _place(self) -> str:
        return f"behind row {self._rows}" if self._rows else "before the first row's end"


def _bytes(text: str, length: int) -> int:
    """How many bytes the first characters are."""
    return len(text[:length].encode())


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotAPage("a key that stands twice in one object")
    return found


def _constant(_: str) -> float:
    raise NotAPage("NaN or Infinity, which JSON does not know")
