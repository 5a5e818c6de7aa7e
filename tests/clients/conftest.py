"""The clients' own environments: each DuckDB release in a folder of its own, beside everything the tests run with."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ingestion.home import PROJECT
from tests import postgres

#: `make clients` makes whole environments with harlequin and a notebook's kernel there; without it the tests install
#: the two engines alone, which takes seconds.
ENVIRONMENTS = os.environ.get("TONGBAO_CLIENTS", "")


class Clients:
    """How each client is started, by its name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def python(self, version: str) -> tuple[list[str], dict[str, str]]:
        """Command and environment of a Python whose DuckDB is of this release."""
        if ENVIRONMENTS:
            return [str(Path(ENVIRONMENTS) / f"duckdb-{version}" / "bin" / "python")], {**os.environ, "PYTHONPATH": ""}
        target = self.folder / version
        if not target.exists():
            pinned = (PROJECT / "requirements" / "clients" / f"duckdb-{version}.txt").read_text("utf-8")
            (engine,) = re.findall(r"^duckdb==(?:.*\\\n)*.*$", pinned, re.MULTILINE)
            only = self.folder / f"{version}.txt"
            only.write_text(engine + "\n", "utf-8")
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
            subprocess.run([*command, "--require-hashes", "--target", str(target), "-r", str(only)], check=True)
        return [sys.executable], {**os.environ, "PYTHONPATH": str(target)}


@pytest.fixture(scope="session")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Clients:
    return Clients(tmp_path_factory.mktemp("clients"))


@pytest.fixture(scope="session")
def mirror_uri() -> Iterator[str]:
    """A database of its own on a running PostgreSQL."""
    with postgres.running() as server:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("CREATE DATABASE warehouse")
        yield psycopg.conninfo.make_conninfo(server, dbname="warehouse")
