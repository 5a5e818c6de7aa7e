"""Numerators and denominators at the grain unit × month × metric, one function an area, from METRICS.md alone."""

from __future__ import annotations

import datetime as dt
import itertools

import pandas as pd

from tests.reference_calc.asof import BAD_LEVELS, GOOD_LEVELS, NOT_THE_UNITS_FAULT, View
from tests.reference_calc.calendar_ import MonthOfYear, last_second_of, monday_of, month_of
from tests.reference_calc.rules import DUE_DAY_OF_MONTH, OBLIGATIONS, POST_QUOTA, PROGRAM_AREA

COLUMNS = ["unit_code", "month", "area", "metric", "numerator", "denominator"]
SILENT_AFTER_DAYS = 14
MONTH_END_DAYS = 5


def unit_months(view: View) -> pd.DataFrame:
    """unit_code, month (202207), area, metric, numerator, denominator (null for counts); rows only where something is.

    Units that are not ranked are in it too.
    """
    parts = [*website(view), *media(view), *submissions(view), *platform(view), *hotline(view)]
    return pd.concat([part for part in parts if len(part)] or [pd.DataFrame(columns=COLUMNS)], ignore_index=True)


def share(view: View, area: str, metric: str, rows: pd.DataFrame, when: str, hit: pd.Series) -> pd.DataFrame:
    """Rows of the period's months by the time ``when``: how many, and how many of them ``hit``."""
    return ratio(view, area, metric, rows, when, hit.astype(float), pd.Series(1.0, index=rows.index))


def ratio(
    view: View, area: str, metric: str, rows: pd.DataFrame, when: str, top: pd.Series, bottom: pd.Series
) -> pd.DataFrame:
    """Sums of ``top`` and ``bottom`` by unit and month of the time ``when``."""
    table = pd.DataFrame(
        {
            "unit_code": rows["unit_code"],
            "month": month_of(rows[when]),
            "numerator": top,
            "denominator": bottom,
        }
    )
    table = table[table["month"].isin([month.number for month in view.period.months])]
    table["month"] = table["month"].astype(int)
    sums = table.groupby(["unit_code", "month"], as_index=False)[["numerator", "denominator"]].sum()
    return sums.assign(area=area, metric=metric)[COLUMNS]


def count(view: View, area: str, metric: str, rows: pd.DataFrame, when: str) -> pd.DataFrame:
    """Rows by unit and month, without a denominator."""
    all_rows = pd.Series(True, index=rows.index)
    return share(view, area, metric, rows, when, all_rows).assign(denominator=float("nan"))


# website ------------------------------------------------------------------------------------------------------------

_REVIEWS = ["初审", "复审", "终审"]
_PROOFS = ["一校", "二校", "三校"]


def published(view: View) -> pd.DataFrame:
    """Posts 已发布 with a 发布时间."""
    posts = view.posts
    return posts[(posts["状态"] == "已发布") & posts["发布时间"].notna()]


def all_six_named(posts: pd.DataFrame) -> pd.Series:
    return posts[[f"{step}人" for step in _REVIEWS + _PROOFS]].notna().all(axis=1)


def is_review_complete(posts: pd.DataFrame) -> pd.Series:
    """All six steps with person and time, each chain in order and not after 发布."""
    complete = all_six_named(posts)
    for chain in (_REVIEWS, _PROOFS):
        times = [posts[f"{step}时间"] for step in chain] + [posts["发布时间"]]
        for earlier, later in itertools.pairwise(times):
            complete &= earlier <= later  # false where one is empty
    return complete


def is_review_independent(posts: pd.DataFrame) -> pd.Series:
    """All six named, and the three of each chain pairwise different."""
    independent = all_six_named(posts)
    for chain in (_REVIEWS, _PROOFS):
        first, second, third = (posts[f"{step}人"] for step in chain)
        independent &= (first != second) & (first != third) & (second != third)
    return independent


