"""The file that is served: a fresh database with the published schemas only, readable by older clients."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from ingestion import engine
from ingestion.errors import BuildFailed
from publishing import settings
from publishing.dictionary import dictionary
from publishing.inputs import literal, quoted

#: The tables that are most of the file: table -> its key, and what of it the run has computed anew (publishing.kept).
_LARGE = {
    ("core", "fct_cases"): ("case_no", "staged.touched_cases"),
    ("core", "fct_case_reviews"): ("review_no", "staged.touched_reviews"),
    ("history", "unit_metrics"): ("release", "scoring.new_releases"),
    ("marts", "unit_metrics"): ("period_code", "scoring.touched_explanations"),
    ("marts", "rank_explanations"): ("period_code", "scoring.touched_explanations"),
}


def write_release_file(
    source: Path, target: Path, schemas: Sequence[str] = settings.PUBLISHED_SCHEMAS, *, continues: bool = False
) -> None:
    """Copies the tables of the published ``schemas`` from a run's warehouse into a new file at ``target``.

    Views become tables, described as the dbt project describes them; staging, inputs and anything else stay behind.
    ``continues``: a copy of the earlier release's file lies at ``target``. Its large tables stay in it and only the
    rows that the run has computed anew are replaced. Where that does not come to the run's rows, or the run took
    nothing over (as after an erasure), the file is begun anew and keeps no block of the earlier one.
    Raises BuildFailed where the file is not complete in itself afterwards.
    """
    if not (continues and _continued(source, target, schemas)):
        target.unlink(missing_ok=True)
        with _beside_an_empty_one(source, schemas) as connection:
            connection.execute(
                f"ATTACH {literal(str(target))} AS published (STORAGE_VERSION {literal(settings.STORAGE_VERSION)})"
            )
            connection.execute("COPY FROM DATABASE memory TO published (SCHEMA)")
            _fill(connection, schemas)
    if target.with_name(target.name + ".wal").exists():
        raise BuildFailed("the release file kept a write-ahead log after its checkpoint")


def _continued(source: Path, target: Path, schemas: Sequence[str]) -> bool:
    """Makes the run's release of the copy of an earlier one; False where it cannot be made of it."""
    # Row groups are left as they are: to join small ones, at a checkpoint, costs more than all else that is done here.
    with engine.connect(max_vacuum_tasks=0) as connection:
        connection.execute(f"ATTACH {literal(str(source))} AS run (READ_ONLY)")
        if not _carried(connection, target):
            return False
        _empty(connection, schemas)
        _fill(connection, schemas, _LARGE)
        connection.execute("DETACH published")
    return True


def _fill(
    connection: duckdb.DuckDBPyConnection, schemas: Sequence[str], carried: Collection[tuple[str, str]] = ()
) -> None:
    """Copies the run's rows into the empty tables, all but the carried ones, and writes the file out."""
    relations = [each for each in _relations(connection, "'run'", schemas) if each not in carried]
    names = [f"{quoted(schema)}.{quoted(table)}" for schema, table in relations]
    # One call: between two this thread would wait for others.
    connection.execute("; ".join(f"INSERT INTO published.{name} FROM run.{name}" for name in names))
    connection.execute("CHECKPOINT published")


#: Held while this process writes a release file: what its engine attaches has one name.
_WRITING = threading.Lock()


@contextmanager
def _beside_an_empty_one(source: Path, schemas: Sequence[str]) -> Iterator[duckdb.DuckDBPyConnection]:
    """An engine with the run's file attached as ``run``, whose own database has its tables, empty and described.

    To describe the columns of a release takes longer than to copy its rows: a process that publishes again has them.
    """
    with engine.connect(source, read_only=True) as run:
        columns = _columns_of(run, source.stem, schemas)
    made = [f"CREATE SCHEMA {schema}" for schema in schemas]
    for (schema, table), types in columns.items():
        typed = ", ".join(f"{quoted(column)} {kind}" for column, kind in types.items())
        made.append(f"CREATE TABLE {quoted(schema)}.{quoted(table)} ({typed})")
    with _WRITING, engine.shared("; ".join(["BEGIN", *made, *_comments("", columns), "COMMIT"])) as connection:
        try:
            connection.execute(f"ATTACH {literal(str(source))} AS run (READ_ONLY)")
            yield connection
        finally:
            for name in ("run", "published"):
                with suppress(duckdb.Error):  # what went wrong before is what is told
                    connection.execute(f"DETACH DATABASE IF EXISTS {name}")


def _carried(connection: duckdb.DuckDBPyConnection, target: Path) -> bool:
    """Attaches the copy and brings its large tables to the run's; False, and nothing attached, where it cannot be."""
    connection.execute(f"ATTACH {literal(str(target))} AS published")
    try:
        row = connection.execute(
            "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = 'published'"
        ).fetchone()
        is_ours = row is not None and str(row[0]).startswith(settings.STORAGE_VERSION)
        if is_ours and all(_carry(connection, schema, table) for schema, table in _LARGE):
            return True
    except duckdb.CatalogException:  # one of the two does not hold the tables
        pass
    connection.execute("DETACH published")
    return False


