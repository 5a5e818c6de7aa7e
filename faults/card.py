"""Runs the variants, two at a time, and counts what they came to, case by case."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.cases import CASES, IN_CHILDREN
from faults.cases.rows import POLLOCK
from faults.county import tasks
from faults.judge import OUTCOMES, WRONG, Verdict
from faults.variants import Variant, every
from faults.workplace import Workplace

#: Every how manieth variant of a case the quick card runs, and at least how many of each.
QUICK_STRIDE, QUICK_LEAST = 11, 6
#: How many of the faults of operation the quick card runs, evenly spread; those that need several runs of the whole
#: project or the scheduler are left to the whole card.
QUICK_OPERATION = {
    **{"worker_killed": 0, "readers": 0, "backfill": 0, "task_boundary": 0, "same_period_twice": 0, "clock": 0},
    **{"task_twice": 0, "rollback": 1, "rebuild": 1, "failing_audit": 1},
    **{"kill": 10, "torn_write": 4, "disk_full": 6, "disk_error": 6},
    **{"erasure": 4, "rotation": 4, "retention": 3, "step_back": 3, "documents": 3, "mirror": 3},
    **{"small_disk": 2, "read_only": 3, "limits": 5, "flipped_byte": 6},
}

#: Hears of each variant when it is done: its case, its name, its verdict.
Told = Callable[[str, str, Verdict], None]


@dataclass
class Tally:
    """What the card came to: outcomes by case, the wrong variants, and the good rows of Pollock."""

    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    wrong: list[tuple[str, str, str]] = field(default_factory=list)
    #: Seconds of work of each case, and what variants have to tell besides their outcome.
    seconds: Counter[str] = field(default_factory=Counter)
    notes: list[tuple[str, str, str]] = field(default_factory=list)
    good: int = 0
    delivered: int = 0

    def add(self, case: str, name: str, verdict: Verdict, seconds: float = 0) -> None:
        self.outcomes.setdefault(case, Counter())[verdict.outcome] += 1
        self.seconds[case] += seconds  # type: ignore[assignment]
        if verdict.why and verdict.outcome != WRONG:
            self.notes.append((case, name, verdict.why))
        if verdict.outcome == WRONG:
            self.wrong.append((case, name, verdict.why))
        if name.startswith(POLLOCK):
            self.good += verdict.good
            self.delivered += verdict.delivered

    @property
    def variants(self) -> int:
        return sum(counts.total() for counts in self.outcomes.values())

    @property
    def pollock_share(self) -> float | None:
        """Share (0 to 1) of the rows of Pollock's files that were delivered; None when none was read."""
        return self.delivered / self.good if self.good else None

    def report(self) -> dict[str, Any]:
        """The card as it is stored."""
        rows = [
            {
                "case": case.name,
                "title": case.title,
                **_counts(self.outcomes[case.name]),
                "seconds": round(self.seconds[case.name]),
            }
            for case in CASES
            if case.name in self.outcomes
        ]
        share = self.pollock_share
        return {
            "rows": rows,
            "total": _counts(sum(self.outcomes.values(), Counter())),
            "pollock_good_rows_delivered": None if share is None else round(share, 4),
            "notes": [{"case": case, "variant": name, "note": note} for case, name, note in sorted(self.notes)],
            "wrong": [{"case": case, "variant": name, "why": why} for case, name, why in sorted(self.wrong)],
        }


def _counts(outcomes: Counter[str]) -> dict[str, int]:
    return {"variants": outcomes.total(), **{outcome: outcomes[outcome] for outcome in OUTCOMES}}


def chosen(cases: Sequence[str] = (), quick: bool = False) -> list[tuple[str, Variant]]:
    """The variants to run, each with its case; ``quick`` takes an even stride over each case.

    Limits of memory are left to the whole card: where a process without memory fails differs from run to run, and a
    gate must say the same of the same code.
    """
    found = []
    for case in CASES:
        if cases and case.name not in cases:
            continue
        if quick and not QUICK_OPERATION.get(case.name, 1):
            continue
        variants = [each for each in case.variants() if not (quick and "/memory/" in each.name)]
        if quick and case.name in IN_CHILDREN:
            variants = every(variants, QUICK_OPERATION[case.name])
        stride = (
            max(1, min(QUICK_STRIDE, len(variants) // QUICK_LEAST)) if quick and case.name not in IN_CHILDREN else 1
        )
        found += [(case.name, variant) for variant in variants[::stride]]
    return found


_TODO: list[tuple[str, Variant]] = []
_BASE = Path()
_KEEP: Path | None = None


def run(
    todo: list[tuple[str, Variant]], *, workers: int = 2, keep: Path | None = None, told: Told | None = None
) -> Tally:
    """Runs the variants in processes of their own; ``keep`` receives the folders of wrong ones."""
    global _TODO, _BASE, _KEEP
    shared = Path("/dev/shm")  # noqa: S108 - memory where there is some: thousands of small files, each synced
    base = Path(tempfile.mkdtemp(prefix="faults-", dir=shared if os.access(shared, os.W_OK) else None))
    _TODO, _BASE, _KEEP = todo, base, keep
    tally = Tally()
    try:
        if any(case in IN_CHILDREN for case, _ in todo):
            # Here and once: a worker would make the homes for itself, and a fault of theirs is no variant's verdict.
            tasks()
        for index, verdict, seconds in _verdicts(len(todo), workers):
            case, variant = todo[index]
            tally.add(case, variant.name, verdict, seconds)
            if told:
                told(case, variant.name, verdict)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    return tally


def _verdicts(count: int, workers: int) -> Iterator[tuple[int, Verdict, float]]:
    operation = [index for index in range(count) if _TODO[index][0] in IN_CHILDREN]
    inputs = [index for index in range(count) if _TODO[index][0] not in IN_CHILDREN]
    if workers == 1:
        yield from map(_one, [*operation, *inputs])
        return
    # Forked, so that the variants (closures) need not travel; started before any thread is. Those that fork themselves
    # have workers of their own, in which no library has started a thread, and the long ones come first.
    for chosen, size in ((operation, 1), (inputs, 4)):
        with multiprocessing.get_context("fork").Pool(workers) as pool:
            yield from pool.imap_unordered(_one, chosen, chunksize=size)


def _one(index: int) -> tuple[int, Verdict, float]:
    started, environment = time.monotonic(), dict(os.environ)
    case, variant = _TODO[index]
    place = Workplace(_BASE)
    try:
        verdict = variant.check(place)
    except Exception:
        verdict = Verdict(WRONG, "the variant itself broke: " + traceback.format_exc(limit=-3))
    if verdict.outcome == WRONG and _KEEP:
        target = _KEEP / case / variant.name.replace("/", "_")[:120]
        shutil.copytree(place.root, target, dirs_exist_ok=True)
        (target / "why.txt").write_text(verdict.why + "\n", encoding="utf-8")
    place.remove()
    _put_back(environment)
    return index, verdict, time.monotonic() - started


def _put_back(environment: dict[str, str]) -> None:
    """What a variant set in its environment is not the next one's."""
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)


def write(tally: Tally, path: Path) -> None:
    """Stores the card, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f".{path.name}.tmp")
    made.write_text(json.dumps(tally.report(), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    made.replace(path)
