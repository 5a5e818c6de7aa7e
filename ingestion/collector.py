"""Python's cyclic garbage collector, held back where it only costs."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """No cyclic collection inside the block, as before it afterwards.

    For importing a large library and for one run of dbt: both make many objects and drop few, and in a process that
    already holds Airflow every full collection walks all of that again (a fifth of the time of such an import).
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


#: New objects between two looks of the collector in a task (Python's own is 700). A task makes many and drops few.
TASK_THRESHOLD = 200_000


def collect_rarely() -> None:
    """For the start of a task: the collector looks rarely, and never again at what the process holds already.

    Airflow's modules and schemas, more than half a million objects, live as long as the process: full collections walk
    them in vain, also when the process ends. They are left out, but not once DuckDB is loaded: its binding reports
    objects that are not collected at the end as leaks.
    """
    gc.set_threshold(TASK_THRESHOLD)
    if "duckdb" not in sys.modules:
        gc.freeze()
