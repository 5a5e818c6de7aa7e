"""What dbt did once, done again for another file: the statements of a build that passed, sent by DuckDB alone.

Of a build of a county dbt itself takes three quarters: it makes the same two hundred statements out of the same models
for every county. What it makes depends on the project, its variables and what it looks at in the file while it goes
on, and on nothing else. So a process that builds one county after the other (package region) remembers the statements
of a build and every row that dbt looked at; with the next file it sends the same statements, and where dbt would see
another row - a test that fails, a column of another type, another relation - all of it is undone and dbt builds the
file itself, and says what is the matter. docs/decisions/0016-regions.md.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

import lineage
from ingestion import engine
from ingestion.home import Home
from ingestion.profile import delivered_datasets
from publishing.dbt_run import DBT_PROJECT, PROFILES, Summary, dbt_build, seeds_folder
from publishing.inputs import literal
from publishing.sandbox import lock
from publishing.warehouse import DATABASE, attach

log = logging.getLogger("tongbao.publishing")

#: In a statement, in place of the folder of the seeds, which is each county's own.
_SEEDS = "\0seeds\0"
#: Bytes of staged rows up to which a county is small: some months of one of the usual size.
_SMALL = 64 << 20
#: dbt's two threads have a transaction each; here everything is one.
_TRANSACTION = ("BEGIN", "COMMIT")


@dataclass
class Statement:
    """One statement, and the rows of it that dbt looked at; None where it looked at none."""

    sql: str
    seen: list[tuple[Any, ...]] | None = None
    #: As DuckDB has parsed it, from the first repetition on; a tenth of a repetition is parsing.
    parsed: list[Any] = field(default_factory=list)

    def execute(self, connection: duckdb.DuckDBPyConnection, seeds: str) -> list[tuple[Any, ...]] | None:
        """Sends it, with this folder of seeds in it, and returns the rows where dbt looked at any."""
        if _SEEDS in self.sql:
            connection.execute(self.sql.replace(_SEEDS, seeds))
        else:
            self.parsed = self.parsed or connection.extract_statements(self.sql)
            for each in self.parsed:
                connection.execute(each)
        return None if self.seen is None else connection.fetchall()


@dataclass
class Recording:
    """The statements of a build in the order in which they ended, and what became of dbt's nodes."""

    summary: Summary
    statements: list[Statement] = field(default_factory=list)


class _Otherwise(Exception):
    """dbt would have seen something else: it has to go itself."""


_recordings: dict[str, Recording] = {}
_is_on = False


def is_on() -> bool:
    """Whether this process repeats."""
    return _is_on


def switch_on() -> None:
    """From now on this process repeats; for a process that builds many counties one after the other."""
    global _is_on
    _is_on = True


def models(
    home: Home,
    run_dir: Path,
    *,
    project: Path = DBT_PROJECT,
    seeds: bool = True,
    progress: Callable[[str], None] | None = None,
) -> Summary:
    """Builds the models in ``run_dir/warehouse.duckdb`` as ``dbt_build`` does, by its statements where they are known.

    Raises what ``dbt_build`` raises.
    """
    if lineage.transport():  # dbt's own account of its nodes is what lineage tells
        return dbt_build(home, run_dir, project=project, seeds=seeds, progress=progress)
    rules = seeds_folder(home, project)
    with _opened(home, run_dir, rules) as connection:
        key = _key(project, rules, connection)
        if known := _recordings.get(key):
            try:
                _repeat(known, connection, rules)
            except (_Otherwise, duckdb.Error) as error:
                # Of an error of the engine only the kind: its text can hold a row. dbt comes to it again and says it.
                log.info("run %s: dbt builds it itself (%s)", run_dir.name, type(error).__name__)
            else:
                return replace(known.summary)
    with _recorded(rules) as statements:
        summary = dbt_build(home, run_dir, project=project, seeds=seeds, progress=progress)
    if not summary.warnings and not any(str(run_dir) in each.sql or str(home.root) in each.sql for each in statements):
        _recordings[key] = Recording(summary, statements)
    return summary


