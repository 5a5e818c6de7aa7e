"""The one-stop service platform: cases (办件) and their reviews (好差评)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from simulator import clock, people
from simulator.catalog import COLUMNS, UNKNOWN_NAMES, units
from simulator.context import Context
from simulator.history import FIRST, Churn, churn, deliver
from simulator.people import where

CASES_A_MONTH = 21_000
CHANNELS = ["政务服务网", "移动端", "线下实体大厅", "短信", "二维码"]
CHANNEL_WEIGHTS = [8477.0, 97868.0, 858.0, 146845.0, 9712.0]
GOOD_LEVELS = ["非常满意", "满意", "基本满意"]
BAD_LEVELS = ["不满意", "非常不满意"]
VOID = ("作废", "删除")
ITEMS = [
    "居民身份证补领", "城乡居民基本养老保险参保登记", "灵活就业人员参保登记", "医疗保险参保信息变更登记",
    "异地就医备案", "个体工商户设立登记", "企业变更登记", "食品经营许可", "残疾人证新办", "临时救助对象认定",
    "最低生活保障待遇给付", "机动车驾驶证补换领", "不动产首次登记", "商品房预售许可", "取水许可", "排污许可证核发",
    "教师资格认定", "幼儿入园登记", "草原使用权登记", "农机购置补贴发放", "社会保障卡申领", "就业创业证核发",
    "公共场所卫生许可", "律师执业变更",
]  # fmt: skip
REVIEW_TEXTS = ["", "", "", "服务态度好，办得快", "很方便", "工作人员耐心细致", "一次就办好了"]
BAD_TEXTS = ["跑了三趟没办成", "等了两个小时没人叫号", "窗口说系统坏了让改天来", "材料退了两次也没说清楚"]


def unit_names(rng: np.random.Generator, ctx: Context, unit: np.ndarray) -> np.ndarray:
    """The units' names as typed, a few of them names that nobody knows."""
    names = units().spell(rng, unit)
    unknown = rng.random(len(unit)) < ctx.behaviour.unknown_name
    names[unknown] = people.choose(rng, list(UNKNOWN_NAMES), int(unknown.sum()))
    return names


