"""The scenario ``notice``: the county of the July-August 2022 notice (通报), with the two months before it.

The notice's consistent figures are met exactly; who is praised and who lags follows from how the units behave. The
figures are those of rows that count: cases by 受理时间 without 作废 and 删除, of every unit, the service centre and
unknown names included; tickets by 来电时间 without 作废; good reviews (基本满意 or better) by channel up to the end of
August, those of the years before delivered with the first month.
"""

from __future__ import annotations

import numpy as np

from simulator import clock
from simulator.behaviour import Behaviour
from simulator.catalog import units
from simulator.context import Context, Targets
from simulator.generate import Tables, tables

MONTHS = ("2022-05", "2022-06", "2022-07", "2022-08")

CASE_WEIGHTS = {
    "精河镇": 50, "大河沿子镇": 30, "托里镇": 28, "托托镇": 18, "茫丁乡": 24, "八家户农场": 16, "阿合其农场": 12,
    "红星街道": 14, "曙光街道": 13, "精河工业园区管委会": 6, "县生态环境局": 6, "县发改委": 6, "县公安局": 125,
    "县水利局": 12, "县医保局": 110, "县人社局": 140, "县文旅局": 10, "县科技局": 3, "县应急管理局": 9,
    "县住建局": 38, "县市场监督管理局": 120, "县教育局": 22, "县财政局": 4, "县民政局": 40, "县商工局": 9,
    "县司法局": 15, "县残疾人联合会": 12, "县行政服务中心": 90,
}  # fmt: skip
DISPATCHED_IN_JULY = {
    "县人社局": 24, "县住建局": 23, "县市场监督管理局": 17, "茫丁乡": 16, "精河镇": 12, "大河沿子镇": 11,
    "县公安局": 6, "县教育局": 5, "县医保局": 5, "县民政局": 4, "县水利局": 4, "托里镇": 3, "八家户农场": 2,
    "阿合其农场": 2, "红星街道": 2, "曙光街道": 2, "县生态环境局": 2, "精河工业园区管委会": 1, "县文旅局": 1,
    "县应急管理局": 1, "县商工局": 1, "县司法局": 1, "县残疾人联合会": 1, "托托镇": 1, "县发改委": 1,
}  # fmt: skip

#: area -> who does it well and who badly; everybody else is in between.
WELL = {
    "website": "托里镇 阿合其农场 茫丁乡 县生态环境局 县发改委 县公安局",
    "reform": "托里镇 八家户农场 县人社局 县文旅局 县科技局 县应急管理局",
    "governance": "精河镇 托里镇 茫丁乡 县教育局 县发改委 县财政局",
    "platform": "八家户农场 精河镇 阿合其农场 县市场监督管理局 县人社局 县残疾人联合会",
}
BADLY = {
    "website": "托托镇 大河沿子镇 精河工业园区管委会 县水利局",
    "reform": "红星街道 曙光街道 托托镇 县住建局 县水利局 县市场监督管理局",
    "governance": "阿合其农场 大河沿子镇 县水利局 县民政局 县商工局",
}
#: parameter -> ranges of those who do well, of those in between, of those who do badly
TIERS: dict[str, dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]]] = {
    "website": {
        "weeks": ((1, 1), (0.69, 0.77), (0.2, 0.38)),
        "second_post": ((0.3, 0.6), (0.3, 0.45), (0.0, 0.1)),
        "bunched": ((0, 0), (0.08, 0.18), (0.3, 0.7)),
        "complete": ((1, 1), (0.86, 0.93), (0.78, 0.88)),
        "independent": ((0.96, 1), (0.86, 0.95), (0.8, 0.9)),
        "errors": ((0, 0.05), (0.03, 0.08), (0.08, 0.2)),
        "backdated": ((0, 0), (0, 0), (0, 0)),
        "serious": ((0, 0), (0, 0), (0, 0)),
    },
    "reform": {
        "reform_on_time": ((1, 1), (0.82, 0.87), (0.35, 0.66)),
        "reform_adopted": ((0.7, 0.85), (0.38, 0.48), (0.2, 0.45)),
        "reform_returned": ((0, 0), (0.08, 0.16), (0.15, 0.35)),
    },
    "governance": {
        "gov_on_time": ((1, 1), (0.75, 0.75), (0.25, 0.25)),
        "gov_adopted": ((0.75, 1), (0.4, 0.7), (0.2, 0.5)),
        "gov_returned": ((0, 0), (0, 0.3), (0.2, 0.5)),
    },
    "platform": {
        "late": ((0.002, 0.01), (0.01, 0.05), (0.05, 0.1)),
        "online": ((0.7, 0.8), (0.5, 0.66), (0.3, 0.4)),
        "active": ((0.6, 0.68), (0.14, 0.32), (0.1, 0.2)),
        "good": ((0.995, 0.999), (0.955, 0.98), (0.93, 0.95)),
        "fixed": ((0.97, 1), (0.6, 0.78), (0.4, 0.6)),
    },
    "hotline": {
        "signed": ((0.97, 1), (0.85, 0.97), (0.7, 0.85)),
        "replied": ((0.97, 1), (0.82, 0.96), (0.7, 0.85)),
        "solved": ((0.92, 0.97), (0.72, 0.92), (0.5, 0.7)),
        "satisfied": ((0.98, 0.99), (0.95, 0.98), (0.9, 0.95)),
        "rework": ((0, 0.02), (0.02, 0.08), (0.1, 0.2)),
        "wrong_return": ((0, 0.02), (0.01, 0.06), (0.1, 0.15)),
        "urged": ((0, 0.05), (0.05, 0.2), (0.2, 0.35)),
    },
    "media": {"silent": ((0, 0), (0, 0), (0, 0))},
}
JULY_AUGUST = MONTHS[2:]
#: (unit, its n-th account) -> months in which it says nothing for more than two weeks
SILENT = {
    ("县司法局", 0): MONTHS[1:],
    ("县市场监督管理局", 0): JULY_AUGUST,
    ("县市场监督管理局", 1): MONTHS[2:3],
    ("精河工业园区管委会", 0): JULY_AUGUST,
    ("县水利局", 2): MONTHS[3:],
    ("大河沿子镇", 1): MONTHS[:1],
}
ACCOUNTS = {"县司法局": 1, "县市场监督管理局": 2, "精河工业园区管委会": 2, "县水利局": 3, "大河沿子镇": 3}
#: Posts that cost their unit the month: a false date of publication, a grave error.
VETOES = {
    ("八家户农场", "2022-07"): "serious",
    ("县医保局", "2022-08"): "backdated",
    ("县民政局", "2022-05"): "serious",
}

