"""A county's home of its own for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home."""
    return Home(tmp_path / "home")
