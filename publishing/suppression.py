"""Which cells of a table with sums must stay unprinted so that none of the small ones can be computed.

Knows cells and sums and nothing of counties; ``publishing.small_cells`` says what they are. The same cells and sums
give the same decision: what is asked of the solver are facts (how large can a cell be?), not one of several answers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

from publishing.ranges import Ranges

Cell = TypeVar("Cell", bound=Hashable)
#: A whole and its parts.
Sum = tuple[Cell, Sequence[Cell]]


def suppress(cells: Mapping[Cell, int], sums: Iterable[Sum[Cell]], threshold: int) -> set[Cell]:
    """The cells that must not be printed: the small ones, and others that keep each small one from being computed.

    Zeros are printed: nobody is behind them. Somebody who knows every printed cell, all sums (and by how much a whole
    differs from its parts) and that no hidden cell is zero, must find it possible for each small cell to be as large
    as the threshold. Until it is, the smallest cell of its sums is hidden too. A whole that is no cell is not printed.
    """
    small = {cell for cell, value in cells.items() if 0 < value < threshold}
    known = [(whole, [part for part in parts if part in cells]) for whole, parts in sums if whole in cells]
    hidden = set(small)
    for apart in _apart(known, small):
        hidden.update(_Table(cells, apart, threshold).decide())
    return hidden


def _apart(sums: Sequence[Sum[Cell]], small: set[Cell]) -> Iterator[list[Sum[Cell]]]:
    """The sums in groups that share no cell, which can be decided one by one; only those that hold a small cell."""
    tied = _Joined(len(sums))
    first: dict[Cell, int] = {}
    for place, (whole, parts) in enumerate(sums):
        for cell in (whole, *parts):
            tied.join(first.setdefault(cell, place), place)
    wanted = {tied.of(first[cell]) for cell in small & first.keys()}
    groups = defaultdict(list)
    for place, each in enumerate(sums):
        if (group := tied.of(place)) in wanted:
            groups[group].append(each)
    yield from groups.values()


class _Joined:
    """Numbers in groups that grow together; a group is called by the least number in it."""

    def __init__(self, count: int) -> None:
        self._least = list(range(count))

    def of(self, number: int) -> int:
        least = self._least
        while least[number] != number:
            least[number] = number = least[least[number]]
        return number

    def join(self, one: int, other: int) -> None:
        one, other = self.of(one), self.of(other)
        self._least[max(one, other)] = min(one, other)


class _Table(Generic[Cell]):
    """Sums that hang together, and what of their cells is hidden. Cells are numbers here, from the smallest on."""

    def __init__(self, cells: Mapping[Cell, int], sums: Sequence[Sum[Cell]], threshold: int) -> None:
        names = dict.fromkeys(cell for whole, parts in sums for cell in (whole, *parts))
        self._names = sorted(names, key=lambda cell: (cells[cell], str(cell)))
        number = {cell: place for place, cell in enumerate(self._names)}
        self._values = [cells[cell] for cell in self._names]
        self._sums = [(number[whole], [number[part] for part in parts]) for whole, parts in sums]
        self._threshold = threshold
        self._touching: list[list[int]] = [[] for _ in self._names]
        for place, (whole, parts) in enumerate(self._sums):
            for cell in (whole, *parts):
                self._touching[cell].append(place)
        self._hidden = [False] * len(self._names)
        #: Of each sum: how many parts are hidden, and what they add up to.
        self._parts_hidden = [0] * len(sums)
        self._sum_hidden = [0] * len(sums)
        #: Sums with a hidden cell in common.
        self._tied = _Joined(len(sums))
        self._ranges = Ranges(self._values, self._sums, threshold)

    def decide(self) -> list[Cell]:
        """What is hidden, the small cells among it."""
        small = [cell for cell, value in enumerate(self._values) if 0 < value < self._threshold]
        self._hide(small)
        self._hide_within_sums(small)
        while told := self._told(small):
            more: list[int] = []
            for group, number in told:
                more += self._smallest(group, number, more)
            if not more:  # all that anybody is behind is hidden already
                break
            self._hide(more)
            self._hide_within_sums(more)
        return [name for name, hidden in zip(self._names, self._hidden, strict=True) if hidden]

    def _hide(self, cells: Iterable[int]) -> None:
        for cell in cells:
            self._hidden[cell] = True
            places = self._touching[cell]
            for place in places:
                self._tied.join(places[0], place)
                if self._sums[place][0] != cell:
                    self._parts_hidden[place] += 1
                    self._sum_hidden[place] += self._values[cell]
            self._ranges.hide(cell)

    def _hide_within_sums(self, since: Iterable[int]) -> None:
        """What a sum asks for by itself: its k hidden parts add up to ``threshold + k - 1``, so that each can be large.

        ``since``: what was hidden since all sums had what they ask for; those that hold none of it still have it.
        """
        waiting = sorted({place for cell in since for place in self._touching[cell]})
        while waiting:
            place = waiting.pop()
            whole, parts = self._sums[place]
            unknown = self._parts_hidden[place]
            if self._hidden[whole]:
                enough = unknown > 0
            else:
                enough = not unknown or (unknown > 1 and self._sum_hidden[place] >= self._threshold + unknown - 1)
            if enough:
                continue
            others = [part for part in parts if not self._hidden[part] and self._values[part] > 0]
            if not others and self._hidden[whole]:
                continue
            chosen = min(others, default=whole)
            self._hide([chosen])
            waiting += self._touching[chosen]

    def _told(self, small: Iterable[int]) -> list[tuple[int, int]]:
        """Groups of sums that are tied together by what is hidden, by their first, and how many of the small cells in
        each cannot be as large as the threshold, given what is printed."""
        told: dict[int, int] = defaultdict(int)
        for cell in self._ranges.kept_small(small):
            told[self._tied.of(self._touching[cell][0])] += 1
        return sorted(told.items())

    def _smallest(self, group: int, number: int, taken: Sequence[int]) -> list[int]:
        """The ``number`` smallest cells that are in print in these sums, but for zeros and ``taken``."""
        found: list[int] = []
        for cell, value in enumerate(self._values):
            if len(found) == number:
                break
            if value == 0 or self._hidden[cell] or cell in taken:
                continue
            if any(self._tied.of(place) == group for place in self._touching[cell]):
                found.append(cell)
        return found
