"""A whole county in operation: killed between tasks, run twice, side by side, back, and from nothing."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import duckdb

from faults import invariants
from faults.county import (
    PERIODS,
    audit,
    build,
    laid,
    land_and_load_all,
    prepared,
    publish,
    tasks,
)
from faults.injection import in_child
from faults.judge import EXACT, WRONG, Verdict
from faults.variants import Variant
from faults.workplace import Workplace

Work = Callable[[Workplace], Any]


def published(place: Workplace, template: str = "corrected") -> Workplace:
    """The county with release 1 served; its exports as they were, or with a late correction (``corrected``)."""
    return laid(prepared(template), place)


def ready(place: Workplace) -> Workplace:
    """The corrected county built and audited, about to be published."""
    return laid(prepared("ready"), place)


def in_order(place: Workplace, *works: Work) -> list[str]:
    """Runs each in a child; the errors of those that failed."""
    failed = []
    for work in works:
        ran = in_child(lambda work=work: work(place), place.root / "log.txt")  # type: ignore[misc]
        if not ran.well:
            failed.append(f"{ran.error}: {ran.text[:300]}")
    return failed


def sound(place: Workplace, wanted: Any, further: list[str] | None = None) -> Verdict:
    """Exact where the served content is as wanted and every invariant holds."""

    def look() -> list[str]:
        home = place.home
        return (
            invariants.i1_old_or_new(home, wanted, wanted)
            + invariants.i2_lines(home)
            + invariants.i4_nothing_personal(place.root, home, tasks()["publish"].secrets)
            + invariants.i6_nothing_left(home)
        )

    looked = in_child(look, place.root / "look.txt")
    wrong = [*(further or []), *(looked.result if looked.well else [f"{looked.error}: {looked.text}"])]
    return Verdict(WRONG, "; ".join(wrong[:3])) if wrong else Verdict(EXACT)


def final() -> Any:
    """What is served after the correction, undisturbed."""
    return tasks()["publish"].new["served"]


STEPS: tuple[Work, ...] = (land_and_load_all, build, audit, publish)


def boundaries() -> Iterator[Variant]:
    """Killed after each task of the whole project; then the run from its start, under the same name or another."""
    for done in range(len(STEPS) + 1):
        for name in ("run-2", "run-3"):
            yield Variant(f"after_{done}_tasks/{name}", _boundary(done, name))


def _boundary(done: int, name: str) -> Callable[[Workplace], Verdict]:
    def named(work: Work, run: str) -> Work:
        return work if work is land_and_load_all else lambda place: work(place, run)  # type: ignore[call-arg]

    def killed(place: Workplace) -> None:
        for work in STEPS[:done]:
            named(work, "run-2")(place)
        os.kill(os.getpid(), 9)

    def check(place: Workplace) -> Verdict:
        published(place)
        in_child(lambda: killed(place), place.root / "log.txt")
        return sound(place, final(), in_order(place, *(named(work, name) for work in STEPS)))

    return check


def twice() -> Iterator[Variant]:
    """Every task run a second time after it is done, as a scheduler does that lost the first one's answer."""
    for at, work in enumerate(STEPS):
        yield Variant(work.__name__, _twice(at))


def _twice(at: int) -> Callable[[Workplace], Verdict]:
    def check(place: Workplace) -> Verdict:
        published(place)
        works = [*STEPS[: at + 1], STEPS[at], *STEPS[at + 1 :]]
        return sound(place, final(), in_order(place, *works))

    return check


def at_once() -> Iterator[Variant]:
    """The same period by two runs at the same time, the second starting after the first by so many tenths."""
    for tenths in (0, 5, 20, 50):
        yield Variant(f"lag_{tenths}", _at_once(tenths))


def whole_run(place: Workplace, name: str) -> None:
    """Land, load, build, audit and publish, as two runs of the DAGs would."""
    import publishing

    land_and_load_all(place)
    publishing.run(place.home, PERIODS, name, "更正 correction")


def _at_once(tenths: int) -> Callable[[Workplace], Verdict]:
    def check(place: Workplace) -> Verdict:
        published(place)
        first = in_child(lambda: whole_run(place, "run-a"), place.root / "a.txt", wait=False)
        time.sleep(tenths / 10)
        second = in_child(lambda: whole_run(place, "run-b"), place.root / "b.txt", wait=False)
        ended = [first(), second()]
        return sound(place, final(), [f"{ran.error}: {ran.text[:200]}" for ran in ended if not ran.well])

    return check


