"""What an analyst would write instead: the same month's metrics, scores and ranks in pandas, straight from the files.

A yardstick of ``make bench`` and nothing else. It believes its files: no proof, no quarantine, no tokens, no history,
no release, one month. Everything stands in memory, and whole columns are worked on, as pandas is meant to be used.
That it ranks as the warehouse does is tested (tests/end_to_end/test_bench.py). Rules: the seeds; METRICS.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ingestion.home import PROJECT

SEEDS = PROJECT / "dbt_project" / "seeds"
GOOD, BAD = ["非常满意", "满意", "基本满意"], ["不满意", "非常不满意"]
SHRINK, COVERAGE = 10, 0.6


def read(exports: Path, system: str, dataset: str, month: str) -> pd.DataFrame:
    """A dataset's month: one frame of all its files, times parsed, each key's newest row, deletions gone."""
    frames = []
    for path in sorted((exports / system / dataset / month).iterdir()):
        if path.name == "manifest.json":
            continue
        if path.suffix == ".json":
            frames.append(pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))["rows"]))
        elif path.suffix == ".csv":
            frames.append(pd.read_csv(path, encoding="gb18030"))
        else:
            frames.append(pd.read_excel(path, engine="calamine"))
    frame = pd.concat(frames, ignore_index=True)
    for column in frame.columns:
        if column.endswith(("时间", "日期", "期限")):
            frame[column] = pd.to_datetime(frame[column])
    key = KEYS[dataset]
    frame = frame.sort_values("更新时间", kind="stable").drop_duplicates(key, keep="last")
    return frame[frame["同步类型"] != "D"]


KEYS = {
    "platform_cases": ["办件编号"],
    "platform_reviews": ["评价编号"],
    "hotline_tickets": ["工单编号"],
    "hotline_dispatches": ["工单编号", "派单序号"],
    "hotline_exclusions": ["工单编号", "承办单位"],
    "cms_posts": ["信息编号"],
    "cms_media_accounts": ["平台", "账号名称"],
    "cms_media_posts": ["发布编号"],
    "cms_submissions": ["报送编号"],
}


class Month:
    """The month's days, its units and its calendar."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.first = pd.Timestamp(code + "-01")
        self.end = self.first + pd.offsets.MonthBegin(1)
        self.last = self.end - pd.Timedelta(days=1)
        self.cut_off = self.end + pd.Timedelta(days=5)
        units = pd.read_csv(SEEDS / "units.csv")
        aliases = pd.read_csv(SEEDS / "unit_aliases.csv", parse_dates=["valid_from", "valid_to"])
        aliases = aliases[~(aliases["valid_to"] < self.first) & ~(aliases["valid_from"] > self.last)]
        self.units = units[units["ranked"]].set_index("unit_code")
        self.codes = dict(zip(units["unit_name"], units["unit_code"], strict=True))
        self.codes |= dict(zip(aliases["alias"], aliases["unit_code"], strict=True))
        holidays = pd.read_csv(SEEDS / "holidays.csv", parse_dates=["date_day"]).set_index("date_day")["is_workday"]
        days = pd.date_range("2020-01-01", "2026-12-31")
        works = holidays.reindex(days)
        self.works = pd.Series(np.where(works.isna(), days.day_of_week < 5, works == True), days)  # noqa: E712
        self.number = self.works.cumsum()
        self.workdays = days[np.flatnonzero(self.works)]

    def has(self, times: pd.Series) -> pd.Series:
        """Which times lie in the month."""
        return (times >= self.first) & (times < self.end)

    def unit(self, names: pd.Series) -> pd.Series:
        """Codes of the units; names that nobody knows are null."""
        return names.str.strip().map(self.codes)

    def due(self, start: pd.Series, days: pd.Series) -> pd.Series:
        """The end of the n-th working day after the day; of no days the same day, or the next working day."""
        day = start.dt.normalize()
        number = day.map(self.number) + np.maximum(days, (~day.map(self.works).astype(bool)).astype(int))
        known = number.notna()
        due = pd.Series(pd.NaT, start.index, dtype="datetime64[ns]")
        due[known] = self.workdays[number[known].to_numpy(int) - 1] + pd.Timedelta(hours=23, minutes=59, seconds=59)
        return due


def rankings(exports: Path, code: str) -> pd.DataFrame:
    """The month's rankings: unit_group, unit_code, area, score (rounded), rank."""
    month = Month(code)
    rows = [
        *platform(exports, month),
        *hotline(exports, month),
        *website(exports, month),
        *media(exports, month),
        *submissions(exports, month),
    ]
    return ranked(scored(metrics(rows, month), month, vetoes(exports, month)), month)


