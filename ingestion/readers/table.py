"""What every reader is: a table of narrowed strings in batches, and the account of the lines that are not in it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts import Column, Contract
from ingestion.errors import DeliveryRefused
from ingestion.personal_numbers import masked
from ingestion.readers.cells import empty_as_null, has_length, mask, narrow_column
from ingestion.readers.headers import HeaderMap, is_header_row

#: Rows of a batch at most.
BATCH_ROWS = 65_536

#: A file with more damaged rows than this is refused at once: the list of them must fit into memory.
MOST_BAD_ROWS = 100_000

_ROW_FIELD = pa.field("_row", pa.int64(), nullable=False)


@dataclass(frozen=True)
class BadRow:
    """A row that could not be read as a row of the table: where (physical line or sheet row), and why."""

    row: int
    column: str | None
    header: str | None
    reason: str
    value_masked: str


@dataclass(frozen=True)
class Finding:
    """Something to report that lost no row."""

    row: int | None
    column: str | None
    kind: str
    detail: str


@dataclass(frozen=True)
class Chunk:
    """Some rows as they stand in the file: a string array for each physical column, and the rows' numbers."""

    columns: list[pa.StringArray]
    rows: np.ndarray[Any, Any]
    #: Is it proven that no value needs trimming or narrowing?
    tidy: bool = False


