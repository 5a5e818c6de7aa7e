"""The delivery ledger: every attempt at a file, what came of it, and which files are part of a dataset.

SQLite in ``raw/ledger.sqlite`` (mode 0600), written in single transactions with full synchronisation, so that a killed
process leaves the state before or the state after. Rows are only ever added:

* ``deliveries`` - one pull of one dataset and month;
* ``attempts`` - one file of a delivery, or the failed pull itself (no file);
* ``decisions`` - what a load decided about an attempt; the newest one counts;
* ``replacements`` - landed bytes that are not kept as they were delivered: someone was erased, or their time was over.
* ``seals`` - the hash of what was staged of an accepted attempt; the newest one counts.

A *landing* is an attempt that brought new bytes; its ``landing_id`` is the attempt's id. Times are Beijing wall time.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.contracts import contract_of
from ingestion.durable import sha256_of
from ingestion.home import Home
from ingestion.period import Month
from ingestion.personal import key_of
from ingestion.personal_numbers import masked
from ingestion.quarantine import FINDINGS_SCHEMA, QUARANTINE_SCHEMA

BEIJING = ZoneInfo("Asia/Shanghai")

_TABLES = """
CREATE TABLE IF NOT EXISTS deliveries (
    delivery_id INTEGER PRIMARY KEY AUTOINCREMENT,
    system TEXT NOT NULL, dataset TEXT NOT NULL, month TEXT NOT NULL, pulled_at TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS attempts (
    attempt_id INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery_id INTEGER NOT NULL REFERENCES deliveries,
    file TEXT, sha256 TEXT, bytes INTEGER,
    has_manifest INTEGER NOT NULL DEFAULT 0, manifest_rows INTEGER, manifest_sha256 TEXT, in_manifest INTEGER,
    landing_id INTEGER,  -- its own id when new bytes landed, the earlier landing's when unchanged, null without a file
    outcome TEXT NOT NULL CHECK (outcome IN ('landed', 'unchanged', 'refused', 'failed')),
    reason TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS decisions (
    decision_id INTEGER PRIMARY KEY AUTOINCREMENT,
    attempt_id INTEGER NOT NULL REFERENCES attempts,
    outcome TEXT NOT NULL CHECK (outcome IN ('accepted', 'refused')),
    reason TEXT, decided_at TEXT NOT NULL,
    rows_in INTEGER NOT NULL DEFAULT 0, rows_loaded INTEGER NOT NULL DEFAULT 0,
    rows_quarantined INTEGER NOT NULL DEFAULT 0, rows_other INTEGER NOT NULL DEFAULT 0,
    findings INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS replacements (
    replacement_id INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256 TEXT NOT NULL,
    replaced_by TEXT,  -- what is kept in the place of these bytes; null: nothing is
    why TEXT NOT NULL CHECK (why IN ('erasure', 'retention')),
    record TEXT NOT NULL, replaced_at TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS replacements_by_sha256 ON replacements (sha256);
CREATE TABLE IF NOT EXISTS seals (
    seal_id INTEGER PRIMARY KEY AUTOINCREMENT, attempt_id INTEGER NOT NULL REFERENCES attempts, seal TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS seals_by_attempt ON seals (attempt_id);
CREATE INDEX IF NOT EXISTS decisions_by_attempt ON decisions (attempt_id);
CREATE INDEX IF NOT EXISTS attempts_by_delivery ON attempts (delivery_id);
CREATE VIEW IF NOT EXISTS attempt_states AS
    SELECT a.attempt_id, d.system, d.dataset, d.month, a.file, a.sha256, a.bytes, d.pulled_at,
        coalesce(n.outcome, a.outcome) AS outcome, coalesce(n.reason, a.reason) AS reason,
        coalesce(n.rows_in, 0) AS rows_in, coalesce(n.rows_loaded, 0) AS rows_loaded,
        coalesce(n.rows_quarantined, 0) AS rows_quarantined, coalesce(n.rows_other, 0) AS rows_other,
        a.landing_id, coalesce(n.findings, 0) AS findings, a.delivery_id,
        a.has_manifest, a.manifest_rows, a.manifest_sha256, a.in_manifest
    FROM attempts a JOIN deliveries d USING (delivery_id)
    LEFT JOIN decisions n ON n.decision_id = (SELECT max(decision_id) FROM decisions WHERE attempt_id = a.attempt_id);
"""

#: Columns of audit.deliveries; rows_* are 0 unless the file is accepted: nothing of it came in.
DELIVERIES_SCHEMA = pa.schema(
    [
        ("attempt_id", pa.int64()),
        ("system", pa.string()),
        ("dataset", pa.string()),
        ("month", pa.string()),
        ("file", pa.string()),
        ("sha256", pa.string()),
        ("bytes", pa.int64()),
        ("pulled_at", pa.timestamp("us")),
        ("outcome", pa.string()),
        ("reason", pa.string()),
        ("rows_in", pa.int64()),
        ("rows_loaded", pa.int64()),
        ("rows_quarantined", pa.int64()),
        ("rows_other", pa.int64()),
        ("landing_id", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Attempt:
    """One file of a delivery as pulled, and what has come of it so far. ``file`` is the name as shown (shown_name)."""

    attempt_id: int
    system: str
    dataset: str
    month: str
    file: str | None
    sha256: str | None
    bytes: int | None
    pulled_at: dt.datetime
    outcome: str
    reason: str | None
    rows_in: int
    rows_loaded: int
    rows_quarantined: int
    rows_other: int
    landing_id: int | None
    findings: int
    delivery_id: int
    has_manifest: bool
    manifest_rows: int | None
    manifest_sha256: str | None
    in_manifest: bool


@dataclass(frozen=True)
class AcceptedFile:
    """A file that is part of its dataset, and its typed rows."""

    landing_id: int
    dataset: str
    month: str
    file: str
    sha256: str
    pulled_at: dt.datetime
    rows_in: int
    rows_loaded: int
    rows_quarantined: int
    home: Home

    @property
    def path(self) -> Path:
        """Where its typed rows lie."""
        return staged_path(self.home, self.dataset, self.month, self.landing_id)


@dataclass(frozen=True)
class NewAttempt:
    """A file just fetched, before it has an id."""

    file: str
    sha256: str
    bytes: int
    has_manifest: bool = False
    in_manifest: bool = False
    manifest_rows: int | None = None
    manifest_sha256: str | None = None


@dataclass(frozen=True)
class Replacement:
    """Landed bytes that are kept as others, or (``replaced_by`` None) no more; ``why``: erasure or retention."""

    sha256: str
    replaced_by: str | None
    why: str
    record: str


@dataclass(frozen=True)
class Decision:
    """What a load decided about one attempt."""

    attempt_id: int
    outcome: str
    reason: str | None = None
    rows_in: int = 0
    rows_loaded: int = 0
    rows_quarantined: int = 0
    rows_other: int = 0
    findings: int = 0
    #: Of an accepted file: the hash of what was staged of it (``seal_of``).
    seal: str | None = None


def now() -> dt.datetime:
    """This moment as Beijing wall time."""
    return dt.datetime.now(BEIJING).replace(tzinfo=None)


def staged_path(home: Home, dataset: str, month: str, landing_id: int) -> Path:
    """Where a landing's typed rows lie."""
    return home.staged / f"{dataset}/{month}/{landing_id}.parquet"


def quarantine_path(home: Home, dataset: str, month: str, landing_id: int) -> Path:
    """Where a landing's rows set aside lie; absent when there are none."""
    return home.quarantine / f"{dataset}/{month}/{landing_id}.parquet"


def findings_path(home: Home, dataset: str, month: str, landing_id: int) -> Path:
    """Where a landing's findings lie; absent when there are none."""
    return home.root / f"findings/{dataset}/{month}/{landing_id}.parquet"


def seal_of(home: Home, dataset: str, month: str, landing_id: int, staged: Path | None = None) -> str:
    """Hex SHA-256 over what is staged of a landing: typed rows, quarantine and findings, each where there is one.

    ``staged``: the file that is about to become the typed rows.
    """
    digest = hashlib.sha256()
    place = (home, dataset, month, landing_id)
    for path in (staged or staged_path(*place), quarantine_path(*place), findings_path(*place)):
        try:
            digest.update(bytes.fromhex(sha256_of(path)))
        except FileNotFoundError:
            digest.update(b"-")
    return digest.hexdigest()


class Ledger:
    """The ledger of one home. Opens and closes its connection for each call: nothing is held between."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._copy: sqlite3.Connection | None = None

    @contextmanager
    def at_one_moment(self) -> Iterator[Ledger]:
        """The ledger as it is now, to be read only: what is read of it agrees, whatever is accepted meanwhile.

        A copy in memory and not a long transaction, which would keep loads from ending.
        """
        frozen = Ledger(self.home)
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
            with self._connection() as connection:
                connection.backup(copy)
            copy.row_factory = sqlite3.Row
            copy.execute("PRAGMA query_only = ON")
            frozen._copy = copy
            yield frozen

    @contextmanager
    def _connection(self, write: bool = False) -> Iterator[sqlite3.Connection]:
        if self._copy is not None:
            yield self._copy
            return
        path = self.home.ledger_path
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.parent.chmod(0o700)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(path, timeout=60, isolation_level=None)
        try:
            # The rollback journal with full synchronisation: one file at rest, old or new after a kill or power cut.
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("PRAGMA foreign_keys = ON")
            there = "SELECT count(*) FROM sqlite_master WHERE name IN ('replacements', 'seals_by_attempt')"
            if connection.execute(there).fetchone()[0] < 2:
                connection.executescript("BEGIN IMMEDIATE;" + _TABLES + "COMMIT;")
            connection.row_factory = sqlite3.Row
            if write:
                connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            if connection.in_transaction:
                connection.execute("COMMIT")
        finally:
            connection.close()

    def copy_to(self, other: Home) -> None:
        """Makes the ledger of another home, which has none yet, a copy of this one as it is at this moment."""
        with self._connection() as source, Ledger(other)._connection() as target:
            source.backup(target)

    # ---- writing -------------------------------------------------------------------------------------------------

    def record_pull(
        self,
        system: str,
        dataset: str,
        month: str,
        pulled_at: dt.datetime,
        files: Iterable[NewAttempt],
    ) -> list[Attempt]:
        """Writes one pulled delivery, a row per file, in one transaction.

        A file whose (dataset, month, name) was last accepted with the same bytes is ``unchanged``. The files get their
        ids in the order of their names: of two rows equally new in one pull the later landing wins.
        """
        with self._connection(write=True) as connection:
            delivery_id = self._new_delivery(connection, system, dataset, month, pulled_at)
            for file in sorted(files, key=lambda each: each.file):
                last = connection.execute(
                    "SELECT landing_id, sha256 FROM attempt_states WHERE dataset = ? AND month = ? AND file = ?"
                    " AND outcome = 'accepted' ORDER BY attempt_id DESC LIMIT 1",
                    (dataset, month, file.file),
                ).fetchone()
                unchanged = last is not None and last["sha256"] == file.sha256
                cursor = connection.execute(
                    "INSERT INTO attempts (delivery_id, file, sha256, bytes, has_manifest, in_manifest, manifest_rows,"
                    " manifest_sha256, landing_id, outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        delivery_id,
                        file.file,
                        file.sha256,
                        file.bytes,
                        file.has_manifest,
                        file.in_manifest,
                        file.manifest_rows,
                        file.manifest_sha256,
                        last["landing_id"] if unchanged else None,
                        "unchanged" if unchanged else "landed",
                    ),
                )
                if not unchanged:
                    connection.execute(
                        "UPDATE attempts SET landing_id = attempt_id WHERE attempt_id = ?", (cursor.lastrowid,)
                    )
        return self._attempts("delivery_id = ?", (delivery_id,))

    def record_failure(
        self, system: str, dataset: str, month: str, pulled_at: dt.datetime, reason: str, *, refused: bool = False
    ) -> None:
        """Writes a pull that brought nothing, with the reason; ``reason`` must hold no secret and no row value."""
        with self._connection(write=True) as connection:
            delivery_id = self._new_delivery(connection, system, dataset, month, pulled_at)
            connection.execute(
                "INSERT INTO attempts (delivery_id, outcome, reason) VALUES (?, ?, ?)",
                (delivery_id, "refused" if refused else "failed", reason),
            )

    def decide(self, decisions: Iterable[Decision]) -> None:
        """Accepts or refuses the files of a delivery in one transaction: all of them, or none."""
        moment, decided = now().isoformat(sep=" "), list(decisions)
        with self._connection(write=True) as connection:
            connection.executemany(
                "INSERT INTO decisions (attempt_id, outcome, reason, decided_at, rows_in, rows_loaded,"
                " rows_quarantined, rows_other, findings) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        each.attempt_id,
                        each.outcome,
                        each.reason,
                        moment,
                        each.rows_in,
                        each.rows_loaded,
                        each.rows_quarantined,
                        each.rows_other,
                        each.findings,
                    )
                    for each in decided
                ],
            )
            self._seal(connection, {each.attempt_id: each.seal for each in decided if each.seal})

    def seal_again(self, dataset: str, month: str, attempt_id: int, staged: Path | None = None) -> None:
        """Records the hash of what is staged now of an accepted attempt: after whatever writes it anew on purpose.

        ``staged``: what is about to become its typed rows. Rows without raw bytes are sealed before they get their
        name: killed in between the old ones are still there to be changed again, and nothing else could tell the new
        ones from damage.
        """
        with self._connection(write=True) as connection:
            self._seal(connection, {attempt_id: seal_of(self.home, dataset, month, attempt_id, staged)})

    @staticmethod
    def _seal(connection: sqlite3.Connection, seals: Mapping[int, str]) -> None:
        connection.executemany("INSERT INTO seals (attempt_id, seal) VALUES (?, ?)", list(seals.items()))

    def record_replacement(self, sha256: str, replaced_by: str | None, why: str, record: str) -> None:
        """Writes that landed bytes are kept as others (None: not at all), and by which record (erasure, retention)."""
        with self._connection(write=True) as connection:
            connection.execute(
                "INSERT INTO replacements (sha256, replaced_by, why, record, replaced_at) VALUES (?, ?, ?, ?, ?)",
                (sha256, replaced_by, why, record, now().isoformat(sep=" ")),
            )

    def rename_file(self, old: str, new: str) -> None:
        """A delivered name that holds somebody's number gets another; ``forget`` takes the old one out of the file."""
        with self._connection() as connection:
            connection.execute("UPDATE attempts SET file = ? WHERE file = ?", (new, old))

    def forget(self) -> None:
        """Writes the file anew with what is in force alone.

        Rows that SQLite has moved leave their old bytes in the free room of its pages, where an update overwrites
        nothing.
        """
        with self._connection() as connection:
            connection.execute("VACUUM")

    @staticmethod
    def _new_delivery(
        connection: sqlite3.Connection,
        system: str,
        dataset: str,
        month: str,
        pulled_at: dt.datetime,
    ) -> int:
        cursor = connection.execute(
            "INSERT INTO deliveries (system, dataset, month, pulled_at) VALUES (?, ?, ?, ?)",
            (system, dataset, month, pulled_at.isoformat(sep=" ")),
        )
        return int(cursor.lastrowid or 0)

    # ---- reading -------------------------------------------------------------------------------------------------

    def attempts(self, dataset: str | None = None, month: str | None = None) -> list[Attempt]:
        """Every attempt, the oldest first; of one dataset or month where given."""
        return self._attempts(
            "(?1 IS NULL OR dataset = ?1) AND (?2 IS NULL OR month = ?2)",
            (dataset, month),
        )

    def newest_delivery(self, dataset: str, month: str) -> list[Attempt]:
        """The files of the newest delivery of this dataset and month that brought any; empty when there is none."""
        return self._attempts(
            "delivery_id = (SELECT max(delivery_id) FROM attempt_states"
            " WHERE dataset = ? AND month = ? AND file IS NOT NULL)",
            (dataset, month),
        )

    def accepted_files(self, dataset: str | None = None) -> list[AcceptedFile]:
        """The files that are part of the dataset (of all datasets), in the order of their landing."""
        accepted = self._attempts("outcome = 'accepted' AND (?1 IS NULL OR dataset = ?1)", (dataset,))
        return [
            AcceptedFile(
                landing_id=each.attempt_id,
                dataset=each.dataset,
                month=each.month,
                file=each.file or "",
                sha256=each.sha256 or "",
                pulled_at=each.pulled_at,
                rows_in=each.rows_in,
                rows_loaded=each.rows_loaded,
                rows_quarantined=each.rows_quarantined,
                home=self.home,
            )
            for each in accepted
        ]

    def replacements(self) -> list[Replacement]:
        """Every replacement of landed bytes, the oldest first."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT sha256, replaced_by, why, record FROM replacements ORDER BY replacement_id"
            ).fetchall()
        return [Replacement(**dict(row)) for row in rows]

    def kept_as(self, sha256: str) -> str:
        """The hash of what is kept for these landed bytes: themselves, or what has replaced them."""
        with self._connection() as connection:
            while row := connection.execute(
                "SELECT replaced_by FROM replacements WHERE sha256 = ? ORDER BY replacement_id DESC LIMIT 1", (sha256,)
            ).fetchone():
                if row["replaced_by"] is None:
                    break
                sha256 = row["replaced_by"]
        return sha256

    def delivered_names(self) -> dict[str, set[str]]:
        """sha256 -> the names under which those bytes were delivered, in clear: they stay in the raw zone."""
        with self._connection() as connection:
            rows = connection.execute("SELECT DISTINCT sha256, file FROM attempts WHERE file IS NOT NULL").fetchall()
        names: dict[str, set[str]] = {}
        for row in rows:
            names.setdefault(row["sha256"], set()).add(row["file"])
        return names

    def seals(self) -> dict[int, str]:
        """Attempt -> the hash of what was staged of it; attempts of an older version of this program have none."""
        with self._connection() as connection:
            rows = connection.execute("SELECT attempt_id, seal FROM seals ORDER BY seal_id").fetchall()
        return {row[0]: row[1] for row in rows}

    def delivered_months(self) -> list[tuple[str, str]]:
        """(dataset, month) of every delivery that was accepted, sorted."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT DISTINCT dataset, month FROM attempt_states WHERE outcome = 'accepted' ORDER BY 1, 2"
            ).fetchall()
        return [(row[0], row[1]) for row in rows]

    def attempts_table(self) -> pa.Table:
        """audit.deliveries: one row per file and attempt."""
        rows = [
            {name: getattr(attempt, name) for name in DELIVERIES_SCHEMA.names} for attempt in self._attempts("1", ())
        ]
        return pa.Table.from_pylist(rows, schema=DELIVERIES_SCHEMA)

    def quarantine_files(self) -> list[Path]:
        """Parquet files with the rows set aside from accepted files."""
        return [
            quarantine_path(self.home, each.dataset, each.month, each.landing_id)
            for each in self.accepted_files()
            if each.rows_quarantined
        ]

    def findings_files(self) -> list[Path]:
        """Parquet files with the findings about accepted files."""
        return [
            findings_path(self.home, each.dataset, each.month, each.attempt_id)
            for each in self._attempts("outcome = 'accepted' AND findings > 0", ())
        ]

    def quarantine_table(self) -> pa.Table:
        """audit.quarantine: one row per row set aside."""
        return _read(self.quarantine_files(), QUARANTINE_SCHEMA)

    def findings_table(self) -> pa.Table:
        """audit.findings: one row per thing reported that lost no row."""
        return _read(self.findings_files(), FINDINGS_SCHEMA)

    def _attempts(self, condition: str, parameters: tuple[object, ...]) -> list[Attempt]:
        with self._connection() as connection:
            rows = connection.execute(
                f"SELECT * FROM attempt_states WHERE {condition} ORDER BY attempt_id", parameters
            ).fetchall()
        return [
            Attempt(
                **{
                    **dict(row),
                    "file": shown_name(self.home, row["file"]),
                    "pulled_at": dt.datetime.fromisoformat(row["pulled_at"]),
                    "has_manifest": bool(row["has_manifest"]),
                    "in_manifest": bool(row["in_manifest"]),
                }
            )
            for row in rows
        ]


def shown_name(home: Home, file: str | None) -> str | None:
    """A delivered file's name as it is known outside the raw zone: itself, unless it holds a phone or a citizen's id.

    Then a piece of the name's token stands before the ending, so that two such names stay two. The order of names is
    that of the landings, see ``record_pull``.
    """
    if file is None or (shown := masked(file)) == file:
        return file
    name = PurePath(shown)
    return f"{name.stem}#{key_of(home).token(file)[-8:]}{name.suffix}"


def _read(paths: list[Path], schema: pa.Schema) -> pa.Table:
    tables = [pq.ParquetFile(path).read().cast(schema) for path in paths]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def checked(dataset: str, month: str) -> tuple[str, str]:
    """The two names, validated before they reach a path or SQL; raises BadParameter."""
    return contract_of(dataset).dataset, str(Month.parse(str(month)))
