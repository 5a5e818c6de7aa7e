"""What the page does not print of the marts, besides the withheld metrics themselves: what would tell them.

docs/decisions/0011-small-cells.md decides which metrics of which units are withheld. The page prints more than the
other outputs: the points that a score adds up from, and the group taken together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from publishing.page.source import Source
from publishing.small_cells import Withheld


class Hidden:
    """Asks once for the whole file which figures are withheld, and says so for everything derived from them."""

    def __init__(self, source: Source) -> None:
        withheld = Withheld.of(source.connection).metrics
        groups = dict(source.connection.execute("SELECT unit_code, unit_group FROM core.dim_unit").fetchall())
        self.metrics = withheld
        # With one unit of a group unknown, the group's figure less the others' is that unit's.
        self._groups = {(period, groups[unit], area, metric) for period, unit, area, metric in withheld}
        #: Where anything is withheld at all: (period, area) and (period, unit).
        self.areas = {(period, area) for period, _, area, _ in withheld}
        self.units = {(period, unit) for period, unit, _, _ in withheld}
        self._components: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        for period, unit, area, metric in withheld:
            self._components[period, unit, area].add(metric)

    def metric(self, period: str, unit: str, area: str, metric: str) -> bool:
        """Is this metric of the unit withheld?"""
        return (period, unit, area, metric) in self.metrics

    def told(self, period: str, unit: str, area: str, metric: str) -> bool:
        """Would points of this metric be a withheld figure's, or the score less them be one?"""
        hidden = self._components.get((period, unit, area), set())
        return metric in hidden or len(hidden) == 1

    def group(self, period: str, group: str, area: str, metric: str) -> bool:
        """Would the group's figure of this metric tell a withheld one?"""
        return (period, group, area, metric) in self._groups

    def components(self, period: str, unit: str, area: str, parts: Iterable[Mapping[str, Any]]) -> set[str]:
        """The components of the unit's score in the area whose parts are not printed.

        Those of withheld metrics; where that is only one, it would be the score less the others, so that the lightest
        other one that has a part stays out too.
        """
        scored = [part for part in parts if part["score_part"] is not None and part["null_reason"] is None]
        hidden = self._components.get((period, unit, area), set()) & {part["component"] for part in scored}
        if len(hidden) == 1:
            others = [part for part in scored if part["component"] not in hidden]
            if others:
                # Corrections of the formula have no weight; they are a last resort.
                lightest = min(others, key=lambda part: (part["weight"] is None, part["weight"], part["component"]))
                hidden = hidden | {lightest["component"]}
        return hidden
