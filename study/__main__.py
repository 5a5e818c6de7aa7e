"""``python -m study``: fairness of the rules, shown. Prints a table, writes ``$TONGBAO_HOME/study.json`` and plots."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ingestion.home import Home
from study import report
from study.county import County, Seasons, simulate
from study.measure import Tally, study
from study.rules import RuleSet

#: Seasons drawn and scored at once: some hundred megabytes.
CHUNK = 100
#: Counties that make it harder: half of what is signed late is closed late too; late in closing and not in signing.
OTHER_COUNTIES: dict[str, dict[str, Any]] = {
    "lateness_linked": {"linked": 0.5},
    "late_in_closing_only": {"bad_in": {"hotline": ("close_on_time_rate",)}},
}


def main(argv: list[str] | None = None) -> int:
    """Exit code 0; the figures are for people to judge."""
    parser = argparse.ArgumentParser(
        prog="python -m study",
        description="Counties simulated with known truth: whom do this project's rules, raw rates and a published "
        "target-and-slope rule list, and do the intervals hold the true ranks? See docs/fairness.md.",
    )
    parser.add_argument("--seasons", type=int, default=2000, help="simulated years (default 2000)")
    parser.add_argument("--seed", type=int, default=2022, help="of the random numbers; the same gives the same figures")
    parser.add_argument("--out", type=Path, help="where the figures are stored (default: $TONGBAO_HOME/study.json)")
    parser.add_argument(
        "--docs", type=Path, metavar="DIR", help="write tables into DIR/fairness.md, draw DIR/fairness.svg"
    )
    options = parser.parse_args(argv)
    if options.seasons < 1:
        parser.error("--seasons: at least one")
    rule_sets, county = [RuleSet.read("2022.1"), RuleSet.read("2022.2")], County.read()
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console, disable=not console.is_terminal,
    ) as progress:  # fmt: skip
        tallies = run(rule_sets, county, options.seasons, options.seed, progress=progress)
        harder = {
            name: run(rule_sets, county, options.seasons // 3 or 1, options.seed + 1, ("hotline",), progress, **how)
            for name, how in OTHER_COUNTIES.items()
        }
    found: dict[str, Any] = report.figures_of(tallies, county)
    found |= {"seasons": options.seasons, "seed": options.seed}
    found["other_counties"] = {name: report.headline_of(each) for name, each in harder.items()}
    out = options.out or Home.from_env().root / "study.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    report.show(found, Console() if sys.stdout.isatty() else Console(width=150))
    if options.docs:
        from study.plot import draw  # takes a second to import

        report.write_page(found, options.docs / "fairness.md")
        draw(found, options.docs / "fairness.svg")
    print(out)
    return 0


def run(
    rule_sets: list[RuleSet],
    county: County,
    seasons: int,
    seed: int,
    areas: tuple[str, ...] = ("hotline", "platform", "overall"),
    progress: Progress | None = None,
    **how: Any,
) -> dict[str, dict[str, Tally]]:
    """The study over ``seasons`` years drawn with ``seed`` and ``how`` (see ``simulate``); the same gives the same."""
    bar = progress.add_task(" ".join(how) or "years", total=seasons) if progress else None

    def chunks() -> Iterator[Seasons]:
        rng = np.random.default_rng(seed)
        for start in range(0, seasons, CHUNK):
            size = min(CHUNK, seasons - start)
            yield simulate(county, rule_sets[0], size, rng, **how)
            if progress and bar is not None:
                progress.advance(bar, size)

    return study(rule_sets, county, chunks, areas)


if __name__ == "__main__":
    sys.exit(main())