def website(view: View) -> list[pd.DataFrame]:
    posts = published(view)
    day, days_in_month = posts["发布时间"].dt.day, posts["发布时间"].dt.days_in_month
    on_last_days = day > days_in_month - MONTH_END_DAYS
    return [
        post_quota(view, posts),
        weekly_update(view, posts),
        share(view, "website", "month_end_share", posts, "发布时间", on_last_days),
        share(view, "website", "review_complete_rate", posts, "发布时间", is_review_complete(posts)),
        share(view, "website", "review_independent_rate", posts, "发布时间", is_review_independent(posts)),
        share(view, "website", "error_free_rate", posts, "发布时间", posts["错字数"].fillna(0) == 0),
    ]


def post_quota(view: View, posts: pd.DataFrame) -> pd.DataFrame:
    """min(published posts, quota) / quota for every ranked unit and month."""
    made = count(view, "website", "post_quota_rate", posts, "发布时间").set_index(["unit_code", "month"])["numerator"]
    rows = [
        (unit, month.number, "website", "post_quota_rate", min(made.get((unit, month.number), 0.0), POST_QUOTA))
        for unit in view.units.ranked["unit_code"]
        for month in view.period.months
    ]
    return pd.DataFrame(rows, columns=COLUMNS[:-1]).assign(denominator=float(POST_QUOTA))


def weekly_update(view: View, posts: pd.DataFrame) -> pd.DataFrame:
    """ISO weeks of the month with a published post / its ISO weeks, for every ranked unit and month."""
    updated = set(zip(posts["unit_code"], monday_of(posts["发布时间"]).dt.date, strict=True))
    rows = []
    for unit in view.units.ranked["unit_code"]:
        for month in view.period.months:
            weeks = month.mondays_of_weeks
            hits = sum((unit, monday) in updated for monday in weeks)
            rows.append((unit, month.number, "website", "weekly_update_rate", float(hits), float(len(weeks))))
    return pd.DataFrame(rows, columns=COLUMNS)


# media --------------------------------------------------------------------------------------------------------------

_ACCOUNT = ["平台", "账号名称"]


def accounts_in(view: View, month: MonthOfYear) -> pd.DataFrame:
    """The accounts with the unit that 主办单位 names on the month's last day."""
    last_day = pd.Series(pd.Timestamp(month.last_day), index=view.accounts.index)
    return view.accounts.assign(unit_code=view.units.resolve(view.accounts["主办单位"], last_day))


def media_posts_with_unit(view: View, month: MonthOfYear) -> pd.DataFrame:
    """The month's posts with the unit of their account; UNMAPPED where the account is not known."""
    posts = view.media_posts[month_of(view.media_posts["发布时间"]) == month.number]
    units = accounts_in(view, month)[[*_ACCOUNT, "unit_code"]]
    return posts.merge(units, on=_ACCOUNT, how="left").fillna({"unit_code": "UNMAPPED"})


def media(view: View) -> list[pd.DataFrame]:
    parts = []
    for month in view.period.months:
        posts = media_posts_with_unit(view, month)
        parts.append(count(view, "media", "media_posts", posts, "发布时间"))
        parts.append(account_active(view, month))
    return parts


def account_active(view: View, month: MonthOfYear) -> pd.DataFrame:
    """Accounts not silent / accounts open the whole month, by unit."""
    first, last = pd.Timestamp(month.first_day), pd.Timestamp(month.last_day)
    accounts = accounts_in(view, month)
    is_open = (accounts["开设日期"] <= first) & ~(accounts["注销日期"] <= last)
    accounts = accounts[is_open]
    days = view.media_posts.assign(day=view.media_posts["发布时间"].dt.date).dropna(subset="day")
    days_of = days.groupby(_ACCOUNT)["day"].agg(lambda values: sorted(set(values)))
    rows = []
    for account in accounts.to_dict("records"):
        posted = days_of.get((account["平台"], account["账号名称"]), [])
        silent = is_silent(month, posted, account["开设日期"].date(), view.first_media_day)
        rows.append((account["unit_code"], month.number, "media", "account_active_rate", float(not silent), 1.0))
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.groupby(COLUMNS[:4], as_index=False).sum()


