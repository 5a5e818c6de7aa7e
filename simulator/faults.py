"""Faults planted in rows: one of each kind that a row can have, and a list of what was planted where.

Bad rows are added, good ones not touched: they have keys of their own, or are newer bad versions of a good key. A
warehouse that sets them aside is left with exactly what it would have without them. Besides, a few ids and phones of
good rows are spoilt as Excel does it; those rows load, without the value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from simulator import clock
from simulator.catalog import COLUMNS, KEYS, SYNC, UPDATED

#: Shares that a delivery may lose before it is refused whole: more than 5 % and more than 3 rows.
MOST_SHARE, ALWAYS = 0.05, 3

#: dataset -> the code column, the integer column, (start, end) of the order that must hold
CODES = {
    "platform_cases": "申请来源",
    "platform_reviews": "评价等级",
    "hotline_tickets": "诉求类型",
    "hotline_dispatches": "承办角色",
    "hotline_exclusions": "审批结果",
    "cms_posts": "状态",
    "cms_media_accounts": SYNC,
    "cms_media_posts": SYNC,
    "cms_submissions": "审核状态",
}
INTEGERS = {
    "platform_cases": "法定时限",
    "hotline_dispatches": "催办次数",
    "hotline_calls": "呼入量",
    "cms_posts": "错字数",
    "cms_media_posts": "严重错误数",
    "cms_submissions": "退回次数",
}
ORDERS = {
    "platform_cases": ("受理时间", "办结时间"),
    "hotline_tickets": ("来电时间", "回访时间"),
    "hotline_dispatches": ("派单时间", "签收时间"),
}
REQUIRED = {
    "platform_cases": "办理单位",
    "platform_reviews": "评价渠道",
    "hotline_tickets": "办理方式",
    "hotline_dispatches": "办理期限",
    "hotline_exclusions": "剔除原因",
    "hotline_calls": "接通量",
    "cms_posts": "标题",
    "cms_media_accounts": "主办单位",
    "cms_media_posts": "标题",
    "cms_submissions": "材料类型",
}
EVENTS = {
    "platform_cases": "申请时间",
    "platform_reviews": "评价时间",
    "hotline_tickets": "来电时间",
    "hotline_dispatches": "派单时间",
    "hotline_exclusions": "申请时间",
    "hotline_calls": "日期",
    "cms_posts": "发布时间",
    "cms_media_accounts": "开设日期",
    "cms_media_posts": "发布时间",
    "cms_submissions": "报送时间",
}
REFERENCES = {
    "platform_reviews": "办件编号",
    "hotline_tickets": "关联工单",
    "hotline_dispatches": "工单编号",
    "hotline_exclusions": "工单编号",
}
#: Columns of personal data that Excel turns into numbers, and what is left of them.
SPOILT = {
    "platform_cases": ("证件号码", 6.52722199001011e17, "6.52722E+17"),
    "hotline_tickets": ("来电号码", 1.39e10, "1.39E+10"),
}
CODE_NUMBERS = {
    "platform_cases": "办件编号",
    "platform_reviews": "评价编号",
    "hotline_tickets": "工单编号",
    "cms_posts": "信息编号",
    "cms_media_posts": "发布编号",
    "cms_submissions": "报送编号",
}


@dataclass(frozen=True)
class Planted:
    """One planted row: its position among the delivery's rows, its first fault and the column at fault.

    ``outcome`` is ``quarantined``, or ``emptied`` where the row loads without the spoilt value.
    """

    position: int
    kind: str
    header: str
    key: tuple[str, ...]
    outcome: str = "quarantined"


def kinds(dataset: str) -> list[tuple[str, str]]:
    """The (kind, header) pairs that rows of the dataset can have, in the order in which faults are named."""
    found = [("missing_key", KEYS[dataset][-1])]
    if dataset in CODE_NUMBERS:
        found.append(("lost_key", CODE_NUMBERS[dataset]))
    if dataset in REFERENCES:
        found.append(("lost_key", REFERENCES[dataset]))
    found.append(("required_empty", REQUIRED[dataset]))
    found.append(("unreadable_time", UPDATED))
    if dataset == "platform_cases":
        found.append(("required_empty", "承诺时限"))
    if dataset in INTEGERS:
        found.append(("unreadable_number", INTEGERS[dataset]))
    if dataset in CODES:
        found.append(("unknown_code", CODES[dataset]))
    if dataset in ORDERS:
        found.append(("end_before_start", ORDERS[dataset][1]))
    found.append(("future_event", EVENTS[dataset]))
    return found


def plant(
    cells: pd.DataFrame, dataset: str, month: str, rng: np.random.Generator, form: str
) -> tuple[pd.DataFrame, list[Planted]]:
    """The delivery with bad rows mixed in, and what they are; small deliveries get up to three, in turn."""
    complete = np.flatnonzero((cells[SYNC] != "D").to_numpy()) if SYNC in cells else np.arange(len(cells))
    if not len(complete):
        return cells, []
    wanted = kinds(dataset)
    # Bad rows are part of the whole that the share is taken of.
    room = max(ALWAYS, int(len(cells) * MOST_SHARE))
    begin = int(rng.integers(0, len(wanted)))
    wanted = [wanted[(begin + i) % len(wanted)] for i in range(min(len(wanted), room))]
    if room >= 2 * len(wanted):
        wanted = wanted * 2  # the second time as a newer version of a key that has a good row
    bad = cells.iloc[rng.choice(complete, len(wanted))].reset_index(drop=True)
    for row, (kind, header) in enumerate(wanted):
        new_key = row < len(kinds(dataset))
        _spoil(bad, row, dataset, kind, header, form, month, new_key)
    positions = np.sort(rng.choice(len(cells) + len(bad), len(bad), replace=False))
    order = np.full(len(cells) + len(bad), -1)
    order[positions] = len(cells) + np.arange(len(bad))
    order[order < 0] = np.arange(len(cells))
    mixed = pd.concat([cells, bad], ignore_index=True).iloc[order].reset_index(drop=True)
    listed = [
        Planted(
            int(position), kind, header, tuple("" if v is None else str(v) for v in bad.loc[row, list(KEYS[dataset])])
        )
        for row, (position, (kind, header)) in enumerate(zip(positions, wanted, strict=True))
    ]
    if dataset in SPOILT:
        listed += _spoil_personal(mixed, dataset, rng, form, positions)
    return mixed, listed


def _spoil_personal(
    mixed: pd.DataFrame, dataset: str, rng: np.random.Generator, form: str, taken: np.ndarray
) -> list[Planted]:
    header, number, shown = SPOILT[dataset]
    good = mixed[header].notna().to_numpy() & (mixed[SYNC] != "D").to_numpy()
    good[taken] = False
    rows = np.sort(rng.permutation(np.flatnonzero(good))[:2])
    found = []
    for row in rows:
        # A telephone number of eleven digits survives in a numeric cell; only its text form can lose digits.
        mixed.at[row, header] = number if form == "xlsx" and number >= 1e15 else shown
        key = tuple(str(value) for value in mixed.loc[row, list(KEYS[dataset])])
        found.append(Planted(int(row), "lost_personal", header, key, "emptied"))
    return found


def _spoil(
    bad: pd.DataFrame, row: int, dataset: str, kind: str, header: str, form: str, month: str, new_key: bool
) -> None:
    def put(column: str, value: Any) -> None:
        bad.at[row, column] = value

    if new_key and dataset in CODE_NUMBERS:
        put(KEYS[dataset][0], f"ERR{month.replace('-', '')}{row:05d}")
    put(UPDATED, str(clock.pulled(month) - clock.SECOND * 3600).replace("T", " "))
    if kind == "missing_key":
        put(header, None)
        if dataset in CODES:  # a second fault, which is not the row's reason
            put(CODES[dataset], "其它")
    elif kind == "lost_key":
        put(header, 6.527e17 if form == "xlsx" else "6.527E+17")
    elif kind == "required_empty":
        put(header, None)
        if header == "承诺时限":
            put("办件类型", "承诺件")
            put("法定时限", None)
    elif kind == "unreadable_time":
        put(header, "2022-13-45 25:61")
    elif kind == "unreadable_number":
        put(header, "约十个")
    elif kind == "unknown_code":
        put(header, "其它渠道")
    elif kind == "end_before_start":
        start, end = ORDERS[dataset]
        put(start, "2022-07-02 10:00:00")
        put(end, "2022-07-01 10:00:00")
    elif kind == "future_event":
        for column, sort in COLUMNS[dataset].items():  # no end may come before the start that lies ahead
            if sort in "te" and column != UPDATED:
                put(column, None)
        if dataset == "hotline_dispatches":
            put("办理期限", "2031-01-20 23:59:59")
        put(header, "2031-01-02" if COLUMNS[dataset][header] == "d" else "2031-01-02 10:00:00")
