"""The semantic file of a real release: every expression gives the figure that the marts hold, every join joins."""

from __future__ import annotations

import json
import re

import duckdb
import pytest
import yaml
from click.testing import CliRunner

from ingestion.home import Home
from publishing.cli import main
from publishing.dictionary import dictionary


@pytest.fixture(scope="module")
def model(notice_home: Home) -> dict:
    done = CliRunner().invoke(main, ["semantics"], env={"TONGBAO_HOME": str(notice_home.root)})
    assert done.exit_code == 0, done.output
    document = yaml.safe_load(done.output)
    assert document["version"] == "0.1.1"
    (found,) = document["semantic_model"]
    return found


def sql_of(entry: dict) -> str:
    (dialect,) = entry["expression"]["dialects"]
    assert dialect["dialect"] == "ANSI_SQL"
    return dialect["expression"]


@pytest.mark.slow
def test_each_metric_gives_what_the_marts_hold(notice_home: Home, model: dict) -> None:
    metrics = {metric["name"]: metric for metric in model["metrics"]}
    with duckdb.connect(str(notice_home.current / "warehouse.duckdb"), read_only=True) as connection:
        declared = connection.execute(
            "SELECT area || '_' || metric, name_zh, better, target FROM core.dim_metric WHERE rule_set = '2022.1'"
        ).fetchall()
        assert {name for name, *_ in declared} == set(metrics) and len(metrics) > 30
        for name, name_zh, better, target in declared:
            facts = json.loads(metrics[name]["custom_extensions"][0]["data"])
            assert (facts["better"], facts["target"], facts["rule_set"]) == (better, target, "2022.1")
            assert name_zh in metrics[name]["description"] and name_zh in metrics[name]["ai_context"]["synonyms"]
        columns = ", ".join(f'{sql_of(metric)} AS "{name}"' for name, metric in metrics.items())
        wrong = connection.execute(
            f"WITH wide AS (SELECT period_code, unit_code, {columns} FROM marts.unit_metrics GROUP BY ALL), "
            "long AS (FROM wide UNPIVOT INCLUDE NULLS (v FOR n IN (COLUMNS(* EXCLUDE (period_code, unit_code))))) "
            "SELECT count(*), count(v), count(*) FILTER (v IS DISTINCT FROM value AND abs(v - value) > 1e-12 "
            "OR (v IS NULL) <> (value IS NULL)) FROM long JOIN marts.unit_metrics m "
            "ON n = area || '_' || metric AND long.period_code = m.period_code AND long.unit_code = m.unit_code"
        ).fetchone()
        assert wrong is not None and wrong[0] > 1000 and wrong[1] > 500 and wrong[2] == 0, wrong


@pytest.mark.slow
def test_fields_keys_and_joins_are_the_published_ones(notice_home: Home, model: dict) -> None:
    tables = {dataset["name"]: dataset for dataset in model["datasets"]}
    assert {"unit_metrics", "unit_scores", "unit_rankings", "period_totals", "dim_unit", "dim_period"} <= set(tables)
    with duckdb.connect(str(notice_home.current / "warehouse.duckdb"), read_only=True) as connection:
        for name, dataset in tables.items():
            catalog, schema, table = dataset["source"].split(".")
            assert (catalog, table) == ("warehouse", name)
            entry = dictionary()[schema, name]
            assert {field["name"]: field["description"] for field in dataset["fields"]} == entry.columns
            assert all(re.search(r"[\u4e00-\u9fff]", field["description"]) for field in dataset["fields"])
            asked = ", ".join(sql_of(field) for field in dataset["fields"])
            connection.execute(f"SELECT {asked} FROM {schema}.{table}").fetchall()
            key = ", ".join(dataset["primary_key"])
            assert (
                connection.execute(f"SELECT {key} FROM {schema}.{table} GROUP BY ALL HAVING count(*) > 1").fetchall()
                == []
            )
        joins = {(join["from"], join["to"]) for join in model["relationships"]}
        assert {("unit_metrics", "dim_metric"), ("unit_metrics", "dim_unit"), ("unit_rankings", "dim_period")} <= joins
        for join in model["relationships"]:
            many, one = (".".join(tables[join[end]]["source"].split(".")[1:]) for end in ("from", "to"))
            on = " AND ".join(f"m.{a} = o.{b}" for a, b in zip(join["from_columns"], join["to_columns"], strict=True))
            missing = f"SELECT count(*) FROM {many} m WHERE m.{join['from_columns'][0]} IS NOT NULL"
            lost = connection.execute(f"{missing} AND NOT EXISTS (SELECT 1 FROM {one} o WHERE {on})").fetchone()
            assert lost == (0,) or join["to"] == "dim_area", (join["name"], lost)
