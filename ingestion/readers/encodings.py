"""Bytes to UTF-8, decoded strictly in a fixed order: byte order mark, UTF-8, GB18030. Never guessed, never ignored."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from ingestion.errors import DeliveryRefused

#: Bytes read at a time.
BLOCK = 8 << 20

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


def blocks(file: BinaryIO, encoding: str, skip: int, name: str) -> Iterator[bytes]:
    """The file as UTF-8 in blocks that end anywhere between two characters; ``skip`` leaves out the mark."""
    file.seek(skip)
    if encoding == "utf-8":
        while block := file.read(BLOCK):
            yield block
        return
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    line = 1
    while True:
        block = file.read(BLOCK)
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(b"\n")
            # from None: the original error holds the bytes of the file
            raise DeliveryRefused(
                f"{name}: near line {line}: neither UTF-8 nor {encoding.upper()}; save the file as UTF-8 and deliver it again"
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
    file.seek(start)
    offset, line, rest = start, 1, b""
    while True:
        block = file.read(BLOCK)
        data = rest + block
        # A character may be cut by the end of the block: hold back its lead and what follows.
        cut = len(data) if not block else _whole_characters(data)
        if not _is_utf8(data[:cut]):
            try:
                data[:cut].decode("utf-8")
            except UnicodeDecodeError as error:
                return offset + error.start, line + data.count(b"\n", 0, error.start)
        if not block:
            return None
        offset, line, rest = offset + cut, line + data.count(b"\n", 0, cut), data[cut:]


def _whole_characters(data: bytes) -> int:
    """Length of data without the character that its end may have cut."""
    for back in range(1, min(4, len(data)) + 1):
        if data[-back] & 0xC0 != 0x80:
            return len(data) - back if data[-back] >= 0xC0 else len(data)
    return len(data)


def _is_utf8(data: bytes) -> bool:
    offsets = pa.py_buffer(np.array([0, len(data)], dtype=np.int64))
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
        high, sequences = cjk_sequences(np.frombuffer(block, np.uint8))
        beyond += int(high.sum())
        inside += 3 * int(sequences.sum())
    return inside / beyond if beyond else 0.0


def cjk_sequences(data: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Where bytes lie beyond ASCII, and where three of them are a UTF-8 character of the CJK block (E4-E9).

    In GB18030 text the second is rare (under 2 in 100), in Chinese UTF-8 text it is nearly all.
    """
    high = data >= 0x80
    follows = high & (data < 0xC0)
    lead = (data - np.uint8(0xE4)) < 6
    sequences = np.zeros(len(data), dtype=bool)
    sequences[:-2] = lead[:-2] & follows[1:-1] & follows[2:] if len(data) > 2 else False
    return high, sequences
