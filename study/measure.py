"""What is measured of each rule over simulated years.

*Notices*: the twelve monthly ones of a year, and the year's. *Truth*: the rank of a unit by its true score under the
same rule, among the units that the notice ranks; competition rank of scores rounded as printed, so equal truth is equal
rank. *Errors* are those of the simulation (one standard error, seasons as the independent draws).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from study import others
from study.county import DISPATCHES_A_MONTH, MONTHS, County, Seasons
from study.rules import (
    LAGGING,
    OVERALL,
    Array,
    Ranked,
    RuleSet,
    log_odds,
    places_of,
    rank,
    round_score,
    score,
    true_score,
)

SAMPLED = ("hotline", "platform")
RAW, SLOPE = "raw_rates", "target_and_slope"
#: Dispatches a year, upper bounds of the classes of units.
CLASSES = (12, 36, 120, np.inf)


@dataclass
class Notices:
    """One rule's places and lists of one area: ``S N U``, and the true rank."""

    ranked: Ranked
    truth: Array


@dataclass
class Tally:
    """Counts by season and unit (``S U``), chunk by chunk."""

    parts: dict[str, list[Array]] = field(default_factory=dict)

    def add(self, **counts: Array) -> None:
        for name, values in counts.items():
            self.parts.setdefault(name, []).append(values.astype(np.float32))

    def share(self, part: str, whole: str, units: Array | slice = slice(None)) -> tuple[float, float]:
        """Σpart/Σwhole over some units, and its standard error between seasons; NaN where there was nothing."""
        a, b = (np.concatenate(self.parts[name])[:, units].sum(1, dtype=float) for name in (part, whole))
        if not b.sum():
            return np.nan, np.nan
        found = a.sum() / b.sum()
        return found, float(np.sqrt(((a - found * b) ** 2).sum()) / b.sum())


def notices_of(rules: RuleSet, county: County, seasons: Seasons, area: str, yearly: bool) -> Notices:
    """The rule set's monthly notices of the year, or the one of the whole year."""
    num, den = _sums(seasons, yearly)
    scored = score(rules, num, den, county.groups)
    evidence = None
    if area != OVERALL and rules.by_evidence(area):
        evidence = _window_odds(rules, county, seasons, area)
        evidence = evidence[:, -1:] if yearly else evidence
    ranked = rank(rules, scored, area, county.groups, evidence)
    rates = seasons.rates[:, None]
    if area == OVERALL:
        weight = rules.areas["weight"].to_numpy(float)
        true = scored.score[..., :-1].copy()  # census areas: what was done is the truth
        for a, name in enumerate(rules.area_names):
            if rules.has_interval[name]:
                true[..., a] = np.where(np.isnan(true[..., a]), np.nan, true_score(rules, rates, name, den > 0))
        with np.errstate(invalid="ignore"):
            true = np.nansum(weight * true, -1) / (weight * ~np.isnan(true)).sum(-1)
    else:
        true = true_score(rules, rates, area, den > 0)
    return Notices(ranked, _true_rank(true, ranked, county))


def notices_of_others(rules: RuleSet, county: County, seasons: Seasons, area: str, yearly: bool) -> dict[str, Notices]:
    """The same of raw rates and of target and slope; ``rules`` names the metrics and their weights."""
    num, den = _sums(seasons, yearly)
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = np.where(den > 0, num / den, np.nan)
    truth = seasons.rates[:, None]
    found = {}
    for name, scorer, ranker in (
        (RAW, others.raw_score, others.rank_raw),
        (SLOPE, others.slope_score, others.rank_slope),
    ):
        ranked = ranker(scorer(rules, rates, area), county.groups)
        true = np.broadcast_to(scorer(rules, truth, area), ranked.score.shape)
        found[name] = Notices(ranked, _true_rank(true, ranked, county))
    return found


