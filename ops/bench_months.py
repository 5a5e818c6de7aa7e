"""Part of ``make bench``: what a month costs after three years of months; alone: ``python -m ops.bench_months``.

A county of the usual size (21 thousand cases a month) is run for 36 months. The third and the last month are run in
turns, each from a copy of the state before it, by the DAGs as every month is (:mod:`ops.bench_dag`); the ratio is the
median of the turns' ratios. Beside it, step by step, what the months cost without Airflow, whose share is the same in
both: in a process that does what the DAGs do, pull, load and validate, build, audit, publish. What lies between, up to
month 33, is delivered month by month and released at once, all its periods, which saves the bench half its time and
leaves the last month the same history; the three months before the last are run one by one.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console

from ingestion.home import PROJECT, Home
from ops import bench_dag, bench_peak
from ops.runtime import RunFailed

FIRST, LAST = "2021-01", "2023-12"
MONTHS = [f"{year}-{month:02}" for year in range(2021, 2024) for month in range(1, 13)]
#: The month that the last is compared with.
EARLY = MONTHS[2]
#: The last month's run takes at most so many times the early one's.
TARGET, TARGETED = 1.2, "month36_vs_month3"


def generate(folder: Path, console: Console) -> Path:
    """The exports of the 36 months; made once."""
    exports = folder / f"months-{FIRST}-{LAST}"
    if not (exports / ".complete").exists():
        console.print(f"generating {FIRST}..{LAST} …")
        shutil.rmtree(exports, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        arguments = ["--seed", "7", "--months", f"{FIRST}..{LAST}", "--format", "csv", "--out", str(exports)]
        done = subprocess.run([sys.executable, "-m", "simulator", "generate", *arguments], cwd=PROJECT, check=False)
        if done.returncode:
            raise RunFailed(f"the simulator could not generate the months (exit code {done.returncode})")
        (exports / ".complete").touch()
    return exports


def measure(folder: Path, console: Console, repeats: int = 3) -> dict[str, dict]:
    """Runs the months and returns what goes into bench.json: ratios, seconds (medians, by step too), peak_rss_mib."""
    exports = generate(folder, console)
    with tempfile.TemporaryDirectory(prefix="months-", dir=folder) as work:
        home = Home(Path(work) / "home")
        bench_dag.migrate(home)
        after = MONTHS.index(EARLY) + 1
        for months in [[month] for month in MONTHS[:after]] + [MONTHS[after:-3]] + [[month] for month in MONTHS[-3:]]:
            if months[-1] in (EARLY, LAST):
                shutil.copytree(home.root, Path(work) / months[-1], symlinks=True)
            if months[-1] != LAST:
                _in_child(home, exports, months)
        turns = []
        for _ in range(repeats):
            turns.append({month: _turn(home, Path(work) / month, exports, month) for month in (EARLY, LAST)})
            for month, figures in turns[-1].items():
                shown = "  ".join(f"{name} {figure:.2f}" for name, figure in figures.items())
                console.print(f"month {MONTHS.index(month) + 1:>2}: {shown}")

    def ratio(name: str) -> float:
        return round(statistics.median(turn[LAST][name] / turn[EARLY][name] for turn in turns), 3)

    ratios = {
        "month36_vs_month3": ratio("through_airflow"),
        "month36_vs_month3_without_airflow": ratio("seconds"),
        "month36_vs_month3_cpu": ratio("cpu"),
    }
    for name, found in ratios.items():
        console.print(f"{name} = {found:.2f}" + (f" (target: at most {TARGET})" if name == TARGETED else ""))
    seconds = {
        f"month{MONTHS.index(month) + 1}_{name}": round(statistics.median(turn[month][name] for turn in turns), 3)
        for month in (EARLY, LAST)
        for name in turns[0][month]
        if name != "peak_rss_mib"
    }
    peaks = {f"month{MONTHS.index(month) + 1}": round(turns[-1][month]["peak_rss_mib"]) for month in (EARLY, LAST)}
    return {"ratios": ratios, "seconds": seconds, "peak_rss_mib": peaks}


def _turn(home: Home, before: Path, exports: Path, month: str) -> dict[str, float]:
    """A month's run by the DAGs, then by its steps, each from the same state."""

    def back() -> None:
        shutil.rmtree(home.root)
        shutil.copytree(before, home.root, symlinks=True)
        os.sync()  # what the copy has left to write is no part of the month

    back()
    through_airflow, _ = bench_dag.run(home, "county", exports, [month])
    back()
    return {"through_airflow": through_airflow} | _in_child(home, exports, [month])


def _in_child(home: Home, exports: Path, months: list[str]) -> dict[str, float]:
    """Seconds of the steps of these months in a fresh process; raises RunFailed with the end of what it said."""
    home.root.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "TONGBAO_HOME": str(home.root), "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "ops.bench_months", "--child", str(exports), *months]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunFailed(f"month {months[-1]} failed: {done.stderr[-1500:]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _child(exports: Path, months: list[str]) -> None:
    """A month's run, as the DAGs do it; of several months, all periods that they complete. Prints its figures."""
    import resource

    started = time.perf_counter()
    took: dict[str, float] = {}

    def step(name: str) -> None:
        took[name] = round(time.perf_counter() - started - sum(took.values()), 3)

    import expectations
    import publishing
    from ingestion import landing, load
    from ingestion.contracts import SYSTEMS
    from ingestion.transports import connect

    expectations.prepare()
    home, source = Home.from_env(), connect(f"file://{exports}")
    for month in months:
        for system, datasets in SYSTEMS.items():
            for dataset in datasets:
                landing.pull(home, source, system, dataset, month)
                load.load(home, dataset, month, validate=expectations.validate_load)
    step("ingest")
    run_id = f"month-{months[-1]}"
    plan = publishing.plan(home, month=months[0]) if len(months) == 1 else publishing.plan(home)
    publishing.build(home, plan.publish, run_id)
    step("build")
    publishing.audit(home, run_id)
    step("audit")
    publishing.publish(home, run_id)
    step("publish")
    used = resource.getrusage(resource.RUSAGE_SELF)
    figures = {"seconds": time.perf_counter() - started, "cpu": used.ru_utime + used.ru_stime}
    print(json.dumps(took | figures | {"peak_rss_mib": bench_peak.own_mib()}))


@click.command()
@click.option("--repeats", default=3, show_default=True, help="How often the compared months are run.")
def main(repeats: int) -> None:
    """Measure the 36 months alone and add the figures to var/bench.json."""
    from ops.bench import merge

    root = Home.from_env().root
    merge(root / "bench.json", measure(root / "bench", Console(), repeats))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child(Path(sys.argv[2]), sys.argv[3:])
    else:
        main()
