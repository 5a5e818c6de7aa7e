"""A rule set of the project applied to whole arrays of counties at once.

The same arithmetic as ``dbt_project/models/scoring``, read from the same seeds; ``tests/study`` holds the two together.
Shapes: ``…`` any leading axes (seasons, months), ``U`` units in one fixed order, ``M`` metrics and ``A`` areas in the
order of the rule set. Null is NaN. Scores are 0 to 100. docs/metrics.md, Scores and Ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from ingestion.home import PROJECT

SEEDS = PROJECT / "dbt_project" / "seeds"
OVERALL = "overall"
#: Lists as the tables name them, by code.
NONE, GOOD, LAGGING = 0, 1, 2

Array = np.ndarray


@dataclass(frozen=True)
class RuleSet:
    """One rule set: its constants, and its areas and metrics as tables in the order of the seeds."""

    name: str
    constants: pd.Series
    areas: pd.DataFrame
    metrics: pd.DataFrame

    @classmethod
    def read(cls, name: str, seeds: Path = SEEDS) -> RuleSet:
        """From the seeds of ``seeds``; raises KeyError where no rule set has the name."""
        tables = [_of(name, seeds / f"{file}.csv") for file in ("rule_sets", "areas", "metrics")]
        return cls(name, tables[0].iloc[0], tables[1], tables[2])

    def __getitem__(self, constant: str) -> float:
        return float(self.constants[constant])

    @cached_property
    def area_names(self) -> list[str]:
        return list(self.areas["area"])

    @cached_property
    def keys(self) -> list[tuple[str, str]]:
        """(area, metric) of the M axis."""
        return list(zip(self.metrics["area"], self.metrics["metric"], strict=True))

    def where(self, area: str) -> Array:
        """Positions of the area's scored metrics on the M axis."""
        return np.flatnonzero((self.metrics["area"] == area) & self.metrics["weight"].notna())

    def column(self, name: str) -> Array:
        return self.metrics[name].to_numpy(float)

    @cached_property
    def is_shrunk(self) -> Array:
        return self.metrics["is_shrunk"].to_numpy(bool)

    @cached_property
    def has_interval(self) -> dict[str, bool]:
        """Areas of census metrics leave nothing to chance and have no interval of ranks."""
        held = {area: bool(self.is_shrunk[self.metrics["area"] == area].any()) for area in self.area_names}
        return held | {OVERALL: True}

    def by_evidence(self, area: str) -> bool:
        """Whether the area's lagging list goes by evidence over months and not by the period's score."""
        return bool(
            np.isfinite(self["lagging_months"]) and np.isfinite(self.column("lagging_share"))[self.where(area)].any()
        )


@dataclass
class Scored:
    """Points by metric (``… U M``); scores, their deviation and coverage by area, overall last (``… U A+1``)."""

    points: Array
    points_sd: Array
    score: Array
    score_sd: Array
    coverage: Array
    vetoed: Array


