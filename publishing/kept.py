"""What a build takes over of an earlier one: facts and periods that nothing new touches. A month costs the month's.

The file of the newest audited run is copied; of it only ``KEPT`` stays. Where its code, rules and deliveries are those
of now but for files that came since, those files name the touched keys, and dbt replaces the touched rows alone (the
materialisation ``table`` in dbt_project/macros/materializations.sql). In every other case - another rule, model, alias
or calendar, a file staged otherwise, a damaged copy - nothing is taken over and all is computed. docs/architecture.md
(Incremental builds) says why this gives the same as a full build; tests/publishing/test_kept.py shows it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import logging
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from ingestion.contracts import CONTRACTS
from ingestion.home import Home
from ingestion.ledger import AcceptedFile
from ingestion.profile import delivered_datasets
from publishing import inputs
from publishing.durable import PublisherBusy, exclusive, sha256_of

log = logging.getLogger("tongbao.publishing")

#: The relations that a build may take over, each group whole or not at all; their models say the group (meta ``kept``)
#: and what is replaced in them (meta ``touched``). The figures of a period are those of its release: they stay only
#: where the file's releases are the published ones.
KEPT = {
    "facts": ("core.fct_cases", "core.fct_case_reviews", "metrics.platform_unit_months"),
    "periods": (
        *("scoring.scored_metrics", "scoring.lagging_evidence", "scoring.scored_areas", "scoring.ranked_units"),
        *("scoring.county_totals", "scoring.rank_parts", "scoring.content_digests"),
        *("history.unit_metrics", "history.unit_scores", "history.unit_rankings", "history.period_totals"),
        *("marts.unit_metrics", "marts.unit_scores", "marts.unit_rankings", "marts.period_totals"),
        *("marts.rank_explanations", "marts.release_differences"),
    ),
}

#: Copied as they were: what periods are made of, besides rules. Where a row differs now, its periods are touched
#: (dbt_project/models/scoring/touched_periods.sql).
COMPARED = (
    *("metrics.unit_month_metrics", "metrics.unit_month_vetoes"),
    *("core.fct_tickets", "core.fct_ticket_dispatches", "core.fct_calls_daily", "core.fct_posts"),
    *("scoring.scored_periods", "scoring.period_areas", "marts.releases"),
)

#: Its presence, with the group's name, tells the models that the group was taken over; gone when the build is done.
MARKER = "staged.kept_"

#: Left by an audit that passed: the hash of the file that passed it.
AUDIT_FILE = "audit.json"

#: What a file was made of, in the file itself, so that the hash of the whole seals it too.
_MADE_OF = "staged.made_of"

#: The modules that lay in what the models read.
_CODE = ("build", "dbt_run", "inputs", "kept", "plan", "sandbox", "seeds", "warehouse")

#: The datasets of which only the touched keys are read again.
_DATASETS = ("platform_cases", "platform_reviews")


@dataclass(frozen=True)
class Ingredients:
    """What facts are made of: the code and the rules as one digest, and the accepted landings with their seals."""

    code: str
    landings: dict[int, str | None]

    def unknown_to(self, earlier: Ingredients) -> list[int] | None:
        """The landings that came since; None where the two differ in more than that."""
        if earlier.code != self.code or None in earlier.landings.values():
            return None
        if any(self.landings.get(landing) != seal for landing, seal in earlier.landings.items()):
            return None
        return sorted(self.landings.keys() - earlier.landings.keys())


def code_digest(files: Iterable[Path]) -> str:
    """Hex SHA-256 of all that a fact depends on but deliveries; ``files`` are the models, macros and rules."""
    digest = hashlib.sha256(f"{duckdb.__version__} {json.dumps(sorted(delivered_datasets()))}".encode())
    for contract in CONTRACTS.values():
        digest.update(json.dumps(inputs.staged_columns(contract)).encode())
    for path in (*files, *(Path(__file__).with_name(f"{name}.py") for name in _CODE)):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def take_over(home: Home, warehouse: Path, now: Ingredients) -> list[int] | None:
    """Lays the newest earlier run's file that fits at ``warehouse``, as it was, and returns the landings new to it.

    None, and no file, where there is none. A copy that is not the file that passed its audit is never used.
    """
    for run_dir in _audited_runs(home):
        try:
            with exclusive(run_dir, f"run {run_dir.name}", timeout=0):
                audited = json.loads((run_dir / AUDIT_FILE).read_text(encoding="utf-8"))["warehouse_sha256"]
                shutil.copyfile(run_dir / "warehouse.duckdb", warehouse)
        except FileNotFoundError:  # removed meanwhile: what the lock has made of the folder again goes too
            with contextlib.suppress(OSError):
                run_dir.rmdir()
            continue
        except (PublisherBusy, ValueError, KeyError):  # somebody is at work in it, or its record is damaged
            continue
        if sha256_of(warehouse) != audited:
            log.warning("the warehouse of run %s is damaged on disk: nothing is taken over from it", run_dir.name)
        elif (earlier := _made_of(warehouse)) and (new := now.unknown_to(earlier)) is not None:
            return new
        warehouse.unlink()
    warehouse.unlink(missing_ok=True)
    return None


def _audited_runs(home: Home) -> list[Path]:
    """Folders of runs that passed their audit, the newest first."""
    found = []
    for path in home.runs.glob(f"[!.]*/{AUDIT_FILE}"):
        try:
            found.append((path.stat().st_mtime, path.parent))
        except FileNotFoundError:
            continue
    return [folder for _, folder in sorted(found, reverse=True)]


def _made_of(warehouse: Path) -> Ingredients | None:
    """What the file says that it was made of; None where it was built before files said so."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        try:
            rows = connection.execute(f"SELECT code, landing_id, seal FROM {_MADE_OF}").fetchall()
        except duckdb.CatalogException:
            return None
        if not rows or not _tables(connection).issuperset(KEPT["facts"]):
            return None
    return Ingredients(rows[0][0], {landing: seal for _, landing, seal in rows if landing is not None})


