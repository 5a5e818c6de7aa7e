"""The page of a unit in a period: where it stands, its metrics, what moved it, what costs it, what would lift it."""

from __future__ import annotations

from typing import Any

from publishing.labels import labels, reason_text
from publishing.page.cells import Column, Figure, Table, figure, lists, table
from publishing.page.names import Names, ranking_file
from publishing.page.ranking import add_up
from publishing.page.source import Source

#: Metrics whose rows are listed, the costliest first, and rows listed of each; the counts beside them are of all.
METRICS_LISTED, ROWS_LISTED = 6, 8

#: What is smaller prints as 0.00 and is left out of lists of losses and moves.
_VISIBLE = 0.005

_PLACES = """
SELECT places.*, scores.veto_reason
FROM area_comparison AS places
JOIN marts.unit_scores AS scores USING (period_code, area, unit_code)
"""

_EXPLANATIONS = """
SELECT parts.*, above.unit_name AS above_unit_name
FROM marts.rank_explanations AS parts
JOIN shown_periods USING (period_code)
LEFT JOIN core.dim_unit AS above ON parts.above_unit_code = above.unit_code
ORDER BY ALL
"""

_LOSSES = f"""
SELECT * FROM metric_losses WHERE lost_points >= {_VISIBLE}
ORDER BY period_code, unit_code, lost_overall DESC, area, component_order
"""

_MISSED = f"""
SELECT missed.*
FROM every_missed_row AS missed
JOIN (
    SELECT * FROM metric_losses WHERE lost_points >= {_VISIBLE}
    QUALIFY row_number() OVER (
        PARTITION BY period_code, unit_code ORDER BY lost_overall DESC, area, component_order
    ) <= {METRICS_LISTED}
) USING (period_code, unit_code, area, metric)
QUALIFY row_number() OVER (
    PARTITION BY period_code, unit_code, area, metric ORDER BY expected_at, happened_at NULLS FIRST, row_key
) <= {ROWS_LISTED}
ORDER BY expected_at, happened_at NULLS FIRST, row_key
"""


