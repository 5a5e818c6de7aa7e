"""Why a unit stands where it stands: what moved it since the period before, what costs it most, what would lift it."""

from __future__ import annotations

from typing import Any

from publishing.labels import labels
from publishing.page.cells import At, Column, Figure, Table, figure, table
from publishing.page.names import Names
from publishing.page.ranking import add_up
from publishing.page.source import Source
from publishing.page.withheld import Hidden

#: Metrics whose rows are listed, the costliest first, and rows listed of each; the counts beside them are of all.
METRICS_LISTED, ROWS_LISTED = 6, 8

#: What is smaller prints as 0.00 and is left out of lists of losses and moves.
_VISIBLE = 0.005

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
JOIN metric_losses AS losses USING (period_code, unit_code, area, metric)
WHERE losses.lost_points >= {_VISIBLE}
QUALIFY row_number() OVER (
    PARTITION BY period_code, unit_code, area, metric ORDER BY expected_at, happened_at NULLS FIRST, row_key
) <= {ROWS_LISTED}
ORDER BY expected_at, happened_at NULLS FIRST, row_key
"""


class Why:
    """What the explanations of all units show, read once."""

    def __init__(self, source: Source, names: Names, hidden: Hidden) -> None:
        self.names = names
        self.hidden = hidden
        self.parts = source.by(_EXPLANATIONS, "period_code", "unit_code", "area")
        self.losses = {
            key: self._printed_losses(At(*key), losses)
            for key, losses in source.by(_LOSSES, "period_code", "unit_code").items()
        }
        self.missed = source.by(_MISSED, "period_code", "unit_code", "area", "metric")
        self.lifts = source.by("FROM overall_lifts ORDER BY component_order", "period_code", "unit_code")

    def context(self, at: At, rule_set: str, areas: list[str]) -> dict[str, Any]:
        """What the template of a unit's page takes of it."""
        return {
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

    def components(self, period: str | None, unit: str | None, area: str) -> set[str]:
        """Components whose parts are not printed for a unit; none of a period or unit that there is not."""
        if period is None or unit is None:
            return set()
        return self.hidden.components(period, unit, area, self.parts.get((period, unit, area), []))

    def _printed_losses(self, at: At, losses: list[dict[str, Any]]) -> list[dict[str, Any]]:
        # In the order of their size a withheld loss would tell how large it is: it is left out.
        return [
            loss
            for loss in losses
            if loss["metric"] not in self.components(*at.key, loss["area"])
            and not self.hidden.metric(*at.key, loss["area"], loss["metric"])
        ]

    def _parts(self, at: At, area: str) -> list[dict[str, Any]]:
        parts = self.parts.get((*at.key, area), [])
        return sorted(parts, key=lambda part: part["component_order"])

    def _reason(self, at: At, column: str, words: str) -> str:
        parts = self._parts(at, "overall")
        return labels()["page"][words].get(parts[0][column], "") if parts else ""

    def _change(self, at: At, rule_set: str) -> Table | None:
        parts = self._parts(at, "overall")
        if not parts or parts[0]["change_reason"] or parts[0]["change"] is None:
            return None
        more = labels()["page"]["columns"]
        shown = add_up([part["change_part"] for part in parts], round(parts[0]["change"], 2))
        records = [
            part | {"name": self.names.component(rule_set, "overall", part["component"]), "change_part": change}
            for part, change in zip(parts, shown, strict=True)
            if part["component"] not in labels()["components"] or change
        ]
        columns = [
            Column("name", more["component"], head=True),
            Column("score_part", more["score_part"], "score"),
            Column("change_part", more["change_part"], "signed_part", series="part"),
        ]
        caption = labels()["page"]["titles"]["change"]
        where = at.where | {"area": "overall"}
        return table("change", caption, "marts.rank_explanations", columns, records, ["component"], where, "change")

    def _moves(self, at: At, rule_set: str, areas: list[str]) -> Table | None:
        more = labels()["page"]["columns"]
        records = []
        for area in areas:
            parts = self._parts(at, area) if area != "overall" else []
            previous = parts[0]["previous_period_code"] if parts else None
            hidden = self.components(*at.key, area) | self.components(previous, at.unit_code, area)
            records += [
                part
                | {
                    "area_name": self.names.area(rule_set, area),
                    "name": self.names.component(rule_set, area, part["component"]),
                }
                for part in parts
                if abs(part["change_part"] or 0) >= _VISIBLE and part["component"] not in hidden
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
        return table("moves", caption, "marts.rank_explanations", columns, records, ["area", "component"], at.where)

    def _losses(self, at: At, rule_set: str) -> Table:
        more = labels()["page"]["columns"]
        records = [row | {"area_name": self.names.area(rule_set, row["area"])} for row in self.losses.get(at.key, [])]
        columns = [
            Column("name_zh", more["metric"], head=True),
            Column("area_name", more["area"]),
            Column("lost_overall", more["lost_overall"], "score"),
            Column("lost_points", more["lost_points"], "score"),
            Column("missed", more["missed"], "count"),
            Column("lost_per_row", more["lost_per_row"], "score"),
        ]
        caption = labels()["page"]["titles"]["losses"]
        return table("losses", caption, "metric_losses", columns, records, ["area", "metric"], at.where)

    def _missed(self, at: At, rule_set: str) -> list[dict[str, Any]]:
        """The rows of the costliest metrics, a table a metric, with how many there are in all."""
        more = labels()["page"]["columns"]
        found = []
        for loss in self.losses.get(at.key, [])[:METRICS_LISTED]:
            rows = self.missed.get((*at.key, loss["area"], loss["metric"]), [])
            if not rows:
                continue
            where = at.where | {"area": loss["area"], "metric": loss["metric"]}
            times = [name for name in ("expected_at", "happened_at") if any(row[name] is not None for row in rows)]
            columns = [
                Column("row_key", more["row_key"], "key", head=True),
                *(Column(name, more[name], "time") for name in times),
            ]
            title = f"{self.names.area(rule_set, loss['area'])} · {loss['name_zh']}"
            rows_of = table(
                f"missed-{loss['area']}-{loss['metric']}", title, "every_missed_row", columns, rows, ["row_key"], where
            )
            total = figure(loss["missed"], "count", "metric_losses", "missed", **where)
            found.append({"title": title, "table": rows_of, "total": total, "all": loss["missed"] == len(rows)})
        return found

    def _above(self, at: At) -> dict[str, str | Figure] | None:
        parts = self._parts(at, "overall")
        if not parts or parts[0]["gap"] is None:
            return None
        gap = figure(parts[0]["gap"], "score", "marts.rank_explanations", "any_value(gap)", **at.where, area="overall")
        return {"name": parts[0]["above_unit_name"], "gap": gap}

    def _lifts(self, at: At, rule_set: str) -> Table:
        more = labels()["page"]["columns"]
        records = [row | {"name": self.names.area(rule_set, row["area"])} for row in self.lifts.get(at.key, [])]
        columns = [
            Column("name", more["area"], head=True),
            Column("area_score", labels()["columns"]["score"], "score"),
            Column("gap_part", more["gap_part"], "signed"),
            Column("points_needed", more["points_needed"], "score"),
        ]
        caption = labels()["page"]["titles"]["lifts"]
        return table("lifts", caption, "overall_lifts", columns, records, ["area"], at.where)

    def _steps(self, at: At, rule_set: str, areas: list[str]) -> Table | None:
        """In each area the metrics that alone could bring the unit to the place above it, and by how many rows."""
        more = labels()["page"]["columns"]
        records = []
        for area in areas:
            parts = self._parts(at, area) if area != "overall" else []
            above = parts[0]["above_unit_code"] if parts else None
            hidden = self.components(*at.key, area) | self.components(at.period_code, above, area)
            records += [
                part
                | {
                    "area_name": self.names.area(rule_set, area),
                    "name": self.names.component(rule_set, area, part["component"]),
                }
                for part in parts
                if part["rows_to_place_above"] is not None and part["component"] not in hidden
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
        return table("steps", caption, "marts.rank_explanations", columns, records, ["area", "component"], at.where)