def is_silent(
    month: MonthOfYear, post_days: list[dt.date], opened_on: dt.date, first_media_day: pd.Timestamp | None
) -> bool:
    """Whether on some day of the month the last post lies more than 14 days back. Counted day by day, as it is said."""
    for number in range(1, month.last_day.day + 1):
        day = dt.date(month.year, month.month, number)
        earlier = [posted for posted in post_days if posted <= day]
        since = max(earlier) if earlier else opened_on
        if first_media_day is not None:
            since = max(since, first_media_day.date())
        if (day - since).days > SILENT_AFTER_DAYS:
            return True
    return False


# reform and governance ----------------------------------------------------------------------------------------------


def obligations(view: View) -> pd.DataFrame:
    """Every ranked unit's obligations of the period with ``outcome``: on_time, late (by the cut-off) or missing.

    Grain: unit_code × program × material_type × obligation_period × slot; ``month`` is that of the due day.
    """
    owed = []
    for month in view.period.months:
        mondays = month.mondays_of_weeks
        twentieth = dt.date(month.year, month.month, DUE_DAY_OF_MONTH)
        weekly = [("{:04d}-W{:02d}".format(*day.isocalendar()[:2]), day + dt.timedelta(days=6)) for day in mondays]
        for program, materials in OBLIGATIONS.items():
            for material, slots in materials.items():
                for period, due in weekly if material == "动态信息" else [(month.code, twentieth)]:
                    owed += [(program, material, period, slot, due, month.number) for slot in range(1, slots + 1)]
    names = ["program", "material_type", "obligation_period", "slot", "due_at", "month"]
    table = pd.DataFrame(owed, columns=names)
    table["due_at"] = last_second_of(pd.to_datetime(table["due_at"]))
    table = view.units.ranked[["unit_code"]].merge(table, how="cross")
    sent = kept_submissions(view)
    table = table.merge(sent, how="left", on=["unit_code", "program", "material_type", "obligation_period", "slot"])
    table["outcome"] = "missing"
    table.loc[table["submitted_at"].notna(), "outcome"] = "late"
    table.loc[table["submitted_at"] <= table["due_at"], "outcome"] = "on_time"
    return table


def kept_submissions(view: View) -> pd.DataFrame:
    """Submissions that are not 退回, numbered by 报送时间, then 报送编号, within unit, 专项, 材料类型 and 所属期."""
    rows = view.submissions
    rows = rows[rows["报送时间"].notna() & (rows["审核状态"] != "退回")].sort_values(["报送时间", "报送编号"])
    owed_to = ["unit_code", "专项", "材料类型", "所属期"]
    slot = rows.groupby(owed_to).cumcount() + 1
    names = {"专项": "program", "材料类型": "material_type", "所属期": "obligation_period", "报送时间": "submitted_at"}
    return rows.assign(slot=slot)[[*owed_to, "slot", "报送时间", "报送编号"]].rename(columns=names)


def submissions(view: View) -> list[pd.DataFrame]:
    owed = obligations(view)
    sent = view.submissions
    sent = sent[sent["材料类型"] != "整改报告"]
    parts = []
    for area in ("reform", "governance"):
        mine = owed[owed["program"].map(PROGRAM_AREA) == area]
        parts.append(share(view, area, "on_time_rate", mine, "due_at", mine["outcome"] == "on_time"))
        here = sent[sent["专项"].map(PROGRAM_AREA) == area]
        judged = here[here["审核状态"].isin(["采用", "未采用"])]
        parts.append(share(view, area, "adoption_rate", judged, "报送时间", judged["审核状态"] == "采用"))
        seen = here[here["审核状态"].isin(["采用", "未采用", "退回"])]
        parts.append(share(view, area, "returned_rate", seen, "报送时间", seen["退回次数"] > 0))
    return parts


# platform -----------------------------------------------------------------------------------------------------------


