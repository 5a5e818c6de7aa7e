"""XLSX: the first visible sheet, read by calamine in a child process with limits of memory and time."""

from __future__ import annotations

import importlib.util
import marshal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import pyarrow as pa

from ingestion.contracts import Contract
from ingestion.readers.headers import (
    HEADER_WITHIN,
    find_header,
    is_blank,
    is_header_row,
    is_title,
    is_total,
    map_header,
    no_header,
)
from ingestion.readers.table import Chunk, Finding, TableReader

_CHILD = Path(__file__).with_name("workbook_child.py")

#: Seconds on the clock after which the child is stopped in any case, however large the workbook.
_PATIENCE = 600

_FORMULA = "a formula without a stored value"


class WorkbookReader(TableReader):
    """One XLSX; ``_row`` is the row of the sheet, hidden rows counted."""

    shifts = False

    def __init__(self, file: BinaryIO, name: str, contract: Contract) -> None:
        super().__init__(name, contract)
        self._closing.append(file.close)
        self._frames = self._read(file)
        try:
            _, self.first_column, merged, marks = next(self._frames)
            #: Merged ranges (first row, first column, last row, last column) and cells without value, rows from 1.
            self._merged = [(top + 1, left, bottom + 1, right) for top, left, bottom, right in merged]
            self._marks = {(row + 1, column): kind for row, column, kind in marks}
            self._pending = self._first_block()
        except BaseException:
            self.close()
            raise

    # -- the child ---------------------------------------------------------------------------------------------

    def _read(self, file: BinaryIO) -> Iterator[tuple[Any, ...]]:
        """The child's frames; raises DeliveryRefused when it refuses, is stopped by its limits or breaks down."""
        package = importlib.util.find_spec("python_calamine")
        if package is None or package.origin is None:
            raise RuntimeError("python-calamine is not installed")
        file.seek(0)
        # Isolated, without site: 20 ms to start, and nothing of this process's environment.
        child = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_CHILD), str(Path(package.origin).parent.parent)],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
        )
        timer = threading.Timer(_PATIENCE, child.kill)
        timer.daemon = True
        timer.start()
        self._closing.append(lambda: _stop(child, timer))
        ended = False
        assert child.stdout is not None  # noqa: S101 - for the type checker
        while (frame := _receive(child.stdout)) is not None:
            if frame[0] == "refuse":
                raise self._refusal(frame[1], frame[2])
            ended = frame[0] == "end"
            if ended:
                break
            yield frame
        _stop(child, timer)
        if not ended:
            raise self._refusal(
                "it could not be read within the limits of memory and time",
                "save it again as .xlsx, in parts if it is large",
            )

    # -- the header --------------------------------------------------------------------------------------------

    def _first_block(self) -> tuple[int, list[list[str]]]:
        """Finds the header; gives the rest of the first block: its first row (from 1) and its columns."""
        _, first, columns = next(self._frames, ("rows", 0, []))
        records = [list(cells) for cells in zip(*(column[:HEADER_WITHIN] for column in columns), strict=True)]
        index, score = find_header(records, self.contract)
        if score < 2:
            raise no_header(self.contract, self.name)
        header = map_header(records[index], first + index + 1, self.contract, self.name)
        for number, cells in enumerate(records[:index], start=first + 1):
            if not is_title(cells) or is_header_row(cells, header):
                raise self._refusal(
                    f"row {number} above the header is neither a title nor blank", "deliver one header row"
                )
            if not is_blank(cells):
                self.findings.append(Finding(number, None, "title_line", "a row above the header was skipped"))
        # Rows of the sheet above its first filled one are rows too.
        self.rows_other += first + index + 1
        self._use_header(header)
        return first + index + 2, [column[index + 1 :] for column in columns]

    # -- the rows ----------------------------------------------------------------------------------------------

    def _chunks(self) -> Iterator[Chunk]:
        first, columns = self._pending
        for _, following, next_columns in self._frames:
            yield self._chunk(first, columns)
            first, columns = following + 1, next_columns
        self._drop_tail(first, columns)
        yield self._chunk(first, columns)

    def _drop_tail(self, first: int, columns: list[list[str]]) -> None:
        """Leave out blank and total rows at the end of the sheet."""
        assert self.header is not None  # noqa: S101 - for the type checker
        while columns[0]:
            cells = [column[-1] for column in columns]
            row = first + len(columns[0]) - 1
            marked = any((row, self.first_column + position) in self._marks for position in range(len(columns)))
            total = is_total(cells, self.header, self.contract)
            if not total and (marked or not is_blank(cells)):
                return
            if total:
                self.findings.append(Finding(row, None, "total_line", "a total row below the last row was skipped"))
            self.rows_other += 1
            for column in columns:
                column.pop()

    def _chunk(self, first: int, columns: list[list[str]]) -> Chunk:
        rows = np.arange(first, first + len(columns[0]), dtype=np.int64)
        bad = self._marked_rows(rows)
        self._refuse_merged(columns, first)
        arrays = [pa.array(column, pa.string()) for column in columns]
        if bad:
            if self.on_chunk:
                self.on_chunk(Chunk(arrays, rows))
            keep = ~np.isin(rows, np.array(sorted(bad)))
            arrays, rows = [array.filter(pa.array(keep)) for array in arrays], rows[keep]
        return Chunk(arrays, rows)

    def _marked_rows(self, rows: np.ndarray[Any, Any]) -> set[int]:
        """Rows set aside for an error value in a column of the contract; refuses formulas without a stored value."""
        assert self.header is not None  # noqa: S101 - for the type checker
        bad: set[int] = set()
        if not self._marks or not len(rows):
            return bad
        names = {self.first_column + position: name for name, position in self.header.positions.items()}
        for (row, column), kind in self._marks.items():
            if column not in names or not rows[0] <= row <= rows[-1] or row in bad:
                continue
            header = self.contract.column(names[column])
            if kind == "formula":
                raise self._refusal(
                    f"{_FORMULA} in row {row}, column {header.header}",
                    "open it in Excel, save it, and deliver it again",
                )
            bad.add(row)
            self._set_aside(row, "an error value of Excel (#N/A, #REF! ...)", "", header)
        return bad

    def _refuse_merged(self, columns: list[list[str]], first: int) -> None:
        """A merged cell among the rows holds its value once: which rows it is meant for cannot be known."""
        assert self.header is not None  # noqa: S101 - for the type checker
        used = {self.first_column + position for position in self.header.positions.values()}
        last = first + len(columns[0]) - 1
        for top, left, bottom, right in self._merged:
            if top > last or bottom < first or (top, left) == (bottom, right) or not used & set(range(left, right + 1)):
                continue
            for row in range(max(top, first), min(bottom, last) + 1):
                if any(column[row - first] for column in columns):
                    raise self._refusal(f"merged cells in row {row}", "unmerge them and fill each cell")


def _receive(stream: IO[bytes]) -> tuple[Any, ...] | None:
    length = stream.read(8)
    if len(length) < 8:
        return None
    size = int.from_bytes(length, "little")
    data = stream.read(size)
    return marshal.loads(data) if len(data) == size else None  # noqa: S302 - written by our own script


def _stop(child: subprocess.Popen[bytes], timer: threading.Timer) -> None:
    timer.cancel()
    child.kill()
    child.wait()
    if child.stdout:
        child.stdout.close()
