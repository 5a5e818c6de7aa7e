"""DuckDB in memory, started once a process: what is made with it is temporary, and of its own connection."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import duckdb


def connection(script: str = "", **settings: str) -> duckdb.DuckDBPyConnection:
    """A connection of its own to this process's engine with these settings, which has run ``script`` once.

    To start an engine takes longer than most of what is asked of it. Close the connection to let go of what it holds;
    only the macros of ``script`` are common to the connections.
    """
    return _engine(os.getpid(), script, **settings).cursor()


@cache
def _engine(_process: int, script: str, **settings: str) -> duckdb.DuckDBPyConnection:
    # By process: an engine does not survive a fork.
    config: dict[str, Any] = dict(settings)
    engine = duckdb.connect(":memory:", config=config)
    if script:
        engine.execute(script)
    return engine
