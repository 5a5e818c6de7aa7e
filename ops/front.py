"""The front door's two journeys: the simulated county month by month, and a folder of exports for named periods."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from ingestion.contracts import CONTRACTS, SYSTEMS
from ingestion.errors import BadParameter
from ingestion.home import PROJECT, Home
from ingestion.period import Month, Period
from ingestion.personal_numbers import masked
from ops import connections, sources
from ops.runtime import Airflow, RunFailed, running
from ops.watch import POLL_SECONDS, RANK_START_SECONDS, wait, wait_for_asset_run

DAGS = {*(f"pull_{system}" for system in SYSTEMS), "rank_month", "replay", "documents", "mirror", "freshness"}

#: The demo's months: two before the notice, so that there is a past to compare with.
DEMO_MONTHS = ["2022-05", "2022-06", "2022-07", "2022-08"]
DEMO_PERIOD = "2022-07--2022-08"


def demo(home: Home, console: Console, *, scenario: str = "notice", seed: int = 2022) -> None:
    """Generate, serve, pull and rank the demo's months in order, ranking by assets; raises RunFailed."""
    exports = sources.generate(home, scenario, seed, console)
    failures: list[str] = []
    with sources.served(home, exports) as uris, started(home, uris, console) as airflow:
        airflow.client.pause("rank_month", False)
        for month in DEMO_MONTHS:
            failures += pull_and_rank(airflow, month, console)
        failures += documents_written(airflow, home, console)
    finish(home, [DEMO_PERIOD], failures, console)


def exports_run(home: Home, console: Console, exports: Path, periods: list[str]) -> None:
    """Pull every month of a folder in order, then publish exactly the named periods; raises RunFailed, BadParameter.

    Without named periods each month is ranked by its assets, as in the monthly business. A month that a dataset lacks
    is reported; it fails the run only when a named period needs it. A refused delivery always does.
    """
    periods = [Period.parse(code).code for code in periods]
    there = sources.delivered_months(exports)
    months = sorted({month for found in there.values() for month in found}, key=Month.parse)
    if not months:
        raise BadParameter(f"no deliveries in {exports}: expected <system>/<dataset>/<YYYY-MM>/<file>")
    absent = [(dataset, month) for dataset, found in there.items() for month in months if month not in found]
    for dataset, month in absent:
        console.print(f"[yellow]missing[/] {dataset} {month}: nothing was delivered")
    failures: list[str] = []
    with started(home, connections.of_folder(exports), console) as airflow:
        airflow.client.pause("rank_month", bool(periods))
        if periods:
            # The ranking waits for the named periods, so the systems need not wait for each other.
            runs = [airflow.client.trigger(f"pull_{s}", partition_key=month) for month in months for s in SYSTEMS]
            failures += wait(airflow, runs, console).failures
            request = {"periods": periods, "reason": masked(f"make run EXPORTS={exports.name}")[:500]}
            failures += wait(airflow, [airflow.client.trigger("replay", conf=request)], console).failures
        else:
            for month in months:
                failures += pull_and_rank(airflow, month, console)
        failures += documents_written(airflow, home, console)
    expected = tuple(f"pull_{CONTRACTS[dataset].system} {month} ingest {dataset}:" for dataset, month in absent)
    serious = [failure for failure in failures if not failure.startswith(expected)]
    finish(home, periods, serious, console)


def pull_and_rank(airflow: Airflow, month: str, console: Console) -> list[str]:
    """Pull a month of all systems and, when all delivered, wait for the ranking their assets start; the failures."""
    known = {run.run_id for run in airflow.client.runs("rank_month")}
    pulled = wait(airflow, [airflow.client.trigger(f"pull_{s}", partition_key=month) for s in SYSTEMS], console)
    if pulled.failures or any(run.state != "success" for run in pulled.runs):
        return pulled.failures or [f"pull of {month} failed"]
    return wait(airflow, [wait_for_asset_run(airflow, "rank_month", month, known)], console).failures


def documents_written(airflow: Airflow, home: Home, console: Console) -> list[str]:
    """Wait until the documents of the served release are there, that its publication has set off; the failures."""
    written = home.published / "documents" / "current"
    deadline = time.monotonic() + RANK_START_SECONDS
    failures: list[str] = []
    while home.current.is_symlink() and time.monotonic() < deadline:
        airflow.check()
        if at_work := [run for run in airflow.client.runs("documents") if not run.finished]:
            failures = wait(airflow, at_work, console).failures
            deadline = time.monotonic() + RANK_START_SECONDS
        elif written.is_symlink() and written.readlink().name == home.current.readlink().name:
            return []
        elif failures:
            return failures
        time.sleep(POLL_SECONDS)
    return ["documents: not written in time"] if home.current.is_symlink() else []


@contextlib.contextmanager
def started(home: Home, uris: dict[str, str], console: Console) -> Iterator[Airflow]:
    """Airflow for this home with all DAGs found; says where it is."""
    console.print("starting Airflow …")
    with running(home, uris) as airflow:
        airflow.client.wait_for_dags(DAGS)
        console.print(f"Airflow is healthy at {airflow.url}; its logs: {airflow.home.logs}")
        yield airflow


def finish(home: Home, periods: list[str], failures: list[str], console: Console) -> None:
    """Print the published result of the periods; raises RunFailed naming what failed."""
    for period in periods:
        env = {**os.environ, "TONGBAO_HOME": str(home.root)}
        subprocess.run([sys.executable, "-m", "publishing", "summary", period], cwd=PROJECT, env=env, check=False)
    if failures:
        raise RunFailed("\n  ".join(["the run failed:", *failures]))