def score(rules: RuleSet, num: Array, den: Array, groups: Array, clean: Array | None = None) -> Scored:
    """Scores of units from their sums of a period.

    ``num``, ``den``: ``… U M``; of a count the numerator is the count. ``groups``: ``U``. ``clean``: share of the
    period's months without a veto, ``… U A``; without it nobody has one.
    """
    rates, prior = _adjusted(rules, num, den, groups)
    weight, has = rules.column("weight"), den > 0
    points = np.where(has, _points(rules, rates), np.nan)
    half = rules["z"] * np.sqrt(np.maximum(rates * (1 - rates), 0) / (den + prior))
    spread = np.abs(_points(rules, np.minimum(rates + half, 1)) - _points(rules, np.maximum(rates - half, 0)))
    points_sd = np.where(has, np.where(rules.is_shrunk, spread / (2 * rules["z"]), 0), np.nan)
    shape = (*num.shape[:-1], len(rules.area_names) + 1)
    scores, sds, coverage = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape)
    clean = np.ones((*shape[:-1], shape[-1] - 1)) if clean is None else clean
    for a, area in enumerate(rules.area_names):
        at = rules.where(area)
        whole, held = weight[at].sum(), (weight[at] * has[..., at]).sum(-1)
        null = (held < rules["minimum_coverage"] * whole) | _too_little(rules, a, num)
        with np.errstate(invalid="ignore", divide="ignore"):
            scores[..., a] = 100 * np.nansum(points[..., at], -1) / held * clean[..., a]
            sds[..., a] = 100 * np.sqrt(np.nansum(points_sd[..., at] ** 2, -1)) / held * clean[..., a]
        coverage[..., a] = held / whole
        for values in (scores, sds):
            values[..., a][null] = np.nan
            values[..., a][clean[..., a] == 0] = 0
    area_weight = rules.areas["weight"].to_numpy(float)
    held = (area_weight * ~np.isnan(scores[..., :-1])).sum(-1)
    coverage[..., -1] = held / area_weight.sum()
    null = held < rules["minimum_coverage"] * area_weight.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        scores[..., -1] = np.where(null, np.nan, np.nansum(area_weight * scores[..., :-1], -1) / held)
        sds[..., -1] = np.where(null, np.nan, np.sqrt(np.nansum((area_weight * sds[..., :-1]) ** 2, -1)) / held)
    vetoed = np.concatenate([clean < 1, (clean < 1).any(-1, keepdims=True)], -1)
    return Scored(points, points_sd, scores, sds, coverage, vetoed)


def true_score(rules: RuleSet, rates: Array, area: str, counted: Array) -> Array:
    """The area's score of units whose true rates (``… U M``) were known: no shrinking, no chance; ``… U``.

    Over the metrics that had something to count (``counted``, ``… U M``), as the score itself; NaN where none had.
    """
    at = rules.where(area)
    weight = np.where(counted[..., at], rules.column("weight")[at], 0)
    points = np.where(counted[..., at], _points(rules, rates)[..., at], 0)
    with np.errstate(invalid="ignore"):
        return 100 * points.sum(-1) / weight.sum(-1)


@dataclass
class Ranked:
    """Places of one area, ``… U``: rank and its interval (NaN: none), and the list's code."""

    score: Array
    rank: Array
    best: Array
    worst: Array
    listed: Array


def rank(rules: RuleSet, scored: Scored, area: str, groups: Array, evidence: Array | None = None) -> Ranked:
    """Places and lists of one area. ``evidence``: log odds of ``log_odds``, needed where the rule set asks for it."""
    a = [*rules.area_names, OVERALL].index(area)
    rounded, sd = round_score(scored.score[..., a]), scored.score_sd[..., a]
    places = np.full((*rounded.shape, 3), np.nan)
    sizes = np.zeros(rounded.shape, int)
    for group in np.unique(groups):
        at = np.flatnonzero(groups == group)
        places[..., at, :], sizes[..., at] = _places(rounded[..., at], sd[..., at], rules["rank_z"])
    if not rules.has_interval[area]:
        places[..., 1:] = np.nan
    vetoed = scored.vetoed[..., a]
    good = (sizes >= rules["listed_group_size"]) & (places[..., 0] <= rules["good_rank"]) & ~vetoed
    good &= rounded >= rules["good_score"]
    if area == OVERALL:
        good &= scored.coverage[..., a] >= rules["good_coverage"]
    if area != OVERALL and rules.by_evidence(area):
        if evidence is None:
            raise ValueError(f"{rules.name} lists {area} by evidence over months")
        lagging = (evidence >= np.log(rules["lagging_odds"])) | vetoed
    else:
        lagging = (rounded < rules["lagging_score"]) | (vetoed & (area != OVERALL))
    for group in np.unique(groups):
        at = np.flatnonzero(groups == group)
        good[..., at] &= good[..., at].sum(-1, keepdims=True) <= rules["good_named_at_most"]
    listed = np.where(good, GOOD, np.where(lagging, LAGGING, NONE))
    return Ranked(rounded, places[..., 0], places[..., 1], places[..., 2], listed)


