"""``python -m ingestion erase``, ``retention`` and ``rotate-key``: the duties towards the people in the raw zone."""

from __future__ import annotations

from typing import TextIO

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from ingestion.home import Home

_ACTIONS = {
    "changed": "the person's rows changed 已改写",
    "removed": "file removed 已删除文件",
    "staged": "typed rows changed 已改写入库数据",
    "unsearchable": "[yellow]cannot be searched 无法检索[/]",
}


@click.command()
@click.option("--from", "source", type=click.File(encoding="utf-8"), default="-", help="Default: standard input.")
@click.option("--by", required=True, help="Who asks (office or person responsible); kept in the record.")
@click.option("--request", required=True, help="The request's number or date; kept in the record.")
@click.option("--name-alone", is_flag=True, help="Erase every cell that is exactly the name.")
@click.option("--remove-files", is_flag=True, help="Remove the landed files whole instead of changing the rows.")
@click.option("--remove-unsearchable", is_flag=True, help="Remove packed or encrypted files that nobody can search.")
@click.option("--apply", is_flag=True, help="Do it; without this only what would be done is shown.")
def erase(
    source: TextIO,
    by: str,
    request: str,
    name_alone: bool,
    remove_files: bool,
    remove_unsearchable: bool,
    apply: bool,
) -> None:
    """Erase a person from raw files and tokens (删除个人信息). Standard input: lines 姓名: … 电话: … 证件: …

    Published figures stay as they are. Without --apply nothing is written.
    """
    from ingestion.erasure import erase as erase_person
    from ingestion.erasure import read_person

    found = erase_person(
        Home.from_env(),
        read_person(source.read(), name_alone=name_alone),
        by=by,
        request=request,
        apply=apply,
        remove_files=remove_files,
        remove_unsearchable=remove_unsearchable,
    )
    if not found.places and not found.names:
        click.echo("nothing of this person is held 未发现该人信息")
        return
    table = Table("delivery 交付", Column("rows 行", justify="right"), "what 处理", "rebuild 可重建")
    for place in found.places:
        lost = place.accepted and place.action != "changed"
        table.add_row(
            escape("\n".join(place.deliveries) or f"no delivery knows it: {place.sha256[:12]}…"),
            str(place.rows),
            _ACTIONS[place.action],
            "[red]no longer 不可[/]" if lost else "yes 可",
        )
    Console().print(table)
    if found.names:
        click.echo(f"{found.names} names of files hold the person's number 文件名含该人号码")
    for run in found.runs_left:
        click.echo(f"run {run} is at work and holds tokens: remove the folder runs/{run} when it is done", err=True)
    if found.record:
        click.echo(f"done 已完成; record 记录 {found.record} in records/erasures.jsonl")
    else:
        click.echo("nothing was written 未作改动; --apply does it")


@click.command()
@click.option("--needed-too", is_flag=True, help="Also what is needed to rebuild the warehouse from raw.")
@click.option("--apply", is_flag=True, help="Do it; without this only what would be removed is shown.")
def retention(needed_too: bool, apply: bool) -> None:
    """Remove landed files whose time is over (清理到期原始文件). TONGBAO_RAW_KEPT_DAYS, TONGBAO_REFUSED_KEPT_DAYS."""
    from ingestion.retention import expired, kept_days, remove_expired

    home = Home.from_env()
    accepted_days, other_days = kept_days()
    click.echo(
        f"kept 保存: accepted files {accepted_days} days, files that never became part of a dataset {other_days}"
    )
    found = remove_expired(home, needed_too=needed_too) if apply else expired(home)
    table = Table("delivery 交付", "delivered 交付时间", Column("bytes 字节", justify="right"), "what 处理")
    for each in found:
        kept = each.needed and not needed_too
        told = "kept: needed to rebuild 重建需要,保留" if kept else "removed 删除"
        name = "\n".join(each.deliveries) or f"no delivery knows it: {each.sha256[:12]}…"
        table.add_row(escape(name), f"{each.delivered_at:%Y-%m-%d}", str(each.bytes), told)
    Console().print(table if found else "nothing is over its limit 无到期文件")
    if found and not apply:
        click.echo("nothing was removed 未作改动; --apply does it")


@click.command("rotate-key")
@click.option("--rekey-expired", is_flag=True, help="Files without raw bytes: make tokens of their old tokens.")
def rotate_key(rekey_expired: bool) -> None:
    """Make every token again under a new key (更换假名密钥); finishes a rotation that was cut short.

    The new key is the one in TONGBAO_PII_KEY (change it first), or a new one of the home's own.
    """
    from ingestion.rotation import rotate

    done = rotate(Home.from_env(), rekey_expired=rekey_expired)
    click.echo(f"{done.files} files now hold tokens of key {done.key_id} 已换钥")
    for name in done.rekeyed:
        click.echo(f"{name}: tokens made of the old tokens, no longer compared with other files")
