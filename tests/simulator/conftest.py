"""The notice's exports, written once in their first spelling, and a small county with everything planted."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator import generate, notice, write

MONTHS = ("2022-05", "2022-06", "2022-07")


@pytest.fixture(scope="session")
def notice_tables() -> generate.Tables:
    return notice.notice(1)


@pytest.fixture(scope="session")
def notice_exports(notice_tables: generate.Tables, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scenario's files without title lines and odd spellings, so that a plain reader can count them."""
    out = tmp_path_factory.mktemp("notice") / "exports"
    write.write_exports(notice_tables, out, habits=False)
    return out


@pytest.fixture(scope="session")
def small_county() -> generate.Tables:
    return generate.county(11, MONTHS, 0.1)
