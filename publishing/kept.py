"""What a build takes over of an earlier one, facts and scores that nothing new touches: a month costs the month's.

The file of the newest audited run is copied; of it only ``KEPT`` and staging's tables stay. Where its code, rules and
deliveries are those of now but for files that came since, those files name the touched keys, the figures that then are
otherwise name the touched periods, and dbt replaces the touched rows alone (the materialisation ``table`` in
dbt_project/macros/materializations.sql). In every other case - another rule, model, alias or calendar, a file staged
otherwise, a damaged copy - nothing is taken over and all is computed. docs/architecture.md (Incremental builds) says
why this gives the same as a full build; tests/publishing/test_kept.py and test_kept_periods.py show it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import logging
import shutil
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from ingestion.contracts import CONTRACTS
from ingestion.durable import sha256_of
from ingestion.home import Home
from ingestion.ledger import AcceptedFile
from ingestion.profile import delivered_datasets
from publishing import inputs
from publishing.durable import PublisherBusy, exclusive

log = logging.getLogger("tongbao.publishing")

#: The relations that a build may take over; each names in its model (meta ``touched``) what is replaced in it.
KEPT = (
    "core.fct_cases",
    "core.fct_case_reviews",
    "metrics.platform_unit_months",
    "scoring.scored_metrics",
    "scoring.lagging_evidence",
    "scoring.scored_areas",
    "scoring.ranked_units",
    "scoring.rank_parts",
    "scoring.content_digests",
    "marts.rank_explanations",
)

#: What those of the periods are made of, as it was: a period is touched where anything of it is otherwise
#: (dbt_project/models/scoring/touched_periods.sql, touched_explanations.sql).
_BEFORE = (
    "metrics.unit_month_metrics",
    "metrics.unit_month_vetoes",
    "scoring.scored_periods",
    "scoring.period_areas",
    "staged.undelivered_areas",
    "marts.newest_releases",
)

#: The schema of the seeds: a build that takes over anything has the rules of the earlier one, in every character.
RULES = "rules"

#: Its presence tells the models that the relations in it were taken over; gone when the build is done.
MARKER = "staged.kept"

#: Left by an audit that passed: the hash of the file that passed it.
AUDIT_FILE = "audit.json"

#: What a file was made of, in the file itself, so that the hash of the whole seals it too.
_MADE_OF = "staged.made_of"

#: The modules that lay in what the models read.
_CODE = ("build", "dbt_run", "inputs", "kept", "plan", "sandbox", "seeds", "warehouse")

#: The datasets of which only the touched keys are read again, and no others held.
_DATASETS = ("platform_cases", "platform_reviews")

#: The delivered rows of the others, with their states: taken over where a file has them as a table, which is where its
#: own build took facts over. Those of 剔除 go by a key that their model makes, and are few.
_STAGING = tuple(f"staging.stg_{name}" for name in CONTRACTS if name not in (*_DATASETS, "hotline_exclusions"))


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
        if not rows or not _tables(connection).issuperset(KEPT):
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


def strip(connection: duckdb.DuckDBPyConnection) -> None:
    """Takes everything out of a file that was taken over but ``KEPT``, staging's tables, the rules, and what touched
    periods and the accounts of rows are found by (schema ``taken``)."""
    connection.execute(
        "CREATE SCHEMA taken; CREATE TABLE taken.rows AS "
        "SELECT dataset, rows_staged, rows_current, rows_superseded, rows_deleted FROM audit.reconciliation"
    )
    for name in _BEFORE:
        connection.execute(f"CREATE TABLE taken.{name.partition('.')[2]} AS FROM {name}")
    relations = connection.execute(
        "SELECT schema_name, view_name, 'VIEW' FROM duckdb_views() "
        "WHERE NOT internal AND database_name = current_database() "
        "UNION ALL SELECT schema_name, table_name, 'TABLE' FROM duckdb_tables() "
        "WHERE schema_name <> 'taken' AND database_name = current_database() ORDER BY 3 DESC"
    ).fetchall()
    for schema, name, kind in relations:
        if (
            schema != RULES
            and f"{schema}.{name}" not in KEPT
            and (kind == "VIEW" or f"{schema}.{name}" not in _STAGING)
        ):
            connection.execute(f"DROP {kind} {inputs.quoted(schema)}.{inputs.quoted(name)}")
    kept = {name.partition(".")[0] for name in (*KEPT, *_STAGING)} | {RULES, "taken", "main"}
    for (schema,) in connection.execute(
        "SELECT schema_name FROM duckdb_schemas() WHERE NOT internal AND database_name = current_database()"
    ).fetchall():
        if schema not in kept:
            connection.execute(f"DROP SCHEMA {inputs.quoted(schema)}")
    # The room of what was dropped is used again.
    connection.execute("CHECKPOINT")


#: The touched keys. A review is touched by what came of itself and of its case, and by the other reviews of its case,
#: of which one is the first. A case is touched by what came of it, and where it is open and a later cut-off makes it
#: overdue. Whatever is touched needlessly is computed again and is the same.
_TOUCHED = (
    """
    CREATE TABLE staged.touched_cases AS
        SELECT _key AS case_no FROM staged.new_platform_cases
        UNION
        SELECT case_no FROM core.fct_cases
        WHERE closed_at IS NULL AND due_at IS NOT NULL AND is_overdue IS DISTINCT FROM (due_at <= $cut_off::TIMESTAMP)
    """,
    """
    CREATE TEMP TABLE _reviews AS SELECT DISTINCT _key AS review_no, case_no FROM staged.new_platform_reviews
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
    """Lays in the rows of the landings ``new`` (``staged.new_<dataset>``), which keys they touch, which months those
    rows were in, and the marker for the models.

    ``cut_off`` is that of the last month with a delivery of cases: open cases that were due by then are late now.
    """
    landings = set(new)
    came: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        if file.landing_id in landings:
            came[file.dataset].append(file.path)
    for dataset, contract in CONTRACTS.items():
        select = inputs.parquet_select(came[dataset], inputs.staged_columns(contract))
        connection.execute(f"CREATE VIEW staged.new_{dataset} AS {select}")
    months = {table: ", ".join(_month_columns(connection, table)) for table in ("fct_cases", "fct_case_reviews")}
    for statement in _TOUCHED:
        text = statement.format(**months)
        connection.execute(text, {"cut_off": cut_off} if "$cut_off" in statement else None)
    numbers = inputs.records({"landing_id": "BIGINT"}, [{"landing_id": each} for each in new])
    inputs.create_table(connection, "staged.new_landings", numbers)
    names = inputs.records({"relation": "VARCHAR"}, [{"relation": name} for name in KEPT])
    inputs.create_table(connection, MARKER, names)


