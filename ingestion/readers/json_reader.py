"""JSON: the API's page object, ``{"dataset", "period", "page", "pages", "total", "rows": [{header: value, ...}]}``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from operator import methodcaller
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from ingestion.contracts import Contract
from ingestion.readers.cells import narrow, number_text
from ingestion.readers.headers import HeaderMap
from ingestion.readers.table import Chunk, TableReader

#: Larger page objects are refused: a page is parsed as a whole.
LARGEST = 512 << 20


class _Refused(ValueError):
    """What the decoder's hooks found; its text holds no value."""


class JsonReader(TableReader):
    """One page object; ``_row`` is the index of the row in it, from 1."""

    def __init__(self, file: BinaryIO, name: str, contract: Contract) -> None:
        super().__init__(name, contract)
        self._closing.append(file.close)
        page = self._page(file)
        self._rows = self._checked_rows(page)
        self._read_header()

    def _page(self, file: BinaryIO) -> dict[str, Any]:
        data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise self._refusal(f"a page of more than {LARGEST >> 20} MB", "deliver it in several pages")
        try:
            text = data.decode("utf-8-sig")
            page = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
        except UnicodeDecodeError as error:
            raise self._refusal(f"byte {error.start + 1} is not UTF-8", "JSON is UTF-8: export it again") from None
        except json.JSONDecodeError as error:
            raise self._refusal(
                f"no JSON at line {error.lineno}, column {error.colno}: {error.msg}", "it may be cut: export it again"
            ) from None
        except _Refused as error:
            raise self._refusal(str(error), "export it again") from None
        except (RecursionError, ValueError):
            raise self._refusal("nested too deeply, or a number with thousands of digits", "export it again") from None
        if not isinstance(page, dict):
            raise self._refusal("not a page object", 'deliver {"dataset": ..., "rows": [...]}')
        return page

    def _checked_rows(self, page: dict[str, Any]) -> list[dict[str, Any]]:
        if page.get("dataset", self.contract.dataset) != self.contract.dataset:
            raise self._refusal(f"the page is of another dataset than {self.contract.dataset}", "deliver it there")
        rows = page.get("rows")
        if not isinstance(rows, list):
            raise self._refusal("no list of rows", 'a month with nothing is "rows": []')
        kinds = set(map(type, rows)) - {dict}
        if kinds:
            raise self._refusal("a row that is no object {header: value}", "export it again")
        return rows

    def _read_header(self) -> None:
        keys = dict.fromkeys(key for keys in set(map(tuple, self._rows)) for key in keys)
        known = {narrow(column.header): column for column in self.contract.columns}
        self._keys: dict[str, str] = {}
        extra = []
        for key in keys:
            column = known.get(narrow(key))
            if column is None:
                extra.append(key)
            elif column.name in self._keys:
                raise self._refusal(f"column {column.header} stands twice in a row", "leave one of them out")
            else:
                self._keys[column.name] = key
        if not self._rows:
            self._keys = {column.name: column.header for column in self.contract.columns}
        missing = [column for column in self.contract.columns if column.name not in self._keys]
        required = [column.header for column in missing if not column.optional]
        if required:
            raise self._refusal(f"no row has {'、'.join(required)}", f"add what {self.contract.title} needs")
        present = tuple(column.name for column in self.contract.columns if column.name in self._keys)
        self._use_header(
            HeaderMap(
                0,
                tuple(self.contract.column(name).header for name in present),
                {name: position for position, name in enumerate(present)},
                present,
                tuple(extra),
                tuple(column.name for column in missing),
                (),
            )
        )

    def _chunks(self) -> Iterator[Chunk]:
        for start in range(0, len(self._rows), 65_536):
            rows = self._rows[start : start + 65_536]
            numbers = np.arange(start + 1, start + len(rows) + 1, dtype=np.int64)
            columns = [self._column(rows, name) for name in self.columns]
            yield Chunk(columns, numbers)

    def _column(self, rows: list[dict[str, Any]], name: str) -> pa.StringArray:
        values = list(map(methodcaller("get", self._keys[name], ""), rows))
        kinds = set(map(type, values))
        if not kinds <= {str}:
            if kinds - {str, int, float, bool, type(None)}:
                header = self.contract.column(name).header
                raise self._refusal(f"a list or object in column {header}", "a cell is a text, a number or null")
            values = [value if type(value) is str else _text(value) for value in values]
        try:
            return pa.array(values, pa.string())
        except (UnicodeEncodeError, pa.ArrowInvalid):
            raise self._refusal(
                f"half a surrogate pair in column {self.contract.column(name).header}", "export it again"
            ) from None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    return number_text(value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("a key that stands twice in one object")
    return found


def _constant(_: str) -> float:
    raise _Refused("NaN or Infinity, which JSON does not know")