def log_odds(rules: RuleSet, num: Array, den: Array, groups: Array, area: str) -> Array:
    """Natural log of how many times likelier a window's counts (``… U M``) are for a lagging unit; ``… U``.

    Decision 0010. A lagging unit has, in each metric with the chance ``lagging_share``, the metric's floor in place of
    its group's rate.
    """
    total = np.zeros(num.shape[:-1])
    share, floor = rules.column("lagging_share"), rules.column("floor")
    high = (rules.metrics["better"] == "high").to_numpy()
    for k in rules.where(area):
        if not np.isfinite(share[k]):
            continue
        hits, rows = num[..., k].astype(float), den[..., k].astype(float)
        usual = _group_rate(hits, rows, groups)
        lagging = np.minimum(floor[k], usual) if high[k] else np.maximum(floor[k], usual)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(hits > 0, hits * np.log(lagging / usual), 0)
            ratio += np.where(rows > hits, (rows - hits) * np.log((1 - lagging) / (1 - usual)), 0)
        # Beyond 30 the 1 − share beside it is lost in rounding anyway, and exp would overflow.
        mixed = np.log(1 - share[k] + share[k] * np.exp(np.minimum(ratio, 30)))
        total += np.where(ratio > 30, np.log(share[k]) + ratio, mixed)
    return np.round(total, 9)


def round_score(values: Array) -> Array:
    """Half away from zero to 2 decimals, after 9."""
    whole = np.rint(np.nan_to_num(values) * 1e9).astype(np.int64)
    return np.where(np.isnan(values), np.nan, (whole + 5_000_000) // 10_000_000 / 100)


def places_of(values: Array, groups: Array) -> Array:
    """Competition ranks in group of values that are not null, descending; ``… U``."""
    ranks = np.full(values.shape, np.nan)
    for group in np.unique(groups):
        at = np.flatnonzero(groups == group)
        ranks[..., at] = _places(values[..., at], np.zeros(values[..., at].shape), 0.0)[0][..., 0]
    return ranks


def _of(name: str, path: Path) -> pd.DataFrame:
    table = pd.read_csv(path, dtype={"rule_set": str})
    found = table[table["rule_set"] == name].reset_index(drop=True)
    if found.empty:
        raise KeyError(f"{path.name} has no rule set {name}; it has {', '.join(sorted(set(table['rule_set'])))}")
    return found


def _group_rate(num: Array, den: Array, groups: Array) -> Array:
    """Σnum/Σden of each unit's group, along the last axis."""
    rate = np.zeros(num.shape, float)
    for group in np.unique(groups):
        at = np.flatnonzero(groups == group)
        with np.errstate(invalid="ignore", divide="ignore"):
            rate[..., at] = num[..., at].sum(-1, keepdims=True) / den[..., at].sum(-1, keepdims=True)
    return rate


def _adjusted(rules: RuleSet, num: Array, den: Array, groups: Array) -> tuple[Array, float]:
    prior = rules["prior_rows"]
    usual = np.moveaxis(_group_rate(np.moveaxis(num, -1, -2), np.moveaxis(den, -1, -2), groups), -2, -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(rules.is_shrunk, (num + prior * usual) / (den + prior), num / den), prior


def _points(rules: RuleSet, rates: Array) -> Array:
    floor, target = rules.column("floor"), rules.column("target")
    return rules.column("weight") * np.clip((rates - floor) / (target - floor), 0, 1)


def _too_little(rules: RuleSet, a: int, num: Array) -> Array:
    metric = rules.areas["volume_metric"].iloc[a]
    if pd.isna(metric):
        return np.zeros(num.shape[:-1], bool)
    return num[..., rules.keys.index((rules.area_names[a], metric))] < rules.areas["minimum_volume"].iloc[a]


def _places(values: Array, sd: Array, z: float) -> tuple[Array, Array]:
    """(rank, best, worst) along a new last axis, and the number of ranked units, of one group."""
    ranked = ~np.isnan(values)
    gap = values[..., None, :] - values[..., :, None]  # how far the other lies above
    sure = z * np.sqrt(sd[..., None, :] ** 2 + sd[..., :, None] ** 2)
    size = ranked.sum(-1, keepdims=True) + np.zeros(values.shape, int)
    with np.errstate(invalid="ignore"):
        found = np.stack([1 + (gap > 0).sum(-1), 1 + (gap > sure).sum(-1), size - (-gap > sure).sum(-1)], -1)
    return np.where(ranked[..., None], found, np.nan), size
