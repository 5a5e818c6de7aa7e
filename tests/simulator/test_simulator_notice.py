"""The notice's figures, counted straight from the files, and its lists, by an independent calculation."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from simulator import generate, write
from simulator.catalog import units
from tests.reference_calc import calculate

MONTHS = ("2022-05", "2022-06", "2022-07", "2022-08")
Rows = list[dict[str, str]]


@pytest.fixture(scope="session")
def current(notice_exports: Path) -> Callable[..., Rows]:
    """The rows of a dataset that stand after the deliveries up to a month, read with nothing but json and csv."""

    @cache
    def read(dataset: str, *key: str, until: str = "2022-08") -> Rows:
        newest: dict[tuple[str, ...], dict[str, str]] = {}
        for month in MONTHS:
            if month > until:
                break
            folder = next(notice_exports.glob(f"*/{dataset}/{month}"))
            for path in sorted(folder.iterdir()):
                if path.name == "manifest.json":
                    continue
                if path.suffix == ".json":
                    rows = json.loads(path.read_text("utf-8"))["rows"]
                else:
                    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("gb18030"), newline="")))
                for row in rows:
                    seen = newest.get(k := tuple(str(row[column]) for column in key))
                    if seen is None or row["更新时间"] >= seen["更新时间"]:
                        newest[k] = row
        return [row for row in newest.values() if row.get("同步类型") != "D"]

    return read


@pytest.fixture(scope="session")
def accepted(current: Callable[..., Rows]) -> Rows:
    return [
        row
        for row in current("platform_cases", "办件编号")
        if row["办结结果"] not in ("作废", "删除") and "2022-07" <= (row["受理时间"] or "")[:7] <= "2022-08"
    ]


def test_cases(accepted: Rows) -> None:
    assert len(accepted) == 41_997
    assert Counter(row["申请来源"] for row in accepted) == {"窗口登记": 15_148, "政务服务APP": 26_849}


@pytest.mark.parametrize(
    ("channel", "figure"),
    [("政务服务网", 8_477), ("移动端", 97_868), ("线下实体大厅", 858), ("短信", 146_845), ("二维码", 9_712)],
)
def test_good_reviews_to_date(current: Callable[..., Rows], channel: str, figure: int) -> None:
    void = {row["办件编号"] for row in current("platform_cases", "办件编号") if row["办结结果"] in ("作废", "删除")}
    good = [
        row
        for row in current("platform_reviews", "评价编号")
        if row["评价等级"] in ("非常满意", "满意", "基本满意")
        and row["评价渠道"] == channel
        and row["评价时间"] < "2022-09"
        and row["办件编号"] not in void
    ]
    assert len(good) == figure


@pytest.fixture(params=["2022-07", "2022-08"], ids=["when July is delivered", "when August is delivered"])
def until(request: pytest.FixtureRequest) -> str:
    """The hotline's figures are July's: they hold from July's delivery on, whatever August brings."""
    return str(request.param)


@pytest.fixture
def received(current: Callable[..., Rows], until: str) -> Rows:
    rows = current("hotline_tickets", "工单编号", until=until)
    return [row for row in rows if row["工单状态"] != "作废" and row["来电时间"][:7] == "2022-07"]


def test_tickets_received_and_closed(received: Rows) -> None:
    assert len(received) == 377
    closed = [row for row in received if row["办结时间"] and row["办结时间"] <= "2022-08-05 23:59:59"]
    assert len(closed) == 338
    assert all(row["回访时间"] and row["回访时间"] <= "2022-08-05 23:59:59" for row in closed)


def test_ticket_types(received: Rows) -> None:
    kinds = Counter(row["诉求类型"] for row in received)
    assert (kinds["求助"], kinds["咨询"], kinds["投诉"], kinds["举报"] + kinds["建议"]) == (79, 244, 35, 19)
    assert Counter(row["办理方式"] for row in received) == {"直接答复": 229, "转办": 148}


def test_satisfaction(current: Callable[..., Rows], until: str) -> None:
    rows = current("hotline_tickets", "工单编号", until=until)
    said = Counter(r["满意度"] for r in rows if r["工单状态"] != "作废" and r["回访时间"][:7] == "2022-07")
    assert (said["满意"] + said["基本满意"], said["不满意"]) == (372, 5)


