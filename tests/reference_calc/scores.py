"""From sums to points, scores, ranks and lists. Plain loops over units: few rows, and the text can be followed."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pandas as pd

from tests.reference_calc.asof import View
from tests.reference_calc.calendar_ import month_of
from tests.reference_calc.metrics import media_posts_with_unit, published
from tests.reference_calc.rules import (
    AREA_DATASETS,
    AREA_WEIGHTS,
    CENSUS_AREAS,
    METRICS,
    MIN_CASES,
    MIN_COVERAGE,
    MIN_DISPATCHES,
    PRIOR,
    RULE_SET,
    Metric,
    Z,
)

OVERALL = "overall"


def wilson(numerator: float, denominator: float) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share."""
    p, z2 = numerator / denominator, Z * Z
    centre = (p + z2 / (2 * denominator)) / (1 + z2 / denominator)
    half = Z * math.sqrt(p * (1 - p) / denominator + z2 / (4 * denominator**2)) / (1 + z2 / denominator)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def points(metric: Metric, adjusted: float) -> float:
    """weight · clamp((adjusted − floor)/(target − floor), 0, 1)."""
    assert metric.weight is not None
    reached = (adjusted - metric.floor) / (metric.target - metric.floor)
    return metric.weight * min(max(reached, 0.0), 1.0)


def points_sd(metric: Metric, adjusted: float, denominator: float) -> float:
    """Standard deviation of a shrunk metric's points; 0 for a census metric."""
    if not metric.shrunk:
        return 0.0
    spread = Z * math.sqrt(adjusted * (1 - adjusted) / (denominator + PRIOR))
    high, low = min(adjusted + spread, 1.0), max(adjusted - spread, 0.0)
    return abs(points(metric, high) - points(metric, low)) / (2 * Z)


def round_score(score: float) -> float:
    """To 9 decimals, then half away from zero to 2."""
    nine = Decimal(repr(round(score, 9)))
    return float(nine.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP))


def missing_datasets(view: View, accepted: dict[str, list[str]]) -> set[str]:
    """Datasets without an accepted delivery in some month of the period."""
    return {name for name, months in accepted.items() if any(month.code not in months for month in view.period.months)}


def unit_metrics(view: View, sums: pd.DataFrame, missing: set[str]) -> pd.DataFrame:
    """A row for every ranked unit × metric, null or not; also ``sd`` (of the points), which is not published."""
    totals = sums.groupby(["unit_code", "area", "metric"])[["numerator", "denominator"]].sum().to_dict("index")
    ranked = view.units.ranked
    group_of = dict(zip(ranked["unit_code"], ranked["unit_group"], strict=True))
    rows: list[dict[str, Any]] = []
    for metric in METRICS:
        absent = bool(missing & set(AREA_DATASETS[metric.area]))
        of_unit = {}
        for unit in group_of:
            found = totals.get((unit, metric.area, metric.name), {"numerator": 0.0, "denominator": 0.0})
            of_unit[unit] = (float(found["numerator"]), float(found["denominator"]))
        for unit, (numerator, denominator) in of_unit.items():
            row: dict[str, Any] = {"unit_code": unit, "area": metric.area, "metric": metric.name}
            if absent:
                row |= {"null_reason": "not_delivered"}
            elif metric.count:
                row |= {"numerator": numerator, "value": numerator, "adjusted": numerator}
            else:
                peers = [of_unit[peer] for peer in group_of if group_of[peer] == group_of[unit]]
                row |= {"numerator": numerator, "denominator": denominator}
                row |= _measured(metric, numerator, denominator, peers)
            rows.append(row | {"weight": metric.weight})
    names = ["numerator", "denominator", "value", "adjusted", "ci_low", "ci_high", "points", "weight", "sd"]
    table = pd.DataFrame(rows).reindex(columns=["unit_code", "area", "metric", *names, "null_reason"])
    table[names] = table[names].astype(float)
    table.insert(0, "period_code", view.period.code)
    return table.assign(rule_set=RULE_SET)


def _measured(metric: Metric, numerator: float, denominator: float, peers: list[tuple[float, float]]) -> dict[str, Any]:
    if denominator == 0:
        return {"null_reason": metric.empty_reason}
    value = numerator / denominator
    adjusted = value
    if metric.shrunk:
        prior = sum(num for num, _ in peers) / sum(den for _, den in peers)
        adjusted = (numerator + PRIOR * prior) / (denominator + PRIOR)
    row: dict[str, Any] = {"value": value, "adjusted": adjusted}
    if metric.share:
        row["ci_low"], row["ci_high"] = wilson(numerator, denominator)
    if metric.weight is not None:
        row["points"] = points(metric, adjusted)
        row["sd"] = points_sd(metric, adjusted, denominator)
    return row


# vetoes -------------------------------------------------------------------------------------------------------------


