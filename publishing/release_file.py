"""The file that is served: a fresh database with the published schemas only, readable by older clients."""

from __future__ import annotations

from pathlib import Path

import duckdb

from ingestion.errors import BuildFailed
from publishing import settings
from publishing.inputs import literal, quoted


def write_release_file(source: Path, target: Path) -> None:
    """Copies the tables of the published schemas from a run's warehouse into a new file at ``target``.

    Views become tables, comments go along; staging, inputs and anything else stay behind. Raises BuildFailed where
    the file is not complete in itself afterwards.
    """
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH {literal(str(source))} AS run (READ_ONLY)")
        connection.execute(
            f"ATTACH {literal(str(target))} AS published (STORAGE_VERSION {literal(settings.STORAGE_VERSION)})"
        )
        relations = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_catalog = 'run' AND list_contains(?, table_schema) ORDER BY ALL",
            [list(settings.PUBLISHED_SCHEMAS)],
        ).fetchall()
        for schema in settings.PUBLISHED_SCHEMAS:
            connection.execute(f"CREATE SCHEMA published.{schema}")
        for schema, table in relations:
            name = f"{quoted(schema)}.{quoted(table)}"
            connection.execute(f"CREATE TABLE published.{name} AS SELECT * FROM run.{name}")
        _copy_comments(connection)
        connection.execute("CHECKPOINT published")
        connection.execute("DETACH published")
    if target.with_name(target.name + ".wal").exists():
        raise BuildFailed("the release file kept a write-ahead log after its checkpoint")


def storage_version(warehouse: Path) -> str:
    """The storage format that the file is written in, as DuckDB names it."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        row = connection.execute(
            "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = current_database()"
        ).fetchone()
    return str(row[0]) if row else ""


def _copy_comments(connection: duckdb.DuckDBPyConnection) -> None:
    published = [list(settings.PUBLISHED_SCHEMAS)]
    tables = connection.execute(
        "SELECT schema_name, table_name, comment FROM duckdb_tables() WHERE database_name = 'run' "
        "AND list_contains(?, schema_name) AND comment IS NOT NULL",
        published,
    ).fetchall()
    columns = connection.execute(
        "SELECT schema_name, table_name, column_name, comment FROM duckdb_columns() WHERE database_name = 'run' "
        "AND list_contains(?, schema_name) AND comment IS NOT NULL",
        published,
    ).fetchall()
    for schema, table, comment in tables:
        connection.execute(f"COMMENT ON TABLE published.{quoted(schema)}.{quoted(table)} IS {literal(comment)}")
    for schema, table, column, comment in columns:
        connection.execute(
            f"COMMENT ON COLUMN published.{quoted(schema)}.{quoted(table)}.{quoted(column)} IS {literal(comment)}"
        )