Row = tuple[str, str, pd.Series, pd.Series | None]


def _per_unit(frame: pd.DataFrame, condition: Any) -> pd.Series:
    return frame[condition].groupby("unit").size()


def platform(exports: Path, month: Month) -> list[Row]:
    """Cases and reviews: area, metric, numerator and denominator by unit."""
    cases = read(exports, "platform", "platform_cases", month.code)
    cases["unit"] = month.unit(cases["办理单位"])
    counted = cases[~cases["办结结果"].isin(["作废", "删除"])].copy()
    instant = counted["办件类型"] == "即办件"
    allowed = counted["承诺时限"].fillna(counted["法定时限"]).fillna(0) + counted["特别程序天数"].fillna(0)
    counted["due"] = month.due(counted["受理时间"], allowed.where(~instant, 0))
    reviews = read(exports, "platform", "platform_reviews", month.code)
    reviews["unit"] = month.unit(reviews["被评价单位"])
    reviews = reviews[~reviews["办件编号"].isin(cases.loc[~cases.index.isin(counted.index), "办件编号"])]
    first = reviews[reviews["评价次序"] == 1].sort_values(["评价时间", "评价编号"]).drop_duplicates("办件编号")
    spoken = first["评价渠道"] != "系统默认"
    valid = first[spoken & ~first["核实结果"].isin(["误评", "恶意"])].copy()
    bad = valid[valid["评价等级"].isin(BAD)].copy()
    bad["due"] = month.due(bad["评价时间"], pd.Series(15, bad.index))

    accepted = counted[month.has(counted["受理时间"])]
    everything = cases[month.has(cases["受理时间"])]
    due = counted[month.has(counted["due"])]
    closed = counted[month.has(counted["办结时间"])]
    reviewed = first.loc[spoken & (first["评价时间"] < month.cut_off), "办件编号"]
    limited = accepted[accepted["法定时限"] > 0].copy()
    limited["promised"] = limited["承诺时限"].fillna(limited["法定时限"]).where(limited["办件类型"] != "即办件", 0)
    in_month, valid_in_month = first[month.has(first["评价时间"])], valid[month.has(valid["评价时间"])]
    bad = bad[month.has(bad["due"])]
    with_start = closed[closed["受理时间"].notna()].copy()
    day = with_start["办结时间"].dt.normalize().map(month.number)
    with_start["days"] = day - with_start["受理时间"].dt.normalize().map(month.number)

    def n(frame: pd.DataFrame) -> pd.Series:
        return frame.groupby("unit").size()

    on_time = due["办结时间"] <= due["due"]
    return [
        ("platform", "case_on_time_rate", _per_unit(due, on_time), n(due)),
        ("platform", "cases_overdue", _per_unit(due, ~on_time), None),
        ("platform", "online_rate", _per_unit(accepted, accepted["申请来源"] != "窗口登记"), n(accepted)),
        ("platform", "active_review_rate", _per_unit(closed, closed["办件编号"].isin(reviewed)), n(closed)),
        (
            "platform",
            "good_review_rate",
            _per_unit(valid_in_month, valid_in_month["评价等级"].isin(GOOD)),
            n(valid_in_month),
        ),
        ("platform", "bad_review_fixed_rate", _per_unit(bad, bad["整改完成时间"] <= bad["due"]), n(bad)),
        ("platform", "cases_accepted", n(accepted), None),
        ("platform", "cases_closed", n(closed), None),
        ("platform", "default_review_share", _per_unit(in_month, in_month["评价渠道"] == "系统默认"), n(in_month)),
        ("platform", "mean_working_days", with_start.groupby("unit")["days"].sum(), n(with_start)),
        (
            "platform",
            "speedup_rate",
            (limited["法定时限"] - limited["promised"]).groupby(limited["unit"]).sum(),
            limited.groupby("unit")["法定时限"].sum(),
        ),
        ("platform", "void_share", _per_unit(everything, everything["办结结果"].isin(["作废", "删除"])), n(everything)),
    ]


