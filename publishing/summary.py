"""The end of a run for people: the overall ranking of a period, what was set aside, where everything lies."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import duckdb
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ingestion.contracts import CONTRACTS
from ingestion.errors import BadParameter
from ingestion.home import Home
from ingestion.period import Period
from ingestion.quarantine import reason_text as quarantine_reason
from publishing import releases
from publishing.labels import labels, period_name
from publishing.report import report_path
from publishing.tables import ranking_tables

#: Unmapped names listed; the rest is in audit.unmapped_units.
_UNMAPPED_SHOWN = 10

_QUARANTINED = (
    "SELECT dataset, reason, count(*) FROM audit.quarantine GROUP BY ALL ORDER BY dataset, count(*) DESC, reason"
)

_UNMAPPED = """
SELECT unit_name, list(dataset ORDER BY dataset), sum(rows_unmapped)::BIGINT,
    any_value(nearest_1), any_value(nearest_2), any_value(nearest_3)
FROM audit.unmapped_units GROUP BY unit_name ORDER BY 3 DESC, 1
"""


def summary(home: Home, period: str, console: Console | None = None) -> None:
    """Prints the served release's summary of one period, in Chinese; every figure comes from the published file.

    Raises BadParameter where nothing, or not this period, is published.
    """
    code, console = Period.parse(period).code, console or Console()
    release = releases.served(home)
    if release is None:
        raise BadParameter("nothing is published yet")
    tables = [
        table for table in ranking_tables(release.warehouse) if (table.period_code, table.area) == (code, "overall")
    ]
    if not tables:
        raise BadParameter(f"period {code} is not published in release {release.number}")
    columns = labels()["columns"]
    shown = [columns[name] for name in ("rank", "unit_name", "score", "interval", "rank_change", "list", "remark")]
    for group, rows in tables[0].frame.groupby(columns["unit_group"], sort=False):
        table = Table(title=f"{period_name(code)} {labels()['overall']}排名 · {group}", title_justify="left")
        for name in shown:
            number = name in (columns["rank"], columns["score"], columns["rank_change"], columns["interval"])
            # A cut name or reason would be worse than a long line.
            unit = name == columns["unit_name"]
            table.add_column(name, justify="right" if number else "left", no_wrap=number or unit, overflow="fold")
        for row in rows[shown].itertuples(index=False, name=None):
            table.add_row(*(_cell(name, value) for name, value in zip(shown, row, strict=True)))
        console.print(table)
    for note in tables[0].notes:
        console.print(f"[dim]{escape(note)}[/dim]")
    with duckdb.connect(str(release.warehouse), read_only=True) as connection:
        _quarantine(console, connection)
        _unmapped(console, connection)
    places = Table(title="成果位置", title_justify="left", show_header=False)
    documents = home.published / "documents" / "current"
    written = [
        (name, path)
        for name, path in (
            ("通报 notice", documents / "notice" / f"{code}.docx"),
            ("网页 page", documents / "page" / "index.html"),
        )
        if path.exists()
    ]
    for name, path in (
        *written,
        ("数据仓库 warehouse", home.current / "warehouse.duckdb"),
        ("排名表 tables", home.current / "tables" / code),
        ("数据校验报告 Data Docs", home.current / "data_docs" / "index.html"),
        ("版本清单 manifest", home.current / "manifest.json"),
        ("运行报告 report", report_path(home, tables[0].release)),
    ):
        if path.exists():
            places.add_row(name, escape(str(path)))
    console.print(places)


def _cell(name: str, value: Any) -> str:
    columns = labels()["columns"]
    if pd.isna(value):
        return "—"
    if name == columns["score"]:
        return f"{value:.2f}"
    if name == columns["rank_change"]:
        return f"↑{value}" if value > 0 else f"↓{-value}" if value < 0 else "0"
    text = escape(str(value))
    if name == columns["list"]:
        colour = {labels()["lists"]["lagging"]: "red"}.get(text, "green")
        return f"[{colour}]{text}[/{colour}]" if text else ""
    return text


def _quarantine(console: Console, connection: duckdb.DuckDBPyConnection) -> None:
    rows = connection.execute(_QUARANTINED).fetchall()
    if not rows:
        console.print("隔离数据：无")
        return
    reasons: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for dataset, reason, count in rows:
        reasons[dataset].append((quarantine_reason(reason), count))
    table = Table(title="隔离数据（未计入，逐行见 audit.quarantine）", title_justify="left")
    table.add_column("数据集", no_wrap=True)
    table.add_column("行数", justify="right")
    table.add_column("原因", overflow="fold")
    for dataset, found in reasons.items():
        text = "；".join(f"{reason} {count}" for reason, count in found)
        table.add_row(_dataset(dataset), str(sum(count for _, count in found)), escape(text))
    console.print(table)


def _unmapped(console: Console, connection: duckdb.DuckDBPyConnection) -> None:
    rows = connection.execute(_UNMAPPED).fetchall()
    if not rows:
        console.print("未匹配单位：无")
        return
    table = Table(title=f"未匹配单位（共 {len(rows)} 个，计入全县、不参加排名）", title_justify="left")
    table.add_column("名称", no_wrap=True)
    table.add_column("行数", justify="right")
    table.add_column("数据集", overflow="fold")
    table.add_column("最接近的已知单位", overflow="fold")
    for name, datasets, count, *nearest in rows[:_UNMAPPED_SHOWN]:
        known = "、".join(unit for unit in dict.fromkeys(nearest) if unit)
        table.add_row(escape(name), str(count), "、".join(map(_dataset, datasets)), escape(known))
    console.print(table)


def _dataset(name: str) -> str:
    return CONTRACTS[name].title if name in CONTRACTS else escape(name)
