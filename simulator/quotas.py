"""Moves generated tickets as little as possible so that a scenario's counts are met exactly."""

from __future__ import annotations

import numpy as np
import pandas as pd

from simulator import clock, people
from simulator.people import where


def final_units(rng: np.random.Generator, by_unit: dict[int, int]) -> np.ndarray:
    """The units in random order, each as often as it says."""
    return rng.permutation(np.repeat(list(by_unit), list(by_unit.values())))


def meet_closed(
    rng: np.random.Generator,
    closed: np.ndarray,
    called: np.ndarray,
    is_direct: np.ndarray,
    counts: np.ndarray,
    target: int,
    now: np.datetime64,
) -> np.ndarray:
    """Closing times moved as little as possible so that exactly ``target`` counted tickets are closed ``now``."""
    closed = closed.copy()
    sent = np.flatnonzero(~is_direct & counts)
    closed[is_direct & counts] = np.minimum(closed[is_direct & counts], now)
    inside = target - int((is_direct & counts).sum())
    ranked = sent[np.argsort(np.where(np.isnat(closed[sent]), now + 999 * clock.DAY, closed[sent]), kind="stable")]
    early, late = ranked[:inside], ranked[inside:]
    closed[early] = np.where(
        np.isnat(closed[early]) | (closed[early] > now), now - clock.seconds(rng, 600, 7200, len(early)), closed[early]
    )
    shift = closed[late] <= now
    closed[late] = np.where(shift, now + clock.seconds(rng, 3600, 9 * 86400, len(late)), closed[late])
    return closed


def meet_ratings(
    rng: np.random.Generator, world: pd.DataFrame, month: str, rated: int, dissatisfied: int
) -> pd.DataFrame:
    """Of the citizens called back in the month exactly ``rated`` say what they think, ``dissatisfied`` of them no good.

    Where too few were called back, some whose ticket was closed in the month are called earlier.
    """
    world = world.copy()
    end = clock.end(month)
    counts = (world["工单状态"] != "作废").to_numpy()
    back = world["回访时间"].to_numpy("datetime64[s]")
    closed = world["办结时间"].to_numpy("datetime64[s]")
    inside = counts & (back >= clock.start(month)) & (back < end)
    earlier = counts & (back >= end) & (closed >= clock.start(month)) & (closed < end - 3600 * clock.SECOND)
    moved = np.flatnonzero(earlier)[: max(0, rated - int(inside.sum()))]
    world.loc[moved, "回访时间"] = closed[moved] + 300 * clock.SECOND
    inside[moved] = True
    rows = rng.permutation(np.flatnonzero(inside))
    silent, asked = rows[: len(rows) - rated], rows[len(rows) - rated :]
    if len(asked) != rated:
        raise ValueError(f"{month}: {len(asked)} citizens were called back, {rated} are to be rated")
    world.loc[silent, "满意度"] = where(world.loc[silent, "回访结果"] == "已接通", "未评价", None)
    unhappy = world.loc[asked, "满意度"].to_numpy(object) == "不满意"
    sent = world.loc[asked, "办理方式"].to_numpy(object) == "转办"
    likely = asked[np.lexsort((~sent, ~unhappy))]
    solved = world.loc[asked, "是否解决"]
    world.loc[asked, "是否解决"] = solved.where(solved.notna(), "解决")
    world.loc[asked, "回访结果"] = "已接通"
    world.loc[asked, "满意度"] = people.choose(rng, "满意 基本满意", rated, p=[0.8, 0.2])
    world.loc[likely[:dissatisfied], "满意度"] = "不满意"
    return world