def hotline(exports: Path, month: Month) -> list[Row]:
    """Dispatches that count, and the call-backs of the tickets that they answer for."""
    tickets = read(exports, "hotline", "hotline_tickets", month.code)
    sent = read(exports, "hotline", "hotline_dispatches", month.code)
    excluded = read(exports, "hotline", "hotline_exclusions", month.code)
    sent["unit"], excluded["unit"] = month.unit(sent["承办单位"]), month.unit(excluded["承办单位"])
    approved = excluded.loc[excluded["审批结果"] == "同意", ["工单编号", "unit"]].drop_duplicates()
    sent = sent.merge(approved.assign(approved=True), on=["工单编号", "unit"], how="left")
    sent = sent.merge(tickets[["工单编号", "工单状态", "关联工单"]], on="工单编号", how="left")
    sent = sent[
        (sent["承办角色"] == "主办")
        & sent["approved"].isna()
        & (sent["退单是否成立"] != "是")
        & (sent["工单状态"] != "作废")
        & (sent["派单时间"] < month.cut_off)
    ]
    last = sent.sort_values("派单序号").drop_duplicates("工单编号", keep="last")
    called = tickets[(tickets["工单状态"] != "作废") & month.has(tickets["回访时间"])]
    called = called.merge(last[["工单编号", "unit", "填报是否解决"]], on="工单编号")
    asked = called[(called["回访结果"] == "已接通") & called["是否解决"].notna()]
    rated = called[called["满意度"].isin(["满意", "基本满意", "不满意"])]
    claimed = asked[asked["填报是否解决"] == "解决"]
    limit = sent["延期期限"].fillna(sent["办理期限"])
    to_sign, due = sent[month.has(sent["签收期限"])], sent[month.has(limit)]
    replied, dispatched = sent[month.has(sent["办复时间"])], sent[month.has(sent["派单时间"])]
    wrong = (dispatched["退单时间"] < month.cut_off) & (dispatched["退单是否成立"] == "否")

    def n(frame: pd.DataFrame) -> pd.Series:
        return frame.groupby("unit").size()

    return [
        ("hotline", "sign_on_time_rate", _per_unit(to_sign, to_sign["签收时间"] <= to_sign["签收期限"]), n(to_sign)),
        ("hotline", "close_on_time_rate", _per_unit(due, due["办复时间"] <= limit[due.index]), n(due)),
        ("hotline", "solved_rate", _per_unit(asked, asked["是否解决"] == "解决"), n(asked)),
        ("hotline", "satisfied_rate", _per_unit(rated, rated["满意度"] != "不满意"), n(rated)),
        ("hotline", "rework_rate", _per_unit(replied, replied["重办次数"] >= 1), n(replied)),
        ("hotline", "invalid_return_rate", _per_unit(dispatched, wrong), n(dispatched)),
        ("hotline", "dispatched", n(dispatched), None),
        ("hotline", "repeat_rate", _per_unit(dispatched, dispatched["关联工单"].notna()), n(dispatched)),
        ("hotline", "urged_rate", _per_unit(dispatched, dispatched["催办次数"] >= 1), n(dispatched)),
        ("hotline", "false_report_rate", _per_unit(claimed, claimed["是否解决"] != "解决"), n(claimed)),
    ]


def website(exports: Path, month: Month) -> list[Row]:
    """Published posts, the quota and the weeks."""
    posts = read(exports, "cms", "cms_posts", month.code)
    posts["unit"] = month.unit(posts["发布单位"])
    posts = posts[(posts["状态"] == "已发布") & posts["发布时间"].notna()]
    sunday = posts["发布时间"].dt.normalize() + pd.to_timedelta(6 - posts["发布时间"].dt.day_of_week, "D")
    weeks = len([day for day in pd.date_range(month.first, month.last) if day.day_of_week == 6])
    posts = posts.assign(week=sunday)
    updated = posts[month.has(posts["week"])].groupby("unit")["week"].nunique()
    posts = posts[month.has(posts["发布时间"])]
    count = posts.groupby("unit").size()
    people = [f"{step}人" for step in ("初审", "复审", "终审", "一校", "二校", "三校")]
    named = posts[people].notna().all(axis=1)
    a, b, c, d, e, f = (posts[f"{step}时间"] for step in ("初审", "复审", "终审", "一校", "二校", "三校"))
    out = posts["发布时间"]
    complete = named & (a <= b) & (b <= c) & (c <= out) & (d <= e) & (e <= f) & (f <= out)
    independent = named & (posts[people[:3]].nunique(axis=1) == 3) & (posts[people[3:]].nunique(axis=1) == 3)
    quotas = pd.read_csv(SEEDS / "quotas.csv").set_index("unit_group")["monthly_posts"]
    quota = month.units["unit_group"].map(quotas)
    return [
        ("website", "post_quota_rate", count.reindex(quota.index, fill_value=0).clip(upper=quota), quota),
        ("website", "weekly_update_rate", updated, pd.Series(weeks, month.units.index)),
        ("website", "month_end_share", _per_unit(posts, out >= month.end - pd.Timedelta(days=5)), count),
        ("website", "review_complete_rate", _per_unit(posts, complete), count),
        ("website", "review_independent_rate", _per_unit(posts, independent), count),
        ("website", "error_free_rate", _per_unit(posts, posts["错字数"].fillna(0) == 0), count),
    ]


