"""CSV: exact by RFC 4180, fast where a block is provably clean, line by line where it is not.

Each block of the file is first proven clean with whole-array operations; Arrow's parser then splits it, and its own
count of fields proves the width of each row. A block that fails the proof is read record by record: a damaged record
is set aside with its line and the reading goes on behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from ingestion.contracts import Contract
from ingestion.readers.cells import is_tidy
from ingestion.readers.csv_grammar import clean_end, grammar, holds_rows, record_lines
from ingestion.readers.encodings import blocks, detect
from ingestion.readers.headers import (
    HEADER_WITHIN,
    find_header,
    is_blank,
    is_header_row,
    is_title,
    is_total,
    map_header,
    no_header,
    with_width_of,
)
from ingestion.readers.table import Chunk, Finding, TableReader

DELIMITERS = (b",", b"\t", b";")

#: A quoted field of more bytes than this is taken as one that is never closed.
LONGEST_FIELD = 32 << 20

#: The header and the titles above it lie within so many bytes.
_HEAD = 1 << 20

LF = 0x0A

#: So many lines at the end of the file are looked at for totals.
_TAIL_LINES = 10

_MARK = "\ufeff".encode()


class CsvReader(TableReader):
    """A CSV in UTF-8, UTF-16 with mark or GB18030; comma, tab or semicolon; LF or CRLF."""

    def __init__(self, file: BinaryIO, name: str, contract: Contract) -> None:
        super().__init__(name, contract)
        self._closing.append(file.close)
        self.encoding, skip = detect(file, name)
        #: Physical lines in another encoding than the file's, filled while the blocks are read.
        self._foreign: set[int] = set()
        self._blocks = blocks(file, self.encoding, skip, name, self._foreign)
        #: Number of the physical line at which the unread data starts.
        self._line = 1
        self._data = b""
        self._at_end = False
        self._more()
        self.delimiter = b","
        self._read_header()

    # -- the header --------------------------------------------------------------------------------------------

    def _read_header(self) -> None:
        while not self._at_end and len(self._data) < _HEAD:
            self._more()
        if not self._data.strip(b"\r\n\t ,;\x00"):
            raise self._refusal("the file is empty", "a month with nothing is a file with the header only")
        if b"\n" not in self._data and b"\r" in self._data:
            raise self._refusal("lines end in CR alone", "save it with CRLF or LF line ends")
        candidates = []
        for delimiter in DELIMITERS:
            records = self._first_records(delimiter)
            index, score = find_header([cells for cells, _ in records], self.contract)
            candidates.append((score, delimiter, index, records))
        score, self.delimiter, index, records = max(candidates, key=lambda candidate: candidate[0])
        if score < 2:
            raise no_header(self.contract, self.name)
        line = 1 + sum(raw.count(b"\n") for _, raw in records[:index])
        header = map_header(records[index][0], line, self.contract, self.name)
        rows = [cells for cells, _ in records[index + 1 :] if not is_total(cells, header, self.contract)]
        header = with_width_of(rows, header)
        for number, (cells, raw) in enumerate(records[:index], start=1):
            if not is_title(cells) or is_header_row(cells, header):
                raise self._refusal(
                    f"line {number} above the header is neither a title nor blank", "deliver one header line"
                )
            self.rows_other += raw.count(b"\n")
            if not is_blank(cells):
                self.findings.append(Finding(number, None, "title_line", "a line above the header was skipped"))
        used = sum(len(raw) for _, raw in records[: index + 1])
        taken = records[index][1]
        self.rows_other += taken.count(b"\n") + (not taken.endswith(b"\n"))
        self._use_header(header)
        self._consume(used)

    def _first_records(self, delimiter: bytes) -> list[tuple[list[str], bytes]]:
        """Cells and bytes of the first records; a line that breaks the grammar counts as one cell."""
        rules, position = grammar(delimiter), 0
        found: list[tuple[list[str], bytes]] = []
        while position < len(self._data) and len(found) < HEADER_WITHIN:
            end = rules.record_end(self._data, position)
            fits = end is not None and self._data.count(b"\n", position, end) <= 5
            if not fits or end is None:
                line_end = self._data.find(b"\n", position)
                end = line_end + 1 if line_end >= 0 else len(self._data)
            raw = self._data[position:end]
            cells = rules.fields(raw) if fits else [raw]
            found.append(([cell.decode("utf-8", "replace") for cell in cells], raw))
            position = end
        return found

    # -- the rows ----------------------------------------------------------------------------------------------

    def _chunks(self) -> Iterator[Chunk]:
        while True:
            while not self._at_end and len(self._data) < (1 << 20):
                self._more()
            if self._at_end:
                self._drop_tail()
            if not self._data:
                return
            chunk = self._clean_chunk() or self._damaged_chunk()
            if chunk is None:
                # Not one whole record: read on, unless a quote has swallowed too much already.
                if len(self._data) > LONGEST_FIELD:
                    raise self._unclosed()
                self._more()
            elif len(chunk.rows):
                yield chunk

    def _more(self) -> None:
        block = next(self._blocks, None)
        if block is None:
            self._at_end = True
        else:
            self._data = self._data + block if self._data else block

    def _consume(self, length: int) -> None:
        self._line += self._data.count(b"\n", 0, length)
        self._data = self._data[length:]

    def _unclosed(self) -> Exception:
        return self._refusal(f"a quoted field that starts in line {self._line} is never closed", "export it again")

    def _drop_tail(self) -> None:
        """Leave out blank and total lines at the end of the file, from the last line upwards."""
        if not self.header:
            return
        rules = grammar(self.delimiter)
        for _ in range(_TAIL_LINES):
            # Blank lines, with or without delimiters, in one go.
            kept = self._data.rstrip(
                b"\r\n\t ," if self.delimiter == b"," else b"\r\n\t ;" if self.delimiter == b";" else b"\r\n\t "
            )
            end = self._data.find(b"\n", len(kept)) + 1 or len(self._data)
            blank = self._data[end:]
            self.rows_other += blank.count(b"\n") + (bool(blank) and not blank.endswith(b"\n"))
            self._data = self._data[:end] if kept else b""
            if not kept:
                self.rows_other += 1 if end else 0
                return
            start = self._data.rfind(b"\n", 0, len(kept)) + 1
            last = self._data[start:]
            if rules.record_end(last, 0) != len(last):
                return
            cells = [cell.decode("utf-8", "replace") for cell in rules.fields(last)]
            if not is_total(cells, self.header, self.contract):
                return
            line = self._line + self._data.count(b"\n", 0, start)
            self.findings.append(Finding(line, None, "total_line", "a total line below the last row was skipped"))
            self.rows_other += 1
            self._data = self._data[:start]

    # -- clean blocks ------------------------------------------------------------------------------------------

    def _clean_chunk(self) -> Chunk | None:
        """The whole records at hand, when they are provably clean; None when they are not."""
        assert self.header is not None  # noqa: S101 - for the type checker
        data, width = self._data, self.header.width
        end = clean_end(data, self.delimiter, self._at_end)
        if not end or data.startswith(_MARK) or self._foreign:
            return None
        table = self._split(data, end)
        if table is None:
            return None
        lines = int(np.count_nonzero(np.frombuffer(data, np.uint8)[:end] == LF)) + (data[end - 1] != LF)
        starts = np.arange(lines)
        if lines != table.num_rows:
            found = record_lines(data, end, self.delimiter, width)
            if found is None or len(found) != table.num_rows:
                return None
            starts = found
        self.rows_other += lines - table.num_rows
        tidy = is_tidy(np.frombuffer(data, np.uint8)[:end], self.delimiter[0])
        chunk = Chunk([_flat(column) for column in table.columns], starts + self._line, tidy)
        self._line, self._data = self._line + lines, data[end:]
        return chunk

    def _split(self, data: bytes, end: int) -> pa.Table | None:
        """Arrow's split of clean records into columns; None when a row has another width (or is blank)."""
        assert self.header is not None  # noqa: S101 - for the type checker
        names = [f"c{position}" for position in range(self.header.width)]
        quoted = data.find(b'"', 0, end) >= 0
        wrong: list[int] = []

        def notice(_: Any) -> str:
            wrong.append(1)
            return "skip"

        try:
            # In one piece: a piece must hold whole rows, and the other threads have the typing and the writing to do.
            table = pa_csv.read_csv(
                pa.BufferReader(pa.py_buffer(data)[:end]),
                read_options=pa_csv.ReadOptions(column_names=names, block_size=end + 1, use_threads=False),
                parse_options=pa_csv.ParseOptions(
                    delimiter=self.delimiter.decode(),
                    quote_char='"' if quoted else False,
                    double_quote=quoted,
                    escape_char=False,
                    newlines_in_values=quoted,
                    ignore_empty_lines=False,
                    invalid_row_handler=notice,
                ),
                convert_options=pa_csv.ConvertOptions(
                    check_utf8=False,  # the whole file was decoded strictly
                    column_types=dict.fromkeys(names, pa.string()),
                    strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid:
            return None
        return None if wrong else table

    # -- damaged blocks ----------------------------------------------------------------------------------------

    def _damaged_chunk(self) -> Chunk | None:
        """Record by record: good ones as a chunk, damaged ones set aside; None when more data is needed."""
        assert self.header is not None  # noqa: S101 - for the type checker
        rules, width, data = grammar(self.delimiter), self.header.width, self._data
        good: list[list[bytes]] = []
        rows: list[int] = []
        position, line = 0, self._line
        while position < len(data):
            end = rules.record_end(data, position)
            if end is None:
                fault = rules.fault(data, position)
                if not self._at_end and (fault.unclosed or fault.offset + 1 >= len(data)):
                    break
                if fault.unclosed and b"\n" in data[position:].rstrip(b"\r\n"):
                    self._line = line
                    raise self._unclosed()
                # Set aside the first physical line alone and read on behind it: a stray quote may have
                # swallowed good rows up to where the fault shows.
                end = data.find(b"\n", position) + 1 or len(data)
                self._damaged(data[position:end], line, fault.reason, fault.field)
                position, line = end, line + 1
                continue
            if not self._at_end and data[end - 1 : end] != b"\n":
                break
            raw = data[position:end]
            breaks = raw.count(b"\n") - raw.endswith(b"\n")
            self.rows_other += breaks
            fields = rules.fields(raw)
            if not any(field.strip() for field in fields):
                self.rows_other += 1
            elif len(fields) != width:
                self._refuse_header_again(fields, line)
                self._damaged(raw, line, f"{len(fields)} fields where the header has {width}", None)
            elif breaks and holds_rows(raw, self.delimiter, width):
                self._damaged(
                    raw, line, "a quoted field that holds whole rows: a stray quote before and behind them", None
                )
            elif not self._foreign.isdisjoint(range(line, line + breaks + 1)):
                self._damaged(raw, line, "characters in another encoding than the file's", None)
            else:
                good.append(fields)
                rows.append(line)
            position, line = end, line + breaks + 1
        if position == 0:
            return None
        self._line, self._data = line, data[position:]
        self._foreign.difference_update([number for number in self._foreign if number < line])
        columns = [pa.array(column, pa.binary()).cast(pa.string()) for column in zip(*good, strict=True)]
        if not columns:
            columns = [pa.array([], pa.string()) for _ in range(width)]
        return Chunk(columns, np.array(rows, dtype=np.int64))

    def _refuse_header_again(self, fields: list[bytes], line: int) -> None:
        assert self.header is not None  # noqa: S101 - for the type checker
        if is_header_row([field.decode("utf-8", "replace") for field in fields], self.header):
            raise self._second_header(line)

    def _damaged(self, raw: bytes, line: int, reason: str, field: int | None) -> None:
        assert self.header is not None  # noqa: S101 - for the type checker
        column = None
        if field is not None and field < self.header.width:
            name = next((name for name, position in self.header.positions.items() if position == field), None)
            column = self.contract.column(name) if name else None
        self._set_aside(line, reason, raw.decode("utf-8", "replace").rstrip("\r\n"), column)


def _flat(column: pa.ChunkedArray) -> pa.StringArray:
    chunks = column.chunks
    return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks) if chunks else pa.array([], column.type)