def test_dispatched_tickets_by_unit(current: Callable[..., Rows], until: str) -> None:
    unit_of = {name: unit[0] for unit in units().spoken for name in unit}
    void = {
        row["工单编号"]
        for row in current("hotline_tickets", "工单编号", until=until)
        if row["工单状态"] == "作废"
    }  # fmt: skip
    struck = {
        (row["工单编号"], unit_of[row["承办单位"]])
        for row in current("hotline_exclusions", "工单编号", "承办单位", until=until)
        if row["审批结果"] == "同意"
    }
    last: dict[str, tuple[int, str]] = {}
    for row in current("hotline_dispatches", "工单编号", "派单序号", until=until):
        if row["承办角色"] != "主办" or row["退单是否成立"] == "是" or row["派单时间"][:7] != "2022-07":
            continue
        ticket, unit = row["工单编号"], unit_of.get(row["承办单位"], "UNMAPPED")
        if ticket not in void and (ticket, unit) not in struck:
            last[ticket] = max(last.get(ticket, (0, "")), (int(row["派单序号"]), unit))
    counts = Counter(unit for _, unit in last.values())
    assert counts.total() == 148
    top = {"县人社局": 24, "县住建局": 23, "县市场监督管理局": 17, "茫丁乡": 16, "精河镇": 12, "大河沿子镇": 11}
    assert dict(counts.most_common(6)) == top
    assert struck, "exclusions are part of the scenario"


def test_calls_a_day(current: Callable[..., Rows], until: str) -> None:
    days = [row for row in current("hotline_calls", "日期", until=until) if row["日期"][:7] == "2022-07"]
    assert len(days) == 31
    assert sum(int(row["呼入量"]) for row in days) == 15 * 31
    assert all(row["呼入量"] == row["接通量"] for row in days)


LISTS = {
    ("website", "good"): "托里镇 阿合其农场 茫丁乡 县生态环境局 县发改委 县公安局",
    ("website", "lagging"): "托托镇 大河沿子镇 八家户农场 精河工业园区管委会 县水利局 县医保局",
    ("reform", "good"): "托里镇 八家户农场 县人社局 县文旅局 县科技局 县应急管理局",
    ("reform", "lagging"): "红星街道 曙光街道 托托镇 县住建局 县水利局 县市场监督管理局",
    ("governance", "good"): "精河镇 托里镇 茫丁乡 县教育局 县发改委 县财政局",
    ("governance", "lagging"): "阿合其农场 大河沿子镇 县水利局 县民政局 县商工局",
    ("media", "lagging"): "县司法局 县市场监督管理局 精河工业园区管委会",
    ("platform", "good"): "八家户农场 精河镇 阿合其农场 县市场监督管理局 县人社局 县残疾人联合会",
}


@pytest.fixture(scope="session")
def rankings(notice_tables: generate.Tables, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The bimonth's rankings by the independent calculation; the years before, in no ranking, are left out."""
    reviews = notice_tables["platform_reviews", "2022-05"]
    recent = reviews[~(reviews["评价时间"] < "2022-05-01")].reset_index(drop=True)
    out = tmp_path_factory.mktemp("lists") / "exports"
    write.write_exports(notice_tables | {("platform_reviews", "2022-05"): recent}, out)
    result = calculate(out, ["2022-07--2022-08"])
    assert len(result.quarantine) == len(result.refused) == 0
    shutil.rmtree(out)
    return result.unit_rankings


@pytest.mark.parametrize(("area", "kind"), list(LISTS))
def test_lists_come_out_by_themselves(rankings: pd.DataFrame, area: str, kind: str) -> None:
    found = rankings[(rankings["area"] == area) & (rankings["list"] == kind)]
    assert set(LISTS[area, kind].split()) <= set(found["unit_name"])


def test_behaviour_is_not_two_valued(rankings: pd.DataFrame) -> None:
    for area in ("website", "reform", "governance", "platform"):
        scores = rankings.loc[rankings["area"] == area, "score"].dropna()
        assert scores.nunique() >= 10, (area, sorted(scores))
