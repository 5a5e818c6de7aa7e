"""kill -9, a full disk and a failing one at every n-th change of upkeep: erasure, rotation, retention, steps back, and
the documents of a release."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from faults import county, invariants, material
from faults.county import Task
from faults.duties import upkeep_tasks
from faults.injection import ANY, CREATE, ERROR_ON, ERROR_ONCE, KILL, SYNC, WRITE, Fault, in_child
from faults.judge import EXACT, REFUSE, WRONG, Verdict
from faults.shelf import shelf_tasks, tree
from faults.trial import trial
from faults.variants import Variant, every
from faults.workplace import Workplace
from ingestion.load import load


def all_tasks() -> dict[str, Task]:
    return upkeep_tasks() | shelf_tasks()


def erasures() -> Iterator[Variant]:
    """Some 780 changes: every 20th killed. At three of them the ordinary run of the next month goes on in the wreck."""
    yield from struck("erasure", 40, 6)
    yield from _month_between("erasure", 3)


def rotations() -> Iterator[Variant]:
    """To a new key of the environment and of the home: of some 370 changes each every 18th killed, the first 30 of the
    second, where the keys change places, all; and the next month as above."""
    yield from struck("rotation", 20, 4)
    yield from struck("rotation_of_own_key", 20, 4, first=30)
    yield from _month_between("rotation_of_own_key", 2)


def retentions() -> Iterator[Variant]:
    """Some 100 changes, every third of them killed."""
    yield from struck("retention", 34, 8)


def documents() -> Iterator[Variant]:
    """Of a new release, and anew in another wording: some 210 and 230 changes, about every 25th killed, the last
    six all: the swap is among them; a reader beside."""
    yield from struck("documents", 10, 2, last=6)
    yield from struck("documents_again", 8, 2, last=6)
    yield Variant("documents/readers", _documents_read)


def steps_back() -> Iterator[Variant]:
    """Every change of a step back to a named release."""
    yield from struck("rollback", 100, 10)


def struck(name: str, kills: int, errors: int, first: int = 0, last: int = 0) -> Iterator[Variant]:
    """The task killed before at most ``kills`` of its changes, and so many times without room or with an I/O error:
    evenly spread, the first and the last change among them; and before each of the ``first`` and ``last`` changes."""
    steps = all_tasks()[name].steps
    changes = range(1, sum(steps.values()) + 1)
    for n in sorted({*every(changes, kills), *changes[:first], *(changes[-last:] if last else ())}):
        yield _variant(name, "kill", Fault(ANY, n, KILL))
    for n in every(range(1, steps.get(WRITE, 0) + steps.get(CREATE, 0) + 1), errors):
        yield _variant(name, "full", Fault(WRITE | CREATE, n, ERROR_ON, errno.ENOSPC))
    for n in every(range(1, steps.get(WRITE, 0) + steps.get(SYNC, 0) + 1), errors):
        yield _variant(name, "error", Fault(WRITE | SYNC, n, ERROR_ONCE, errno.EIO))


def _variant(name: str, word: str, fault: Fault) -> Variant:
    def check(place: Workplace) -> Verdict:
        says = () if fault.action == KILL else (os.strerror(fault.error),)
        return trial(place, all_tasks()[name], fault=fault, says=says)

    return Variant(f"{name}/{word}/{fault.n}", check)


# -- the ordinary run in between --------------------------------------------------------------------------------------


def _month_between(name: str, places: int) -> Iterator[Variant]:
    """The next month runs between the kill and the re-run, at so many places within the task."""
    count = sum(all_tasks()[name].steps.values())
    for n in every(range(1, count + 1), places + 2)[1:-1]:
        yield Variant(f"{name}/month_after_kill/{n}", lambda place, n=n: _month(place, all_tasks()[name], n))  # type: ignore[misc]


def _month(place: Workplace, task: Task, n: int) -> Verdict:
    """Killed, then a delivery is loaded and a warehouse built: it goes on or is refused for what was cut short; then
    the task again, and the month again, which must go on."""
    task.place(place)
    rows = [dict(row) for row in material.generated(county.DATASET)[20:30]]
    log = place.root / "log.txt"

    def month() -> None:
        place.put(county.DATASET, {"export.csv": material.csv_bytes(county.DATASET, rows)}, "2022-09")
        county.land(place, month="2022-09")
        load(place.home, county.DATASET, "2022-09")
        county.build_small(place)

    killed = in_child(lambda: task.run(place), log, root=place.home.root, fault=Fault(ANY, n, KILL))
    between = in_child(month, log)
    wrong = [] if killed.killed else ["the task was not killed"]
    if between.error and not (between.foreseen and ("rotat" in between.text or "erasure" in between.text)):
        wrong.append(f"I5: the month was refused without the reason: {between.error}: {between.text[:300]}")
    for work in (lambda: task.again(place), month):
        ran = in_child(work, log)
        wrong += [] if ran.well else [f"I3: after the re-run: {ran.error}: {ran.text[:300]}"]

    def look() -> list[str]:
        return invariants.i2_lines(place.home) + invariants.i6_nothing_left(place.home) + task.finished(place)

    looked = in_child(look, log)
    wrong += looked.result if looked.well else [f"{looked.error}: {looked.text[:300]}"]
    if wrong:
        return Verdict(WRONG, "; ".join(wrong[:3]))
    return Verdict(REFUSE if between.error else EXACT)


# -- readers of documents ---------------------------------------------------------------------------------------------


def _documents_read(place: Workplace) -> Verdict:
    """A reader that loops while the documents of a new release, and the same ones in another wording, are written."""
    first, second = shelf_tasks()["documents"], shelf_tasks()["documents_again"]
    first.place(place)
    stop, current = place.root / "stop", place.home.published / "documents" / "current"

    def read() -> list[str]:
        seen: list[str] = []
        while not stop.exists():
            folder = current.resolve(strict=True)
            try:
                found = tree(folder)
            except FileNotFoundError:
                continue  # superseded while it was read, and gone: the link names the next
            if current.resolve() == folder and found not in seen:
                seen.append(found)
        return seen

    reading = in_child(read, place.root / "read.txt", wait=False)
    ended = [in_child(lambda task=task: task.run(place), place.root / "log.txt") for task in (first, second)]  # type: ignore[misc]
    stop.touch()
    read_ = reading()
    whole = {
        tree_ for task in (first, second) for state in (task.old, task.new) for tree_ in state["documents"].values()
    }
    wrong = [f"{ran.error}: {ran.text[:200]}" for ran in [*ended, read_] if not ran.well]
    wrong += [] if wrong or set(read_.result) <= whole else ["I1: a reader saw a mixture of documents"]
    return Verdict(WRONG, "; ".join(wrong)) if wrong else Verdict(EXACT)