def cases(ctx: Context, month: str) -> pd.DataFrame:
    """The month's cases as they end, one row a case: contract columns, ``_unit`` and the month of first delivery."""
    rng = ctx.rng("cases", month)
    b = ctx.behaviour
    counted = ctx.targets.cases.get(month) or ctx.scaled(CASES_A_MONTH * rng.uniform(0.96, 1.04))
    void, pending = max(1, round(counted * 0.013)), max(1, round(counted * 0.008))
    n = counted + void + pending
    is_void = np.arange(n) >= counted + pending
    is_pending = (np.arange(n) >= counted) & ~is_void

    unit = rng.choice(len(units()), n, p=b.case_weight)
    online = rng.random(n) < b["online"][unit]
    if month in ctx.targets.window_cases:
        online = _meet(rng, online, ~is_void & ~is_pending, ctx.targets.window_cases[month])
    day = clock.draw_days(rng, month, n)
    accepted = clock.office_hours(rng, day)
    wait = np.where(online, rng.integers(0, 30 * 3600, n), rng.integers(0, 1200, n)).astype("timedelta64[s]")
    applied = np.maximum(accepted - wait, accepted - 3 * clock.DAY)

    instant = rng.random(n) < 0.6
    promised = rng.choice([1, 2, 3, 5, 7, 10, 15, 20], n, p=[0.1, 0.12, 0.2, 0.22, 0.14, 0.12, 0.06, 0.04])
    statutory = np.where(instant, rng.choice([0, 1, 5], n), promised + rng.choice([0, 5, 10, 20, 30], n))
    # Some items promise nothing beyond the law; their 承诺时限 is empty.
    no_promise = ~instant & (rng.random(n) < 0.03)
    paused = np.where(~instant & (rng.random(n) < 0.03), rng.integers(5, 16, n), 0)
    allowed = np.where(instant, 0, np.where(no_promise, statutory, promised) + paused)
    due = clock.nth_workday(day, allowed)
    closed = _closed(ctx, rng, accepted, due, allowed, unit, month)
    result = people.choose(rng, "办结 出证办结 退回 转报 补正不来", n, p=[0.52, 0.45, 0.015, 0.01, 0.005])
    result[is_void] = people.choose(rng, list(VOID), int(is_void.sum()), p=[0.75, 0.25])
    dropped = is_pending & (rng.random(n) < 0.4)
    result[dropped] = "补正不来"
    closed = np.where(is_pending & ~dropped, clock.NAT, closed)
    # A case that is void is so at once: entered twice, or withdrawn.
    closed[is_void] = np.minimum(accepted + clock.seconds(rng, 60, 2 * 86400, n), clock.pulled(month))[is_void]
    overdue = clock.last_second(due) < np.where(np.isnat(closed), clock.pulled(month), closed)
    # The platform counts its own way and is sometimes wrong; empty is not rare either.
    flag = np.where(overdue ^ (rng.random(n) < 0.001), "是", "否").astype(object)
    flag[np.isnat(closed) | (rng.random(n) < 0.02)] = None

    company = rng.random(n) < 0.18
    applicant = people.names(rng, n)
    applicant[company] = (
        "精河县" + applicant[company] + people.choose(rng, "商贸有限公司 农业专业合作社 餐饮店", company.sum())
    )
    item = rng.integers(0, len(ITEMS), n)
    order = np.argsort(applied, kind="stable")
    frame = pd.DataFrame(
        {
            "办件编号": f"6527{ctx.block:02d}{month.replace('-', '')}" + people.serial(np.arange(1, n + 1), 8),
            "事项编码": "11652722" + people.serial(item * 37 + 1000, 6),
            "事项名称": np.array(ITEMS, dtype=object)[item],
            "办件类型": np.where(instant, "即办件", "承诺件").astype(object),
            "办理单位": unit_names(rng, ctx, unit),
            "申请来源": _channels(ctx, rng, online, month),
            "申请人类型": np.where(company, "法人", "自然人").astype(object),
            "申请人": applicant,
            "证件号码": people.resident_ids(rng, n),
            "联系电话": people.phones(rng, n),
            "申请时间": applied,
            "受理时间": np.where(is_pending, clock.NAT, accepted),
            "法定时限": pd.array(statutory, dtype="Int64"),
            "承诺时限": pd.array(np.where(instant, 0, promised), dtype="Int64"),
            "特别程序天数": pd.array(paused, dtype="Int64"),
            "办结时间": closed,
            "办结结果": result,
            "是否超期": flag,
        }
    ).iloc[order]
    frame["办件编号"] = np.sort(frame["办件编号"].to_numpy(object))
    frame.loc[no_promise[order] | (instant[order] & (rng.random(n) < 0.3)), "承诺时限"] = pd.NA
    frame.loc[paused[order] == 0, "特别程序天数"] = pd.NA
    frame.loc[frame["办结时间"].isna(), "办结结果"] = None
    frame["_unit"] = unit[order]
    frame[FIRST] = month
    later = [m for m in ctx.months if m > month]
    if later:  # entered late: it appears in the next month's delivery only
        frame.loc[rng.random(n) < 0.002, FIRST] = later[0]
    return frame.reset_index(drop=True)


def _meet(rng: np.random.Generator, online: np.ndarray, counts: np.ndarray, window: int) -> np.ndarray:
    """``online`` with as few rows turned as make exactly ``window`` of the counted ones not online."""
    excess = int((counts & ~online).sum()) - window
    turned = np.flatnonzero(counts & (online if excess < 0 else ~online))
    online = online.copy()
    chosen = rng.permutation(turned)[: abs(excess)]
    online[chosen] = ~online[chosen]
    return online


def _channels(ctx: Context, rng: np.random.Generator, online: np.ndarray, month: str) -> np.ndarray:
    remote = people.choose(rng, "政务服务APP 政务服务网 自助终端", len(online), p=[0.85, 0.1, 0.05])
    if month in ctx.targets.window_cases:
        remote[:] = "政务服务APP"
    return np.where(online, remote, "窗口登记").astype(object)


def _closed(
    ctx: Context,
    rng: np.random.Generator,
    accepted: np.ndarray,
    due: np.ndarray,
    allowed: np.ndarray,
    unit: np.ndarray,
    month: str,
) -> np.ndarray:
    """When each case is closed: mostly well inside its limit, some in its last second, some late, some never."""
    n = len(accepted)
    limit = clock.last_second(due)
    used = np.ceil(rng.beta(1.4, 2.2, n) * allowed).astype(int)
    day = np.where(used > 0, clock.nth_workday(accepted, used), due)
    closed = np.maximum(clock.office_hours(rng, day), accepted + clock.seconds(rng, 120, 5400, n))
    closed = np.minimum(closed, limit)
    edge = rng.random(n) < 0.002
    closed[edge] = limit[edge]
    late = rng.random(n) < ctx.behaviour["late"][unit]
    never = rng.random(n) < 0.002
    if month in ctx.targets.no_overdue:
        late[:] = never[:] = False
    over = clock.office_hours(rng, clock.nth_workday(due, rng.integers(1, 9, n)))
    over[rng.random(n) < 0.05] = clock.NAT  # placeholder for one second after the limit
    closed = np.where(late, np.where(np.isnat(over), limit + clock.SECOND, over), closed)
    return np.where(never, clock.NAT, closed)


