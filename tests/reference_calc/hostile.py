"""Exports made of edges: every rule's boundary is common here, where in a county's own it is rare.

Times crowd around month ends, cut-offs, due days and holidays; names are aliases valid and expired, unknown or two
units in one; keys come back corrected, deleted, revived and tied; all spellings of a value are mixed. Seeded.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.reference_calc.calendar_ import MonthOfYear, PeriodOfMonths
from tests.reference_calc.fixtures import write_csv
from tests.reference_calc.schema import DATASETS, SCHEMA, SYSTEMS, keys
from tests.reference_calc.units import UnitNames

Record = dict[str, Any]
DAY = dt.timedelta(days=1)
SECOND = dt.timedelta(seconds=1)
#: Rows a month. The units are 27, so that most have a volume near the least that is ranked.
ROWS = {
    "platform_cases": 320,
    "platform_reviews": 260,
    "hotline_tickets": 150,
    "hotline_dispatches": 240,
    "hotline_exclusions": 25,
    "hotline_calls": 28,
    "cms_posts": 160,
    "cms_media_accounts": 30,
    "cms_media_posts": 240,
    "cms_submissions": 220,
}
STEPS = ["初审", "复审", "终审", "一校", "二校", "三校"]


class Hostile:
    """One generator: ``month`` is what is being delivered."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        units = UnitNames()
        names = list(units.units["unit_name"])
        self.names = names * 6 + ["人社局", "发改委", "八家户", "托托乡", "县残联", "工业园区"] * 3
        self.names += ["县工商局", "托里乡", "托里镇八家户", "某某局", "县行政服务中心", "　精河镇 "]
        self.month = MonthOfYear(2022, 7)

    def chance(self, share: float) -> bool:
        return bool(self.random.random() < share)

    def pick(self, *values: Any) -> Any:
        return values[int(self.random.integers(len(values)))]

    def time(self, spread: int = 0) -> dt.datetime:
        """A time of the month, often at one of its edges; up to ``spread`` days later, the cut-off's edges included."""
        first = dt.datetime.combine(self.month.first_day, dt.time())
        after = dt.datetime.combine(self.month.last_day + DAY, dt.time())
        cut_off = after + 5 * DAY
        if self.chance(0.25):
            edges = [first, first - SECOND, after - SECOND, after - 5 * DAY, after - 5 * DAY - SECOND]
            return self.pick(*edges, *([cut_off - SECOND, cut_off] if spread else []))
        days = int(self.random.integers((after - first).days + spread))
        return first + days * DAY + int(self.random.integers(86400)) * SECOND

    def later(self, start: dt.datetime, days: int) -> dt.datetime:
        """Up to ``days`` after ``start``; sometimes the same second or the last one of a day."""
        if self.chance(0.1):
            return start
        at = start + int(self.random.integers(days + 1)) * DAY
        if self.chance(0.4):
            return max(start, dt.datetime.combine(at.date(), dt.time(23, 59, 59)))
        return at + int(self.random.integers(3600)) * SECOND

    def maybe(self, value: Any, share: float = 0.9) -> Any:
        return value if self.chance(share) else ""

    def number(self, pool: int) -> int:
        return int(self.random.integers(pool))

    # rows by dataset ------------------------------------------------------------------------------------------------

    def platform_cases(self, number: int) -> Record:
        accepted = self.time()
        closed = self.maybe(self.later(accepted, self.pick(2, 2, 12)), 0.9)
        result = self.pick(*["出证办结"] * 8, "退回", "作废", "删除", "转报", "补正不来", "") if closed else ""
        statutory = self.pick(20, 10, 0, "")
        return {
            "办件编号": f"C{number}",
            "办件类型": "承诺件" if statutory != "" and self.chance(0.7) else "即办件",
            "办理单位": self.pick(*self.names),
            "申请来源": self.pick("窗口登记", "政务服务APP", "政务服务网", "自助终端"),
            "申请时间": accepted - DAY,
            "受理时间": self.maybe(accepted, 0.97) if not closed else accepted,
            "法定时限": statutory,
            "承诺时限": self.pick(1, 3, 5, 0, ""),
            "特别程序天数": self.pick("", "", 0, 2),
            "办结时间": closed,
            "办结结果": result,
        }

    def platform_reviews(self, number: int) -> Record:
        at = self.time(8)
        return {
            "评价编号": f"R{number}",
            "办件编号": f"C{self.number(ROWS['platform_cases'] * 3)}",
            "被评价单位": self.pick(*self.names),
            "评价渠道": self.pick("政务服务网", "移动端", "短信", "二维码", "系统默认"),
            "评价等级": self.pick("非常满意", "满意", "基本满意", "不满意", "非常不满意"),
            "评价次序": self.pick(1, 1, 1, 2),
            "评价时间": at,
            "核实结果": self.pick("", "", "", "属实", "误评", "恶意"),
            "整改完成时间": self.maybe(self.later(at, 25), 0.6),
        }

    def hotline_tickets(self, number: int) -> Record:
        at = self.time()
        back = self.maybe(self.later(at, 30), 0.8)
        return {
            "工单编号": f"T{number}",
            "来电时间": at,
            "诉求类型": self.pick("咨询", "求助", "投诉", "举报", "建议", "表扬", "其他"),
            "办理方式": self.pick("直接答复", "转办", "转办"),
            "关联工单": self.pick("", "", "T1"),
            "工单状态": self.pick("办理中", "已办结", "已回访", "已回访", "已回访", "作废"),
            "办结时间": self.maybe(self.later(at, 20), 0.8),
            "回访时间": back,
            "回访结果": self.pick("已接通", "已接通", "已接通", "未接通", "拒访", ""),
            "是否解决": self.pick("解决", "解决", "部分解决", "未解决", ""),
            "满意度": self.pick("满意", "满意", "基本满意", "不满意", "未评价", ""),
        }

    def hotline_dispatches(self, number: int) -> Record:
        at = self.time()
        returned = self.pick("", "", "", "", self.later(at, 20))
        return {
            "工单编号": f"T{number // 2}",
            "派单序号": self.pick(1, 2, 2, 10),
            "承办单位": self.pick(*self.names),
            "承办角色": self.pick("主办", "主办", "主办", "协办"),
            "派单时间": at,
            "签收期限": self.maybe(self.later(at, 2)),
            "签收时间": self.maybe(self.later(at, 3)),
            "办理期限": self.later(at + 3 * DAY, 7),
            "延期期限": self.maybe(self.later(at, 20), 0.2),
            "办复时间": self.maybe(self.later(at, self.pick(3, 3, 15)), 0.9),
            "退单时间": returned,
            "退单是否成立": self.pick("是", "否", "") if returned else self.pick("", "", "", "否"),
            "填报是否解决": self.pick("解决", "部分解决", "未解决", ""),
            "催办次数": self.pick("", 0, 1, 2),
            "重办次数": self.pick("", 0, 0, 1),
        }

    def hotline_exclusions(self, number: int) -> Record:
        at = self.time()
        return {
            "工单编号": f"T{self.number(ROWS['hotline_dispatches'])}",
            "承办单位": self.pick(*self.names),
            "申请时间": at,
            "批准时间": self.maybe(self.later(at, 20)),
            "审批结果": self.pick("同意", "同意", "不同意", ""),
        }

    def hotline_calls(self, number: int) -> Record:
        received = 5 + self.number(20)
        day = self.month.first_day + (number % 28) * DAY
        return {"日期": day, "呼入量": received, "接通量": received - self.number(3), "十五秒接通量": self.maybe(2)}

    def cms_posts(self, number: int) -> Record:
        at = self.time()
        row: Record = {
            "信息编号": f"P{number}",
            "发布单位": self.pick(*self.names),
            "来源类型": self.pick("原创", "原创", "转载"),
            "发布时间": self.maybe(at, 0.95),
            "页面显示日期": self.maybe(at.date() - DAY * self.pick(*[0] * 30, 1, 2, 3), 0.9),
            "状态": self.pick(*["已发布"] * 8, "草稿", "已撤回"),
            "错字数": self.pick("", 0, 0, 0, 1),
            "严重错误数": self.pick(*["", 0] * 40, 1),
        }
        for chain in (STEPS[:3], STEPS[3:]):
            when = at - 2 * DAY
            for i, step in enumerate(chain):
                when = self.later(when, 0) if self.chance(0.95) else at - 3 * DAY
                row |= {f"{step}人": self.maybe(f"{step}{i}" if self.chance(0.95) else "同一人", 0.98)}
                row |= {f"{step}时间": self.maybe(when, 0.98)}
        return row

    def cms_media_accounts(self, number: int) -> Record:
        return {
            "平台": self.pick("微信", "抖音"),
            "账号名称": f"账号{self.number(20)}",
            "主办单位": self.pick(*self.names),
            "开设日期": self.pick(dt.date(2020, 1, 1), self.month.first_day, self.month.first_day + DAY),
            "注销日期": self.pick("", "", "", self.month.last_day, self.month.last_day + DAY),
        }

    def cms_media_posts(self, number: int) -> Record:
        return {
            "发布编号": f"M{number}",
            "平台": self.pick("微信", "抖音"),
            "账号名称": f"账号{self.number(21)}",
            "发布时间": self.time(),
            "严重错误数": self.pick(*["", 0] * 30, 1),
        }

    def cms_submissions(self, number: int) -> Record:
        kind = self.pick("动态信息", "动态信息", "月小结", "整改报告")
        at = self.time(8)
        if kind != "整改报告" and self.chance(0.4):
            due = dt.datetime.combine(self.month.first_day + 19 * DAY, dt.time(23, 59, 59))
            due = due if kind == "月小结" else due + (6 - due.weekday()) * DAY
            at = due + self.pick(0, 0, 1) * SECOND
        year, week, _ = at.isocalendar()
        week_code = self.pick(f"{year}-W{week:02d}", f"{year}-W{week}")
        month_code = self.pick(f"{at:%Y-%m}", f"{at.year}年{at.month}月", f"{at.year}-{at.month}")
        return {
            "报送编号": f"S{number}",
            "专项": "放管服" if kind == "动态信息" else self.pick("放管服", "社会管理公共服务组", "科技支撑组"),
            "材料类型": kind,
            "报送单位": self.pick(*self.names),
            "所属期": week_code if kind == "动态信息" else month_code,
            "报送时间": at,
            "审核状态": self.pick("采用", "采用", "未采用", "退回", "待审"),
            "退回次数": self.pick("", 0, 1),
        }

    # files ----------------------------------------------------------------------------------------------------------

    def spell(self, value: Any) -> Any:
        """One of the spellings that the contract allows for the value."""
        if isinstance(value, dt.datetime):
            if value.time() == dt.time() and self.chance(0.3):
                return f"{value:%Y-%m-%d}"
            short = "%H时%M分" if value.second == 0 else "%H时%M分%S秒"
            return value.strftime(self.pick("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", f"%Y年%m月%d日 {short}"))
        if isinstance(value, dt.date):
            return value.strftime(self.pick("%Y-%m-%d", "%Y/%m/%d", "%Y年%m月%d日"))
        if isinstance(value, int):
            return self.pick(str(value), f"{value}.0", str(value).translate(FULL_WIDTH))
        return value


