"""The hotline's dispatches (派单) to the units, and the requests to strike some out of the count (剔除审批)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from simulator import clock, people
from simulator.catalog import units
from simulator.context import Context
from simulator.history import FIRST
from simulator.people import where
from simulator.platform import unit_names


def dispatches(
    ctx: Context, rng: np.random.Generator, month: str, number: np.ndarray, called: np.ndarray, unit: np.ndarray
) -> pd.DataFrame:
    """The dispatches of the sent tickets, the last 主办 one of each marked ``_final`` and held by ``unit``."""
    n = len(number)
    latest = clock.end(month) - clock.SECOND * 600
    # An earlier dispatch to another unit: handed back with reason, or (rarely) simply moved on.
    moved = rng.random(n) < 0.12
    first_at = called + clock.seconds(rng, 300, 9000, n)
    second_at = first_at + clock.seconds(rng, 6 * 3600, 2 * 86400, n)
    if ctx.exact:  # a scenario's tickets are dispatched in the month they came
        first_at = np.minimum(first_at, np.maximum(called + clock.SECOND * 60, latest))
        moved &= second_at < latest
    helped = rng.random(n) < 0.15
    helper = (unit + rng.integers(1, len(units()), n)) % len(units())
    other = (unit + rng.integers(1, len(units()), n)) % len(units())
    rows = {
        "number": np.concatenate([number[moved], number, number[helped]]),
        "no": np.concatenate([np.ones(moved.sum()), 1 + moved, 2 + moved[helped]]).astype(int),
        "unit": np.concatenate([other[moved], unit, helper[helped]]),
        "at": np.concatenate(
            [first_at[moved], np.where(moved, second_at, first_at), np.where(moved, second_at, first_at)[helped]]
        ),
    }
    early = np.arange(len(rows["no"])) < moved.sum()
    final = ~early & (np.arange(len(rows["no"])) < moved.sum() + n)
    u, sent, m = rows["unit"], rows["at"], len(rows["no"])
    b = ctx.behaviour
    day = sent.astype("datetime64[D]")
    sign_limit = np.where(rng.random(m) < 0.05, clock.NAT, clock.last_second(clock.nth_workday(day, 1)))
    signed = sent + clock.seconds(rng, 600, 20 * 3600, m)
    tardy = rng.random(m) > b["signed"][u]
    signed = np.where(
        tardy,
        np.where(np.isnat(sign_limit), signed, sign_limit + clock.seconds(rng, 1, 2 * 86400, m)),
        np.where(np.isnat(sign_limit), signed, np.minimum(signed, sign_limit)),
    )
    due = clock.last_second(clock.nth_workday(day, rng.choice([3, 5, 5, 10], m)))
    extended = np.where(rng.random(m) < 0.1, clock.last_second(clock.nth_workday(due, 5)), clock.NAT)
    limit = np.where(np.isnat(extended), due, extended)
    span = np.maximum((limit - signed).astype(int), 3600)
    replied = signed + (rng.beta(2, 2, m) * span).astype("timedelta64[s]")
    replied = np.where(rng.random(m) < 0.02, np.maximum(limit, signed), replied)
    replied = np.where(rng.random(m) > b["replied"][u], limit + clock.seconds(rng, 1, 9 * 86400, m), replied)
    replied[rng.random(m) < 0.01] = clock.NAT
    returned = np.where(early, sent + clock.seconds(rng, 1800, 5 * 3600, m), clock.NAT)
    upheld = where(early & (rng.random(m) < 0.85), "是", None)
    # Handed back without reason, or not yet decided: it stays with the unit.
    wrong = final & (rng.random(m) < b["wrong_return"][u])
    returned = np.where(wrong, sent + clock.seconds(rng, 1800, 86400, m), returned)
    upheld = np.where(wrong, people.choose(rng, ["否", ""], m, p=[0.7, 0.3]), upheld)
    upheld[upheld == ""] = None
    signed, replied = (np.where(early, clock.NAT, times) for times in (signed, replied))
    claim = np.where(rng.random(m) < 0.9, "解决", people.choose(rng, "部分解决 未解决", m))
    order = np.lexsort((rows["no"], rows["number"].astype(str)))
    frame = pd.DataFrame(
        {
            "工单编号": rows["number"],
            "派单序号": pd.array(rows["no"], dtype="Int64"),
            "承办单位": units().spell(rng, u) if month in ctx.targets.dispatched else unit_names(rng, ctx, u),
            "承办角色": np.where(early | final, "主办", "协办").astype(object),
            "派单时间": sent,
            "签收期限": sign_limit,
            "签收时间": signed,
            "办理期限": due,
            "延期期限": extended,
            "办复时间": replied,
            "退单时间": returned,
            "退单是否成立": upheld,
            "填报是否解决": where(np.isnat(replied), None, claim),
            "催办次数": pd.array((rng.random(m) < b["urged"][u]) * rng.integers(1, 4, m), dtype="Int64"),
            "督办次数": pd.array((rng.random(m) < 0.02).astype(int), dtype="Int64"),
            "重办次数": pd.array((rng.random(m) < b["rework"][u]) * rng.integers(1, 3, m), dtype="Int64"),
            "_unit": u,
            "_final": final,
            "_early": early,
        }
    ).iloc[order]
    frame.loc[rng.random(m) < 0.1, "督办次数"] = pd.NA
    return frame.reset_index(drop=True)


def exclusions(ctx: Context, rng: np.random.Generator, sent: pd.DataFrame) -> pd.DataFrame:
    """Requests to strike a unit's dispatch out of the count, under whatever name the unit writes."""
    n = len(sent)
    undecided = (sent["_early"] & sent["退单是否成立"].isna()).to_numpy()
    asked = (rng.random(n) < 0.08) | (undecided & ctx.exact)
    rows = sent[asked]
    m = len(rows)
    decision = people.choose(rng, ["同意", "不同意", ""], m, p=[0.5, 0.35, 0.15])
    if ctx.exact:
        decision[undecided[asked]] = "同意"
        decision[rows["_final"].to_numpy() & (decision == "同意")] = "不同意"
    decision[decision == ""] = None
    applied = rows["派单时间"].to_numpy("datetime64[s]") + clock.seconds(rng, 3600, 2 * 86400, m)
    frame = pd.DataFrame(
        {
            "工单编号": rows["工单编号"].to_numpy(object),
            "承办单位": units().spell(rng, rows["_unit"].to_numpy(), alias_share=0.5),
            "剔除原因": people.choose(rng, "不属于本单位职责 重复派单 诉求人撤诉 涉法涉诉", m),
            "申请时间": applied,
            "批准时间": np.where(pd.isna(decision), clock.NAT, applied + clock.seconds(rng, 3600, 2 * 86400, m)),
            "批准人": where(pd.isna(decision), None, people.choose(rng, "努尔兰 李志强 王海燕", m)),
            "审批结果": decision,
        }
    )
    frame[FIRST] = clock.month_of(applied)
    return frame.drop_duplicates(["工单编号", "承办单位"])
