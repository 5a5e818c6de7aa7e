"""Small cells (小数保护): which figures about people are too small to be printed, and which would give them away.

Whatever is public (the ranking tables, the notice, the page) asks here, so that two of them never together tell what
each of them hides. The warehouse itself is internal and complete. The rule and its limits: docs/decisions/0011.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
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
        for among, number in told:
            others = {cell for cell in among if cells[cell] > 0} - hidden
            hidden.update(heapq.nsmallest(number, others, key=lambda cell: (cells[cell], str(cell))))
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
    tied = [_Tied.of(cells, names, lines) for names, lines in _connected(sums, hidden) if not small.isdisjoint(names)]
    left = [[place for place, name in enumerate(each.names) if name in small] for each in tied]
    single = [False] * len(tied)
    told = [0] * len(tied)
    while asked := {n: places[:1] if single[n] else places for n, places in enumerate(left) if places}:
        answers = _large_at_once([tied[n] for n in asked], list(asked.values()), threshold)
        for (n, places), found in zip(asked.items(), answers, strict=True):
            # Any that is large in some answer can be, asked or not.
            fine = found.intersection(left[n])
            large.update(tied[n].names[place] for place in fine)
            if single[n] and places[0] not in fine:
                told[n] += 1
                fine.add(places[0])
            single[n] = single[n] or not fine
            left[n] = [place for place in left[n] if place not in fine]
    return [
        ([cell for whole, parts in each.sums for cell in (whole, *parts)], number)
        for each, number in zip(tied, told, strict=True)
        if number
    ]


@dataclass(frozen=True)
class _Tied:
    """Hidden cells that sums tie together, and those sums as equations: what the hidden ones of each add up to."""

    names: list[Any]
    sums: list[Sum[Any]]
    rows: Any
    columns: Any
    signs: Any
    right: Any

    @classmethod
    def of(cls, cells: Mapping[Cell, float], names: list[Cell], sums: list[Sum[Cell]]) -> _Tied:
        import numpy as np

        at = {cell: place for place, cell in enumerate(names)}
        entries = [
            (row, at[cell], sign)
            for row, (whole, parts) in enumerate(sums)
            for cell, sign in ((whole, 1), *((part, -1) for part in parts))
            if cell in at
        ]
        rows, columns, signs = np.array(entries, dtype=np.int64).T
        right = np.zeros(len(sums))
        np.add.at(right, rows, signs * np.array([cells[name] for name in names], dtype=float)[columns])
        return cls(names, sums, rows, columns, signs, right)


def _large_at_once(tied: Sequence[_Tied], asked_of: Sequence[list[int]], threshold: int) -> list[set[int]]:
    """Of each, the places of the cells that are as large as the threshold in an answer that has as many as possible of
    those asked for. One problem for all: they share no cell, each has its own answer in it."""
    import numpy as np  # scipy takes a third of a second: only where something is small
    from scipy.optimize import linprog
    from scipy.sparse import csr_array

    ends = np.cumsum([0, *(len(each.names) for each in tied)])
    lines = np.cumsum([0, *(len(each.sums) for each in tied)])
    asked = np.concatenate([np.array(places) + start for places, start in zip(asked_of, ends[:-1], strict=True)])
    cells, extra = int(ends[-1]), len(asked)
    rows = np.concatenate([each.rows + start for each, start in zip(tied, lines[:-1], strict=True)])
    columns = np.concatenate([each.columns + start for each, start in zip(tied, ends[:-1], strict=True)])
    signs = np.concatenate([each.signs for each in tied]).astype(float)
    order, ones = np.arange(extra), np.ones(extra)
    # As many as possible as large as possible; what is more than the threshold counts no more.
    answer = linprog(
        np.concatenate([np.zeros(cells), -ones]),
        A_ub=csr_array(
            (np.concatenate([-ones, ones]), (np.tile(order, 2), np.concatenate([asked, cells + order]))),
            shape=(extra, cells + extra),
        ),
        b_ub=np.zeros(extra),
        A_eq=csr_array((signs, (rows, columns)), shape=(int(lines[-1]), cells + extra)),
        b_eq=np.concatenate([each.right for each in tied]),
        bounds=np.concatenate([np.tile([1, np.inf], (cells, 1)), np.tile([0, threshold], (extra, 1))]),
    )
    if answer.x is None:
        return [set() for _ in tied]
    enough = answer.x[:cells] >= threshold - 1e-6
    return [set(np.flatnonzero(enough[a:b]).tolist()) for a, b in pairwise(ends)]


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

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection) -> Withheld:
        """Decides for every period's newest revision at once: also the periods are parts of one another."""
        metrics = connection.execute(
            "SELECT period_code, unit_code, area, metric, coalesce(denominator, numerator) FROM marts.unit_metrics "
            "WHERE NOT list_contains(?, area)",
            [sorted(AREAS_WITHOUT_PEOPLE)],
        ).fetchall()
        totals = connection.execute(
            "SELECT period_code, area, figure, CASE WHEN contains(figure, '/') THEN numerator "
            "ELSE coalesce(denominator, numerator) END FROM marts.period_totals WHERE NOT list_contains(?, area)",
            [sorted(AREAS_WITHOUT_PEOPLE)],
        ).fetchall()
        return _withheld(metrics, totals)

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
    hidden = suppress(cells, [*_sums_of_units(cells), *_sums_of_parts(cells), *_sums_of_periods(cells)])
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


def _sums_of_parts(cells: Mapping[_Place, int]) -> Iterator[Sum[_Place]]:
    dimensions = defaultdict(list)
    for period, unit, area, figure in cells:
        whole, mark, part = figure.partition("/")
        if mark and not unit:
            dimensions[period, area, whole, part.partition("=")[0]].append((period, "", area, figure))
    for (period, area, whole, _), parts in dimensions.items():
        yield (period, "", area, whole), parts


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
