"""A release's tables in PostgreSQL: one schema, one transaction; there is all of it or nothing."""

from __future__ import annotations

import re
from typing import Any, Literal

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.csv
from psycopg import sql

from ingestion.errors import BadParameter
from publishing import inputs, settings
from publishing.dictionary import Described, dictionary
from publishing.releases import Release

#: Where the mirror keeps what it holds; the reader's role does not see it.
STATE = "tongbao_mirror.releases"

#: What the name of a release's schema ends with when another of the same number has taken its place.
REPLACED = "_replaced"

#: DuckDB type -> PostgreSQL type; DECIMAL(p,s) becomes numeric(p,s).
_TYPES = {
    "VARCHAR": "text",
    "BIGINT": "bigint",
    "INTEGER": "integer",
    "DOUBLE": "double precision",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "HUGEINT": "numeric(38,0)",
}

#: Columns that dashboards filter and join by: each gets an index where the primary key does not begin with it.
_INDEXED = re.compile(r"unit_code|period_code|case_no|ticket_no|(.*_)?month(_code)?")

#: Rows that travel at once.
_BATCH = 100_000


def schema_of(number: int) -> str:
    """Name of the schema that holds a release's tables."""
    return f"release_{number}"


def table_of(schema: str, table: str) -> str:
    """Name of a published table inside the release's schema; the view is ``<schema>.<table>``."""
    return f"{schema}__{table}"


def prepare(connection: psycopg.Connection) -> None:
    """The mirror's own notes: which releases it holds, each with the hash of the file it was loaded from."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS tongbao_mirror")
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {STATE} (number integer PRIMARY KEY, warehouse_sha256 text NOT NULL,"
        " loaded_at timestamptz NOT NULL DEFAULT now(), is_served boolean NOT NULL DEFAULT false)"
    )


def is_loaded(connection: psycopg.Connection, release: Release) -> bool:
    """Whether the mirror holds exactly this release: its number, loaded from these bytes."""
    found = connection.execute(f"SELECT warehouse_sha256 FROM {STATE} WHERE number = %s", [release.number]).fetchone()
    return found is not None and found[0] == _sha256(release)


def load(connection: psycopg.Connection, release: Release) -> None:
    """Loads the release's published tables with keys, indexes and comments, in one transaction.

    A schema of the same number that came from other bytes (a home that was set up anew) makes way under another name:
    the views go on showing it until they are switched. Raises BadParameter on a column type that has no counterpart.
    """
    name = schema_of(release.number)
    with connection.transaction(), duckdb.connect(str(release.warehouse), read_only=True) as source:
        if connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [name]).fetchone():
            aside = sql.Identifier(name + REPLACED)
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(aside))
            connection.execute(sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(sql.Identifier(name), aside))
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        for schema, table in _relations(source):
            _load_table(connection, source, name, schema, table)
        connection.execute(f"DELETE FROM {STATE} WHERE number = %s", [release.number])
        connection.execute(
            f"INSERT INTO {STATE} (number, warehouse_sha256) VALUES (%s, %s)", [release.number, _sha256(release)]
        )


def _sha256(release: Release) -> str:
    return str(release.manifest["files"]["warehouse.duckdb"]["sha256"])


def _relations(source: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    return source.execute(
        "SELECT schema_name, table_name FROM duckdb_tables() WHERE list_contains(?, schema_name) ORDER BY ALL",
        [list(settings.PUBLISHED_SCHEMAS)],
    ).fetchall()


def _load_table(
    connection: psycopg.Connection, source: duckdb.DuckDBPyConnection, into: str, schema: str, table: str
) -> None:
    columns = source.execute(
        "SELECT column_name, data_type, comment FROM duckdb_columns() "
        "WHERE schema_name = ? AND table_name = ? ORDER BY column_index",
        [schema, table],
    ).fetchall()
    target = sql.Identifier(into, table_of(schema, table))
    connection.execute(
        sql.SQL("CREATE TABLE {} ({})").format(
            target,
            sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(_type(f"{schema}.{table}.{name}", kind)))
                for name, kind, _ in columns
            ),
        )
    )
    _copy(connection, source, target, schema, table, [(name, kind) for name, kind, _ in columns])
    _constrain(connection, target, dictionary().get((schema, table), Described()), [name for name, *_ in columns])
    (described,) = source.execute(
        "SELECT comment FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?", [schema, table]
    ).fetchone() or (None,)
    comments = [
        comment("COLUMN", sql.Identifier(into, table_of(schema, table), name), text) for name, _, text in columns
    ]
    connection.execute(sql.SQL("; ").join([comment("TABLE", target, described), *comments]))
    connection.execute(sql.SQL("ANALYZE {}").format(target))


def comment(kind: Literal["TABLE", "VIEW", "COLUMN"], name: sql.Identifier, text: str | None) -> sql.Composed:
    """COMMENT ON; no text takes away one that was there."""
    return sql.SQL("COMMENT ON {} {} IS {}").format(sql.SQL(kind), name, sql.Literal(text))


def _type(column: str, kind: str) -> Any:
    if kind in _TYPES:
        return _TYPES[kind]
    if re.fullmatch(r"DECIMAL\(\d+,\d+\)", kind):
        return "numeric" + kind.removeprefix("DECIMAL")
    raise BadParameter(f"{column} is {kind}, for which the mirror has no PostgreSQL type: name one in mirror/load.py")


def _copy(
    connection: psycopg.Connection,
    source: duckdb.DuckDBPyConnection,
    target: sql.Identifier,
    schema: str,
    table: str,
    columns: list[tuple[str, str]],
) -> None:
    """Rows as CSV in batches, written by Arrow: null is nothing, an empty text is two quotes, as COPY reads them."""
    # PostgreSQL's text holds no zero byte.
    wanted = ", ".join(
        f"replace({inputs.quoted(name)}, chr(0), '') AS {inputs.quoted(name)}"
        if kind == "VARCHAR"
        else inputs.quoted(name)
        for name, kind in columns
    )
    found = source.sql(f"SELECT {wanted} FROM {inputs.quoted(schema)}.{inputs.quoted(table)}")
    reader = found.to_arrow_reader(_BATCH)
    # FREEZE: the table is of this transaction, so its rows need not be written a second time.
    statement = sql.SQL("COPY {} FROM STDIN (FORMAT csv, FREEZE)").format(target)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        options = pyarrow.csv.WriteOptions(include_header=False)
        for batch in reader:
            sink = pa.BufferOutputStream()
            pyarrow.csv.write_csv(batch, sink, options)
            copy.write(memoryview(sink.getvalue()))


def _constrain(connection: psycopg.Connection, target: sql.Identifier, entry: Described, columns: list[str]) -> None:
    """The declared keys, then an index for each column that dashboards filter by; only where the columns are there."""
    keys = [key for key in entry.keys if set(key) <= set(columns)]
    for place, key in enumerate(keys):
        names = sql.SQL(", ").join(map(sql.Identifier, key))
        kind = sql.SQL("UNIQUE" if place else "PRIMARY KEY")
        connection.execute(sql.SQL("ALTER TABLE {} ADD {} ({})").format(target, kind, names))
    led = {key[0] for key in keys}
    for column in columns:
        if _INDEXED.fullmatch(column) and column not in led:
            connection.execute(sql.SQL("CREATE INDEX ON {} ({})").format(target, sql.Identifier(column)))
