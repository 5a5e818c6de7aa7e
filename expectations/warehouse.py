"""The published edge: is the warehouse that was just built fit to be served?

Looks at what a reader of the tables relies on: every ranked unit in every area once, ranks, scores and shares within
their ranges, the accounting identities, no personal data, no lost release. What dbt's own tests decide row by row
inside the models is not asked again here.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import duckdb

from expectations import measures, store
from expectations.judge import Measure, judge, read_expectations
from expectations.personal import SHORTEST, found_sql, scrubbed
from ingestion import engine
from ingestion.contracts import CONTRACTS
from ingestion.errors import AuditFailed
from ingestion.home import Home

SUITE = "published"
#: Schemas that are published with rows of their own; their text columns are searched for personal data.
PUBLISHED_SCHEMAS = ("core", "marts", "history", "audit", "counties")


def validate_published(home: Home, warehouse: Path, run_dir: Path, *, facts: bool = True) -> None:
    """Judge a built warehouse (read only) and keep the result under the home and in the run's folder.

    Without ``facts`` the file holds no delivered rows (a region's, over its counties' releases): what is measured of
    them is not asked.
    Raises AuditFailed with the failed critical expectations and their figures; the warehouse may then not be published.
    """
    started = time.perf_counter()
    run_id = Path(run_dir).name
    asked = _asked(facts)
    figures, items, notes = _measure(Path(warehouse), asked)
    unasked = set(measures.of_warehouse().violations) - set(asked)
    expected = [each for each in read_expectations(SUITE) if each["kwargs"]["column"] not in unasked]
    outcomes, _ = judge(SUITE, expected, figures)
    for outcome in outcomes:
        outcome["items"] = items.get(outcome["measure"], [])
        outcome["items_total"] = int(outcome["observed"] or 0) if outcome["items"] else 0
        if note := notes.get(outcome["measure"]):
            outcome["note"] = note
    result = {
        "edge": "published",
        "subject": f"数据仓库 warehouse {run_id}",
        "run_id": run_id,
        "suite": SUITE,
        "validated_at": store.now(),
        "outcome": store.outcome_of(outcomes),
        "seconds": round(time.perf_counter() - started, 3),
        "measures": figures,
        "expectations": outcomes,
    }
    store.keep(home, "published", (run_id,), result)
    store.write_json(Path(run_dir) / "validation.json", result)
    if result["outcome"] == "refused":
        raise AuditFailed(store.refusal_text(result))


def _asked(facts: bool) -> dict[str, measures.Violations]:
    """The violations that are looked for, by measure."""
    rows = {f"staged.{dataset}" for dataset in CONTRACTS}
    return {
        name: violations
        for name, violations in measures.of_warehouse().violations.items()
        if facts or not any(each in rows or each.startswith("core.fct_") for each in violations.reads)
    }


def _measure(
    warehouse: Path, asked: dict[str, measures.Violations]
) -> tuple[dict[str, Measure], dict[str, list[dict[str, Any]]], dict[str, str]]:
    """Figures by measure, the first violations of each, and why a figure could not be had."""
    declared = measures.of_warehouse()
    figures: dict[str, Measure] = {}
    items: dict[str, list[dict[str, Any]]] = {}
    notes: dict[str, str] = {}
    with engine.connect(warehouse, read_only=True) as connection:
        connection.execute("set enable_progress_bar = false")
        present = {
            f"{schema}.{table}"
            for schema, table in connection.execute(
                "select table_schema, table_name from information_schema.tables"
            ).fetchall()
        }
        counts = [_rows(connection, relation) if relation in present else 0 for relation in declared.filled]
        figures["empty_relations"] = counts.count(0)
        items["empty_relations"] = [
            {"relation": relation} for relation, rows in zip(declared.filled, counts, strict=True) if not rows
        ]
        for name, violations in asked.items():
            if absent := sorted(set(violations.reads) - present):
                figures[name], notes[name] = None, f"缺少表 / absent: {', '.join(absent)}"
                continue
            try:
                figures[name], items[name] = _violations(connection, violations.sql)
            except duckdb.Error as error:
                # The kind of error and the names of columns only: a cast's message would quote a value.
                figures[name], notes[name] = None, f"无法计算 / could not be measured: {type(error).__name__}"
        items["personal_text"] = _personal(connection)
        figures["personal_text"] = sum(item["rows"] for item in items["personal_text"])
    return figures, items, notes


def _rows(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    found = connection.execute(f"select count(*) from {relation}").fetchone()
    return int(found[0]) if found else 0


def _violations(connection: duckdb.DuckDBPyConnection, sql: str) -> tuple[int, list[dict[str, Any]]]:
    found = connection.execute(
        f"select *, count(*) over () as violations from ({sql}) order by all limit {store.MAX_ITEMS}"
    )
    names = [column[0] for column in found.description]
    rows = found.fetchall()
    listed = [
        {name: scrubbed(value) if isinstance(value, str) else value for name, value in zip(names, row, strict=True)}
        for row in rows
    ]
    total = int(listed[0]["violations"]) if listed else 0
    for item in listed:
        del item["violations"]
    return total, listed


def _personal(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Text columns of the published schemas that hold what looks like personal data: where and in how many rows.

    Business keys are left out (``*_no``): a case number of eighteen digits is no identity number.
    """
    columns = connection.execute(
        """
        select c.table_schema, c.table_name, c.column_name
        from information_schema.columns as c
        join information_schema.tables as t using (table_catalog, table_schema, table_name)
        where c.table_schema in (select unnest(?)) and c.data_type = 'VARCHAR' and t.table_type = 'BASE TABLE'
            and not ends_with(c.column_name, '_no')
        order by all
        """,
        [list(PUBLISHED_SCHEMAS)],
    ).fetchall()
    if not columns:
        return []
    # Distinct long values first: codes fall away, and what repeats is looked at once. Materialised, so that the
    # patterns stand in the plan once and not in the branch of each of some hundred columns.
    texts = " union all ".join(
        f'select {place} as place, "{column}" as text from "{schema}"."{table}" where length("{column}") >= {SHORTEST}'
        for place, (schema, table, column) in enumerate(columns)
    )
    found = connection.execute(
        f"with texts as materialized (select place, text, count(*) as rows from ({texts}) group by all) "
        f"select place, sum(rows)::bigint from texts where {found_sql('text')} group by all order by all"
    ).fetchall()
    return [
        {"table": f"{columns[place][0]}.{columns[place][1]}", "column": columns[place][2], "rows": rows}
        for place, rows in found
    ]