def vetoes(view: View) -> pd.DataFrame:
    """unit_code, month, area, reason: one row for each reason a month of an area is vetoed."""
    posts = view.posts
    out = posts[posts["状态"].isin(["已发布", "已撤回"]) & posts["发布时间"].notna()]
    found = [_veto(out[out["严重错误数"] > 0], "website", "serious_error")]
    shown = published(view)
    reviewed_day = shown["终审时间"].fillna(shown["发布时间"]).dt.normalize()
    backdated = (
        (shown["来源类型"] == "原创")
        & (shown["页面显示日期"] < reviewed_day)
        & (shown["页面显示日期"] < shown["发布时间"].dt.normalize())
    )
    found.append(_veto(shown[backdated], "website", "backdated"))
    for month in view.period.months:
        items = media_posts_with_unit(view, month)
        found.append(_veto(items[items["严重错误数"] > 0], "media", "serious_error"))
    table = pd.concat(found, ignore_index=True)
    return table[table["month"].isin([month.number for month in view.period.months])].drop_duplicates()


def _veto(rows: pd.DataFrame, area: str, reason: str) -> pd.DataFrame:
    return pd.DataFrame({"unit_code": rows["unit_code"], "month": month_of(rows["发布时间"])}).assign(
        area=area, reason=reason
    )


# scores -------------------------------------------------------------------------------------------------------------


def unit_scores(view: View, metrics: pd.DataFrame, missing: set[str]) -> pd.DataFrame:
    """A row for every ranked unit × area, ``overall`` included; unrounded."""
    reasons, vetoed_months = _vetoes_by_area(vetoes(view))
    months = len(view.period.months)
    held: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for metric in metrics.to_dict("records"):
        held.setdefault((metric["unit_code"], metric["area"]), []).append({str(k): v for k, v in metric.items()})
    rows = []
    for unit in view.units.ranked["unit_code"]:
        areas = {}
        for area in AREA_WEIGHTS:
            row = _area_score(held[unit, area], area, missing)
            row["veto_reason"] = veto_reason(reasons.get((unit, area), set()))
            if row["null_reason"] != "not_delivered":
                _apply_veto(row, len(vetoed_months.get((unit, area), set())), months)
            areas[area] = row
        areas[OVERALL] = _overall(areas)
        rows += [{"unit_code": unit, "area": area} | row for area, row in areas.items()]
    names = ["unit_code", "area", "score", "score_sd", "coverage", "veto_reason", "null_reason"]
    table = pd.DataFrame(rows).reindex(columns=names)
    numbers = ["score", "score_sd", "coverage"]
    table[numbers] = table[numbers].astype(float)
    table.insert(0, "period_code", view.period.code)
    return table.assign(rule_set=RULE_SET)


def veto_reason(reasons: set[str]) -> str | None:
    """The reasons in the order of the rules, joined by ``;``."""
    return ";".join(reason for reason in ("serious_error", "backdated") if reason in reasons) or None


def _vetoes_by_area(
    found: pd.DataFrame,
) -> tuple[dict[tuple[str, str], set[str]], dict[tuple[str, str], set[int]]]:
    """(unit_code, area) → its reasons and its vetoed months."""
    reasons: dict[tuple[str, str], set[str]] = {}
    months: dict[tuple[str, str], set[int]] = {}
    for unit, month, area, reason in found[["unit_code", "month", "area", "reason"]].to_numpy():
        reasons.setdefault((unit, area), set()).add(reason)
        months.setdefault((unit, area), set()).add(int(month))
    return reasons, months


def _area_score(metrics: list[dict[str, Any]], area: str, missing: set[str]) -> dict[str, Any]:
    scored = [metric for metric in metrics if not pd.isna(metric["weight"])]
    held = [metric for metric in scored if not pd.isna(metric["points"])]
    weight, whole = sum(metric["weight"] for metric in held), sum(metric["weight"] for metric in scored)
    row: dict[str, Any] = {"score": None, "score_sd": None, "coverage": weight / whole, "null_reason": None}
    if missing & set(AREA_DATASETS[area]):
        row["null_reason"] = "not_delivered"
    elif _too_little(metrics, area):
        row["null_reason"] = "insufficient_volume"
    elif weight < MIN_COVERAGE * whole:
        row["null_reason"] = "insufficient_coverage"
    else:
        row["score"] = 100 * sum(metric["points"] for metric in held) / weight
        row["score_sd"] = 100 * math.sqrt(sum(metric["sd"] ** 2 for metric in held)) / weight
    return row


def _too_little(metrics: list[dict[str, Any]], area: str) -> bool:
    least = {"hotline": ("dispatched", MIN_DISPATCHES), "platform": ("cases_accepted", MIN_CASES)}
    if area not in least:
        return False
    name, volume = least[area]
    return next(bool(metric["numerator"] < volume) for metric in metrics if metric["metric"] == name)


def _apply_veto(row: dict[str, Any], vetoed: int, months: int) -> None:
    """Multiply by the share of months without a veto; with none left the score is 0 even where it would be null."""
    if vetoed == months:
        row |= {"score": 0.0, "score_sd": 0.0, "null_reason": None}
    elif row["score"] is not None:
        row["score"] *= (months - vetoed) / months
        row["score_sd"] *= (months - vetoed) / months


