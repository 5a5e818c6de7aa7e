"""The county that is simulated: its units, how much each has to do, and how well the usual unit does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from study.rules import Array, RuleSet

#: Dispatches of the notice of July 2022 by unit (those that it does not name: small), and weights of cases.
UNITS = Path(__file__).with_name("county.csv")
DISPATCHES_A_MONTH = 148
CASES_A_MONTH = 21_000
MONTHS = 12

#: What a truly bad unit does in its on-time metrics; everything else it does as its group does.
BAD_RATE = 0.70
#: ISO weeks of a month; the fifth of some is not modelled.
WEEKS = 4


@dataclass(frozen=True)
class Kind:
    """A metric's truth: mean over the group, and how far units differ (strength of the beta; less is wider)."""

    mean: float
    strength: float


#: Of the shrunk metrics: on time 93 % by the task; the others between the best and the worst that the notice's county
#: shows. Of the census metrics: the same, by month.
KINDS: dict[tuple[str, str], Kind] = {
    ("hotline", "sign_on_time_rate"): Kind(0.93, 40),
    ("hotline", "close_on_time_rate"): Kind(0.93, 40),
    ("hotline", "solved_rate"): Kind(0.85, 25),
    ("hotline", "satisfied_rate"): Kind(0.97, 60),
    ("hotline", "rework_rate"): Kind(0.04, 60),
    ("hotline", "invalid_return_rate"): Kind(0.03, 60),
    ("platform", "case_on_time_rate"): Kind(0.97, 60),
    ("platform", "online_rate"): Kind(0.55, 15),
    ("platform", "active_review_rate"): Kind(0.28, 15),
    ("platform", "good_review_rate"): Kind(0.975, 80),
    ("platform", "bad_review_fixed_rate"): Kind(0.75, 10),
    ("website", "post_quota_rate"): Kind(0.85, 8),
    ("website", "weekly_update_rate"): Kind(0.75, 8),
    ("website", "month_end_share"): Kind(0.2, 8),
    ("website", "review_complete_rate"): Kind(0.95, 30),
    ("website", "review_independent_rate"): Kind(0.95, 30),
    ("website", "error_free_rate"): Kind(0.96, 30),
    ("media", "account_active_rate"): Kind(0.9, 8),
    ("reform", "on_time_rate"): Kind(0.85, 8),
    ("reform", "adoption_rate"): Kind(0.5, 8),
    ("reform", "returned_rate"): Kind(0.1, 10),
    ("governance", "on_time_rate"): Kind(0.8, 8),
    ("governance", "adoption_rate"): Kind(0.5, 8),
    ("governance", "returned_rate"): Kind(0.1, 10),
}
#: area -> metrics in which the truly bad unit is bad.
ON_TIME = {"hotline": ("sign_on_time_rate", "close_on_time_rate"), "platform": ("case_on_time_rate",)}
#: Census metrics: how many there are to count in a month.
ROWS_A_MONTH = {"website": 5, "media": 2, "reform": 9, "governance": 2}
FIXED_ROWS = {("website", "post_quota_rate"): 4, ("website", "weekly_update_rate"): WEEKS}


@dataclass(frozen=True)
class County:
    """Units in the order of ``county.csv``: codes, groups, and shares of the county's dispatches and cases (``U``)."""

    codes: list[str]
    groups: Array
    dispatch_share: Array
    case_share: Array

    @classmethod
    def read(cls, path: Path = UNITS) -> County:
        """Only ranked units; the operator keeps its share of the cases."""
        table = pd.read_csv(path)
        # Half a dispatch more: a unit that had none in that July is not one that never has any.
        ranked = table[table["unit_group"] != "operator"]
        dispatches = ranked["dispatches"].to_numpy() + 0.5
        return cls(
            list(ranked["unit_code"]),
            ranked["unit_group"].to_numpy(str),
            dispatches / dispatches.sum(),
            (ranked["cases"] / table["cases"].sum()).to_numpy(),
        )


@dataclass
class Seasons:
    """Simulated years: true rates (``S U M``), unit-month counts (``S 12 U M``), who is what (``S U``)."""

    rates: Array
    num: Array
    den: Array
    average: Array
    bad: Array


