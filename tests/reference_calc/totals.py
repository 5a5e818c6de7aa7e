"""County-level figures of the notice: all units, the operator and UNMAPPED among them, parts that add up.

METRICS.md defines *dispatched* and *closed*; the rest follows from what the notice prints and from the metrics. A
part is named ``<whole>/<by>=<which>``: value = numerator / denominator, its denominator the whole. A count has no
denominator.
"""

from __future__ import annotations

import pandas as pd

from tests.reference_calc.asof import GOOD_LEVELS, NOT_THE_UNITS_FAULT, View, last_of_ticket
from tests.reference_calc.calendar_ import month_of
from tests.reference_calc.metrics import published

Figure = tuple[str, str, float, float | None]

DEMAND_GROUPS = {"举报": "举报建议", "建议": "举报建议"}


def period_totals(view: View, sums: pd.DataFrame) -> pd.DataFrame:
    """period_code, area, figure, value, numerator, denominator. ``sums`` is the additive grain of all units."""
    rows = [*county_metrics(sums), *cases(view), *reviews(view), *tickets(view), *dispatched(view), *calls(view)]
    rows.append(_count("website", "posts_published", _in_period(view, published(view)["发布时间"]).sum()))
    table = pd.DataFrame(rows, columns=["area", "figure", "numerator", "denominator"])
    table[["numerator", "denominator"]] = table[["numerator", "denominator"]].astype(float)
    whole = table["denominator"].fillna(1)
    table.insert(2, "value", table["numerator"] / whole.where(whole > 0))
    table.insert(0, "period_code", view.period.code)
    return table


def _count(area: str, figure: str, number: float) -> Figure:
    return area, figure, number, None


def _parts(area: str, figure: str, by: str, values: pd.Series) -> list[Figure]:
    """The whole, and its parts by each value that occurs."""
    counts = values.value_counts()
    return [(area, f"{figure}/{by}={which}", n, len(values)) for which, n in counts.items()]


def _in_period(view: View, times: pd.Series) -> pd.Series:
    return month_of(times).isin([month.number for month in view.period.months])


def county_metrics(sums: pd.DataFrame) -> list[Figure]:
    """Every metric of METRICS.md added up over all units, ranked or not."""
    totals = sums.groupby(["area", "metric"])[["numerator", "denominator"]].sum(min_count=1)
    return [
        (area, metric, numerator, None if pd.isna(denominator) else denominator)
        for (area, metric), (numerator, denominator) in zip(totals.index, totals.to_numpy(), strict=True)
        if metric != "dispatched"  # a ticket with two dispatches counts once: see dispatched()
    ]


def cases(view: View) -> list[Figure]:
    """Cases accepted in the period by channel."""
    kept = view.cases[~view.cases["is_void"]]
    return _parts("platform", "cases_accepted", "channel", kept.loc[_in_period(view, kept["受理时间"]), "申请来源"])


def reviews(view: View) -> list[Figure]:
    """Good reviews, first or later, by channel, from the beginning to the period's last day (截至目前)."""
    to_date = view.reviews[view.reviews["评价时间"].dt.normalize() <= pd.Timestamp(view.period.last.last_day)]
    real = to_date[(to_date["评价渠道"] != "系统默认") & ~to_date["核实结果"].isin(NOT_THE_UNITS_FAULT)]
    good = real[real["评价等级"].isin(GOOD_LEVELS)]
    figure = "good_reviews_to_date"
    return [_count("platform", figure, len(good)), *_parts("platform", figure, "channel", good["评价渠道"])]


def tickets(view: View) -> list[Figure]:
    """Tickets received (来电) in the period: by demand and handling, closed by the cut-off.

    What callers said goes by 回访时间, as it does for the units.
    """
    received = view.tickets[_in_period(view, view.tickets["来电时间"])]
    closed = received[received["办结时间"].notna()]
    called = view.tickets[_in_period(view, view.tickets["回访时间"])]
    reached = called[(called["回访结果"] == "已接通") & called["是否解决"].notna()]
    rated = called[called["满意度"].isin(["满意", "基本满意", "不满意"])]
    return [
        _count("hotline", "tickets_received", len(received)),
        *_parts("hotline", "tickets_received", "demand", received["诉求类型"].replace(DEMAND_GROUPS)),
        *_parts("hotline", "tickets_received", "handling", received["办理方式"]),
        _count("hotline", "tickets_closed", len(closed)),
        ("hotline", "ticket_closure_rate", len(closed), len(received)),
        ("hotline", "ticket_callback_rate", closed["回访时间"].notna().sum(), len(closed)),
        ("hotline", "ticket_solved_rate", (reached["是否解决"] == "解决").sum(), len(reached)),
        ("hotline", "ticket_satisfied_rate", (rated["满意度"] != "不满意").sum(), len(rated)),
    ]


def dispatched(view: View) -> list[Figure]:
    """Distinct tickets with a counted 主办 dispatch by 派单时间, each for the unit of its last one in the period.

    The whole is no metric of the units added up: a ticket counts once.
    """
    last = last_of_ticket(view.dispatches[_in_period(view, view.dispatches["派单时间"])])
    return [_count("hotline", "dispatched", len(last)), *_parts("hotline", "dispatched", "unit", last["unit_code"])]


def calls(view: View) -> list[Figure]:
    """Calls of the period, per calendar day, answered, and answered within 15 s (of the days that say so)."""
    days = view.calls[_in_period(view, view.calls["日期"])]
    timed = days[days["十五秒接通量"].notna()]
    incoming, answered = days["呼入量"].sum(), days["接通量"].sum()
    return [
        _count("hotline", "calls_in", incoming),
        ("hotline", "calls_per_day", incoming, sum(month.last_day.day for month in view.period.months)),
        ("hotline", "call_answer_rate", answered, incoming),
        ("hotline", "call_answer_15s_rate", timed["十五秒接通量"].sum(), timed["呼入量"].sum()),
    ]