def rollbacks() -> Iterator[Variant]:
    """Back to the last release, forward again, and the next run after a step back."""
    yield Variant("back", lambda place: _rollback(place, forward=False, run=False))
    yield Variant("back_and_forward", lambda place: _rollback(place, forward=True, run=False))
    yield Variant("back_and_run", lambda place: _rollback(place, forward=False, run=True))


def _rollback(place: Workplace, *, forward: bool, run: bool) -> Verdict:
    import publishing

    ready(place)
    works: list[Work] = [publish, lambda place: publishing.rollback(place.home, reason="a test").number]
    wanted = tasks()["publish"].old["served"]
    if forward:
        works.append(lambda place: publishing.rollback(place.home, 2, "forward").number)
        wanted = final()
    failed = in_order(place, *works)
    if run:
        # Nothing new came in: what was gone back from stays unserved until somebody says so; revisions are not reused.
        failed += in_order(place, lambda place: publishing.run(place.home, PERIODS, "run-9").number)
    return sound(place, wanted, failed)


def rebuilds() -> Iterator[Variant]:
    """Everything but the landed files and the ledger is lost: one command gives the same content digest."""
    yield Variant("from_raw", _rebuild)
    yield Variant("from_raw_killed_on_the_way", lambda place: _rebuild(place, kill=True))


def _rebuild(place: Workplace, kill: bool = False) -> Verdict:
    ready(place)
    before = final()
    for lost in (place.home.staged, place.home.quarantine, place.home.root / "findings", place.home.runs,
                 place.home.published, place.home.root / "validation"):  # fmt: skip
        shutil.rmtree(lost, ignore_errors=True)

    def from_raw(place: Workplace) -> None:
        import publishing
        from ingestion.load import rebuild

        rebuild(place.home)
        publishing.run(place.home, PERIODS, "from-raw")

    if kill:

        def half(place: Workplace) -> None:
            from ingestion.load import rebuild

            rebuild(place.home)
            build(place, "from-raw")
            os.kill(os.getpid(), 9)

        in_child(lambda: half(place), place.root / "log.txt")
    started = time.monotonic()
    failed = in_order(place, from_raw)
    seconds = time.monotonic() - started
    # The corrected month is now its first revision, with the digest of the one it was.
    wanted = [["2022-07-r1", before[-1][1]]]
    verdict = sound(place, wanted, failed)
    (place.root / "seconds.txt").write_text(f"{seconds:.1f}")
    return Verdict(verdict.outcome, verdict.why or f"rebuilt in {seconds:.1f} s")


def audits() -> Iterator[Variant]:
    """One failing audit among many: its run stops and names why, the others publish, what is served is theirs."""
    for kind in ("identity", "lost_history", "personal_column"):
        yield Variant(kind, _audit(kind))


_SPOILT = {
    "identity": "UPDATE audit.reconciliation SET is_balanced = false WHERE dataset = 'platform_cases'",
    "lost_history": "DELETE FROM history.unit_scores WHERE release = '2022-07-r1'",
    "personal_column": "ALTER TABLE marts.unit_scores ADD COLUMN applicant_phone VARCHAR",
}


def _audit(kind: str) -> Callable[[Workplace], Verdict]:
    def spoil(place: Workplace) -> None:
        """As a fault of a model would: the build ends well with a wrong table in it."""
        import json

        from ingestion.durable import sha256_of

        shutil.copytree(place.home.runs / "run-2", place.home.runs / "bad")
        warehouse = place.home.runs / "bad" / "warehouse.duckdb"
        with duckdb.connect(str(warehouse)) as connection:
            connection.execute(_SPOILT[kind])
            connection.execute("CHECKPOINT")
        state = json.loads((warehouse.parent / "build.json").read_text("utf-8"))
        state |= {"run_id": "bad", "warehouse_sha256": sha256_of(warehouse)}
        (warehouse.parent / "build.json").write_text(json.dumps(state))

    def check(place: Workplace) -> Verdict:
        task = tasks()["audit"]
        task.place(place)
        failed = in_order(place, spoil)
        bad = in_child(lambda: audit(place, "bad"), place.root / "log.txt")
        if bad.error != "AuditFailed":
            failed.append(f"the spoilt run was not refused: {bad.error} {bad.text[:200]}")
        # Published without an audit, it is refused once more.
        unaudited = in_child(lambda: publish(place, "bad"), place.root / "log.txt")
        if unaudited.error != "BadParameter":
            failed.append(f"published without an audit: {unaudited.error}")
        failed += in_order(place, audit, publish)
        return sound(place, task.new["served"], failed)

    return check