ONLINE_SHARE = 26_849 / 41_997


def targets() -> Targets:
    """The notice's consistent figures, and for its wrong ones the correct ones."""
    unit = {name: units().index(name) for name in units().names}
    return Targets(
        cases={"2022-05": 20_480, "2022-06": 21_130, "2022-07": 20_600, "2022-08": 21_397},
        window_cases={"2022-07": 7_431, "2022-08": 7_717},
        good_reviews={"政务服务网": 8_477, "移动端": 97_868, "线下实体大厅": 858, "短信": 146_845, "二维码": 9_712},
        tickets={"2022-05": 351, "2022-06": 364, "2022-07": 377, "2022-08": 392},
        closed={"2022-05": 331, "2022-06": 350, "2022-07": 338, "2022-08": 355},
        ticket_types={"2022-07": {"求助": 79, "咨询": 244, "投诉": 35, "举报": 8, "建议": 11}},
        dispatched={"2022-07": {unit[name]: count for name, count in DISPATCHED_IN_JULY.items()}},
        ratings={"2022-07": (377, 5)},  # the only reading under which 98.7 % comes out
        calls={"2022-05": 442, "2022-06": 455, "2022-07": 465, "2022-08": 483},
        no_overdue=frozenset(JULY_AUGUST),
        fixed_months=frozenset(JULY_AUGUST),
    )


def behaviour(seed: int) -> Behaviour:
    """The units as the notice shows them, each somewhere in the range of its kind."""
    rng = clock.rng_for(seed, "notice")
    names = np.array(units().names)
    shares = {}
    for area, parameters in TIERS.items():
        tier = np.full(len(names), 1)
        tier[np.isin(names, WELL.get(area, "").split())] = 0
        tier[np.isin(names, BADLY.get(area, "").split())] = 2
        for parameter, ranges in parameters.items():
            low, high = np.array(ranges)[tier].T
            shares[parameter] = low + (high - low) * rng.random(len(names))
    weight = np.array([CASE_WEIGHTS[name] for name in units().names], dtype=float)
    weight /= weight.sum()
    # The service centre enters what nobody else does; its share of the counter makes up the county's.
    centre = units().index("县行政服务中心")
    others = (weight * shares["online"]).sum() - weight[centre] * shares["online"][centre]
    shares["online"][centre] = np.clip((ONLINE_SHARE - others) / weight[centre], 0.2, 0.95)
    tickets = np.array([DISPATCHED_IN_JULY.get(name, 0) + 0.5 for name in units().names])
    accounts = np.where(rng.random(len(names)) < 0.4, 2, 1)
    for name, count in ACCOUNTS.items():
        accounts[units().index(name)] = count
    return Behaviour(
        shares=shares,
        case_weight=weight,
        ticket_weight=tickets / tickets.sum(),
        accounts=accounts,
        unknown_name=0.0004,
        silent_months={(units().index(name), position): months for (name, position), months in SILENT.items()},
        vetoes={(units().index(name), month): kind for (name, month), kind in VETOES.items()},
    )


def notice(seed: int = 1) -> Tables:
    """The scenario's tables by (dataset, month), 2022-05 to 2022-08."""
    return tables(Context(seed, MONTHS, 1, behaviour(seed), targets()))
