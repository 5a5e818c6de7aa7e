"""How large a hidden cell can be, for somebody who knows all that is printed and the sums.

The hidden cells may be anything from 1 on by which the sums hold. Most cells are sums of others: a linear programme
(``publishing.programme``) is asked of the base cells alone, those that are sums of none, and only what is printed of
the others binds them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from publishing.programme import Programme, Row


class Ranges:
    """Cells by number, with their values, and sums of them (a whole, its parts); nothing is hidden at first."""

    def __init__(self, values: Sequence[int], sums: Sequence[tuple[int, Sequence[int]]], threshold: int) -> None:
        self._values = values
        self._threshold = threshold
        made_of, relations = _made_of(len(values), sums)
        #: Each cell is a row, and so is what else is known of base cells. Of each base cell the rows that hold it, and
        #: how often.
        self._holders: dict[int, list[tuple[int, int]]] = {}
        for row, made in enumerate([*made_of, *relations]):
            for base, times in made.items():
                self._holders.setdefault(base, []).append((row, times))
        #: A whole goes without saying while all parts of one of its sums are printed: how many such sums it has. Of
        #: each part these sums, and their wholes; a whole of a higher number than its parts, so not round in a circle.
        self._implied = [0] * len(values)
        self._implies: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._broken: set[int] = set()
        for place, (whole, parts) in enumerate(sums):
            if whole > max(parts, default=-1):
                self._implied[whole] += 1
                for part in parts:
                    self._implies[part].append((place, whole))
        self._hidden: set[int] = set()
        #: By how much the hidden base cells are above 1: each is a column.
        self._above: list[int] = []
        self._rows: dict[int, Row] = {}
        #: Rows of the same columns bear the same number.
        self._alike: dict[tuple[int, int, int], int] = {}
        #: What can be large with some cells hidden can be so with more of them hidden: it is not asked again.
        self._large: set[int] = set()
        #: Cells that cannot be large, with the rows that prove it: until something in these is hidden.
        self._proofs: dict[int, set[int]] = {}
        self._changed: set[int] = set()

    def hide(self, cell: int) -> None:
        """Takes a cell out of print."""
        self._hidden.add(cell)
        self._changed.add(cell)
        for place, whole in self._implies[cell]:
            if place not in self._broken:
                self._broken.add(place)
                self._implied[whole] -= 1
        if holders := self._holders.get(cell):
            column, above = len(self._above), self._values[cell] - 1
            self._above.append(above)
            for number, times in holders:
                row = self._rows.setdefault(number, Row())
                row.columns.append(column)
                row.times.append(times)
                row.above += above * times
                row.alike = self._alike.setdefault((row.alike, column, times), len(self._alike))
                self._changed.add(number)

    def kept_small(self, cells: Iterable[int]) -> list[int]:
        """Those of these hidden cells that cannot be as large as the threshold, given what is printed."""
        self._proofs = {cell: rows for cell, rows in self._proofs.items() if rows.isdisjoint(self._changed)}
        self._changed.clear()
        left = [cell for cell in cells if cell not in self._large]
        asked = []
        for cell in left:
            if cell not in self._rows:  # all that it is made of is printed
                self._proofs[cell] = {cell}
            elif cell not in self._proofs:
                asked.append(cell)
        if asked:
            large, proofs = self._programme(asked).answers()
            self._large.update(asked[place] for place in large)
            self._proofs |= {asked[place]: {asked[place], *rows} for place, rows in proofs.items()}
        return [cell for cell in left if cell not in self._large]

    def _programme(self, asked: Sequence[int]) -> Programme:
        bounds: dict[tuple[int, bool], tuple[int, Row, int]] = {}
        for number, row in self._rows.items():
            if number not in self._hidden:
                if number < len(self._implied) and self._implied[number]:
                    continue
                bounds.setdefault((row.alike, False), (number, row, row.above))
            # A hidden sum is at least 1, which goes without saying where its base cells are.
            elif (least := row.above + 1 - self._values[number]) > 0 or min(row.times) < 0:
                bounds[number, True] = (number, row, least)
        questions = [self._rows[cell] for cell in asked]
        goals = [self._threshold - self._values[cell] + row.above for cell, row in zip(asked, questions, strict=True)]
        return Programme(self._above, [(*bound, more) for (_, more), bound in bounds.items()], questions, goals)


def _made_of(
    count: int, sums: Sequence[tuple[int, Sequence[int]]]
) -> tuple[list[dict[int, int]], list[dict[int, int]]]:
    """Of each cell the base cells that it is the sum of (itself, where it is one), each with how often; and what sums
    say beyond that: base cells whose sum, each so often, is known.

    A whole is its first sum's parts; sums that would lead round in a circle are left to what is said beyond.
    """
    sums_of = defaultdict(list)
    for place, (whole, _) in enumerate(sums):
        sums_of[whole].append(place)
    made: dict[int, dict[int, int]] = {}
    used: set[int] = set()
    under_way: set[int] = set()

    def expand(cell: int) -> bool:
        """Whether it can be said already what the cell is made of."""
        if cell in made or cell in under_way:
            return cell in made
        under_way.add(cell)
        for place in sums_of[cell]:
            if all(expand(part) for part in sums[place][1]):
                used.add(place)
                made[cell] = _added(made, sums[place][1])
                break
        else:
            made[cell] = {cell: 1}
        under_way.discard(cell)
        return True

    for cell in range(count):
        expand(cell)
    relations = []
    for place, (whole, parts) in enumerate(sums):
        if place not in used:
            rest = _added(made, parts)
            if rest != made[whole]:
                less = {base: rest.get(base, 0) - made[whole].get(base, 0) for base in (*rest, *made[whole])}
                relations.append({base: times for base, times in less.items() if times})
    return [made[cell] for cell in range(count)], relations


def _added(made: Mapping[int, dict[int, int]], parts: Sequence[int]) -> dict[int, int]:
    total: dict[int, int] = {}
    for part in parts:
        total |= made[part]
    if len(total) < sum(len(made[part]) for part in parts):  # some base cell is in more than one
        total = defaultdict(int)
        for part in parts:
            for base, times in made[part].items():
                total[base] += times
    return total
