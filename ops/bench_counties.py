"""Part of ``make bench``: a hundred counties of a region, one of them delivering garbage, beside the same rows as one.

The month of one county is laid down once for each, with keys and people of its own (:mod:`ops.bench_exports`); of the
last county every file is noise. ``python -m region run`` works through all of them, and through a region of
one county that delivers the same rows. Both are timed from the start of their process to its end: pull, load and
validation, build, audit, publication of each county, and the warehouse of the region. Alone:
``python -m ops.bench_counties --counties 10``.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import yaml
from rich.console import Console

from ingestion.home import PROJECT, Home
from ops import bench_exports
from ops.runtime import RunFailed

#: The counties take at most so many times what the same rows take as one county.
TARGET = 1.3
COUNTIES = 100
#: What an engine gets here (TONGBAO_ENGINE_MEMORY), where nothing is set; two work at a time.
ENGINE_MEMORY = "2GiB"


def generate(folder: Path, counties: int) -> Path:
    """The exports of so many counties, each of the usual size, and of one that delivers what all of them do."""
    out = folder / f"counties-{counties}"
    if (out / ".complete").exists():
        return out
    shutil.rmtree(out, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    base = bench_exports._county(folder, 1.0)
    for number in range(counties):
        bench_exports.lay(base, out / "many" / _code(number), 1, first=number)
    for path in (out / "many" / _code(counties - 1)).rglob("*.*"):
        if path.name != "manifest.json":
            path.write_bytes(os.urandom(4096))
    bench_exports.lay(base, out / "one" / _code(0), counties - 1)
    (out / ".complete").touch()
    time.sleep(2.1)  # the transport waits for files to settle; here the clock would run
    return out


def _code(number: int) -> str:
    return f"{650000 + number:06d}"


def measure(folder: Path, console: Console, repeats: int = 1, counties: int = COUNTIES) -> dict[str, dict[str, Any]]:
    """Runs both and returns what goes into bench.json: the ratios, seconds, CPU seconds and peaks."""
    exports = generate(folder, counties)
    runs: dict[str, list[dict[str, Any]]] = {"many": [], "one": []}
    for _ in range(repeats):
        for what, number in (("one", 1), ("many", counties)):
            runs[what].append(_run(folder / "region", exports / what, number))
            found = runs[what][-1]
            console.print(
                f"{number:>4} counties: {found['seconds']:7.1f} s {found['cpu_seconds']:7.1f} s of CPU "
                f"{found['peak_rss_mib']:6} MiB a process, {found['published']} published"
            )
        if runs["many"][-1]["published"] != counties - 1:
            raise RunFailed(f"{runs['many'][-1]['published']} of {counties} counties published, not all but one")
    many, one = (min(each, key=lambda run: run["seconds"]) for each in (runs["many"], runs["one"]))
    ratio = many["seconds"] / one["seconds"]
    console.print(f"{counties} counties / the same rows as one = {ratio:.2f} (target: at most {TARGET})")
    name = f"counties{counties}"
    return {
        "ratios": {
            f"{name}_vs_one": round(ratio, 3),
            f"{name}_vs_one_cpu": round(many["cpu_seconds"] / one["cpu_seconds"], 3),
        },
        "counties": {name: many, f"{name}_as_one": one},
        "peak_rss_mib": {name: many["peak_rss_mib"], f"{name}_as_one": one["peak_rss_mib"]},
    }


def _run(region: Path, exports: Path, counties: int) -> dict[str, Any]:
    """Seconds, CPU seconds and peak of one region from its first file to its release; its folder is taken away."""
    shutil.rmtree(region, ignore_errors=True)
    region.mkdir(parents=True)
    listed = [{"code": _code(number), "name": f"第{number + 1}县"} for number in range(counties)]
    said = yaml.safe_dump({"name": "区域", "counties": listed}, allow_unicode=True)
    (region / "region.yaml").write_text(said, encoding="utf-8")
    env = {"TONGBAO_ENGINE_MEMORY": ENGINE_MEMORY, **os.environ, "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "region", "run", "--region", str(region), "--exports", str(exports)]
    command += [bench_exports.MONTH]
    os.sync()
    before, started = _children(), time.monotonic()
    done = subprocess.run(command, env=env, cwd=region, capture_output=True, text=True, check=False)
    took, used = time.monotonic() - started, _children() - before
    try:
        record = json.loads((region / "records" / "last_run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunFailed(f"the region did not run: {(done.stdout + done.stderr)[-1500:]}") from None
    outcomes = list(record["counties"].values())
    if record["region"]["state"] != "published":
        raise RunFailed(f"the region was not published: {record['region']['reasons']}")
    shutil.rmtree(region)
    good = [each for each in outcomes if each["state"] == "published"]
    return {
        "seconds": round(took, 2),
        "cpu_seconds": round(used, 2),
        "peak_rss_mib": max(each["peak_mib"] for each in (*outcomes, record["region"])),
        "published": len(good),
        "county_cpu_seconds": round(sum(each["cpu_seconds"] for each in good) / max(1, len(good)), 2),
        "region_cpu_seconds": record["region"]["cpu_seconds"],
        "region_seconds": record["region"]["seconds"],
    }


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@click.command()
@click.option("--counties", default=COUNTIES, show_default=True, type=click.IntRange(2, bench_exports.MOST))
@click.option("--repeats", default=1, show_default=True, help="How often both are run; the faster of each counts.")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Where generated files go (default: bench/ in the home)."
)
def main(counties: int, repeats: int, folder: Path | None) -> None:
    """Measure the counties of a region alone and add the figures to var/bench.json."""
    from ops.bench import merge

    root = Home.from_env().root
    merge(root / "bench.json", measure(folder or root / "bench", Console(), repeats, counties))


if __name__ == "__main__":
    main()
