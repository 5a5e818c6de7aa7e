"""Strings to types for rows that are provably clean: what the typing SQL would say of them, at a fraction of its cost.

Each column is proved as a whole with array operations: one usual spelling, no code outside its list, nothing missing,
nothing that spreadsheets lose, no moment out of order or after the pull. Where one cell fails the proof there is no
answer, and the SQL of ``ingestion.normalize`` looks at each row; a proof that succeeds gives the same typed values.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts import Column, Contract

_DIGITS_AT_MOST = 15
_LENGTHS = {"timestamp": len("2022-07-01 08:30:00"), "date": len("2022-07-01")}
#: The first year that is read.
_FIRST = 1900


def typed_if_clean(contract: Contract, raw: pa.Table, pulled_at: dt.datetime, lost: str) -> dict[str, pa.Array] | None:
    """Typed columns of the rows, ``_key`` and ``_deleted``, by name; None when a row may have a fault.

    ``raw``: a string column for each of the contract's columns, empty cells null. ``lost``: the pattern of a code that
    a spreadsheet has taken for a number. Moments are Beijing wall time, as ``pulled_at``.
    """
    typed: dict[str, pa.Array] = {}
    for column in contract.columns:
        values = raw[column.name].combine_chunks()
        found = _typed(column, values, lost, is_key=column.name in contract.key)
        if found is None:
            return None
        typed[column.name] = found
    if not _is_complete(contract, typed) or not _is_in_order(contract, typed, pulled_at):
        return None
    parts = [typed[name].cast(pa.string()) for name in contract.key]
    # The unit separator joins the parts of a key: see KEY_SEPARATOR in ingestion.normalize.
    typed["_key"] = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "\x1f")
    typed["_deleted"] = _deleted(contract, typed)
    return typed


def _typed(column: Column, values: pa.StringArray, lost: str, *, is_key: bool) -> pa.Array | None:
    kind = column.type
    if kind == "string":
        may_be_lost = column.personal or column.code_number or is_key
        return None if may_be_lost and _any(_looks_lost(values, lost)) else values
    if kind == "code":
        return values if _is_listed(values, column) else None
    if kind == "boolean":
        known = pc.all(pc.is_in(values, pa.array(["是", "否", None], pa.string()))).as_py()
        return pc.equal(values, "是") if known is not False else None
    if kind == "integer":
        return _integers(column, values)
    return _moments(values, kind) if kind in _LENGTHS else None


def _any(mask: pa.BooleanArray | None) -> bool:
    return mask is not None and bool(pc.any(mask).as_py())


def _looks_lost(values: pa.StringArray, lost: str) -> pa.BooleanArray | None:
    """Which values look like 6.527E+17; None where no value holds an E."""
    _, data = _buffers(values)
    if not ((data | 0x20) == ord("e")).any():
        return None
    return pc.match_substring_regex(values, f"^(?:{lost})$")


def _is_listed(values: pa.Array, column: Column) -> bool:
    allowed = pa.array([*column.values, None], values.type)
    return pc.all(pc.is_in(values, allowed)).as_py() is not False


def _integers(column: Column, values: pa.StringArray) -> pa.Array | None:
    offsets, data = _buffers(values)
    if len(values) and (np.diff(offsets).max() > _DIGITS_AT_MOST or (data - np.uint8(ord("0")) > 9).any()):
        return None
    found = values.cast(pa.int64())
    return found if not column.values or _is_listed(found, column) else None


def _moments(values: pa.StringArray, kind: str) -> pa.Array | None:
    offsets, _ = _buffers(values)
    lengths = np.diff(offsets)
    if values.null_count:
        lengths = lengths[values.is_valid().to_numpy(zero_copy_only=False)]
    if (lengths != _LENGTHS[kind]).any():
        return None
    try:
        found = values.cast(pa.timestamp("us") if kind == "timestamp" else pa.date32())
    except pa.ArrowInvalid:  # its text holds the cell
        return None
    first = pc.min(found).as_py()
    return None if first is not None and first.year < _FIRST else found


def _buffers(values: pa.StringArray) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Offsets of the values and the bytes they lie in; nothing but the values' own bytes."""
    _, offsets, data = values.buffers()
    positions = np.frombuffer(offsets, dtype=np.int32, count=len(values) + 1 + values.offset)[values.offset :]
    if data is None:
        return positions, np.empty(0, np.uint8)
    return positions, np.frombuffer(data, dtype=np.uint8)[positions[0] : positions[-1]]


def _deleted(contract: Contract, typed: dict[str, pa.Array]) -> pa.Array:
    if not contract.has_deletions:
        return pa.repeat(False, len(typed[contract.key[0]]))
    return pc.fill_null(pc.equal(typed["sync_type"], "D"), False)


def _is_complete(contract: Contract, typed: dict[str, pa.Array]) -> bool:
    """Whether nothing required is missing; a row that deletes its key needs only the key and 更新时间."""
    kept: pa.Array | None = None

    def lacks(missing: pa.Array) -> bool:
        nonlocal kept
        if not pc.any(missing).as_py():
            return False
        if kept is None:
            kept = pc.invert(_deleted(contract, typed))
        return _any(pc.and_(missing, kept))

    if any(typed[name].null_count for name in (*contract.key, "updated_at")):
        return False
    for column in contract.columns:
        if not column.optional and typed[column.name].null_count and lacks(typed[column.name].is_null()):
            return False
    for rule in contract.required_any:
        missing = None
        for name in rule.columns:
            empty = typed[name].is_null()
            missing = empty if missing is None else pc.and_(missing, empty)
        for name, value in rule.when.items():
            if not pc.any(missing).as_py():
                break
            missing = pc.and_(missing, pc.fill_null(pc.equal(typed[name], value), False))
        if lacks(missing):
            return False
    return True


def _is_in_order(contract: Contract, typed: dict[str, pa.Array], pulled_at: dt.datetime) -> bool:
    """Whether no end lies before its start and no event after the pull."""
    if any(_any(pc.less(typed[end], typed[start])) for start, end in contract.ordered):
        return False
    for column in contract.columns:
        if not column.is_event:
            continue
        last = pc.max(typed[column.name]).as_py()
        if last is not None and last > (pulled_at if column.type == "timestamp" else pulled_at.date()):
            return False
    return True
