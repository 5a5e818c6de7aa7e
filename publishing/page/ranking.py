"""The ranking pages: a period's overall ranking and that of each area, a set of tables per group of units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from publishing.labels import labels, reason_text
from publishing.page.cells import WITHHELD, Column, Table, lists, table
from publishing.page.names import Names, unit_file
from publishing.page.source import Source
from publishing.page.withheld import Hidden

_RANKINGS = """
SELECT ranks.period_code, ranks.area, ranks.unit_group, ranks.unit_code, ranks.unit_name, ranks.score, ranks.rank,
    ranks.tied, ranks.rank_best, ranks.rank_worst, ranks.rank_change, ranks.list, ranks.most_improved,
    ranks.null_reason, scores.veto_reason
FROM marts.unit_rankings AS ranks
JOIN marts.unit_scores AS scores USING (period_code, area, unit_code)
ORDER BY ranks.period_code, ranks.area, ranks.unit_group DESC, ranks.rank NULLS LAST, ranks.unit_code
"""

_PARTS = """
SELECT period_code, area, unit_code, component, component_order, weight, score_part, null_reason
FROM marts.rank_explanations JOIN shown_periods USING (period_code)
ORDER BY ALL
"""

_VALUES = """
SELECT period_code, area, unit_code, metric, value
FROM marts.unit_metrics JOIN shown_periods USING (period_code)
"""


def add_up(parts: Sequence[Any], whole: float | None) -> list[Any]:
    """The parts to 2 decimals so that they add up to the printed whole: the largest remainders are rounded up.

    Parts of which one is withheld or missing stay as they are.
    """
    if whole is None or not all(isinstance(part, float) for part in parts):
        return list(parts)
    cents = [round(part * 100, 7) for part in parts]
    floors = [math.floor(cent) for cent in cents]
    short = round(whole * 100) - sum(floors)
    for place in sorted(range(len(cents)), key=lambda place: floors[place] - cents[place])[: max(short, 0)]:
        floors[place] += 1
    return [floor / 100 for floor in floors]


class Rankings:
    """Everything that the ranking pages show, read once."""

    def __init__(self, source: Source, names: Names, hidden: Hidden) -> None:
        self.names = names
        self.hidden = hidden
        self.rows = source.by(_RANKINGS, "period_code", "area")
        self.parts = source.by(_PARTS, "period_code", "area")
        self.scores = {
            (row["period_code"], row["area"], row["unit_code"]): row["score"]
            for rows in self.rows.values()
            for row in rows
        }
        self.values = {
            (row["period_code"], row["area"], row["metric"], row["unit_code"]): row["value"]
            for row in source.records(_VALUES)
        }
        for period, unit, area, metric in hidden.metrics & {(p, u, a, m) for p, a, m, u in self.values}:
            self.values[period, area, metric, unit] = WITHHELD

    def groups(self, period: dict[str, Any], area: str) -> list[dict[str, Any]]:
        """The groups of a period and area in order, each with its name and its tables."""
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.rows[period["period_code"], area]:
            found.setdefault(row["unit_group"], []).append(self._prepared(row))
        return [
            {
                "code": code,
                "name": self.names.group(code),
                "ranking": self._ranking(period, area, code, rows),
                "parts": self._parts(period, area, code, rows),
                "values": self._values(period, area, code, rows),
                "trend": self._trend(period, area, code, rows),
            }
            for code, rows in found.items()
        ]

    @staticmethod
    def _prepared(row: dict[str, Any]) -> dict[str, Any]:
        tied = [labels()["tied"]] if row["tied"] else []
        reasons = [text for text in (reason_text(row["veto_reason"]), reason_text(row["null_reason"])) if text]
        return row | {
            "interval": (row["rank_best"], row["rank_worst"]),
            "lists": lists(row["list"], row["most_improved"]),
            "remark": "；".join([*tied, *reasons]),
            "_links": {"unit_name": unit_file(row["period_code"], row["unit_code"])},
        }

    def _caption(self, what: str, period: dict[str, Any], area: str, group: str) -> str:
        titles = labels()["page"]["titles"]
        return titles[what].format(
            period=self.names.period(period["period_code"]),
            area=self.names.area(period["rule_set"], area),
            group=self.names.group(group),
        )

    def _ranking(self, period: dict[str, Any], area: str, group: str, rows: list[dict[str, Any]]) -> Table:
        words = labels()["columns"]
        return table(
            f"ranking-{group}",
            self._caption("ranking", period, area, group),
            "marts.unit_rankings",
            [
                Column("rank", words["rank"], "count", series="rank"),
                Column("unit_name", words["unit_name"], head=True),
                Column("score", words["score"], "score"),
                Column("interval", words["interval"], "interval", "rank_best;rank_worst", series="interval"),
                Column("rank_change", words["rank_change"], "change"),
                Column("lists", words["list"]),
                Column("remark", words["remark"]),
            ],
            rows,
            key=["unit_code"],
            where={"period_code": period["period_code"], "area": area},
            chart="intervals",
        )

    def _parts(self, period: dict[str, Any], area: str, group: str, rows: list[dict[str, Any]]) -> Table:
        of_unit: dict[str, list[dict[str, Any]]] = {}
        order: dict[str, int] = {}
        for part in self.parts.get((period["period_code"], area), []):
            of_unit.setdefault(part["unit_code"], []).append(part)
            order[part["component"]] = part["component_order"]
        parts: dict[str, dict[str, Any]] = {}
        for unit, mine in of_unit.items():
            hidden = self.hidden.components(period["period_code"], unit, area, mine)
            parts[unit] = {
                part["component"]: WITHHELD if part["component"] in hidden else part["score_part"] for part in mine
            }
        components = sorted(order, key=lambda component: (order[component], component))
        units = [row["unit_code"] for row in rows]
        # The two corrections of the formula are shown where they correct anything.
        shown = [
            component
            for component in components
            if component not in labels()["components"]
            or any(
                value is WITHHELD or abs(value or 0) >= 0.005
                for value in (parts[unit].get(component) for unit in units)
            )
        ]
        records = []
        for row in rows:
            printed = add_up([parts[row["unit_code"]].get(component) for component in shown], row["score"])
            records.append(row | dict(zip(shown, printed, strict=True)))
        columns = [
            Column(
                component,
                self.names.component(period["rule_set"], area, component),
                "part",
                "score_part",
                {"component": component},
                series="part",
            )
            for component in shown
        ]
        return table(
            f"parts-{group}",
            self._caption("parts", period, area, group),
            "marts.rank_explanations",
            [
                Column("unit_name", labels()["columns"]["unit_name"], head=True),
                *columns,
                Column("score", labels()["page"]["columns"]["sum"], "score", "any_value(score)"),
            ],
            records,
            key=["unit_code"],
            where={"period_code": period["period_code"], "area": area},
            chart="parts",
        )

    def _values(self, period: dict[str, Any], area: str, group: str, rows: list[dict[str, Any]]) -> Table:
        code, rule_set = period["period_code"], period["rule_set"]
        name = Column("unit_name", labels()["columns"]["unit_name"], head=True)
        if area == "overall":
            areas = [each for each in self.names.areas[rule_set] if (code, each["area"]) in self.rows]
            columns = [
                Column(each["area"], each["name_zh"], "score", "score", {"area": each["area"]}) for each in areas
            ]
            records = [
                row | {each["area"]: self.scores.get((code, each["area"], row["unit_code"])) for each in areas}
                for row in rows
            ]
            source, where = "marts.unit_rankings", {"period_code": code}
        else:
            metrics = self.names.metrics[rule_set, area]
            columns = [
                Column(each["metric"], each["name_zh"], each["kind"], "value", {"metric": each["metric"]})
                for each in metrics
            ]
            records = [
                row
                | {each["metric"]: self.values.get((code, area, each["metric"], row["unit_code"])) for each in metrics}
                for row in rows
            ]
            source, where = "marts.unit_metrics", {"period_code": code, "area": area}
        caption = self._caption("area_scores" if area == "overall" else "values", period, area, group)
        return table(f"values-{group}", caption, source, [name, *columns], records, key=["unit_code"], where=where)

    def _trend(self, period: dict[str, Any], area: str, group: str, rows: list[dict[str, Any]]) -> Table:
        months = self.names.months_until(period["last_month"])
        records = [row | {month: self.scores.get((month, area, row["unit_code"])) for month in months} for row in rows]
        return table(
            f"trend-{group}",
            self._caption("trend", period, area, group),
            "marts.unit_rankings",
            [
                Column("unit_name", labels()["columns"]["unit_name"], head=True),
                *(Column(month, month, "score", "score", {"period_code": month}, series="month") for month in months),
            ],
            records,
            key=["unit_code"],
            where={"area": area},
            chart="heat",
        )
