"""``previous.*``: every revision ever published, copied from the newest release into the new file."""

from __future__ import annotations

from pathlib import Path

import duckdb

from publishing.inputs import literal, quoted

_WHO = {"period_code": "VARCHAR", "unit_code": "VARCHAR"}
_WHICH = {"null_reason": "VARCHAR", "rule_set": "VARCHAR", "release": "VARCHAR"}

#: table -> (relation of the published file it is copied from, its columns and types as METRICS.md has them).
TABLES: dict[str, tuple[str, dict[str, str]]] = {
    "unit_metrics": (
        "history.unit_metrics",
        _WHO
        | {"area": "VARCHAR", "metric": "VARCHAR", "numerator": "DOUBLE", "denominator": "DOUBLE", "value": "DOUBLE"}
        | {"adjusted": "DOUBLE", "ci_low": "DOUBLE", "ci_high": "DOUBLE", "points": "DOUBLE", "weight": "DOUBLE"}
        | _WHICH,
    ),
    "unit_scores": (
        "history.unit_scores",
        _WHO
        | {"area": "VARCHAR", "score": "DOUBLE", "score_sd": "DOUBLE", "coverage": "DOUBLE", "veto_reason": "VARCHAR"}
        | _WHICH,
    ),
    "unit_rankings": (
        "history.unit_rankings",
        {"period_code": "VARCHAR", "unit_group": "VARCHAR", "unit_code": "VARCHAR", "unit_name": "VARCHAR"}
        | {"area": "VARCHAR", "score": "DECIMAL(9, 2)", "rank": "BIGINT", "tied": "BOOLEAN", "rank_best": "BIGINT"}
        | {"rank_worst": "BIGINT", "rank_change": "BIGINT", "list": "VARCHAR", "most_improved": "BOOLEAN"}
        | _WHICH,
    ),
    "period_totals": (
        "history.period_totals",
        {"period_code": "VARCHAR", "area": "VARCHAR", "figure": "VARCHAR", "value": "DOUBLE", "numerator": "DOUBLE"}
        | {"denominator": "DOUBLE", "release": "VARCHAR"},
    ),
    "releases": (
        "marts.releases",
        {"release": "VARCHAR", "period_code": "VARCHAR", "revision": "INTEGER", "cut_off": "TIMESTAMP"}
        | {"released_at": "TIMESTAMP", "rule_set": "VARCHAR", "input_digest": "VARCHAR", "content_digest": "VARCHAR"}
        | {"reason": "VARCHAR"},
    ),
    "release_exclusions": (
        "marts.release_exclusions",
        {"release": "VARCHAR", "period_code": "VARCHAR", "ticket_no": "VARCHAR", "unit_code": "VARCHAR"}
        | {"unit_name": "VARCHAR", "ground": "VARCHAR", "requested_at": "TIMESTAMP", "approved_at": "TIMESTAMP"}
        | {"metrics_changed": "BIGINT"},
    ),
}

#: What the newest release knew, and no revision holds: relation it is copied from, its columns and types.
_KNOWN: dict[str, tuple[str, dict[str, str]]] = {
    "ticket_exclusions": (
        "core.fct_ticket_exclusions",
        {"ticket_no": "VARCHAR", "unit_key": "VARCHAR", "is_approved": "BOOLEAN"},
    ),
}


def copy_previous(connection: duckdb.DuckDBPyConnection, warehouse: Path | None) -> None:
    """Creates ``previous.<table>`` from the published file, or empty ones with the same columns before the first.

    A column that the models have gained since that file was published is null in its rows, a table is empty.
    """
    connection.execute("CREATE SCHEMA previous")
    served: set[str] = set()
    if warehouse is not None:
        connection.execute(f"ATTACH {literal(str(warehouse))} AS served (READ_ONLY)")
        rows = connection.execute(
            "SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_catalog = 'served'"
        ).fetchall()
        served = {name for (name,) in rows}
    for table, (source, columns) in (TABLES | _KNOWN).items():
        empty = ", ".join(f"NULL::{kind} AS {quoted(name)}" for name, kind in columns.items())
        select = f"SELECT {empty} WHERE false"
        if source in served:
            wanted = "*" if table in TABLES else ", ".join(map(quoted, columns))
            select = f"SELECT {wanted} FROM served.{source} UNION ALL BY NAME {select}"
        connection.execute(f"CREATE TABLE previous.{quoted(table)} AS {select}")
    if warehouse is not None:
        connection.execute("DETACH served")


def published_periods(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Codes of the periods that have been published, sorted."""
    rows = connection.execute("SELECT DISTINCT period_code FROM previous.releases ORDER BY period_code").fetchall()
    return [code for (code,) in rows]
