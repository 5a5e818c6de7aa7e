from __future__ import annotations

from pathlib import Path

import pytest

from tests.ingestion.deliveries import Exports


@pytest.fixture(autouse=True)
def _own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test's home makes its own key."""
    monkeypatch.delenv("TONGBAO_PII_KEY", raising=False)


@pytest.fixture
def exports(tmp_path: Path) -> Exports:
    return Exports(tmp_path)
