"""Counties brought aboard by their profiles alone: pulled, loaded, built, audited and published once a session."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from ingestion.home import PROJECT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real exports (``REAL_DATA_DIR``): read where they lie, never copied into the project."""
    folder = Path(os.environ.get("REAL_DATA_DIR") or PROJECT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.fail(f"{folder} is missing: set REAL_DATA_DIR to the folder of the real data")
    return folder


def run_county(county: str, exports: Path, home: Path, *periods: str) -> subprocess.CompletedProcess[str]:
    """``python -m counties run`` in a process of its own, as a person starts it."""
    environment = os.environ | {"TONGBAO_COUNTY": county, "TONGBAO_HOME": str(home), "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "counties", "run", "--exports", str(exports), *periods]
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)


def served(home: Path) -> duckdb.DuckDBPyConnection:
    """The published file."""
    return duckdb.connect(str(home / "published" / "current" / "warehouse.duckdb"), read_only=True)