def _overall(areas: dict[str, dict[str, Any]]) -> dict[str, Any]:
    held = {area: row for area, row in areas.items() if row["score"] is not None}
    weight = sum(AREA_WEIGHTS[area] for area in held)
    whole = sum(AREA_WEIGHTS.values())
    row = {"score": None, "score_sd": None, "coverage": weight / whole, "veto_reason": None, "null_reason": None}
    if weight < MIN_COVERAGE * whole:
        return row | {"null_reason": "insufficient_coverage"}
    score = sum(AREA_WEIGHTS[area] * one["score"] for area, one in held.items()) / weight
    sd = math.sqrt(sum((AREA_WEIGHTS[area] * one["score_sd"]) ** 2 for area, one in held.items())) / weight
    return row | {"score": score, "score_sd": sd}


# ranks --------------------------------------------------------------------------------------------------------------

GOOD_RANK, GOOD_SCORE, GOOD_COVERAGE, GOOD_MOST, LAGGING_SCORE = 3, 80.0, 0.8, 5, 60.0
LEAST_RANKED, LEAST_RISE = 5, 3


def unit_rankings(view: View, scores: pd.DataFrame, earlier: pd.DataFrame | None) -> pd.DataFrame:
    """A row for every ranked unit × area. ``earlier`` is the adjacent earlier period's, where complete."""
    ranked = view.units.ranked
    table = scores.merge(ranked, on="unit_code", how="left")
    any_veto = set(scores.loc[scores["veto_reason"].notna(), "unit_code"])
    before = {} if earlier is None else earlier.set_index(["unit_code", "area"])["rank"].to_dict()
    parts = []
    for (_, area), group in table.groupby(["unit_group", "area"], sort=False):
        rows = [_ranked_row({str(name): value for name, value in row.items()}) for row in group.to_dict("records")]
        _give_ranks(rows, str(area))
        for row in rows:
            row["rank_change"] = _change(before.get((row["unit_code"], area)), row["rank"])
            row["_vetoed"] = row["unit_code"] in any_veto if area == OVERALL else row["veto_reason"] is not None
        _give_lists(rows, str(area))
        parts += rows
    names = "period_code unit_group unit_code unit_name area score rank tied rank_best rank_worst rank_change list"
    return pd.DataFrame(parts)[[*names.split(), "most_improved", "null_reason", "rule_set"]]


def _ranked_row(row: dict[str, Any]) -> dict[str, Any]:
    """The row of unit_scores with its score rounded; missing values as None."""
    clean = {name: None if pd.isna(value) else value for name, value in row.items()}
    if clean["score"] is not None:
        clean["score"] = round_score(clean["score"])
    return clean


def _give_ranks(rows: list[dict[str, Any]], area: str) -> None:
    """Competition ranks of one group and area, and the places that the uncertainty leaves open."""
    held = [row for row in rows if row["score"] is not None]
    for row in rows:
        row |= {"rank": None, "tied": False, "rank_best": None, "rank_worst": None}
    for row in held:
        row["rank"] = 1 + sum(other["score"] > row["score"] for other in held)
        row["tied"] = sum(other["score"] == row["score"] for other in held) > 1
        if area not in CENSUS_AREAS:
            above = sum(_clearly_above(other, row) for other in held)
            below = sum(_clearly_above(row, other) for other in held)
            row["rank_best"], row["rank_worst"] = 1 + above, len(held) - below


def _clearly_above(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one["score"] - other["score"] > Z * math.sqrt(one["score_sd"] ** 2 + other["score_sd"] ** 2)


def _change(before: float | None, now: int | None) -> int | None:
    if before is None or pd.isna(before) or now is None:
        return None
    return int(before) - now


def _give_lists(rows: list[dict[str, Any]], area: str) -> None:
    """The good and lagging lists and who improved most, of one group and area."""
    enough = sum(row["rank"] is not None for row in rows) >= LEAST_RANKED
    is_good: Callable[[dict[str, Any]], bool] = lambda row: (  # noqa: E731
        row["rank"] is not None
        and row["rank"] <= GOOD_RANK
        and row["score"] >= GOOD_SCORE
        and not row["_vetoed"]
        and (area != OVERALL or row["coverage"] >= GOOD_COVERAGE)
    )
    good = [row for row in rows if enough and is_good(row)]
    highest = max((row["rank_change"] for row in rows if row["rank_change"] is not None), default=0)
    for row in rows:
        vetoed = row["_vetoed"] and area != OVERALL
        low = row["score"] is not None and row["score"] < LAGGING_SCORE
        row["list"] = "lagging" if vetoed or low else None
        rise = row["rank_change"]
        row["most_improved"] = bool(enough and rise is not None and rise >= LEAST_RISE and rise == highest)
    for row in good:
        if len(good) > GOOD_MOST:
            row["null_reason"] = "too_many_ties"
        else:
            row["list"] = "good"
