"""The command line of upkeep: what the person on duty asks, without Airflow.

Exit codes: 0 good; 1 refused, with the reason; 3 a source is late; 4 a rebuild gave other figures.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from ingestion.durable import locked
from ingestion.home import Home
from publishing.cli import _Group

EXIT_LATE, EXIT_DIFFERS = 3, 4

console = Console()

_COLOURS = {"accepted": "green", "unchanged": "green", "passed": "green", "warning": "yellow", "landed": "yellow"}


@click.group(cls=_Group)
def main() -> None:
    """State, freshness, rebuilds, alerts (运维). State lies in $TONGBAO_HOME."""


@main.command()
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
@click.option("--strict", is_flag=True, help="Exit code 3 when a source is late.")
def status(as_json: bool, strict: bool) -> None:
    """What is landed, validated and published, by period and dataset, and how old it is (状态)."""
    from upkeep.status import status as state

    found = state(Home.from_env())
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        _show_deliveries(found["deliveries"])
        _show_published(found)
        _show_sources(found["sources"])
        _show_notes(found)
    if strict and any(each["late"] for each in found["sources"]):
        sys.exit(EXIT_LATE)


@main.command()
def freshness() -> None:
    """Is a source late (时效)? Exit code 3 when one is."""
    from dataclasses import asdict

    from upkeep.freshness import freshness as found_of

    found = [asdict(each) | {"late": each.late} for each in found_of(Home.from_env())]
    _show_sources(found)
    if any(each["late"] for each in found):
        sys.exit(EXIT_LATE)


@main.command()
@click.option("--into", type=click.Path(path_type=Path), help="Empty folder for the rebuilt home; kept afterwards.")
@click.option("--keep", is_flag=True, help="Keep the rebuilt home.")
def rebuild(into: Path | None, keep: bool) -> None:
    """Make the served release again from raw files alone, timed, and compare the digests (重建). Touches nothing."""
    from upkeep.rebuild import rebuild as make

    home = Home.from_env()
    folder = into or home.trial
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(folder, "a rebuild on trial", wait_seconds=0):
        if into is None:
            _empty(folder)  # what a rebuild that was killed, or kept, has left
        try:
            with console.status("rebuilding 重建中 …") as shown:
                done = make(home, folder, lambda step: shown.update(f"rebuilding 重建中 … {step}"))
        finally:
            if not keep and into is None:
                shutil.rmtree(folder)
    table = Table("period 期", "served 已发布", "rebuilt 重建", "")
    for period, (old, new) in done.digests.items():
        same = "[green]identical 一致[/]" if old == new else "[red]differs 不一致[/]"
        table.add_row(period, f"{old[:16]}…", f"{(new or '—')[:16]}…", same)
    console.print(table)
    seconds = ", ".join(f"{name} {value} s" for name, value in done.seconds.items())
    console.print(f"{seconds}; total 合计 {sum(done.seconds.values()):.1f} s")
    if not done.same_input:
        console.print("[yellow]files or rules have changed since the served release was built 数据或规则已有变化[/]")
    console.print("[green]digests agree 摘要一致[/]" if done.agrees else "[red]digests differ 摘要不一致[/]")
    if into or keep:
        console.print(f"kept in {escape(str(folder))}", soft_wrap=True)
    if not done.agrees:
        sys.exit(EXIT_DIFFERS)


@main.command()
def runbook() -> None:
    """Write the runbook's pages of the critical expectations from their suites."""
    from upkeep.runbook import write_expectation_pages

    console.print(f"{len(write_expectation_pages())} pages written")


@main.command("alert-test")
def alert_test() -> None:
    """Send a test alert by every channel that the environment names (告警测试)."""
    from upkeep import alerts

    to = alerts.channels(os.environ)
    if not to:
        console.print(f"no channel is named: {', '.join(alerts.SETTINGS.values())}; see docs/runbook/alerts.md")
        return
    alert = alerts.Alert("upkeep", "alert-test", "—", "Test", "a test, nothing has failed 测试，无故障")
    taken = alerts.send(alert, to)
    for channel in to:
        console.print(f"{channel.kind}: {'taken 已送达' if channel.kind in taken else 'FAILED 失败'}")
    if len(taken) < len(to):
        sys.exit(1)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _coloured(text: str) -> str:
    return f"[{_COLOURS.get(text, 'red')}]{text}[/]"


def _show_deliveries(deliveries: list[dict[str, Any]]) -> None:
    columns: list[Column | str] = [
        Column("month 月", no_wrap=True),
        Column("dataset 数据集", no_wrap=True),
        "landed 落地",
        "outcome 结果",
    ]
    columns += ["validated 校验", Column("files", justify="right"), Column("rows 行", justify="right")]
    table = Table(*columns, Column("quarantined 隔离", justify="right"))
    for each in deliveries:
        outcome = "\n".join([", ".join(map(_coloured, each["outcome"])), *map(escape, each["reasons"])])
        landed = f"{each['landed_at'][:16]} ({each['age_days']:.0f} d)"
        counts = [str(each[name]) for name in ("files", "rows_in", "rows_quarantined")]
        validated = _coloured(each["validated"]) if each["validated"] else "—"
        table.add_row(each["month"], each["dataset"], landed, outcome, validated, *counts)
    console.print(table if deliveries else "nothing has been pulled yet 尚无数据")


def _show_published(found: dict[str, Any]) -> None:
    published = found["published"]
    if published:
        table = Table(
            "period 期", "release 版本", "released 发布", "reason 原因", title=f"release {published['number']}"
        )
        for each in published["periods"]:
            at = f"{each['released_at'][:16]} ({each['age_days']:.0f} d)"
            table.add_row(each["period"], each["release"], at, escape(each["reason"] or ""))
        console.print(table)
        if published["rolled_back_from"]:
            console.print(f"[yellow]rolled back from release {published['rolled_back_from']} 已回退[/]")
    else:
        console.print("nothing is published yet 尚未发布")
    for period, missing in found["waiting"].items():
        console.print(f"[yellow]{period} waits for 待报[/] {', '.join(missing)}")


def _show_sources(sources: list[dict[str, Any]]) -> None:
    columns = [Column(name, no_wrap=True) for name in ("dataset 数据集", "newest 最新", "due 应到", "age 天")]
    table = Table("system 系统", *columns, Column("state 状态", overflow="fold"))
    for each in sources:
        months = each["missing"]
        lacks = f"{months[0]} … {months[-1]}" if len(months) > 1 else "".join(months)
        state = f"[red]late 逾期: {lacks}[/]" if each["late"] else "[green]on time 及时[/]"
        age = "—" if each["age_days"] is None else f"{each['age_days']:.1f}"
        table.add_row(each["system"], each["title"], each["newest"] or "—", each["due"], age, state)
    console.print(table)


def _show_notes(found: dict[str, Any]) -> None:
    console.print(f"pseudonymisation key 假名密钥: {escape(found['pseudonym_key'] or '—')}", soft_wrap=True)
    console.print(
        f"raw zone 原始区 {found['raw_bytes'] / 1e6:.1f} MB, free 可用 {found['disk_free_bytes'] / 1e9:.1f} GB"
    )
    if found["unfinished_rotation"]:
        console.print("[red]a key rotation was not finished: python -m ingestion rotate-key 有未完成的换钥[/]")
    if found["unfinished_erasure"]:
        console.print("[red]an erasure was not finished: repeat it 有未完成的删除[/]")
