"""marts.rank_explanations over a simulated year: the parts of each score, gap and change add up to it, for every unit.

Fails on: a part that is not told, a neighbour or a period compared with that is not the published one, a row count
that does not reach the place it promises. Who mends it: scoring/rank_parts.sql, marts/rank_explanations.sql.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import duckdb
import pandas as pd
import pytest

import publishing
from ingestion.home import PROJECT, Home
from ingestion.period import Month, periods_ending_with
from tests.end_to_end.conftest import generate, ingest

MONTHS = [f"2022-{month:02d}" for month in range(1, 13)]
#: Every period of the year, all five lengths.
PERIODS = [period.code for month in MONTHS for period in periods_ending_with(Month.parse(month))]
EXACT = 1e-9
KEY = ["period_code", "unit_code", "area"]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of the county at a fortieth of its size, every period of it released."""
    root = tmp_path_factory.mktemp("year")
    home = Home(root / "home")
    arguments = ["--months", "2022-01..2022-12", "--factor", "0.025", "--seed", "12", "--plain"]
    ingest(home, generate(root / "exports", *arguments))
    return publishing.build(home, PERIODS, "year")


@pytest.fixture(scope="module")
def tables(warehouse: Path) -> dict[str, pd.DataFrame]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        names = ("rank_explanations", "unit_scores", "unit_rankings", "unit_metrics")
        found = {name: connection.sql(f"from marts.{name}").df() for name in names}
        found["rules"] = connection.sql("from core.dim_metric").df()
    return found