FULL_WIDTH = {ord(str(digit)): chr(0xFF10 + digit) for digit in range(10)}


def write_hostile(root: Path, months: Sequence[str], seed: int) -> Path:
    """Write all ten datasets of the months under ``root``; the same seed writes the same bytes."""
    maker = Hostile(seed)
    for dataset in DATASETS:
        make: Callable[[int], Record] = getattr(maker, dataset)
        earlier: list[Record] = []
        for index, code in enumerate(months):
            maker.month = MonthOfYear.parse(code)
            made = [make(index * ROWS[dataset] + i) for i in range(ROWS[dataset])]
            pulled = dt.datetime.combine(PeriodOfMonths.parse(code).cut_off.date(), dt.time(12))
            for row in made:
                row["更新时间"] = pulled - maker.pick(0, 0, 1, 2) * DAY
            rows = made + _corrections(maker, dataset, make, made + earlier, pulled) + _bad_rows(dataset, made)
            earlier += made
            order = maker.random.permutation(len(rows))
            spelled = [{name: maker.spell(value) for name, value in rows[i].items()} for i in order]
            system = next(name for name, datasets in SYSTEMS.items() if dataset in datasets)
            half = len(spelled) // 2
            write_csv(root / system / dataset / code / "a.csv", dataset, spelled[:half])
            write_csv(root / system / dataset / code / "b.csv", dataset, spelled[half:])
    return root