def simulate(
    county: County,
    rules: RuleSet,
    seasons: int,
    rng: np.random.Generator,
    *,
    linked: float = 0.0,
    bad_in: Mapping[str, tuple[str, ...]] = ON_TIME,
) -> Seasons:
    """Draws ``seasons`` years. In each group one unit is truly average (its rates are the group's in every metric) and
    one truly bad; the others differ by chance, so that the group's mean, by volume, is that of ``KINDS``.

    ``linked``: share of dispatches that are signed late exactly when they are closed late. ``bad_in``: area → the
    metrics in which the truly bad unit is bad.
    """
    average, bad = _roles(county, seasons, rng)
    volume = {"hotline": county.dispatch_share, "platform": county.case_share}
    rates = np.full((seasons, len(county.codes), len(rules.keys)), np.nan)
    for k, key in enumerate(rules.keys):
        if key in KINDS:
            is_bad = bad if key[1] in bad_in.get(key[0], ()) else None
            weight = volume.get(key[0], np.ones(len(county.codes)))
            rates[..., k] = _rates(KINDS[key], county, weight, average, bad, is_bad, rng)
    num = np.zeros((seasons, MONTHS, *rates.shape[1:]), np.int32)
    den = np.zeros_like(num)
    _draw_hotline(county, rules, rates, num, den, rng, linked)
    _draw_platform(county, rules, rates, num, den, rng)
    for k, (area, metric) in enumerate(rules.keys):
        if area in ROWS_A_MONTH and (area, metric) in KINDS:
            den[..., k] = FIXED_ROWS.get((area, metric), ROWS_A_MONTH[area])
            num[..., k] = rng.binomial(den[..., k], rates[:, None, :, k])
    return Seasons(rates, num, den, average, bad)


def _roles(county: County, seasons: int, rng: np.random.Generator) -> tuple[Array, Array]:
    average = np.zeros((seasons, len(county.codes)), bool)
    bad = np.zeros_like(average)
    for group in np.unique(county.groups):
        at = np.flatnonzero(county.groups == group)
        chosen = at[np.argsort(rng.random((seasons, len(at))), axis=1)[:, :2]]
        average[np.arange(seasons), chosen[:, 0]] = True
        bad[np.arange(seasons), chosen[:, 1]] = True
    return average, bad


def _rates(
    kind: Kind,
    county: County,
    weight: Array,
    average: Array,
    bad: Array,
    is_bad: Array | None,
    rng: np.random.Generator,
) -> Array:
    drawn = rng.beta(kind.mean * kind.strength, (1 - kind.mean) * kind.strength, average.shape)
    fixed = average | bad
    drawn = np.where(fixed, kind.mean, drawn)
    if is_bad is not None:
        drawn = np.where(is_bad, BAD_RATE, drawn)
    for group in np.unique(county.groups):
        at = np.flatnonzero(county.groups == group)
        share = weight[at] / weight[at].sum()
        free = np.where(fixed[:, at], 0, share)
        # The others move together until the group has its mean; near 1 a step is cut, hence several.
        for _ in range(8):
            gap = kind.mean - (drawn[:, at] * share).sum(1, keepdims=True)
            moved = np.clip(drawn[:, at] + gap / free.sum(1, keepdims=True), 0.001, 0.999)
            drawn[:, at] = np.where(fixed[:, at], drawn[:, at], moved)
    return drawn


def _draw_hotline(
    county: County, rules: RuleSet, rates: Array, num: Array, den: Array, rng: np.random.Generator, linked: float
) -> None:
    k = {metric: i for i, (area, metric) in enumerate(rules.keys) if area == "hotline"}
    rows = rng.multinomial(DISPATCHES_A_MONTH, county.dispatch_share, size=num.shape[:2])
    num[..., k["dispatched"]] = rows
    # Not every caller is reached, and not everyone reached says how satisfied they are.
    reached = rng.binomial(rows, 0.9)
    shares = {
        "sign_on_time_rate": rows, "close_on_time_rate": rows, "rework_rate": rows, "invalid_return_rate": rows,
        "solved_rate": reached, "satisfied_rate": rng.binomial(reached, 0.95),
    }  # fmt: skip
    for metric, n in shares.items():
        den[..., k[metric]] = n
        num[..., k[metric]] = rng.binomial(n, rates[:, None, :, k[metric]])
    if linked:
        together = rng.binomial(rows, linked)
        rate = rates[:, None, :, k["close_on_time_rate"]]
        both = rng.binomial(together, rate)
        for metric in ON_TIME["hotline"]:
            num[..., k[metric]] = both + rng.binomial(rows - together, rate)


def _draw_platform(
    county: County, rules: RuleSet, rates: Array, num: Array, den: Array, rng: np.random.Generator
) -> None:
    k = {metric: i for i, (area, metric) in enumerate(rules.keys) if area == "platform"}
    of_others = max(0.0, 1 - county.case_share.sum())
    cases = rng.multinomial(CASES_A_MONTH, [*county.case_share, of_others], size=num.shape[:2])[..., :-1]
    num[..., k["cases_accepted"]] = cases

    def draw(metric: str, n: Array) -> Array:
        den[..., k[metric]] = n
        num[..., k[metric]] = rng.binomial(n, rates[:, None, :, k[metric]])
        return num[..., k[metric]]

    draw("case_on_time_rate", cases)
    draw("online_rate", cases)
    reviewed = draw("active_review_rate", cases)
    good = draw("good_review_rate", reviewed)
    draw("bad_review_fixed_rate", reviewed - good)
