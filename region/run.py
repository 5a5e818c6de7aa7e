"""The month of a region: every county by itself, a few at a time, then the warehouse over all of them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from publishing.durable import exclusive, write_text
from publishing.releases import beijing_now
from region.config import County, Region
from region.county import CountyTask, Outcome
from region.pool import Died, Pool
from region.worker import RegionTask, prepare, work

#: What the last run came to, for ``status``; under the region's folder.
RECORD = Path("records") / "last_run.json"

#: Told of each step of a county: it and the step's name; ``None`` stands for the region's own warehouse.
Progress = Callable[[County | None, str], None]
#: Told of each county that is done.
Done = Callable[[County | None, Outcome], None]


@dataclass(frozen=True)
class Report:
    """What became of each county (by code) and of the region's warehouse; seconds of the whole run."""

    counties: dict[str, Outcome] = field(default_factory=dict)
    region: Outcome = field(default_factory=lambda: Outcome("unchanged"))
    seconds: float = 0.0

    @property
    def failed(self) -> list[Outcome]:
        """The outcomes that are failures, the region's included."""
        return [each for each in (*self.counties.values(), self.region) if each.state == "failed"]


def run(
    region: Region,
    exports: Path | None = None,
    *,
    counties: tuple[str, ...] = (),
    months: tuple[str, ...] = (),
    periods: tuple[str, ...] = (),
    reason: str = "",
    full: bool | None = None,
    workers: int | None = None,
    progress: Progress = lambda county, step: None,
    done: Done = lambda county, outcome: None,
) -> Report:
    """Runs the counties (all, or those of these codes) and publishes the region's warehouse over what they then serve.

    A county that fails is in the report and keeps what it served; nobody waits for it. Again, everything that is
    published already is left alone. Raises BadParameter on an unknown code, PublisherBusy where the region is being run
    already.
    """
    chosen = region.chosen(counties)
    started = time.perf_counter()
    found: dict[str, Outcome] = {}
    with exclusive(region.root, f"region {region.name}", timeout=1), _pool(workers, len(chosen)) as pool:
        tasks = [CountyTask(region, each, exports, months, periods, reason, full) for each in chosen]
        for task, ended in pool.run(tasks, lambda task, step: progress(task.county, step)):
            outcome = _outcome(ended)
            found[task.county.code] = outcome
            done(task.county, outcome)
        ((_, ended),) = pool.run([RegionTask(region, reason)], lambda _, step: progress(None, step))
        whole = _outcome(ended)
        done(None, whole)
        report = Report(found, whole, round(time.perf_counter() - started, 3))
        _record(region, report)
    return report


def _pool(workers: int | None, tasks: int) -> Pool[Any, Outcome]:
    cores = len(os.sched_getaffinity(0))
    size = max(1, min(workers or cores, tasks))
    return Pool(size, work, partial(prepare, max(1, cores // size)))


def _outcome(ended: Outcome | Died) -> Outcome:
    """A process that died is a failure like another; the same again may go well."""
    return Outcome("failed", reasons=[str(ended)], is_transient=True) if isinstance(ended, Died) else ended


def _record(region: Region, report: Report) -> None:
    """Keeps what each county came to; of counties that this run left out, what the run before says."""
    known = last_run(region)
    said = {"at": beijing_now().isoformat(sep=" "), "seconds": report.seconds, "region": asdict(report.region)}
    now = {code: asdict(outcome) | {"at": said["at"]} for code, outcome in report.counties.items()}
    said["counties"] = {**known.get("counties", {}), **now}
    path = region.root / RECORD
    path.parent.mkdir(exist_ok=True)
    write_text(path, json.dumps(said, ensure_ascii=False, indent=1) + "\n")


def last_run(region: Region) -> dict[str, Any]:
    """What the last run came to, as it is kept; empty before the first."""
    path = region.root / RECORD
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
