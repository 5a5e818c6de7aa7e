"""The counties of a region calculated a second time: their units' sums of ``tests.reference_calc`` added in pandas."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pandas as pd

from tests.reference_calc import Result, scores
from tests.reference_calc.asof import view
from tests.reference_calc.calendar_ import PeriodOfMonths, WorkingDays
from tests.reference_calc.rules import AREA_WEIGHTS
from tests.reference_calc.units import UnitNames


def counties(
    results: Mapping[str, tuple[Result, UnitNames]], period: str, earlier: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Metrics, scores and rankings of the counties (code -> what it gets alone) that delivered the period (a month)."""
    ranked = pd.DataFrame({"unit_code": list(results), "unit_name": "", "unit_group": "county"})
    seen: Any = SimpleNamespace(units=SimpleNamespace(ranked=ranked), period=PeriodOfMonths.parse(period))
    parts = []
    for code, (result, _) in results.items():
        months = result.unit_months[result.unit_months["period_code"] == period]
        summed = months.groupby(["area", "metric"], as_index=False)[["numerator", "denominator"]].sum()
        parts.append(summed.assign(unit_code=code))
    metrics = scores.unit_metrics(seen, pd.concat(parts, ignore_index=True), set())
    rows = []
    for code, (result, names) in results.items():
        vetoed = _vetoed(result, names, period)
        areas: dict[str, dict[str, Any]] = {}
        for area in AREA_WEIGHTS:
            own = metrics[(metrics["unit_code"] == code) & (metrics["area"] == area)]
            row = scores._area_score(
                [{str(k): v for k, v in each.items()} for each in own.to_dict("records")], area, set()
            )
            share, reasons = vetoed.get(area, (0.0, set()))
            row["veto_reason"] = scores.veto_reason(reasons)
            if share == 1:
                row |= {"score": 0.0, "score_sd": 0.0, "null_reason": None}
            elif row["score"] is not None:
                row["score"] *= 1 - share
                row["score_sd"] *= 1 - share
            areas[area] = row | {"whole": share == 1}
        areas["overall"] = scores._overall(areas) | {"whole": False}
        rows += [{"unit_code": code, "area": area} | row for area, row in areas.items()]
    scored = pd.DataFrame(rows).assign(period_code=period, rule_set=scores.RULE_SET)
    # A list goes by a veto only where it takes the whole month.
    by_veto = scored.assign(veto_reason=scored["veto_reason"].where(scored["whole"]))
    return metrics, scored, scores.unit_rankings(seen, by_veto, earlier)


def _vetoed(result: Result, names: UnitNames, period: str) -> dict[str, tuple[float, set[str]]]:
    """Area -> share of the county's ranked units with a veto in the month, and the reasons."""
    months = result.exports.accepted["cms_media_posts"]
    seen = view(result.current, PeriodOfMonths.parse(period), names, WorkingDays({}), min(months, default=None))
    found = scores.vetoes(seen)
    found = found[found["unit_code"].isin(names.ranked["unit_code"])]
    return {
        str(area): (rows["unit_code"].nunique() / len(names.ranked), set(rows["reason"]))
        for area, rows in found.groupby("area")
    }
