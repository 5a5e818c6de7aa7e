"""``python -m simulator generate``: write a county's exports."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import click

from simulator import clock, generate, notice
from simulator.write import write_exports


def month_range(text: str) -> list[str]:
    """``2022-05..2022-08`` or a single month."""
    first, _, last = text.partition("..")
    for month in (first, last or first):
        if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
            raise argparse.ArgumentTypeError(f"not a month: {month!r}; write 2022-05..2022-08")
    return clock.months_between(first, last or first)


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description="Three small source systems of a county")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("generate", help="write an exports folder")
    make.add_argument("--out", type=Path, required=True, help="folder to write")
    make.add_argument("--seed", type=int, default=1)
    make.add_argument("--months", type=month_range, default=None, help="for example 2022-05..2022-08")
    make.add_argument(
        "--factor", type=float, default=1.0, help="size: 1 is one county, about 21 thousand cases a month"
    )
    make.add_argument("--scenario", choices=["county", "notice"], default="county")
    make.add_argument("--faults", choices=["none", "rows"], default="none", help="plant rows that must be set aside")
    make.add_argument("--format", choices=["csv", "json", "xlsx"], default=None, help="one format for every dataset")
    make.add_argument("--plain", action="store_true", help="every value in its first spelling")
    options = parser.parse_args(argv)
    if options.factor <= 0:
        parser.error("--factor must be above 0")
    if options.scenario == "notice":
        if (options.months and tuple(options.months) != notice.MONTHS) or options.factor != 1:
            parser.error("the notice is of 2022-05..2022-08 at factor 1")
        parts = [notice.notice(options.seed)]
    else:
        parts = generate.blocks(
            options.seed, options.months or clock.months_between("2022-05", "2022-08"), options.factor
        )
    if options.out.exists() and any(options.out.iterdir()):
        parser.error(f"{options.out} is not empty")
    planted = write_exports(
        parts,
        options.out,
        seed=options.seed,
        form=options.format,
        habits=not options.plain,
        plant=options.faults == "rows",
    )
    if options.faults == "rows":
        listing = options.out.with_name(options.out.name + ".planted.json")
        listing.write_text(json.dumps(planted, ensure_ascii=False, indent=1), encoding="utf-8")
        print(f"{len(planted)} bad rows planted, listed in {listing}")
    files = [path for path in options.out.rglob("*") if path.is_file()]
    print(f"{len(files)} files, {sum(path.stat().st_size for path in files) / 2**20:.1f} MiB in {options.out}")
    return 0


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def generate_command(words: tuple[str, ...]) -> None:
    """Write the exports of a generated county."""
    sys.exit(main(["generate", *words]))
