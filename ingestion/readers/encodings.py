"""Bytes to UTF-8, decoded strictly in a fixed order: byte order mark, UTF-8, GB18030. Never guessed, never ignored."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from ingestion.errors import DeliveryRefused

#: Bytes read at a time.
BLOCK = 4 << 20

_MARKS = (
    (codecs.BOM_UTF32_LE, None),
    (codecs.BOM_UTF32_BE, None),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def detect(file: BinaryIO, name: str) -> tuple[str, int]:
    """Encoding of the file and the length of its byte order mark; raises DeliveryRefused when it has neither.

    UTF-8 is what decodes as UTF-8 from the first to the last byte. What does not is GB18030, except when most of
    its characters are UTF-8 all the same: that is a damaged UTF-8 file, which GB18030 would turn into other
    characters without an error.
    """
    file.seek(0)
    head = file.read(4)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            if encoding is None:
                raise DeliveryRefused(f"{name}: UTF-32 is not supported; save it as UTF-8")
            if encoding == "utf-8" and (bad := _first_bad_utf8(file, len(mark))) is not None:
                raise _damaged(name, *bad)
            return encoding, len(mark)
    bad = _first_bad_utf8(file, 0)
    if bad is None:
        return "utf-8", 0
    if _utf8_share(file) > 0.5:
        raise _damaged(name, *bad)
    return "gb18030", 0


def blocks(file: BinaryIO, encoding: str, skip: int, name: str, foreign: set[int]) -> Iterator[bytes]:
    """The file as UTF-8 in blocks that end anywhere between two characters; ``skip`` leaves out the mark.

    ``foreign`` receives the numbers of the physical lines of a GB18030 file that are UTF-8: GB18030 would turn them
    into other characters without an error.
    """
    file.seek(skip)
    if encoding == "utf-8":
        while block := file.read(BLOCK):
            yield block
        return
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    line = 1
    while True:
        block = file.read(BLOCK)
        if encoding == "gb18030" and block:
            # Whole lines: no character of GB18030 holds the byte of a line feed.
            block += file.readline(BLOCK)
            foreign.update((line + _foreign_lines(np.frombuffer(block, np.uint8))).tolist())
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(b"\n")
            # from None: the original error holds the bytes of the file
            raise DeliveryRefused(
                f"{name}: near line {line}: neither UTF-8 nor {encoding.upper()}; save it as UTF-8 and deliver it again"
            ) from None
        line += text.count("\n")
        if text:
            yield text.encode("utf-8", "strict")
        if not block:
            return


def _damaged(name: str, offset: int, line: int) -> DeliveryRefused:
    return DeliveryRefused(f"{name}: byte {offset + 1} (line {line}) is not UTF-8, though the file is; export it again")


def _first_bad_utf8(file: BinaryIO, start: int) -> tuple[int, int] | None:
    """Offset and line of the first byte that is not UTF-8; None when all of it is."""
    buffer = bytearray(BLOCK)
    offset = start
    while True:
        file.seek(offset)
        length = file.readinto(buffer)  # type: ignore[attr-defined]
        # A character may be cut by the end of the block: the next block starts with it.
        cut = _whole_characters(buffer, length) if length == BLOCK else length
        if not _is_utf8(buffer, cut):
            try:
                buffer[:cut].decode("utf-8")
            except UnicodeDecodeError as error:
                return offset + error.start, _line_at(file, offset + error.start)
        if length < BLOCK:
            return None
        offset += cut


def _line_at(file: BinaryIO, offset: int) -> int:
    file.seek(0)
    line = 1
    while offset > 0 and (block := file.read(min(BLOCK, offset))):
        line += block.count(b"\n")
        offset -= len(block)
    return line


def _whole_characters(data: bytearray, length: int) -> int:
    """Length without the character that the end may have cut."""
    for back in range(1, min(4, length) + 1):
        if data[length - back] & 0xC0 != 0x80:
            return length - back if data[length - back] >= 0xC0 else length
    return length


def _is_utf8(data: bytearray, length: int) -> bool:
    offsets = pa.py_buffer(np.array([0, length], dtype=np.int64))
    one = pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, pa.py_buffer(data)])
    try:
        one.cast(pa.large_string())
    except pa.ArrowInvalid:
        return False
    return True


def _utf8_share(file: BinaryIO) -> float:
    """Share of the bytes beyond ASCII that belong to three-byte UTF-8 characters of the CJK block."""
    file.seek(0)
    beyond = inside = 0
    while block := file.read(BLOCK):
        high, sequences = _cjk_sequences(np.frombuffer(block, np.uint8))
        beyond += int(high.sum())
        inside += 3 * int(sequences.sum())
    return inside / beyond if beyond else 0.0


def _foreign_lines(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Lines (from 0) with at least four characters beyond ASCII, of which four in five are UTF-8."""
    high, sequences = _cjk_sequences(data)
    places = np.flatnonzero(sequences)
    if not places.size:
        return places
    breaks = np.flatnonzero(data == 0x0A)
    lines = np.arange(len(breaks) + 1)
    inside = 3 * np.bincount(np.searchsorted(breaks, places), minlength=len(lines))
    suspects = lines[inside >= 12]
    starts = np.concatenate([[0], breaks + 1])
    ends = np.append(breaks, len(data))
    beyond = {line: np.count_nonzero(high[starts[line] : ends[line]]) for line in suspects}
    return np.array([line for line in suspects if inside[line] > 0.8 * beyond[line]], dtype=np.int64)


def _cjk_sequences(data: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Where bytes lie beyond ASCII, and where three of them are a UTF-8 character of the CJK block (E4-E9).

    In GB18030 text the second is rare (under 2 in 100), in Chinese UTF-8 text it is nearly all.
    """
    high = data >= 0x80
    follows = high & (data < 0xC0)
    lead = (data - np.uint8(0xE4)) < 6
    sequences = np.zeros(len(data), dtype=bool)
    sequences[:-2] = lead[:-2] & follows[1:-1] & follows[2:] if len(data) > 2 else False
    return high, sequences
