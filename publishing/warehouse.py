"""How the one writer opens the file of a build."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from ingestion import engine
from publishing import settings

#: What the file is called in SQL while it is written, as the file is named.
DATABASE = "warehouse"


def attach(connection: duckdb.DuckDBPyConnection, warehouse: Path) -> None:
    """Makes the file (or opens it) as the connection's database, without a write-ahead log.

    A build that is cut off is begun anew, so nothing is gained by a log that is synced at each of a hundred statements;
    the checkpoint at the end writes the file.
    """
    path = str(warehouse).replace("'", "''")
    version = settings.STORAGE_VERSION
    connection.execute(f"ATTACH '{path}' AS {DATABASE} (RECOVERY_MODE no_wal_writes, STORAGE_VERSION '{version}')")
    connection.execute(f"USE {DATABASE}")


@contextmanager
def writing(warehouse: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that writes the file, and has written it when it is left."""
    with engine.connect() as connection:
        attach(connection, warehouse)
        yield connection
        connection.execute("CHECKPOINT")
