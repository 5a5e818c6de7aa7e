"""Current rows as a period sees them: late events emptied, excluded rows marked, dues worked out."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from tests.reference_calc.calendar_ import PeriodOfMonths, WorkingDays, last_second_of
from tests.reference_calc.schema import MAY_LIE_AHEAD, SCHEMA
from tests.reference_calc.units import UnitNames

VOID = {"作废", "删除"}
BAD_LEVELS = {"不满意", "非常不满意"}
GOOD_LEVELS = {"非常满意", "满意", "基本满意"}
NOT_THE_UNITS_FAULT = {"误评", "恶意"}
FIX_WITHIN_WORKING_DAYS = 15


@dataclass
class View:
    """Everything the metrics of one period read."""

    period: PeriodOfMonths
    units: UnitNames
    calendar: WorkingDays
    cases: pd.DataFrame
    first_reviews: pd.DataFrame
    reviews: pd.DataFrame
    tickets: pd.DataFrame
    dispatches: pd.DataFrame
    last_dispatches: pd.DataFrame
    calls: pd.DataFrame
    posts: pd.DataFrame
    accounts: pd.DataFrame
    media_posts: pd.DataFrame
    submissions: pd.DataFrame
    first_media_day: pd.Timestamp | None


def view(
    current: dict[str, pd.DataFrame],
    period: PeriodOfMonths,
    units: UnitNames,
    calendar: WorkingDays,
    first_media_month: str | None,
) -> View:
    """What is known of the period at its cut-off."""
    seen = {name: up_to(rows, name, period.cut_off) for name, rows in current.items()}
    cases = with_due(seen["platform_cases"], calendar)
    reviews = without_void_cases(seen["platform_reviews"], cases)
    tickets = seen["hotline_tickets"]
    tickets = tickets[tickets["工单状态"] != "作废"]
    dispatches = counted_leads(seen["hotline_dispatches"], seen["hotline_tickets"], seen["hotline_exclusions"])
    return View(
        period=period,
        units=units,
        calendar=calendar,
        cases=cases,
        reviews=reviews,
        first_reviews=with_fix_due(first_of_case(reviews), calendar),
        tickets=tickets,
        dispatches=dispatches,
        last_dispatches=last_of_ticket(dispatches).merge(
            tickets[["工单编号", "回访时间", "回访结果", "是否解决", "满意度"]], on="工单编号", how="inner"
        ),
        calls=seen["hotline_calls"],
        posts=seen["cms_posts"],
        accounts=seen["cms_media_accounts"],
        media_posts=seen["cms_media_posts"],
        submissions=seen["cms_submissions"],
        first_media_day=pd.Timestamp(f"{first_media_month}-01") if first_media_month else None,
    )


def up_to(rows: pd.DataFrame, dataset: str, cut_off: pd.Timestamp) -> pd.DataFrame:
    """The rows with every event time after the cut-off emptied; limits and days that lie ahead stay."""
    rows = rows.copy()
    for column in SCHEMA[dataset]:
        if column.kind == "t" and column.header not in MAY_LIE_AHEAD and column.header != "更新时间":
            rows[column.header] = rows[column.header].where(rows[column.header] <= cut_off)
    return rows


def with_due(cases: pd.DataFrame, calendar: WorkingDays) -> pd.DataFrame:
    """Cases with ``is_void``, ``due_at`` (null without 受理时间) and the promised days that count (即办件: 0)."""
    cases = cases.copy()
    instant = cases["办件类型"] == "即办件"
    promised = cases["承诺时限"].fillna(cases["法定时限"]).where(~instant, 0)
    steps = (promised + cases["特别程序天数"].fillna(0)).where(~instant, 0)
    cases["is_void"] = cases["办结结果"].isin(VOID)
    cases["promised_days"] = promised
    cases["due_at"] = last_second_of(calendar.nth_after(cases["受理时间"], steps))
    return cases


def without_void_cases(reviews: pd.DataFrame, cases: pd.DataFrame) -> pd.DataFrame:
    """Reviews that exist (评价时间 known) without those of void cases; a review without a known case stays."""
    void = set(cases.loc[cases["is_void"], "办件编号"])
    return reviews[reviews["评价时间"].notna() & ~reviews["办件编号"].isin(void)]


def first_of_case(reviews: pd.DataFrame) -> pd.DataFrame:
    """One row a case: 评价次序 1, the earliest by 评价时间, then 评价编号."""
    ordered = reviews[reviews["评价次序"] == "1"].sort_values(["评价时间", "评价编号"], kind="stable")
    return ordered.drop_duplicates("办件编号", keep="first")


def with_fix_due(reviews: pd.DataFrame, calendar: WorkingDays) -> pd.DataFrame:
    """First reviews with ``fix_due_at``: the 15th working day after the review's day."""
    steps = pd.Series(FIX_WITHIN_WORKING_DAYS, index=reviews.index)
    return reviews.assign(fix_due_at=last_second_of(calendar.nth_after(reviews["评价时间"], steps)))


def counted_leads(dispatches: pd.DataFrame, tickets: pd.DataFrame, exclusions: pd.DataFrame) -> pd.DataFrame:
    """The 主办 dispatches that count, with ``due_at`` and ``is_repeat`` (their ticket names an earlier one)."""
    void = set(tickets.loc[tickets["工单状态"] == "作废", "工单编号"])
    repeats = set(tickets.loc[tickets["关联工单"].notna(), "工单编号"])
    agreed = exclusions.loc[exclusions["审批结果"] == "同意", ["工单编号", "_unit_key"]]
    excluded = pd.MultiIndex.from_frame(dispatches[["工单编号", "_unit_key"]]).isin(pd.MultiIndex.from_frame(agreed))
    counts = (
        dispatches["派单时间"].notna()
        & (dispatches["承办角色"] == "主办")
        & ~dispatches["工单编号"].isin(void)
        & (dispatches["退单是否成立"].map(lambda upheld: upheld is not True)).astype(bool)
        & ~excluded
    )
    rows = dispatches[counts].copy()
    rows["due_at"] = rows["延期期限"].fillna(rows["办理期限"])
    rows["is_repeat"] = rows["工单编号"].isin(repeats)
    return rows


def last_of_ticket(dispatches: pd.DataFrame) -> pd.DataFrame:
    """One row a ticket: its counted 主办 dispatch with the greatest 派单序号."""
    return dispatches.sort_values("派单序号", kind="stable").drop_duplicates("工单编号", keep="last")
