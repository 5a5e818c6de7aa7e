"""``python -m simulator generate``: write a county's exports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import click

from simulator import clock, generate, notice
from simulator.write import write_exports


def month_range(text: str) -> list[str]:
    """The months of ``2022-05..2022-08``, or the single month that is named."""
    first, _, last = text.partition("..")
    for month in (first, last or first):
        if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
            raise click.BadParameter(f"not a month: {month!r}; write 2022-05..2022-08", param_hint="--months")
    try:
        return clock.months_between(first, last or first)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--months") from error


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write; empty.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--months", default="2022-05..2022-08", show_default=True, help="First and last month.")
@click.option(
    "--factor",
    type=click.FloatRange(0, 1000, min_open=True),
    default=1.0,
    show_default=True,
    help="Size: 1 is one county, about 21 thousand cases a month.",
)
@click.option("--scenario", type=click.Choice(["county", "notice"]), default="county", show_default=True)
@click.option(
    "--faults", type=click.Choice(["none", "rows"]), default="none", help="Plant rows that must be set aside."
)
@click.option("--format", "form", type=click.Choice(["csv", "json", "xlsx"]), help="One format for every dataset.")
@click.option("--plain", is_flag=True, help="Every value in its first spelling, no title or total lines.")
def generate_command(
    out: Path, seed: int, months: str, factor: float, scenario: str, faults: str, form: str | None, plain: bool
) -> None:
    """Write the exports of a generated county, and beside them what was planted (<OUT>.planted.json)."""
    chosen = month_range(months)
    parts: Iterable[generate.Tables]
    if scenario == "notice":
        if tuple(chosen) != notice.MONTHS or factor != 1:
            raise click.UsageError("the notice is of 2022-05..2022-08 at factor 1")
        parts = [notice.notice(seed)]
    else:
        parts = generate.blocks(seed, chosen, factor)
    if out.exists() and any(out.iterdir()):
        raise click.UsageError(f"{out} is not empty")
    planted = write_exports(parts, out, seed=seed, form=form, habits=not plain, plant=faults == "rows")
    if faults == "rows":
        listing = out.with_name(out.name + ".planted.json")
        listing.write_text(json.dumps(planted, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        click.echo(f"{len(planted)} bad rows planted, listed in {listing}")
    files = [path for path in out.rglob("*") if path.is_file()]
    click.echo(f"{len(files)} files, {sum(path.stat().st_size for path in files) / 2**20:.1f} MiB in {out}")
