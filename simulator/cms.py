"""Website, new media and material reports: posts, accounts, media posts, submissions."""

from __future__ import annotations

import numpy as np
import pandas as pd

from simulator import clock, people
from simulator.catalog import COLUMNS, SYNC, UPDATED, units
from simulator.context import Context, systematic
from simulator.history import FIRST, Churn, churn, deliver
from simulator.platform import unit_names

RANKED = 27
STEPS = ("初审", "复审", "终审", "一校", "二校", "三校")
PROGRAMMES = {"放管服": "reform", "社会管理公共服务组": "gov", "科技支撑组": "gov"}
PLATFORMS = ("微信公众号", "微博", "抖音")
# Two of the titles begin like formulas, as such titles do.
MEDIA_TITLES = ["@精河人 防汛提示", "便民服务指南", "惠民政策一图读懂", "=今日天气=", "招聘信息 | 第12期", "反诈提醒"]


def weeks(ctx: Context) -> np.ndarray:
    """The Mondays of the ISO weeks whose Sunday lies in the months."""
    first, last = clock.days_of(ctx.months[0])[0], clock.days_of(ctx.months[-1])[-1]
    days = np.arange(first, last + 1)
    sundays = days[(days.astype(int) + 3) % 7 == 6]
    return sundays - 6


