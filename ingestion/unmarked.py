"""Strings that no contract marks personal, and the phones and ids (身份证) that people put there all the same.

Titles, item names, units nobody knows, paths, links: a number in them is replaced by its sign. Codes of cases and
tickets stay, unless one is a citizen's id. What is decided here and why: docs/decisions/0008-personal-data.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts import Contract
from ingestion.personal import PseudonymKey
from ingestion.personal_numbers import ENOUGH_DIGITS, IDENTITY_IN_CODE, is_identity
from ingestion.redaction import redact_numbers

#: Hex digits of its token that stand behind a redacted cell.
TOKEN_MARK = 8

#: Values looked at to see whether they repeat.
_SAMPLE = 4096

#: Bytes of the shortest number that is looked for.
_SHORTEST = 10

_CODED_ID = re.compile(IDENTITY_IN_CODE)

Replace = Callable[[pa.Array], pa.Array]


class UnmarkedStrings:
    """Takes phones and ids out of the delivered strings of one contract that are not marked personal."""

    def __init__(self, contract: Contract, key: PseudonymKey, connection: duckdb.DuckDBPyConnection) -> None:
        self._key = key
        self._connection = connection
        strings = [column for column in contract.columns if column.type == "string" and not column.personal]
        self._columns: list[tuple[str, str, Replace]] = [
            (column.name, IDENTITY_IN_CODE, self._coded)
            if column.code_number
            else (column.name, ENOUGH_DIGITS, self._signed)
            for column in strings
        ]

    def without_numbers(self, raw: pa.Table) -> pa.Table:
        """The rows with those cells replaced; to be called before keys are made, so that key and column agree.

        A redacted cell keeps a piece of its token, so that two unknown names stay two; a code that is a citizen's id
        becomes its token, the same in every dataset that refers to it.
        """
        for name, pattern, replace in self._columns:
            if (found := _replaced(raw[name].combine_chunks(), pattern, replace)) is not None:
                raw = raw.set_column(raw.schema.get_field_index(name), name, found)
        return raw

    def _signed(self, cells: pa.Array) -> pa.Array:
        signed = redact_numbers(self._connection, cells)
        marks = pc.utf8_slice_codeunits(self._key.tokenise(cells), -TOKEN_MARK)
        return pc.if_else(pc.equal(signed, cells), cells, pc.binary_join_element_wise(signed, marks, "#"))

    def _coded(self, cells: pa.Array) -> pa.Array:
        # Of the few that have an id's shape those with its check digit.
        ids = [any(is_identity(match[2]) for match in _CODED_ID.finditer(cell)) for cell in cells.to_pylist()]
        return pc.if_else(pa.array(ids, pa.bool_()), self._key.tokenise(cells), cells)


def _replaced(whole: pa.Array, pattern: str, replace: Replace) -> pa.Array | None:
    """The cells with what ``replace`` makes of those that match; None where none does. Repeated values: once each."""
    sample = whole.slice(0, _SAMPLE)
    if pc.count_distinct(sample).as_py() > len(sample) // 2:
        return _matching_replaced(whole, pattern, replace)
    encoded = whole.dictionary_encode()
    found = _matching_replaced(encoded.dictionary, pattern, replace)
    return None if found is None else found.take(encoded.indices)


def _matching_replaced(whole: pa.Array, pattern: str, replace: Replace) -> pa.Array | None:
    if (pc.max(pc.binary_length(whole)).as_py() or 0) < _SHORTEST:
        return None
    hit = pc.fill_null(pc.match_substring_regex(whole, pattern), False)
    if not pc.any(hit).as_py():
        return None
    return pc.replace_with_mask(whole, hit, replace(whole.filter(hit)).cast(whole.type))
