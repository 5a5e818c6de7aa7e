"""What readers see of the mirror: views in ``core``, ``marts``, ``history`` and ``audit``, switched all at once."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psycopg
from psycopg import sql

from publishing import settings
from publishing.mirror.load import REPLACED, STATE, comment, schema_of, table_of

#: Seconds that the switch goes on asking for its moment while long queries run; then the run may be retried.
SWITCH_SECONDS = 300.0

#: How long one attempt may hold readers up. Below PostgreSQL's deadlock_timeout (1 s): where a reader and the switch
#: wait for each other, it is the switch that gives way, never the reader.
_ATTEMPT = "400ms"


@dataclass(frozen=True)
class _Column:
    name: str
    kind: str
    comment: str | None


def switch(connection: psycopg.Connection, number: int, reader: str) -> None:
    """Points every view at release ``number``, in one transaction; views that it lacks go, new ones come.

    A query sees the old release or the new one in all its views. Waits for running queries without holding up others
    for long; raises psycopg's QueryCanceled where no moment was found in SWITCH_SECONDS.
    """
    with connection.transaction():
        _prepare(connection, reader)
    deadline = time.monotonic() + SWITCH_SECONDS
    while True:
        try:
            with connection.transaction():
                _switch(connection, number, reader)
            return
        except (psycopg.errors.QueryCanceled, psycopg.errors.DeadlockDetected):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _prepare(connection: psycopg.Connection, reader: str) -> None:
    """The role and the schemas that the views live in, where they are not there yet."""
    ensure_reader(connection, reader)
    for schema in settings.PUBLISHED_SCHEMAS:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        connection.execute(
            sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(schema), sql.Identifier(reader))
        )


def _switch(connection: psycopg.Connection, number: int, reader: str) -> None:
    there = _views(connection)
    wanted = _tables(connection, number)
    if there:
        # All locks first, in one statement with a time limit: from here on nothing waits.
        connection.execute(f"SET LOCAL statement_timeout = '{_ATTEMPT}'")
        names = sql.SQL(", ").join(sql.Identifier(*view) for view in there)
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(names))
        connection.execute("SET LOCAL statement_timeout = 0")
    statements: list[sql.Composable] = []
    for view, columns in there.items():
        # A view can be replaced by one with the same columns and more; anything else is a new view.
        if view not in wanted or not _extends(wanted[view][1], columns):
            statements.append(sql.SQL("DROP VIEW {}").format(sql.Identifier(*view)))
    for view, (described, columns) in wanted.items():
        name, table = sql.Identifier(*view), sql.Identifier(schema_of(number), table_of(*view))
        shown = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
        statements += [
            sql.SQL("CREATE OR REPLACE VIEW {} AS SELECT {} FROM {}").format(name, shown, table),
            sql.SQL("GRANT SELECT ON {} TO {}").format(name, sql.Identifier(reader)),
            comment("VIEW", name, described),
            *(comment("COLUMN", sql.Identifier(*view, column.name), column.comment) for column in columns),
        ]
    statements.append(sql.SQL("UPDATE {} SET is_served = number = {}").format(sql.SQL(STATE), sql.Literal(number)))
    # In one message: readers wait for the server's work alone.
    connection.execute(sql.SQL("; ").join(statements))


def ensure_reader(connection: psycopg.Connection, reader: str) -> None:
    """The read-only role: may log in once it is given a password, owns nothing, is granted the views alone.

    The database is the mirror's own: what PostgreSQL grants to everyone (temporary tables, the schema public, and large
    objects where this connection may say so) is taken back there.
    """
    role = sql.Identifier(reader)
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [reader]).fetchone():
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS").format(role)
        )
        connection.execute(sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(role))
        connection.execute(sql.SQL("ALTER ROLE {} SET statement_timeout = '60s'").format(role))
    connection.execute(
        sql.SQL("REVOKE TEMPORARY, CREATE ON DATABASE {} FROM PUBLIC").format(sql.Identifier(connection.info.dbname))
    )
    connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    functions = connection.execute(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace"
        " AND proname IN ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_put', 'lowrite', 'lo_open')"
        " AND has_function_privilege('public', oid, 'EXECUTE') AND pg_has_role(proowner, 'USAGE')"
    ).fetchall()
    for (function,) in functions:
        connection.execute(sql.SQL("REVOKE EXECUTE ON FUNCTION {} FROM PUBLIC").format(sql.SQL(function)))


def prune(connection: psycopg.Connection, served: int, kept: int) -> None:
    """Drops all but the newest ``kept`` releases and the served one; one that is being read waits for next time."""
    numbers = [
        number
        for (number,) in connection.execute(
            f"SELECT number FROM {STATE} ORDER BY number = %s DESC, number DESC", [served]
        ).fetchall()
    ]
    replaced = connection.execute(
        "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, 'release_') AND right(nspname, %s) = %s",
        [len(REPLACED), REPLACED],
    ).fetchall()
    for number in numbers[kept:]:
        _drop(connection, schema_of(number), number)
    for (schema,) in replaced:
        _drop(connection, schema, None)


def _drop(connection: psycopg.Connection, schema: str, number: int | None) -> None:
    try:
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '2s'")
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))
            connection.execute(f"DELETE FROM {STATE} WHERE number = %s", [number])
    except psycopg.errors.LockNotAvailable:
        return  # being read: next time


def _extends(new: list[_Column], old: list[_Column]) -> bool:
    return [(column.name, column.kind) for column in new[: len(old)]] == [(column.name, column.kind) for column in old]


def _views(connection: psycopg.Connection) -> dict[tuple[str, str], list[_Column]]:
    """(schema, view) -> columns, of every view that the mirror has made."""
    found: dict[tuple[str, str], list[_Column]] = {}
    for schema, view, name, kind in connection.execute(
        "SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod)"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relkind = 'v' AND n.nspname = ANY(%s) AND a.attnum > 0 AND pg_has_role(c.relowner, 'USAGE')"
        " ORDER BY n.nspname, c.relname, a.attnum",
        [list(settings.PUBLISHED_SCHEMAS)],
    ):
        found.setdefault((schema, view), []).append(_Column(name, kind, None))
    return found


def _tables(connection: psycopg.Connection, number: int) -> dict[tuple[str, str], tuple[str | None, list[_Column]]]:
    """(schema, view) -> comment and columns of the release's table, for every table of the release."""
    found: dict[tuple[str, str], tuple[str | None, list[_Column]]] = {}
    for relation, described, name, kind, text in connection.execute(
        "SELECT c.relname, obj_description(c.oid, 'pg_class'), a.attname, format_type(a.atttypid, a.atttypmod),"
        " col_description(c.oid, a.attnum)"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relkind = 'r' AND c.relnamespace = %s::regnamespace AND a.attnum > 0 AND NOT a.attisdropped"
        " ORDER BY c.relname, a.attnum",
        [schema_of(number)],
    ):
        schema, _, view = relation.partition("__")
        found.setdefault((schema, view), (described, []))[1].append(_Column(name, kind, text))
    return found
