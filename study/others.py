"""The two rules that the project's are compared with. Shapes as in ``study.rules``; every unit with rows counts.

Raw rates: the mean of the area's raw rates, weighted as in the rule set, a rate of which less is better turned round;
the last three of each group are listed. Target and slope (a published rule): on time 20 points, one less for each
percentage point below 95 %; satisfaction 25 points, half a point less for each percentage point below 95 %; never below
0; listed under 60 of 100. Neither states an interval: the printed rank is the interval.
"""

from __future__ import annotations

import numpy as np

from study.rules import LAGGING, NONE, Array, Ranked, RuleSet, places_of, round_score

LAST = 3
TARGET, LEAST = 0.95, 60.0
#: area -> (metric, points, points less for each percentage point)
SLOPES = {
    "hotline": (("close_on_time_rate", 20, 1.0), ("satisfied_rate", 25, 0.5)),
    "platform": (("case_on_time_rate", 20, 1.0), ("good_review_rate", 25, 0.5)),
}


def raw_score(rules: RuleSet, rates: Array, area: str) -> Array:
    """0 to 100 from rates (``… U M``, NaN where there were no rows)."""
    at = rules.where(area)
    low = (rules.metrics["better"] == "low").to_numpy()[at]
    weight = np.where(np.isnan(rates[..., at]), 0, rules.column("weight")[at])
    good = np.where(low, 1 - rates[..., at], rates[..., at])
    with np.errstate(invalid="ignore"):
        return 100 * np.nansum(weight * good, -1) / weight.sum(-1)


def slope_score(rules: RuleSet, rates: Array, area: str) -> Array:
    """0 to 100 from rates; a metric without rows is left out of both sides."""
    won = whole = np.zeros(rates.shape[:-1])
    for metric, points, slope in SLOPES[area]:
        rate = rates[..., rules.keys.index((area, metric))]
        lost = slope * np.maximum(TARGET - rate, 0) * 100
        won = won + np.where(np.isnan(rate), 0, np.maximum(points - lost, 0))
        whole = whole + np.where(np.isnan(rate), 0, points)
    with np.errstate(invalid="ignore"):
        return 100 * won / whole


def rank_raw(score: Array, groups: Array) -> Ranked:
    """The last three places of each group are listed, ties with them."""
    listed = np.full(score.shape, NONE)
    for group in np.unique(groups):
        at = np.flatnonzero(groups == group)
        with np.errstate(invalid="ignore"):
            behind = (score[..., at][..., None, :] < score[..., at][..., :, None]).sum(-1)
        listed[..., at] = np.where(~np.isnan(score[..., at]) & (behind < LAST), LAGGING, NONE)
    return _printed(score, groups, listed)


def rank_slope(score: Array, groups: Array) -> Ranked:
    """Listed under 60 of 100."""
    return _printed(score, groups, np.where(score < LEAST, LAGGING, NONE))


def _printed(score: Array, groups: Array, listed: Array) -> Ranked:
    rounded = round_score(score)
    place = places_of(rounded, groups)
    return Ranked(rounded, place, place, place, listed)
