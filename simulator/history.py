"""From what happened to what is delivered: month by month snapshots, late corrections, deletions, returned keys.

A month's delivery holds the rows that began in the month, as known when it is pulled (five days after the month), and
again every earlier row to which something happened since the last pull.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from simulator import clock
from simulator.catalog import SYNC, UPDATED

Modify = Callable[[np.random.Generator, pd.DataFrame, str], pd.DataFrame]
MakeKey = Callable[[pd.DataFrame], pd.DataFrame]
FIRST = "_first"  # the month in whose delivery a row appears first


def deliver(
    world: pd.DataFrame,
    months: Sequence[str],
    begins: str,
    events: Mapping[str, Sequence[str]],
    views: Callable[[pd.DataFrame], None] | None = None,
) -> dict[str, pd.DataFrame]:
    """Cut what happened into the months' deliveries.

    ``world`` has one row an entity with its final state; ``begins`` names the column that is always known; ``events``
    names each later time and the columns that are only known with it. ``views`` may mend a cut in place (a status
    that follows from what is known). Rows get 更新时间, the latest thing known, and 同步类型.
    """
    times = np.column_stack([world[column].to_numpy("datetime64[s]") for column in [begins, *events]])
    first = world[FIRST].to_numpy(str)
    cuts = {}
    since: Any = np.datetime64("1900-01-01", "s")
    for month in months:
        now = clock.pulled(month)
        known = times <= now
        fresh = (times > since) & known
        chosen = (first == month) | ((first < month) & fresh.any(axis=1))
        cut = world.loc[chosen].drop(columns=FIRST).reset_index(drop=True)
        shown = np.where(known[chosen], times[chosen], clock.NAT)
        for position, (event, dependents) in enumerate(events.items(), start=1):
            unknown = times[chosen][:, position] > now
            if unknown.any():
                cut.loc[unknown, event] = clock.NAT
                cut.loc[unknown, list(dependents)] = None
        latest = np.nanmax(np.where(np.isnat(shown), np.datetime64("1900-01-01", "s"), shown), axis=1)
        cut[UPDATED] = np.maximum(latest, cut[begins].to_numpy("datetime64[s]"))
        cut[SYNC] = np.where(first[chosen] == month, "I", "U").astype(object)
        if views:
            views(cut)
        cuts[month] = cut
        since = now
    return cuts


@dataclass(frozen=True)
class Churn:
    """How much a dataset's past is touched again; shares of the month's new rows, at least one each.

    ``late`` tells of a month whether its mistaken rows may stand until the next delivery and its rows be corrected
    there in what counts: False keeps every figure of the month as first delivered.
    """

    key: tuple[str, ...]
    make_key: MakeKey | None
    modify: Modify
    corrected: float = 0.004
    mistaken: float = 0.002
    old_deleted: float = 0.001
    returned: float = 0.001
    late: Callable[[str], bool] = lambda month: True


def churn(
    rng: np.random.Generator, cuts: dict[str, pd.DataFrame], months: Sequence[str], plan: Churn
) -> dict[str, pd.DataFrame]:
    """The deliveries with their corrections, mistaken rows and D rows, older D rows, and keys brought back."""
    added: dict[str, list[pd.DataFrame]] = {month: [] for month in months}
    for position, month in enumerate(months):
        cut = cuts[month]
        following = months[position + 1] if position + 1 < len(months) else None
        now = clock.pulled(month)
        settled = cut[(cut[SYNC] == "I") & (cut[UPDATED] <= np.datetime64(now - clock.DAY))]
        if following:
            again = pd.MultiIndex.from_frame(cuts[following][list(plan.key)])
            settled = settled[~pd.MultiIndex.from_frame(settled[list(plan.key)]).isin(again)]
        counts = [
            min(len(settled) // 8, max(1, round(len(settled) * share)))
            for share in (plan.corrected, plan.mistaken, plan.old_deleted, plan.returned)
        ]
        picks = np.split(rng.permutation(len(settled))[: sum(counts)], np.cumsum(counts)[:-1])
        corrected, mistaken, old, returned = (settled.iloc[np.sort(pick)] for pick in picks)
        late = following is not None and plan.late(month)
        if following and len(corrected):
            changed = plan.modify(rng, corrected.copy(), month)
            changed[UPDATED] = now + clock.seconds(rng, 3600, 20 * 86400, len(changed))
            added[following].append(changed.assign(**{SYNC: "U"}))
        if plan.make_key and len(mistaken):
            wrong = plan.make_key(mistaken.copy())
            added[month].append(wrong)
            where, when = (following, now + 2 * clock.DAY) if late and following else (month, None)
            added[where].append(
                bare(
                    wrong,
                    plan.key,
                    when if when is not None else wrong[UPDATED] + clock.seconds(rng, 60, 80000, len(wrong)),
                )
            )
        if len(old):
            added[month].append(bare(old, plan.key, old[UPDATED] - clock.DAY))
        if len(returned):
            gone = returned[UPDATED] + clock.seconds(rng, 60, 3600, len(returned))
            back = returned[UPDATED] + clock.seconds(rng, 7200, 80000, len(returned))
            home = month
            if late and following and position + 2 < len(months):
                gone = pd.Series(now + 3 * clock.DAY, index=returned.index)
                back = pd.Series(clock.pulled(following) + 3 * clock.DAY, index=returned.index)
                added[following].append(bare(returned, plan.key, gone))
                home = months[position + 2]
            else:
                added[month].append(bare(returned, plan.key, gone))
            added[home].append(returned.assign(**{UPDATED: back, SYNC: "U"}))
    return {
        month: pd.concat([cuts[month], *added[month]], ignore_index=True) if added[month] else cuts[month]
        for month in months
    }


def bare(rows: pd.DataFrame, key: Sequence[str], updated: object) -> pd.DataFrame:
    """D rows: nothing but the key and 更新时间."""
    blank = rows.reindex(columns=list(rows.columns)).copy()
    for column in blank.columns.difference(list(key)):
        blank[column] = pd.Series([None] * len(blank), index=blank.index, dtype=blank[column].dtype)
    blank[UPDATED] = np.asarray(updated, dtype="datetime64[s]")
    blank[SYNC] = "D"
    return blank