def reviews(ctx: Context, world: pd.DataFrame) -> pd.DataFrame:
    """First and second reviews of closed cases, system defaults included, one row a review."""
    rng = ctx.rng("reviews")
    b = ctx.behaviour
    closed = world[world["办结时间"].notna() & (world["受理时间"].notna() | (world["办结结果"] == "补正不来"))]
    void = closed["办结结果"].isin(VOID).to_numpy()
    unit = closed["_unit"].to_numpy()
    n = len(closed)
    active = rng.random(n) < b["active"][unit]
    default = ~active & (rng.random(n) < 0.45)
    reviewed = active | default
    closed, unit, active = closed[reviewed], unit[reviewed], active[reviewed]
    n = len(closed)
    done = closed["办结时间"].to_numpy("datetime64[s]")
    # The platform fills in a default on the fifth day.
    when = np.where(active, done + clock.seconds(rng, 60, 4.5 * 86400, n), done + 5 * clock.DAY)
    good = ~active | (rng.random(n) < b["good"][unit]) | (void[reviewed] & (rng.random(n) < 0.5))
    level = np.where(
        good, people.choose(rng, GOOD_LEVELS, n, p=[0.85, 0.12, 0.03]), people.choose(rng, BAD_LEVELS, n, p=[0.8, 0.2])
    ).astype(object)
    channel = np.where(active, people.choose(rng, CHANNELS, n, p=CHANNEL_WEIGHTS), "系统默认").astype(object)
    limit = clock.last_second(clock.nth_workday(when, 15))
    fixed = rng.random(n) < b["fixed"][unit]
    span = np.maximum((limit - when).astype(int), 86400)
    mended = when + (rng.uniform(0.02, 1.0, n) * span).astype("timedelta64[s]")
    mended = np.where(rng.random(n) < 0.03, limit, mended)
    tardy = np.where(rng.random(n) < 0.5, limit + clock.seconds(rng, 1, 15 * 86400, n), clock.NAT)
    mended = np.where(good, clock.NAT, np.where(fixed, mended, tardy))
    finding = where(good, None, people.choose(rng, ["属实", "误评", "恶意", ""], n, p=[0.72, 0.12, 0.04, 0.12]))
    finding[finding == ""] = None
    content = people.choose(rng, REVIEW_TEXTS, n)
    content[~active] = ""
    bad = np.flatnonzero(~good)
    content[bad] = (
        people.choose(rng, BAD_TEXTS, len(bad)) + "，请联系我：" + closed["申请人"].to_numpy(object)[bad]
        + " " + closed["联系电话"].to_numpy(object)[bad]
    )  # fmt: skip
    content[content == ""] = None
    first = pd.DataFrame(
        {
            "办件编号": closed["办件编号"].to_numpy(object),
            "被评价单位": unit_names(rng, ctx, unit),
            "评价渠道": channel,
            "评价等级": level,
            "评价次序": pd.array(np.ones(n, dtype=int), dtype="Int64"),
            "评价时间": when,
            "评价内容": content,
            "核实结果": finding,
            "整改完成时间": mended,
            "回访时间": np.where(np.isnat(mended), clock.NAT, mended + clock.seconds(rng, 3600, 5 * 86400, n)),
        }
    )
    first["_unit"] = unit
    again = first[first["整改完成时间"].notna() & (rng.random(n) < 0.3)].copy()
    again["评价时间"] = again["整改完成时间"] + clock.seconds(rng, 86400, 9 * 86400, len(again))
    again["评价次序"] = pd.array([2] * len(again), dtype="Int64")
    better = people.choose(rng, "满意 基本满意 不满意", len(again))
    again["评价等级"] = "不满意" if ctx.exact else better
    again[["整改完成时间", "回访时间"]] = clock.NAT
    again[["核实结果", "评价内容"]] = None
    parts = [first, again]
    if not ctx.exact and len(first) > 200:  # a person who reviews twice: both claim to be the first review
        twice = first[active].iloc[:: max(1, int(active.sum()) // 5)].copy()
        twice["评价时间"] = twice["评价时间"] + clock.seconds(rng, 0, 86400, len(twice))
        parts.append(twice)
    world_reviews = pd.concat(parts, ignore_index=True)
    world_reviews[FIRST] = clock.month_of(world_reviews["评价时间"].to_numpy("datetime64[s]"))
    world_reviews = world_reviews[world_reviews[FIRST] <= ctx.months[-1]]
    if ctx.targets.good_reviews:
        world_reviews = pd.concat([earlier_reviews(ctx, world_reviews, world), world_reviews], ignore_index=True)
    world_reviews = world_reviews.sort_values("评价时间", kind="stable", ignore_index=True)
    world_reviews.insert(0, "评价编号", f"PJ{ctx.block:02d}" + people.serial(np.arange(1, len(world_reviews) + 1), 10))
    return world_reviews


def earlier_reviews(ctx: Context, recent: pd.DataFrame, world: pd.DataFrame) -> pd.DataFrame:
    """Good reviews of the years before the first month: what is missing of the cumulative totals, by channel.

    They come with the first delivery; their cases were delivered to nobody.
    """
    rng = ctx.rng("earlier reviews")
    void = world.loc[world["办结结果"].isin(VOID), "办件编号"]
    counts = recent[recent["评价等级"].isin(GOOD_LEVELS) & ~recent["办件编号"].isin(void)]["评价渠道"].value_counts()
    missing = [ctx.targets.good_reviews[channel] - int(counts.get(channel, 0)) for channel in CHANNELS]
    if min(missing) < 0:
        raise ValueError(
            f"the months hold more good reviews than their totals: {dict(zip(CHANNELS, missing, strict=True))}"
        )
    n = sum(missing)
    until = clock.start(ctx.months[0])
    when = until - clock.seconds(rng, 1, 730 * 86400, n)
    unit = rng.choice(len(units()), n, p=ctx.behaviour.case_weight)
    return pd.DataFrame(
        {
            "办件编号": "652700" + np.char.replace(when.astype("datetime64[M]").astype(str), "-", "").astype(object)
            + people.serial(np.arange(1, n + 1), 8),
            "被评价单位": units().spell(rng, unit),
            "评价渠道": rng.permutation(np.repeat(np.array(CHANNELS, dtype=object), missing)),
            "评价等级": people.choose(rng, GOOD_LEVELS, n, p=[0.85, 0.12, 0.03]),
            "评价次序": pd.array(np.ones(n, dtype=int), dtype="Int64"),
            "评价时间": when,
            "评价内容": None,
            "核实结果": None,
            "整改完成时间": clock.NAT,
            "回访时间": clock.NAT,
            "_unit": unit,
            FIRST: ctx.months[0],
        }
    )  # fmt: skip


def deliveries(ctx: Context) -> dict[tuple[str, str], pd.DataFrame]:
    """Both datasets' deliveries, by (dataset, month)."""
    world = pd.concat([cases(ctx, month) for month in ctx.months], ignore_index=True)
    review_world = reviews(ctx, world)
    case_cuts = deliver(
        world.drop(columns="_unit"), ctx.months, "申请时间", {"受理时间": [], "办结时间": ["办结结果", "是否超期"]}
    )
    review_cuts = deliver(
        review_world.drop(columns="_unit"), ctx.months, "评价时间", {"整改完成时间": ["核实结果"], "回访时间": []}
    )
    # A scenario's figures are those of its last two months: what is changed late there must not count.
    bound = ctx.months[-2:] if ctx.exact else ()

    def change_case(rng: np.random.Generator, rows: pd.DataFrame, month: str) -> pd.DataFrame:
        rows["法定时限"] = rows["法定时限"] + 5
        if month not in bound:
            rows["申请来源"] = people.choose(rng, "窗口登记 政务服务APP", len(rows))
            rows["办理单位"] = units().spell(rng, rng.integers(0, len(units()), len(rows)))
        return rows

    def change_review(rng: np.random.Generator, rows: pd.DataFrame, month: str) -> pd.DataFrame:
        if month in bound or ctx.exact:
            bad = rows["评价等级"].isin(BAD_LEVELS)
            rows.loc[bad, "核实结果"] = "误评"
        else:
            rows["评价等级"] = people.choose(rng, [*GOOD_LEVELS, *BAD_LEVELS], len(rows))
        return rows

    def new_key(column: str):
        def change(rows: pd.DataFrame) -> pd.DataFrame:
            rows[column] = rows[column].str.slice(0, -8) + "9" + rows[column].str.slice(-7)
            return rows

        return change

    case_plan = Churn(("办件编号",), new_key("办件编号"), change_case)
    review_plan = Churn(
        ("评价编号",), new_key("评价编号"), change_review, corrected=0.002, mistaken=0.0005, returned=0.0003
    )
    out: dict[tuple[str, str], pd.DataFrame] = {}
    for dataset, cuts, plan in (
        ("platform_cases", case_cuts, case_plan),
        ("platform_reviews", review_cuts, review_plan),
    ):
        churned = churn(ctx.rng(dataset, "churn"), cuts, ctx.months, plan)
        out |= {(dataset, month): frame[list(COLUMNS[dataset])] for month, frame in churned.items()}
    return out