def posts(ctx: Context) -> pd.DataFrame:
    """Website posts, published or not, one row a post."""
    rng = ctx.rng("posts")
    b = ctx.behaviour
    mondays = np.append(weeks(ctx), weeks(ctx)[-1] + 7)
    per_week = max(1, round(ctx.factor))
    unit_parts, day_parts = [], []
    for code in range(len(units())):
        active = systematic(rng, np.full(len(mondays), b["weeks"][code]))
        second = active & systematic(rng, np.full(len(mondays), b["second_post"][code]))
        monday = np.concatenate([np.repeat(mondays[active], per_week), np.repeat(mondays[second], per_week)])
        # Thursdays and Fridays are when notices are finished; a weekend post is rare.
        day_parts.append(monday + rng.choice(7, len(monday), p=[0.15, 0.17, 0.18, 0.22, 0.22, 0.03, 0.03]))
        unit_parts.append(np.full(len(monday), code))
    unit, day = np.concatenate(unit_parts), np.concatenate(day_parts)
    month_last = (day.astype("datetime64[M]") + 1).astype("datetime64[D]") - 1
    bunched = rng.random(len(day)) < b["bunched"][unit]
    day = np.where(bunched, month_last - rng.integers(0, 5, len(day)), day)
    in_range = (day >= clock.days_of(ctx.months[0])[0]) & (day <= clock.days_of(ctx.months[-1])[-1])
    unit, day = unit[in_range], day[in_range]
    order = np.lexsort((day, unit))
    unit, day = unit[order], day[order]
    n = len(unit)
    published = clock.office_hours(rng, day)

    staff = people.staff(rng, len(units()) * 8).reshape(len(units()), 8)
    original = rng.random(n) < 0.8
    frame: dict[str, object] = {}
    lead = np.sort(rng.integers(600, 3 * 86400, (n, 4)), axis=1)[:, ::-1]  # 报送, 初审, 复审, 终审 before publication
    proof = np.sort(rng.integers(300, 2 * 86400, (n, 3)), axis=1)[:, ::-1]
    before = {
        "初审": lead[:, 1],
        "复审": lead[:, 2],
        "终审": lead[:, 3],
        "一校": proof[:, 0],
        "二校": proof[:, 1],
        "三校": proof[:, 2],
    }
    incomplete = ~_in_turn(rng, unit, b["complete"])
    shared = ~_in_turn(rng, unit, b["independent"])
    fault = rng.integers(0, 3, n)
    who = {step: staff[unit, 1 + i] for i, step in enumerate(STEPS)}
    who["复审"] = np.where(shared & (fault > 0), who["初审"], who["复审"])
    who["三校"] = np.where(shared & (fault == 0), who["一校"], who["三校"])
    when = {step: published - before[step].astype("timedelta64[s]") for step in STEPS}
    # A step left out, its time left out, or steps in the wrong order.
    gap = incomplete & (fault == 0)
    who["二校"] = np.where(gap, None, who["二校"])
    when["二校"] = np.where(gap, clock.NAT, when["二校"])
    when["三校"] = np.where(incomplete & (fault == 1), clock.NAT, when["三校"])
    when["终审"] = np.where(incomplete & (fault == 2), published + clock.seconds(rng, 60, 5 * 3600, n), when["终审"])

    serious = rng.random(n) < b["serious"][unit]
    backdated = original & ~serious & (rng.random(n) < b["backdated"][unit])
    for (offender, month), veto in b.vetoes.items():
        one = np.flatnonzero((unit == offender) & (day.astype("datetime64[M]") == np.datetime64(month)))[:1]
        (serious if veto == "serious" else backdated)[one] = True
        original[one] = True
    shown = published.astype("datetime64[D]").astype("datetime64[s]")
    final_day = when["终审"].astype("datetime64[D]")
    back_to = np.minimum(np.where(np.isnat(final_day), day, final_day), day) - rng.integers(1, 9, n)
    shown = np.where(backdated, back_to.astype("datetime64[s]"), shown)
    shown[~backdated & (rng.random(n) < 0.05)] = clock.NAT
    state = np.where(rng.random(n) < 0.01, "已撤回", "已发布").astype(object)
    state[serious & (rng.random(n) < 0.5)] = "已撤回"
    errors = (~_in_turn(rng, unit, 1 - b["errors"])).astype(int) * rng.integers(1, 4, n)
    kind = people.choose(rng, "动态要闻 通知公告 政策文件 其他", n, p=[0.55, 0.25, 0.1, 0.1])
    frame = {
        "标题": np.array(units().names, dtype=object)[unit]
        + people.choose(
            rng, "开展政务公开日活动 召开重点工作推进会 发布便民服务指南 组织业务培训 落实惠民政策 优化营商环境", n
        ),
        "栏目": people.choose(rng, "部门动态 乡镇动态 公示公告 政策解读 便民提示", n),
        "栏目类型": kind,
        "发布单位": unit_names(rng, ctx, unit),
        "来源类型": np.where(original, "原创", "转载").astype(object),
        "撰稿人": staff[unit, 0],
        "报送时间": published - lead[:, 0].astype("timedelta64[s]"),
    }
    for step in STEPS:
        frame |= {f"{step}人": who[step], f"{step}时间": when[step]}
    frame |= {
        "发布时间": published,
        "页面显示日期": shown,
        "状态": state,
        "错字数": pd.array(errors, dtype="Int64"),
        "严重错误数": pd.array(serious.astype(int), dtype="Int64"),
        "字数": pd.array(rng.integers(150, 3000, n), dtype="Int64"),
        UPDATED: published + clock.seconds(rng, 60, 40 * 3600, n),
    }
    world = pd.DataFrame(frame)
    world.loc[(errors == 0) & (rng.random(n) < 0.1), "错字数"] = pd.NA
    unpublished = world.iloc[rng.permutation(n)[: max(3, n // 30)]].copy()
    unpublished[["发布时间", "页面显示日期", "终审时间", "三校时间"]] = clock.NAT
    unpublished[["终审人", "三校人"]] = None
    unpublished["状态"] = people.choose(rng, "草稿 待审 退回", len(unpublished))
    world = pd.concat([world, unpublished], ignore_index=True).sort_values(UPDATED, kind="stable", ignore_index=True)
    numbers = people.serial(np.arange(1, len(world) + 1), 8)
    world.insert(0, "信息编号", f"XX{ctx.block:02d}" + numbers)
    world["链接"] = "https://www.example.gov.cn/info/" + numbers + ".html"
    world[SYNC] = "I"
    begun = world["发布时间"].fillna(world[UPDATED]).to_numpy("datetime64[s]")
    world[FIRST] = clock.month_of(begun)
    return world[world[FIRST] <= ctx.months[-1]]


def _in_turn(rng: np.random.Generator, unit: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Systematic occasions per unit; ``unit`` is sorted."""
    done = np.empty(len(unit), dtype=bool)
    for code in np.unique(unit):
        rows = unit == code
        done[rows] = systematic(rng, np.full(int(rows.sum()), share[code]))
    return done


def media(ctx: Context) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Accounts, one row each, and their posts. A silent account leaves more than two weeks without a post."""
    rng = ctx.rng("media")
    b = ctx.behaviour
    unit = np.repeat(np.arange(len(units())), b.accounts)
    position = np.concatenate([np.arange(count) for count in b.accounts])
    n = len(unit)
    short = np.array([name.removeprefix("精河").removeprefix("县") for name in units().names], dtype=object)
    accounts = pd.DataFrame(
        {
            "平台": np.array(PLATFORMS, dtype=object)[position % len(PLATFORMS)],
            "账号名称": "精河" + short[unit] + people.choose(rng, "发布 在线 微讯", n),
            "主办单位": units().spell(rng, unit),
            "开设日期": np.datetime64("2017-01-01", "s") + rng.integers(0, 1500, n) * clock.DAY,
            "注销日期": np.full(n, clock.NAT),
        }
    )  # fmt: skip
    accounts["账号名称"] += np.where(position >= len(PLATFORMS), people.text(position), "")
    first = clock.days_of(ctx.months[0])[0]
    if not ctx.exact:  # a few accounts open or close on the way
        moved = rng.permutation(n)[: max(2, n // 12)]
        inside = clock.start(ctx.months[-1]) + rng.integers(0, 28, len(moved)) * clock.DAY
        half = len(moved) // 2
        accounts.loc[moved[:half], "注销日期"] = inside[:half]
        accounts.loc[moved[half:], "开设日期"] = inside[half:]
    accounts[UPDATED] = np.maximum(
        first.astype("datetime64[s]") - clock.DAY, accounts["开设日期"].to_numpy("datetime64[s]")
    ) + clock.seconds(rng, 30000, 70000, n)
    accounts[SYNC] = "I"
    return accounts, _media_posts(ctx, rng, accounts, unit, position)


def _media_posts(
    ctx: Context, rng: np.random.Generator, accounts: pd.DataFrame, unit: np.ndarray, position: np.ndarray
) -> pd.DataFrame:
    b = ctx.behaviour
    n = len(accounts)
    first = clock.days_of(ctx.months[0])[0] - 12  # what was posted just before comes with the first delivery
    last = clock.days_of(ctx.months[-1])[-1]
    steps = int((last - first).astype(int)) // 2 + 1
    gaps = rng.integers(1, 7, (n, steps))
    day = first + np.cumsum(gaps, axis=1)
    keep = day <= last
    for month in ctx.months:  # a silent month: nothing from its third day on, for 17 days
        chosen = np.array([month in b.silent_months.get((u, p), ()) for u, p in zip(unit, position, strict=True)])
        silent = chosen if b.silent_months else rng.random(n) < b["silent"][unit]
        begin = clock.days_of(month)[0] + 2
        keep &= ~(silent[:, None] & (day >= begin) & (day < begin + 17 + rng.integers(0, 8, n)[:, None]))
    row = np.nonzero(keep)[0]
    row = np.repeat(row, max(1, round(ctx.factor)))
    day = np.repeat(day[keep], max(1, round(ctx.factor)))
    opened = accounts["开设日期"].to_numpy("datetime64[D]")[row]
    closed = accounts["注销日期"].to_numpy("datetime64[D]")[row]
    alive = (day >= opened) & (np.isnat(closed) | (day <= closed))
    row, day = row[alive], day[alive]
    published = clock.at(day, rng.integers(8 * 3600, 23 * 3600, len(day)))
    m = len(row)
    serious = (rng.random(m) < b["serious"][unit][row] * 0.1).astype(int)
    posts_ = pd.DataFrame(
        {
            "平台": accounts["平台"].to_numpy(object)[row],
            "账号名称": accounts["账号名称"].to_numpy(object)[row],
            "标题": people.choose(rng, MEDIA_TITLES, m),
            "发布时间": published,
            "严重错误数": pd.array(serious, dtype="Int64"),
            UPDATED: published + clock.seconds(rng, 60, 7200, m),
            SYNC: np.full(m, "I", dtype=object),
        }
    ).sort_values("发布时间", kind="stable", ignore_index=True)  # fmt: skip
    posts_.insert(0, "发布编号", f"XMT{ctx.block:02d}" + people.serial(np.arange(1, m + 1), 8))
    posts_.loc[rng.random(m) < 0.2, "严重错误数"] = pd.NA
    begun = clock.month_of(posts_["发布时间"].to_numpy("datetime64[s]"))
    posts_[FIRST] = np.where(begun < ctx.months[0], ctx.months[0], begun)
    return posts_


def submissions(ctx: Context) -> pd.DataFrame:
    """What the units sent in for what they owed: on time, late or not at all; some sent back and sent again."""
    rng = ctx.rng("submissions")
    sundays = weeks(ctx) + 6
    twentieth = np.array([clock.days_of(month)[19] for month in ctx.months])
    owed = []
    for programme, prefix in PROGRAMMES.items():
        if programme == "放管服":
            owed.append(
                (programme, prefix, "动态信息", np.repeat(sundays, 2), np.repeat([iso_week(day) for day in sundays], 2))
            )
        owed.append((programme, prefix, "月小结", twentieth, np.array(ctx.months, dtype=object)))
    parts = []
    for unit in range(RANKED):
        for prefix in ("reform", "gov"):
            duties = [duty for duty in owed if duty[1] == prefix]
            due = np.concatenate([duty[3] for duty in duties])
            order = np.argsort(due, kind="stable")
            part = pd.DataFrame(
                {
                    "专项": np.concatenate([np.full(len(duty[3]), duty[0], dtype=object) for duty in duties])[order],
                    "材料类型": np.concatenate([np.full(len(duty[3]), duty[2], dtype=object) for duty in duties])[
                        order
                    ],
                    "所属期": np.concatenate([duty[4] for duty in duties])[order],
                    "_due": due[order],
                    "_unit": unit,
                }
            )
            on_time = systematic(rng, np.full(len(part), ctx.behaviour[f"{prefix}_on_time"][unit]))
            missing = ~on_time & (rng.random(len(part)) < 0.5)
            part["_on_time"] = on_time
            part = part[~missing]
            part["_adopted"] = systematic(rng, np.full(len(part), ctx.behaviour[f"{prefix}_adopted"][unit]))
            part["_returned"] = systematic(rng, np.full(len(part), ctx.behaviour[f"{prefix}_returned"][unit]))
            parts.append(part)
    world = pd.concat(parts, ignore_index=True)
    n = len(world)
    due = clock.last_second(world["_due"].to_numpy("datetime64[D]"))
    window = np.where(world["材料类型"] == "动态信息", 5.5, 12) * 86400
    sent = due - (rng.uniform(0.01, 1, n) * window).astype("timedelta64[s]")
    sent = np.where(rng.random(n) < 0.01, due, sent)
    late = due + clock.seconds(rng, 1, 6 * 86400, n)
    world["报送时间"] = np.where(world["_on_time"], sent, late)
    world["审核状态"] = np.where(world["_adopted"], "采用", "未采用").astype(object)
    back = world["_returned"].to_numpy(bool)
    world["退回次数"] = pd.array(np.where(back, rng.integers(1, 3, n), 0), dtype="Int64")
    # One in five of those sent back stands in the list twice: the piece that was returned, and the one that passed.
    twice = world[back & (rng.random(n) < 0.2)].copy()
    twice["报送时间"] = twice["报送时间"] - clock.seconds(rng, 3600, 40 * 3600, len(twice))
    twice["审核状态"] = "退回"
    twice["退回次数"] = pd.array([1] * len(twice), dtype="Int64")
    plan = world.iloc[rng.permutation(n)[: len(ctx.months) * 2]].copy()
    plan["材料类型"], plan["专项"] = "整改报告", "放管服"
    plan["所属期"] = clock.month_of(plan["报送时间"].to_numpy("datetime64[s]")).astype(object)
    world = pd.concat([world, twice, plan], ignore_index=True).sort_values("报送时间", kind="stable", ignore_index=True)
    world.insert(0, "报送编号", f"BS{ctx.block:02d}" + people.serial(np.arange(1, len(world) + 1), 7))
    world.insert(3, "报送单位", unit_names(rng, ctx, world["_unit"].to_numpy()))
    world["_reviewed"] = world["报送时间"] + clock.seconds(rng, 3600, 6 * 86400, len(world))
    world[FIRST] = clock.month_of(world["报送时间"].to_numpy("datetime64[s]"))
    world = world[(world[FIRST] <= ctx.months[-1]) & (world[FIRST] >= ctx.months[0])]
    return world.drop(columns=["_due", "_unit", "_on_time", "_adopted", "_returned"])


def iso_week(day: np.datetime64) -> str:
    """The ISO week of a day, ``YYYY-Www``."""
    year, week, _ = day.astype(object).isocalendar()
    return f"{year}-W{week:02d}"


def _pending(cut: pd.DataFrame) -> None:
    cut.loc[cut["_reviewed"].isna(), "审核状态"] = "待审"


def deliveries(ctx: Context) -> dict[tuple[str, str], pd.DataFrame]:
    """The four datasets' deliveries, by (dataset, month)."""
    out: dict[tuple[str, str], pd.DataFrame] = {}
    post_world = posts(ctx)
    accounts, media_world = media(ctx)
    by_month = {
        "cms_posts": {m: post_world[post_world[FIRST] == m].reset_index(drop=True) for m in ctx.months},
        "cms_media_posts": {m: media_world[media_world[FIRST] == m].reset_index(drop=True) for m in ctx.months},
        "cms_submissions": deliver(submissions(ctx), ctx.months, "报送时间", {"_reviewed": []}, _pending),
    }

    def new_number(column: str):
        def change(rows: pd.DataFrame) -> pd.DataFrame:
            rows[column] = rows[column].str.slice(0, -5) + "9" + rows[column].str.slice(-4)
            return rows

        return change

    def change_post(rng: np.random.Generator, rows: pd.DataFrame, month: str) -> pd.DataFrame:
        return rows.assign(字数=rows["字数"] + 10, 标题=rows["标题"] + "（更正）")

    def change_media(rng: np.random.Generator, rows: pd.DataFrame, month: str) -> pd.DataFrame:
        return rows.assign(标题=rows["标题"] + "（更正）")

    def change_submission(rng: np.random.Generator, rows: pd.DataFrame, month: str) -> pd.DataFrame:
        return rows if ctx.exact else rows.assign(审核状态="采用")

    plans = {
        "cms_posts": Churn(("信息编号",), new_number("信息编号"), change_post),
        "cms_media_posts": Churn(("发布编号",), new_number("发布编号"), change_media),
        "cms_submissions": Churn(("报送编号",), new_number("报送编号"), change_submission),
    }
    for dataset, plan in plans.items():
        churned = churn(ctx.rng(dataset, "churn"), by_month[dataset], ctx.months, plan)
        out |= {(dataset, month): frame[list(COLUMNS[dataset])] for month, frame in churned.items()}
    # The register of accounts is sent when something changes: in most months a file with a header only.
    opened = clock.month_of(accounts["开设日期"].to_numpy("datetime64[s]"))
    opened = np.where(opened < ctx.months[0], ctx.months[0], opened)
    cancelled = clock.month_of(accounts["注销日期"].to_numpy("datetime64[s]"))
    for month in ctx.months:
        new = accounts[opened == month]
        gone = accounts[(cancelled == month) & (opened <= month)].copy()
        gone[UPDATED], gone[SYNC] = gone["注销日期"] + clock.DAY, "U"
        new = new.assign(注销日期=new["注销日期"].where(cancelled[opened == month] < month, None))
        frame = pd.concat([new, gone], ignore_index=True) if len(gone) else new.reset_index(drop=True)
        out["cms_media_accounts", month] = frame[list(COLUMNS["cms_media_accounts"])]
    return out
