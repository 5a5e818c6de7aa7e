"""The clock goes back, forward and across midnight between and within the tasks of a run."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from typing import Any

from faults.cases.operations import STEPS, final, in_order, published, sound
from faults.county import tasks
from faults.injection import Ran, in_child
from faults.judge import REFUSE, WRONG, Verdict
from faults.variants import Variant
from faults.workplace import Workplace

_HOUR = 3600.0
_DAY = 24 * _HOUR
#: The clock's error in seconds at each of the four tasks.
_COURSES: dict[str, tuple[float, float, float, float]] = {
    "back_an_hour_after_landing": (0, -_HOUR, -_HOUR, -_HOUR),
    "back_a_day_before_publishing": (0, 0, 0, -_DAY),
    "back_a_year": (-365 * _DAY,) * 4,
    "forward_an_hour_after_landing": (0, _HOUR, _HOUR, _HOUR),
    "forward_a_year": (365 * _DAY,) * 4,
    "forward_then_right": (30 * _DAY, 30 * _DAY, 0, 0),
    "to_and_fro": (_HOUR, -_HOUR, 2 * _HOUR, -2 * _HOUR),
}


def variants() -> Iterator[Variant]:
    """Every clock that the project reads is shifted; the figures are those of the true clock."""
    for name, course in _COURSES.items():
        yield Variant(name, _check(course))
    yield Variant("back_to_1970", _before_the_events)
    yield Variant("across_midnight", _check((_to_midnight(-2),) * 4))
    yield Variant("across_the_year", _check((_to_midnight(-2, new_year=True),) * 4))


def _to_midnight(seconds: float, new_year: bool = False) -> float:
    """The shift after which it is so many seconds past midnight in Beijing."""
    now = dt.datetime.now(dt.timezone(dt.timedelta(hours=8)))
    day = dt.datetime(now.year + 1, 1, 1, tzinfo=now.tzinfo) if new_year else now.replace(hour=0, minute=0, second=0)
    return (day + dt.timedelta(days=0 if new_year else 1, seconds=seconds) - now).total_seconds()


def shifted(seconds: float) -> None:
    """Shifts the clocks of this process: ``datetime.now`` of every module of the project, and ``time.time``."""
    import sys

    true = time.time
    time.time = lambda: true() + seconds

    class Shifted(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return dt.datetime.fromtimestamp(true() + seconds, tz)

    class Clock:
        """The module ``datetime`` with its clock wrong."""

        def __getattr__(self, name: str) -> Any:
            return Shifted if name == "datetime" else getattr(dt, name)

    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("ingestion", "publishing", "expectations") and getattr(module, "dt", None) is dt:
            module.dt = Clock()  # type: ignore[attr-defined]


def _check(course: tuple[float, float, float, float]) -> Callable[[Workplace], Verdict]:
    def check(place: Workplace) -> Verdict:
        published(place)
        failed = []
        for work, seconds in zip(STEPS, course, strict=True):
            ran = _at(place, work, seconds)
            if not ran.well:
                failed.append(f"{work.__name__} {seconds:+.0f} s: {ran.error}: {ran.text[:200]}")
            elif not _was_shifted(ran, seconds):
                return Verdict(WRONG, "the project's clock was not shifted: nothing is shown")
        return sound(place, final(), failed)

    return check


def _before_the_events(place: Workplace) -> Verdict:
    """A clock that stands before every event: what has not happened yet is not loaded, and nothing is built of it.

    The delivery is refused and says why, readers keep what they have; with the clock right, a plain run has it all.
    """
    published(place)
    refused = _at(place, STEPS[0], _DAY - time.time())
    failed = []
    if refused.error != "DeliveryRefused" or "future_event" not in refused.text:
        failed.append(f"events of the future were not refused: {refused.error}: {refused.text[:200]}")
    kept = sound(place, tasks()["publish"].old["served"], failed)
    if kept.outcome == WRONG:
        return kept
    after = sound(place, final(), in_order(place, *STEPS))
    return after if after.outcome == WRONG else Verdict(REFUSE)


def _at(place: Workplace, work: Callable[[Workplace], Any], seconds: float) -> Ran:
    """Runs the task in a child whose clock is wrong by so many seconds; its result is the shift that the ledger saw."""

    def at_that_time() -> float:
        before = _ledger_now()
        shifted(seconds)
        work(place)
        return _ledger_now() - before

    ran: Ran = in_child(at_that_time, place.root / "log.txt")
    return ran


def _was_shifted(ran: Ran, seconds: float) -> bool:
    return abs(ran.result - seconds) <= 600


def _ledger_now() -> float:
    """The moment that the ledger would write, as seconds."""
    from ingestion.ledger import now

    return now().replace(tzinfo=dt.UTC).timestamp()
