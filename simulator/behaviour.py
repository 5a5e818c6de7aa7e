"""How each unit behaves: shares and volumes per unit, drawn for a county or set for a scenario."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from simulator import clock
from simulator.catalog import units

#: area -> parameter -> (value of a unit that does everything badly, value of one that does everything well)
RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "platform": {
        "late": (0.12, 0.0),
        "online": (0.2, 0.8),
        "active": (0.1, 0.65),
        "good": (0.93, 0.998),
        "fixed": (0.4, 1.0),
    },
    "hotline": {
        "signed": (0.7, 0.99),
        "replied": (0.7, 0.99),
        "solved": (0.5, 0.95),
        "satisfied": (0.75, 0.998),
        "rework": (0.2, 0.0),
        "wrong_return": (0.15, 0.0),
        "urged": (0.3, 0.02),
    },
    "website": {
        "weeks": (0.3, 1.0),
        "second_post": (0.05, 0.7),
        "bunched": (0.8, 0.0),
        "complete": (0.75, 1.0),
        "independent": (0.8, 1.0),
        "errors": (0.2, 0.0),
        "backdated": (0.03, 0.0),
        "serious": (0.03, 0.0),
    },
    "media": {"silent": (0.6, 0.0)},
    "reform": {"reform_on_time": (0.4, 1.0), "reform_adopted": (0.2, 0.75), "reform_returned": (0.4, 0.0)},
    "governance": {"gov_on_time": (0.3, 1.0), "gov_adopted": (0.2, 0.75), "gov_returned": (0.4, 0.0)},
}


@dataclass(frozen=True)
class Behaviour:
    """Arrays in unit order: shares between 0 and 1, and the units' weights in the volume of cases and tickets."""

    shares: dict[str, np.ndarray]
    case_weight: np.ndarray
    ticket_weight: np.ndarray
    accounts: np.ndarray
    unknown_name: float = 0.0008  # share of rows whose unit's name nobody knows
    silent_months: dict[tuple[int, int], tuple[str, ...]] = field(default_factory=dict)  # (unit, account) -> months
    vetoes: dict[tuple[int, str], str] = field(default_factory=dict)  # (unit, month) -> serious or backdated post

    def __getitem__(self, name: str) -> np.ndarray:
        return self.shares[name]


def drawn(seed: int) -> Behaviour:
    """A county's units: each good at some areas, middling at others, bad at a few."""
    rng = clock.rng_for(seed, "behaviour")
    n = len(units())
    shares = {}
    for ranges in RANGES.values():
        talent = rng.beta(2.2, 1.0, n)
        for name, (bad, good) in ranges.items():
            shares[name] = bad + (good - bad) * np.clip(talent + rng.normal(0, 0.1, n), 0, 1)
    case_weight = rng.lognormal(0, 1.0, n)
    return Behaviour(
        shares=shares,
        case_weight=case_weight / case_weight.sum(),
        ticket_weight=(weight := rng.lognormal(0, 0.8, n)) / weight.sum(),
        accounts=rng.integers(1, 4, n),
    )
