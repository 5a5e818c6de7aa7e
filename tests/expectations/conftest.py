"""A home of its own for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home [1]")  # a name that a glob would misread
