"""The command line of a region. Exit codes: 0 everything is published; 2 something failed that stays until somebody
mends it; 75 what failed may pass by itself (run again)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from ingestion.cli import EXIT_PERMANENT, EXIT_TRANSIENT
from ingestion.errors import BadParameter
from ingestion.home import PROJECT
from publishing import releases
from publishing.cli import _Group
from region.config import County, Region, read_region
from region.county import Outcome
from region.run import RECORD, last_run
from region.run import run as run_all

_STATES = {
    "published": "[green]published 已发布[/green]",
    "unchanged": "[green]unchanged 无变化[/green]",
    "failed": "[red]failed 未完成[/red]",
}

console = Console()
_errors = Console(stderr=True)

_folder = click.option(
    "--region",
    "folder",
    type=click.Path(path_type=Path),
    default=lambda: os.environ.get("TONGBAO_REGION") or PROJECT / "var" / "region",
    help="Folder with region.yaml; default $TONGBAO_REGION, else var/region.",
)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Many counties: run the month of all, rank them, see how each stands (区域)."""


@main.command()
@_folder
@click.option(
    "--exports",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder with the exports of each county, <code>/<system>/<dataset>/<YYYY-MM>/…",
)
@click.option("--county", "counties", multiple=True, help="Code of a county: only this one; may be given repeatedly.")
@click.option("--month", "months", multiple=True, help="Pull only this month, YYYY-MM; may be given repeatedly.")
@click.option("--workers", type=click.IntRange(1, 64), help="Counties at a time; default the cores of the machine.")
@click.option("--reason", default="", help="Why published periods may change; printed with each revision.")
@click.option("--full", is_flag=True, default=None, help="Compute every fact anew; take nothing over.")
@click.argument("periods", nargs=-1)
def run(
    folder: Path,
    exports: Path | None,
    counties: tuple[str, ...],
    months: tuple[str, ...],
    workers: int | None,
    reason: str,
    full: bool | None,
    periods: tuple[str, ...],
) -> None:
    """Pull, load, build, audit and publish every county's month, then the region's warehouse (运行).

    PERIODS: only these; default every period that the delivered months complete. A county that fails is named with the
    reason and keeps what it served; the others go on. Run again: only what is left is done.
    """
    region = read_region(folder)
    total = len(region.chosen(counties)) + 1
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=_errors,
        transient=True,
        disable=not _errors.is_terminal,
    ) as bar:
        task = bar.add_task("", total=total)

        def progress(county: County | None, step: str) -> None:
            bar.update(task, description=escape(f"{county.name if county else region.name} {step}"))

        def done(county: County | None, outcome: Outcome) -> None:
            bar.advance(task)
            _tell(region, county, outcome)

        report = run_all(
            region,
            exports.absolute() if exports else None,
            counties=counties,
            months=months,
            periods=periods,
            reason=reason,
            full=full,
            workers=workers,
            progress=progress,
            done=done,
        )
    published = sum(each.state != "failed" for each in report.counties.values())
    console.print(f"{published} of {len(report.counties)} counties complete, {report.seconds:.1f} s")
    if report.failed:
        sys.exit(EXIT_TRANSIENT if all(each.is_transient for each in report.failed) else EXIT_PERMANENT)


def _tell(region: Region, county: County | None, outcome: Outcome) -> None:
    name = f"{county.code} {county.name}" if county else region.name
    new = " ".join(outcome.releases)
    console.print(f"{escape(name)}: {_STATES[outcome.state]} {escape(new)} ({outcome.seconds:.1f} s)", soft_wrap=True)
    for reason in _some(outcome.reasons, 5):
        console.print(f"  {reason}", markup=False, highlight=False, soft_wrap=True, style="red")


def _some(reasons: list[str], shown: int) -> list[str]:
    """The first reasons, and how many more the record of the run holds."""
    more = len(reasons) - shown
    return [*reasons[:shown], f"… and {more} more, see {RECORD}"] if more > 0 else reasons


@main.command()
@_folder
def status(folder: Path) -> None:
    """What each county serves and what its last run came to (状态)."""
    region = read_region(folder)
    said = last_run(region)
    table = Table(
        Column("county 县市区", no_wrap=True),
        Column("serves 版本", no_wrap=True),
        "newest period 最新一期",
        "last run 上次运行",
    )
    for county in region.counties:
        table.add_row(f"{county.code} {escape(county.name)}", *_served(region, county), _last(said, county))
    console.print(table)
    served = releases.served(region.home)
    console.print(
        f"{escape(region.name)}: "
        + (f"release {served.number}, {served.path / 'warehouse.duckdb'}" if served else "nothing published 尚未发布"),
        soft_wrap=True,
    )


def _served(region: Region, county: County) -> tuple[str, str]:
    try:
        release = releases.served(region.home_of(county))
    except BadParameter as error:
        return "[red]damaged 损坏[/red]", escape(str(error))
    if release is None:
        return "—", "—"
    return str(release.number), max(release.periods, key=lambda code: (code[-7:], len(code)), default="—")


def _last(said: dict, county: County) -> str:
    known = said.get("counties", {}).get(county.code)
    if known is None:
        return "—"
    return "\n".join([f"{_STATES[known['state']]} {known['at']}", *map(escape, _some(known["reasons"], 2))])
