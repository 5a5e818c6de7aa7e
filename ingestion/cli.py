"""The command line of ingestion: every step of a delivery by itself, without Airflow.

Exit codes: 0 done; 1 ``check`` found something to mend; 2 a fault that stays until someone mends it; 75 one that may
pass by itself (try again). This module puts the parts together and may therefore import ``expectations``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from ingestion.aliases_cli import aliases
from ingestion.check_cli import check
from ingestion.contracts import CONTRACTS, SYSTEMS
from ingestion.errors import BadParameter, TongbaoError, Transient, without_text
from ingestion.home import Home
from ingestion.ledger import Attempt, Ledger
from ingestion.period import Month
from ingestion.personal_cli import erase, retention, rotate_key
from ingestion.profile import county, delivered_datasets
from ingestion.transports import Source

EXIT_PERMANENT, EXIT_TRANSIENT = 2, os.EX_TEMPFAIL

_STYLES = {"accepted": "green", "unchanged": "green", "landed": "yellow", "refused": "red", "failed": "red"}

_errors = Console(stderr=True)


class _Group(click.Group):
    """Errors raised on purpose end with one line on stderr and an exit code that says whether to try again."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TongbaoError as error:
            told = error
        except (click.ClickException, click.exceptions.Exit, click.Abort, ImportError):
            raise
        except Exception as error:
            told = without_text(error)
        _say(told)
        return ctx.exit(_exit_code(told))


def _say(error: TongbaoError) -> None:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    _errors.print(text, style="red", markup=False, highlight=False, soft_wrap=True)


def _exit_code(error: TongbaoError) -> int:
    return EXIT_TRANSIENT if isinstance(error, Transient) else EXIT_PERMANENT


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Pull, load and check the exports of the three systems (数据接入). State lies in $TONGBAO_HOME (default var/)."""


_datasets = click.argument("datasets", nargs=-1, type=click.Choice(sorted(CONTRACTS)), metavar="[DATASET]...")
_months = click.option("--month", "months", multiple=True, help="Month of delivery, YYYY-MM; may be given repeatedly.")


@main.command()
@_datasets
@_months
@click.option(
    "--from", "uri", help="URI of the source; default TONGBAO_PLATFORM_URI, TONGBAO_HOTLINE_URI, TONGBAO_CMS_URI."
)
def pull(datasets: tuple[str, ...], months: tuple[str, ...], uri: str | None) -> None:
    """Land deliveries in the raw zone (落地). Without DATASET all of them, without --month every month delivered."""
    from ingestion import landing

    home = Home.from_env()
    failures: list[TongbaoError] = []
    with _progress() as report:
        for system, names in SYSTEMS.items():
            wanted = [name for name in names if name in delivered_datasets() and (not datasets or name in datasets)]
            if not wanted:
                continue
            source = source_at(uri or _uri_of(system))
            try:
                for dataset, month in deliveries_at(source, wanted, months):
                    try:
                        delivery = landing.pull(home, source, system, dataset, month, progress=report)
                    except TongbaoError as error:
                        _failed(failures, dataset, month, error)
                        continue
                    state = "unchanged 未变" if delivery.unchanged else "landed 已落地"
                    _told(dataset, month, f"{len(delivery.attempts)} files, {state}")
            finally:
                source.close()
    _finish(failures)


@main.command()
@_datasets
@_months
@click.option("--validate/--no-validate", default=True, help="Check the load-edge expectations before acceptance.")
def load(datasets: tuple[str, ...], months: tuple[str, ...], validate: bool) -> None:
    """Type, check and accept what was pulled (载入). Without DATASET and --month whatever has not been loaded yet."""
    from ingestion.load import load as load_delivery

    validator = None
    if validate:
        from expectations import validate_load

        validator = validate_load
    home = Home.from_env()
    failures: list[TongbaoError] = []
    with _progress() as report:
        for dataset, month in undecided(home, datasets, months):
            try:
                result = load_delivery(home, dataset, month, validate=validator, progress=report)
            except TongbaoError as error:
                _failed(failures, dataset, month, error)
                continue
            rows = f"{result.rows_in} rows in, {result.rows_loaded} loaded, {result.rows_quarantined} quarantined"
            _told(dataset, month, f"{result.outcome}: {rows}" if result.files else result.outcome)
    _finish(failures)


main.add_command(check)
main.add_command(aliases)
main.add_command(erase)
main.add_command(retention)
main.add_command(rotate_key)


@main.command()
@_datasets
@_months
def status(datasets: tuple[str, ...], months: tuple[str, ...]) -> None:
    """Show the newest delivery of every dataset and month, and what became of it (状态)."""
    ledger = Ledger(Home.from_env())
    newest: dict[tuple[str, str], list[Attempt]] = {}
    for attempt in ledger.attempts():
        if (not datasets or attempt.dataset in datasets) and (not months or attempt.month in months):
            delivery = newest.setdefault((attempt.month, attempt.dataset), [])
            if delivery and delivery[0].delivery_id != attempt.delivery_id:
                delivery.clear()
            delivery.append(attempt)
    rows_in = {each.landing_id: (each.rows_in, each.rows_quarantined) for each in ledger.accepted_files()}
    table = Table(
        Column("month", no_wrap=True),
        Column("dataset", no_wrap=True),
        "pulled 提取",
        "outcome 结果",
        "files",
        "rows 行",
        "quarantined 隔离",
    )
    for (month, dataset), attempts in sorted(newest.items()):
        outcomes = Counter(attempt.outcome for attempt in attempts)
        told = ", ".join(f"[{_STYLES[outcome]}]{outcome}[/{_STYLES[outcome]}]" for outcome in outcomes)
        reasons = dict.fromkeys(escape(attempt.reason) for attempt in attempts if attempt.reason)
        counts = [rows_in.get(attempt.landing_id or 0, (0, 0)) for attempt in attempts]
        table.add_row(
            month,
            dataset,
            f"{attempts[0].pulled_at:%m-%d %H:%M}",
            "\n".join([told, *reasons]),
            str(sum(attempt.file is not None for attempt in attempts)),
            str(sum(rows for rows, _ in counts)),
            str(sum(quarantined for _, quarantined in counts)),
        )
    Console().print(table if newest else "nothing has been pulled yet 尚无数据")


@main.command()
@_datasets
def rebuild(datasets: tuple[str, ...]) -> None:
    """Make the typed Parquet of everything accepted again from the raw zone (重建)."""
    from ingestion.load import rebuild as rebuild_staged

    with _progress() as report:
        count = rebuild_staged(Home.from_env(), datasets or None, progress=report)
    click.echo(f"{count} files rebuilt")


def _uri_of(system: str) -> str:
    name = f"TONGBAO_{system.upper()}_URI"
    uri = os.environ.get(name)
    if not uri:
        raise BadParameter(f"where is the system {system}? Set {name} or give --from URI")
    return uri


def source_at(uri: str) -> Source:
    """The source at this URI; files side by side in one folder are placed by the county's profile."""
    from ingestion import transports
    from ingestion.transports.side_by_side import SideBySide

    profile = county()
    return SideBySide(uri, profile.files) if profile and profile.files else transports.connect(uri)


