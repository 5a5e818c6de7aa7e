"""What the models repeat of other parts of the project, held together; and the models' own unit tests."""

from __future__ import annotations

import csv
import datetime as dt
import re
from pathlib import Path
from typing import Any

import chinese_calendar
import duckdb
import pytest
import yaml

from ingestion.contracts import CONTRACTS
from ingestion.home import PROJECT, Home
from ingestion.period import CUT_OFF_DAYS, Period
from ops import calendar_seed
from publishing import kept
from publishing.build import build
from publishing.dictionary import dictionary
from publishing.settings import PUBLISHED_SCHEMAS

DBT = PROJECT / "dbt_project"


@pytest.fixture(scope="module")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse built from no delivery at all: every relation is there, with its types."""
    return build(Home(tmp_path_factory.mktemp("home")), ["2022-07", "2022-07--2022-08"], "empty")


def test_unit_tests_of_the_models(
    empty_warehouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    monkeypatch.setenv("TONGBAO_WAREHOUSE", str(empty_warehouse))
    result = dbtRunner().invoke(
        [
            *("test", "--select", "test_type:unit", "--project-dir", str(DBT), "--profiles-dir", str(DBT)),
            *("--target-path", str(tmp_path), "--log-path", str(tmp_path)),
        ]
    )
    DuckDBConnectionManager.close_all_connections()  # the adapter holds the file until the process ends
    declared = sum(path.read_text("utf-8").count("\n  - name:") for path in DBT.rglob("*_unit_tests.yml"))
    outcomes = [(each.node.name, str(each.status)) for each in result.result.results]
    assert result.success, capfd.readouterr().out
    assert len(outcomes) == declared > 10
    assert {status for _, status in outcomes} == {"pass"}


def test_the_datasets_of_the_models_are_those_of_the_contracts() -> None:
    project = yaml.safe_load((DBT / "dbt_project.yml").read_text("utf-8"))
    assert set(project["vars"]["datasets"]) == set(CONTRACTS)
    areas = list(csv.DictReader((DBT / "seeds" / "areas.csv").open(encoding="utf-8")))
    assert {name for row in areas for name in row["datasets"].split(";")} <= set(CONTRACTS)


def test_every_published_column_is_described_in_both_languages(empty_warehouse: Path) -> None:
    described = dictionary()
    with duckdb.connect(str(empty_warehouse), read_only=True) as connection:
        columns = connection.execute(
            "SELECT table_schema, table_name, list(column_name) FROM information_schema.columns "
            "WHERE list_contains(?, table_schema) GROUP BY ALL",
            [list(PUBLISHED_SCHEMAS)],
        ).fetchall()
    assert len(columns) > 30
    for schema, table, names in columns:
        entry = described[schema, table]
        assert set(entry.columns) == set(names), (schema, table)
        for what, text in {"": entry.description, **entry.columns}.items():
            assert re.search(r"[\u4e00-\u9fff]", text) and re.search(r"[A-Za-z]{2}", text), (schema, table, what, text)
        if schema != "audit":
            assert entry.keys or table == "unit_names", (schema, table)


def test_holidays_are_those_of_the_library() -> None:
    rows = list(csv.reader((DBT / "seeds" / "holidays.csv").open(encoding="utf-8")))[1:]
    assert [tuple(row) for row in rows] == calendar_seed.rows()


def test_working_days_are_those_of_the_library(empty_warehouse: Path) -> None:
    with duckdb.connect(str(empty_warehouse), read_only=True) as connection:
        days = connection.execute("select date_day, is_workday from core.dim_date order by date_day").fetchall()
    known = [(day, flag) for day, flag in days if flag is not None]
    assert known[0][0] == dt.date(2004, 1, 1)
    assert known[-1][0] == dt.date(2026, 12, 31)
    assert all(chinese_calendar.is_workday(day) is flag for day, flag in known)
    assert {day.year for day, flag in days if flag is None}.isdisjoint({day.year for day, _ in known})


def test_periods_and_cut_offs_are_those_of_ingestion(empty_warehouse: Path) -> None:
    with duckdb.connect(str(empty_warehouse), read_only=True) as connection:
        rows = connection.execute(
            "select period_code, period_type, first_day, last_day, cut_off, previous_period_code from core.dim_period"
        ).fetchall()
    assert len(rows) == 28 * (12 + 6 + 4 + 2 + 1)
    for code, kind, first_day, last_day, cut_off, previous in rows:
        period = Period.parse(code)
        assert (kind, first_day, last_day, cut_off) == (
            period.period_type,
            period.first_day,
            period.last_day,
            period.cut_off,
        )
        assert previous in (period.previous().code, None if first_day.year == 2004 else "")
    assert f"- {CUT_OFF_DAYS}" in (DBT / "macros" / "time.sql").read_text("utf-8")


def unknown_to_touched_periods(manifest: Any, compared: set[str]) -> set[tuple[str, str]]:
    """(model, what it reads) where a model that keeps its periods reads what no comparison of a period covers."""
    found = {node.name: node for node in manifest.nodes.values() if node.resource_type == "model"}
    finders = {"touched_periods", "touched_explanations"}
    keeping = {
        name
        for name, node in found.items()
        if node.config.meta.get("touched", ["", ""])[1].removeprefix("scoring.") in finders
    }
    assert len(keeping) >= 7

    def is_known(unique_id: str) -> bool:
        name = unique_id.rpartition(".")[2]
        if unique_id.startswith("seed.") or name in compared | keeping | finders:
            return True
        parents = found[name].depends_on.nodes if name in found else []
        return bool(parents) and all(map(is_known, parents))

    return {
        (name, parent.rpartition(".")[2])
        for name in keeping
        for parent in found[name].depends_on.nodes
        if not is_known(parent)
    }


def test_whatever_kept_scores_are_made_of_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relation that a scoring model reads tomorrow has to be compared in touched_periods, too, or an old score stays.

    Rules need not: with another rule nothing is kept.
    """
    from dbt.cli.main import dbtRunner

    monkeypatch.setenv("TONGBAO_WAREHOUSE", str(tmp_path / "none.duckdb"))
    places = ("--project-dir", str(DBT), "--profiles-dir", str(DBT), "--target-path", str(tmp_path))
    manifest = dbtRunner().invoke(["parse", *places, "--log-path", str(tmp_path)]).result
    found = {node.name: node for node in manifest.nodes.values() if node.resource_type == "model"}
    touched = {f"{node.schema}.{node.alias}" for node in found.values() if "touched" in node.config.meta}
    assert touched == {*kept.KEPT, *kept._STAGING}
    compared = {
        parent.rpartition(".")[2]
        for finder in ("touched_periods", "touched_explanations")
        for parent in found[finder].depends_on.nodes
    }
    assert {relation.rpartition(".")[2] for relation in kept._BEFORE} <= compared
    assert unknown_to_touched_periods(manifest, compared) == set()
    # Without the look at the vetoes the scores would be found here.
    less = unknown_to_touched_periods(manifest, compared - {"unit_month_vetoes"})
    assert less == {("scored_areas", "unit_month_vetoes")}


