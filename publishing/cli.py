"""The command line of publishing: every step by itself, or all of them; without Airflow."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import click
from rich.console import Console
from rich.table import Table

from ingestion.errors import BadParameter, TongbaoError, without_text
from ingestion.home import Home
from publishing import inputs, releases, settings

console = Console()


class _Group(click.Group):
    """Errors raised on purpose end with their message and exit code 1, not with a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TongbaoError as error:
            told = error
        except (click.ClickException, click.exceptions.Exit, click.Abort, ImportError):
            raise
        except Exception as error:
            told = without_text(error)
        Console(stderr=True).print(f"{type(told).__name__}: {told}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)


@click.group(cls=_Group)
def main() -> None:
    """Build, audit and publish the warehouse and the ranking tables (发布). State lies in $TONGBAO_HOME."""


_full = click.option("--full", is_flag=True, default=None, help="Compute every fact anew; take nothing over.")
_run_id = click.option("--run-id", required=True, help="Name of the build folder under runs/.")


@main.command()
@click.option("--month", help="Month that ended, YYYY-MM: its periods. Default: all that are complete.")
@click.argument("periods", nargs=-1)
def plan(month: str | None, periods: tuple[str, ...]) -> None:
    """Show which periods can be released and what the others wait for."""
    from publishing.plan import plan as decide

    found = decide(Home.from_env(), month, periods or None)
    table = Table("period 期", "state 状态", "missing 缺报")
    for code in found.publish:
        table.add_row(code, "[green]complete 可发布[/green]", "")
    for code, missing in found.reasons().items():
        table.add_row(code, "[yellow]waiting 待报[/yellow]", "、".join(missing))
    console.print(table)


@main.command()
@_run_id
@_full
@click.option("--reason", default="", help="Why published periods may change; printed with each revision.")
@click.argument("periods", nargs=-1, required=True)
def build(run_id: str, full: bool | None, reason: str, periods: tuple[str, ...]) -> None:
    """Build a new warehouse file for PERIODS and every period published before."""
    from publishing.build import build as make

    home = Home.from_env()
    built = _with_status(lambda show: make(home, list(periods), run_id, reason, full=full, progress=show))
    console.print(f"built {built}")


@main.command()
@_run_id
def audit(run_id: str) -> None:
    """Check the built file as a whole: expectations, reconciliation, no personal data."""
    from publishing.audit import audit as check

    check(Home.from_env(), run_id)
    console.print(f"[green]run {run_id} passed its audit[/green]")


@main.command()
@_run_id
def publish(run_id: str) -> None:
    """Serve the audited file: release folder, then the swap of published/current."""
    from publishing.publish import publish as swap

    _show_published(swap(Home.from_env(), run_id))
    _mirror_if_set()


@main.command()
@click.option("--run-id", help="Name of the build folder; default: made from the time.")
@click.option("--month", help="Month that ended, YYYY-MM, instead of PERIODS.")
@_full
@click.option("--reason", default="", help="Why published periods may change; printed with each revision.")
@click.argument("periods", nargs=-1)
def run(run_id: str | None, month: str | None, full: bool | None, reason: str, periods: tuple[str, ...]) -> None:
    """Plan, build, audit and publish. A period that waits for a delivery is named; with PERIODS it is an error."""
    from publishing.plan import plan as decide
    from publishing.run import run as do_all

    home = Home.from_env()
    found = decide(home, month, periods or None)
    for code, missing in found.reasons().items():
        console.print(f"[yellow]{code} waits for {', '.join(missing)}[/yellow]")
    if not found.publish or (periods and found.reasons()):
        raise click.ClickException(
            "not every period asked for is over and has all its deliveries; nothing was published"
        )
    run_id = run_id or f"manual-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S.%fZ}"
    _show_published(_with_status(lambda show: do_all(home, found.publish, run_id, reason, full=full, progress=show)))
    _mirror_if_set()


@main.command()
@click.argument("period")
def summary(period: str) -> None:
    """Print the overall ranking of PERIOD, what was quarantined, and where everything lies; write its report."""
    from publishing.report import write_report
    from publishing.summary import summary as show

    write_report(Home.from_env(), period)
    show(Home.from_env(), period, console)


@main.command()
@click.argument("period")
def report(period: str) -> None:
    """Write the report of PERIOD for those who decide (运行报告): reports/<release>.html."""
    from publishing.report import write_report

    console.print(str(write_report(Home.from_env(), period)), markup=False, soft_wrap=True)


@main.command()
@click.option("--period", "periods", multiple=True, help="Write only this period's notice anew; may be repeated.")
@click.option(
    "--template", type=click.Path(path_type=Path), help="Wording of the office's own, instead of notice.txt.j2."
)
def documents(periods: tuple[str, ...], template: Path | None) -> None:
    """Write the notice (通报) and the page (网页) of the served release; needs no new release."""
    from publishing.documents import write_documents

    folder = write_documents(Home.from_env(), periods=periods or None, template=template)
    console.print(f"documents 文稿: {folder}", soft_wrap=True)


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def parquet(folder: Path) -> None:
    """Write the served release as Parquet, FOLDER/<schema>/<table>.parquet: facts, marts, history, audit."""
    from publishing.release_file import write_parquet

    release = releases.served(Home.from_env())
    if release is None:
        raise BadParameter("nothing is published yet")
    if folder.exists() and any(folder.iterdir()):
        raise BadParameter(f"{folder} is not empty; name a new folder, so that no file of another release is in it")
    written = write_parquet(release.warehouse, inputs.checked_path(folder), settings.PUBLISHED_SCHEMAS)
    console.print(f"release {release.number}: {len(written)} files in {folder}", markup=False)


@main.command()
@click.argument("file", type=click.File("w", encoding="utf-8", atomic=True), default="-")
def semantics(file: IO[str]) -> None:
    """Write tables, joins and metrics of the served release for BI tools (Open Semantic Interchange, YAML) to FILE."""
    from publishing.semantics import as_yaml, semantic_model

    release = releases.served(Home.from_env())
    if release is None:
        raise BadParameter("nothing is published yet")
    file.write(as_yaml(semantic_model(release)))


@main.command("releases")
def list_releases() -> None:
    """List the release folders; the served one is marked."""
    home = Home.from_env()
    now = releases.served_number(home)
    table = Table("", "number 编号", "run 批次", "new releases 新版本")
    for number in releases.numbers(home):
        manifest = releases.open_release(home, number).manifest
        mark = "→" if number == now else ""
        table.add_row(mark, str(number), manifest["run_id"], "、".join(manifest["releases"]))
    console.print(table)
    for line in releases.rollbacks(home):
        console.print(f"{line['at']} went back from {line['from']} to {line['to']} {line['reason']}", markup=False)


@main.command()
@click.option("--to", type=int, help="Number of the release to serve; default: the one before the served.")
@click.option("--reason", default="", help="Why; kept in published/rollbacks.jsonl.")
def rollback(to: int | None, reason: str) -> None:
    """Serve an earlier release again, with its documents; it is verified against its manifest first."""
    from publishing.documents import serve_documents

    release = releases.rollback(Home.from_env(), to, reason)
    console.print(f"release {release.number} is served")
    if not serve_documents(Home.from_env()):
        console.print("its documents are not written yet: python -m publishing documents")
    _mirror_if_set()


@main.command()
@click.option("--run-id", help="The build to repeat; default: the newest.")
def spark(run_id: str | None) -> None:
    """Build a run again on Apache Spark and compare every figure with DuckDB's; exit code 1 where one differs."""
    from publishing.spark.build import newest_run, repeat
    from publishing.spark.compare import compare

    home = Home.from_env()
    run_id = run_id or newest_run(home)
    built = _with_status(lambda show: repeat(home, run_id, progress=show))
    found = compare(home.runs / run_id / "warehouse.duckdb", built.place)
    for line in found.differences:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    counted = "、".join(f"{schema} {count:,}" for schema, count in found.figures.items())
    console.print(f"run {run_id} on Spark: {built.place.where}", markup=False, soft_wrap=True)
    console.print(f"{len(found.differences)} differing of {sum(found.figures.values()):,} figures ({counted})")
    if found.differences:
        sys.exit(1)


@main.command()
def mirror() -> None:
    """Bring the PostgreSQL mirror (TONGBAO_POSTGRES) to the served release; readers see the old or the new one."""
    from publishing.mirror import mirror as bring

    done = bring(Home.from_env())
    console.print(f"the mirror shows release {done.number}{'' if done.loaded else ' (it held it already)'}")


def _mirror_if_set() -> None:
    """What changes the served release here takes the mirror along; under Airflow the DAG `mirror` does."""
    if settings.postgres():
        from publishing.mirror import mirror as bring

        console.print(f"the mirror shows release {bring(Home.from_env()).number}")


def _with_status(work: Callable[[Callable[[str], None]], Any]) -> Any:
    """Runs the work with a spinner that names what finished last."""
    count = 0
    with console.status("building 构建中 …") as status:

        def show(name: str) -> None:
            nonlocal count
            count += 1
            status.update(f"building 构建中 … {count} {name}")

        return work(show)


def _show_published(outcome: Any) -> None:
    if outcome.unchanged:
        console.print(f"unchanged 无变化: release {outcome.number} goes on being served")
    else:
        console.print(
            f"[green]release {outcome.number} is served[/green]: {'、'.join(outcome.releases) or 'audit only'}"
        )
        if outcome.months:
            console.print(
                f"facts of {outcome.months['computed']} months computed, of {outcome.months['kept']} kept "
                "from an earlier build; --full computes all"
            )
