"""``make bench``: a county's month through the real DAGs against an empty DAG, each in one fresh process.

Measured is the monthly run of a county in business: earlier months are delivered and published before the clock starts,
then one month of all three systems is pulled, validated, built, audited and published (``dag.test`` of the four DAGs).
The yardstick is ``dag.test`` of a DAG with one empty task: what this Airflow costs on this machine before any work.
Both migrate no database and start from compiled bytecode. They take turns, and the ratio is the median of the turns'
ratios: a machine's speed drifts over minutes, by more than what is to be seen, and both sides of a turn have the same.

The dashboards' queries are asked of the release that this left (:mod:`ops.bench_bi`). Then the clean export of
:mod:`ops.bench_clean` is loaded, months of several sizes go from files to a release (:mod:`ops.bench_sizes`), 36 months
of one county follow each other (:mod:`ops.bench_months`), and the month of many counties is run
(:mod:`ops.bench_counties`).
"""

from __future__ import annotations

import json
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
from ops import bench_bi, bench_clean, bench_counties, bench_months, bench_sizes, connections, sources
from ops.bench_exports import MOST
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


#: The parts, and what each measures.
PARTS = {
    "dag": "a county's month through the DAGs against an empty DAG, then the dashboards' queries (3 minutes)",
    "clean": "a clean CSV of 2 million rows loaded (2 minutes)",
    "sizes": "months of several sizes from files to release",
    "months": "the 36th month of a county against its 3rd (15 minutes)",
    "counties": "100 counties of a region, one of them garbage, against the same rows as one county (15 minutes)",
}


def _numbers(_: click.Context, __: click.Parameter, text: str) -> list[float]:
    try:
        sizes = [float(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter("numbers with commas between them, such as 1,50,500") from None
    if not all(0 < size <= MOST for size in sizes):
        raise click.BadParameter(f"from more than 0 to {MOST}")
    return sizes


@click.command()
@click.option(
    "--part",
    "parts",
    type=click.Choice([*PARTS]),
    multiple=True,
    help="Only this part; may be repeated. " + "; ".join(f"{name}: {what}" for name, what in PARTS.items()) + ".",
)
@click.option(
    "--sizes",
    default="1,50",
    show_default=True,
    callback=_numbers,
    help="Counties, for the part sizes. On two quiet cores 1 takes about 1 minute, 50 about 4, 500 about 20.",
)
@click.option("--repeats", default=3, show_default=True, help="How often each side is measured; sizes: once.")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Where the generated files go (default: bench/ in the home)."
)
def main(parts: tuple[str, ...], sizes: list[float], repeats: int, folder: Path | None) -> None:
    """Measure and write var/bench.json; ends with code 1 when a run fails (not when a target is missed).

    All parts, unless some are named.
    """
    console = Console()
    home = Home.from_env().root
    results, folder = home / "bench.json", folder or home / "bench"
    if not parts or "dag" in parts:
        merge(results, _dag(console, repeats))
    if not parts or "clean" in parts:
        merge(results, bench_clean.measure(folder, console, repeats))
    if not parts or "sizes" in parts:
        merge(results, bench_sizes.measure(folder, console, sizes))
    if not parts or "months" in parts:
        merge(results, bench_months.measure(folder, console, repeats))
    if not parts or "counties" in parts:
        merge(results, bench_counties.measure(folder, console))
    console.print(f"written: {results}")


def _dag(console: Console, repeats: int) -> dict[str, dict]:
    """The county's month against the empty DAG."""
    with tempfile.TemporaryDirectory(prefix="tongbao-bench-") as folder:
        base = Path(folder)
        ready = Home(base / "ready")
        exports = sources.generate(ready, "notice", 2022, console)
        (base / "empty").mkdir()
        (base / "empty" / "empty.py").write_text(EMPTY_DAG)
        console.print(f"history: {', '.join(HISTORY)} …")
        _migrate(ready)
        _measure(ready, "history", exports)
        seconds: dict[str, list[float]] = {"empty": [], "county": []}
        rss: dict[str, list[float]] = {"empty": [], "county": []}
        for turn in range(repeats):
            for what in ("empty", "county"):
                home = Home(base / f"{what}-{turn}")
                shutil.copytree(ready.root, home.root, symlinks=True, ignore=shutil.ignore_patterns("exports"))
                took, peak = _measure(home, what, exports, dags=base / "empty" if what == "empty" else PROJECT / "dags")
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


def _migrate(home: Home) -> None:
    """A metadata database with the writer's pool, made before anything is timed."""
    AirflowHome.of(home).prepare()
    for arguments in (["db", "migrate"], ["pools", "set", "warehouse", "1", "one writer of the warehouse"]):
        env = environment(home, 1, {})
        done = subprocess.run([sys.executable, "-m", "airflow", *arguments], env=env, capture_output=True, check=False)
        if done.returncode:
            raise RunFailed(f"airflow {arguments[0]} failed: {done.stderr.decode(errors='replace')[-500:]}")


def _measure(home: Home, what: str, exports: Path, *, dags: Path = PROJECT / "dags") -> tuple[float, float]:
    """Seconds and peak MiB of one fresh process that runs `what` (see :func:`_child`)."""
    env = environment(home, 1, connections.of_folder(exports), dags=dags)
    log = home.root / f"{what}.log"
    command = [sys.executable, "-m", "ops.bench_child", what, *(HISTORY if what == "history" else [MONTH])]
    started = time.monotonic()
    with log.open("wb") as output:
        done = subprocess.run(command, env=env, cwd=home.root, stdout=output, stderr=subprocess.STDOUT, check=False)
    took = time.monotonic() - started
    if done.returncode:
        tail = log.read_text(errors="replace")[-1500:]
        raise RunFailed(f"the {what} side of the bench failed: {tail}")
    return took, float((home.root / "peak_rss_mib").read_text())


def merge(path: Path, found: dict[str, dict]) -> None:
    """Add to the results that other benches have written."""
    kept = json.loads(path.read_text()) if path.exists() else {}
    for section, figures in found.items():
        kept[section] = {**kept.get(section, {}), **figures}
    # The ratios stand at the top level, too: the figures that targets are set for.
    kept |= kept.get("ratios", {})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".json.part")
    temporary.write_text(json.dumps(kept, indent=2) + "\n")
    temporary.replace(path)


if __name__ == "__main__":
    try:
        main()
    except RunFailed as error:
        print(error, file=sys.stderr)
        sys.exit(1)
