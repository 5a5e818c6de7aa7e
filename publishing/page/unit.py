"""The page of a unit in a period: where it stands, its metrics, what moved it, what costs it, what would lift it."""

from __future__ import annotations

from typing import Any

from publishing.labels import labels, reason_text
from publishing.page.cells import WITHHELD, At, Column, Table, lists, table
from publishing.page.names import Names, ranking_file
from publishing.page.source import Source
from publishing.page.why import Why
from publishing.page.withheld import Hidden

_PLACES = """
SELECT places.*, scores.veto_reason
FROM area_comparison AS places
JOIN marts.unit_scores AS scores USING (period_code, area, unit_code)
"""


class Units:
    """Everything that the pages of the units show, read once."""

    def __init__(self, source: Source, names: Names, hidden: Hidden) -> None:
        self.names = names
        self.hidden = hidden
        self.places = {(row["period_code"], row["unit_code"], row["area"]): row for row in source.records(_PLACES)}
        self.metrics = source.by(
            "SELECT * FROM metric_comparison ORDER BY period_code, unit_code, area, metric_order",
            "period_code",
            "unit_code",
        )
        self.why = Why(source, names, hidden)

    def context(self, period: dict[str, Any], unit: dict[str, Any]) -> dict[str, Any]:
        """What the template of the page takes."""
        at = At(period["period_code"], unit["unit_code"])
        rule_set = period["rule_set"]
        areas = ["overall", *(area["area"] for area in self.names.areas[rule_set])]
        areas = [area for area in areas if (*at.key, area) in self.places]
        return {
            "unit": unit,
            "withheld": at.key in self.hidden.units,
            "group": self.names.group(unit["unit_group"]),
            "places": self._places(at, rule_set, areas),
            "trend": self._trend(period, unit),
            "metrics": self._metrics(at, rule_set),
            **self.why.context(at, rule_set, areas),
        }

    def _places(self, at: At, rule_set: str, areas: list[str]) -> Table:
        words, more = labels()["columns"], labels()["page"]["columns"]
        records = []
        for area in areas:
            row = self.places[(*at.key, area)]
            reasons = [text for text in (reason_text(row["veto_reason"]), reason_text(row["null_reason"])) if text]
            records.append(
                row
                | {
                    "name": self.names.area(rule_set, area),
                    "interval": (row["rank_best"], row["rank_worst"]),
                    "lists": lists(row["list"], row["most_improved"]),
                    "remark": "；".join(reasons),
                    "_links": {"name": ranking_file(at.period_code, area)},
                }
            )
        columns = [
            Column("name", more["area"], head=True),
            Column("score", words["score"], "score", series="score"),
            Column("group_score", more["group_score"], "score", series="group"),
            Column("rank", words["rank"], "count"),
            Column("interval", words["interval"], "interval", "rank_best;rank_worst"),
            Column("rank_change", words["rank_change"], "change"),
            Column("lists", words["list"]),
            Column("remark", words["remark"]),
        ]
        caption = labels()["page"]["titles"]["places"]
        return table("places", caption, "area_comparison", columns, records, ["area"], at.where, "places")

    def _trend(self, period: dict[str, Any], unit: dict[str, Any]) -> Table:
        words, more = labels()["columns"], labels()["page"]["columns"]
        months = self.names.months_until(period["last_month"])
        rows = [self.places.get((month, unit["unit_code"], "overall"), {}) for month in months]
        records = [row | {"period_code": month} for month, row in zip(months, rows, strict=True)]
        columns = [
            Column("period_code", more["month"], "key", head=True),
            Column("score", words["score"], "score", series="score"),
            Column("group_score", more["group_score"], "score", series="group"),
            Column("rank", words["rank"], "count"),
        ]
        where = {"unit_code": unit["unit_code"], "area": "overall"}
        caption = labels()["page"]["titles"]["unit_trend"]
        return table("trend", caption, "area_comparison", columns, records, ["period_code"], where, "trend")

    def _metrics(self, at: At, rule_set: str) -> Table:
        words, more = labels()["columns"], labels()["page"]["columns"]
        records = [self._metric(at, rule_set, row) for row in self.metrics[at.key]]
        order = {area["area"]: place for place, area in enumerate(self.names.areas[rule_set])}
        records.sort(key=lambda row: (order[row["area"]], row["metric_order"]))
        columns = [
            Column("name_zh", more["metric"], head=True),
            Column("area_name", more["area"], series="area"),
            Column("value", more["value"], "row", series="value"),
            Column("fraction", more["fraction"], "fraction", "numerator;denominator"),
            Column("chance", more["chance"], "shares", "ci_low;ci_high", series="chance"),
            Column("group_value", more["group_value"], "row", series="group"),
            Column("target", more["target"], "row", series="target"),
            Column("floor", more["floor"], "row"),
            Column("earned", more["points"], "points", "points;weight"),
            Column("remark", words["remark"]),
        ]
        caption = labels()["page"]["titles"]["metrics"]
        return table("metrics", caption, "metric_comparison", columns, records, ["area", "metric"], at.where, "metrics")

    def _metric(self, at: At, rule_set: str, row: dict[str, Any]) -> dict[str, Any]:
        area, metric = row["area"], row["metric"]
        shown = row | {
            "area_name": self.names.area(rule_set, area),
            "fraction": (row["numerator"], row["denominator"]),
            "chance": (row["ci_low"], row["ci_high"]),
            "earned": (row["points"], row["weight"]),
            "remark": reason_text(row["null_reason"]),
        }
        withheld: list[str] = []
        if self.hidden.metric(*at.key, area, metric):
            withheld += ["value", "fraction", "chance", "earned"]
        if metric in self.why.components(*at.key, area):
            withheld += ["earned"]
        if self.hidden.group(at.period_code, row["unit_group"], area, metric):
            withheld += ["group_value"]
        return shown | {name: WITHHELD for name in withheld if shown[name] is not None}
