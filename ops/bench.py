"""``make bench``: what the warehouse costs, part by part (``PARTS``); writes ``var/bench.json``.

A county's month through the DAGs and the dashboards' queries of what it left (:mod:`ops.bench_dag`,
:mod:`ops.bench_bi`), the clean export of :mod:`ops.bench_clean`, months of several sizes from files to a release
(:mod:`ops.bench_sizes`), 36 months of one county that follow each other (:mod:`ops.bench_months`), and the month of
many counties (:mod:`ops.bench_counties`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.console import Console

from ingestion.home import Home
from ops import bench_clean, bench_counties, bench_dag, bench_months, bench_sizes
from ops.bench_exports import MOST
from ops.runtime import RunFailed

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
        merge(results, bench_dag.measure(console, repeats))
    if not parts or "clean" in parts:
        merge(results, bench_clean.measure(folder, console, repeats))
    if not parts or "sizes" in parts:
        merge(results, bench_sizes.measure(folder, console, sizes))
    if not parts or "months" in parts:
        merge(results, bench_months.measure(folder, console, repeats))
    if not parts or "counties" in parts:
        merge(results, bench_counties.measure(folder, console))
    console.print(f"written: {results}")


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
