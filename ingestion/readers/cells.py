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
    offsets, _ = _buffers(values)
    filled = offsets[1:] > offsets[:-1]
    if filled.all():
        return values
    bitmap = pa.py_buffer(np.packbits(filled, bitorder="little"))
    _, offset_buffer, data_buffer = values.buffers()
    return pa.StringArray.from_buffers(len(values), offset_buffer, data_buffer, bitmap)


def _buffers(values: pa.StringArray) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Offsets and bytes of a string array without nulls or offset."""
    _, offsets, data = values.buffers()
    positions = np.frombuffer(offsets, dtype=np.int32, count=len(values) + 1)
    used = np.frombuffer(data, dtype=np.uint8)[: positions[-1]] if data else np.empty(0, np.uint8)
    return positions, used


def _has_compatibility_bytes(data: np.ndarray[Any, Any]) -> bool:
    """Whether UTF-8 bytes hold a character outside ASCII and U+4000-U+9FFF: lead bytes C2-E3 and EA-F4."""
    return bool(((data - np.uint8(0xC2)) < 0x22).any() or (data >= 0xEA).any())


def _has_outer_space(offsets: np.ndarray[Any, Any], data: np.ndarray[Any, Any]) -> bool:
    """Whether a value starts or ends with an ASCII control character or space."""
    starts, ends = offsets[:-1], offsets[1:]
    filled = ends > starts
    if not filled.all():
        starts, ends = starts[filled], ends[filled]
    return bool(starts.size) and bool((data[starts] <= 32).any() or (data[ends - 1] <= 32).any())
