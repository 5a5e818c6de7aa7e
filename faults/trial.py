"""One fault in one task: the task suffers it in a child, then the wreck is looked at and the task started again."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from faults import invariants
from faults.county import Task
from faults.injection import Fault, Ran, in_child
from faults.judge import EXACT, REFUSE, WRONG, Verdict
from faults.workplace import Workplace

#: How a library in C ends its process where it can go on no more, by exit code; 127: the dynamic linker does.
DEATHS = {-each: each.name for each in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS)} | {127: "the dynamic linker"}


def trial(
    place: Workplace,
    task: Task,
    *,
    fault: Fault | None = None,
    before: Callable[[], None] | None = None,
    says: Iterable[str] = (),
    damage: Callable[[Workplace], None] | None = None,
    mend: Callable[[Workplace], None] | None = None,
    reads: bool = True,
    may_die: bool = False,
) -> Verdict:
    """The verdict on a task with a fault: killed or failed with its reason, or done in spite of it; then run again.

    ``damage`` and ``mend`` are what happens to the place before the task and before its re-run (a disk fills up and has
    room again); ``says`` are texts of which the reason must have one; ``reads=False`` where the damage is to what is
    served, so that a reader cannot be expected to have it; ``may_die`` where a library in C may end the process by a
    signal, which is a kill as any other: the same must hold of the wreck, and the card tells of it.
    """
    task.place(place)
    if damage:
        damage(place)
    log = place.root / "log.txt"
    ran = in_child(lambda: task.run(place), log, root=place.home.root, fault=fault, before=before)
    died = DEATHS.get(ran.exit_code, "") if may_die else ""
    if died:
        ran = replace(ran, killed=True, error=None)
    if mend:
        mend(place)
    after = in_child(lambda: aftermath(place, task, ran, reads=reads), place.root / "again.txt")
    if after.timed_out:
        return Verdict(WRONG, "I3: the re-run does not come to an end")
    if after.error:
        return Verdict(WRONG, f"I3: the re-run failed: {after.error}: {after.text}")
    found = verdict(ran, after.result, says)
    return replace(found, why=f"the process died of {died}") if died and found.outcome != WRONG else found


def aftermath(place: Workplace, task: Task, ran: Ran, *, reads: bool = True) -> list[str]:
    """The invariants on what the fault left, then after a plain re-run with nothing cleaned by hand."""
    home = place.home
    breaches = invariants.i1_old_or_new(home, task.old["served"], task.new["served"]) if reads else []
    breaches += invariants.i2_lines(home) if reads else []
    breaches += task.wreck(place, task)
    if ran.well:
        breaches += invariants.i5_state_agrees(True, "", task.state(home), task.done)
    elif ran.error:
        breaches += invariants.i5_state_agrees(False, ran.text, {}, task.done)
    try:
        task.again(place)
    except Exception as error:
        return [*breaches, f"I3: the re-run failed: {type(error).__name__}: {error}"]
    breaches += invariants.i1_old_or_new(home, task.new["served"], task.new["served"])
    breaches += invariants.i2_lines(home)
    breaches += invariants.i3_converged(task.state(home), task.new)
    breaches += task.finished(place)
    said = ran.text + (ran.chain if ran.foreseen else "")
    breaches += invariants.i4_nothing_personal(place.root, home, task.secrets, said)
    breaches += invariants.i6_nothing_left(home)
    breaches += invariants.i7_within_limits(ran.seconds, ran.peak_megabytes)
    return breaches


def verdict(ran: Ran, breaches: list[str], says: Iterable[str] = ()) -> Verdict:
    """What a task's end and the breaches come to."""
    if ran.timed_out:
        return Verdict(WRONG, "I7: the task hung and was stopped")
    if ran.error and not ran.foreseen:
        return Verdict(WRONG, f"a raw {ran.error}: {ran.text[:300]}")
    if breaches:
        return Verdict(WRONG, "; ".join(breaches[:3]))
    wanted = tuple(says)
    if ran.error and wanted and not any(text in ran.text for text in wanted):
        return Verdict(WRONG, f"the reason is not named: {ran.error}: {ran.text[:300]}")
    return Verdict(EXACT if ran.well else REFUSE)


def all_of(*verdicts: Verdict) -> Verdict:
    """The worst of several: wrong before refused before exact."""
    order: dict[str, Any] = {WRONG: 0, REFUSE: 1}
    return min(verdicts, key=lambda one: order.get(one.outcome, 2))