def _key(project: Path, seeds: Path, connection: duckdb.DuckDBPyConnection) -> str:
    """Hex SHA-256 of what dbt's statements depend on, and of the tables that it finds."""
    # The one variable that a county sets (publishing.dbt_run.of_county).
    digest = hashlib.sha256(json.dumps(delivered_datasets()).encode())
    files = [project / "dbt_project.yml", *PROFILES.glob("*")]
    for folder in ("models", "macros", "tests"):
        files += (project / folder).rglob("*.*")
    for path in sorted(files):
        digest.update(str(path).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    for path in sorted(seeds.glob("*.csv")):
        # Their types are declared and their columns are the project's (publishing.seeds); an empty one is not copied.
        digest.update(path.name.encode() + (b"1" if path.read_bytes().strip().count(b"\n") else b"0"))
    kept = connection.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables() ORDER BY ALL").fetchall()
    digest.update(repr(kept).encode())
    return digest.hexdigest()


@contextmanager
def _recorded(seeds: Path) -> Iterator[list[Statement]]:
    """The statements that dbt's connections execute inside, and the rows that it fetches."""
    from dbt.adapters.duckdb.environments import local

    statements: list[Statement] = []

    class Recorder(local.DuckDBCursorWrapper):
        _last: Statement | None = None

        def execute(self, sql: str, bindings: Any = None) -> Any:
            result = super().execute(sql, bindings)
            self._last = Statement(sql.replace(str(seeds), _SEEDS) if bindings is None else f"{sql} {bindings!r}")
            if sql.strip().upper() not in _TRANSACTION:
                statements.append(self._last)
            return result

        def _fetched(self, rows: list[Any]) -> list[Any]:
            if self._last is not None:
                self._last.seen = [*(self._last.seen or []), *map(tuple, rows)]
            return rows

        def fetchall(self) -> list[Any]:
            return self._fetched(self._cursor.fetchall())

        def fetchmany(self, *size: int) -> list[Any]:
            return self._fetched(self._cursor.fetchmany(*size))

        def fetchone(self) -> Any:
            row = self._cursor.fetchone()
            self._fetched([] if row is None else [row])
            return row

    wrapper = local.DuckDBCursorWrapper
    vars(local)[wrapper.__name__] = Recorder
    try:
        yield statements
    finally:
        vars(local)[wrapper.__name__] = wrapper


@contextmanager
def _opened(home: Home, run_dir: Path, seeds: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The run's file within the bounds and the lock of dbt's connection."""
    warehouse = run_dir / "warehouse.duckdb"
    settings: dict[str, Any] = dict(engine.bounds(warehouse))
    if sum(path.stat().st_size for path in home.staged.rglob("*.parquet")) < _SMALL:
        # One thread: the statements of a small county are over before a second one has begun.
        settings["threads"] = 1
    with duckdb.connect(":memory:", config=settings) as connection:
        attach(connection, warehouse)
        lock(connection, [str(home.staged), str(run_dir), str(seeds)])
        yield connection


def _repeat(known: Recording, connection: duckdb.DuckDBPyConnection, seeds: Path) -> None:
    """The statements in one transaction; raises _Otherwise."""
    rules = literal(str(seeds))[1:-1]
    connection.execute("BEGIN")
    try:
        for each in known.statements:
            rows = each.execute(connection, rules)
            if rows is not None and sorted(map(repr, rows)) != sorted(map(repr, each.seen or [])):
                raise _Otherwise
        connection.execute("COMMIT")
    except (_Otherwise, duckdb.Error):
        connection.execute("ROLLBACK")
        raise
    connection.execute(f"CHECKPOINT {DATABASE}")


def forget() -> None:
    """Takes everything back; for tests."""
    global _is_on
    _is_on = False
    _recordings.clear()