def media(exports: Path, month: Month) -> list[Row]:
    """Accounts that were not silent for more than 14 days; days before the first delivered month never count."""
    account = ["平台", "账号名称"]
    accounts = read(exports, "cms", "cms_media_accounts", month.code)
    posts = read(exports, "cms", "cms_media_posts", month.code)
    accounts["unit"] = month.unit(accounts["主办单位"])
    starts = pd.concat([posts.assign(day=posts["发布时间"].dt.normalize()), accounts.assign(day=accounts["开设日期"])])
    starts = starts[[*account, "day"]].drop_duplicates().sort_values([*account, "day"])
    starts["until"] = starts.groupby(account)["day"].shift(-1).fillna(pd.Timestamp("2200-01-01"))
    from_day = starts["day"].where(starts["day"] > month.first, month.first) + pd.Timedelta(days=15)
    silent = starts[(from_day < starts["until"]) & (from_day <= month.last) & (starts["until"] > month.first)]
    silent = silent[account].drop_duplicates().assign(silent=True)
    opened = accounts[(accounts["开设日期"] <= month.first) & ~(accounts["注销日期"] <= month.last)].merge(
        silent, on=account, how="left"
    )
    posts = posts.merge(accounts[[*account, "unit"]], on=account)
    return [
        ("media", "account_active_rate", _per_unit(opened, opened["silent"].isna()), opened.groupby("unit").size()),
        ("media", "media_posts", _per_unit(posts, month.has(posts["发布时间"])), None),
    ]


def submissions(exports: Path, month: Month) -> list[Row]:
    """What was owed and sent on time, and what became of what was sent."""
    sent = read(exports, "cms", "cms_submissions", month.code)
    sent["unit"] = month.unit(sent["报送单位"])
    sent = sent[sent["材料类型"] != "整改报告"]
    owed = pd.read_csv(SEEDS / "requirements.csv")
    met = sent[sent["审核状态"] != "退回"].sort_values(["报送时间", "报送编号"])
    met["slot"] = met.groupby(["unit", "专项", "材料类型", "所属期"]).cumcount() + 1
    second = pd.Timedelta(hours=23, minutes=59, seconds=59)
    sundays = [day for day in pd.date_range(month.first, month.last) if day.day_of_week == 6]
    due = []
    each: Any
    for each in owed.itertuples():
        spans = (
            [(day.strftime("%G-W%V"), day) for day in sundays]
            if each.cadence == "week"
            else [(month.code, month.first + pd.Timedelta(days=int(each.due_day) - 1))]
        )
        due += [
            (each.area, each.program, each.material_type, period, slot + 1, day + second)
            for period, day in spans
            for slot in range(each.pieces)
        ]
    obligations = pd.DataFrame(due, columns=["area", "专项", "材料类型", "所属期", "slot", "due"])
    obligations = obligations.merge(pd.Series(month.units.index, name="unit"), how="cross")
    joined = obligations.merge(met, on=["unit", "专项", "材料类型", "所属期", "slot"], how="left")
    rows: list[Row] = []
    for area in ("reform", "governance"):
        here = joined[joined["area"] == area]
        on_time = _per_unit(here, here["报送时间"] <= here["due"])
        rows.append((area, "on_time_rate", on_time, here.groupby("unit").size()))
        programs = owed.loc[owed["area"] == area, "program"].unique()
        mine = sent[sent["专项"].isin(programs) & month.has(sent["报送时间"])]
        adopted, judged = mine["审核状态"] == "采用", mine["审核状态"].isin(["采用", "未采用"])
        answered = mine["审核状态"] != "待审"
        rows.append((area, "adoption_rate", _per_unit(mine, adopted), _per_unit(mine, judged)))
        rows.append(
            (area, "returned_rate", _per_unit(mine, answered & (mine["退回次数"] > 0)), _per_unit(mine, answered))
        )
    return rows


