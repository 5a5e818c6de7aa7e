"""The dashboards without Superset: made of what is declared, naming what there is, alike in both engines."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
import yaml

from bi.superset import charts, declared, export
from ingestion.errors import BadParameter
from ingestion.home import PROJECT, Home
from ops import superset
from ops.runtime import RunFailed
from publishing.mirror import mirror
from tests import dashboards, postgres

CHINESE = re.compile(r"[\u4e00-\u9fff]")


def problems(found: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """What the assets name that is not there, or that people could not read; ``found`` is kind -> name -> file."""
    datasets = {each["uuid"]: each for each in found["datasets"].values()}
    by_uuid = {each["uuid"]: name for name, each in found["charts"].items()}
    said = []
    for name, dataset in found["datasets"].items():
        said += [
            f"{name}: {each['verbose_name']} is no Chinese label with an English description"
            for each in [*dataset["columns"], *dataset["metrics"]]
            if not CHINESE.match(each["verbose_name"]) or each["verbose_name"] == each["description"]
        ]
    for name, chart in found["charts"].items():
        dataset = datasets[chart["dataset_uuid"]]
        columns = {each["column_name"] for each in dataset["columns"]}
        metrics = {each["metric_name"] for each in dataset["metrics"]}
        query = dashboards.query_of(chart)
        used = {*query["columns"], *(each["col"] for each in query["filters"])}
        said += [f"{name}: no column {each}" for each in sorted(used - columns)]
        said += [f"{name}: no metric {each}" for each in sorted(set(query["metrics"]) - metrics)]
        said += [f"{name}: orders by {each}" for each, _ in query["orderby"] if each not in columns | metrics]
        if not CHINESE.search(chart["slice_name"]) or not re.search("[A-Za-z]", chart["description"]):
            said.append(f"{name}: a Chinese title and an English description")
    shown = set()
    for name, dashboard in found["dashboards"].items():
        placed = [
            each["meta"]["uuid"]
            for each in dashboard["position"].values()
            if isinstance(each, dict) and each["type"] == "CHART"
        ]
        shown |= set(placed)
        said += [f"{name}: no chart {each}" for each in placed if each not in by_uuid]
        if "publication" not in [by_uuid.get(each) for each in placed]:
            said.append(f"{name}: does not show which release it is")
        for native in dashboard["metadata"]["native_filter_configuration"]:
            target = native["targets"][0]
            if target["column"]["name"] not in {c["column_name"] for c in datasets[target["datasetUuid"]]["columns"]}:
                said.append(f"{name}: filters by {target['column']['name']}")
    return said + [f"{name}: on no dashboard" for uuid, name in by_uuid.items() if uuid not in shown]


def found() -> dict[str, dict[str, dict[str, Any]]]:
    return {kind: copy.deepcopy(dashboards.files(kind)) for kind in ("datasets", "charts", "dashboards")}


def test_the_files_are_what_is_declared_and_name_what_there_is() -> None:
    assert export.stale() == [], "python -m bi.superset writes them anew"
    assert problems(found()) == []
    assert set(dashboards.files("dashboards")) == {"ranking", "hotline", "quality"}


def test_what_is_changed_missing_or_left_over_is_stale(tmp_path: Path) -> None:
    export.write(tmp_path)
    assert export.stale(tmp_path) == []
    chart = tmp_path / "charts" / "calls.yaml"
    chart.write_text(chart.read_text().replace("每日话务", "每日"))
    (tmp_path / "charts" / "topics.yaml").unlink()
    (tmp_path / "charts" / "mine.yaml").write_text("{}")
    assert export.stale(tmp_path) == ["charts/calls.yaml", "charts/mine.yaml", "charts/topics.yaml"]
    export.write(tmp_path)
    assert export.stale(tmp_path) == [] and not (tmp_path / "charts" / "mine.yaml").exists()


def test_each_check_finds_what_breaks_it() -> None:
    broken = found()
    broken["charts"]["calls"]["query_context"] = broken["charts"]["calls"]["query_context"].replace(
        "calls_in", "calls_out"
    )
    broken["charts"]["topics"]["query_context"] = broken["charts"]["topics"]["query_context"].replace(
        '"topic"', '"theme"'
    )
    del broken["dashboards"]["quality"]["position"]["CHART-publication"]
    del broken["dashboards"]["hotline"]["position"]["CHART-demand_types"]
    broken["datasets"]["releases"]["columns"][0]["verbose_name"] = "release"
    assert problems(broken) == [
        "releases: release is no Chinese label with an English description",
        "calls: no metric calls_out",
        "topics: no column theme",
        "quality: does not show which release it is",
        "demand_types: on no dashboard",
    ]


def test_a_column_that_is_not_declared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = copy.deepcopy(declared.declared())
    changed["datasets"]["rankings"]["sql"] = changed["datasets"]["rankings"]["sql"].replace(
        "r.rank_best", "r.rank_first"
    )
    changed["datasets"]["releases"]["table"] = "marts.release"
    del changed["datasets"]["ticket_demands"]["columns"]
    monkeypatch.setattr(declared, "declared", lambda: changed)
    with pytest.raises(BadParameter, match=r"dataset rankings: .*rank_first"):
        declared.columns("rankings")
    with pytest.raises(BadParameter, match=r"dataset releases: .*release"):
        declared.columns("releases")
    with pytest.raises(BadParameter, match="dataset ticket_demands: no description of topic"):
        declared.columns("ticket_demands")


def test_the_exposures_name_what_each_dashboard_reads() -> None:
    exposures = yaml.safe_load((PROJECT / "dbt_project" / "models" / "_exposures.yml").read_text("utf-8"))["exposures"]
    said = {each["name"]: each for each in exposures}
    for name, dashboard in dashboards.files("dashboards").items():
        placed = {
            each["meta"]["uuid"]
            for each in dashboard["position"].values()
            if isinstance(each, dict) and each["type"] == "CHART"
        }
        read = set()
        for chart in dashboards.files("charts").values():
            if chart["uuid"] in placed:
                read |= set(
                    re.findall(r"\b(core|marts|audit)\.(\w+)", dashboards.relation(dashboards.dataset_of(chart)))
                )
        landing = {"deliveries", "quarantine", "findings"}
        wanted = {f"source('audit', '{t}')" if s == "audit" and t in landing else f"ref('{t}')" for s, t in read}
        exposure = said[f"dashboard_{name}"]
        assert set(exposure["depends_on"]) == wanted, name
        assert exposure["type"] == "dashboard" and exposure["label"].startswith(dashboard["dashboard_title"])


@pytest.mark.slow
def test_columns_and_charts_are_alike_in_both_engines(notice_home: Home) -> None:
    with (
        duckdb.connect(str(notice_home.current / "warehouse.duckdb"), read_only=True) as file,
        postgres.running() as uri,
    ):
        mirror(notice_home, uri)
        with psycopg.connect(uri, user="tongbao_reader", autocommit=True) as reader:
            for name, dataset in dashboards.files("datasets").items():
                there = file.sql(f"FROM {dashboards.relation(dataset)} AS dataset")
                wanted = [(each["column_name"], each["type"]) for each in dataset["columns"] if not each["expression"]]
                assert list(zip(there.columns, map(str, there.types), strict=True)) == wanted, name
            compared = 0
            for name, chart in dashboards.files("charts").items():
                sql = dashboards.sql_of(chart)
                here, mirrored = file.execute(sql).fetchall(), reader.execute(sql).fetchall()
                assert dashboards.rows(here) == dashboards.rows(mirrored), name
                # A first publication has no differences, and this county's files are sound.
                assert here or name in ("differences", "refused", "quarantine_reasons"), name
                compared += len(here)
    assert compared > 1000 and len(charts.KINDS) == len(
        {chart["kind"] for chart in declared.declared()["charts"].values()}
    )


def test_what_cannot_be_served_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "home")
    monkeypatch.delenv("TONGBAO_POSTGRES", raising=False)
    with pytest.raises(BadParameter, match="nothing is published"):
        superset.warehouse(home, "duckdb")
    with pytest.raises(BadParameter, match="TONGBAO_POSTGRES"):
        superset.warehouse(home, "postgres")
    monkeypatch.setenv("TONGBAO_POSTGRES", "postgresql://loader:s3cret@db:5433/warehouse?sslmode=require")
    address = superset.warehouse(home, "postgres")
    assert address == "postgresql+psycopg2://tongbao_reader@/warehouse?host=db&port=5433&sslmode=require"
    monkeypatch.setenv("TONGBAO_SUPERSET_VENV", str(tmp_path))
    with pytest.raises(RunFailed, match="make superset"), superset.running(home, address):
        pass
