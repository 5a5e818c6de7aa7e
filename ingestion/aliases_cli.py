"""``ingestion aliases``: other names of units: list, find the unknown ones, add and remove."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from ingestion.home import Home
from ingestion.ledger import now

if TYPE_CHECKING:
    from ingestion.aliases import Alias, UnitNames

_day = click.DateTime(formats=["%Y-%m-%d"])


@click.group()
def aliases() -> None:
    """Other names of units (单位别名): the seed unit_aliases.csv of the county in force."""


@aliases.command("list")
@click.option("--unit", help="Names of this unit code alone.")
def list_(unit: str | None) -> None:
    """List every name, its unit, and when it is valid (列出)."""
    from ingestion.aliases import UnitNames

    names = UnitNames.read()
    _print(
        ("别名", "单位代码", "单位", "有效期"),
        [
            (each.name, each.unit_code, names.units.get(each.unit_code, ""), "正式名称" if each.own else each.span)
            for each in names.names
            if unit is None or each.unit_code == unit
        ],
    )


@aliases.command()
@click.option("--from-build", is_flag=True, help="As the release that is served counted them, not as of now.")
def unknown(from_build: bool) -> None:
    """List the names in delivered rows that mean no unit, with the nearest known ones (未识别单位)."""
    from ingestion.aliases import UnitNames

    names, home = UnitNames.read(), Home.from_env()
    rows: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    days: dict[str, dt.date] = {}
    if from_build:
        for dataset, name, count in _of_the_build(home):
            rows[name][dataset] += count
    elif home.ledger_path.is_file():
        from ingestion.delivered_units import mentions

        for each in mentions(home, names):
            if each.unit_code is None:
                rows[each.unit_name][each.dataset] += each.rows
                days[each.unit_name] = dt.date.fromisoformat(f"{each.month}-01")
    if not rows:
        click.echo("没有未识别的单位名称")
        return
    _print(
        ("单位名称", "行数", "数据", "说明"),
        [
            (
                name,
                str(sum(counts.values())),
                "、".join(f"{dataset} {count}" for dataset, count in sorted(counts.items())),
                names.why_unknown(name, days.get(name, now().date()))[1],
            )
            for name, counts in sorted(rows.items(), key=lambda item: (-sum(item[1].values()), item[0]))
        ],
    )
    click.echo("登记别名：python -m ingestion aliases add 名称 单位代码 [--from 起始日] [--to 截止日]")


@aliases.command()
@click.argument("name")
@click.argument("unit_code")
@click.option("--from", "valid_from", type=_day, help="First day on which the name is valid, YYYY-MM-DD.")
@click.option("--to", "valid_to", type=_day, help="Last day on which the name is valid, YYYY-MM-DD.")
@click.option("--one-unit", is_flag=True, help="The name reads like two units and is one all the same.")
def add(
    name: str, unit_code: str, valid_from: dt.datetime | None, valid_to: dt.datetime | None, one_unit: bool
) -> None:
    """Add an alias of a unit and say which delivered rows it moves (登记)."""
    from ingestion.aliases import Alias, UnitNames

    before = UnitNames.read()
    asked = Alias(name, unit_code, _date(valid_from), _date(valid_to))
    alias = before.checked_addition(asked, one_unit=one_unit)
    if alias.name != name:
        click.echo(f"名称已规范（全角转半角、去首尾空格）：{alias.name}")
    before.add(alias)
    click.echo(f"已登记：{alias.name} → {alias.unit_code} {before.units[alias.unit_code]}，{alias.span}")
    _tell_moves(before, alias)


@aliases.command()
@click.argument("name")
@click.option("--unit", help="Unit code of the alias meant, where there are several.")
@click.option("--from", "valid_from", type=_day, help="First day of the alias meant, where there are several.")
def remove(name: str, unit: str | None, valid_from: dt.datetime | None) -> None:
    """Take an alias out of the table and say which delivered rows that moves (删除)."""
    from ingestion.aliases import UnitNames

    before = UnitNames.read()
    alias = before.to_remove(name, unit, _date(valid_from))
    before.remove(alias)
    click.echo(f"已删除：{alias.name} → {alias.unit_code} {before.units.get(alias.unit_code, '')}，{alias.span}")
    _tell_moves(before, alias)


def _date(moment: dt.datetime | None) -> dt.date | None:
    return moment.date() if moment else None


def _tell_moves(before: UnitNames, alias: Alias) -> None:
    """What the edit does to rows that are already there, and what the next run makes of it."""
    from ingestion.aliases import UnitNames
    from ingestion.delivered_units import moves, published_periods

    home = Home.from_env()
    found = moves(home, before, UnitNames.read(), alias) if home.ledger_path.is_file() else []
    if not found:
        click.echo("已交付的数据里没有因此改变归属的行")
        return

    def unit(code: str | None) -> str:
        return "未识别" if code is None else f"{code} {before.units.get(code, '')}"

    _print(
        ("数据", "月份", "行数", "原归属", "新归属"),
        [(each.dataset, each.month, str(each.rows), unit(each.before), unit(each.after)) for each in found],
    )
    months = {each.month for each in found}
    periods = published_periods(home, months)
    text = f"已发布的 {'、'.join(periods)} 将" if periods else f"涉及 {'、'.join(sorted(months))}，相关考核期将"
    click.echo(f"下次运行时，{text}按新的归属重新计算，有变化的发布修订版")


def _of_the_build(home: Home) -> Sequence[tuple[str, str, int]]:
    import duckdb

    warehouse = home.current / "warehouse.duckdb"
    if not warehouse.is_file():
        return []
    with duckdb.connect(str(warehouse.resolve()), read_only=True) as connection:
        rows = connection.execute("SELECT dataset, unit_name, rows_unmapped FROM audit.unmapped_units ORDER BY ALL")
        return [(dataset, name, count) for dataset, name, count in rows.fetchall()]


def _print(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on a terminal, else lines of tab-separated cells."""
    console = Console()
    if not console.is_terminal:
        for row in (headers, *rows):
            click.echo("\t".join(row))
        return
    table = Table(*headers)
    for row in rows:
        table.add_row(*row)
    console.print(table, markup=False)