def vetoes(exports: Path, month: Month) -> set[tuple[str, str]]:
    """(unit, area) with a serious error or a date put back in the month."""
    posts = read(exports, "cms", "cms_posts", month.code)
    posts["unit"] = month.unit(posts["发布单位"])
    posts = posts[month.has(posts["发布时间"])]
    serious = (posts["严重错误数"] > 0) & posts["状态"].isin(["已发布", "已撤回"])
    out = posts["发布时间"].dt.normalize()
    shown, last = posts["页面显示日期"], posts["终审时间"].dt.normalize().fillna(out)
    backdated = (posts["状态"] == "已发布") & (posts["来源类型"] == "原创") & (shown < last) & (shown < out)
    found = {(unit, "website") for unit in posts.loc[serious | backdated, "unit"].dropna()}
    media_posts = read(exports, "cms", "cms_media_posts", month.code)
    accounts = read(exports, "cms", "cms_media_accounts", month.code)
    media_posts = media_posts[month.has(media_posts["发布时间"]) & (media_posts["严重错误数"] > 0)]
    media_posts = media_posts.merge(accounts, on=["平台", "账号名称"])
    return found | {(unit, "media") for unit in month.unit(media_posts["主办单位"]).dropna()}


def metrics(rows: list[Row], month: Month) -> pd.DataFrame:
    """A row for each ranked unit and metric: numerator, denominator, value, adjusted, points."""
    rules = pd.read_csv(SEEDS / "metrics.csv", dtype={"rule_set": str})
    found: Any = rules[rules["rule_set"] == "2022.1"].to_dict("records")
    rule_of: dict[Any, dict[str, Any]] = {(each["area"], each["metric"]): each for each in found}
    parts = []
    for area, metric, numerator, denominator in rows:
        part = pd.DataFrame(index=month.units.index)
        part["numerator"] = numerator.reindex(part.index).fillna(0)
        part["denominator"] = np.nan if denominator is None else denominator.reindex(part.index).fillna(0)
        parts.append(part.assign(**rule_of[area, metric]).reset_index())
    frame = pd.concat(parts, ignore_index=True)
    frame["unit_group"] = frame["unit_code"].map(month.units["unit_group"])
    value = frame["numerator"] / frame["denominator"].where(frame["denominator"] > 0)
    sums = frame.groupby(["unit_group", "area", "metric"])[["numerator", "denominator"]].transform("sum")
    prior = sums["numerator"] / sums["denominator"]
    shrunk = (frame["numerator"] + SHRINK * prior) / (frame["denominator"] + SHRINK)
    frame["adjusted"] = shrunk.where(frame["is_shrunk"] & value.notna(), value)
    share = ((frame["adjusted"] - frame["floor"]) / (frame["target"] - frame["floor"])).clip(0, 1)
    frame["points"] = frame["weight"] * share
    return frame


def scored(frame: pd.DataFrame, month: Month, vetoed: set[tuple[str, str]]) -> pd.DataFrame:
    """Scores by unit and area, overall included."""
    areas = pd.read_csv(SEEDS / "areas.csv", dtype={"rule_set": str})
    areas = areas[areas["rule_set"] == "2022.1"].set_index("area")
    volume = frame.set_index(["unit_code", "area", "metric"])["numerator"]
    weighted = frame[frame["weight"].notna()].assign(held=lambda f: f["weight"].where(f["points"].notna(), 0))
    sums = weighted.groupby(["unit_code", "area"])[["weight", "held", "points"]].sum().reset_index()
    sums["score"] = (100 * sums["points"] / sums["held"]).where(sums["held"] >= COVERAGE * sums["weight"])
    for place, row in sums.iterrows():
        rule = areas.loc[row["area"]]
        measured = rule["volume_metric"]
        if isinstance(measured, str) and volume[row["unit_code"], row["area"], measured] < rule["minimum_volume"]:
            sums.loc[place, "score"] = np.nan
        if (row["unit_code"], row["area"]) in vetoed:
            sums.loc[place, "score"] = 0.0
    sums["area_weight"] = sums["area"].map(areas["weight"])
    held = sums["area_weight"].where(sums["score"].notna(), 0)
    whole = sums.assign(held=held, total=sums["area_weight"] * sums["score"]).groupby("unit_code")
    overall = whole[["area_weight", "held", "total"]].sum().reset_index()
    overall["score"] = (overall["total"] / overall["held"]).where(overall["held"] >= COVERAGE * overall["area_weight"])
    return pd.concat([sums, overall.assign(area="overall")])[["unit_code", "area", "score"]]


def ranked(scores: pd.DataFrame, month: Month) -> pd.DataFrame:
    """Places in the group by rounded score, half away from zero."""
    scores = scores.assign(unit_group=scores["unit_code"].map(month.units["unit_group"]))
    scores["score"] = np.floor(scores["score"].round(9) * 100 + 0.5 + 1e-7) / 100
    places = scores.groupby(["unit_group", "area"])["score"].rank(method="min", ascending=False)
    return scores.assign(rank=places.astype("Int64")).sort_values(["area", "unit_group", "rank"])
