"""What the three source systems call things: systems, datasets, Chinese headers, units and their spoken names.

The column kinds steer spelling only: ``s`` text, ``i`` integer, ``t`` timestamp, ``e`` timestamp at an end or limit (a
date alone means its last second), ``d`` date.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

SEEDS = Path(__file__).resolve().parent.parent / "dbt_project" / "seeds"

UPDATED, SYNC = "更新时间", "同步类型"

SYSTEMS: dict[str, tuple[str, ...]] = {
    "platform": ("platform_cases", "platform_reviews"),
    "hotline": ("hotline_tickets", "hotline_dispatches", "hotline_exclusions", "hotline_calls"),
    "cms": ("cms_posts", "cms_media_accounts", "cms_media_posts", "cms_submissions"),
}
DATASETS = tuple(dataset for datasets in SYSTEMS.values() for dataset in datasets)
SYSTEM_OF = {dataset: system for system, datasets in SYSTEMS.items() for dataset in datasets}
FORMATS = {"platform": "json", "hotline": "csv", "cms": "xlsx"}

KEYS: dict[str, tuple[str, ...]] = {
    "platform_cases": ("办件编号",),
    "platform_reviews": ("评价编号",),
    "hotline_tickets": ("工单编号",),
    "hotline_dispatches": ("工单编号", "派单序号"),
    "hotline_exclusions": ("工单编号", "承办单位"),
    "hotline_calls": ("日期",),
    "cms_posts": ("信息编号",),
    "cms_media_accounts": ("平台", "账号名称"),
    "cms_media_posts": ("发布编号",),
    "cms_submissions": ("报送编号",),
}

_COLUMNS = {
    "platform_cases": (
        "办件编号:s 事项编码:s 事项名称:s 办件类型:s 办理单位:s 申请来源:s 申请人类型:s 申请人:s 证件号码:s "
        "联系电话:s 申请时间:t 受理时间:t 法定时限:i 承诺时限:i 特别程序天数:i 办结时间:e 办结结果:s 是否超期:s "
        "更新时间:t 同步类型:s"
    ),
    "platform_reviews": (
        "评价编号:s 办件编号:s 被评价单位:s 评价渠道:s 评价等级:s 评价次序:i 评价时间:t 评价内容:s 核实结果:s "
        "整改完成时间:e 回访时间:e 更新时间:t 同步类型:s"
    ),
    "hotline_tickets": (
        "工单编号:s 来电时间:t 来电人:s 来电号码:s 诉求类型:s 诉求分类:s 诉求内容:s 办理方式:s 关联工单:s "
        "工单状态:s 办结时间:e 回访时间:e 回访结果:s 是否解决:s 满意度:s 更新时间:t 同步类型:s"
    ),
    "hotline_dispatches": (
        "工单编号:s 派单序号:i 承办单位:s 承办角色:s 派单时间:t 签收期限:e 签收时间:e 办理期限:e 延期期限:e "
        "办复时间:e 退单时间:t 退单是否成立:s 填报是否解决:s 催办次数:i 督办次数:i 重办次数:i 更新时间:t "
        "同步类型:s"
    ),
    "hotline_exclusions": (
        "工单编号:s 承办单位:s 剔除原因:s 申请时间:t 批准时间:t 批准人:s 审批结果:s 更新时间:t 同步类型:s"
    ),
    "hotline_calls": "日期:d 呼入量:i 接通量:i 十五秒接通量:i 更新时间:t",
    "cms_posts": (
        "信息编号:s 标题:s 栏目:s 栏目类型:s 发布单位:s 来源类型:s 撰稿人:s 报送时间:t 初审人:s 初审时间:t "
        "复审人:s 复审时间:t 终审人:s 终审时间:t 一校人:s 一校时间:t 二校人:s 二校时间:t 三校人:s 三校时间:t "
        "发布时间:t 页面显示日期:d 状态:s 错字数:i 严重错误数:i 字数:i 链接:s 更新时间:t 同步类型:s"
    ),
    "cms_media_accounts": "平台:s 账号名称:s 主办单位:s 开设日期:d 注销日期:d 更新时间:t 同步类型:s",
    "cms_media_posts": "发布编号:s 平台:s 账号名称:s 标题:s 发布时间:t 严重错误数:i 更新时间:t 同步类型:s",
    "cms_submissions": (
        "报送编号:s 专项:s 材料类型:s 报送单位:s 所属期:s 报送时间:t 审核状态:s 退回次数:i 更新时间:t 同步类型:s"
    ),
}
COLUMNS: dict[str, dict[str, str]] = {
    dataset: dict(column.split(":") for column in columns.split()) for dataset, columns in _COLUMNS.items()
}
#: Columns that hold personal data, in clear, as source systems have them.
PERSONAL: dict[str, tuple[str, ...]] = {
    "platform_cases": ("申请人", "证件号码", "联系电话"),
    "platform_reviews": ("评价内容",),
    "hotline_tickets": ("来电人", "来电号码", "诉求内容"),
}
#: Names that no alias explains: two units in one, a bureau dissolved in 2018, one that never was.
UNKNOWN_NAMES = ("托里镇八家户", "县工商局", "县大数据局")


@dataclass(frozen=True)
class Units:
    """The county's units in code order, and for each the names that are in use today (its own name first)."""

    codes: tuple[str, ...]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    spoken: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.codes)

    def index(self, name: str) -> int:
        return self.names.index(name)

    def spell(self, rng: np.random.Generator, unit: np.ndarray, alias_share: float = 0.2) -> np.ndarray:
        """Names as clerks type them: mostly the unit's own, in ``alias_share`` of the rows one of its aliases."""
        widest = max(map(len, self.spoken))
        table = np.array([[names[i % len(names)] for i in range(widest)] for names in self.spoken], dtype=object)
        pick = np.where(rng.random(len(unit)) < alias_share, rng.integers(0, widest, len(unit)), 0)
        return table[unit, pick]


@cache
def units() -> Units:
    """The units of the seeds, with the aliases that have no end date."""
    with (SEEDS / "units.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with (SEEDS / "unit_aliases.csv").open(encoding="utf-8", newline="") as file:
        aliases = [row for row in csv.DictReader(file) if not row["valid_to"]]
    return Units(
        codes=tuple(row["unit_code"] for row in rows),
        names=tuple(row["unit_name"] for row in rows),
        groups=tuple(row["unit_group"] for row in rows),
        spoken=tuple(
            (row["unit_name"], *(a["alias"] for a in aliases if a["unit_code"] == row["unit_code"])) for row in rows
        ),
    )
