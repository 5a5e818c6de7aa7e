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
from ops import bench_bi
from publishing.dictionary import dictionary
from publishing.mirror import mirror
from publishing.releases import served
from tests import postgres

COUNT = "SELECT count(*) FROM core.fct_cases"
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


@pytest.mark.slow
def test_the_bench_asks_the_pages_samples_of_a_release_that_is_only_larger(notice_home: Home, tmp_path: Path) -> None:
    """ops/bench_bi.py: each fact as often as asked for, its key still a key, everything else as it was."""
    release = served(notice_home)
    assert release
    with duckdb.connect(str(release.warehouse), read_only=True) as small:
        (cases,) = small.execute(COUNT).fetchone() or (0,)
    assert bench_bi.enlarge(release.warehouse, tmp_path / "large.duckdb", 2 * cases) == 2
    with duckdb.connect(str(tmp_path / "large.duckdb"), read_only=True) as large:
        assert large.execute(COUNT).fetchone() == (2 * cases,)
        large.execute(f"ATTACH '{release.warehouse}' AS small (READ_ONLY)")
        for (schema, table), entry in dictionary().items():
            if schema in ("core", "marts") and entry.keys:
                key = ", ".join(entry.keys[0])
                twice = f"SELECT 1 FROM {schema}.{table} GROUP BY {key} HAVING count(*) > 1"
                assert large.execute(twice).fetchall() == []
                grown = large.execute(
                    f"SELECT (SELECT count(*) FROM {schema}.{table}), (SELECT count(*) FROM small.{schema}.{table})"
                ).fetchone()
                assert grown is not None and grown[0] in (grown[1], 2 * grown[1]), table
        assert len(bench_bi.samples()) >= 7
        assert all(large.execute(sql).fetchall() or "differences" in sql for sql in bench_bi.samples().values())
