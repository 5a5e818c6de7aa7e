"""What the notice says of a period, read from the published file: figures with their references, for the template."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from publishing.labels import labels, reason_text
from publishing.notice.figures import Ledger, Row, printed
from publishing.small_cells import AREAS_WITHOUT_PEOPLE, THRESHOLD, Withheld

#: How a metric's value is printed, by the kind of its rule.
_FORMS = {"share": "percent", "ratio": "percent", "mean": "mean", "count": "count"}
#: Reasons given for a unit on a list: so many metrics.
_REASONS = 2


@dataclass(frozen=True)
class Listed:
    """A unit on a list: its name, group, place, score and the metrics that put it there; every part is a mark."""

    name: str
    group_code: str
    group: str
    score: str
    rank: str
    places: str
    reasons: list[str]
    veto: str


class Content:
    """The names that the template may use; each gives marks (see figures.py), lists of marks, or true and false."""

    def __init__(self, ledger: Ledger, withheld: Withheld) -> None:
        self._ledger, period = ledger, ledger.period
        self._withheld = withheld
        self._period = ledger.rows("period")[0]
        self._totals = {(row.area, row.figure): row for row in ledger.rows("totals")}
        self._parts: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in ledger.rows("parts"):
            self._parts[row.area, row.dimension].append(row)
        self._rankings = ledger.rows("rankings")
        self._explained: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in ledger.rows("explanations"):
            self._explained[row.area, row.unit_code].append(row)
        self._short = {(row.area, row.metric): row for row in ledger.rows("short_of")}
        self._units_short = ledger.rows("units_short_of")
        self._late = ledger.rows("repeatedly_late")
        self._owed = {row.area: row for row in ledger.rows("obligations")}
        self._open = {row.kind: row for row in ledger.rows("open_items")}
        self._units_open = ledger.rows("units_open_past_due")
        self._due = ledger.rows("due_next")
        self._excluded = ledger.rows("exclusions")
        self.code = period

    # The period.

    def period(self) -> str:
        return self._ledger.figure(self._period, "period_code", "period")

    def day(self, column: str, form: str = "day") -> str:
        """first_day, last_day, cut_off_day or released_day."""
        return self._ledger.figure(self._period, column, form)

    def about(self, column: str) -> str:
        """release, revision or rule_set."""
        return self._ledger.figure(self._period, column, "text")

    @property
    def is_revised(self) -> bool:
        return self._period.revision > 1

    def revision_reason(self) -> str:
        return self._ledger.text(self._period.reason)

    def exclusions(self) -> list[dict[str, str]]:
        """Approved exclusions behind this revision."""
        ink = self._ledger
        return [
            {
                "ticket": ink.figure(row, "ticket_no", "text"),
                "unit": ink.text(row.unit_name),
                "ground": ink.text(row.ground),
                "day": ink.figure(row, "approved_day", "day"),
            }
            for row in self._excluded
        ]

    # The county.

    def covers(self, area: str) -> bool:
        """Does the county's rule set have the area at all?"""
        return any(row.area == area for row in self._rankings)

    def has(self, area: str, figure: str = "") -> bool:
        """Is the figure (without one: any of the area) there?"""
        if figure:
            row = self._totals.get((area, figure))
            return row is not None and row.value is not None
        return any(key[0] == area for key in self._totals)

    def total(self, area: str, figure: str, form: str = "count", column: str = "value") -> str:
        """A county figure; ``column`` numerator or denominator gives its parts. — where there is none, withheld
        where it tells of too few."""
        row = self._totals.get((area, figure))
        if row is None:
            return printed(None, form)
        if self._withheld.total(self.code, area, figure):
            return self._ledger.withheld()
        value = row.cells[column]
        if form == "count" and isinstance(value, float):
            column = "numerator"
        return self._ledger.figure(row, column, form)

    def parts(self, area: str, dimension: str) -> list[dict[str, str]]:
        """The parts of a whole, largest first: name, count, share; counts add up to the whole, shares to 100.00 %.

        Parts that are withheld stand together as the last one, 其他.
        """
        rows, ink = self._parts.get((area, dimension), []), self._ledger
        open_rows = [row for row in rows if not self._withheld.total(self.code, area, row.figure)]
        shut = [row for row in rows if row not in open_rows]
        shares = ink.shares([*open_rows, *shut])
        found = [
            {"name": ink.text(row.name), "count": ink.figure(row, "numerator", "count"), "share": share}
            for row, share in zip(open_rows, shares, strict=False)
        ]
        if shut:
            # What the printed parts leave of the whole: it tells no more than they do.
            found.append({"name": "其他", "count": ink.total(shut, "numerator"), "share": ink.rest(rows, open_rows)})
        return found

    # Lists of the areas.

    def ranked(self, area: str) -> bool:
        return any(row.area == area and row.rank for row in self._rankings)

    def listed(self, area: str, which: str) -> list[Listed]:
        """Units on the list ``good``, ``lagging`` or ``most_improved`` of an area, by group and place."""
        rows = [row for row in self._rankings if row.area == area]
        if which == "most_improved":
            return [self._listed(row, which) for row in rows if row.most_improved]
        return [self._listed(row, which) for row in rows if row.list == which]

    def too_many_ties(self, area: str) -> list[str]:
        """Groups whose good list would name too many units and so names none."""
        groups = [row.unit_group for row in self._rankings if row.area == area and row.null_reason == "too_many_ties"]
        return [self._ledger.text(labels()["groups"].get(group, group)) for group in dict.fromkeys(groups)]

    def unranked(self, area: str, reason: str) -> list[str]:
        """Names of the units without a place for this reason."""
        rows = [row for row in self._rankings if row.area == area and row.rank is None and row.null_reason == reason]
        return [self._ledger.text(row.unit_name) for row in rows]

    def _listed(self, row: Row, which: str) -> Listed:
        ink = self._ledger
        return Listed(
            name=ink.text(row.unit_name),
            group_code=row.unit_group,
            group=ink.text(labels()["groups"].get(row.unit_group, row.unit_group)),
            score=ink.figure(row, "score", "score"),
            rank=ink.figure(row, "rank", "count"),
            places=ink.figure(row, "rank_change", "places") if row.rank_change else "",
            reasons=self._reasons(row, which),
            veto=ink.text(reason_text(row.veto_reason)) if row.veto_reason else "",
        )

    def _reasons(self, row: Row, which: str) -> list[str]:
        """Name and value of the components that count most: brought most, lost most, or gained most."""
        column = {"good": "score_part", "lagging": "lost_part", "most_improved": "change_part"}[which]
        found = [part for part in self._explained[row.area, row.unit_code] if (part.cells[column] or 0) > 1e-9]
        found = [part for part in found if self._may_tell(part)]
        found.sort(key=lambda part: -part.cells[column])
        ink = self._ledger
        return [
            ink.text(part.name)
            + (
                ink.figure(part, "area_score", "score", rows={"area": part.component, "component": None})
                if part.area == "overall"
                else ink.figure(part, "value", _FORMS[part.kind])
            )
            for part in found[:_REASONS]
        ]

    def _may_tell(self, part: Row) -> bool:
        if part.area == "overall":
            return part.area_score is not None
        return part.value is not None and not self._withheld.metric(
            self.code, part.unit_code, part.area, part.component
        )

    def table(self) -> list[dict[str, Any]]:
        """The overall ranking, a group each: name and rows of marks."""
        ink, lists = self._ledger, labels()["lists"]
        groups: dict[str, list[dict[str, str]]] = defaultdict(list)
        for row in self._rankings:
            if row.area != "overall":
                continue
            marks = [lists[row.list]] if row.list in lists else []
            marks += [lists["most_improved"]] if row.most_improved else []
            best, worst = row.rank_best, row.rank_worst
            interval = ink.figure(row, "rank_best", "count") if best else ""
            if best and worst != best:
                interval += "—" + ink.figure(row, "rank_worst", "count")
            change = "" if row.rank_change is None else ink.figure(row, "rank_change", "change")
            groups[row.unit_group].append(
                {
                    "rank": ink.figure(row, "rank", "count") if row.rank else "—",
                    "name": ink.text(row.unit_name),
                    "score": ink.figure(row, "score", "score") if row.rank else "—",
                    "interval": interval or "—",
                    "change": change or "—",
                    "lists": "、".join(marks)
                    or (ink.text(reason) if (reason := reason_text(row.null_reason)) else "—"),
                }
            )
        return [
            {"name": ink.text(labels()["groups"].get(group, group)), "rows": rows} for group, rows in groups.items()
        ]

    # Problems, and what comes next.

    def short(self, area: str, metric: str) -> dict[str, Any] | None:
        """Units that miss a metric's target: how many, by how many rows in all, the target, and the most affected."""
        row, ink = self._short.get((area, metric)), self._ledger
        if row is None:
            return None
        about_people = area not in AREAS_WITHOUT_PEOPLE
        units = [each for each in self._units_short if (each.area, each.metric) == (area, metric)]
        return {
            "units": ink.figure(row, "units", "count"),
            "count": ink.withheld() if about_people and row.short < THRESHOLD else ink.figure(row, "short", "count"),
            "target": ink.figure(row, "target", "percent"),
            "names": [
                {
                    "name": ink.text(each.unit_name),
                    "count": "" if about_people else ink.figure(each, "short", "count"),
                    "of": "" if about_people else ink.figure(each, "denominator", "count"),
                    "value": "" if about_people else ink.figure(each, "value", "percent"),
                }
                for each in units
            ],
        }

    def repeatedly_late(self, area: str) -> list[dict[str, str]]:
        """Units that sent material late or not at all in this period and in the one before."""
        ink = self._ledger
        return [
            {
                "name": ink.text(row.unit_name),
                "late": ink.figure(row, "late", "count", rows={"metric": "on_time_rate"}),
                "late_before": ink.figure(row, "late_before", "count"),
            }
            for row in self._late
            if row.area == area
        ]

    def owed(self, area: str) -> dict[str, str] | None:
        """Obligations of an area: owed, on_time, late, missing; the last three add up to the first."""
        row, ink = self._owed.get(area), self._ledger
        if row is None:
            return None
        names = ("owed", "on_time", "late", "missing")
        return {name: ink.figure(row, name, "count", rows={"metric": "on_time_rate"}) for name in names}

    def open_items(self, kind: str) -> dict[str, Any] | None:
        """Cases or dispatches open at the cut-off: past due, not yet due, and between which days these fall due."""
        row, ink = self._open.get(kind), self._ledger
        if row is None:
            return None
        return {
            **{
                name: ink.withheld() if 0 < row.cells[name] < THRESHOLD else ink.figure(row, name, "count")
                for name in ("past_due", "not_yet_due")
            },
            "any_past_due": row.past_due > 0,
            "next_due": ink.figure(row, "next_due", "short_day") if row.next_due else "",
            "last_due": ink.figure(row, "last_due", "short_day") if row.last_due else "",
            # Names alone: how many of a unit's are open can be few people.
            "names": [ink.text(each.unit_name) for each in self._units_open if each.kind == kind],
        }

    def due_next(self) -> list[dict[str, Any]]:
        """Material of the month after the period: program, kind, pieces, and the days by which it is due."""
        ink = self._ledger
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for row in self._due:
            entry = found.setdefault(
                (row.program, row.material_type),
                {
                    "program": ink.text(row.program),
                    "material": ink.text(row.material_type),
                    "weekly": row.weekly,
                    "pieces": ink.figure(row, "pieces", "count"),
                    "days": [],
                },
            )
            entry["days"].append(ink.figure(row, "due_day", "short_day"))
        return list(found.values())
