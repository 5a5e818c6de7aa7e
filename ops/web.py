"""Airflow under its web pages for as long as someone looks at it, and backfills in it."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from ingestion.contracts import SYSTEMS
from ingestion.home import Home
from ingestion.period import Month
from ops import connections, sources
from ops.client import AirflowClient
from ops.front import started
from ops.runtime import RunFailed
from ops.settings import USER, AirflowHome


def serve(home: Home, console: Console, exports: Path | None) -> None:
    """Start the sources and Airflow, say where the pages and the password are, and wait; raises RunFailed."""
    with ExitStack() as stack:
        if exports is not None:
            uris = connections.of_folder(exports)
        else:
            uris = stack.enter_context(sources.served(home, sources.generate(home, "notice", 2022, console)))
        airflow = stack.enter_context(started(home, uris, console))
        airflow.client.pause("rank_month", False)
        console.print(f"\npages     {airflow.url}\nuser      {USER}\npassword  in {airflow.home.passwords}")
        console.print("trigger   pull_platform, pull_hotline, pull_cms with a month as partition key, e.g. 2022-07")
        console.print("stop      Ctrl-C, or `make stop`", end="\n\n")
        while True:
            airflow.check()
            time.sleep(1)


def backfill(home: Home, first: Month, last: Month, console: Console) -> None:
    """Ask the running Airflow to pull the months again, in order; `rank_month` follows by its assets.

    Raises RunFailed when no Airflow runs for this home.
    """
    airflow = AirflowHome.of(home)
    if not airflow.processes.exists():
        raise RunFailed("no Airflow is running for this home; start it with `make ui` in another terminal")
    port = json.loads(airflow.processes.read_text())["port"]
    client = AirflowClient(f"http://127.0.0.1:{port}", airflow.password())
    for system in SYSTEMS:
        body = {
            "dag_id": f"pull_{system}",
            # For a partitioned DAG these are dates of partitions; a month's partition is dated in that month.
            "from_date": f"{first.first_day}T00:00:00Z",
            "to_date": f"{last.last_day}T00:00:00Z",
            "reprocess_behavior": "completed",
            "max_active_runs": 1,
            "run_backwards": False,
            "dag_run_conf": {},
        }
        client.call("POST", "/backfills", json=body)
        console.print(f"pull_{system}: {first} to {last} requested; progress: http://127.0.0.1:{port}")
    client.close()
