"""Part of ``make bench``: a month of one county, of fifty, of five hundred, from export files to the published release.

Every step is a process of its own, timed from its start to its end and asked for its peak of memory; in the same run,
beside it, DuckDB reads the same files to Parquet once (the limit), and up to a size pandas computes the same rankings.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ingestion.home import PROJECT
from ops.bench_stage import STAGES

#: Targets: 500 counties in at most so many times the limit and so much memory, 50 so many times as fast as pandas.
TARGET_LIMIT, TARGET_MIB, TARGET_PANDAS = 5.0, 4096, 10.0
#: What an engine gets here (TONGBAO_ENGINE_MEMORY), where nothing is set.
ENGINE_MEMORY = "2GiB"
#: pandas holds everything in memory: beyond this size it is not asked.
PANDAS_UP_TO = 50.0
#: Bytes of disk that one county's size takes at the most: exports, raw copy, staged rows, two warehouses, spilled rows.
_DISK_BYTES = 70 << 20


def measure(folder: Path, console: Console, sizes: list[float], repeats: int = 1) -> dict[str, dict[str, Any]]:
    """Measures each size and returns what goes into bench.json; the files of a size are taken away after it."""
    found: dict[str, dict[str, Any]] = {"ratios": {}, "peak_rss_mib": {}, "sizes": {}, "machine": machine()}
    for size in sizes:
        folder.mkdir(parents=True, exist_ok=True)
        needed, free = size * _DISK_BYTES, shutil.disk_usage(folder).free
        if needed > free:
            raise RuntimeError(f"{size:g}× needs {needed / 1e9:.0f} GB in {folder}, {free / 1e9:.0f} are free")
        here = folder / f"size-{size:g}"
        shutil.rmtree(here, ignore_errors=True)
        try:
            name, runs = f"x{size:g}", [_one(here, size, console) for _ in range(repeats)]
        finally:
            shutil.rmtree(here, ignore_errors=True)
        best = min(runs, key=lambda run: run["seconds"])
        best |= {side: min((run[side] for run in runs), key=_seconds) for side in ("limit", "pandas") if side in best}
        found["sizes"][name] = best
        found["ratios"][f"{name}_vs_limit"] = round(best["seconds"] / best["limit"]["seconds"], 3)
        found["peak_rss_mib"] |= {name: _peak(best), f"{name}_limit": round(best["limit"]["peak_rss_mib"])}
        if "pandas" in best:
            ratio = best["seconds"] / best["pandas"]["seconds"]
            found["ratios"] |= {
                f"{name}_vs_pandas": round(ratio, 3),
                f"{name}_times_faster_than_pandas": round(1 / ratio, 2),
            }
            found["peak_rss_mib"][f"{name}_pandas"] = round(best["pandas"]["peak_rss_mib"])
        console.print(table({name: best}))
    return found


def _seconds(step: dict[str, Any]) -> float:
    return float(step["seconds"])


def _peak(run: dict[str, Any]) -> int:
    return round(max(step["peak_rss_mib"] for step in run["stages"].values()))


def _one(folder: Path, size: float, console: Console) -> dict[str, Any]:
    """One run of a size: the limit, our stages, and pandas where it may."""
    started = time.monotonic()
    exports = folder / f"exports-{size:g}"
    if not exports.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # In a process of its own: a step would be told of the memory of whoever starts it.
        command = [sys.executable, "-c", _GENERATE, str(folder), str(size)]
        subprocess.run(command, cwd=PROJECT, env={**os.environ, "PYTHONPATH": str(PROJECT)}, check=True)
        console.print(f"{size:g}×: exports made in {time.monotonic() - started:.0f} s")
    run: dict[str, Any] = {"limit": _step("limit", folder, exports, console)}
    shutil.rmtree(folder / "home", ignore_errors=True)
    run["stages"] = {name: _step(name, folder, exports, console) for name in STAGES}
    rows = run["stages"]["load"].pop("given")
    run["rows"], run["cases"] = sum(rows.values()), rows["platform_cases"]
    run["bytes"] = sum(path.stat().st_size for path in exports.rglob("*") if path.is_file())
    run["seconds"] = round(sum(step["seconds"] for step in run["stages"].values()), 2)
    run["microseconds_per_case"] = round(run["seconds"] / run["cases"] * 1e6, 1)
    shutil.rmtree(folder / "home")
    if size <= PANDAS_UP_TO:
        run["pandas"] = _step("pandas", folder, exports, console)
    return run


_GENERATE = (
    "import sys, pathlib, ops.bench_exports as exports; exports.generate(pathlib.Path(sys.argv[1]), float(sys.argv[2]))"
)


def _step(name: str, folder: Path, exports: Path, console: Console) -> dict[str, Any]:
    """Seconds and peak MiB of one step in a fresh process; raises RuntimeError with the end of what it said."""
    home, result = folder / "home", folder / "result.json"
    home.mkdir(parents=True, exist_ok=True)
    env = {"TONGBAO_ENGINE_MEMORY": ENGINE_MEMORY, **os.environ, "TONGBAO_HOME": str(home), "PYTHONPATH": str(PROJECT)}
    env.pop("TONGBAO_SPILL", None)
    started = time.monotonic()
    command = [sys.executable, "-m", "ops.bench_stage", name, str(exports), str(result)]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, check=False)
    took = time.monotonic() - started
    if done.returncode:
        raise RuntimeError(f"{name} failed: {done.stderr.decode(errors='replace')[-1500:]}")
    measured = json.loads(result.read_text())
    found = {"seconds": round(took, 2)}
    found |= {"cpu_seconds": round(measured["cpu_seconds"], 2), "peak_rss_mib": round(measured["peak_rss_mib"])}
    console.print(
        f"  {name:<8}{found['seconds']:8.1f} s {found['cpu_seconds']:8.1f} s of CPU {found['peak_rss_mib']:6} MiB"
    )
    return found | ({"given": measured["given"]} if measured["given"] else {})


def table(sizes: dict[str, dict[str, Any]]) -> Table:
    """Sizes and steps: seconds and peak memory."""
    made = Table("size", "step", "seconds", "CPU s", "peak MiB", "µs a case")
    for name, run in sizes.items():
        steps = {**run["stages"], "limit": run["limit"]} | ({"pandas": run["pandas"]} if "pandas" in run else {})
        for step, figures in steps.items():
            made.add_row(
                name,
                step,
                f"{figures['seconds']:.1f}",
                f"{figures['cpu_seconds']:.1f}",
                str(figures["peak_rss_mib"]),
                f"{figures['seconds'] / run['cases'] * 1e6:.1f}",
            )
        made.add_row(name, "whole run", f"{run['seconds']:.1f}", "", str(_peak(run)), str(run["microseconds_per_case"]))
    return made


def machine() -> dict[str, Any]:
    """The machine that was measured: processor, cores, memory, system."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}, Python {platform.python_version()}",
        "engine_memory": os.environ.get("TONGBAO_ENGINE_MEMORY", ENGINE_MEMORY),
    }
