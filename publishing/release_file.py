"""The file that is served: a fresh database with the published schemas only, readable by older clients."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from ingestion import engine
from ingestion.errors import BuildFailed
from publishing import settings
from publishing.dictionary import dictionary
from publishing.inputs import literal, quoted


def write_release_file(source: Path, target: Path, schemas: Sequence[str] = settings.PUBLISHED_SCHEMAS) -> None:
    """Copies the tables of the published ``schemas`` from a run's warehouse into a new file at ``target``.

    Views become tables, described as the dbt project describes them; staging, inputs and anything else stay behind.
    Raises BuildFailed where the file is not complete in itself afterwards.
    """
    with engine.connect() as connection:
        connection.execute(f"ATTACH {literal(str(source))} AS run (READ_ONLY)")
        connection.execute(
            f"ATTACH {literal(str(target))} AS published (STORAGE_VERSION {literal(settings.STORAGE_VERSION)})"
        )
        relations = _relations(connection, "'run'", schemas)
        for schema in schemas:
            connection.execute(f"CREATE SCHEMA published.{schema}")
        for schema, table in relations:
            name = f"{quoted(schema)}.{quoted(table)}"
            connection.execute(f"CREATE TABLE published.{name} AS SELECT * FROM run.{name}")
        _describe(connection, relations)
        connection.execute("CHECKPOINT published")
        connection.execute("DETACH published")
    if target.with_name(target.name + ".wal").exists():
        raise BuildFailed("the release file kept a write-ahead log after its checkpoint")


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


def _relations(connection: duckdb.DuckDBPyConnection, catalog: str, schemas: Sequence[str]) -> list[tuple[str, str]]:
    """(schema, table) of the catalog's tables and views in these schemas, sorted."""
    return connection.execute(
        "SELECT table_schema, table_name FROM information_schema.tables "
        f"WHERE table_catalog = {catalog} AND list_contains(?, table_schema) ORDER BY ALL",
        [list(schemas)],
    ).fetchall()


def _describe(connection: duckdb.DuckDBPyConnection, relations: list[tuple[str, str]]) -> None:
    """Comments on tables and columns, from the descriptions in the dbt project."""
    described = dictionary()
    columns: dict[tuple[str, str], set[str]] = {}
    for schema, table, column in connection.execute(
        "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE database_name = 'published'"
    ).fetchall():
        columns.setdefault((schema, table), set()).add(column)
    comments = []
    for relation in relations:
        # A region's tables of all counties are those of one county, side by side.
        entry = described.get(relation) or described.get(("marts", relation[1]))
        if entry is None:
            continue
        name = f"published.{quoted(relation[0])}.{quoted(relation[1])}"
        if entry.description:
            comments.append(f"COMMENT ON TABLE {name} IS {literal(entry.description)}")
        comments += [
            f"COMMENT ON COLUMN {name}.{quoted(column)} IS {literal(text)}"
            for column, text in entry.columns.items()
            if text and column in columns[relation]
        ]
    connection.execute("; ".join(["BEGIN", *comments, "COMMIT"]))
