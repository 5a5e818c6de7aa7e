"""One county's month, in a process of the pool: pull, load and validate, build, audit, publish, in its own home."""

from __future__ import annotations

import datetime as dt
import os
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ingestion import landing
from ingestion.cli import deliveries_at, source_at, undecided
from ingestion.contracts import SYSTEMS
from ingestion.durable import temporary_beside
from ingestion.errors import BadParameter, TongbaoError, Transient, without_text
from ingestion.home import Home
from ingestion.load import load
from ingestion.profile import delivered_datasets
from publishing import releases
from region.config import County, Region

Told = Callable[[str], None]


@dataclass(frozen=True)
class CountyTask:
    """What a process is asked to do for a county; ``exports`` holds ``<code>/<system>/<dataset>/…``."""

    region: Region
    county: County
    exports: Path | None
    months: tuple[str, ...] = ()
    periods: tuple[str, ...] = ()
    reason: str = ""
    full: bool | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a county, or of the region's own warehouse: ``published``, ``unchanged`` or ``failed``.

    A county that failed may have published what its good deliveries make up; ``reasons`` name what did not go, without
    personal data. ``is_transient``: the same again may go well.
    """

    state: str
    releases: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    is_transient: bool = False
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mib: int = 0


def told_of(error: Exception) -> TongbaoError:
    """The error as it may be said."""
    return error if isinstance(error, TongbaoError) else without_text(error)


def in_words(error: TongbaoError) -> str:
    """One line: the kind of the error and its text."""
    return " ".join(f"{type(error).__name__}: {error}".split())


@contextmanager
def at_home(region: Region, county: County | None) -> Iterator[Home]:
    """This process works for the county (None: for the region itself) inside: its home and its profile are chosen."""
    home = region.home_of(county) if county else region.home
    chosen = {
        "TONGBAO_HOME": str(home.root),
        "TONGBAO_COUNTY": region.profile_of(county) if county else None,
        # One for all: an engine in memory that a process keeps is kept by its spill folder (ingestion.engine.shared).
        "TONGBAO_SPILL": os.environ.get("TONGBAO_SPILL") or str(region.root / "spill"),
    }
    before = {name: os.environ.get(name) for name in chosen}
    _choose(chosen)
    try:
        yield home
    finally:
        _choose(before)


def _choose(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def measured(work: Callable[[list[TongbaoError]], list[str] | None]) -> Outcome:
    """Runs the work, which adds to the list what did not go and returns the releases it published (None: nothing was
    new); whatever it raises is among what did not go."""
    started, used = time.perf_counter(), _cpu()
    failures: list[TongbaoError] = []
    published: list[str] | None = None
    try:
        published = work(failures)
    except Exception as error:
        failures.append(told_of(error))
    return Outcome(
        state="failed" if failures else "unchanged" if published is None else "published",
        releases=published or [],
        reasons=[in_words(error) for error in failures],
        is_transient=bool(failures) and all(isinstance(error, Transient) for error in failures),
        seconds=round(time.perf_counter() - started, 3),
        cpu_seconds=round(_cpu() - used, 3),
        # Without its children: a reader of a workbook is a fork, most of whose memory is this process's own.
        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    )


_BOTH = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def _cpu() -> float:
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, _BOTH))


def run_county(task: CountyTask, told: Told) -> Outcome:
    """The county's month; never raises. What was published before is served until something newer is."""

    def work(failures: list[TongbaoError]) -> list[str] | None:
        with at_home(task.region, task.county) as home:
            told("pull")
            _pull(home, task, failures)
            told("load")
            _load(home, failures)
            return _publish(home, task, told, failures)

    return measured(work)


def _pull(home: Home, task: CountyTask, failures: list[TongbaoError]) -> None:
    """Every delivery that the sources hold, or those of the months; one that fails leaves the others."""
    for system, names in SYSTEMS.items():
        wanted = [name for name in names if name in delivered_datasets()]
        if not wanted:
            continue
        try:
            source = source_at(task.county.sources.get(system) or _folder_of(task))
        except TongbaoError as error:
            failures.append(error)
            continue
        try:
            for dataset, month in deliveries_at(source, wanted, task.months):
                _attempt(failures, partial(landing.pull, home, source, system, dataset, month))
        except TongbaoError as error:
            failures.append(error)
        finally:
            source.close()


def _folder_of(task: CountyTask) -> str:
    if task.exports is None:
        raise BadParameter("where are its exports? Name them in region.yaml (sources), or give --exports")
    folder = task.exports / task.county.code
    if not folder.is_dir():
        raise BadParameter(f"there are no exports of it: no folder {folder}")
    return folder.as_uri()


def _load(home: Home, failures: list[TongbaoError]) -> None:
    import expectations

    for dataset, month in undecided(home, (), ()):
        _attempt(failures, partial(load, home, dataset, month, validate=expectations.validate_load))


@contextmanager
def _parsed(region: Region, home: Home) -> Iterator[None]:
    """What dbt has read of the project once serves all counties: reading it takes longer than building one."""
    shared, own = region.root / ".dbt", home.runs / ".dbt"
    if shared.is_dir() and not own.is_dir():
        shutil.copytree(shared, own)
    yield
    if own.is_dir() and not shared.is_dir():
        made = temporary_beside(shared)
        shutil.copytree(own, made)
        with suppress(OSError):  # another process was first
            made.rename(shared)
        shutil.rmtree(made, ignore_errors=True)


def _attempt(failures: list[TongbaoError], step: Callable[[], object]) -> None:
    try:
        step()
    except Exception as error:
        failures.append(told_of(error))


def _publish(home: Home, task: CountyTask, told: Told, failures: list[TongbaoError]) -> list[str] | None:
    """Builds and publishes what the deliveries complete; None where all of that is published already."""
    import publishing
    from publishing.build import input_digest

    month = task.months[0] if len(task.months) == 1 and not task.periods else None
    found = publishing.plan(home, month, task.periods or None)
    for code, reasons in found.reasons().items():
        # A longer period that ends with the month may wait for months from before the county delivered anything.
        lacks_month = any(at == month for _, at in found.waiting.get(code, ()))
        if task.periods or lacks_month or (month and code in found.early):
            failures.append(BadParameter(f"{code} waits for {', '.join(reasons)}"))
    if not found.publish:
        if not failures:
            failures.append(BadParameter("no period is over and has all its deliveries"))
        return None
    base = releases.newest(home)
    known = base is not None and not task.full and set(found.publish) <= base.periods
    if known and base and base.manifest["input_digest"] == input_digest(home):
        return None
    told("build")
    run_id = f"region-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S.%fZ}"
    with _parsed(task.region, home):
        published = publishing.run(home, found.publish, run_id, task.reason, full=task.full)
    return None if published.unchanged else published.releases
