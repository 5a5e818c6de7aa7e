"""The project's own scoring models on given unit-month counts: nothing between the counts and dbt."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from ingestion.contracts import CONTRACTS
from ingestion.home import PROJECT, Home
from publishing.build import build
from study.county import County, simulate
from study.rules import RuleSet

DBT = PROJECT / "dbt_project"
MODELS = (
    # A bare `metrics` would be the folder of models too.
    "rule_sets metrics,resource_type:seed areas dim_metric dim_area dim_period "
    "scored_periods period_areas scored_metrics scored_areas lagging_evidence ranked_units content_digests"
)
TABLES = ("scored_periods", "scored_metrics", "scored_areas", "lagging_evidence", "ranked_units", "content_digests")


def empty_warehouse(folder: Path) -> Path:
    """A warehouse built from no delivery at all."""
    return build(Home(folder), ["2026-12"], "empty")


def run_models(
    warehouse: Path,
    counts: pd.DataFrame,
    vetoes: pd.DataFrame,
    periods: Iterable[str],
    target: Path,
    seeds: Path | None = None,
) -> dict[str, pd.DataFrame]:
    """Scores the periods from ``counts`` (rows of ``unit_month_metrics``) and ``vetoes`` (of ``unit_month_vetoes``).

    Every dataset counts as delivered in every month that has counts. ``seeds``: rules in place of the project's; a
    copy, for dbt writes over seeds that lie outside its project.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    frames = {
        "metrics.unit_month_metrics": counts,
        "metrics.unit_month_vetoes": vetoes.assign(share=1.0),
        "staged.delivered_months": pd.DataFrame(
            [(name, month) for name in CONTRACTS for month in sorted(set(counts["month_code"]))],
            columns=["dataset", "month"],
        ),
        "staged.requested_periods": pd.DataFrame({"period_code": list(periods)}).assign(provisional=False),
    }
    with duckdb.connect(str(warehouse)) as connection:
        for table, frame in frames.items():
            connection.register("given", frame)
            columns = [name for name, *_ in connection.execute(f"describe {table}").fetchall()]
            connection.execute(f"delete from {table}")
            connection.execute(f"insert into {table} by name select {', '.join(columns)} from given")
            connection.unregister("given")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TONGBAO_WAREHOUSE", str(warehouse))
        if seeds:
            patch.setenv("TONGBAO_SEEDS", str(seeds))
        outcome = dbtRunner().invoke(
            [
                *("--log-level", "none", "build"),
                *("--exclude-resource-type", "unit_test", "--exclude-resource-type", "test"),
                *("--select", *MODELS.split()),
                *("--project-dir", str(DBT), "--profiles-dir", str(DBT), "--target-path", str(target)),
                *("--log-path", str(target)),
            ]
        )
        DuckDBConnectionManager.close_all_connections()  # the adapter holds the file until the process ends
    assert outcome.success, [f"{each.node.name}: {each.message}" for each in outcome.result.results]
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return {name: connection.execute(f"select * from scoring.{name}").df() for name in TABLES}


def regular_counts(months: Iterable[str]) -> pd.DataFrame:
    """Counts by plain arithmetic, the same on every machine: large and small, empty ones and late ones among them."""
    metrics = pd.read_csv(DBT / "seeds" / "metrics.csv", dtype=str).query("rule_set == '2022.1'")
    rows = []
    for m, month in enumerate(months):
        for u in range(1, 28):
            for k, (area, metric, kind) in enumerate(metrics[["area", "metric", "kind"]].to_numpy()):
                volume = (31 * u + 17 * m + 5 * k) % 23 * (3 if u % 5 == 0 else 1)
                part = min(volume, volume * (6 + (u + 3 * k + m) % 5) // 9)
                rows.append((f"U{u:02d}", month, month, area, metric, volume if kind == "count" else part, volume))
    names = ["unit_code", "month_code", "known_month", "area", "metric", "numerator", "denominator"]
    return pd.DataFrame(rows, columns=names)


def simulated_counts(county: County, rules: RuleSet, months: list[str], seed: int) -> pd.DataFrame:
    """One simulated year of the study, a month each; unscored metrics are empty."""
    season = simulate(county, rules, 1, np.random.default_rng(seed))
    place = pd.MultiIndex.from_product([months, county.codes, rules.keys], names=["month_code", "unit_code", "key"])
    table = place.to_frame(index=False)
    table["area"], table["metric"] = table["key"].str[0], table["key"].str[1]
    return table.drop(columns="key").assign(
        known_month=table["month_code"], numerator=season.num[0].ravel(), denominator=season.den[0].ravel()
    )


def regular_vetoes(months: Iterable[str]) -> pd.DataFrame:
    """Some vetoes of the two areas that have them."""
    months = list(months)
    rows = [("U03", months[0], "website", "backdated"), ("U11", months[-1], "media", "serious_error")]
    return pd.DataFrame(rows, columns=["unit_code", "month_code", "area", "reason"])
