"""County-level figures of the notice: all units, the operator and UNMAPPED among them, parts that add up.

METRICS.md defines *dispatched* and *closed*; the rest follows from what the notice prints. ``value`` of a share is
numerator / denominator; of a count it is the count, with the whole it is a part of as denominator.
"""

from __future__ import annotations

import pandas as pd

from tests.reference_calc.asof import GOOD_LEVELS, View, last_of_ticket
from tests.reference_calc.calendar_ import month_of

Figure = tuple[str, str, float | None, float | None, float | None]

CHANNELS = ["窗口登记", "政务服务APP", "政务服务网", "自助终端"]
REVIEW_CHANNELS = ["政务服务网", "移动端", "线下实体大厅", "短信", "二维码", "系统默认"]
DEMANDS = ["咨询", "求助", "投诉", "举报", "建议", "表扬", "其他"]


def period_totals(view: View) -> pd.DataFrame:
    """period_code, area, figure, value, numerator, denominator."""
    rows = [*cases(view), *reviews(view), *tickets(view), *dispatched(view), *calls(view)]
    table = pd.DataFrame(rows, columns=["area", "figure", "value", "numerator", "denominator"])
    numbers = ["value", "numerator", "denominator"]
    table[numbers] = table[numbers].astype(float)
    table.insert(0, "period_code", view.period.code)
    return table


def _count(area: str, figure: str, part: float, whole: float | None = None) -> Figure:
    return area, figure, part, part, whole


def _share(area: str, figure: str, part: float, whole: float) -> Figure:
    return area, figure, part / whole if whole else None, part, whole


def _in_period(view: View, times: pd.Series) -> pd.Series:
    return month_of(times).isin([month.number for month in view.period.months])


def cases(view: View) -> list[Figure]:
    """Cases accepted in the period by channel, and overdue ones by due day."""
    kept = view.cases[~view.cases["is_void"]]
    accepted = kept[_in_period(view, kept["受理时间"])]
    due = kept[_in_period(view, kept["due_at"])]
    overdue = (~(due["办结时间"] <= due["due_at"])).sum()
    rows = [_count("platform", "cases", len(accepted))]
    for channel in CHANNELS:
        part = int((accepted["申请来源"] == channel).sum())
        rows += [
            _count("platform", f"cases {channel}", part, len(accepted)),
            _share("platform", f"share {channel}", part, len(accepted)),
        ]
    return [*rows, _count("platform", "overdue cases", overdue, len(due))]


def reviews(view: View) -> list[Figure]:
    """Good first and later reviews by channel, all that stand at the cut-off: the notice says 截至目前."""
    good = view.reviews[view.reviews["评价等级"].isin(GOOD_LEVELS)]
    rows = [_count("reviews", "good reviews (cumulative)", len(good))]
    for channel in REVIEW_CHANNELS:
        part = int((good["评价渠道"] == channel).sum())
        rows.append(_count("reviews", f"good reviews {channel} (cumulative)", part, len(good)))
    return rows


def tickets(view: View) -> list[Figure]:
    """Tickets received (来电) in the period: closed by the cut-off, by demand, answered at once, satisfied."""
    received = view.tickets[_in_period(view, view.tickets["来电时间"])]
    whole = len(received)
    closed = int(received["办结时间"].notna().sum())
    rows = [
        _count("hotline", "tickets received", whole),
        _count("hotline", "closed", closed, whole),
        _share("hotline", "closure rate", closed, whole),
        _count("hotline", "answered directly", int((received["办理方式"] == "直接答复").sum()), whole),
    ]
    for demand in DEMANDS:
        part = int((received["诉求类型"] == demand).sum())
        rows += [
            _count("hotline", f"demand {demand}", part, whole),
            _share("hotline", f"share {demand}", part, whole),
        ]
    return rows


def dispatched(view: View) -> list[Figure]:
    """Distinct tickets with a counted 主办 dispatch by 派单时间, each for the unit of its last one in the period."""
    sent = view.dispatches[_in_period(view, view.dispatches["派单时间"])]
    last = last_of_ticket(sent)
    by_unit = last["unit_code"].value_counts().sort_index()
    rows = [_count("hotline", "dispatched", len(last))]
    return rows + [_count("hotline", f"dispatched {unit}", n, len(last)) for unit, n in by_unit.items()]


def calls(view: View) -> list[Figure]:
    """Calls of the period and per day that was reported."""
    days = view.calls[_in_period(view, view.calls["日期"])]
    incoming, answered = days["呼入量"].sum(), days["接通量"].sum()
    return [
        _count("hotline", "calls", incoming),
        _share("hotline", "calls per day", incoming, len(days)),
        _share("hotline", "answer rate", answered, incoming),
    ]
