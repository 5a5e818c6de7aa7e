"""No small cell can be computed from what is printed: an attacker with linear programming tries."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from publishing import programme, small_cells, suppression
from publishing.small_cells import THRESHOLD, Withheld

suppress = partial(suppression.suppress, threshold=THRESHOLD)

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
            if name in at:  # by how much the sum is out is known too
                row[at[name]] += sign
                known += sign * cells[name]
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


@st.composite
def anything(draw: st.DrawFn) -> Table:
    """Sums of sums, of the same cells again and again; some out, of nothing, of cells that are none, in circles."""
    number = st.one_of(st.integers(1, 4), st.integers(0, 12))
    cells = {f"c{place}": draw(number) for place in range(draw(st.integers(2, 9)))}
    sums = []
    for place in range(draw(st.integers(1, 7))):
        parts = draw(st.lists(st.sampled_from([*cells]), min_size=2, max_size=4, unique=True))
        cells[f"s{place}"] = sum(cells[part] for part in parts) + draw(st.sampled_from([0, 0, 0, 2]))
        sums.append((f"s{place}", parts))
    some = st.sampled_from([*cells, "other"])
    for whole, parts in draw(st.lists(st.tuples(some, st.lists(some, max_size=3, unique=True)), max_size=2)):
        sums.append((whole, [part for part in parts if part != whole]))
    # Where all that is hidden is a zero after all, there is no saying what an outsider would make of it.
    return cells | {whole: cells[whole] or 1 for whole, _ in sums if whole in cells}, sums


def as_the_rule_says(cells: Mapping[str, int], sums: Sequence[tuple[str, Sequence[str]]]) -> set[str]:
    """The decision by the letter of the rule: all at once, nothing kept from one round to the next."""
    known = [(whole, [part for part in parts if part in cells]) for whole, parts in sums if whole in cells]
    small = {name for name, value in cells.items() if 0 < value < THRESHOLD}
    hidden = set(small)

    def smallest(names: set[str], number: int) -> list[str]:
        return sorted({name for name in names if cells[name] > 0} - hidden, key=lambda n: (cells[n], n))[:number]

    def within_sums(since: set[str]) -> None:
        waiting = [each for each in known if since & {each[0], *each[1]}]
        while waiting:
            whole, parts = waiting.pop()
            unknown = [part for part in parts if part in hidden]
            enough = sum(cells[part] for part in unknown) >= THRESHOLD + len(unknown) - 1 and len(unknown) > 1
            if (unknown and whole in hidden) or (whole not in hidden and (enough or not unknown)):
                continue
            chosen = smallest(set(parts), 1) or [whole]
            if chosen[0] not in hidden:
                hidden.update(chosen)
                waiting += [each for each in known if chosen[0] in (each[0], *each[1])]

    since = hidden
    while since:
        within_sums(since)
        groups: list[tuple[set[str], set[int]]] = []  # hidden cells that sums tie together, and their sums
        for place, (whole, parts) in enumerate(known):
            mine = hidden & {whole, *parts}
            tied = [group for group in groups if group[0] & mine]
            groups = [group for group in groups if group not in tied]
            groups += [(mine.union(*(g[0] for g in tied)), {place}.union(*(g[1] for g in tied)))] if mine else []
        more = set[str]()
        for names, places in sorted(groups, key=lambda group: min(group[1])):
            told = [n for n in small & names if range_of(n, cells, known, hidden)[1] < THRESHOLD - 1e-6]
            among = {name for place in places for name in (known[place][0], *known[place][1])}
            more.update(smallest(among - more, len(told)))
        hidden |= more
        since = more
    return hidden


#: Five units' dispatches: one small, the county's total in print beside the others.
LONE = ({"a": 3, "b": 9, "c": 20, "d": 31, "all": 63}, [("all", ["a", "b", "c", "d"])])
#: July and August of one unit; two units, each with one small month (a table in which every line looks safe).
MONTHS = ({"jul": 3, "aug": 8, "both": 11}, [("both", ["jul", "aug"])])
CROSSED = (
    {"u0m0": 0, "u0m1": 1, "u1m0": 1, "u1m1": 4, "u0p0": 1, "u1p0": 5, "allm0": 1, "allm1": 5, "allp0": 6},
    [("u0p0", ["u0m0", "u0m1"]), ("u1p0", ["u1m0", "u1m1"]), ("allm0", ["u0m0", "u1m0"]), ("allm1", ["u0m1", "u1m1"]),
     ("allp0", ["u0p0", "u1p0"]), ("allp0", ["allm0", "allm1"])],
)  # fmt: skip


def side_by_side(seed: int) -> Table:
    """Two counties of three units and two months each, and their sum."""
    number = random.Random(seed)
    cells: dict[str, int] = {}
    sums = []
    for county_ in "ab":
        for unit in ("u0", "u1", "u2"):
            parts = [f"{county_}{unit}m0", f"{county_}{unit}m1"]
            cells |= {part: number.choice([1, 2, 4, 5, 6, 9, 20]) for part in parts}
            sums.append((f"{county_}{unit}p", parts))
        sums += [(f"{county_}all{at}", [f"{county_}{unit}{at}" for unit in ("u0", "u1", "u2")]) for at in ("m0", "m1")]
        sums.append((f"{county_}allp", [f"{county_}allm0", f"{county_}allm1"]))
    sums.append(("top", ["aallp", "ballp"]))
    for whole, parts in sums:
        cells[whole] = sum(cells[part] for part in parts)
    return cells, sums


def twice(table: Table) -> Table:
    """Each whole printed twice: both are sums of the parts, and of one another."""
    cells, sums = table
    again = {whole: f"{whole} again" for whole, _ in sums}
    copies = [(again[whole], parts) for whole, parts in sums]
    circles = [pair for whole, copy in again.items() for pair in ((whole, [copy]), (copy, [whole]))]
    return {**cells, **{copy: cells[whole] for whole, copy in again.items()}}, [*sums, *copies, *circles]


@settings(max_examples=120, deadline=None)
@given(st.one_of(county(), anything()), st.sampled_from([0, 3]))
def test_the_decision_is_the_rule_s(table: Table, few: int) -> None:
    cells, sums = table
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(programme, "_FEW", few)  # both ways of asking the solver
        assert suppress(cells, sums) == as_the_rule_says(cells, sums)


@pytest.mark.parametrize(
    "table", [twice(CROSSED), *map(side_by_side, (2, 8, 15, 31))], ids=["circles", *["side by side"] * 4]
)
def test_what_is_not_tied_to_a_small_cell_is_not_hidden_for_it(table: Table) -> None:
    assert suppress(*table) == as_the_rule_says(*table)


def exposed(table: Table, hidden: set[str]) -> list[str]:
    """Small cells of which the attacker knows that they are small."""
    cells, sums = table
    small = [name for name, value in cells.items() if 0 < value < THRESHOLD]
    return [name for name in small if name not in hidden or range_of(name, cells, sums, hidden)[1] < THRESHOLD]


@pytest.mark.parametrize("table", [LONE, MONTHS, CROSSED], ids=["lone", "months", "crossed"])
def test_without_the_secondary_cells_the_small_ones_are_computed(table: Table) -> None:
    cells, sums = table
    primary = {name for name, value in cells.items() if 0 < value < THRESHOLD}
    assert exposed(table, primary)
    assert not exposed(table, suppress(cells, sums))


def test_the_next_smallest_is_hidden_and_no_more() -> None:
    cells, sums = LONE
    assert suppress(cells, sums) == {"a", "b"}
    assert suppress({"a": 0, "b": 9, "all": 9}, [("all", ["a", "b"])]) == set()
    assert suppress({"a": 1, "b": 1, "all": 2}, [("all", ["a", "b"])]) == {"a", "b", "all"}
    # A whole that is not printed gives nothing away.
    assert suppress({"a": 3, "b": 9}, [("all", ["a", "b"])]) == {"a"}


def test_each_half_of_the_secondary_rule_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    cells, sums = CROSSED
    monkeypatch.setattr(suppression._Table, "_told", lambda *_: [])
    assert exposed(CROSSED, suppress(cells, sums)), "sum by sum the table looks safe; only all sums together tell"
    monkeypatch.undo()
    monkeypatch.setattr(suppression._Table, "_hide_within_sums", lambda *_: None)
    assert not exposed(CROSSED, suppress(cells, sums)), "the check of all sums alone is enough, with more hidden"


def test_what_counts_no_people_is_never_withheld() -> None:
    metrics = [("2022-07", unit, area, "posts", 3) for unit in ("U01", "U02") for area in ("platform", "new_area")]
    withheld = small_cells._withheld([*metrics, ("2022-07", "", "platform", "posts", 6)])
    assert withheld.metric("2022-07", "U01", "platform", "posts")
    assert withheld.metric("2022-07", "U01", "new_area", "posts"), "an area nobody has declared counts people"
    assert not withheld.metric("2022-07", "U01", "website", "posts")
    assert not withheld.total("2022-07", "platform", "posts")


def test_a_unit_s_dispatches_and_its_tickets_are_withheld_together() -> None:
    dispatches, tickets = {"U01": 5, "U02": 30, "U03": 40}, {"U01": 4, "U02": 30, "U03": 40}
    metrics = [("2022-07", unit, "hotline", "dispatched", size) for unit, size in dispatches.items()]
    totals = [("2022-07", "", "hotline", f"dispatched/unit={unit}", size) for unit, size in tickets.items()]
    withheld = small_cells._withheld([*metrics, *totals, ("2022-07", "", "hotline", "dispatched", 74)])
    assert withheld.total("2022-07", "hotline", "dispatched/unit=U01")
    assert withheld.metric("2022-07", "U01", "hotline", "dispatched")


def test_only_the_year_whose_figures_changed_is_decided_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decided: list[str] = []
    decide = small_cells._withheld

    def noted(figures: list) -> Withheld:
        decided.append(figures[0][0][:4])
        return decide(figures)

    monkeypatch.setattr(small_cells, "_withheld", noted)
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE SCHEMA marts; CREATE TABLE marts.unit_metrics AS "
            "SELECT period_code, unit_code, area, 'dispatched' AS metric, numerator, NULL::DOUBLE AS denominator "
            "FROM (VALUES ('2022-12'), ('2023-01')) AS p(period_code), (VALUES ('website'), ('hotline')) AS a(area), "
            "(VALUES ('U01', 3.0), ('U02', 6.0), ('U03', 40.0)) AS u(unit_code, numerator); "
            "CREATE TABLE marts.period_totals AS SELECT period_code, area, 'dispatched' AS figure, "
            "sum(numerator) AS numerator, NULL::DOUBLE AS denominator FROM marts.unit_metrics GROUP BY ALL"
        )
        first = Withheld.of(connection)
        assert first.metric("2022-12", "U02", "hotline", "dispatched")
        first.write(tmp_path / "withheld.json")
        earlier = Withheld.read(tmp_path / "withheld.json")
        assert Withheld.of(connection, earlier) == Withheld(first.metrics, first.totals, earlier)
        assert decided == ["2022", "2023"]
        connection.execute(
            "UPDATE marts.unit_metrics SET numerator = 9 WHERE period_code = '2023-01' AND unit_code = 'U01'"
        )
        second = Withheld.of(connection, earlier)
        assert decided == ["2022", "2023", "2023"]
        assert not second.metric("2023-01", "U02", "hotline", "dispatched")
        assert second == Withheld.of(connection)