def deliveries_at(source: Any, datasets: list[str], months: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(dataset, month) to pull, months in order: history checks look back."""
    pairs = set()
    for dataset in datasets:
        profile = county()
        found = months or source.months(profile.delivered_as(dataset) if profile else dataset)
        if found is None:
            raise BadParameter(f"{source.describe()} cannot list its months; name them with --month")
        pairs |= {(str(Month.parse(month)), dataset) for month in found}
    for month, dataset in sorted(pairs):
        yield dataset, month


def undecided(home: Home, datasets: tuple[str, ...], months: tuple[str, ...]) -> list[tuple[str, str]]:
    """(dataset, month) to load: those named, or those whose newest delivery holds something not yet decided."""
    wanted_months = {str(Month.parse(month)) for month in months}
    pairs: dict[tuple[str, str], bool] = {}
    for attempt in Ledger(home).attempts():
        if (not datasets or attempt.dataset in datasets) and (not months or attempt.month in wanted_months):
            key = (attempt.month, attempt.dataset)
            if attempt.file is not None:
                pairs[key] = pairs.get(key, False) or attempt.outcome == "landed"
    named = bool(datasets or months)
    return [(dataset, month) for (month, dataset), is_open in sorted(pairs.items()) if named or is_open]


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int | None], None]]:
    """A progress bar on stderr; nothing is drawn where stderr is no terminal."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=_errors, transient=True, disable=not _errors.is_terminal) as progress:
        task = progress.add_task("", total=None)

        def report(what: str, done: int, total: int | None) -> None:
            progress.update(task, description=escape(what), completed=done, total=total)

        yield report


def _told(dataset: str, month: str, text: str) -> None:
    click.echo(f"{month} {dataset}: {text}")


def _failed(failures: list[TongbaoError], dataset: str, month: str, error: TongbaoError) -> None:
    failures.append(error)
    _told(dataset, month, f"{type(error).__name__}: {' '.join(str(error).split())}")


def _finish(failures: list[TongbaoError]) -> None:
    """Ends with the worst failure's exit code: one that stays outweighs one that may pass."""
    if failures:
        _errors.print(f"{len(failures)} of the deliveries failed", style="red")
        codes = {_exit_code(error) for error in failures}
        raise SystemExit(EXIT_PERMANENT if EXIT_PERMANENT in codes else EXIT_TRANSIENT)
