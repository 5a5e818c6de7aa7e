"""The queries that docs/ gives to people, on the county that docs/how-a-figure-travels.md follows: in both engines."""

from __future__ import annotations

import decimal
import re
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from ingestion.home import PROJECT, Home
from publishing.mirror import mirror
from tests import postgres

PAGES = [PROJECT / "docs" / name for name in ("bi.md", "how-a-figure-travels.md")]


def queries(page: Path) -> list[tuple[str, str | None]]:
    """The SQL of the page's blocks, each with the answer behind its arrow."""
    blocks = re.findall(r"```sql\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    found = []
    for statement in (part for block in blocks for part in re.split(r";\n", block)):
        sql, _, answer = statement.partition("-- → ")
        if sql.strip():
            found.append((sql.strip().rstrip(";"), answer.strip() or None))
    return found


def told(row: tuple[Any, ...]) -> str:
    return " | ".join(f"{v:.2f}" if isinstance(v, float | decimal.Decimal) else str(v) for v in row)


def check(ask: Any) -> int:
    checked = 0
    for page in PAGES:
        for sql, answer in queries(page):
            rows = ask(sql)
            # A first publication has no differences yet.
            assert rows or "release_differences" in sql, sql
            if answer:
                assert told(rows[0]) == answer, sql
                checked += 1
    return checked


@pytest.mark.slow
def test_the_queries_of_the_pages_answer_alike_in_both_engines(notice_home: Home) -> None:
    with duckdb.connect(str(notice_home.current / "warehouse.duckdb"), read_only=True) as connection:
        assert check(lambda sql: connection.execute(sql).fetchall()) == 5
    with postgres.running() as uri:
        mirror(notice_home, uri)
        with psycopg.connect(uri, user="tongbao_reader", autocommit=True) as reader:
            assert check(lambda sql: reader.execute(sql).fetchall()) == 5
