"""Releases for the mirror's tests: the real release file of a hand-made run, without the tables that people open."""

from __future__ import annotations

import json
import shutil

import duckdb

from ingestion.durable import sha256_of
from ingestion.home import Home
from publishing.durable import swap_link
from publishing.release_file import write_release_file
from tests.publishing.warehouses import hand_made_run


def serve(home: Home, number: int, *changes: str) -> None:
    """Makes release ``number``, whose every figure is its number, and serves it; ``changes`` are SQL on its file."""
    folder = home.releases / str(number)
    folder.mkdir(parents=True)
    run = hand_made_run(home, f"run{number}", ["2022-07"], version=number)
    write_release_file(run / "warehouse.duckdb", folder / "warehouse.duckdb")
    if changes:
        with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
            for change in changes:
                connection.execute(change)
    _seal(home, number)


def serve_next(home: Home, number: int) -> None:
    """The same as ``serve`` for a release after the first, from the file of release 1: quicker."""
    folder = home.releases / str(number)
    folder.mkdir()
    shutil.copyfile(home.releases / "1" / "warehouse.duckdb", folder / "warehouse.duckdb")
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        for table, column in {
            "marts.publication": "number",
            "marts.period_totals": "value",
            "marts.unit_scores": "score",
            "history.period_totals": "value",
        }.items():
            connection.execute(f"UPDATE {table} SET {column} = {number}")
    _seal(home, number)


def _seal(home: Home, number: int) -> None:
    folder = home.releases / str(number)
    files = {"warehouse.duckdb": {"sha256": sha256_of(folder / "warehouse.duckdb")}}
    (folder / "manifest.json").write_text(json.dumps({"number": number, "files": files}))
    go_to(home, number)


def go_to(home: Home, number: int) -> None:
    """Serves a release that is there, as a step back does."""
    swap_link(home.current, f"releases/{number}")
