"""Every figure of a Spark build against DuckDB's: cells of the published tables, equal to the last digit or listed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion import engine
from ingestion.errors import BuildFailed
from publishing.dictionary import dictionary
from publishing.inputs import quoted
from publishing.spark.inputs import Place

#: Schemas whose tables are compared: every fact and dimension, every revision, the marts.
COMPARED_SCHEMAS = ("core", "history", "marts")


@dataclass
class Comparison:
    """Cells compared, by schema, and a line for each that differs (the table, the row's key, the column; values only
    of marts and history: facts may hold what is not for a log)."""

    figures: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)


def compare(warehouse: Path, place: Place, schemas: Iterable[str] = COMPARED_SCHEMAS) -> Comparison:
    """Compares all tables of the schemas, rows as a multiset, doubles bit by bit.

    A table, column or type that one side lacks is a difference. Raises BuildFailed where there is nothing to compare.
    """
    found = Comparison()
    keys = {name: entry.keys for name, entry in dictionary().items()}
    with engine.connect() as connection:
        connection.execute("ATTACH $path AS built (READ_ONLY)", {"path": str(warehouse)})
        for schema in schemas:
            rows = connection.execute(
                "SELECT table_name FROM duckdb_tables() WHERE database_name = 'built' AND schema_name = ? ORDER BY ALL",
                [schema],
            ).fetchall()
            if not rows:
                raise BuildFailed(f"{warehouse} has no table in {schema}: nothing to compare")
            found.figures[schema] = 0
            for (table,) in rows:
                key = tuple(next(iter(keys.get((schema, table), [])), []))
                _compare_table(connection, place, schema, table, key, found)
    return found


def read_table(place: Place, *parts: str) -> pa.Table | None:
    """A table that Spark wrote; None where there is none, and an empty one where it has no row."""
    files = place.files(*parts, ending=".parquet")
    return pa.concat_tables([pq.read_table(name, filesystem=place.system) for name in files]) if files else None


def _compare_table(
    connection: duckdb.DuckDBPyConnection,
    place: Place,
    schema: str,
    table: str,
    key: tuple[str, ...],
    found: Comparison,
) -> None:
    name = f"{schema}.{table}"
    content = read_table(place, schema, table)
    if content is None:
        found.differences.append(f"{name}: Spark wrote no such table")
        return
    connection.register("spark", content)
    ours, theirs = _types(connection, f"built.{schema}.{quoted(table)}"), _types(connection, "spark")
    if ours != theirs:
        unequal = sorted(set(ours.items()) ^ set(theirs.items()))
        found.differences.append(f"{name}: other columns or types: {', '.join(' '.join(each) for each in unequal)}")
        return
    # A double is compared by its text with all digits: 0.1 + 0.2 is not 0.3, and -0.0 is not 0.0.
    columns = ", ".join(
        f"CAST({quoted(column)} AS VARCHAR) AS {quoted(column)}" if kind == "DOUBLE" else quoted(column)
        for column, kind in ours.items()
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE ours AS SELECT {columns} FROM built.{schema}.{quoted(table)}")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE theirs AS SELECT {columns} FROM spark")
    connection.unregister("spark")
    figures = [column for column in ours if column not in key] or list(ours)
    rows = _count(connection, "SELECT count(*) FROM ours")
    found.figures[schema] += rows * len(figures)
    for this, that in (("ours", "theirs"), ("theirs", "ours")):
        connection.execute(f"CREATE OR REPLACE TEMP TABLE only_{this} AS FROM {this} EXCEPT ALL FROM {that}")
    if not (
        _count(connection, "SELECT count(*) FROM only_ours") + _count(connection, "SELECT count(*) FROM only_theirs")
    ):
        return
    _name_cells(connection, name, key or tuple(ours), figures, schema != "core", found)


def _name_cells(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    key: tuple[str, ...],
    figures: list[str],
    with_values: bool,
    found: Comparison,
) -> None:
    on = " AND ".join(f"o.{quoted(column)} IS NOT DISTINCT FROM t.{quoted(column)}" for column in key)
    who = " || ' ' || ".join(f"coalesce(CAST(coalesce(o.{quoted(c)}, t.{quoted(c)}) AS VARCHAR), '∅')" for c in key)
    cells = ", ".join(
        f"CASE WHEN o.{quoted(column)} IS DISTINCT FROM t.{quoted(column)} THEN [CAST(o.{quoted(column)} AS VARCHAR), "
        f"CAST(t.{quoted(column)} AS VARCHAR)] END"
        for column in figures
    )
    # `there` tells a row that is missing from one whose cells are null.
    rows = connection.execute(
        f"SELECT {who}, o.there, t.there, {cells} FROM (SELECT *, true AS there FROM only_ours) o "
        f"FULL JOIN (SELECT *, true AS there FROM only_theirs) t ON {on} ORDER BY 1"
    ).fetchall()
    for identity, in_ours, in_theirs, *differing in rows:
        if not (in_ours and in_theirs):
            found.differences.append(f"{name} [{identity}]: a row only on {'DuckDB' if in_ours else 'Spark'}")
            continue
        for column, pair in zip(figures, differing, strict=True):
            if pair is not None:
                told = f": DuckDB {pair[0]}, Spark {pair[1]}" if with_values else ""
                found.differences.append(f"{name} [{identity}] {column}{told}")


def _types(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    return {row[0]: str(row[1]) for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}


def _count(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    return int(connection.execute(sql).fetchall()[0][0])
