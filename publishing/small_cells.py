"""Small cells (小数保护): which figures about people are too small to be printed, and which would give them away.

Whatever is public (the ranking tables, the notice, the page) asks here, so that two of them never together tell what
each of them hides. The warehouse itself is internal and complete. The rule and its limits: docs/decisions/0011.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from ingestion.period import Period

#: A figure about fewer people than this, and more than none, is not printed. The only place that says so.
THRESHOLD = 5

#: What stands in print where a figure is withheld, and the note that goes with it.
MARK = "＊"
NOTE = f"{MARK}：涉及不足{THRESHOLD}人次的数据不予公布；个别数据一并隐去，以防由合计推算。"

#: Areas whose figures count posts, accounts and papers. Any other area is taken to count people.
AREAS_WITHOUT_PEOPLE = frozenset({"website", "media", "reform", "governance"})

#: Figures that tell an outcome, and the one that tells how many people it is about; of other figures it is their own
#: denominator, or they count people themselves.
_ABOUT = {
    "cases_overdue": "case_on_time_rate",
    "speedup_rate": "cases_accepted",
    "tickets_closed": "tickets_received",
    "calls_per_day": "calls_in",
}

#: Running totals: no sum of the periods that they cover.
_RUNNING = "_to_date"

Cell = TypeVar("Cell", bound=Hashable)
#: A whole and its parts.
Sum = tuple[Cell, Sequence[Cell]]


def suppress(cells: Mapping[Cell, float], sums: Iterable[Sum[Cell]], threshold: int = THRESHOLD) -> set[Cell]:
    """The cells that must not be printed: the small ones, and others that keep each small one from being computed.

    Zeros are printed: nobody is behind them. Somebody who knows every printed cell, all sums (and by how much a whole
    differs from its parts) and that no hidden cell is zero, must find it possible for each small cell to be as large
    as the threshold. Until it is, the smallest cell of its sums is hidden too. A whole that is no cell is not printed.
    """
    known = [(whole, [part for part in parts if part in cells]) for whole, parts in sums if whole in cells]
    small = {cell for cell, value in cells.items() if 0 < value < threshold}
    hidden = set(small)
    _hide_within_sums(cells, known, hidden, threshold)
    group_of = _apart(known)
    # What can be large with some cells hidden can be so with more of them hidden: it is not asked again.
    large: set[Cell] = set()
    while told := _told(cells, known, hidden, small - large, threshold, large):
        # One more is hidden for each that is told, the smallest first.
        before = len(hidden)
        for among, number in told:
            others = {cell for cell in among if cells[cell] > 0} - hidden
            hidden.update(heapq.nsmallest(number, others, key=lambda cell: (cells[cell], str(cell))))
        if len(hidden) == before:  # all that anybody is behind is hidden already
            break
        # Of sums that share no cell with these, direct or by others, nothing more is to be learnt.
        open_groups = {group_of[among[0]] for among, _ in told}
        known = [line for line in known if group_of[line[0]] in open_groups]
        _hide_within_sums(cells, known, hidden, threshold)
    return hidden


def _apart(sums: Sequence[Sum[Cell]]) -> dict[Cell, Cell]:
    """Each cell of the sums with one that stands for all it is tied to: a year's figures are tied to no other's."""
    root: dict[Cell, Cell] = {}

    def find(cell: Cell) -> Cell:
        while root[cell] != cell:
            root[cell] = cell = root[root[cell]]
        return cell

    for whole, parts in sums:
        top = find(root.setdefault(whole, whole))
        for part in parts:
            root[find(root.setdefault(part, part))] = top
    return {cell: find(cell) for cell in root}


def _hide_within_sums(
    cells: Mapping[Cell, float], sums: Sequence[Sum[Cell]], hidden: set[Cell], threshold: int
) -> None:
    """What a sum asks for by itself: its k hidden parts add up to ``threshold + k - 1``, so that each can be large."""
    touching: dict[Cell, list[int]] = defaultdict(list)
    for place, (whole, parts) in enumerate(sums):
        for cell in (whole, *parts):
            touching[cell].append(place)
    waiting = [place for place, (whole, parts) in enumerate(sums) if not hidden.isdisjoint((whole, *parts))]
    while waiting:
        whole, parts = sums[waiting.pop()]
        unknown = [part for part in parts if part in hidden]
        left = sum(cells[part] for part in unknown)
        if whole in hidden:
            enough = bool(unknown)
        else:
            enough = not unknown or (len(unknown) > 1 and left >= threshold + len(unknown) - 1)
        if enough:
            continue
        others = [part for part in parts if part not in hidden and cells[part] > 0]
        if not others and whole in hidden:
            continue
        chosen = min(others, key=lambda part: (cells[part], str(part))) if others else whole
        hidden.add(chosen)
        waiting += touching[chosen]


def _told(
    cells: Mapping[Cell, float],
    sums: Sequence[Sum[Cell]],
    hidden: set[Cell],
    small: set[Cell],
    threshold: int,
    large: set[Cell],
) -> list[tuple[list[Cell], int]]:
    """Cells of sums that are tied together by what is hidden, and how many small cells among them cannot be as large as
    the threshold, given what is printed. Those that can are added to ``large``."""
    told = []
    for names, lines in _connected(sums, hidden):
        asked = [place for place, name in enumerate(names) if name in small]
        if not asked:
            continue
        fine = _large(cells, names, lines, asked, threshold)
        large.update(names[place] for place in fine)
        if number := len(asked) - len(fine):
            told.append(([cell for whole, parts in lines for cell in (whole, *parts)], number))
    return told


def _large(
    cells: Mapping[Cell, float], names: list[Cell], sums: list[Sum[Cell]], asked: list[int], threshold: int
) -> set[int]:
    """The places of those asked for (of ``names``, hidden cells) that can be as large as the threshold: what is hidden
    may be anything from 1 on by which the sums hold. Each is made as large as it can be, from the answer before on."""
    import highspy  # only where something is small
    import numpy as np

    at = {cell: place for place, cell in enumerate(names)}
    rows = [
        [(at[cell], sign) for cell, sign in ((whole, 1.0), *((part, -1.0) for part in parts)) if cell in at]
        for whole, parts in sums
    ]
    programme = highspy.HighsLp()
    programme.num_col_, programme.num_row_ = len(names), len(rows)
    programme.col_cost_ = np.zeros(len(names))
    programme.col_lower_, programme.col_upper_ = np.ones(len(names)), np.full(len(names), np.inf)
    programme.row_lower_ = programme.row_upper_ = [sum(sign * cells[names[n]] for n, sign in row) for row in rows]
    programme.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    programme.a_matrix_.start_ = np.cumsum([0, *map(len, rows)])
    programme.a_matrix_.index_ = [n for row in rows for n, _ in row]
    programme.a_matrix_.value_ = [sign for row in rows for _, sign in row]
    solver = _quiet_solver()()
    # From one answer to the next: the primal simplex, without reducing the programme. What has no end proves nothing.
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("presolve", "off")
    solver.setOptionValue("simplex_strategy", 4)
    solver.setOptionValue("simplex_iteration_limit", 100_000)
    solver.passModel(programme)
    left, fine = dict.fromkeys(asked), set()
    while left:
        place, _ = left.popitem()
        solver.changeColCost(place, -1.0)
        solver.run()
        found = [place] if solver.getModelStatus() == highspy.HighsModelStatus.kUnbounded else []
        if solver.getModelStatus() == highspy.HighsModelStatus.kOptimal:
            # Any that is large in some answer can be, asked or not.
            answer = np.asarray(solver.getSolution().col_value)
            found = [n for n in np.flatnonzero(answer >= threshold - 1e-6).tolist() if n == place or n in left]
        solver.changeColCost(place, 0.0)
        fine.update(found)
        for n in found:
            left.pop(n, None)
    return fine


@cache
def _quiet_solver() -> type[Any]:
    import highspy

    class Quiet(highspy.Highs):
        """Asked for no call back, which the library would announce on standard output."""

        def enableCallbacks(self) -> None:
            pass

    return Quiet


def _connected(sums: Sequence[Sum[Cell]], hidden: set[Cell]) -> Iterator[tuple[list[Cell], list[Sum[Cell]]]]:
    """Hidden cells that sums tie together, with those sums: what can be looked at apart from the rest."""
    of_cell: dict[Cell, list[int]] = defaultdict(list)
    for place, (whole, parts) in enumerate(sums):
        for cell in hidden.intersection((whole, *parts)):
            of_cell[cell].append(place)
    seen: set[int] = set()
    for start in [place for places in of_cell.values() for place in places]:
        if start in seen:
            continue
        seen.add(start)
        names: dict[Cell, None] = {}
        reached, lines = [start], []
        while reached:
            whole, parts = sums[reached.pop()]
            lines.append((whole, parts))
            for cell in (whole, *parts):
                if cell in hidden and cell not in names:
                    names[cell] = None
                    more = [place for place in of_cell[cell] if place not in seen]
                    seen.update(more)
                    reached += more
        yield list(names), lines


@dataclass(frozen=True)
class Withheld:
    """What may not be printed of one warehouse: a unit's metrics (value, numerator, denominator, interval, points) and
    the county's totals (value, numerator, denominator). A score or rank stays in print: it is no sum of its metrics."""

    metrics: frozenset[tuple[str, str, str, str]]
    totals: frozenset[tuple[str, str, str]]
    #: The same year by year, under the digest of what each was decided of.
    years: Mapping[str, Withheld] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection, earlier: Mapping[str, Withheld] | None = None) -> Withheld:
        """Decides for every period's newest revision: of a year at once, for its periods are parts of one another. No
        sum crosses the years. A year that is decided of the same as in ``earlier`` is not decided again."""
        metrics = connection.execute(
            "SELECT period_code, unit_code, area, metric, coalesce(denominator, numerator) FROM marts.unit_metrics "
            "WHERE NOT list_contains(?, area) ORDER BY ALL",
            [sorted(AREAS_WITHOUT_PEOPLE)],
        ).fetchall()
        totals = connection.execute(
            "SELECT period_code, area, figure, CASE WHEN contains(figure, '/') THEN numerator "
            "ELSE coalesce(denominator, numerator) END FROM marts.period_totals "
            "WHERE NOT list_contains(?, area) ORDER BY ALL",
            [sorted(AREAS_WITHOUT_PEOPLE)],
        ).fetchall()
        rows: dict[str, tuple[list[Any], list[Any]]] = defaultdict(lambda: ([], []))
        for place, found in enumerate((metrics, totals)):
            for row in found:
                rows[row[0][:4]][place].append(row)
        years, code = {}, Path(__file__).read_bytes()
        for of_year in rows.values():
            digest = hashlib.sha256(code + repr(of_year).encode()).hexdigest()
            known = (earlier or {}).get(digest)
            years[digest] = _withheld(*of_year) if known is None else known
        return cls(
            metrics=frozenset().union(*(year.metrics for year in years.values())),
            totals=frozenset().union(*(year.totals for year in years.values())),
            years=years,
        )

    def write(self, path: Path) -> None:
        """Writes what ``read`` reads: the decisions of each year, no figure."""
        content = {
            digest: {"metrics": sorted(year.metrics), "totals": sorted(year.totals)}
            for digest, year in self.years.items()
        }
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> dict[str, Withheld]:
        """The decisions that ``write`` left, under the digests of what they were made of."""
        return {
            digest: cls(frozenset(map(tuple, year["metrics"])), frozenset(map(tuple, year["totals"])))
            for digest, year in json.loads(path.read_text(encoding="utf-8")).items()
        }

    def metric(self, period: str, unit: str, area: str, metric: str) -> bool:
        """Is this metric of the unit withheld?"""
        return (period, unit, area, metric) in self.metrics

    def total(self, period: str, area: str, figure: str) -> bool:
        """Is this figure of ``period_totals`` withheld?"""
        return (period, area, figure) in self.totals


