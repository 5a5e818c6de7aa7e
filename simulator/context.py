"""What every part of a generated county shares: seed, months, size, the units' behaviour, exact targets."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from simulator import clock
from simulator.behaviour import Behaviour


@dataclass(frozen=True)
class Targets:
    """Counts that a scenario must meet exactly, by month; empty for a plain county."""

    cases: dict[str, int] = field(default_factory=dict)  # accepted, 作废 and 删除 left out
    window_cases: dict[str, int] = field(default_factory=dict)  # of these 窗口登记; the rest is 政务服务APP
    good_reviews: dict[str, int] = field(default_factory=dict)  # by channel, up to the end of the last month
    tickets: dict[str, int] = field(default_factory=dict)  # received, 作废 left out
    closed: dict[str, int] = field(default_factory=dict)  # of these closed when the month is pulled
    ticket_types: dict[str, dict[str, int]] = field(default_factory=dict)
    dispatched: dict[str, dict[int, int]] = field(default_factory=dict)  # tickets by the unit of the last dispatch
    ratings: dict[str, tuple[int, int]] = field(default_factory=dict)  # by month of call-back: rated, dissatisfied
    calls: dict[str, int] = field(default_factory=dict)
    no_overdue: frozenset[str] = frozenset()  # months in which no case falls overdue
    fixed_months: frozenset[str] = frozenset()  # months whose hotline figures hold from the first delivery on


@dataclass(frozen=True)
class Context:
    """One block of a county: volumes are ``factor`` times those of one county."""

    seed: int
    months: tuple[str, ...]
    factor: float
    behaviour: Behaviour
    targets: Targets = Targets()
    block: int = 0

    def rng(self, *labels: object) -> np.random.Generator:
        return clock.rng_for(self.seed, self.block, *labels)

    def scaled(self, a_month: float) -> int:
        return max(1, round(a_month * self.factor))

    @property
    def exact(self) -> bool:
        """Whether a scenario's targets bind (months without a target of their own behave alike)."""
        return bool(self.targets.cases)


def systematic(rng: np.random.Generator, share: np.ndarray) -> np.ndarray:
    """Which of a sequence of occasions happen, spread so evenly that any run of them has its share within one."""
    total = np.cumsum(np.clip(share, 0, 1)) + rng.random()
    # One unit in a billion of slack: a share of one is every time, whatever the sum's last digit.
    return np.floor(total + 1e-9) > np.floor(np.concatenate([[total[0] - share[0]], total[:-1]]) + 1e-9)
