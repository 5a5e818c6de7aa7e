"""Shrinkage, intervals, rounding, ranks and lists, by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.reference_calc import calculate
from tests.reference_calc.fixtures import PULLED_AT, write_exports
from tests.reference_calc.rules import AREA_WEIGHTS, METRICS, Metric
from tests.reference_calc.scores import _give_lists, _give_ranks, points, points_sd, round_score, wilson

N_METRIC = Metric("hotline", "solved_rate", 25, 0.9, 0.5, shrunk=True)
LESS_IS_BETTER = Metric("website", "month_end_share", 10, 0.25, 0.75)


def test_weights_add_up() -> None:
    assert sum(AREA_WEIGHTS.values()) == 100
    for area in AREA_WEIGHTS:
        assert sum(metric.weight or 0 for metric in METRICS if metric.area == area) == 100


def test_points() -> None:
    assert points(N_METRIC, 0.7) == pytest.approx(12.5)
    assert points(N_METRIC, 0.95) == 25
    assert points(N_METRIC, 0.4) == 0
    assert points(LESS_IS_BETTER, 0.5) == 5
    assert points(LESS_IS_BETTER, 0.2) == 10


def test_sd_of_points() -> None:
    # adj 0.7, den 15: se = sqrt(.21/25); the whole interval lies between floor and target
    se = math.sqrt(0.21 / 25)
    assert points_sd(N_METRIC, 0.7, 15) == pytest.approx(25 * (2 * 1.96 * se) / 0.4 / 3.92)
    assert points_sd(LESS_IS_BETTER, 0.5, 15) == 0


def test_wilson() -> None:
    low, high = wilson(8, 10)
    assert (low, high) == (pytest.approx(0.490157, abs=1e-6), pytest.approx(0.943319, abs=1e-6))
    assert wilson(0, 4)[0] == 0
    assert wilson(4, 4)[1] == 1


@pytest.mark.parametrize(
    ("score", "rounded"),
    [(79.995, 80.0), (2.675, 2.68), (1.005, 1.01), (79.994999999, 79.99), (79.9949999999999, 80.0), (0.125, 0.13)],
)
def test_rounding_half_away_after_nine_decimals(score: float, rounded: float) -> None:
    assert round_score(score) == rounded


def ranked(scores: list[float | None], area: str = "website", **other: Any) -> list[dict[str, Any]]:
    rows = [
        {"unit_code": f"U{i}", "score": score, "score_sd": 0.0, "coverage": 1.0, "null_reason": None, "_vetoed": False}
        | {name: values[i] for name, values in other.items()}
        for i, score in enumerate(scores)
    ]
    _give_ranks(rows, area)
    for i, row in enumerate(rows):
        row["rank_change"] = other.get("rank_change", [None] * len(rows))[i]
    _give_lists(rows, area)
    return rows


def column(rows: list[dict[str, Any]], name: str) -> list[Any]:
    return [row[name] for row in rows]


def test_competition_ranks() -> None:
    rows = ranked([70.0, 90.0, 80.0, 80.0, None])
    assert column(rows, "rank") == [4, 1, 2, 2, None]
    assert column(rows, "tied") == [False, False, True, True, False]
    assert column(rows, "rank_best") == [None] * 5


def test_places_that_uncertainty_leaves_open() -> None:
    rows = ranked([90.0, 85.0, 60.0], "hotline", score_sd=[2.0, 2.0, 1.0])
    # 1.96·sqrt(8) = 5.54: the first two cannot be told apart
    assert column(rows, "rank_best") == [1, 1, 3]
    assert column(rows, "rank_worst") == [2, 2, 3]


def test_lists() -> None:
    rows = ranked([95.0, 90.0, 79.99, 70.0, 59.99, None], _vetoed=[False, True, False, False, False, True])
    assert column(rows, "list") == ["good", "lagging", None, None, "lagging", "lagging"]
    assert column(ranked([95.0, 90.0, 85.0, 80.0]), "list") == [None] * 4  # four ranked: no good list
    assert column(ranked([95.0, 90.0, 85.0, 80.0, 61.0], "overall", coverage=[0.79] * 5), "list") == [None] * 5
    assert column(ranked([95.0, 90.0, 85.0, 80.0, 61.0], "overall", _vetoed=[True] * 5), "list") == [None] * 5


def test_too_many_ties() -> None:
    rows = ranked([95.0, 95.0, 95.0, 95.0, 95.0, 95.0, 81.0])
    assert column(rows, "list") == [None] * 7
    assert column(rows, "null_reason") == ["too_many_ties"] * 6 + [None]
    assert column(ranked([95.0] * 5), "list") == ["good"] * 5


def test_most_improved() -> None:
    rows = ranked([95.0, 90.0, 85.0, 80.0, 75.0], rank_change=[3, 3, 2, None, -8])
    assert column(rows, "most_improved") == [True, True, False, False, False]
    assert not any(column(ranked([95.0, 90.0, 85.0, 80.0, 75.0], rank_change=[2] * 5), "most_improved"))


def test_volume_coverage_veto_and_shrinkage_end_to_end(tmp_path: Path) -> None:
    """Five dispatches of U01 and one of U02, in July: shrunk to the group, scored, and too few."""
    dispatches: list[dict[str, Any]] = [
        {"工单编号": str(n), "派单时间": "2022-07-01", "办理期限": "2022-07-08", "签收期限": "2022-07-02"}
        | {"签收时间": "2022-07-01 09:00", "办复时间": "2022-07-07" if n else "2022-07-09", "重办次数": 0}
        for n in range(5)
    ]
    dispatches += [dispatches[1] | {"工单编号": "9", "承办单位": "大河沿子镇"}]
    tickets = [
        {"工单编号": d["工单编号"], "来电时间": "2022-07-01", "回访时间": "2022-07-20", "回访结果": "已接通"}
        | {"是否解决": "解决", "满意度": "满意"}
        for d in dispatches
    ]
    vetoed = {"信息编号": "P", "发布时间": "2022-07-05", "严重错误数": 1}
    root = write_exports(
        tmp_path,
        ["2022-07", "2022-08"],
        hotline_dispatches=dispatches,
        hotline_tickets=tickets,
        cms_posts=[vetoed, vetoed | {"信息编号": "Q", "发布时间": "2022-08-05", "严重错误数": 0}],
    )
    result = calculate(root, ["2022-07", "2022-08", "2022-07--2022-08"], pulled_at=PULLED_AT)
    metrics = result.unit_metrics.query("area == 'hotline'").set_index(["period_code", "unit_code", "metric"])
    close = metrics.to_dict("index")[("2022-07", "U01", "close_on_time_rate")]
    adjusted = (4 + 10 * 5 / 6) / 15
    assert [close[name] for name in ("numerator", "denominator", "value")] == [4, 5, 0.8]
    assert close["adjusted"] == pytest.approx(adjusted)
    assert close["points"] == pytest.approx(25 * (adjusted - 0.75) / 0.2)
    assert metrics["null_reason"].to_dict()[("2022-07", "U03", "close_on_time_rate")] == "nothing_due"
    assert metrics["null_reason"].to_dict()[("2022-07", "U03", "solved_rate")] == "no_activity"

    scores = result.unit_scores.set_index(["period_code", "unit_code", "area"])
    hotline = scores.to_dict("index")[("2022-07", "U01", "hotline")]
    assert hotline["score"] == pytest.approx(75 + 25 * (adjusted - 0.75) / 0.2)
    assert hotline["coverage"] == 1
    assert scores["null_reason"].to_dict()[("2022-07", "U02", "hotline")] == "insufficient_volume"
    assert scores["coverage"].to_dict()[("2022-07", "U02", "hotline")] == 1
    assert scores["score"].to_dict()[("2022-07", "U01", "website")] == 0
    assert scores["veto_reason"].to_dict()[("2022-07", "U01", "website")] == "serious_error"
    # Two months: quota 2/8, weeks 2 of 9 (35 and 30), the rest: month end 0 → 10, no reviews 0, error-free 5;
    # one month of two is vetoed.
    both = scores["score"].to_dict()[("2022-07--2022-08", "U01", "website")]
    assert both == pytest.approx((35 * 2 / 8 + 30 * 2 / 9 + 10 + 5) / 2)

    ranks = result.unit_rankings.set_index(["period_code", "unit_code", "area"])
    assert ranks["rank"].to_dict()[("2022-08", "U01", "website")] == 1
    # July was complete: there U01's nothing shared the first place with every other unit's nothing.
    assert ranks["rank_change"].to_dict()[("2022-08", "U01", "website")] == 0
    assert pd.isna(ranks["rank_change"].to_dict()[("2022-07", "U01", "website")])
    assert ranks["list"].to_dict()[("2022-07", "U01", "website")] == "lagging"


def test_nothing_is_null_and_not_zero(tmp_path: Path) -> None:
    result = calculate(write_exports(tmp_path, ["2022-07"]), ["2022-07"], pulled_at=PULLED_AT)
    scores = result.unit_scores.set_index(["unit_code", "area"])
    assert [pd.isna(scores[name].to_dict()[("U01", "media")]) for name in ("score", "null_reason")] == [True, False]
    assert scores["null_reason"].to_dict()[("U01", "overall")] == "insufficient_coverage"
    assert scores["coverage"].to_dict()[("U01", "overall")] == 0.5  # website, reform and governance owe something
    assert len(result.unit_metrics) == 27 * len(METRICS)
    assert len(result.unit_rankings) == 27 * 7


def test_a_missing_delivery_is_named_and_never_a_zero(tmp_path: Path) -> None:
    root = write_exports(tmp_path, ["2022-07"])
    (root / "cms" / "cms_posts" / "2022-07" / "cms_posts.csv").unlink()
    result = calculate(root, ["2022-07"], pulled_at=PULLED_AT)
    website = result.unit_scores[result.unit_scores["area"] == "website"]
    assert set(website["null_reason"]) == {"not_delivered"}
    assert website["score"].isna().all()
