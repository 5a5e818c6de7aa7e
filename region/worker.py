"""What a process of the pool does: a county's month, or the warehouse of the region."""

from __future__ import annotations

import gc
import logging
import os
from dataclasses import dataclass

from ingestion import engine
from ingestion.collector import TASK_THRESHOLD, collector_paused
from ingestion.errors import BadParameter, TongbaoError
from region.config import Region
from region.county import CountyTask, Outcome, Told, at_home, measured, run_county


@dataclass(frozen=True)
class RegionTask:
    """The region's own warehouse, over what its counties serve."""

    region: Region
    reason: str = ""


def prepare(threads: int) -> None:
    """Imports what every county needs: some seconds, once a process. Its engines have so many threads."""
    os.environ.setdefault(engine.THREADS_VARIABLE, str(threads))
    with collector_paused():
        import dbt.adapters.duckdb.connections
        import dbt.cli.main

        import expectations
        import publishing
        from expectations.judge import _gx
        from publishing import repeated

        _gx()
    logging.getLogger("great_expectations").setLevel(logging.WARNING)  # its import sets another level
    gc.set_threshold(TASK_THRESHOLD)  # else it walks all that was just imported, some times a county
    repeated.switch_on()
    _ = (dbt, expectations, publishing)


def work(task: CountyTask | RegionTask, told: Told) -> Outcome:
    """Does the task; never raises."""
    return run_county(task, told) if isinstance(task, CountyTask) else _run_region(task, told)


def _run_region(task: RegionTask, told: Told) -> Outcome:
    def publish(failures: list[TongbaoError]) -> list[str] | None:
        from region import warehouse

        told("region")
        with at_home(task.region, None):
            _, new, problems = warehouse.publish(task.region, task.reason)
        failures += [BadParameter(f"shown as not delivered: {problem}") for problem in problems]
        return new

    return measured(publish)
