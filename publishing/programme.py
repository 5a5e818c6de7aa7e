"""Linear programmes: which sums of columns can come to their goals, by what is known of other sums.

Knows nothing of cells and print; ``publishing.ranges`` says what the columns are. HiGHS answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Answers of the solver are as exact as this, its prices as exact as that.
_EXACT, _PRICE = 1e-6, 1e-9
#: Of more questions than this at once the programme is asked together first.
_FEW = 3


class Row:
    """A sum of columns, each so often; ``above``: what that comes to."""

    __slots__ = ("above", "alike", "columns", "times")

    def __init__(self) -> None:
        self.columns: list[int] = []
        self.times: list[int] = []
        self.above, self.alike = 0, -1


class Programme:
    """Which of the questions (sums of columns) can come to their goals? Columns are at least 0 and ``above`` in truth;
    bounds are sums that come to a number or (True) to that at least, under the numbers of their rows."""

    def __init__(
        self,
        above: Sequence[int],
        bounds: Sequence[tuple[int, Row, int, bool]],
        questions: Sequence[Row],
        goals: Sequence[int],
    ) -> None:
        import numpy as np

        self._goals = np.array(goals, dtype=float)
        self._ends, self._columns, self._times = _flat(questions)
        self._numbers = [number for number, *_ in bounds]
        #: From the truth on, up and down, where little is asked: what answers it is near. Else from nothing on, up.
        near = len(questions) <= _FEW
        self._start = np.array(above, dtype=float) * near
        ends, columns, times = _flat([row for _, row, *_ in bounds])
        right = np.array([known for *_, known, _ in bounds], dtype=float)
        if near and len(bounds):
            right -= np.add.reduceat(self._start[columns] * times, ends[:-1])
        if near:
            ends, columns, times = ends * 2, _interleaved(columns, columns + len(above)), _interleaved(times, -times)
        self._endless = False
        self._solver = solver = _quiet_solver()()
        # From one answer to the next: the primal simplex, without reducing the programme.
        solver.setOptionValue("output_flag", False)
        solver.setOptionValue("presolve", "off")
        solver.setOptionValue("simplex_strategy", 4)
        solver.setOptionValue("simplex_iteration_limit", 100_000)
        most = np.concatenate((np.full(len(above), np.inf), self._start[: len(above) * near]))
        none = np.zeros(len(most))
        solver.addCols(len(most), none, none, most, 0, [], [], [])
        ends_at = np.where([more for *_, more in bounds], np.inf, right)
        solver.addRows(len(bounds), right, ends_at, len(columns), ends[:-1], columns, times)

    def answers(self) -> tuple[list[int], dict[int, list[int]]]:
        """The questions that can come to their goals, and of those that cannot the rows of the bounds that prove it,
        whatever becomes of the rest: those with a price in the answer. What the solver does not settle is in neither.

        Any that is large in some answer can be, whichever was asked; and what proves one small often proves others so.
        """
        import numpy as np

        left = np.ones(len(self._goals), dtype=bool)
        large: list[int] = []
        proofs: dict[int, list[int]] = {}
        if len(left) > _FEW:
            large += self._together(left)
        while left.any():
            place = int(np.flatnonzero(left)[-1])
            asked = slice(self._ends[place], self._ends[place + 1])
            self._cost(self._columns[asked], -self._times[asked])
            found, small, rows = self._one(place, left)
            self._cost(self._columns[asked], 0 * self._times[asked])
            large += found
            proofs |= dict.fromkeys(small, rows)
            left[[place, *found, *small]] = False
        return large, proofs

    def _one(self, place: int, left: NDArray[np.bool_]) -> tuple[list[int], list[int], list[int]]:
        """How large this one can be: which of those left that shows to be large, and which small, by which rows."""
        import numpy as np

        if (answer := self._answer()) is None:
            return [place] if self._endless else [], [], []
        sums = self._sums(answer)
        large = left & (sums > self._goals - _EXACT)
        if large[place]:
            return np.flatnonzero(large).tolist(), [], []
        # The bounds, each so often as it costs, add up to: what is asked and the columns' prices are no more than this.
        solution = self._solver.getSolution()
        price = np.array(solution.col_dual[: len(self._start)])
        asked = slice(self._ends[place], self._ends[place + 1])
        price[self._columns[asked]] += self._times[asked]
        share = np.minimum.reduceat(price[self._columns] / self._times, self._ends[:-1])
        some = share > _EXACT
        small = left & ~large & some & (sums[place] / np.where(some, share, 1) < self._goals - _EXACT)
        small[place] = True
        rows = [self._numbers[row] for row in np.flatnonzero(np.abs(solution.row_dual) > _PRICE).tolist()]
        return np.flatnonzero(large).tolist(), np.flatnonzero(small).tolist(), rows

    def _together(self, left: NDArray[np.bool_]) -> list[int]:
        """Many at once: the columns that are asked for, each no larger than asked, as large as they can be together.

        What comes out large is, and is no longer ``left``; of the rest nothing is known.
        """
        import numpy as np

        every, large = np.arange(len(self._start)), list[int]()
        columns, goals = self._columns[self._ends[:-1]], self._goals / self._times[self._ends[:-1]]
        single = np.diff(self._ends) == 1
        limit = np.zeros(len(every))
        np.maximum.at(limit, columns[single], goals[single])
        self._limit(every, np.where(limit > 0, limit, np.inf))
        while (asked := left & single).any():
            cost = np.zeros(len(every))
            cost[columns[asked]] = -1
            self._cost(every, cost)
            answer = self._answer()
            found = (
                [] if answer is None else np.flatnonzero(left & (self._sums(answer) > self._goals - _EXACT)).tolist()
            )
            left[found] = False
            large += found
            if not found:
                break
        self._cost(every, np.zeros(len(every)))
        self._limit(every, np.full(len(every), np.inf))
        return large

    def _answer(self) -> NDArray[np.float64] | None:
        """The columns that cost least; None where the solver has no answer."""
        import highspy
        import numpy as np

        self._solver.run()
        status = self._solver.getModelStatus()
        self._endless = status == highspy.HighsModelStatus.kUnbounded
        if status != highspy.HighsModelStatus.kOptimal:
            return None
        steps = np.array(self._solver.getSolution().col_value)
        count = len(self._start)
        return self._start + steps[:count] - (steps[count:] if len(steps) > count else 0)

    def _sums(self, answer: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the questions come to."""
        import numpy as np

        return np.add.reduceat(answer[self._columns] * self._times, self._ends[:-1])

    def _cost(self, columns: NDArray[np.integer], cost: NDArray[np.float64]) -> None:
        import numpy as np

        if self._solver.getNumCol() > len(self._start):
            columns, cost = _interleaved(columns, columns + len(self._start)), _interleaved(cost, -cost)
        self._solver.changeColsCost(len(columns), columns.astype(np.int32), cost)

    def _limit(self, columns: NDArray[np.integer], most: NDArray[np.float64]) -> None:
        import numpy as np

        self._solver.changeColsBounds(len(columns), columns.astype(np.int32), np.zeros(len(columns)), most)


def _flat(rows: Sequence[Row]) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """The rows one after another: where each begins (and the last ends), columns, how often."""
    import numpy as np

    ends = np.cumsum([0, *(len(row.columns) for row in rows)])
    columns = np.fromiter(chain.from_iterable(row.columns for row in rows), np.int32, ends[-1])
    times = np.fromiter(chain.from_iterable(row.times for row in rows), float, ends[-1])
    return ends, columns, times


def _interleaved(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    return np.column_stack((one, other)).ravel()


@cache
def _quiet_solver() -> type[Any]:
    import highspy

    class Quiet(highspy.Highs):
        """Asked for no call back, which the library would announce on standard output."""

        def enableCallbacks(self) -> None:
            pass

    return Quiet