#: A cell: period, unit (empty: the county), area, the figure that counts its people.
_Place = tuple[str, str, str, str]


def _withheld(metrics: list[tuple[Any, ...]], totals: list[tuple[Any, ...]]) -> Withheld:
    sizes: dict[_Place, int] = {(p, unit, area, metric): int(size or 0) for p, unit, area, metric, size in metrics}
    sizes |= {(period, "", area, figure): int(size or 0) for period, area, figure, size in totals}
    people = _people(sizes)
    cell_of = {of: (*of[:3], people[of[2:]]) for of in sizes}
    cells = {cell: sizes.get(cell, sizes[of]) for of, cell in cell_of.items()}
    hidden = suppress(cells, [*_sums_of_units(cells), *_sums_of_parts(cells, people), *_sums_of_periods(cells)])
    # A unit's dispatches and the tickets among them (dispatched/unit=…) are nearly one number: both or neither.
    for period, unit, area, figure in [of for of, cell in cell_of.items() if cell in hidden]:
        whole, mark, part = figure.partition("/unit=")
        twin = (period, part, area, whole) if mark else (period, "", area, f"{figure}/unit={unit}")
        hidden |= {cell_of[twin]} if twin in sizes else set()
    shut = [of for of, cell in cell_of.items() if cell in hidden]
    return Withheld(
        metrics=frozenset(of for of in shut if of[1]),
        totals=frozenset((period, area, figure) for period, unit, area, figure in shut if not unit),
    )


