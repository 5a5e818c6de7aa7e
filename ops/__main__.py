"""``python -m ops``: run, show, stop and backfill the county's warehouse under a real Airflow on this machine."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import click
import httpx
from rich.console import Console

from ingestion.errors import TongbaoError
from ingestion.home import Home
from ingestion.period import Month
from ops import front, web
from ops import superset as dashboards
from ops.runtime import RunFailed, request_stop

console = Console()


@click.group()
def main() -> None:
    """The demo's Airflow for the home in TONGBAO_HOME (default: var/)."""


@main.command()
@click.option("--exports", type=click.Path(file_okay=False, path_type=Path), help="Pull this folder; no simulator.")
@click.option("--periods", default="", help="Publish exactly these periods (with --exports), for example 2022-07.")
@click.option("--scenario", default="notice", show_default=True, help="What the simulated systems deliver.")
@click.option("--seed", default=2022, show_default=True)
def run(exports: Path | None, periods: str, scenario: str, seed: int) -> None:
    """Pull, validate, build, rank and publish; then print the result."""
    home = Home.from_env()
    if exports is not None:
        front.exports_run(home, console, exports, periods.replace(",", " ").split())
    elif periods:
        raise click.UsageError("--periods goes with --exports")
    else:
        front.demo(home, console, scenario=scenario, seed=seed)


@main.command()
@click.option("--exports", type=click.Path(file_okay=False, path_type=Path), help="Serve this folder; no simulator.")
def ui(exports: Path | None) -> None:
    """The same under Airflow's web pages, until Ctrl-C or `stop`."""
    web.serve(Home.from_env(), console, exports)


@main.command()
@click.option("--backend", type=click.Choice(["duckdb", "postgres"]), default="duckdb", show_default=True)
@click.option("--port", type=int, help="Port on loopback; default: a free one.")
def superset(backend: str, port: int | None) -> None:
    """Superset with the dashboards, on the served DuckDB file or the mirror, until Ctrl-C."""
    dashboards.serve(Home.from_env(), backend, port, console)


@main.command()
def stop() -> None:
    """Stop what runs for this home."""
    console.print("stopped" if request_stop(Home.from_env()) else "nothing is running for this home")


@main.command()
@click.argument("first")
@click.argument("last", required=False)
def backfill(first: str, last: str | None) -> None:
    """Pull FIRST (a year or a month) to LAST again in the running Airflow (see `ui`), month by month."""
    start, end = (f"{first}-01", f"{first}-12") if len(first) == 4 and not last else (first, last or first)
    web.backfill(Home.from_env(), Month.parse(start), Month.parse(end), console)


def _end(number: int, _frame: object) -> None:
    # An exception, so that every started process is stopped on the way out.
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    try:
        main(prog_name="python -m ops", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (RunFailed, TongbaoError, TimeoutError, httpx.HTTPError) as error:
        console.print(f"[bold red]failed:[/] {type(error).__name__}")
        console.print(str(error), markup=False, highlight=False)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        console.print("interrupted; everything that was started has been stopped")
        sys.exit(130)
