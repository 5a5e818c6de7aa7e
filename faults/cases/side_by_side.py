"""A year's backfill beside the monthly run, readers beside a hundred publications, a worker killed at work."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb

from faults import invariants
from faults.cases.operations import final, in_order, published, sound, whole_run
from faults.county import ALL, PERIODS, RUN, generate, land, load, tasks
from faults.injection import in_child
from faults.judge import EXACT, WRONG, Verdict
from faults.variants import Variant
from faults.workplace import Workplace

PUBLICATIONS = 100
#: Publications without a reader, to compare with. Beside readers the median and the slowest may take so many times
#: those of these and a part of a second: the readers use the processors too. One connection stays open all the time, so
#: that a publisher that waits for readers, for ever or each time for a while, is beyond the bounds.
ALONE = 12
LONGER, PAUSE = 3.0, 0.5


# -- a backfill of twelve months beside the monthly run --------------------------------------------------------------


def backfills() -> Iterator[Variant]:
    """Twelve months pulled and loaded by one process while another makes the month's run."""
    yield Variant("year_beside_month", _backfill)


def _backfill(place: Workplace) -> Verdict:
    published(place)
    year = place.root / "year"
    generate(year, ["2021-07", "2022-06"], seed=9)

    def fill() -> None:
        other = _Beside(place, year)
        for number in range(12):
            month = f"{2021 + (6 + number) // 12}-{(6 + number) % 12 + 1:02d}"
            for dataset in ALL:
                land(other, (dataset,), month)
                load(other, (dataset,), month)

    monthly = in_child(lambda: whole_run(place, "run-m"), place.root / "m.txt", wait=False)
    backfill = in_child(fill, place.root / "b.txt", patience=600, wait=False)
    failed = [f"{ran.error}: {ran.text[:200]}" for ran in (backfill(), monthly()) if not ran.well]
    shutil.rmtree(year)
    # Whatever of the past the monthly run saw, the next one has all of it: as a county that was loaded in order.
    failed += in_order(place, lambda place: whole_run(place, "run-n"))
    beside = in_child(lambda: invariants.served(place.home), place.root / "log.txt").result
    alone = Workplace(place.root.parent)
    try:
        shutil.copytree(
            place.home.root, alone.home.root, symlinks=True, ignore=shutil.ignore_patterns("published", "runs")
        )
        failed += in_order(alone, _published_alone)
        wanted = in_child(lambda: invariants.served(alone.home), alone.root / "log.txt").result
    finally:
        alone.remove()
    if not wanted or not beside or beside[-1][1] != wanted[-1][1]:
        failed.append(f"the figures depend on what ran beside: {beside}, alone {wanted}")
    return sound(place, beside, failed)


def _published_alone(place: Workplace) -> Any:
    import publishing

    return publishing.run(place.home, PERIODS, "alone").releases


class _Beside(Workplace):
    """The same home, fed from another folder of exports."""

    def __init__(self, place: Workplace, exports: Path) -> None:
        self.root, self.exports, self.home = place.root, exports, place.home


# -- readers through a hundred publications ---------------------------------------------------------------------------


def readers() -> Iterator[Variant]:
    """Two readers loop and one keeps its connection open while releases are swapped."""
    yield Variant(f"{PUBLICATIONS}_publications", lambda place: _readers(place, PUBLICATIONS))


def _readers(place: Workplace, publications: int) -> Verdict:
    task = tasks()["publish"]
    task.place(place)
    os.environ["TONGBAO_RELEASES_KEPT"] = "3"
    stop = place.root / "stop"
    alone = in_child(lambda: _publish_versions(place, 1, ALONE), place.root / "log.txt", patience=300)
    reading = [in_child(lambda: _read(place, stop), place.root / "log.txt", patience=900, wait=False) for _ in range(2)]
    keeping = in_child(lambda: _keep_open(place, stop), place.root / "log.txt", patience=900, wait=False)

    beside = in_child(lambda: _publish_versions(place, ALONE + 1, publications), place.root / "log.txt", patience=900)
    stop.touch()
    found = [ended() for ended in (*reading, keeping)]
    wrong = [f"{ran.error or 'stopped'}: {ran.text[:200]}" for ran in (alone, beside, *found) if not ran.well]
    reads = errors = mixed = 0
    versions = set()
    for ran in found[:2]:
        told = ran.result or {"reads": 0, "errors": 0, "mixed": 0, "versions": []}
        reads, errors, mixed = reads + told["reads"], errors + told["errors"], mixed + told["mixed"]
        versions |= set(told["versions"])
    if errors or mixed:
        wrong.append(f"{errors} errors and {mixed} mixed answers in {reads} reads")
    if len(versions) < min(10, publications):
        wrong.append(f"the readers saw only {len(versions)} of {publications} releases: nothing is shown")
    wrong += waited(alone.result or [], beside.result or [])
    wrong += in_child(lambda: invariants.i6_nothing_left(place.home), place.root / "log.txt").result or []
    if wrong:
        return Verdict(WRONG, "; ".join(wrong[:3]))
    times = "; ".join(
        f"{where}: median {statistics.median(ran.result):.2f} s, slowest {max(ran.result):.2f} s"
        for where, ran in (("beside readers", beside), ("without", alone))
    )
    return Verdict(EXACT, f"{reads} reads of {len(versions)} releases; {times}")


def waited(alone: list[float], beside: list[float]) -> list[str]:
    """Did publications (seconds each) take longer beside readers than the bound allows? No figures are no proof."""
    if not alone or not beside:
        return ["publications were not timed: nothing is shown of waiting"]
    found = []
    for which, of in (("median", statistics.median), ("slowest", max)):
        took, bound = of(beside), LONGER * of(alone) + PAUSE
        if took > bound:
            found.append(f"the publisher waits: the {which} publication took {took:.1f} s, the bound is {bound:.1f} s")
    return found


