"""What is shown and what it is called: periods, areas, metrics, groups, units, and the file of each page."""

from __future__ import annotations

import hashlib
import re
from functools import cached_property
from typing import Any

from publishing.labels import labels, period_name
from publishing.page.source import MONTHS_SHOWN, Source

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,60}")


def file_name(code: str) -> str:
    """A code as part of a file's name: itself, or its digest where it holds anything unusual."""
    return code if _PLAIN.fullmatch(code) else hashlib.sha256(code.encode()).hexdigest()[:16]


class Names:
    """Periods newest first, and the Chinese of every code, read once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.periods = source.records(
            """
            SELECT shown.*, releases.release, releases.revision, releases.cut_off, releases.released_at,
                releases.rule_set, releases.reason
            FROM shown_periods AS shown JOIN marts.newest_releases AS releases USING (period_code)
            ORDER BY last_day DESC, months DESC
            """
        )
        self.months = [
            record["period_code"]
            for record in source.records(
                "SELECT period_code FROM marts.newest_releases JOIN core.dim_period USING (period_code) "
                "WHERE period_type = 'month' ORDER BY period_code"
            )
        ]

    @cached_property
    def areas(self) -> dict[str, list[dict[str, Any]]]:
        """Areas in order by rule set; ``overall`` is none of them."""
        return self._source.by("SELECT * FROM core.dim_area ORDER BY rule_set, area_order", "rule_set")

    @cached_property
    def metrics(self) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """Metrics in order by rule set and area."""
        return self._source.by(
            "SELECT * FROM core.dim_metric ORDER BY rule_set, area, metric_order", "rule_set", "area"
        )

    @cached_property
    def units(self) -> list[dict[str, Any]]:
        """Ranked units in the order of their groups and codes."""
        return self._source.records("SELECT * FROM core.dim_unit WHERE ranked ORDER BY unit_group DESC, unit_code")

    def area(self, rule_set: str, area: str) -> str:
        """Name of an area; ``overall`` included."""
        if area == "overall":
            return labels()["overall"]
        return next((each["name_zh"] for each in self.areas[rule_set] if each["area"] == area), area)

    def component(self, rule_set: str, area: str, component: str) -> str:
        """Name of a component of a score: of overall an area, else a metric, or what the formula does with them."""
        if component in labels()["components"]:
            return labels()["components"][component]
        if area == "overall":
            return self.area(rule_set, component)
        return next(
            (each["name_zh"] for each in self.metrics[rule_set, area] if each["metric"] == component), component
        )

    def months_until(self, last_month: str) -> list[str]:
        """The released months of the trend that ends with a month, oldest first."""
        return [month for month in self.months if month <= last_month][-MONTHS_SHOWN:]

    @staticmethod
    def period(code: str) -> str:
        return period_name(code)

    @staticmethod
    def group(code: str) -> str:
        return labels()["groups"].get(code, code)


def ranking_file(period: str, area: str) -> str:
    """Path of a ranking page under the page's folder."""
    return f"{file_name(period)}/{file_name(area)}.html"


def unit_file(period: str, unit: str) -> str:
    """Path of a unit's page under the page's folder."""
    return f"{file_name(period)}/unit-{file_name(unit)}.html"
