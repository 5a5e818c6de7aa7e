"""No small cell can be computed from what is printed: an attacker with linear programming tries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from publishing.small_cells import THRESHOLD, suppress

Table = tuple[dict[str, int], list[tuple[str, list[str]]]]


def range_of(
    cell: str, cells: Mapping[str, float], sums: Sequence[tuple[str, Sequence[str]]], hidden: set[str]
) -> tuple[float, float]:
    """What an outsider can say of a hidden cell who knows all others, the sums, and that no hidden cell is zero."""
    order = sorted(hidden)
    at = {name: place for place, name in enumerate(order)}
    rows, right = [], []
    for whole, parts in sums:
        row, known = np.zeros(len(order)), 0.0
        for name, sign in ((whole, 1), *((part, -1) for part in parts)):
            if name in at:
                row[at[name]] += sign
            else:
                known -= sign * cells[name]
        rows.append(row)
        right.append(known)
    goal = np.zeros(len(order))
    goal[at[cell]] = 1
    ends = [linprog(sign * goal, A_eq=np.array(rows), b_eq=np.array(right), bounds=(1, None)) for sign in (1, -1)]
    assert all(end.status in (0, 3) for end in ends), "the attacker's own equations hold"
    low, high = (sign * end.fun if end.status == 0 else sign * np.inf for sign, end in zip((1, -1), ends, strict=True))
    return low, abs(high)


@st.composite
def county(draw: st.DrawFn) -> Table:
    """Units by months with a total of each month, and periods of two months with theirs."""
    units, months = draw(st.integers(1, 5)), draw(st.sampled_from([1, 2, 4]))
    number = st.one_of(st.integers(0, 7), st.integers(0, 60))
    cells = {f"u{u}m{m}": draw(number) for u in range(units) for m in range(months)}
    sums = []
    for pair in range(0, months - 1, 2):
        for u in range(units):
            parts = [f"u{u}m{pair}", f"u{u}m{pair + 1}"]
            cells[f"u{u}p{pair}"] = sum(cells[part] for part in parts)
            sums.append((f"u{u}p{pair}", parts))
    for column in [f"m{m}" for m in range(months)] + [f"p{m}" for m in range(0, months - 1, 2)]:
        parts = [f"u{u}{column}" for u in range(units)]
        cells[f"all{column}"] = sum(cells[part] for part in parts)
        sums.append((f"all{column}", parts))
    sums += [(f"allp{pair}", [f"allm{pair}", f"allm{pair + 1}"]) for pair in range(0, months - 1, 2)]
    return cells, sums


@settings(max_examples=40, deadline=None)
@given(county())
def test_no_small_cell_can_be_told_from_a_large_one(table: Table) -> None:
    cells, sums = table
    hidden = suppress(cells, sums)
    small = {name for name, value in cells.items() if 0 < value < THRESHOLD}
    assert small <= hidden
    assert not {name for name in hidden if cells[name] == 0}
    for name in small:
        low, high = range_of(name, cells, sums, hidden)
        assert low < high and high >= THRESHOLD, (name, low, high)