def _tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    rows = connection.execute(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = current_database()"
    ).fetchall()
    return {name for (name,) in rows}


def record(connection: duckdb.DuckDBPyConnection, made_of: Ingredients) -> None:
    """Writes into the file what it is made of, for a later build to compare with."""
    rows: list[dict[str, Any]] = [{"code": made_of.code, "landing_id": None, "seal": None}]
    rows += [{"code": made_of.code, "landing_id": each, "seal": seal} for each, seal in made_of.landings.items()]
    columns = {"code": "VARCHAR", "landing_id": "BIGINT", "seal": "VARCHAR"}
    inputs.create_table(connection, _MADE_OF, inputs.records(columns, rows))


def strip(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Takes everything out of a file that was taken over but ``KEPT``, what its rows were by state, and ``COMPARED``
    (in the schema ``taken``). Returns the groups that are there."""
    there = _tables(connection)
    groups = [group for group, names in KEPT.items() if there.issuperset(names)]
    if not there.issuperset(COMPARED):
        groups = [group for group in groups if group != "periods"]
    connection.execute(
        "CREATE SCHEMA taken; CREATE TABLE taken.rows AS "
        "SELECT dataset, rows_current, rows_superseded, rows_deleted FROM audit.reconciliation"
    )
    for relation in COMPARED if "periods" in groups else ():
        connection.execute(f"CREATE TABLE taken.{relation.partition('.')[2]} AS FROM {relation}")
    views = connection.execute(
        "SELECT schema_name || '.' || view_name FROM duckdb_views() "
        "WHERE NOT internal AND database_name = current_database()"
    ).fetchall()
    for (view,) in views:
        connection.execute(f"DROP VIEW {_identifier(view)}")
    kept = {name for group in groups for name in KEPT[group]}
    _drop(connection, [name for name in there if name not in kept])
    schemas = {name.partition(".")[0] for name in kept} | {"taken", "main"}
    for (schema,) in connection.execute(
        "SELECT schema_name FROM duckdb_schemas() WHERE NOT internal AND database_name = current_database()"
    ).fetchall():
        if schema not in schemas:
            connection.execute(f"DROP SCHEMA {inputs.quoted(schema)}")
    # The room of what was dropped is used again.
    connection.execute("CHECKPOINT")
    return groups


def mark(connection: duckdb.DuckDBPyConnection, groups: list[str]) -> None:
    """Tells the models which groups were taken over; ``previous.releases``, the published ones, is there by now.

    Where a run that passed its audit was not published, or another one was, its periods are not those of the releases.
    """
    both = ("FROM taken.releases", "FROM previous.releases")
    if "periods" in groups:
        one, other = (f"SELECT count(*) FROM ({a} EXCEPT ALL {b})" for a, b in (both, both[::-1]))
        if connection.execute(f"SELECT ({one}) + ({other})").fetchone() != (0,):
            groups = [group for group in groups if group != "periods"]
            _drop(connection, KEPT["periods"])
    for group in groups:
        connection.execute(f"CREATE TABLE {MARKER}{group} AS SELECT unnest(?) AS relation", [list(KEPT[group])])


def _drop(connection: duckdb.DuckDBPyConnection, tables: Iterable[str]) -> None:
    for name in tables:
        connection.execute(f"DROP TABLE {_identifier(name)}")


def _identifier(name: str) -> str:
    schema, _, table = name.partition(".")
    return f"{inputs.quoted(schema)}.{inputs.quoted(table)}"


#: The touched keys. A review is touched by what came of itself and of its case, and by the other reviews of its case,
#: of which one is the first. A case is touched by what came of it, and where it is open and a later cut-off makes it
#: overdue. Whatever is touched needlessly is computed again and is the same.
_TOUCHED = (
    """
    CREATE TABLE staged.touched_cases AS
        SELECT _key AS case_no FROM ({cases})
        UNION
        SELECT case_no FROM core.fct_cases
        WHERE closed_at IS NULL AND due_at IS NOT NULL AND is_overdue IS DISTINCT FROM (due_at <= $cut_off::TIMESTAMP)
    """,
    """
    CREATE TEMP TABLE _reviews AS SELECT DISTINCT _key AS review_no, case_no FROM ({reviews})
    """,
    """
    CREATE TEMP TABLE _cases AS
        SELECT case_no FROM staged.touched_cases
        UNION SELECT case_no FROM _reviews
        UNION SELECT case_no FROM core.fct_case_reviews WHERE review_no IN (SELECT review_no FROM _reviews)
    """,
    """
    CREATE TABLE staged.touched_reviews AS
        SELECT review_no FROM _reviews
        UNION SELECT review_no FROM core.fct_case_reviews WHERE case_no IN (SELECT case_no FROM _cases)
    """,
    """
    CREATE TABLE staged.touched_months AS
        SELECT DISTINCT month_code FROM (
            SELECT unnest([{fct_cases}]) AS month_code FROM core.fct_cases
            WHERE case_no IN (SELECT case_no FROM _cases)
            UNION ALL
            SELECT unnest([{fct_case_reviews}]) FROM core.fct_case_reviews
            WHERE review_no IN (SELECT review_no FROM staged.touched_reviews)
        ) WHERE month_code IS NOT NULL
    """,
)


def touch(
    connection: duckdb.DuckDBPyConnection, new: list[int], files: Iterable[AcceptedFile], cut_off: dt.datetime | None
) -> None:
    """Writes which keys the landings ``new`` touch, and which months their rows were in.

    ``cut_off`` is that of the last month with a delivery of cases: open cases that were due by then are late now.
    """
    landings = set(new)
    selects = {
        dataset: inputs.parquet_select(
            [file.path for file in files if file.dataset == dataset and file.landing_id in landings],
            inputs.staged_columns(CONTRACTS[dataset]),
        )
        for dataset in _DATASETS
    }
    months = {table: ", ".join(_month_columns(connection, table)) for table in ("fct_cases", "fct_case_reviews")}
    for statement in _TOUCHED:
        text = statement.format(cases=selects["platform_cases"], reviews=selects["platform_reviews"], **months)
        connection.execute(text, {"cut_off": cut_off} if "$cut_off" in statement else None)
    numbers = inputs.records({"landing_id": "BIGINT"}, [{"landing_id": each} for each in new])
    inputs.create_table(connection, "staged.new_landings", numbers)


def _month_columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    """Every month that a row of the fact counts for: a metric may go by any of them (also in touched_months.sql)."""
    rows = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'core' AND table_name = ? "
        "AND database_name = current_database() AND suffix(column_name, '_month')",
        [table],
    ).fetchall()
    return [name for (name,) in rows]


def settle(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, int]]:
    """Takes the markers out of a file that is done: who works on a copy of it computes what he asks for.

    Returns how many ``months`` (of the platform's unit-month figures) and ``scored_periods`` were computed and how many
    kept; a project without any has none.
    """
    there = _tables(connection)
    marked = [name for name in there if name.startswith(MARKER)]
    _drop(connection, marked)
    connection.execute("DROP SCHEMA IF EXISTS taken CASCADE")
    counts = {}
    for of, group, relation, column, touched in (
        ("months", "facts", "metrics.platform_unit_months", "month_code", "metrics.touched_months"),
        ("scored_periods", "periods", "scoring.scored_periods", "period_code", "scoring.touched_periods"),
    ):
        counts[of] = {"computed": 0, "kept": 0}
        if there.issuperset({*KEPT[group], relation}):
            computed = f"{column} IN (SELECT {column} FROM {touched})" if MARKER + group in marked else "true"
            done, kept = connection.execute(
                f"SELECT count(DISTINCT {column}) FILTER (WHERE {computed}), "
                f"count(DISTINCT {column}) FILTER (WHERE NOT ({computed})) FROM {relation}"
            ).fetchone() or (0, 0)
            counts[of] = {"computed": done, "kept": kept}
    return counts