def count(tally: Tally, notices: Notices, seasons: Seasons, yearly: bool, judges_bad: bool = True) -> None:
    """Adds a chunk's counts: of the monthly notices, or of the year's. ``judges_bad``: whether the truly bad are bad in
    this area as a whole."""
    listed, ranked = notices.ranked.listed == LAGGING, ~np.isnan(notices.truth)
    with np.errstate(invalid="ignore"):
        covered = (notices.ranked.best <= notices.truth) & (notices.truth <= notices.ranked.worst)
    width = np.where(ranked, notices.ranked.worst - notices.ranked.best + 1, 0)
    end = "_year" if yearly else ""
    average, bad = seasons.average, seasons.bad
    if not judges_bad:
        bad = np.zeros_like(bad)
    n = listed.shape[1]
    tally.add(
        **{
            f"ranked{end}": ranked.sum(1), f"covered{end}": (covered & ranked).sum(1), f"width{end}": width.sum(1),
            f"off{end}": np.where(ranked, np.abs(notices.ranked.rank - notices.truth), 0).sum(1),
            f"average{end}": average * n, f"average_listed{end}": (listed & average[:, None]).sum(1),
            f"bad{end}": bad * n, f"bad_missed{end}": (~listed & bad[:, None]).sum(1),
            f"bad_ranked{end}": (ranked & bad[:, None]).sum(1),
            f"bad_covered{end}": (covered & ranked & bad[:, None]).sum(1),
        }
    )  # fmt: skip
    if not yearly:
        tally.add(
            season_average=average, average_ever=listed.any(1) & average, season_bad=bad,
            bad_never=~listed.any(1) & bad, bad_first=~listed[:, 0] & bad,
        )  # fmt: skip


def figures(tally: Tally, units: Array | slice = slice(None)) -> dict[str, float]:
    """The figures of one rule and area, each with its simulation error under ``<name>_error``."""
    names = {
        "average_listed_lagging": ("average_listed", "average"),
        "average_listed_in_the_year": ("average_listed_year", "average_year"),
        "average_listed_ever": ("average_ever", "season_average"),
        "bad_missed": ("bad_missed_year", "bad_year"),
        "bad_missed_in_every_month": ("bad_never", "season_bad"),
        "bad_missed_in_first_month": ("bad_first", "season_bad"),
        "rank_coverage": ("covered", "ranked"),
        "rank_coverage_year": ("covered_year", "ranked_year"),
        "rank_coverage_bad": ("bad_covered", "bad_ranked"),
        "rank_width": ("width", "ranked"),
        "rank_width_year": ("width_year", "ranked_year"),
        "rank_error": ("off", "ranked"),
        "rank_error_year": ("off_year", "ranked_year"),
    }
    found: dict[str, float] = {}
    for name, (part, whole) in names.items():
        found[name], found[f"{name}_error"] = tally.share(part, whole, units)
    return found


def classes(county: County) -> Iterator[tuple[str, Array]]:
    """Units by what they have to do: (label in dispatches a year, positions)."""
    yearly, least = county.dispatch_share * DISPATCHES_A_MONTH * MONTHS, 0.0
    for most in CLASSES:
        at = np.flatnonzero((yearly >= least) & (yearly < most))
        yield (f"{least:.0f}-{most:.0f}" if np.isfinite(most) else f"{least:.0f}+"), at
        least = most


def study(
    rule_sets: list[RuleSet],
    county: County,
    draw: Callable[[], Iterator[Seasons]],
    areas: tuple[str, ...] = (*SAMPLED, OVERALL),
) -> dict[str, dict[str, Tally]]:
    """rule → area → counts, over every chunk of seasons that ``draw`` gives. The first rule set names the others'."""
    tallies: dict[str, dict[str, Tally]] = {}
    for seasons in draw():
        for area in areas:
            for yearly in (False, True):
                found = {rules.name: notices_of(rules, county, seasons, area, yearly) for rules in rule_sets}
                if area != OVERALL:
                    found |= notices_of_others(rule_sets[0], county, seasons, area, yearly)
                for name, notices in found.items():
                    tally = tallies.setdefault(name, {}).setdefault(area, Tally())
                    # Late in two of six areas is not bad overall: that list goes by the score of all six.
                    count(tally, notices, seasons, yearly, judges_bad=area != OVERALL)
    return tallies


def _sums(seasons: Seasons, yearly: bool) -> tuple[Array, Array]:
    if yearly:
        return seasons.num.sum(1, keepdims=True), seasons.den.sum(1, keepdims=True)
    return seasons.num, seasons.den


def _window_odds(rules: RuleSet, county: County, seasons: Seasons, area: str) -> Array:
    """Evidence of each monthly notice: the months of the look-back window that the season has."""
    num, den = (np.cumsum(counts, axis=1) for counts in (seasons.num, seasons.den))
    months = int(rules["lagging_months"])
    if months < num.shape[1]:
        for counts in (num, den):
            counts[:, months:] -= counts[:, :-months].copy()
    return log_odds(rules, num, den, county.groups, area)


def _true_rank(true: Array, ranked: Ranked, county: County) -> Array:
    return places_of(np.where(np.isnan(ranked.rank), np.nan, round_score(true)), county.groups)
