"""Waits for DAG runs with visible progress: one bar a run, a line when it ends, the reasons when it failed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ops.client import Run
from ops.runtime import Airflow, RunFailed

POLL_SECONDS = 0.5
RANK_START_SECONDS = 120
DONE = {"success", "failed", "skipped", "upstream_failed", "removed"}


@dataclass
class Outcome:
    """What a set of runs came to: the runs as they ended, and one line per failed task."""

    runs: list[Run] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def wait(airflow: Airflow, runs: list[Run], console: Console) -> Outcome:
    """Wait until every run has ended; raises RunFailed when Airflow itself ends before."""
    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    outcome = Outcome()
    with Progress(*columns, TextColumn("{task.fields[now]}"), console=console, transient=True) as progress:
        bars = {run.run_id: progress.add_task(_name(run), total=None, now=run.state) for run in runs}
        open_runs, started = list(runs), time.monotonic()
        while open_runs:
            airflow.check()
            for run in [airflow.client.run(r.dag_id, r.run_id) for r in open_runs]:
                tasks = airflow.client.tasks(run)
                now = ", ".join(_task(t) for t in tasks if t["state"] == "running") or run.state
                done = sum(t["state"] in DONE for t in tasks)
                progress.update(bars[run.run_id], completed=done, total=len(tasks) or None, now=now)
                if run.finished:
                    open_runs = [r for r in open_runs if r.run_id != run.run_id]
                    outcome.runs.append(run)
                    reasons = airflow.client.failures(run) if run.state == "failed" else []
                    outcome.failures += reasons
                    mark = "[green]done[/]  " if run.state == "success" else "[red]FAILED[/]"
                    progress.console.print(f"{mark} {_name(run):<24} {time.monotonic() - started:6.1f} s")
                    for reason in reasons:
                        progress.console.print(f"       {reason}", markup=False, highlight=False)
            time.sleep(POLL_SECONDS)
    return outcome


def wait_for_asset_run(airflow: Airflow, dag_id: str, month: str, known: set[str]) -> Run:
    """The run that the assets start for this month and that is not among the known ones; raises RunFailed."""
    deadline = time.monotonic() + RANK_START_SECONDS
    while time.monotonic() < deadline:
        airflow.check()
        for run in airflow.client.runs(dag_id):
            if run.partition_key == month and run.run_id not in known:
                return run
        time.sleep(POLL_SECONDS)
    raise RunFailed(f"{month} is delivered, but {dag_id} was not started by its assets in {RANK_START_SECONDS} s")


def _name(run: Run) -> str:
    return f"{run.dag_id} {run.partition_key or ''}".strip()


def _task(task: dict) -> str:
    return f"{task['task_id']} {task['rendered_map_index'] or ''}".strip()