@pytest.fixture(scope="module")
def sums(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Per period, unit and area: the sum of each kind of part, and the published score and rank beside it."""
    parts = tables["rank_explanations"].groupby(KEY)
    added = parts[["score_part", "gap_part", "change_part"]].sum(min_count=1)
    told = parts[["above_unit_code", "gap", "gap_reason", "previous_period_code", "change", "change_reason"]].first()
    scores = tables["unit_scores"].set_index(KEY)[["score", "veto_reason", "coverage"]]
    ranks = tables["unit_rankings"].set_index(KEY)[["unit_group", "rank"]]
    return added.join(told).join(scores, how="outer").join(ranks, how="outer").reset_index()


def close(left: pd.Series, right: pd.Series) -> bool:
    """Equal to 1e-9, and empty in the same places."""
    return bool((left.isna() == right.isna()).all() and ((left - right).abs().dropna() <= EXACT).all())


@pytest.mark.slow
def test_parts_add_up_to_every_score(sums: pd.DataFrame) -> None:
    assert len(sums) == len(PERIODS) * 27 * 7
    assert close(sums["score_part"], sums["score"])
    # The year met what is hard: areas without a score, vetoes, shared out weights.
    assert sums["score"].isna().any() and sums["veto_reason"].notna().any() and (sums["coverage"] < 1).any()


@pytest.mark.slow
def test_parts_add_up_to_every_gap_to_the_place_above(sums: pd.DataFrame) -> None:
    published = sums.set_index(KEY)["score"].to_dict()
    groups = defaultdict(list)
    for unit in sums.dropna(subset=["rank"]).itertuples():
        groups[unit.period_code, unit.unit_group, unit.area].append(unit)
    firsts = 0
    for units in groups.values():
        for unit in units:
            better = [other for other in units if other.rank < unit.rank]
            if not better:
                firsts += 1
                assert unit.gap_reason == "first_place" and pd.isna(unit.gap_part), unit
                continue
            place = max(other.rank for other in better)
            nearest = min(other.score for other in better if other.rank == place)
            assert published[unit.period_code, unit.above_unit_code, unit.area] == nearest
            assert abs(unit.gap_part - (nearest - unit.score)) <= EXACT
            assert abs(unit.gap - unit.gap_part) <= EXACT
    assert firsts >= len(groups) > 300 and len(sums) > 4 * firsts
    assert (sums[sums["rank"].isna()]["gap_reason"] == "no_score").all()


@pytest.mark.slow
def test_parts_add_up_to_every_change(sums: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> None:
    assert close(sums["change_part"], sums["change"])
    before = sums.set_index(KEY)["score"].to_dict()
    compared = sums[sums["change_reason"].isna()]
    assert len(compared) > 1000
    for unit in compared.itertuples():
        earlier = before[(unit.previous_period_code, unit.unit_code, unit.area)]
        assert abs(unit.change_part - (unit.score - earlier)) <= EXACT
    assert set(sums["change_reason"].dropna()) == {"no_score", "no_score_before", "no_comparable_period"}
    first = sums[(sums["period_code"] == "2022-01") & sums["score"].notna()]
    assert (first["change_reason"] == "no_comparable_period").all()
    # A place lost or won always has its change explained.
    moved = tables["unit_rankings"].dropna(subset=["rank_change"]).merge(sums, on=KEY)
    assert len(moved) > 1000 and moved["change_part"].notna().all()


@pytest.mark.slow
def test_the_rows_that_lift_a_place_do_and_one_less_does_not(tables: dict[str, pd.DataFrame]) -> None:
    """The score is taken again from the published metric with so many rows otherwise."""
    rows = tables["rank_explanations"].dropna(subset=["rows_to_place_above"])
    rows = rows.merge(tables["unit_metrics"], left_on=[*KEY, "component"], right_on=[*KEY, "metric"])
    rules = tables["rules"][["area", "metric", "floor", "target", "better", "is_shrunk"]]
    rows = rows.merge(rules, on=["area", "metric"])
    rows = rows.merge(tables["unit_scores"][[*KEY, "coverage", "veto_reason"]], on=KEY)
    rows = rows[rows["veto_reason"].isna()]
    assert len(rows) > 500 and rows["is_shrunk"].any() and (rows["better"] == "low").any()
    size = rows["denominator"] + rows["is_shrunk"].map({True: 10, False: 0})
    sign = rows["better"].map({"high": 1, "low": -1})

    def score(changed: pd.Series) -> pd.Series:
        adjusted = rows["adjusted"] + sign * changed / size
        points = ((adjusted - rows["floor"]) / (rows["target"] - rows["floor"])).clip(0, 1) * rows["weight_y"]
        return rows["score"] + (points - rows["points"]) * rows["full_part"] / rows["weight_y"] / rows["coverage"]

    goal = rows["score"] + rows["gap"]
    assert (score(rows["rows_to_place_above"]) >= goal - 1e-6).all()
    assert (score(rows["rows_to_place_above"] - 1) < goal + 1e-6).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        "update marts.rank_explanations set score_part = score_part + 1e-6 where component = 'veto' and area = 'media'",
        "update marts.rank_explanations set gap_part = 0 where component = 'coverage' and gap_part <> 0",
        "update marts.rank_explanations set change_part = null where period_code = '2022-12'",
        "delete from marts.rank_explanations where component = 'on_time_rate' and unit_code = 'U01'",
        "update marts.unit_scores set score = score + 1e-6 where unit_code = 'U11'",
    ],
    ids=["score", "gap", "change", "lost part", "published score"],
)
def test_the_check_of_every_build_can_fail(warehouse: Path, tmp_path: Path, damage: str) -> None:
    sql = (PROJECT / "dbt_project" / "tests" / "integrity" / "explanations_add_up.sql").read_text("utf-8")
    sql = re.sub(r"\{\{ ref\('(\w+)'\) \}\}", r"marts.\1", sql)
    copy = tmp_path / "damaged.duckdb"
    with duckdb.connect(str(copy)) as connection:
        connection.execute(f"attach '{warehouse}' as whole (read_only)")
        connection.execute("create schema marts")
        for table in ("rank_explanations", "unit_scores", "unit_rankings"):
            connection.execute(f"create table marts.{table} as from whole.marts.{table}")
        assert connection.sql(sql).fetchall() == []
        connection.execute(damage)
        assert connection.sql(sql).fetchall() != []
