"""Part of ``make bench``: a county's month through the real DAGs against an empty DAG, each in one fresh process.

Measured is the monthly run of a county in business: earlier months are delivered and published before the clock starts,
then one month of all three systems is pulled, validated, built, audited and published (``dag.test`` of the four DAGs).
The yardstick is ``dag.test`` of a DAG with one empty task: what this Airflow costs on this machine before any work.
Both migrate no database and start from compiled bytecode. They take turns, and the ratio is the median of the turns'
ratios: a machine's speed drifts over minutes, by more than what is to be seen, and both sides of a turn have the same.
The dashboards' queries are asked of the release that this left (:mod:`ops.bench_bi`).
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from ingestion.home import PROJECT, Home
from ops import bench_bi, connections, sources
from ops.runtime import RunFailed
from ops.settings import AirflowHome, environment

TARGET = 2.5
HISTORY = ["2022-05", "2022-06", "2022-07"]
MONTH = "2022-08"

EMPTY_DAG = """from airflow.sdk import DAG, task
with DAG("empty", schedule=None):
    @task
    def nothing():
        pass
    nothing()
"""


def measure(console: Console, repeats: int) -> dict[str, dict]:
    """The county's month against the empty DAG."""
    with tempfile.TemporaryDirectory(prefix="tongbao-bench-") as folder:
        base = Path(folder)
        ready = Home(base / "ready")
        exports = sources.generate(ready, "notice", 2022, console)
        (base / "empty").mkdir()
        (base / "empty" / "empty.py").write_text(EMPTY_DAG)
        console.print(f"history: {', '.join(HISTORY)} …")
        migrate(ready)
        run(ready, "history", exports, HISTORY)
        seconds: dict[str, list[float]] = {"empty": [], "county": []}
        rss: dict[str, list[float]] = {"empty": [], "county": []}
        for turn in range(repeats):
            for what in ("empty", "county"):
                home = Home(base / f"{what}-{turn}")
                shutil.copytree(ready.root, home.root, symlinks=True, ignore=shutil.ignore_patterns("exports"))
                dags = base / "empty" if what == "empty" else PROJECT / "dags"
                took, peak = run(home, what, exports, [MONTH], dags=dags)
                seconds[what].append(took)
                rss[what].append(peak)
                console.print(f"{what:<7} {took:6.1f} s  {peak:6.0f} MiB")
                shutil.rmtree(home.root)
        asked = bench_bi.measure(ready, console)
    ratio = statistics.median(county / empty for county, empty in zip(seconds["county"], seconds["empty"], strict=True))
    console.print(f"county month / empty DAG = {ratio:.2f} (target: at most {TARGET})")
    return {
        "ratios": {"county_vs_empty_dag": round(ratio, 3), **asked["ratios"]},
        "bi": asked["bi"],
        "peak_rss_mib": {"county_month": round(max(rss["county"])), "empty_dag": round(max(rss["empty"]))},
        "seconds": {name: [round(s, 2) for s in runs] for name, runs in seconds.items()},
    }


def migrate(home: Home) -> None:
    """A metadata database with the writer's pool, made before anything is timed."""
    AirflowHome.of(home).prepare()
    for arguments in (["db", "migrate"], ["pools", "set", "warehouse", "1", "one writer of the warehouse"]):
        env = environment(home, 1, {})
        done = subprocess.run([sys.executable, "-m", "airflow", *arguments], env=env, capture_output=True, check=False)
        if done.returncode:
            raise RunFailed(f"airflow {arguments[0]} failed: {done.stderr.decode(errors='replace')[-500:]}")


def run(
    home: Home, what: str, exports: Path, months: list[str], *, dags: Path = PROJECT / "dags"
) -> tuple[float, float]:
    """Seconds and peak MiB of one fresh process: ``what`` is empty, county or history (:mod:`ops.bench_child`)."""
    env = environment(home, 1, connections.of_folder(exports), dags=dags)
    log = home.root / f"{what}.log"
    command = [sys.executable, "-m", "ops.bench_child", what, *months]
    started = time.monotonic()
    with log.open("wb") as output:
        done = subprocess.run(command, env=env, cwd=home.root, stdout=output, stderr=subprocess.STDOUT, check=False)
    took = time.monotonic() - started
    if done.returncode:
        tail = log.read_text(errors="replace")[-1500:]
        raise RunFailed(f"the {what} side of the bench failed: {tail}")
    return took, float((home.root / "peak_rss_mib").read_text())