def test_every_model_states_its_grain_and_every_column_is_described() -> None:
    for path in (DBT / "models").rglob("*.sql"):
        head = path.read_text("utf-8")[:400]
        assert "-- Grain: " in head, path
    for path in (DBT / "models").rglob("_*.yml"):
        for model in yaml.safe_load(path.read_text("utf-8")).get("models", []):
            assert model["description"], model["name"]
            for column in model["columns"]:
                assert column["data_type"], (model["name"], column["name"])
                assert column["description"], (model["name"], column["name"])


def test_the_grain_of_every_published_table_is_tested() -> None:
    project = yaml.safe_load((DBT / "dbt_project.yml").read_text("utf-8"))
    tested = {model for model, _ in project["vars"]["grains"]}
    assert "var('grains')" in (DBT / "tests" / "integrity" / "models_keep_their_grain.sql").read_text("utf-8")
    tables = {path.stem for layer in ("core", "marts", "history") for path in (DBT / "models" / layer).glob("*.sql")}
    # Spans of names may touch: names_mean_one_unit_a_day.sql is their grain test.
    assert tables - {"unit_names"} <= tested


def test_models_read_only_the_layer_below() -> None:
    """Arrows run one way: marts read no staging, core reads no metrics; only staging reads delivered rows."""
    forbidden = {
        "core": r"ref\('(scored|ranked|unit_month|new_releases|releases)",
        "metrics": r"source\(|ref\('(stg_|scored|ranked)",
        "scoring": r"ref\('stg_|source\('staged', '(?!delivered_months|requested_periods|undelivered_areas|run)",
        "marts": r"ref\('(stg_|fct_)|source\('staged', '(?!run)",
    }
    for layer, pattern in forbidden.items():
        for path in (DBT / "models" / layer).glob("*.sql"):
            assert not re.search(pattern, path.read_text("utf-8")), path


@pytest.mark.parametrize("seed", ["units", "unit_aliases"])
def test_names_are_narrow_and_trimmed(seed: str) -> None:
    """Delivered names are narrowed (NFKC) before they are looked up: a wide one in a seed would never be found."""
    import unicodedata

    for row in csv.reader((DBT / "seeds" / f"{seed}.csv").open(encoding="utf-8")):
        for cell in row:
            assert cell == unicodedata.normalize("NFKC", cell).strip()