def _empty(connection: duckdb.DuckDBPyConnection, schemas: Sequence[str]) -> None:
    """In place of the small tables of the copy empty ones of the run's; all are described as the project does now."""
    small = [each for each in _relations(connection, "'published'") if each not in _LARGE]
    connection.execute(";".join(f"DROP TABLE published.{quoted(schema)}.{quoted(table)}" for schema, table in small))
    connection.execute("CHECKPOINT published")  # the room of what was dropped is used again
    small = [each for each in _relations(connection, "'run'", schemas) if each not in _LARGE]
    names = [f"{quoted(schema)}.{quoted(table)}" for schema, table in small]
    made = [f"CREATE SCHEMA IF NOT EXISTS published.{schema}" for schema in schemas]
    made += [f"CREATE TABLE published.{name} AS FROM run.{name} LIMIT 0" for name in names]
    connection.execute("; ".join(made))
    columns = _columns_of(connection, "published", schemas)
    connection.execute("; ".join(["BEGIN", *_comments("published.", columns), "COMMIT"]))


def _carry(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    """Replaces the touched rows of a large table; False where it has other rows than the run's all the same."""
    key, touched = _LARGE[schema, table]
    name, changed = f"{schema}.{table}", f"{key} IN (SELECT {key} FROM run.{touched})"
    there, wanted = (
        [*_columns_of(connection, base, [schema]).get((schema, table), {}).items()] for base in ("published", "run")
    )
    if there != wanted:  # in their order, too: rows are copied by it
        return False
    connection.execute(f"DELETE FROM published.{name} WHERE {changed}")
    connection.execute(f"INSERT INTO published.{name} SELECT * FROM run.{name} WHERE {changed}")
    return _same_rows(connection, name)


def _same_rows(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Looks at every row, also those that are taken to be as before: the sum of their hashes has no order."""
    one, other = (
        connection.execute(f"SELECT count(*), sum(hash(facts)::HUGEINT) FROM {base}.{name} AS facts").fetchone()
        for base in ("published", "run")
    )
    return one == other


def storage_version(warehouse: Path) -> str:
    """The storage format that the file is written in, as DuckDB names it."""
    with engine.connect(warehouse, read_only=True) as connection:
        row = connection.execute(
            "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = current_database()"
        ).fetchone()
    return str(row[0]) if row else ""


def write_parquet(warehouse: Path, folder: Path, schemas: Sequence[str]) -> list[Path]:
    """Writes every table of these schemas as ``<schema>/<table>.parquet`` under ``folder`` and returns the paths."""
    written = []
    with engine.connect(warehouse, read_only=True) as connection:
        for schema, table in _relations(connection, "current_database()", schemas):
            path = folder / schema / f"{table}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            source = f"{quoted(schema)}.{quoted(table)}"
            connection.execute(f"COPY {source} TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd)")
            written.append(path)
    return written


def _relations(
    connection: duckdb.DuckDBPyConnection, catalog: str, schemas: Sequence[str] | None = None
) -> list[tuple[str, str]]:
    """(schema, table) of the catalog's tables and views in these schemas, or all, sorted."""
    return connection.execute(
        "SELECT table_schema, table_name FROM information_schema.tables "
        f"WHERE table_catalog = {catalog} AND ($1::VARCHAR[] IS NULL OR list_contains($1::VARCHAR[], table_schema)) "
        "ORDER BY ALL",
        [None if schemas is None else list(schemas)],
    ).fetchall()


def _columns_of(
    connection: duckdb.DuckDBPyConnection, catalog: str, schemas: Sequence[str]
) -> dict[tuple[str, str], dict[str, str]]:
    """(schema, table) -> column -> type, of the catalog's tables and views in these schemas, sorted."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for schema, table, column, kind in connection.execute(
        "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE database_name = ? AND list_contains(?, schema_name) ORDER BY schema_name, table_name, column_index",
        [catalog, list(schemas)],
    ).fetchall():
        found.setdefault((schema, table), {})[column] = kind
    return found


def _comments(prefix: str, columns: Mapping[tuple[str, str], Collection[str]]) -> Iterator[str]:
    """Statements that comment these relations and their columns, from the descriptions in the dbt project."""
    described = dictionary()
    for relation, names in columns.items():
        # A region's tables of all counties are those of one county, side by side.
        entry = described.get(relation) or described.get(("marts", relation[1]))
        if entry is None:
            continue
        name = f"{prefix}{quoted(relation[0])}.{quoted(relation[1])}"
        if entry.description:
            yield f"COMMENT ON TABLE {name} IS {literal(entry.description)}"
        for column, text in entry.columns.items():
            if text and column in names:
                yield f"COMMENT ON COLUMN {name}.{quoted(column)} IS {literal(text)}"