class Units:
    """Everything that the pages of the units show, read once."""

    def __init__(self, source: Source, names: Names) -> None:
        self.names = names
        self.places = {(row["period_code"], row["unit_code"], row["area"]): row for row in source.records(_PLACES)}
        self.metrics = source.by(
            "SELECT * FROM metric_comparison ORDER BY period_code, unit_code, area, metric_order",
            "period_code",
            "unit_code",
        )
        self.parts = source.by(_EXPLANATIONS, "period_code", "unit_code", "area")
        self.losses = source.by(_LOSSES, "period_code", "unit_code")
        self.missed = source.by(_MISSED, "period_code", "unit_code", "area", "metric")
        self.lifts = source.by("FROM overall_lifts ORDER BY component_order", "period_code", "unit_code")

    def context(self, period: dict[str, Any], unit: dict[str, Any]) -> dict[str, Any]:
        """What the template of the page takes."""
        at = {"period_code": period["period_code"], "unit_code": unit["unit_code"]}
        rule_set = period["rule_set"]
        areas = ["overall", *(area["area"] for area in self.names.areas[rule_set])]
        areas = [area for area in areas if (*at.values(), area) in self.places]
        return {
            "unit": unit,
            "group": self.names.group(unit["unit_group"]),
            "places": self._places(at, rule_set, areas),
            "trend": self._trend(period, unit),
            "metrics": self._metrics(at, rule_set),
            "no_change": self._reason(at, "change_reason", "no_change"),
            "change": self._change(at, rule_set),
            "moves": self._moves(at, rule_set, areas),
            "losses": self._losses(at, rule_set),
            "missed": self._missed(at, rule_set),
            "no_gap": self._reason(at, "gap_reason", "no_gap"),
            "above": self._above(at),
            "lifts": self._lifts(at, rule_set),
            "steps": self._steps(at, rule_set, areas),
        }

    def _parts(self, at: dict[str, str], area: str) -> list[dict[str, Any]]:
        parts = self.parts.get((*at.values(), area), [])
        return sorted(parts, key=lambda part: part["component_order"])

    def _reason(self, at: dict[str, str], column: str, words: str) -> str:
        parts = self._parts(at, "overall")
        return labels()["page"][words].get(parts[0][column], "") if parts else ""

    def _places(self, at: dict[str, str], rule_set: str, areas: list[str]) -> Table:
        words, more = labels()["columns"], labels()["page"]["columns"]
        records = []
        for area in areas:
            row = self.places[(*at.values(), area)]
            reasons = [text for text in (reason_text(row["veto_reason"]), reason_text(row["null_reason"])) if text]
            records.append(
                row
                | {
                    "name": self.names.area(rule_set, area),
                    "interval": (row["rank_best"], row["rank_worst"]),
                    "lists": lists(row["list"], row["most_improved"]),
                    "remark": "；".join(reasons),
                    "_links": {"name": ranking_file(at["period_code"], area)},
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
        return table("places", caption, "area_comparison", columns, records, ["area"], at, "places")

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

    def _metrics(self, at: dict[str, str], rule_set: str) -> Table:
        words, more = labels()["columns"], labels()["page"]["columns"]
        records = [
            row
            | {
                "area_name": self.names.area(rule_set, row["area"]),
                "fraction": (row["numerator"], row["denominator"]),
                "chance": (row["ci_low"], row["ci_high"]),
                "earned": (row["points"], row["weight"]),
                "remark": reason_text(row["null_reason"]),
            }
            for row in self.metrics[tuple(at.values())]
        ]
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
        return table("metrics", caption, "metric_comparison", columns, records, ["area", "metric"], at, "metrics")

    def _change(self, at: dict[str, str], rule_set: str) -> Table | None:
        parts = self._parts(at, "overall")
        if not parts or parts[0]["change_reason"] or parts[0]["change"] is None:
            return None
        more = labels()["page"]["columns"]
        shown = add_up([part["change_part"] for part in parts], round(parts[0]["change"], 2))
        records = [
            part
            | {"name": self.names.component(rule_set, "overall", part["component"]), "change_part": change}
            for part, change in zip(parts, shown, strict=True)
            if part["component"] not in labels()["components"] or change
        ]
        columns = [
            Column("name", more["component"], head=True),
            Column("score_part", more["score_part"], "score"),
            Column("change_part", more["change_part"], "signed_part", series="part"),
        ]
        caption = labels()["page"]["titles"]["change"]
        where = at | {"area": "overall"}
        return table("change", caption, "marts.rank_explanations", columns, records, ["component"], where, "change")

    def _moves(self, at: dict[str, str], rule_set: str, areas: list[str]) -> Table | None:
        more = labels()["page"]["columns"]
        records = [
            part
            | {
                "area_name": self.names.area(rule_set, area),
                "name": self.names.component(rule_set, area, part["component"]),
            }
            for area in areas
            if area != "overall"
            for part in self._parts(at, area)
            if abs(part["change_part"] or 0) >= _VISIBLE
        ]
        if not records:
            return None
        records.sort(key=lambda part: -abs(part["change_part"]))
        columns = [
            Column("name", more["component"], head=True),
            Column("area_name", more["area"]),
            Column("score_part", more["score_part"], "score"),
            Column("change_part", more["change_part"], "signed"),
        ]
        caption = labels()["page"]["titles"]["moves"]
        return table("moves", caption, "marts.rank_explanations", columns, records, ["area", "component"], at)

    def _losses(self, at: dict[str, str], rule_set: str) -> Table:
        more = labels()["page"]["columns"]
        records = [
            row | {"area_name": self.names.area(rule_set, row["area"])}
            for row in self.losses.get(tuple(at.values()), [])
        ]
        columns = [
            Column("name_zh", more["metric"], head=True),
            Column("area_name", more["area"]),
            Column("lost_overall", more["lost_overall"], "score"),
            Column("lost_points", more["lost_points"], "score"),
            Column("missed", more["missed"], "count"),
            Column("lost_per_row", more["lost_per_row"], "score"),
        ]
        caption = labels()["page"]["titles"]["losses"]
        return table("losses", caption, "metric_losses", columns, records, ["area", "metric"], at)

    def _missed(self, at: dict[str, str], rule_set: str) -> list[dict[str, Any]]:
        """The rows of the costliest metrics, a table a metric, with how many there are in all."""
        more = labels()["page"]["columns"]
        found = []
        for loss in self.losses.get(tuple(at.values()), [])[:METRICS_LISTED]:
            rows = self.missed.get((*at.values(), loss["area"], loss["metric"]), [])
            if not rows:
                continue
            where = at | {"area": loss["area"], "metric": loss["metric"]}
            columns = [Column("row_key", more["row_key"], "key", head=True)]
            for name in ("expected_at", "happened_at"):
                if any(row[name] is not None for row in rows):
                    columns.append(Column(name, more[name], "time"))
            title = f"{self.names.area(rule_set, loss['area'])} · {loss['name_zh']}"
            rows_of = table(
                f"missed-{loss['area']}-{loss['metric']}", title, "every_missed_row", columns, rows, ["row_key"], where
            )
            total = figure(loss["missed"], "count", "metric_losses", "missed", **where)
            found.append({"title": title, "table": rows_of, "total": total, "all": loss["missed"] == len(rows)})
        return found

    def _above(self, at: dict[str, str]) -> dict[str, str | Figure] | None:
        parts = self._parts(at, "overall")
        if not parts or parts[0]["gap"] is None:
            return None
        gap = figure(parts[0]["gap"], "score", "marts.rank_explanations", "any_value(gap)", **at, area="overall")
        return {"name": parts[0]["above_unit_name"], "gap": gap}

    def _lifts(self, at: dict[str, str], rule_set: str) -> Table:
        more = labels()["page"]["columns"]
        records = [
            row | {"name": self.names.area(rule_set, row["area"])} for row in self.lifts.get(tuple(at.values()), [])
        ]
        columns = [
            Column("name", more["area"], head=True),
            Column("area_score", labels()["columns"]["score"], "score"),
            Column("gap_part", more["gap_part"], "signed"),
            Column("points_needed", more["points_needed"], "score"),
        ]
        caption = labels()["page"]["titles"]["lifts"]
        return table("lifts", caption, "overall_lifts", columns, records, ["area"], at)

    def _steps(self, at: dict[str, str], rule_set: str, areas: list[str]) -> Table | None:
        """In each area the metrics that could by themselves bring the unit to the place above it, and by how many rows."""
        more = labels()["page"]["columns"]
        records = [
            part
            | {
                "area_name": self.names.area(rule_set, area),
                "name": self.names.component(rule_set, area, part["component"]),
            }
            for area in areas
            if area != "overall"
            for part in self._parts(at, area)
            if part["rows_to_place_above"] is not None
        ]
        if not records:
            return None
        columns = [
            Column("name", more["metric"], head=True),
            Column("area_name", more["area"]),
            Column("above_unit_name", more["above"]),
            Column("gap", more["gap"], "score"),
            Column("gap_part", more["gap_part"], "signed"),
            Column("rows_to_place_above", more["rows_to_place_above"], "count"),
        ]
        caption = labels()["page"]["titles"]["steps"]
        return table("steps", caption, "marts.rank_explanations", columns, records, ["area", "component"], at)
