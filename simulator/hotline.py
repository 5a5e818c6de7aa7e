"""The 12345 hotline: tickets (工单), their dispatches (派单), exclusions (剔除审批) and the daily calls (话务日报)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from simulator import clock, people
from simulator.catalog import COLUMNS, UPDATED, units
from simulator.context import Context
from simulator.dispatches import dispatches, exclusions
from simulator.history import FIRST, Churn, churn, deliver
from simulator.people import where
from simulator.quotas import final_units, meet_closed, meet_ratings

TICKETS_A_MONTH = 380
CALLS_A_DAY = 15
DIRECT_SHARE = 229 / 377
TYPES = ["咨询", "求助", "投诉", "举报", "建议", "表扬", "其他"]
TYPE_WEIGHTS = [244, 79, 35, 8, 11, 4, 3]
PATHS = [
    "住房城乡建设->物业管理->物业收费", "住房城乡建设->供水供热", "劳动和社会保障->工资拖欠",
    "劳动和社会保障->养老保险", "农业农村->土地流转", "农业农村->拆迁补偿", "市场监管->消费维权",
    "市场监管->食品安全", "生态环境->噪声扰民", "教育->入学咨询", "医疗保障->异地就医", "公安户籍->居住证",
    "交通运输->公交线路", "政务服务->引人聚才政策",
]  # fmt: skip
DEMANDS = [
    "反映小区供暖不足，", "咨询养老保险缴费年限，", "反映工地拖欠工资，", "求助土地流转合同纠纷，",
    "投诉商店短斤少两，", "建议增加公交班次，", "反映夜间施工噪声扰民,", "咨询孩子入学需要的材料，",
]  # fmt: skip


def tickets(ctx: Context, month: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The month's tickets, dispatches and exclusions as they end."""
    rng = ctx.rng("tickets", month)
    b, targets = ctx.behaviour, ctx.targets
    counted = targets.tickets.get(month) or ctx.scaled(TICKETS_A_MONTH * rng.uniform(0.93, 1.07))
    void = max(1, round(counted * 0.015))
    n = counted + void
    is_void = np.arange(n) >= counted
    by_unit = targets.dispatched.get(month)
    final = (
        final_units(rng, by_unit)
        if by_unit
        else rng.choice(len(units()), round(counted * (1 - DIRECT_SHARE)), p=b.ticket_weight)
    )
    is_direct = np.arange(n) >= len(final)
    is_direct[is_void] = rng.random(void) < 0.5
    is_sent = ~is_direct
    unit = np.full(n, -1)
    unit[: len(final)] = final
    unit[is_sent & is_void] = rng.choice(len(units()), int((is_sent & is_void).sum()), p=b.ticket_weight)

    # The hotline is manned day and night; days off bring half as many calls.
    called = clock.at(clock.draw_days(rng, month, n, day_off=0.5), rng.integers(7 * 3600, 23 * 3600, n))
    mix = targets.ticket_types.get(month)
    kind = people.choose(rng, TYPES, n, p=[float(w * (not ctx.exact or i < 5)) for i, w in enumerate(TYPE_WEIGHTS)])
    if mix:
        kind[:counted] = rng.permutation(np.repeat(np.array(list(mix), dtype=object), list(mix.values())))
    order = np.argsort(called, kind="stable")
    number = np.empty(n, dtype=object)
    number[order] = f"GD{ctx.block:02d}{month.replace('-', '')}" + people.serial(np.arange(1, n + 1), 7)

    sent = dispatches(ctx, rng, month, number[is_sent], called[is_sent], unit[is_sent])
    lead = sent[sent["_final"]].set_index("工单编号").reindex(number[is_sent])
    replied = lead["办复时间"].to_numpy("datetime64[s]")
    closed = called + clock.seconds(rng, 60, 1800, n)
    # Some citizens are told at once and the ticket stays open until the answer is typed in.
    closed[is_sent] = np.where(np.isnat(replied), clock.NAT, replied + clock.seconds(rng, 600, 26 * 3600, len(replied)))
    if month in targets.closed:
        closed = meet_closed(rng, closed, called, is_direct, ~is_void, targets.closed[month], clock.pulled(month))
    called_back = ~np.isnat(closed) & ~is_void & (ctx.exact | (rng.random(n) < 0.9))
    back = closed + clock.seconds(rng, 600, 2 * 86400, n)
    if ctx.exact:  # every ticket that is closed when the month is pulled has been called back by then
        in_time = closed <= clock.pulled(month)
        back = np.where(in_time & (back > clock.pulled(month)), closed + clock.SECOND * 300, back)
    back = np.where(called_back, back, clock.NAT)
    reached = called_back & (rng.random(n) < 0.9)
    outcome = where(
        called_back, np.where(reached, "已接通", people.choose(rng, "未接通 拒访", n, p=[0.8, 0.2])), None
    )  # fmt: skip
    share = np.where(is_sent, b["solved"][unit], 0.97)
    solved = np.where(rng.random(n) < share, "解决", people.choose(rng, "部分解决 未解决", n, p=[0.6, 0.4]))
    pleased = rng.random(n) < np.where(is_sent, b["satisfied"][unit], 0.998)
    rating = np.where(pleased, people.choose(rng, "满意 基本满意", n, p=[0.8, 0.2]), "不满意").astype(object)
    rating[pleased & (rng.random(n) < 0.04)] = "未评价"

    again = (rng.random(n) < 0.05) & (called > np.sort(called)[n // 10])
    earlier = number[order][np.maximum(0, np.searchsorted(called[order], called) - rng.integers(1, 30, n))]
    caller, phone = people.names(rng, n), people.phones(rng, n)
    frame = pd.DataFrame(
        {
            "工单编号": number,
            "来电时间": called,
            "来电人": where(rng.random(n) < 0.1, None, caller),
            "来电号码": phone,
            "诉求类型": kind,
            "诉求分类": where(rng.random(n) < 0.03, None, people.choose(rng, PATHS, n)),
            "诉求内容": _content(rng, caller, phone, n),
            "办理方式": np.where(is_direct, "直接答复", "转办").astype(object),
            "关联工单": where(again & (earlier != number), earlier, None),
            "工单状态": np.where(is_void, "作废", "已办结").astype(object),
            "办结时间": closed,
            "回访时间": back,
            "回访结果": outcome,
            "是否解决": where(reached, solved, None),
            "满意度": where(reached, rating, None),
        }
    ).iloc[order]
    frame[FIRST] = month
    sent[FIRST] = clock.month_of(sent["派单时间"].to_numpy("datetime64[s]"))
    return frame.reset_index(drop=True), sent, exclusions(ctx, rng, sent)


def _content(rng: np.random.Generator, caller: np.ndarray, phone: np.ndarray, n: int) -> np.ndarray:
    """What the citizen said, people and numbers in the middle of it; a few with a line break or a comma or a quote."""
    street = people.STREETS[rng.integers(0, len(people.STREETS), n)]
    ask = people.choose(rng, DEMANDS, n)
    other = people.names(rng, n)
    tail = np.array(["", "，联系人", "，身份证号", '，对方称"不归我们管"，\n请回电'], dtype=object)[
        kind := rng.choice(4, n, p=[0.55, 0.25, 0.1, 0.1])
    ]
    more = np.where(kind == 1, other + people.phones(rng, n), np.where(kind == 2, people.resident_ids(rng, n), ""))
    return (
        caller
        + "来电（"
        + phone
        + "），"
        + ask
        + "地址"
        + street
        + people.text(rng.integers(1, 200, n))
        + "号"
        + tail
        + more
    )


def calls(ctx: Context, month: str) -> pd.DataFrame:
    """The month's daily figures, one row a day."""
    rng = ctx.rng("calls", month)
    days = clock.days_of(month)
    share = np.where(clock.is_workday(days), 1.0, 0.6) * rng.uniform(0.8, 1.2, len(days))
    total = ctx.targets.calls.get(month) or round(CALLS_A_DAY * ctx.factor * len(days))
    incoming = rng.multinomial(total, share / share.sum())
    answered = incoming if ctx.exact else rng.binomial(incoming, 0.985)
    quick = rng.binomial(answered, 0.93)
    frame = pd.DataFrame(
        {
            "日期": days.astype("datetime64[s]"),
            "呼入量": pd.array(incoming, dtype="Int64"),
            "接通量": pd.array(answered, dtype="Int64"),
            "十五秒接通量": pd.array(quick, dtype="Int64"),
            UPDATED: clock.at(days + 1, rng.integers(600, 3600, len(days))),
        }
    )
    frame.loc[rng.random(len(days)) < 0.05, "十五秒接通量"] = pd.NA
    return frame


def _status(cut: pd.DataFrame) -> None:
    """A ticket's state as far as it is known: what the hotline's own screen would show that day."""
    live = cut["工单状态"] != "作废"
    state = np.where(cut["回访时间"].notna(), "已回访", np.where(cut["办结时间"].notna(), "已办结", "办理中"))
    cut["工单状态"] = np.where(live, state, "作废").astype(object)


def deliveries(ctx: Context) -> dict[tuple[str, str], pd.DataFrame]:
    """The four datasets' deliveries, by (dataset, month)."""
    parts = [tickets(ctx, month) for month in ctx.months]
    ticket_world, dispatch_world, exclusion_world = (
        pd.concat(list(p), ignore_index=True) for p in zip(*parts, strict=True)
    )
    for month, (rated, dissatisfied) in ctx.targets.ratings.items():
        ticket_world = meet_ratings(ctx.rng("ratings", month), ticket_world, month, rated, dissatisfied)
    last = ctx.months[-1]
    dispatch_world = dispatch_world[dispatch_world[FIRST] <= last].drop(columns=["_unit", "_final", "_early"])
    exclusion_world = exclusion_world[exclusion_world[FIRST] <= last]
    cuts = {
        "hotline_tickets": deliver(
            ticket_world,
            ctx.months,
            "来电时间",
            {"办结时间": [], "回访时间": ["回访结果", "是否解决", "满意度"]},
            _status,
        ),
        "hotline_dispatches": deliver(
            dispatch_world,
            ctx.months,
            "派单时间",
            {"签收时间": [], "退单时间": ["退单是否成立"], "办复时间": ["填报是否解决"]},
        ),
        "hotline_exclusions": deliver(exclusion_world, ctx.months, "申请时间", {"批准时间": ["批准人", "审批结果"]}),
    }
    fixed = ctx.targets.fixed_months

    def change_ticket(rng: np.random.Generator, rows: pd.DataFrame, month: str) -> pd.DataFrame:
        if month not in fixed:
            rows["诉求类型"] = people.choose(rng, TYPES[:5], len(rows))
        rows["诉求分类"] = people.choose(rng, PATHS, len(rows))
        return rows

    def change_dispatch(rng: np.random.Generator, rows: pd.DataFrame, month: str) -> pd.DataFrame:
        rows["重办次数"] = rows["重办次数"].fillna(0) + 1
        return rows

    def change_exclusion(rng: np.random.Generator, rows: pd.DataFrame, month: str) -> pd.DataFrame:
        return rows.assign(剔除原因="重复派单")

    def other_ticket(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(工单编号=rows["工单编号"].str.slice(0, -7) + "9" + rows["工单编号"].str.slice(-6))

    def other_dispatch(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(派单序号=rows["派单序号"] + 50)

    def late(month: str) -> bool:
        return month not in fixed

    plans = {
        "hotline_tickets": Churn(("工单编号",), other_ticket, change_ticket, late=late),
        "hotline_dispatches": Churn(("工单编号", "派单序号"), other_dispatch, change_dispatch, late=late),
        "hotline_exclusions": Churn(("工单编号", "承办单位"), other_ticket, change_exclusion, late=late),
    }
    out: dict[tuple[str, str], pd.DataFrame] = {}
    for dataset, plan in plans.items():
        churned = churn(ctx.rng(dataset, "churn"), cuts[dataset], ctx.months, plan)
        out |= {(dataset, month): frame[list(COLUMNS[dataset])] for month, frame in churned.items()}
    previous: pd.DataFrame | None = None
    for month in ctx.months:
        frame = calls(ctx, month)
        rows = [frame]
        if previous is not None:  # a day of the month before, counted again
            again = previous.iloc[[5]].copy()
            again["呼入量"] = again["呼入量"] + 1
            again[UPDATED] = clock.start(month) + 9 * clock.DAY
            rows.append(again)
        out["hotline_calls", month] = pd.concat(rows, ignore_index=True)
        previous = None if month in fixed else frame
    return out
