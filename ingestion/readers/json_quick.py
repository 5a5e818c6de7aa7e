"""Rows of a JSON page decoded by Arrow, where it provably says what the standard decoder would, several times faster.

Arrow's parser is strict where it matters: a key that stands twice, another kind of value than the column's, half a
surrogate pair, a number that is no integer, a key that is not known, anything behind a row, all are errors. What it
does not see is looked at here: a comma missing between two rows, bytes that are no UTF-8, integers that lose digits.
Whatever is not proved is left to the standard decoder, and it says what is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from ingestion.readers.cells import LOSSY_FROM, narrow

_KINDS = {str: pa.string(), int: pa.int64(), bool: pa.bool_()}

#: So many runs in a row that could not be decoded here, and no more are tried: the page is of another kind.
_PATIENCE = 3


class QuickRows:
    """Decodes runs of rows that are like those it has learnt from.

    ``integers``: narrowed keys that are taken for integers as long as nothing but nulls has been seen of them.
    """

    def __init__(self, integers: Iterable[str] = ()) -> None:
        self._integers = frozenset(integers)
        self._kinds: dict[str, set[type]] = {}
        self._failed = 0

    def learn(self, rows: list[dict[str, Any]]) -> None:
        """The keys of these rows, and which kinds of values each has."""
        for key in dict.fromkeys(key for keys in set(map(tuple, rows)) for key in keys):
            kinds = {type(row.get(key)) for row in rows} - {type(None)}
            self._kinds[key] = self._kinds.get(key, set()) | kinds

    def table(self, rows: bytes, between: bytes) -> pa.Table | None:
        """The rows of ``{...}, {...}`` as a table with a string column for each key; None where nothing is proved.

        ``between`` is what stands between two of them. Absent cells and nulls are empty; numbers and booleans are the
        text that the reader gives them.
        """
        schema = self._schema() if self._failed < _PATIENCE else None
        found = None if schema is None else _decoded(rows, between, schema)
        self._failed = 0 if found is not None else self._failed + 1
        return found

    def _schema(self) -> pa.Schema | None:
        """A column for each key; None where a key has values of several kinds, or is spelled in two ways."""
        fields = []
        for key, kinds in self._kinds.items():
            kind = _KINDS.get(next(iter(kinds), int if narrow(key) in self._integers else str))
            if len(kinds) > 1 or kind is None:
                return None
            fields.append(pa.field(key, kind))
        return pa.schema(fields) if fields and len({narrow(key) for key in self._kinds}) == len(fields) else None


def _decoded(rows: bytes, between: bytes, schema: pa.Schema) -> pa.Table | None:
    # Arrow reads one object after the other: of the commas only the line end is left, which no text may hold.
    lines = rows.replace(between + b"{", b"}\n{")
    try:
        table = pa_json.read_json(
            pa.BufferReader(lines),
            read_options=pa_json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
            parse_options=pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error"),
        )
        # It takes two objects with nothing between them for two rows. How many were parted the lengths tell, or the
        # line ends: to look for what stands between them once more takes half as long as to replace it.
        longer = len(between) - len(b"},")
        parted = (len(rows) - len(lines)) // longer if longer else _line_ends(lines) - _line_ends(rows)
        if table.num_rows != parted + 1:
            return None
        table.validate(full=True)  # UTF-8
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    columns = [_texts(column.combine_chunks()) for column in table.columns]
    return None if any(column is None for column in columns) else pa.table(columns, names=table.column_names)


def _line_ends(data: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord("\n")))


def _texts(values: pa.Array) -> pa.StringArray | None:
    """As ``json_reader._text`` says it of each value; None where an integer is one that spreadsheets lose."""
    if pa.types.is_boolean(values.type):
        values = pc.if_else(values, "是", "否")
    elif pa.types.is_integer(values.type):
        extremes = pc.min_max(values).as_py()
        if any(value is not None and abs(value) >= LOSSY_FROM for value in extremes.values()):
            return None
        values = values.cast(pa.string())
    return pc.fill_null(values, "") if values.null_count else values