def _corrections(
    maker: Hostile, dataset: str, make: Callable[[int], Record], known: list[Record], pulled: dt.datetime
) -> list[Record]:
    """Later, older and equally old versions of known keys; some are deletions, bare or with all their cells."""
    key = keys(dataset)
    rows = []
    for _ in range(max(6, len(known) // 25)):
        old = known[maker.number(len(known))]
        new = make(0) | {name: old[name] for name in key} | {"更新时间": old["更新时间"] + maker.pick(-1, 0, 1) * DAY}
        if dataset == "hotline_calls":
            new["日期"] = old["日期"]
        elif maker.chance(0.3):
            new["同步类型"] = "D"
            if maker.chance(0.5):
                new |= {column.header: "" for column in SCHEMA[dataset] if not _keeps(column.header, key)}
        new["更新时间"] = min(new["更新时间"], pulled)
        rows.append(new)
    return rows


def _keeps(header: str, key: list[str]) -> bool:
    return header in key or header in ("更新时间", "同步类型")


def _bad_rows(dataset: str, made: list[Record]) -> list[Record]:
    """Two rows that must be set aside: one without its key, one newer than a good row but without a readable time."""
    first = keys(dataset)[0]
    return [made[0] | {first: ""}, made[1] | {"更新时间": "昨天"}]