def _people(sizes: Mapping[_Place, int]) -> dict[tuple[str, ...], str]:
    """(area, figure) -> the figure that stands for all that count the same people of every unit."""
    columns: dict[tuple[str, ...], set[tuple[str, str, int]]] = defaultdict(set)
    for (period, unit, area, figure), size in sizes.items():
        columns[area, figure] |= {(period, unit, size)} if unit else set()
    first: dict[Hashable, str] = {}
    same = {
        (area, figure): first.setdefault((area, frozenset(column)), figure) if column else figure
        for (area, figure), column in sorted(columns.items())
    }
    return {(area, figure): same.get((area, _ABOUT.get(figure, "")), own) for (area, figure), own in same.items()}


def _sums_of_units(cells: Mapping[_Place, int]) -> Iterator[Sum[_Place]]:
    units = defaultdict(list)
    for period, unit, area, figure in cells:
        if unit:
            units[period, area, figure].append((period, unit, area, figure))
    for (period, area, figure), parts in units.items():
        yield (period, "", area, figure), parts


def _sums_of_parts(cells: Mapping[_Place, int], people: Mapping[tuple[str, ...], str]) -> Iterator[Sum[_Place]]:
    dimensions = defaultdict(list)
    for period, unit, area, figure in cells:
        whole, mark, part = figure.partition("/")
        if mark and not unit:
            dimensions[period, area, whole, part.partition("=")[0]].append((period, "", area, figure))
    for (period, area, whole, _), parts in dimensions.items():
        yield (period, "", area, people.get((area, whole), whole)), parts


def _sums_of_periods(cells: Mapping[_Place, int]) -> Iterator[Sum[_Place]]:
    figures = defaultdict(set)
    for period, unit, area, figure in cells:
        if _RUNNING not in figure:
            figures[unit, area, figure].add(period)
    tiled: dict[frozenset[str], list[tuple[str, list[str]]]] = {}
    for (unit, area, figure), codes in figures.items():
        among = frozenset(codes)
        if among not in tiled:
            tiled[among] = list(_tilings(among))
        for whole, parts in tiled[among]:
            yield (whole, unit, area, figure), [(part, unit, area, figure) for part in parts]


def _tilings(codes: frozenset[str]) -> Iterator[tuple[str, list[str]]]:
    """Each period with the shorter ones of one length that make it up, for every length that is there whole."""
    periods = [Period.parse(code) for code in sorted(codes)]
    for whole in periods:
        for length in sorted({len(period) for period in periods if len(period) < len(whole)}):
            parts = [p for p in periods if len(p) == length and whole.first <= p.first and p.last <= whole.last]
            if len(parts) * length == len(whole):
                yield whole.code, [part.code for part in parts]
