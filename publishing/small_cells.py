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
from typing import Any, Generic, TypeVar

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
    touching: dict[Cell, list[int]] = defaultdict(list)
    for place, (whole, parts) in enumerate(known):
        for cell in (whole, *parts):
            touching[cell].append(place)
    lines = _Lines(cells, known, touching)
    small = {cell for cell, value in cells.items() if 0 < value < threshold}
    hidden = set(small)
    _hide_within_sums(lines, hidden, hidden, threshold)
    # What can be large with some cells hidden can be so with more of them hidden: it is not asked again.
    large: set[Cell] = set()
    proofs: dict[Cell, set[int]] = {}
    while told := _told(lines, hidden, small - large, threshold, large, proofs):
        before = hidden.copy()
        # One more is hidden for each that is told, the smallest first.
        more: set[Cell] = set()
        for among, number in told:
            others = {cell for cell in among if cells[cell] > 0} - hidden - more
            more.update(heapq.nsmallest(number, others, key=lambda cell: (cells[cell], str(cell))))
        if not more:  # all that anybody is behind is hidden already
            break
        hidden |= more
        _hide_within_sums(lines, hidden, more, threshold)
        changed = set(lines.of(hidden - before))
        proofs = {cell: proof for cell, proof in proofs.items() if proof.isdisjoint(changed)}
    return hidden


@dataclass(frozen=True)
class _Lines(Generic[Cell]):
    """The sums of some cells, and the places of those that each cell is in."""

    cells: Mapping[Cell, float]
    sums: Sequence[Sum[Cell]]
    touching: Mapping[Cell, Sequence[int]]

    def cells_of(self, place: int) -> tuple[Cell, ...]:
        """The whole and the parts of a sum."""
        whole, parts = self.sums[place]
        return (whole, *parts)

    def of(self, cells: Iterable[Cell]) -> list[int]:
        """Places of the sums that hold any of these, ascending."""
        return sorted({place for cell in cells for place in self.touching.get(cell, ())})


def _hide_within_sums(lines: _Lines[Cell], hidden: set[Cell], since: Iterable[Cell], threshold: int) -> None:
    """What a sum asks for by itself: its k hidden parts add up to ``threshold + k - 1``, so that each can be large.

    ``since``: what was hidden since all sums had what they ask for; those that hold none of it still have it.
    """
    cells, sums = lines.cells, lines.sums
    waiting = lines.of(since)
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
        waiting += lines.touching[chosen]


def _told(
    lines: _Lines[Cell],
    hidden: set[Cell],
    small: set[Cell],
    threshold: int,
    large: set[Cell],
    proofs: dict[Cell, set[int]],
) -> list[tuple[list[Cell], int]]:
    """Cells of sums that are tied together by what is hidden, and how many cells of ``small`` among them cannot be as
    large as the threshold, given what is printed. Those that can are added to ``large``, the others to ``proofs``, with
    the places of the sums that prove it; what is in it already is not asked."""
    told = []
    for names, places in _connected(lines, hidden, small):
        asked = {place: name for place, name in enumerate(names) if name in small}
        open_ = [place for place, name in asked.items() if name not in proofs]
        fine, proven = _large(lines, names, places, open_, threshold) if open_ else (set(), {})
        large.update(names[place] for place in fine)
        proofs.update((names[place], proof) for place, proof in proven.items())
        if number := len(asked) - len(fine):
            told.append(([cell for place in places for cell in lines.cells_of(place)], number))
    return told


def _large(
    lines: _Lines[Cell], names: list[Cell], places: list[int], asked: list[int], threshold: int
) -> tuple[set[int], dict[int, set[int]]]:
    """Those of ``asked`` (places in ``names``, which are hidden) that can be as large as the threshold: what is hidden
    may be anything from 1 on by which the sums hold. Each is made as large as it can be, from the answer before on.

    Of the others the sums that keep them small, whatever becomes of the rest: those with a price in the answer.
    """
    import highspy  # only where something is small
    import numpy as np

    at = {cell: place for place, cell in enumerate(names)}
    starts, columns, signs, right = [0], [], [], []
    for each in places:
        whole, parts = lines.sums[each]
        total = 0.0
        for cell, sign in ((whole, 1.0), *((part, -1.0) for part in parts)):
            if (place := at.get(cell)) is not None:
                columns.append(place)
                signs.append(sign)
                total += sign * lines.cells[cell]
        starts.append(len(columns))
        right.append(total)
    programme = highspy.HighsLp()
    programme.num_col_, programme.num_row_ = len(names), len(places)
    programme.col_cost_ = np.zeros(len(names))
    programme.col_lower_, programme.col_upper_ = np.ones(len(names)), np.full(len(names), np.inf)
    programme.row_lower_ = programme.row_upper_ = right
    programme.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    programme.a_matrix_.start_, programme.a_matrix_.index_, programme.a_matrix_.value_ = starts, columns, signs
    solver = _quiet_solver()()
    # From one answer to the next: the primal simplex, without reducing the programme. What has no end proves nothing.
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("presolve", "off")
    solver.setOptionValue("simplex_strategy", 4)
    solver.setOptionValue("simplex_iteration_limit", 100_000)
    solver.passModel(programme)
    left = dict.fromkeys(asked)
    fine: set[int] = set()
    proven: dict[int, set[int]] = {}
    while left:
        place, _ = left.popitem()
        solver.changeColCost(place, -1.0)
        solver.run()
        found = [place] if solver.getModelStatus() == highspy.HighsModelStatus.kUnbounded else []
        if solver.getModelStatus() == highspy.HighsModelStatus.kOptimal:
            # Any that is large in some answer can be, asked or not.
            solution = solver.getSolution()
            answer = np.asarray(solution.col_value)
            found = [n for n in np.flatnonzero(answer >= threshold - 1e-6).tolist() if n == place or n in left]
            if place not in found:
                proven[place] = {places[row] for row in np.flatnonzero(np.abs(solution.row_dual) > 1e-9).tolist()}
        solver.changeColCost(place, 0.0)
        fine.update(found)
        for n in found:
            left.pop(n, None)
    return fine, proven


@cache
def _quiet_solver() -> type[Any]:
    import highspy

    class Quiet(highspy.Highs):
        """Asked for no call back, which the library would announce on standard output."""

        def enableCallbacks(self) -> None:
            pass

    return Quiet


def _connected(lines: _Lines[Cell], hidden: set[Cell], asked: Iterable[Cell]) -> list[tuple[list[Cell], list[int]]]:
    """Hidden cells that sums tie together, those asked for among them, with the places of those sums: what can be
    looked at apart from the rest. In the order of their first sums."""
    found, seen = [], set[int]()
    for start in lines.of(asked):
        if start in seen:
            continue
        seen.add(start)
        names: dict[Cell, None] = {}
        reached, places = [start], []
        while reached:
            place = reached.pop()
            places.append(place)
            for cell in lines.cells_of(place):
                if cell in hidden and cell not in names:
                    names[cell] = None
                    more = [each for each in lines.touching[cell] if each not in seen]
                    seen.update(more)
                    reached += more
        found.append((list(names), places))
    return sorted(found, key=lambda each: min(each[1]))


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
