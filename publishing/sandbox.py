"""dbt-duckdb plugin: puts dbt on the run's own file and takes its SQL connection's access to everything else.

The profile stays the same text for every run, so dbt's parse cache can be used again; which file and which folders
comes from the two variables below, set by ``publishing.dbt_run`` for the time of one build.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin

from ingestion import engine
from publishing.warehouse import DATABASE, attach

#: The new DuckDB file that the models are built in.
WAREHOUSE_VARIABLE = "TONGBAO_WAREHOUSE"
#: Folders that SQL may read, joined by os.pathsep: the staged Parquet, the run's folder, the seeds.
FOLDERS_VARIABLE = "TONGBAO_SQL_FOLDERS"


class Plugin(BasePlugin):
    """Read by dbt-duckdb from the profile's ``plugins``."""

    def update_connection_config(self, creds: Any, config: dict[str, Any]) -> None:
        """The file is attached, not opened: only then can it be told to keep no log."""
        creds.path = ":memory:"

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Bounds the engine, opens the file and closes everything else."""
        warehouse = Path(os.environ[WAREHOUSE_VARIABLE])
        for name, value in engine.bounds(warehouse).items():
            conn.execute(f"SET {name} = ?", [value])
        # Every statement over a dataset opens its file of each month; none of them changes while a build goes on.
        conn.execute("SET parquet_metadata_cache = true")
        attach(conn, warehouse)
        lock(conn, os.environ[FOLDERS_VARIABLE].split(os.pathsep))

    def configure_cursor(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Each thread of dbt has a cursor; names without a database are the warehouse's."""
        cursor.execute(f"USE {DATABASE}")


def lock(conn: duckdb.DuckDBPyConnection, folders: list[str]) -> None:
    """No file outside the folders, no other database, no setting changed back."""
    conn.execute("SET allowed_directories = ?", [folders])
    conn.execute("SET enable_external_access = false")
    conn.execute("SET lock_configuration = true")