def _publish_versions(place: Workplace, first: int, count: int) -> list[float]:
    """Seconds that each publication took, without the making of what is published."""
    return [_publish_version(place, version) for version in range(first, first + count)]


def _publish_version(place: Workplace, version: int) -> float:
    """Publishes the audited run once more with every figure of its totals and its scores the version's; seconds."""
    from ingestion.durable import sha256_of
    from publishing import publish, releases

    home, base = place.home, releases.newest(place.home)
    run = home.runs / f"v{version}"
    shutil.copytree(home.runs / RUN, run)
    with duckdb.connect(str(run / "warehouse.duckdb")) as connection:
        connection.execute(f"UPDATE marts.unit_scores SET score = {version}")
        connection.execute(f"UPDATE marts.unit_rankings SET score = {version % 100}")
        connection.execute(f"UPDATE marts.period_totals SET value = {version}")
        connection.execute("CHECKPOINT")
    digest = sha256_of(run / "warehouse.duckdb")
    state = json.loads((run / "build.json").read_text("utf-8"))
    state |= {"run_id": run.name, "base": base.number if base else None, "input_digest": f"v{version}"}
    (run / "build.json").write_text(json.dumps(state | {"warehouse_sha256": digest}))
    (run / "audit.json").write_text(json.dumps({"warehouse_sha256": digest}))
    started = time.monotonic()
    publish(home, run.name)
    seconds = time.monotonic() - started
    shutil.rmtree(run, ignore_errors=True)
    return seconds


def _read(place: Workplace, stop: Path) -> dict[str, Any]:
    told: dict[str, Any] = {"reads": 0, "errors": 0, "mixed": 0}
    seen = set()
    while not stop.exists():
        told["reads"] += 1
        try:
            with duckdb.connect() as connection:
                connection.execute(f"ATTACH '{place.home.current}/warehouse.duckdb' AS w (READ_ONLY)")
                scores = connection.execute("SELECT DISTINCT score FROM w.marts.unit_scores").fetchall()
                time.sleep(0.01)
                totals = connection.execute("SELECT DISTINCT value FROM w.marts.period_totals").fetchall()
            told["mixed"] += not (len(scores) == 1 and scores == totals)
            seen.add(scores[0][0])
        except duckdb.Error:
            told["errors"] += 1
    return told | {"versions": sorted(seen)}


def _keep_open(place: Workplace, stop: Path) -> None:
    """A dashboard that never closes: its answers stay those of the release it opened."""
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{place.home.current}/warehouse.duckdb' AS w (READ_ONLY)")
        before = connection.execute("SELECT DISTINCT score FROM w.marts.unit_scores").fetchall()
        while not stop.exists():
            time.sleep(0.05)
            if connection.execute("SELECT DISTINCT score FROM w.marts.unit_scores").fetchall() != before:
                raise AssertionError("an open connection was given another release")


# -- a worker killed under the scheduler -----------------------------------------------------------------------------


def workers() -> Iterator[Variant]:
    """The process of a task killed while the scheduler runs it: the task is tried again and the run ends well."""
    for task in ("ingest", "build", "publish"):
        yield Variant(f"killed_in_{task}", _worker(task))


def _worker(task: str) -> Callable[[Workplace], Verdict]:
    def check(place: Workplace) -> Verdict:
        from rich.console import Console

        from ops import connections
        from ops.front import documents_written, started

        published(place)
        correct_again = place.exports
        killed: list[int] = []
        with (
            Path(os.devnull).open("w") as nowhere,
            started(place.home, connections.of_folder(correct_again), quiet := Console(file=nowhere)) as airflow,
        ):
            airflow.client.pause("rank_month", True)
            runs = [
                airflow.client.trigger(f"pull_{s}", partition_key="2022-07") for s in ("platform", "hotline", "cms")
            ]
            _watch(airflow, runs, task, killed)
            request = {"periods": "2022-07", "reason": "更正 correction"}
            replay = [airflow.client.trigger("replay", conf=request)]
            _watch(airflow, replay, task, killed)
            ended = [airflow.client.run(run.dag_id, run.run_id).state for run in (*runs, *replay)]
            unwritten = documents_written(airflow, place.home, quiet)  # set off by the publication, and at work still
        failed = [] if killed else [f"no process of {task} was there to be killed: nothing is shown"]
        if ended != ["success"] * 4:
            failed.append(f"the runs ended as {ended}")
        return sound(place, final(), [*failed, *unwritten])

    return check


def _watch(airflow: Any, runs: list[Any], task: str, killed: list[int], patience: float = 400) -> None:
    """Waits for the runs and kills the first process that it finds at work on the task."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if not killed:
            for run in runs:
                killed += _kill(airflow, run, task)
        if all(airflow.client.run(run.dag_id, run.run_id).finished for run in runs):
            return
        time.sleep(0.2)


def _kill(airflow: Any, run: Any, task: str) -> list[int]:
    path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances"
    for instance in airflow.client.call("GET", path)["task_instances"]:
        pid = instance.get("pid")
        if instance["task_id"] == task and instance["state"] == "running" and pid:
            with suppress(ProcessLookupError):
                # Of this scheduler's session, so no stranger's that has been given the number since. (What a process
                # was started with cannot tell: a task overwrites it with its title.)
                if os.getsid(pid) == airflow.processes["scheduler"].pid:
                    os.kill(pid, signal.SIGKILL)
                    return [pid]
    return []
