"""One server for all tests of the mirror, a database for each."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests import postgres


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """URI of a running server, as its superuser."""
    with postgres.running() as uri:
        yield uri


@pytest.fixture
def database(server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """URI of an empty database of this test's own, dropped afterwards; the roles are the server's and stay."""
    name = f"mirror_{abs(hash(request.node.nodeid)) % 10**9}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield psycopg.conninfo.make_conninfo(server, dbname=name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