def _month_columns(connection: duckdb.DuckDBPyConnection, table: str) -> list[str]:
    """Every month that a row of the fact counts for: a metric may go by any of them (also in touched_months.sql)."""
    rows = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE schema_name = 'core' AND table_name = ? "
        "AND database_name = current_database() AND suffix(column_name, '_month')",
        [table],
    ).fetchall()
    return [name for (name,) in rows]


def settle(connection: duckdb.DuckDBPyConnection, *, anew: bool) -> dict[str, int]:
    """Takes the marker out of a file that is done: who works on a copy of it computes what he asks for.

    Returns of how many months' unit-month figures were computed and how many kept; a project without any has none.
    """
    if not _tables(connection).issuperset(KEPT):
        return {"computed": 0, "kept": 0}
    if not anew:
        connection.execute(f"DROP TABLE {MARKER}; DROP SCHEMA taken CASCADE")
    touched = "true" if anew else "month_code IN (SELECT month_code FROM metrics.touched_months)"
    computed, kept = connection.execute(
        f"SELECT count(DISTINCT month_code) FILTER (WHERE {touched}), "
        f"count(DISTINCT month_code) FILTER (WHERE NOT ({touched})) FROM metrics.platform_unit_months"
    ).fetchone() or (0, 0)
    return {"computed": computed, "kept": kept}
