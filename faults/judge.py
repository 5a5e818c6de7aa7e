"""Four outcomes, three allowed: what a damaged delivery came to, against what is known from how it was damaged.

EXACT: every good row is there, nothing else. QUARANTINE: damaged rows are set aside, the rest is exact. REFUSE: nothing
is there and the reason is named. Anything else is WRONG: a row lost in silence, doubled or invented, a value in another
column, lines that no one accounts for, personal data outside the raw zone, a raw traceback.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

EXACT, QUARANTINE, REFUSE, WRONG = OUTCOMES = ("exact", "quarantine", "refuse", "wrong")

#: One loaded row: its typed values in the contract's order.
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Expect:
    """What is known of a variant before it is read."""

    #: The good rows: these, each as often as here, must be loaded.
    rows: Counter[Row] = field(default_factory=Counter)
    #: Outcomes that the variant may have.
    may: frozenset[str] = frozenset((EXACT, QUARANTINE, REFUSE))
    #: Physical rows that must be in quarantine when the file is not refused; None where a fault may spread.
    damaged: frozenset[int] = frozenset()
    #: May rows be set aside besides the damaged ones? (a stray quote reaches into its neighbours)
    spreads: bool = False
    #: Rows that are damaged but whose cells can still be read as they stand: loaded so, or not at all.
    as_they_stand: Counter[Row] = field(default_factory=Counter)
    #: Physical lines of all files; None where the format has no lines.
    lines: int | None = None
    #: Kinds of findings that must be reported, and the reasons that the quarantined rows must have.
    findings: frozenset[str] = frozenset()
    reasons: frozenset[str] = frozenset()
    #: Part of the refusal's text.
    says: str = ""
    #: Values that must be nowhere outside the raw zone.
    secrets: frozenset[str] = frozenset()


@dataclass
class Observed:
    """What a delivery came to, as the home shows it."""

    refusal: str | None = None
    crash: str | None = None
    rows: Counter[Row] = field(default_factory=Counter)
    quarantined: list[int] = field(default_factory=list)
    reasons: frozenset[str] = frozenset()
    rows_in: int = 0
    rows_loaded: int = 0
    rows_other: int = 0
    findings: frozenset[str] = frozenset()
    #: Files of the delivery that lie about though it was refused, and temporary files in any case.
    leftovers: list[str] = field(default_factory=list)
    #: All text that left the raw zone.
    text: str = ""
    #: Further breaches that only the variant can see (too slow, too large, a connection opened).
    breaches: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Verdict:
    """The outcome of a variant, why it is wrong, and how many of its good rows were to be delivered and were."""

    outcome: str
    why: str = ""
    good: int = 0
    delivered: int = 0


def judge(expect: Expect, observed: Observed) -> Verdict:
    """The verdict on a variant; never raises for what a reader did."""
    good, delivered = expect.rows.total(), (observed.rows & expect.rows).total()
    if wrong := _wrong(expect, observed):
        return Verdict(WRONG, wrong, good, delivered)
    return Verdict(_outcome(observed), "", good, delivered)


def _outcome(observed: Observed) -> str:
    if observed.refusal is not None:
        return REFUSE
    return QUARANTINE if observed.quarantined else EXACT


def _wrong(expect: Expect, observed: Observed) -> str:
    """The first breach of the rules, or nothing."""
    if observed.crash is not None:
        return f"a raw {observed.crash}"
    if leaked := next((secret for secret in expect.secrets if secret in observed.text), None):
        return f"personal data outside the raw zone (a value of {len(leaked)} characters)"
    if observed.leftovers:
        return f"left behind: {', '.join(observed.leftovers[:3])}"
    if observed.breaches:
        return "; ".join(observed.breaches)
    outcome = _outcome(observed)
    if outcome not in expect.may:
        return f"{outcome}, where only {' or '.join(sorted(expect.may))} is right" + (
            f" ({observed.refusal})" if observed.refusal else ""
        )
    if outcome == REFUSE:
        if not (observed.refusal or "").strip():
            return "refused without a reason"
        return "" if expect.says in (observed.refusal or "") else f"refused for another reason: {observed.refusal}"
    return _wrong_rows(expect, observed)


def _wrong_rows(expect: Expect, observed: Observed) -> str:
    invented = observed.rows - expect.rows - expect.as_they_stand
    if invented:
        return f"{invented.total()} rows that no one delivered so: {_nearest(next(iter(invented)), expect)}"
    lost = (expect.rows - observed.rows).total()
    aside = len(observed.quarantined)
    if missed := expect.damaged - set(observed.quarantined):
        return f"damaged rows {sorted(missed)[:5]} are not in quarantine"
    if not expect.spreads and set(observed.quarantined) - expect.damaged and not expect.as_they_stand:
        return f"good rows in quarantine: {sorted(set(observed.quarantined) - expect.damaged)[:5]}"
    if lost > aside:
        return f"{lost} good rows lost, {aside} rows in quarantine"
    if observed.rows_in != observed.rows.total() + aside or observed.rows_loaded != observed.rows.total():
        return f"{observed.rows_in} rows in, {observed.rows.total()} loaded, {aside} in quarantine"
    if expect.lines is not None and observed.rows_in + observed.rows_other != expect.lines:
        return f"{expect.lines} physical lines, {observed.rows_in + observed.rows_other} accounted for"
    if missing := expect.findings - observed.findings:
        return f"not reported: {', '.join(sorted(missing))}"
    if expect.reasons and observed.quarantined and not expect.reasons <= observed.reasons:
        return f"set aside as {', '.join(sorted(observed.reasons))}, not {', '.join(sorted(expect.reasons))}"
    return ""


def _nearest(row: Row, expect: Expect) -> str:
    """Positions at which an invented row differs from the good row that it resembles most."""
    candidates = [*expect.rows, *expect.as_they_stand]
    if not candidates:
        return "there should be none"
    nearest = max(candidates, key=lambda other: sum(a == b for a, b in zip(row, other, strict=False)))
    differing = [i for i, (a, b) in enumerate(zip(row, nearest, strict=False)) if a != b]
    return f"differs from the nearest good row in columns {differing[:6]}" if differing else "doubled"
