"""One landed file to Parquet: read, typed and written side by side, in bounded memory.

Three stages run at once, each with a batch or two in hand: the reader, DuckDB's typing, the Parquet writer.
"""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingestion.contracts import Contract
from ingestion.durable import put
from ingestion.errors import DeliveryRefused
from ingestion.home import Home
from ingestion.landing import Progress
from ingestion.ledger import Attempt, findings_path, quarantine_path, staged_path
from ingestion.normalize import Normalizer, Origin, staged_schema
from ingestion.personal import PseudonymKey
from ingestion.quarantine import DAMAGED, FINDINGS_SCHEMA, QUARANTINE_SCHEMA, REASONS
from ingestion.readers import TableReader, open_table

#: Name of the note in a staged file's footer that says which key made its tokens (``PseudonymKey.mark``).
KEY_MARK = "tongbao.pseudonym_key"

#: Rows that are typed and written together, at least: a row group.
_GROUP_ROWS = 131_072


@dataclass(frozen=True)
class StagedFile:
    """A file as staged: where its typed rows lie, and the account of its rows (in = loaded + quarantined)."""

    landing_id: int
    file: str
    path: Path
    rows_in: int
    rows_loaded: int
    rows_quarantined: int
    rows_other: int
    findings: int
    #: reason code -> rows set aside for it
    reasons: Counter[str] = field(default_factory=Counter, compare=False)


def stage(home: Home, landed: Path, attempt: Attempt, normalizer: Normalizer, progress: Progress | None) -> StagedFile:
    """Writes the landed file's typed rows, its quarantine and its findings; an earlier version is replaced.

    Raises DeliveryRefused from the reader when the file cannot be trusted as a whole.
    """
    contract, landing_id, name = normalizer.contract, attempt.attempt_id, attempt.file or ""
    place = (home, attempt.dataset, attempt.month, landing_id)
    origin = Origin(attempt.month, attempt.pulled_at, name, landing_id)
    target = staged_path(*place)
    faults, lost = [], []
    loaded = 0
    with open_table(landed, name, contract) as reader, _Writer(target, contract, normalizer.key_mark) as writer:
        for group in _groups(reader):
            typed = normalizer.normalise(group, origin)
            writer.write(typed.good)
            loaded += typed.good.num_rows
            if typed.faults.num_rows:
                faults.append(typed.faults)
            if typed.lost_values.num_rows:
                lost.append(typed.lost_values)
            if progress:
                progress(name, loaded, None)
        if reader.period is not None and reader.period != attempt.month:
            raise DeliveryRefused(
                f"{name}: the page says it is of another period than {attempt.month}, under which it was delivered"
            )
        writer.finish()
        quarantine = _quarantine(attempt, reader, faults)
        findings = _findings(attempt, reader, lost)
        rows_in, rows_other = reader.rows_in, reader.rows_other
    _write_if_any(quarantine_path(*place), quarantine)
    _write_if_any(findings_path(*place), findings)
    if rows_in != loaded + quarantine.num_rows:
        raise AssertionError(f"{name}: {rows_in} rows in, {loaded} loaded, {quarantine.num_rows} in quarantine")
    return StagedFile(
        landing_id,
        name,
        target,
        rows_in,
        loaded,
        quarantine.num_rows,
        rows_other,
        findings.num_rows,
        Counter(quarantine["reason"].to_pylist()),
    )


