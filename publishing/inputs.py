"""The schemas that the models read, made in the new file before dbt runs: staged, audit, previous.

docs/architecture.md (What dbt reads) names the relations and their columns; this module is the other half of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ingestion.contracts import CONTRACTS, Contract
from ingestion.errors import BadParameter, BuildFailed
from ingestion.personal_numbers import masked

#: SQL type of each type of contract column.
SQL_TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
    "boolean": "BOOLEAN",
    "code": "VARCHAR",
    "period": "VARCHAR",
}

#: What ingestion adds to each delivered row.
ROW_COLUMNS = {
    "_key": "VARCHAR",
    "_deleted": "BOOLEAN",
    "_month": "VARCHAR",
    "_pulled_at": "TIMESTAMP",
    "_file": "VARCHAR",
    "_row": "BIGINT",
    "_landing_id": "BIGINT",
}

_ARROW = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "TIMESTAMP": pa.timestamp("us"),
    "DATE": pa.date32(),
    "BOOLEAN": pa.bool_(),
}


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal; for statements that take no parameters (views, ATTACH, COMMENT)."""
    if "\0" in text:
        raise BadParameter("a path or text holds a zero byte")
    return "'" + text.replace("'", "''") + "'"


def checked_path(path: Path) -> Path:
    """The path, where DuckDB reads it as a name and not as a pattern; raises BadParameter otherwise."""
    if any(character in str(path) for character in "*?["):
        raise BadParameter(
            "the home's path holds one of * ? [ , which DuckDB reads as a pattern: choose another folder"
        )
    return path


def staged_columns(contract: Contract) -> dict[str, str]:
    """Column -> SQL type of ``staged.<dataset>``."""
    return {column.name: SQL_TYPES[column.type] for column in contract.columns} | ROW_COLUMNS


def parquet_select(paths: Sequence[Path], columns: Mapping[str, str]) -> str:
    """SELECT of exactly these columns, typed, from exactly these Parquet files; none gives no rows.

    A column that older files lack is null in their rows, so that a contract can grow.
    """
    names = ", ".join(map(quoted, columns))
    empty = ", ".join(f"NULL::{kind} AS {quoted(name)}" for name, kind in columns.items())
    select = f"SELECT {empty} WHERE false"
    if paths:
        files = ", ".join(literal(str(checked_path(path))) for path in paths)
        # Hive folders (month=…) are not a source of columns here.
        reader = f"read_parquet([{files}], union_by_name = true, hive_partitioning = false)"
        select = f"{select} UNION ALL BY NAME SELECT * FROM {reader}"
    return (
        f"SELECT {', '.join(f'{quoted(name)}::{kind} AS {quoted(name)}' for name, kind in columns.items())} "
        f"FROM (SELECT {names} FROM ({select}))"
    )


def create_table(connection: duckdb.DuckDBPyConnection, name: str, content: pa.Table) -> None:
    """Creates ``schema.table`` with this content."""
    connection.register("_content", content)
    connection.execute(f"CREATE TABLE {name} AS SELECT * FROM _content")
    connection.unregister("_content")


def records(columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """A few records as a typed table; ``columns`` is name -> SQL type."""
    return pa.Table.from_pylist(list(rows), schema=pa.schema([(name, _ARROW[kind]) for name, kind in columns.items()]))


def staged_views(connection: duckdb.DuckDBPyConnection, files: Mapping[str, Sequence[Path]]) -> None:
    """``staged.<dataset>`` for each of the ten datasets over its accepted files, which must exist.

    Raises BuildFailed that names a missing file: what was accepted and is gone is never a zero.
    """
    for dataset, contract in CONTRACTS.items():
        paths = files.get(dataset, ())
        if gone := [path.name for path in paths if not path.is_file()]:
            raise BuildFailed(
                f"accepted files of {dataset} are gone from staged/: {', '.join(gone[:5])}; load them again"
            )
        connection.execute(f"CREATE VIEW staged.{quoted(dataset)} AS {parquet_select(paths, staged_columns(contract))}")


def undelivered_areas(connection: duckdb.DuckDBPyConnection, rows: Iterable[Mapping[str, str]]) -> None:
    """``staged.undelivered_areas``: period × area × unit for which the unit's own deliveries are not there."""
    columns = {"period_code": "VARCHAR", "area": "VARCHAR", "unit_code": "VARCHAR"}
    create_table(connection, "staged.undelivered_areas", records(columns, rows))


def run_row(
    connection: duckdb.DuckDBPyConnection,
    run_id: str,
    reason: str,
    released_at: dt.datetime,
    input_digest: str,
    number: int,
) -> None:
    """``staged.run``: the one row that says which run this is; its reason is published, so without phones and ids.

    ``number`` is the release folder that the run will fill when it is published.
    """
    columns = {"run_id": "VARCHAR", "reason": "VARCHAR", "released_at": "TIMESTAMP", "input_digest": "VARCHAR"}
    row: dict[str, Any] = {"run_id": run_id, "reason": masked(reason), "released_at": released_at}
    row |= {"input_digest": input_digest, "number": number}
    columns |= {"number": "INTEGER"}
    create_table(connection, "staged.run", records(columns, [row]))
