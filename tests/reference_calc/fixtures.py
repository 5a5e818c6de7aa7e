"""Exports small enough to check by hand: every dataset of every month, empty but for the rows a test gives."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.reference_calc.asof import View, view
from tests.reference_calc.calendar_ import PeriodOfMonths, WorkingDays
from tests.reference_calc.metrics import unit_months
from tests.reference_calc.read_exports import read_exports
from tests.reference_calc.schema import DATASETS, SCHEMA, SYSTEMS
from tests.reference_calc.units import UnitNames

Row = Mapping[str, object]

#: What a row of each dataset holds when a test does not say otherwise.
DEFAULTS: dict[str, dict[str, object]] = {
    "platform_cases": {
        "事项编码": "A1",
        "事项名称": "事项",
        "办件类型": "承诺件",
        "办理单位": "精河镇",
        "申请来源": "窗口登记",
        "申请人类型": "自然人",
        "法定时限": 20,
        "承诺时限": 5,
    },
    "platform_reviews": {"被评价单位": "精河镇", "评价渠道": "移动端", "评价等级": "满意", "评价次序": 1},
    "hotline_tickets": {"诉求类型": "求助", "办理方式": "转办", "工单状态": "办理中"},
    "hotline_dispatches": {"派单序号": 1, "承办单位": "精河镇", "承办角色": "主办"},
    "hotline_exclusions": {"承办单位": "精河镇", "剔除原因": "非职责"},
    "hotline_calls": {},
    "cms_posts": {
        "标题": "标题",
        "栏目": "要闻",
        "栏目类型": "动态要闻",
        "发布单位": "精河镇",
        "来源类型": "原创",
        "状态": "已发布",
    },
    "cms_media_accounts": {"平台": "微信", "账号名称": "精河发布", "主办单位": "精河镇", "开设日期": "2020-01-01"},
    "cms_media_posts": {"平台": "微信", "账号名称": "精河发布", "标题": "标题"},
    "cms_submissions": {"专项": "放管服", "材料类型": "月小结", "报送单位": "精河镇", "审核状态": "采用"},
}


def write_exports(root: Path, months: Sequence[str], **rows: Sequence[Row]) -> Path:
    """Write one CSV a dataset and month. ``rows`` names datasets; a row's ``month`` says its delivery, else the first.

    更新时间 is the row's own, else the first second of 2022-09.
    """
    for dataset in DATASETS:
        system = next(name for name, datasets in SYSTEMS.items() if dataset in datasets)
        for month in months:
            mine = [row for row in rows.get(dataset, []) if row.get("month", months[0]) == month]
            write_csv(root / system / dataset / month / f"{dataset}.csv", dataset, mine)
    return root


def write_csv(path: Path, dataset: str, rows: Sequence[Row]) -> None:
    """One file of the dataset with every header of the contract."""
    path.parent.mkdir(parents=True, exist_ok=True)
    headers = [column.header for column in SCHEMA[dataset]]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, headers, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({"更新时间": "2022-09-01 00:00:00"} | DEFAULTS[dataset] | dict(row) for row in rows)


CALENDAR = WorkingDays()
PULLED_AT = dt.datetime.fromisoformat("2022-09-06T08:00:00")


def period_view(root: Path, period: str) -> View:
    """What the period sees of the exports, pulled on 2022-09-06 at 08:00."""
    units = UnitNames()
    read = read_exports(root, PULLED_AT, units)
    first_media_month = min(read.accepted["cms_media_posts"], default=None)
    return view(read.current, PeriodOfMonths.parse(period), units, CALENDAR, first_media_month)


def sums(root: Path, period: str) -> dict[tuple[str, str], tuple[float, float]]:
    """(unit_code, metric) → numerator and denominator over the period; a metric of two areas as ``area.metric``."""
    table = unit_months(period_view(root, period))
    name = table["metric"].where(table["area"] != "governance", "governance." + table["metric"])
    table = table.assign(metric=name).groupby(["unit_code", "metric"])[["numerator", "denominator"]].sum()
    return {key: (top, bottom) for key, (top, bottom) in zip(table.index, table.to_numpy(), strict=True)}
