"""The gate between a built file and its publication: expectations at the published edge, identities, personal data."""

from __future__ import annotations

import json
from collections.abc import Sequence

import duckdb

from ingestion import engine
from ingestion.contracts import CONTRACTS
from ingestion.durable import naming_storage_faults, sha256_of
from ingestion.errors import AuditFailed
from ingestion.home import Home
from publishing import settings
from publishing.build import read_state, run_folder
from publishing.durable import exclusive, write_text
from publishing.inputs import quoted
from publishing.kept import AUDIT_FILE
from publishing.previous import TABLES


@naming_storage_faults("audit")
def audit(home: Home, run_id: str, *, facts: bool = True) -> None:
    """Checks the run's warehouse as a whole before anyone can read it; raises AuditFailed with every reason found.

    ``facts``: whether it holds delivered rows; a region's holds its counties' published tables. What passed is
    remembered by hash: ``publish`` takes no other bytes.
    """
    from expectations import validate_published  # Great Expectations takes seconds to import

    run_dir = run_folder(home, run_id)
    state = read_state(run_dir)
    schemas = state.get("schemas", settings.PUBLISHED_SCHEMAS)
    warehouse = run_dir / "warehouse.duckdb"
    with exclusive(run_dir, f"run {run_id}"):
        (run_dir / AUDIT_FILE).unlink(missing_ok=True)
        built = sha256_of(warehouse)
        if built != state["warehouse_sha256"]:
            raise AuditFailed(
                f"the warehouse of run {run_id} is not as its build left it: damaged on disk; build it again"
            )
        with engine.connect(warehouse, read_only=True) as connection:
            problems = unreconciled(connection) + lost_history(connection) + personal_columns(connection, schemas)
        if problems:
            raise AuditFailed("\n  ".join([f"run {run_id} is not published:", *problems]))
        validate_published(home, warehouse, run_dir, facts=facts)
        write_text(run_dir / AUDIT_FILE, json.dumps({"warehouse_sha256": built}))


def unreconciled(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The accounting identities that do not hold, from ``audit.reconciliation``."""
    rows = connection.execute("SELECT * FROM audit.reconciliation WHERE NOT coalesce(is_balanced, false) LIMIT 20")
    names = [column[0] for column in rows.description or []]
    return [
        "identity does not hold: " + ", ".join(f"{name} {value}" for name, value in zip(names, row, strict=True))
        for row in rows.fetchall()
    ]


def lost_history(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Tables in which a revision published before is missing or changed: what was published stays as it was."""
    problems = []
    for table, (source, _) in TABLES.items():
        if not connection.execute(f"SELECT 1 FROM previous.{table} LIMIT 1").fetchone():
            continue  # nothing was published that could be lost: as in every county's first run
        types = _columns(connection, "previous", table)
        columns = ", ".join(map(quoted, types))
        typed = ", ".join(f"TRY_CAST({quoted(name)} AS {kind}) AS {quoted(name)}" for name, kind in types.items())
        if not connection.execute(_LOST.format(table=table, source=source, columns=columns, typed=typed)).fetchall():
            continue
        lost = connection.execute(
            f"SELECT count(*) FROM (SELECT {columns} FROM previous.{table} EXCEPT ALL SELECT {columns} FROM {source})"
        ).fetchone()
        if lost and lost[0]:
            problems.append(f"{source}: {lost[0]} published rows of earlier revisions are missing or changed")
    return problems


#: Releases published before that have not the same rows now: by the sum of the rows' hashes, which has no order. Of
#: those alone it is asked, in several times the time, what became of which row.
_LOST = """
SELECT release, count(*), sum(hash(was)::HUGEINT) FROM (SELECT {columns} FROM previous.{table}) AS was GROUP BY ALL
EXCEPT
SELECT release, count(*), sum(hash(now)::HUGEINT) FROM (SELECT {typed} FROM {source}) AS now GROUP BY ALL
"""


def _columns(connection: duckdb.DuckDBPyConnection, schema: str, table: str) -> dict[str, str]:
    """Column -> type, in the table's order."""
    rows = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() "
        "AND schema_name = ? AND table_name = ? ORDER BY column_index",
        [schema, table],
    ).fetchall()
    return dict(rows)


def personal_columns(
    connection: duckdb.DuckDBPyConnection, schemas: Sequence[str] = settings.PUBLISHED_SCHEMAS
) -> list[str]:
    """Published columns that carry the name of a personal column of a contract: none may leave, not even as tokens."""
    personal = sorted(
        {column.name for contract in CONTRACTS.values() for column in contract.columns if column.personal}
    )
    rows = connection.execute(
        "SELECT schema_name, table_name, column_name FROM duckdb_columns() "
        "WHERE database_name = current_database() AND list_contains(?, schema_name) AND list_contains(?, column_name) "
        "ORDER BY ALL",
        [list(schemas), personal],
    ).fetchall()
    return [f"{schema}.{table}.{column} would publish personal data" for schema, table, column in rows]
