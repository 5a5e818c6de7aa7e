"""kill -9, a full disk and a failing one at every n-th change that a task makes: enumerated, not sampled."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from faults.county import tasks
from faults.injection import CREATE, DELETE, ERROR_ON, ERROR_ONCE, KILL, RENAME, SYNC, TEAR, WRITE, Fault
from faults.judge import Verdict
from faults.trial import trial
from faults.variants import Variant, every
from faults.workplace import Workplace

#: Of more changes than this evenly spread ones are struck, the first and the last among them.
MOST = 180

_KINDS = {"write": WRITE, "rename": RENAME, "fsync": SYNC, "create": CREATE, "delete": DELETE}


def kills() -> Iterator[Variant]:
    """Killed before the n-th write, rename, fsync, creation and removal of every task (of many, evenly spread ones)."""
    for name, task in tasks().items():
        for word, kind in _KINDS.items():
            for n in every(range(1, task.steps.get(kind, 0) + 1), MOST):
                yield _variant(name, word, Fault(kind, n, KILL))


def torn_writes() -> Iterator[Variant]:
    """Killed half-way through the n-th write of each task that writes where something is kept; build and publish write
    into a folder that the next run empties."""
    for name, task in tasks().items():
        for n in every(range(1, task.steps.get(WRITE, 0) + 1), MOST) if name in ("land", "load", "audit") else ():
            yield _variant(name, "torn", Fault(WRITE, n, TEAR))


def disk_full() -> Iterator[Variant]:
    """No room from the n-th write or creation on."""
    for name, task in tasks().items():
        for n in every(range(1, task.steps.get(WRITE, 0) + task.steps.get(CREATE, 0) + 1), MOST):
            yield _variant(name, "full", Fault(WRITE | CREATE, n, ERROR_ON, errno.ENOSPC))


def disk_errors() -> Iterator[Variant]:
    """The n-th write or fsync fails, the next ones do not."""
    for name, task in tasks().items():
        for n in every(range(1, task.steps.get(WRITE, 0) + task.steps.get(SYNC, 0) + 1), MOST):
            yield _variant(name, "error", Fault(WRITE | SYNC, n, ERROR_ONCE, errno.EIO))


def _variant(name: str, word: str, fault: Fault) -> Variant:
    def check(place: Workplace) -> Verdict:
        says = () if fault.action in (KILL, TEAR) else (os.strerror(fault.error),)
        return trial(place, tasks()[name], fault=fault, says=says)

    return Variant(f"{name}/{word}/{fault.n}", check)