def platform(view: View) -> list[pd.DataFrame]:
    every, cases = view.cases, view.cases[~view.cases["is_void"]]
    on_time = cases["办结时间"] <= cases["due_at"]
    closed = cases[cases["办结时间"].notna()]
    closed_accepted = closed[closed["受理时间"].notna()]
    taken = view.calendar.between(closed_accepted["受理时间"], closed_accepted["办结时间"])
    statutory = cases[(cases["法定时限"] > 0) & cases["受理时间"].notna()]
    return [
        share(view, "platform", "case_on_time_rate", cases, "due_at", on_time),
        share(view, "platform", "online_rate", cases, "受理时间", cases["申请来源"] != "窗口登记"),
        share(
            view, "platform", "active_review_rate", closed, "办结时间", closed["办件编号"].isin(reviewed_cases(view))
        ),
        count(view, "platform", "cases_accepted", cases, "受理时间"),
        count(view, "platform", "cases_closed", cases, "办结时间"),
        count(view, "platform", "cases_overdue", cases[~on_time], "due_at"),
        ratio(
            view, "platform", "mean_working_days", closed_accepted, "办结时间", taken, pd.Series(1.0, index=taken.index)
        ),
        ratio(
            view,
            "platform",
            "speedup_rate",
            statutory,
            "受理时间",
            statutory["法定时限"] - statutory["promised_days"],
            statutory["法定时限"],
        ),
        share(view, "platform", "void_share", every, "受理时间", every["is_void"]),
        *reviews(view),
    ]


def reviewed_cases(view: View) -> set[str]:
    """Cases whose first review is not 系统默认, whoever was reviewed."""
    first = view.first_reviews
    return set(first.loc[first["评价渠道"] != "系统默认", "办件编号"])


def reviews(view: View) -> list[pd.DataFrame]:
    first = view.first_reviews
    by_default = first["评价渠道"] == "系统默认"
    real = first[~by_default & ~first["核实结果"].isin(NOT_THE_UNITS_FAULT)]
    bad = real[real["评价等级"].isin(BAD_LEVELS)]
    return [
        share(view, "platform", "good_review_rate", real, "评价时间", real["评价等级"].isin(GOOD_LEVELS)),
        share(view, "platform", "bad_review_fixed_rate", bad, "fix_due_at", bad["整改完成时间"] <= bad["fix_due_at"]),
        share(view, "platform", "default_review_share", first, "评价时间", by_default),
    ]


# hotline ------------------------------------------------------------------------------------------------------------


def hotline(view: View) -> list[pd.DataFrame]:
    sent = view.dispatches
    replied = sent[sent["办复时间"].notna()]
    not_upheld = sent["退单是否成立"].map(lambda upheld: upheld is False).astype(bool) & sent["退单时间"].notna()
    last = view.last_dispatches
    reached = last[(last["回访结果"] == "已接通") & last["是否解决"].notna()]
    claimed = reached[reached["填报是否解决"] == "解决"]
    rated = last[last["满意度"].isin(["满意", "基本满意", "不满意"])]
    return [
        share(view, "hotline", "sign_on_time_rate", sent, "签收期限", sent["签收时间"] <= sent["签收期限"]),
        share(view, "hotline", "close_on_time_rate", sent, "due_at", sent["办复时间"] <= sent["due_at"]),
        share(view, "hotline", "solved_rate", reached, "回访时间", reached["是否解决"] == "解决"),
        share(view, "hotline", "satisfied_rate", rated, "回访时间", rated["满意度"] != "不满意"),
        share(view, "hotline", "rework_rate", replied, "办复时间", replied["重办次数"] >= 1),
        share(view, "hotline", "invalid_return_rate", sent, "派单时间", not_upheld),
        count(view, "hotline", "dispatched", sent, "派单时间"),
        share(view, "hotline", "repeat_rate", sent, "派单时间", sent["is_repeat"]),
        share(view, "hotline", "urged_rate", sent, "派单时间", sent["催办次数"] >= 1),
        share(view, "hotline", "false_report_rate", claimed, "回访时间", claimed["是否解决"] != "解决"),
    ]
