"""Cells: from what a file holds to narrowed Arrow strings, and from a value to a mask that may be shown."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: Integers from here on have lost digits in a spreadsheet (or could have in a JSON reader): shown as 6.527E+17.
LOSSY_FROM = 1e15

MASK_LENGTH = 24

#: Bytes that ``is_tidy`` looks at in one go.
_TIDY_PIECE = 1 << 17

_CJK = re.compile(r"[⺀-鿿豈-﫿\U00020000-\U0003ffff]")


def mask(text: str) -> str:
    """The shape of a value without the value: digits become 9, letters a, Chinese characters 汉; 24 of them at most."""
    shape = []
    for char in text[:MASK_LENGTH]:
        if char.isnumeric() and not _CJK.match(char):
            shape.append("9")
        elif _CJK.match(char):
            shape.append("汉")
        elif char.isalpha():
            shape.append("a")
        elif char in "\t " or not char.isprintable():
            shape.append(" ")
        else:
            shape.append(char if ord(char) < 128 else "?")
    return "".join(shape) + ("…" if len(text) > MASK_LENGTH else "")


def narrow(text: str) -> str:
    """NFKC and trimmed: what headers and labels are compared by."""
    return unicodedata.normalize("NFKC", text).replace("\ufeff", "").strip()


def number_text(value: float) -> str:
    """A number as text: ``12`` for whole ones, else the shortest that reads back, ``6.527E+17`` from 1e15 on."""
    if not abs(value) < LOSSY_FROM:
        mantissa, _, exponent = f"{Decimal(value):.15E}".partition("E")
        return f"{mantissa.rstrip('0').rstrip('.')}E{exponent}"
    if isinstance(value, int) or value.is_integer():
        return str(int(value))
    return repr(value)


def narrow_column(values: pa.StringArray, *, fold: bool) -> pa.StringArray:
    """Trimmed values, NFKC-narrowed too when ``fold``; empty ones are null.

    Costs a look at the bytes where nothing is to be done: ASCII and the CJK block are their own NFKC form, and only
    a value that starts or ends in white space needs trimming.
    """
    if values.null_count:
        values = pc.fill_null(values, "")
    if values.offset:
        values = pa.concat_arrays([values])
    offsets, data = _buffers(values)
    odd = _has_compatibility_bytes(data)
    if odd and fold:
        values = pc.utf8_normalize(values, form="NFKC")
    if odd or _has_outer_space(offsets, data):
        values = pc.utf8_trim_whitespace(values)
    return empty_as_null(values)


def empty_as_null(values: pa.StringArray) -> pa.StringArray:
    """Values without nulls or offset; the empty ones become null."""
    offsets, _ = _buffers(values)
    filled = offsets[1:] > offsets[:-1]
    if filled.all():
        return values
    bitmap = pa.py_buffer(np.packbits(filled, bitorder="little"))
    _, offset_buffer, data_buffer = values.buffers()
    return pa.StringArray.from_buffers(len(values), offset_buffer, data_buffer, bitmap)


def has_length(values: pa.StringArray, length: int) -> bool:
    """Whether a value is so many bytes long."""
    if values.offset:
        values = pa.concat_arrays([values])
    offsets, _ = _buffers(values)
    return bool((np.diff(offsets) == length).any())


def is_tidy(data: np.ndarray[Any, Any], delimiter: int) -> bool:
    """Whether no field of these whole CSV records needs trimming or narrowing, proven on their bytes.

    No quote (so that each line end ends a record), no character beyond ASCII and the CJK block, and each white space or
    control character but line ends stands between two characters that are part of a field.
    """
    if data.size and (data[0] <= 32 or (data[-1] <= 32 and data[-1] != 10)):
        return False
    # In pieces that stay in the processor's cache; each sees one byte of its neighbours.
    return all(
        _is_tidy(data[max(start - 1, 0) : start + _TIDY_PIECE + 1], delimiter)
        for start in range(0, len(data), _TIDY_PIECE)
    )


def _is_tidy(data: np.ndarray[Any, Any], delimiter: int) -> bool:
    if _has_compatibility_bytes(data) or (data == ord('"')).any():
        return False
    places = np.flatnonzero(data <= 32)
    kinds = data[places]
    space = (kinds != 10) & (kinds != delimiter) & (places > 0) & (places < len(data) - 1)
    if (kinds == 13).any():
        # Of CRLF the return is part of the line end; one inside quotes is not.
        space &= (kinds != 13) | (data[np.minimum(places + 1, len(data) - 1)] != 10)
    places = places[space]
    return not any(_ends_field(data[places + step], delimiter).any() for step in (-1, 1))


def _ends_field(neighbours: np.ndarray[Any, Any], delimiter: int) -> np.ndarray[Any, Any]:
    """Which of these characters beside a white space may be the border of a field, or are white space themselves."""
    return (neighbours <= 32) | (neighbours == delimiter)


def _buffers(values: pa.StringArray) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Offsets and bytes of a string array without nulls or offset."""
    _, offsets, data = values.buffers()
    positions = np.frombuffer(offsets, dtype=np.int32, count=len(values) + 1)
    used = np.frombuffer(data, dtype=np.uint8)[: positions[-1]] if data else np.empty(0, np.uint8)
    return positions, used


def _has_compatibility_bytes(data: np.ndarray[Any, Any]) -> bool:
    """Whether UTF-8 bytes hold a character outside ASCII and U+4000-U+9FFF: lead bytes C2-E3 and EA-F4."""
    # Less 0xE4 the lead bytes C2-E3 are the greatest that a byte can be.
    return bool(data.size) and bool((data - np.uint8(0xE4)).max() >= 0xDE or data.max() >= 0xEA)


def _has_outer_space(offsets: np.ndarray[Any, Any], data: np.ndarray[Any, Any]) -> bool:
    """Whether a value starts or ends with an ASCII control character or space."""
    starts, ends = offsets[:-1], offsets[1:]
    filled = ends > starts
    if not filled.all():
        starts, ends = starts[filled], ends[filled]
    return bool(starts.size) and bool((data[starts] <= 32).any() or (data[ends - 1] <= 32).any())
