"""``python -m faults``: the card of faults, printed and stored as ``$TONGBAO_HOME/faults.json``."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from faults import card
from faults.cases import CASES, IN_CHILDREN
from faults.county import NotPrepared
from faults.injection import counted_by, preloaded_again
from faults.judge import OUTCOMES, WRONG, Verdict
from ingestion.home import Home

#: One more than there are cores: a sixth of the time a variant waits, for a server, a limit or the disk.
WORKERS = (os.cpu_count() or 1) + 1
#: Seconds between two lines of progress where there is no terminal to draw a bar on.
TOLD_EVERY = 30


def main(argv: list[str] | None = None) -> int:
    """Exit code 0 when nothing was wrong, 1 when something was, 2 when the faults could not be prepared."""
    parser = argparse.ArgumentParser(
        prog="python -m faults",
        description="Damaged deliveries and faults of operation: each exact, quarantined, refused or wrong.",
        epilog="cases: " + ", ".join(case.name for case in CASES),
    )
    parser.add_argument("--quick", action="store_true", help="an even stride over every case, under three minutes")
    parser.add_argument("--case", action="append", default=[], choices=[case.name for case in CASES], metavar="NAME",
                        help="only this row of the card; may be given again")  # fmt: skip
    parser.add_argument("--like", default="", metavar="TEXT", help="only variants with this in their name")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the folder of each wrong variant under DIR")
    parser.add_argument("--workers", type=int, default=WORKERS, help=f"processes (default here {WORKERS})")
    parser.add_argument("--out", type=Path, help="where the card is stored (default: $TONGBAO_HOME/faults.json)")
    options = parser.parse_args(argv)
    console = Console(stderr=True)
    if not options.case or IN_CHILDREN & set(options.case):
        preloaded_again(sys.argv[1:] if argv is None else argv)
        console.print(f"changes on disk are counted by {counted_by()}", highlight=False)
    started = time.monotonic()
    try:
        tally = carried_out(options, console)
    except NotPrepared as error:
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 2
    gc.unfreeze()  # what is not collected at the end, DuckDB's binding reports as leaked
    # A part of the card must not pass for the whole.
    partial = bool(options.case or options.like) or options.quick
    out = options.out or Home.from_env().root / ("faults-part.json" if partial else "faults.json")
    card.write(tally, out)
    show(tally, Console())
    print(f"{time.monotonic() - started:.0f} s; {out}")
    return 1 if tally.wrong else 0


def carried_out(options: argparse.Namespace, console: Console) -> card.Tally:
    """Runs the chosen rows; ``NotPrepared`` where the homes for them could not be made."""
    todo = [each for each in card.chosen(options.case, options.quick) if options.like in each[1].name]
    with Progress(
        TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console, disable=not console.is_terminal,
    ) as progress:  # fmt: skip
        bar, last = progress.add_task("faults", total=len(todo)), time.monotonic()

        def told(case: str, name: str, verdict: Verdict) -> None:
            nonlocal last
            progress.update(bar, advance=1, description=case)
            if verdict.outcome == WRONG:
                console.print(f"WRONG {case}: {name}", markup=False, highlight=False)
            if progress.disable and time.monotonic() - last >= TOLD_EVERY:  # a log has no bar
                last = time.monotonic()
                console.print(f"{progress.tasks[bar].completed} of {len(todo)}, now at {case}", highlight=False)

        return card.run(todo, workers=options.workers, keep=options.keep, told=told)


def show(tally: card.Tally, console: Console) -> None:
    """Prints the card and the first wrong variants."""
    report = tally.report()
    table = Table(title="Faults", title_justify="left")
    table.add_column("case", no_wrap=True)
    for name in ("variants", *OUTCOMES):
        table.add_column(name.upper() if name != "variants" else name, justify="right")
    for row in [*report["rows"], {"case": "total", **report["total"]}]:
        table.add_row(row["case"], *(str(row[name]) for name in ("variants", *OUTCOMES)))
    console.print(table)
    if report["pollock_good_rows_delivered"] is not None:
        console.print(f"good rows of Pollock's files delivered: {report['pollock_good_rows_delivered']:.2%}")
    for case, name, why in sorted(tally.wrong)[:40]:
        console.print(f"WRONG {case} {name}: {why}", markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
