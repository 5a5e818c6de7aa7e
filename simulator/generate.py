"""A whole county's exports: ten datasets by month, typed, under their Chinese headers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from simulator import cms, hotline, platform
from simulator.behaviour import drawn
from simulator.context import Context

Tables = dict[tuple[str, str], pd.DataFrame]
#: The largest part that is generated at once; a larger county comes in several files a month.
BLOCK_FACTOR = 5.0


def blocks(seed: int, months: Sequence[str], factor: float = 1) -> Iterator[Tables]:
    """A county ``factor`` times the usual size, in parts that fit in memory; each part's keys are its own."""
    behaviour = drawn(seed)
    left, block = factor, 0
    while left > 0:
        yield tables(Context(seed, tuple(months), min(left, BLOCK_FACTOR), behaviour, block=block))
        left, block = left - BLOCK_FACTOR, block + 1


def county(seed: int, months: Sequence[str], factor: float = 1) -> Tables:
    """A county's tables by (dataset, month): times are datetime64[s] in Beijing wall time, integers Int64."""
    parts = list(blocks(seed, months, factor))
    if len(parts) == 1:
        return parts[0]
    return {key: pd.concat([part[key] for part in parts], ignore_index=True) for key in parts[0]}


def tables(ctx: Context) -> Tables:
    """One block of a county."""
    return platform.deliveries(ctx) | hotline.deliveries(ctx) | cms.deliveries(ctx)
