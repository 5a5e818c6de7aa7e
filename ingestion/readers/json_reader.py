"""JSON: the API's page object, ``{"dataset", "period", "page", "pages", "total", "rows": [{header: value, ...}]}``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from operator import methodcaller
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from ingestion.contracts import Contract
from ingestion.personal_numbers import masked
from ingestion.readers.cells import narrow, number_text
from ingestion.readers.headers import HeaderMap
from ingestion.readers.json_pages import NotAPage, Page, Run
from ingestion.readers.json_quick import QuickRows
from ingestion.readers.table import Chunk, TableReader

_CELLS = {str, int, float, bool, type(None)}


class JsonReader(TableReader):
    """One page object; ``_row`` is the index of the row in it, from 1.

    JSON has no header line: ``columns`` and the like are those of the first rows until ``batches`` is exhausted.
    """

    def __init__(self, file: BinaryIO, name: str, contract: Contract) -> None:
        super().__init__(name, contract)
        self._closing.append(file.close)
        self._known = {narrow(column.header): column.name for column in contract.columns}
        self._page = Page(file)
        self._quick = QuickRows(narrow(column.header) for column in contract.columns if column.type == "integer")
        self._runs = self._checked_runs()
        self._first: Run = next(self._runs, [])
        if self._lacks_columns(self._first):
            # The first rows are few; what they all lack, those behind them may have.
            self._first = self._first + next(self._runs, [])
        self._page.quick = self._quick.table
        self._use_header(self._header(self._keys(self._first), self._first))

    # -- the page ----------------------------------------------------------------------------------------------

    def _checked_runs(self) -> Iterator[Run]:
        """Runs of rows; what stands beside them is checked when all are read."""
        try:
            for rows in self._page.runs():
                if isinstance(rows, list):
                    if set(map(type, rows)) - {dict}:
                        raise self._refusal("a row that is no object {header: value}", "export it again")
                    self._quick.learn(rows)
                if len(rows):
                    yield rows
        except NotAPage as error:
            raise self._refusal(str(error), "export it again") from None
        fields = self._page.fields
        if fields.get("dataset", self.contract.dataset) != self.contract.dataset:
            raise self._refusal(f"the page is of another dataset than {self.contract.dataset}", "deliver it there")
        period = fields.get("period")
        if period is not None and not isinstance(period, str):
            raise self._refusal("the page's period is no text", "write it as YYYY-MM")
        self.period = period

    # -- the columns -------------------------------------------------------------------------------------------

    def _lacks_columns(self, rows: list[dict[str, Any]]) -> bool:
        keys = self._keys(rows)
        return bool(rows) and any(not c.optional and c.name not in keys for c in self.contract.columns)

    def _keys(self, rows: Run) -> dict[str, str]:
        """Column -> key of the rows; keys that the contract does not know stand under themselves."""
        keys: dict[str, str] = {}
        spelled = (
            dict.fromkeys(key for keys in set(map(tuple, rows)) for key in keys)
            if isinstance(rows, list)
            else rows.column_names
        )
        for key in spelled:
            name = self._known.get(narrow(key), key)
            if name in keys:
                raise self._refusal(f"column {masked(narrow(key))[:40]} stands twice in a row", "leave one of them out")
            keys[name] = key
        return keys

    def _header(self, keys: dict[str, str], rows: list[dict[str, Any]]) -> HeaderMap:
        missing = [column for column in self.contract.columns if rows and column.name not in keys]
        # A page can hold deletions alone, which need only their key and 更新时间.
        needed = {*self.contract.key, "updated_at"} if self._are_deletions(rows, keys) else self.contract.by_name.keys()
        if required := [column.header for column in missing if not column.optional and column.name in needed]:
            raise self._refusal(f"no row has {'、'.join(required)}", f"add what {self.contract.title} needs")
        return HeaderMap(
            row=0,
            cells=tuple(column.header for column in self.contract.columns),
            positions={column.name: position for position, column in enumerate(self.contract.columns)},
            present=tuple(column.name for column in self.contract.columns if column not in missing),
            extra=tuple(key for name, key in keys.items() if name not in self.contract.by_name),
            missing_optional=tuple(column.name for column in missing),
            unnamed=(),
        )

    def _are_deletions(self, rows: list[dict[str, Any]], keys: dict[str, str]) -> bool:
        sync = keys.get("sync_type") if self.contract.has_deletions else None
        return sync is not None and all(narrow(str(row.get(sync))) == "D" for row in rows)

    def _note_new_keys(self, keys: dict[str, str]) -> None:
        """Keys that only later rows have."""
        header = self.header
        if header is None or (keys.keys() <= {*header.present, *header.extra}):
            return
        present = tuple(name for name in self.contract.by_name if name in header.present or name in keys)
        extra = tuple(
            key for name, key in keys.items() if name not in self.contract.by_name and key not in header.extra
        )
        missing = tuple(name for name in header.missing_optional if name not in keys)
        self.findings = [finding for finding in self.findings if finding.column not in set(present)]
        self._report_extra(extra, None)
        self.header = replace(header, present=present, extra=header.extra + extra, missing_optional=missing)

    # -- the rows ----------------------------------------------------------------------------------------------

    def _chunks(self) -> Iterator[Chunk]:
        rows, start = self._first, 1
        while len(rows):
            keys = self._keys(rows)
            self._note_new_keys(keys)
            columns = [self._column(rows, column.name, keys) for column in self.contract.columns]
            yield Chunk(columns, np.arange(start, start + len(rows), dtype=np.int64))
            start += len(rows)
            rows = next(self._runs, [])

    def _column(self, rows: Run, name: str, keys: dict[str, str]) -> pa.StringArray:
        if name not in keys:
            return pa.array([""] * len(rows), pa.string())
        if isinstance(rows, pa.Table):
            return rows[keys[name]].combine_chunks()
        values = list(map(methodcaller("get", keys[name], ""), rows))
        kinds = set(map(type, values))
        header = self.contract.column(name).header
        if not kinds <= {str}:
            if kinds - _CELLS:
                raise self._refusal(f"a list or object in column {header}", "a cell is a text, a number or null")
            # With the type, since 1, 1.0 and True are equal; each distinct value becomes text once.
            typed = list(zip(map(type, values), values, strict=True))
            text = {pair: _text(pair[1]) for pair in set(typed)}
            values = list(map(text.__getitem__, typed))
        try:
            return pa.array(values, pa.string())
        except (UnicodeEncodeError, pa.ArrowInvalid):
            raise self._refusal(f"half a surrogate pair in column {header}", "export it again") from None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    return number_text(value)
