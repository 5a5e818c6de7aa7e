"""The card of faults: a stride over it is free of wrong outcomes, and the judge of inputs can itself fail."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from faults import card
from faults.cases import CASES, api, drop, repeats, volume, workbooks_hostile
from faults.judge import EXACT, QUARANTINE, REFUSE, WRONG, Expect, Observed, judge
from faults.workplace import Workplace
from ingestion.contracts import CONTRACTS, SYSTEMS
from ingestion.home import PROJECT

GOOD = Counter({("K1", "一", 1): 1, ("K2", "二", 2): 1, ("K3", "三", 3): 1})
EXPECT = Expect(GOOD, frozenset({EXACT}), lines=4, secrets=frozenset({"13912345678"}))
RIGHT = Observed(rows=Counter(GOOD), rows_in=3, rows_loaded=3, rows_other=1)


@pytest.fixture(autouse=True)
def contracts_as_they_were() -> Iterator[None]:
    """The card gives real data contracts of its own; the tests after it know only the ten datasets."""
    before = [(table, dict(table)) for table in (CONTRACTS, SYSTEMS)]
    yield
    for table, content in before:
        table.clear()
        table.update(content)  # type: ignore[arg-type]


@pytest.mark.slow
def test_no_variant_of_the_quick_card_is_wrong(tmp_path: Path) -> None:
    # By its command: what it preloads, and the children it forks, want a process of their own.
    out = tmp_path / "card.json"
    command = [sys.executable, "-m", "faults", "--quick", "--out", str(out)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    told = json.loads(out.read_text("utf-8")) if out.exists() else {"wrong": done.stderr}
    assert told["wrong"] == []
    assert done.returncode == 0
    rows = {row["case"]: row["variants"] for row in told["rows"]}
    left_out = {name for name, count in card.QUICK_OPERATION.items() if not count}
    assert set(rows) == {case.name for case in CASES} - left_out
    assert all(count >= card.QUICK_OPERATION.get(name, card.QUICK_LEAST) for name, count in rows.items())


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


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    # The workplace sets the key of its own home; it is put back at the end.
    monkeypatch.setenv("TONGBAO_PII_KEY", "")
    made = Workplace(tmp_path)
    yield made
    made.remove()


def test_a_staging_rule_that_forgets_the_order_is_noticed(
    place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older deletion must not win: it does where the rule orders the other way."""
    (variant,) = (one for one in repeats.variants() if one.name == "hotline_tickets/older_deletion")
    rule = tmp_path / "staging.sql"
    rule.write_text(repeats.RULE.read_text("utf-8").replace("updated_at desc", "updated_at asc"), "utf-8")
    repeats._rule.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(repeats, "RULE", rule)
        verdict = variant.check(place)
    repeats._rule.cache_clear()
    assert verdict.outcome == WRONG
    assert "states" in verdict.why


def test_a_warning_that_is_not_stored_is_noticed(place: Workplace) -> None:
    rows = volume._rows("platform_cases", volume.SMALL)
    quiet = volume.Delivery("platform_cases", rows, warnings=frozenset({"volume_ratio"}))
    verdict = volume._check(place, quiet)
    assert verdict.outcome == WRONG
    assert "warned of []" in verdict.why


def test_a_server_that_commits_no_fault_proves_nothing(place: Workplace) -> None:
    fault = [("status", {"page": 99})]
    verdict = api.served("none", "cases", fault).check(place)
    assert verdict.outcome == WRONG
    assert "committed no fault" in verdict.why


def test_a_drop_whose_faults_never_end_is_not_exact(place: Workplace) -> None:
    verdict = drop.dropped("cut", "hotline_tickets", "csv", limits=drop.HASTY, fault=("sftp_short", 0.3, -1, 0)).check(
        place
    )
    assert verdict.outcome == WRONG
    assert "refuse, where only exact" in verdict.why


def test_the_memory_meter_reads_the_child_and_not_its_parent() -> None:
    held = bytearray(b"x") * (400 << 20)
    program = "import sys, time; held = bytearray(b'x') * (150 << 20); time.sleep(0.5)  # workbook_child"
    with workbooks_hostile._Children() as children:
        subprocess.run([sys.executable, "-c", program], check=True)
    del held
    assert 150 <= children.peak_megabytes <= 200
