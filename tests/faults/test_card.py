"""The card of input faults: a stride over every case is free of wrong outcomes, and the judge itself can fail."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from faults import card
from faults.cases import CASES
from faults.judge import EXACT, QUARANTINE, REFUSE, WRONG, Expect, Observed, judge

GOOD = Counter({("K1", "一", 1): 1, ("K2", "二", 2): 1, ("K3", "三", 3): 1})
EXPECT = Expect(GOOD, frozenset({EXACT}), lines=4, secrets=frozenset({"13912345678"}))
RIGHT = Observed(rows=Counter(GOOD), rows_in=3, rows_loaded=3, rows_other=1)


@pytest.mark.slow
def test_no_variant_of_the_quick_card_is_wrong() -> None:
    tally = card.run(card.chosen(quick=True))
    assert tally.wrong == []
    assert set(tally.outcomes) == {case.name for case in CASES}
    assert all(counts.total() >= card.QUICK_LEAST for counts in tally.outcomes.values())


def test_the_judge_knows_the_three_good_outcomes() -> None:
    anything = replace(EXPECT, may=frozenset({EXACT, QUARANTINE, REFUSE}))
    assert judge(EXPECT, RIGHT).outcome == EXACT
    aside = Observed(rows=GOOD - Counter({("K3", "三", 3): 1}), quarantined=[4], rows_in=3, rows_loaded=2, rows_other=1)
    assert judge(replace(anything, spreads=True), aside).outcome == QUARANTINE
    assert judge(anything, Observed(refusal="export.csv: cut")).outcome == REFUSE


def shifted() -> Observed:
    rows = Counter({("K1", 1, "一"): 1, ("K2", "二", 2): 1, ("K3", "三", 3): 1})
    return replace(RIGHT, rows=rows)


@pytest.mark.parametrize(
    ("observed", "why"),
    [
        (replace(RIGHT, rows=GOOD - Counter({("K2", "二", 2): 1}), rows_in=2, rows_loaded=2), "good rows lost"),
        (replace(RIGHT, rows=GOOD + Counter({("K2", "二", 2): 1}), rows_in=4, rows_loaded=4), "doubled"),
        (shifted(), "differs from the nearest good row"),
        (replace(RIGHT, rows_other=0), "physical lines"),
        (replace(RIGHT, rows_in=4), "rows in"),
        (replace(RIGHT, text="… 13912345678 …"), "personal data"),
        (replace(RIGHT, leftovers=["staged/x.tmp"]), "left behind"),
        (replace(RIGHT, breaches=["took 9 s"]), "took 9 s"),
        (Observed(crash="KeyError: 'x'"), "raw KeyError"),
        (Observed(refusal="export.csv: cut"), "refuse, where only exact"),
        (replace(RIGHT, quarantined=[3]), "quarantine, where only exact"),
    ],
)
def test_the_judge_can_fail(observed: Observed, why: str) -> None:
    verdict = judge(EXPECT, observed)
    assert verdict.outcome == WRONG
    assert why in verdict.why