class TableReader(ABC):
    """One delivered file as a table; use it as a context manager and exhaust ``batches`` once.

    Before ``batches`` is exhausted, ``columns``, ``extra_columns`` and ``missing_optional`` are known; afterwards
    ``bad_rows``, ``findings``, ``rows_in`` and ``rows_other`` are complete. For a CSV
    ``rows_in + rows_other`` is the number of its physical lines (the second and further lines of a record with
    quoted newlines are among the others), for a workbook the number of rows down to the last filled one, for JSON
    ``rows_other`` is 0.
    """

    #: Can a value stand in the wrong column because a separator was lost or added? Not in a sheet of cells.
    shifts = True

    #: Position in the file of the table's first column: a sheet may leave columns free before it.
    first_column = 0

    def __init__(self, name: str, contract: Contract) -> None:
        self.name = name
        self.contract = contract
        self.bad_rows: list[BadRow] = []
        self.findings: list[Finding] = []
        self.rows_in = 0
        self.rows_other = 0
        self.header: HeaderMap | None = None
        #: The period that the file itself names (JSON pages do), complete after ``batches``; else None.
        self.period: str | None = None
        #: Told of the rows as they stand in the file (chunks, and the text of each damaged row), for a copy of it.
        self.on_chunk: Callable[[Chunk], object] | None = None
        self.on_damaged: Callable[[int, str], object] | None = None
        self._closing: list[Callable[[], object]] = []

    # -- what a user of the reader sees ------------------------------------------------------------------------

    @property
    def columns(self) -> tuple[str, ...]:
        """English names of the contract's columns that the file has, in the contract's order."""
        return self.header.present if self.header else ()

    @property
    def extra_columns(self) -> tuple[str, ...]:
        """Headers that the contract does not know; their values are kept out."""
        return self.header.extra if self.header else ()

    @property
    def missing_optional(self) -> tuple[str, ...]:
        """English names of optional columns that the file does not have; they come as nulls."""
        return self.header.missing_optional if self.header else ()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Batches of at most 65,536 good rows: every contract column as string, then ``_row`` (int64).

        Empty cells are null; values are trimmed and NFKC-narrowed (free text is only trimmed). Raises
        DeliveryRefused, also late, when the file cannot be trusted as a whole: nothing of it may be kept then.
        """
        for chunk in self._chunks():
            if self.on_chunk:
                self.on_chunk(chunk)
            batch = self._finish(chunk)
            for start in range(0, batch.num_rows, BATCH_ROWS):
                part = batch.slice(start, BATCH_ROWS)
                self.rows_in += part.num_rows
                yield part
        self.rows_in += len(self.bad_rows)
        self.bad_rows.sort(key=lambda bad: bad.row)

    def close(self) -> None:
        """Let go of files and child processes."""
        while self._closing:
            self._closing.pop()()

    def __enter__(self) -> TableReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- what a reader of one format does ----------------------------------------------------------------------

    @abstractmethod
    def _chunks(self) -> Iterator[Chunk]:
        """The rows below the header, title and total lines left out, bad rows set aside."""

    def _refusal(self, what: str, to_do: str = "") -> DeliveryRefused:
        return DeliveryRefused(f"{self.name}: {what}" + (f"; {to_do}" if to_do else ""))

    def _use_header(self, header: HeaderMap) -> None:
        """Take this header; reports extra and missing columns."""
        self.header = header
        self._report_extra(header.extra, header.row or None)
        for missing in header.missing_optional:
            self.findings.append(
                Finding(
                    header.row or None,
                    missing,
                    "missing_optional_column",
                    f"{self.contract.column(missing).header} is absent",
                )
            )

    def _report_extra(self, headers: tuple[str, ...], row: int | None) -> None:
        for text in headers:
            self.findings.append(
                Finding(row, None, "extra_column", f"unknown column {masked(text)[:40]!r} is kept out")
            )

    def _set_aside(self, row: int, reason: str, text: str, column: Column | None = None) -> None:
        """Count a row as damaged; only the mask of ``text`` is kept."""
        english, header = (column.name, column.header) if column else (None, None)
        self.bad_rows.append(BadRow(row, english, header, reason, mask(text)))
        if self.on_damaged and self.shifts:
            self.on_damaged(row, text)
        if len(self.bad_rows) > MOST_BAD_ROWS:
            first = min(bad.row for bad in self.bad_rows)
            raise self._refusal(f"more than {MOST_BAD_ROWS} damaged rows, the first in row {first}", "export it again")

    # -- the same for all formats ------------------------------------------------------------------------------

    def _finish(self, chunk: Chunk) -> pa.RecordBatch:
        """Narrowed contract columns of a chunk; blank rows counted, values under no header set aside."""
        header = self.header
        if header is None:
            raise AssertionError("a chunk before the header")
        columns, rows = self._narrowed(chunk), chunk.rows
        keep = self._rows_to_keep(header, columns, rows)
        if keep is not None:
            columns = [column.filter(keep) for column in columns]
            rows = rows[keep.to_numpy(zero_copy_only=False)]
        arrays = []
        for column in self.contract.columns:
            position = header.positions.get(column.name)
            arrays.append(pa.nulls(len(rows), pa.string()) if position is None else columns[position])
        names = [pa.field(column.name, pa.string()) for column in self.contract.columns]
        return pa.RecordBatch.from_arrays([*arrays, pa.array(rows, pa.int64())], schema=pa.schema([*names, _ROW_FIELD]))

    def _narrowed(self, chunk: Chunk) -> list[pa.StringArray]:
        assert self.header is not None  # noqa: S101 - for the type checker
        if chunk.tidy:
            return [empty_as_null(column) for column in chunk.columns]
        texts = {
            self.header.positions[column.name]
            for column in self.contract.columns
            if column.personal == "text" and column.name in self.header.positions
        }
        return [narrow_column(column, fold=position not in texts) for position, column in enumerate(chunk.columns)]

    def _rows_to_keep(
        self, header: HeaderMap, columns: list[pa.StringArray], rows: np.ndarray[Any, Any]
    ) -> pa.BooleanArray | None:
        """Which rows are rows of the table; None when all are. Refuses a second header among them."""
        self._refuse_second_header(header, columns, rows)
        drop: np.ndarray[Any, Any] | None = None
        key = columns[header.positions[self.contract.key[0]]]
        if key.null_count:
            drop = np.ones(len(rows), dtype=bool)
            for column in columns:
                drop &= column.is_null().to_numpy(zero_copy_only=False)
            self.rows_other += int(drop.sum())
        for position in header.unnamed:
            if columns[position].null_count == len(rows):
                continue
            filled = columns[position].is_valid().to_numpy(zero_copy_only=False)
            if not self.shifts:
                first = int(rows[np.argmax(filled)])
                detail = f"values in column {position + 1}, which has no header, are kept out"
                self.findings.append(Finding(first, None, "value_without_header", detail))
                continue
            drop = np.zeros(len(rows), dtype=bool) if drop is None else drop
            for index in np.flatnonzero(filled & ~drop):
                value = columns[position][int(index)].as_py()
                self._set_aside(int(rows[index]), f"value in column {position + 1}, which has no header", value)
            drop |= filled
        return None if drop is None or not drop.any() else pa.array(~drop)

    def _refuse_second_header(
        self, header: HeaderMap, columns: list[pa.StringArray], rows: np.ndarray[Any, Any]
    ) -> None:
        for position, text in header.probes:
            if not has_length(columns[position], len(text.encode())):
                continue
            same = pc.equal(columns[position], text)
            if not pc.any(same).as_py():
                continue
            for index in np.flatnonzero(pc.fill_null(same, False).to_numpy(zero_copy_only=False)):
                cells = [column[int(index)].as_py() or "" for column in columns]
                if is_header_row(cells, header):
                    raise self._second_header(int(rows[index]))

    def _second_header(self, row: int) -> DeliveryRefused:
        return self._refusal(
            f"a second header in row {row}: two header rows or two tables in one file", "deliver one table a file"
        )