def _groups(reader: TableReader) -> Iterator[pa.Table]:
    """The reader's batches, several at a time, read ahead by a thread."""
    ahead: queue.Queue[pa.Table | BaseException | None] = queue.Queue(maxsize=1)
    stopped = threading.Event()

    def hand_over(item: pa.Table | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                ahead.put(item, timeout=0.2)
            except queue.Full:
                continue
            return

    def read() -> None:
        try:
            group: list[pa.RecordBatch] = []
            rows = 0
            for batch in reader.batches():
                group.append(batch)
                rows += batch.num_rows
                if rows >= _GROUP_ROWS:
                    hand_over(pa.Table.from_batches(group))
                    group, rows = [], 0
                if stopped.is_set():
                    return
            if group:
                hand_over(pa.Table.from_batches(group))
            hand_over(None)
        except BaseException as error:  # handed to the thread that waits for batches
            hand_over(error)

    thread = threading.Thread(target=read, name="tongbao-reader", daemon=True)
    thread.start()
    try:
        while (item := ahead.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()


def rewrite(
    path: Path,
    key: PseudonymKey,
    change: Callable[[str], str],
    pattern: str,
    seal: Callable[[Path], None],
    rows: pa.Array = None,
) -> None:
    """Writes a staged file again with the text cells that match the pattern changed; in these rows only, where given.

    For files whose raw bytes are gone; all others are staged again. The rows stay as many and in their order.
    ``seal`` is given what is written before it gets its name (see ``Ledger.seal_again``).
    """
    table = pq.ParquetFile(path).read()
    for place, field_ in enumerate(table.schema):
        if pa.types.is_string(field_.type):
            whole = table[field_.name].combine_chunks()
            hit = pc.fill_null(pc.match_substring_regex(whole, pattern), False)
            hit = hit if rows is None else pc.and_(hit, rows)
            new = pa.array([change(cell) for cell in whole.filter(hit).to_pylist()], pa.string())
            table = table.set_column(place, field_, pc.replace_with_mask(whole, hit, new))
    made = path.with_name(f".{path.name}.tmp")
    pq.write_table(table.replace_schema_metadata({KEY_MARK: key.mark}), made)
    seal(made)
    put(made, path)


class _Writer:
    """A Parquet file that appears under its name when it is finished, written by a thread of its own."""

    def __init__(self, target: Path, contract: Contract, key_mark: str) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        self._target = target
        self._made = target.with_name(f".{target.name}.tmp")
        # Keys, moments and tokens hardly repeat: a dictionary of them costs time and saves nothing. Compression takes
        # as long over moments and tokens as over all the rest and makes the file an eighth smaller: they go without.
        dense = {column.name for column in contract.columns if column.personal or column.type == "timestamp"}
        unique = dense | {*contract.key, "_key", "_row"}
        # Whoever joins tokens of two files can see that one key made them, without reading a row.
        schema = staged_schema(contract).with_metadata({KEY_MARK: key_mark})
        self._writer = pq.ParquetWriter(
            self._made,
            schema,
            compression={name: "none" if name in dense else "snappy" for name in schema.names},
            use_dictionary=[name for name in schema.names if name not in unique],
        )
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._pending: Future[None] | None = None

    def __enter__(self) -> _Writer:
        return self

    def write(self, table: pa.Table) -> None:
        """Hands a row group to the writer; waits for the one before."""
        self._wait()
        self._pending = self._pool.submit(self._writer.write_table, table)

    def _wait(self) -> None:
        if self._pending:
            self._pending.result()
            self._pending = None

    def finish(self) -> None:
        """The file is complete: it gets its name, durably."""
        self._wait()
        self._writer.close()
        put(self._made, self._target)

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True)
        if self._writer.is_open:
            self._writer.close()
        self._made.unlink(missing_ok=True)


def _quarantine(attempt: Attempt, reader: TableReader, faults: list[pa.Table]) -> pa.Table:
    damaged = pa.Table.from_pylist(
        [
            {
                "row": bad.row,
                "column_name": bad.column,
                "header": bad.header,
                "value_masked": bad.value_masked,
                "reason": bad.reason if bad.reason in REASONS else DAMAGED,
            }
            for bad in reader.bad_rows
        ],
        schema=pa.schema(
            [QUARANTINE_SCHEMA.field(name) for name in ("row", "column_name", "header", "value_masked", "reason")]
        ),
    )
    found = pa.concat_tables([damaged, *faults]).sort_by("row")
    return _with_origin(found, QUARANTINE_SCHEMA, attempt)


def _findings(attempt: Attempt, reader: TableReader, lost: list[pa.Table]) -> pa.Table:
    reported = pa.Table.from_pylist(
        [
            {"row": finding.row, "column_name": finding.column, "kind": finding.kind, "detail": finding.detail}
            for finding in reader.findings
        ]
        + [
            {"row": bad.row, "column_name": bad.column, "kind": DAMAGED, "detail": bad.reason}
            for bad in reader.bad_rows
            if bad.reason not in REASONS
        ],
        schema=pa.schema([FINDINGS_SCHEMA.field(name) for name in ("row", "column_name", "kind", "detail")]),
    )
    tables = [reported]
    for table in lost:
        repeated = [pa.nulls(table.num_rows, pa.string()).fill_null(text) for text in _LOST]
        tables.append(table.append_column("kind", repeated[0]).append_column("detail", repeated[1]))
    return _with_origin(pa.concat_tables(tables), FINDINGS_SCHEMA, attempt)


_LOST = ("lost_personal_value", "stored as a number by a spreadsheet: the value is emptied")


def _with_origin(table: pa.Table, schema: pa.Schema, attempt: Attempt) -> pa.Table:
    constants = {
        "dataset": attempt.dataset,
        "month": attempt.month,
        "file": attempt.file,
        "sha256": attempt.sha256,
        "landing_id": attempt.attempt_id,
    }
    columns = [
        table[each.name] if each.name in table.column_names else _constant(constants[each.name], each.type, len(table))
        for each in schema
    ]
    return pa.table(columns, schema=schema)


def _constant(value: object, kind: pa.DataType, length: int) -> pa.Array:
    return pa.array([value] * length, kind)


def _write_if_any(path: Path, table: pa.Table) -> None:
    if not table.num_rows:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f".{path.name}.tmp")
    pq.write_table(table, made, compression="zstd")
    put(made, path)
