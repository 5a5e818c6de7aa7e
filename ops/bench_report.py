"""``python -m ops.bench_report``: what the bench measured by size, as the table and plot of docs/performance.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

from ingestion.home import PROJECT, Home
from ops.bench_stage import STAGES

PAGE = PROJECT / "docs" / "performance.md"
PLOT = PROJECT / "docs" / "performance.svg"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def main() -> None:
    """Writes the plot, and the table between the page's marks."""
    results = json.loads((Home.from_env().root / "bench.json").read_text(encoding="utf-8"))
    sizes = dict(sorted(results["sizes"].items(), key=lambda item: item[1]["cases"]))
    plot(sizes, PLOT)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{text(sizes, results['machine'])}\n{END}{after}", encoding="utf-8")


def text(sizes: dict[str, dict[str, Any]], machine: dict[str, Any]) -> str:
    """The machine and the table, in Markdown."""
    lines = [
        f"Measured on {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB; {machine['system']}; "
        f"`TONGBAO_ENGINE_MEMORY={machine['engine_memory']}`. Each cell: seconds / peak MiB.",
        "",
        "| | " + " | ".join(name.removeprefix("x") + "×" for name in sizes) + " |",
        "|---|" + "--:|" * len(sizes),
        _row("cases", [f"{run['cases']:,}" for run in sizes.values()]),
        _row("rows of all datasets", [f"{run['rows']:,}" for run in sizes.values()]),
        _row("export files, MB", [f"{run['bytes'] / 1e6:,.0f}" for run in sizes.values()]),
    ]
    lines += [_row(stage, [_cell(run["stages"][stage]) for run in sizes.values()]) for stage in STAGES]
    peaks = [max(step["peak_rss_mib"] for step in run["stages"].values()) for run in sizes.values()]
    totals = [f"**{run['seconds']:,.1f} / {peak:,}**" for run, peak in zip(sizes.values(), peaks, strict=True)]
    lines.append(_row("**whole run**", totals))
    lines.append(_row("limit: DuckDB to Parquet", [_cell(run["limit"]) for run in sizes.values()]))
    lines.append(_row("pandas script", [_cell(run["pandas"]) if "pandas" in run else "" for run in sizes.values()]))
    lines.append(_row("run / limit", [f"{run['seconds'] / run['limit']['seconds']:.2f}" for run in sizes.values()]))
    lines.append(
        _row(
            "pandas / run",
            [f"{run['pandas']['seconds'] / run['seconds']:.2f}" if "pandas" in run else "" for run in sizes.values()],
        )
    )
    lines.append(_row("µs a case", [f"{run['microseconds_per_case']:,.0f}" for run in sizes.values()]))
    cpu = [sum(step["cpu_seconds"] for step in run["stages"].values()) / run["cases"] * 1e6 for run in sizes.values()]
    lines.append(_row("µs of CPU a case", [f"{value:,.0f}" for value in cpu]))
    return "\n".join(lines)


def _row(name: str, cells: list[str]) -> str:
    return f"| {name} | " + " | ".join(cells) + " |"


def _cell(step: dict[str, Any]) -> str:
    return f"{step['seconds']:,.1f} / {step['peak_rss_mib']:,}"


def plot(sizes: dict[str, dict[str, Any]], path: Path) -> None:
    """Cost a case and peak memory by size, ours beside the yardsticks; the same bytes for the same figures."""
    plt.rcParams.update({"svg.hashsalt": "tongbao", "svg.fonttype": "path", "font.size": 9})
    cases = [run["cases"] for run in sizes.values()]
    figure, (cost, memory) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    whole = [{**run, "whole run": run} for run in sizes.values()]
    for label in ("whole run", "limit", "pandas"):
        found = [(run["cases"], run[label]["seconds"] / run["cases"] * 1e6) for run in whole if label in run]
        if found:
            cost.plot(*zip(*found, strict=True), marker="o", label=label)
    for label, peak in (("whole run", _peak), ("limit", lambda run: run["limit"]["peak_rss_mib"])):
        memory.plot(cases, [peak(run) / 1024 for run in sizes.values()], marker="o", label=label)
    found = [(run["cases"], run["pandas"]["peak_rss_mib"] / 1024) for run in sizes.values() if "pandas" in run]
    if found:
        memory.plot(*zip(*found, strict=True), marker="o", label="pandas")
    memory.axhline(4, color="grey", linestyle=":", label="target")
    cost.set(xscale="log", yscale="log", xlabel="cases a month", ylabel="µs a case", title="cost of a case")
    memory.set(xscale="log", xlabel="cases a month", ylabel="GiB", title="peak memory", ylim=(0, None))
    for axis in (cost, memory):
        axis.legend(frameon=False)
        axis.grid(alpha=0.3)
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)


def _peak(run: dict[str, Any]) -> float:
    return float(max(step["peak_rss_mib"] for step in run["stages"].values()))


if __name__ == "__main__":
    main()
