"""The scenario ``notice``: the county of the July-August 2022 notice."""

from __future__ import annotations
from simulator.generate import Tables, county

MONTHS = ("2022-05", "2022-06", "2022-07", "2022-08")


def notice(seed: int = 1) -> Tables:
    return county(seed, MONTHS)
