"""Clauses of METRICS.md and EXPORTS.md on rows and with figures made by hand: each unit is an experiment.

Runs when anything between a delivered file and a mart changes. The months hold a year's end whose week belongs to
January, days off, make-up days and two cut-offs. Who mends it: read the comment above the rows, then the clause.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

import publishing
from ingestion.home import Home
from tests.end_to_end.conftest import ingest
from tests.reference_calc import calculate
from tests.reference_calc.compare import TABLES, differences
from tests.reference_calc.fixtures import write_exports

pytestmark = pytest.mark.slow
Row = dict[str, Any]
MONTHS = ["2022-11", "2022-12", "2023-01"]
NOV, DEC, JAN, BOTH = "2022-11", "2022-12", "2023-01", "2022-11--2022-12"
UPDATED = {"更新时间": "2023-02-03 00:00:00"}


def case(number: str, unit: str, accepted: str, closed: str = "", **more: Any) -> Row:
    row = {"办件编号": number, "办理单位": unit, "申请时间": accepted, "受理时间": accepted, "办结时间": closed}
    return UPDATED | row | ({"办结结果": "办结"} if closed else {}) | more


def review(number: str, case_no: str, at: str, **more: Any) -> Row:
    return UPDATED | {"评价编号": number, "办件编号": case_no, "被评价单位": "托里镇", "评价时间": at} | more


def ticket(number: str, called: str = "2022-11-10", **more: Any) -> Row:
    return UPDATED | {"工单编号": number, "来电时间": called} | more


def dispatch(number: str, unit: str, at: str = "2022-11-15", **more: Any) -> Row:
    return UPDATED | {"工单编号": number, "承办单位": unit, "派单时间": at, "办理期限": "2023-01-31"} | more


def exclusion(number: str, unit: str, **more: Any) -> Row:
    return UPDATED | {"工单编号": number, "承办单位": unit, "申请时间": "2022-11-16", "审批结果": "同意"} | more


def post(number: str, unit: str, at: str, **more: Any) -> Row:
    return UPDATED | {"信息编号": number, "发布单位": unit, "发布时间": at} | more


def account(name: str, unit: str, opened: str = "2020-01-01", **more: Any) -> Row:
    return UPDATED | {"账号名称": name, "主办单位": unit, "开设日期": opened} | more


def sent(number: str, unit: str, period: str, at: str, **more: Any) -> Row:
    kind = {"材料类型": "动态信息"} if "W" in period else {}
    return UPDATED | {"报送编号": number, "报送单位": unit, "所属期": period, "报送时间": at} | kind | more


INSTANT = {"办件类型": "即办件", "承诺时限": 3}
STEPS = {f"{step}时间": "2022-12-05" for step in ("初审", "复审", "终审", "一校", "二校", "三校")}
STEPS |= {"初审人": "甲", "复审人": "AB", "终审人": "ＡＢ", "一校人": "丁", "二校人": "戊", "三校人": "己"}
BARE_D = {"剔除原因": "", "申请时间": "", "审批结果": "", "同步类型": "D", "更新时间": "2023-02-04"}

ROWS: dict[str, list[Row]] = {
    "platform_cases": [
        # 12-29 + 2 working days: 12-30, then 01-03 behind the New Year's days off. A date alone ends its day.
        case("C1", "精河镇", "2022-12-29 10:00", "2023-01-03", 法定时限=10, 承诺时限=2, 申请来源="政务服务APP"),
        # Accepted on a day off: due on the next working day, to its last second; its 承诺时限 counts nowhere.
        case("C2", "精河镇", "2022-12-31 10:00", "2023-01-03 23:59:59", **INSTANT, 法定时限=5, 申请来源="自助终端"),
        case("C3", "精河镇", "2022-12-30 10:00", "2022-12-31 00:00:00", **INSTANT, 法定时限=""),
        # Without 承诺时限 法定时限 and the paused days: 01-20, the make-up days 28 and 29, 30 and 31.
        case("C4", "精河镇", "2023-01-19", "2023-02-01 00:00:00", 法定时限=3, 承诺时限="", 特别程序天数=2),
        case("C5", "精河镇", "2022-12-01", 办结结果="作废", 特别程序天数="9" * 15),
        *(case(f"C{i}", "大河沿子镇", "2022-12-05", "2022-12-06", 承诺时限=1) for i in range(11, 16)),
    ],
    "platform_reviews": [
        # A review at the last second of the cut-off counts for December's cases, a second later it does not.
        review("R1", "C11", "2023-01-05 23:59:59", 评价等级="不满意", 整改完成时间="2023-01-31"),
        review("R2", "C12", "2023-01-06 00:00:00"),
        # The earliest of 评价次序 1 is the first, whatever came later; of equal times the number decides, as text.
        review("R3", "C13", "2022-12-10 08:00:00", 评价渠道="系统默认"),
        review("R4", "C13", "2022-12-11 08:00:00"),
        review("R9", "C14", "2022-12-12 08:00:00", 评价渠道="系统默认"),
        review("R10", "C14", "2022-12-12 08:00:00", 评价等级="不满意", 核实结果="误评"),
        review("R11", "C15", "2022-12-12 08:00:00", 评价次序=2),
        review("R12", "unknown", "2022-12-15"),
        review("R13", "C5", "2022-12-15"),
    ],
    "hotline_tickets": [
        ticket("T1", 回访时间="2022-11-30", 回访结果="已接通", 是否解决="解决", 满意度="满意", 办结时间="2022-12-06"),
        *(ticket(f"T{i}") for i in range(2, 9)),
        ticket("T9", 工单状态="作废"),
        ticket("T10", 关联工单="T1"),
        ticket("T11", 回访时间="2022-11-20", 回访结果="已接通", 是否解决="部分解决", 满意度="未评价"),
        ticket("T12", 回访时间="2022-11-20", 回访结果="未接通", 是否解决="解决", 满意度="不满意"),
    ],
    "hotline_dispatches": [
        # The call-back of T1 is 茫丁乡's at November's cut-off, 八家户农场's for the two months; 协办 never answers.
        dispatch(
            "T1",
            "托托镇",
            "2022-11-10 10:00",
            签收期限="2022-11-11",
            签收时间="2022-11-11",
            办理期限="2022-11-20",
            延期期限="2022-12-02",
            办复时间="2022-12-02 23:59:59",
            重办次数=1,
        ),
        dispatch("T1", "茫丁乡", "2022-12-05 23:59:59", 派单序号=2),
        dispatch("T1", "八家户农场", "2022-12-06 00:00:00", 派单序号=10),
        dispatch("T1", "阿合其农场", "2022-11-20", 派单序号=11, 承办角色="协办"),
        # Returned wrongly behind November's cut-off; upheld; undecided.
        dispatch("T2", "阿合其农场", 退单时间="2022-12-06 00:00:00", 退单是否成立="否"),
        dispatch("T3", "阿合其农场", 退单时间="2022-12-20", 退单是否成立="是"),
        dispatch("T4", "阿合其农场", 退单时间="2022-11-20"),
        # T5 is excluded under another name of the unit, T6 no more, T7 for another unit.
        *(dispatch(f"T{i}", "红星街道办事处") for i in (5, 6, 7)),
        # Unknown names: the same one is excluded, another is not.
        dispatch("T8", "县工商局"),
        dispatch("T8", "某某局", 派单序号=2),
        dispatch("T9", "曙光街道"),
        dispatch("T10", "曙光街道", 催办次数=0),
        dispatch("T11", "工业园区", 填报是否解决="解决"),
        dispatch("T12", "工业园区", 填报是否解决="解决", 办理期限="9999-12-31"),
    ],
    "hotline_exclusions": [
        exclusion("T5", "红星街道"),
        exclusion("T6", "红星街道"),
        UPDATED | {"工单编号": "T6", "承办单位": "红星街道办事处"} | BARE_D,
        exclusion("T7", "曙光街道"),
        exclusion("T8", "县工商局"),
    ],
    "hotline_calls": [
        # Of equal 更新时间 the later delivery wins, within a file the later row.
        {"month": DEC, "日期": "2022-11-01", "呼入量": 7, "接通量": 7},
        {"month": NOV, "日期": "2022/11/1", "呼入量": 5, "接通量": 5},
        {"month": NOV, "日期": "2022-11-02", "呼入量": 1, "接通量": 1, "更新时间": "2022-12-01 00:00:00"},
        {"month": NOV, "日期": "2022年11月2日", "呼入量": "１２", "接通量": "12.0", "更新时间": "2022-12-01T00:00:00"},
    ],
    "cms_posts": [
        # The last five days start on the 27th; 12-26 to 01-01 is a week of January.
        post("P1", "精河镇", "2022-12-05", **STEPS),
        post("P2", "精河镇", "2022-12-26 23:59:59", 错字数=2),
        *(post(f"P{day}", "精河镇", f"2022-12-{day} 00:00:00") for day in (27, 28, 31)),
        post("P41", "大河沿子镇", "2022-11-20", 严重错误数=1, 状态="已撤回"),
        post("P42", "托里镇", "2022-12-10", 页面显示日期="2022-12-09", 严重错误数=1),
        post("P43", "托托镇", "2022-12-10", 页面显示日期="2022-12-09", 终审时间="2022-12-09 10:00"),
        post("P44", "托托镇", "2022-12-10", 页面显示日期="2022-12-01", 来源类型="转载"),
        post("P45", "茫丁乡", "2022-12-10", 严重错误数=1),
        {"信息编号": "P45", "更新时间": "2023-02-04", "同步类型": "D", "发布单位": "", "标题": "", "状态": ""},
    ],
    "cms_media_accounts": [
        account("每十五天", "县生态环境局"),
        account("隔十六天", "县发改委", 注销日期="9999-12-31"),
        account("月末注销", "县公安局", "2022-12-01", 注销日期="2022-12-31"),
        account("次日注销", "县水利局", "2022-12-01", 注销日期="2023-01-01"),
    ],
    "cms_media_posts": [
        UPDATED | {"发布编号": f"{name}{day}", "账号名称": name, "发布时间": f"{day} 12:00"}
        for name, days in {
            "每十五天": ["2022-11-15", "2022-11-30", "2022-12-15", "2022-12-30", "2023-01-14", "2023-01-29"],
            "隔十六天": ["2022-11-15", "2022-12-01", "2022-12-16", "2022-12-31", "2023-01-15", "2023-01-30"],
        }.items()
        for day in days
    ],
    "cms_submissions": [
        # 2022-W52 is due on 2023-01-01. What was returned meets nothing; the third piece has nothing to meet.
        sent("S1", "县人社局", "2022-W52", "2022-12-27", 审核状态="退回", 退回次数=1),
        sent("S2", "县人社局", "2022-W52", "2023-01-01"),
        sent("S3", "县人社局", "2022-W52", "2023-01-02 00:00:00", 审核状态="未采用", 退回次数=2),
        sent("S4", "县人社局", "2022-W52", "2023-01-02 00:00:01", 审核状态="待审", 退回次数=1),
        sent("S5", "县人社局", "2023年1月", "2023-01-20 23:59:59"),
        sent("S6", "县人社局", "2022-12", "2023-01-05 23:59:59"),
        sent("S7", "县文旅局", "2022-12", "2023-01-06 00:00:00"),
    ],
}

#: (period, unit, metric) -> numerator and denominator (None: a count).
FIGURES: dict[tuple[str, str, str], tuple[int, int | None]] = {
    (DEC, "U01", "case_on_time_rate"): (0, 1),
    (JAN, "U01", "case_on_time_rate"): (2, 3),
    (DEC, "U01", "cases_overdue"): (1, None),
    (JAN, "U01", "cases_overdue"): (1, None),
    (DEC, "U01", "online_rate"): (2, 3),
    (DEC, "U01", "void_share"): (1, 4),
    (DEC, "U01", "speedup_rate"): (8 + 5, 10 + 5),
    (JAN, "U01", "speedup_rate"): (0, 3),
    (DEC, "U01", "mean_working_days"): (0, 1),
    (JAN, "U01", "mean_working_days"): (2 + 1, 2),
    (DEC, "U02", "active_review_rate"): (2, 5),
    (BOTH, "U02", "active_review_rate"): (2, 5),
    (DEC, "U03", "default_review_share"): (1, 3),
    (DEC, "U03", "good_review_rate"): (1, 1),
    (JAN, "U03", "good_review_rate"): (1, 2),
    (DEC, "U03", "bad_review_fixed_rate"): (0, 0),
    (JAN, "U03", "bad_review_fixed_rate"): (1, 1),
    (NOV, "U04", "sign_on_time_rate"): (1, 1),
    (NOV, "U04", "close_on_time_rate"): (0, 0),
    (DEC, "U04", "close_on_time_rate"): (1, 1),
    (DEC, "U04", "rework_rate"): (1, 1),
    (NOV, "U04", "solved_rate"): (0, 0),
    (NOV, "U05", "solved_rate"): (1, 1),
    (NOV, "U05", "dispatched"): (0, None),
    (BOTH, "U05", "solved_rate"): (0, 0),
    (BOTH, "U06", "solved_rate"): (1, 1),
    (BOTH, "U06", "satisfied_rate"): (1, 1),
    (NOV, "U07", "invalid_return_rate"): (0, 2),
    (BOTH, "U07", "invalid_return_rate"): (1, 2),
    (NOV, "U08", "dispatched"): (2, None),
    (NOV, "U09", "dispatched"): (1, None),
    (NOV, "U09", "repeat_rate"): (1, 1),
    (NOV, "U09", "urged_rate"): (0, 1),
    (NOV, "U10", "solved_rate"): (0, 1),
    (NOV, "U10", "satisfied_rate"): (0, 1),
    (NOV, "U10", "false_report_rate"): (1, 1),
    (DEC, "U01", "post_quota_rate"): (4, 4),
    (BOTH, "U01", "post_quota_rate"): (4, 8),
    (DEC, "U01", "weekly_update_rate"): (1, 4),
    (JAN, "U01", "weekly_update_rate"): (1, 5),
    (DEC, "U01", "month_end_share"): (3, 5),
    (DEC, "U01", "review_complete_rate"): (1, 5),
    (DEC, "U01", "review_independent_rate"): (0, 5),
    (DEC, "U01", "error_free_rate"): (4, 5),
    (NOV, "U11", "account_active_rate"): (1, 1),
    (JAN, "U11", "account_active_rate"): (1, 1),
    (NOV, "U12", "account_active_rate"): (0, 1),
    (DEC, "U12", "account_active_rate"): (1, 1),
    (DEC, "U13", "account_active_rate"): (0, 0),
    (DEC, "U14", "account_active_rate"): (0, 1),
    (JAN, "U14", "account_active_rate"): (0, 0),
    (DEC, "U16", "reform.on_time_rate"): (0, 4 * 2 + 1),
    (JAN, "U16", "reform.on_time_rate"): (2, 5 * 2 + 1),
    (JAN, "U16", "governance.on_time_rate"): (0, 2),
    (JAN, "U16", "reform.adoption_rate"): (3, 4),
    (JAN, "U16", "reform.returned_rate"): (1, 4),
    (DEC, "U16", "reform.returned_rate"): (1, 1),
}
VETOES = {
    (NOV, "U02"): ("serious_error", 0.0),
    (BOTH, "U02"): ("serious_error", None),
    (DEC, "U03"): ("serious_error;backdated", 0.0),
    (DEC, "U04"): (None, None),
    (DEC, "U05"): (None, None),
}
TOTALS = {
    (NOV, "calls_in"): 7 + 12,
    (NOV, "tickets_received"): 11,
    (NOV, "tickets_closed"): 0,
    (BOTH, "tickets_closed"): 1,
    (NOV, "dispatched/unit=UNMAPPED"): 1,
    # T1 to T12 without the upheld T3, the excluded T5 and the void T9.
    (NOV, "dispatched"): 9,
    (BOTH, "dispatched/unit=U06"): 1,
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The exports, and the warehouse built from them."""
    root = tmp_path_factory.mktemp("clauses")
    exports = write_exports(root / "exports", MONTHS, **ROWS)
    home = Home(root / "home")
    ingest(home, exports)
    return exports, publishing.build(home, [NOV, DEC, JAN, BOTH], "clauses")


def ask(built: tuple[Path, Path], sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(built[1]), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_metrics(built: tuple[Path, Path]) -> None:
    rows = ask(built, "select period_code, unit_code, area, metric, numerator, denominator from marts.unit_metrics")
    found = {(period, unit, name): (top, bottom) for period, unit, _, name, top, bottom in rows}
    found |= {(period, unit, f"{area}.{name}"): (top, bottom) for period, unit, area, name, top, bottom in rows}
    assert {key: found[key] for key in FIGURES} == FIGURES


def test_vetoes(built: tuple[Path, Path]) -> None:
    rows = ask(built, "select period_code, unit_code, veto_reason, score from marts.unit_scores where area = 'website'")
    found = {(period, unit): (reason, score) for period, unit, reason, score in rows}
    for key, (reason, score) in VETOES.items():
        assert found[key][0] == reason
        assert score is None or found[key][1] == score
    # 大河沿子镇 published nothing that stands: quota and weeks alone, both 0, in one clean month of two.
    assert found[BOTH, "U02"][1] == 0.0


def test_county_figures(built: tuple[Path, Path]) -> None:
    rows = ask(built, "select period_code, figure, numerator from marts.period_totals")
    found = {(period, figure): numerator for period, figure, numerator in rows}
    assert {key: found[key] for key in TOTALS} == TOTALS


def test_outcomes_in_core_are_by_the_month_of_the_obligation(built: tuple[Path, Path]) -> None:
    rows = ask(
        built,
        "select unit_code, obligation_period, slot, outcome, due_at::varchar from core.fct_submission_obligations"
        " where unit_code in ('U16', 'U17') and program = '放管服' and submission_no is not null order by all",
    )
    assert rows == [
        ("U16", "2022-12", 1, "late", "2022-12-20 23:59:59"),
        ("U16", "2022-W52", 1, "on_time", "2023-01-01 23:59:59"),
        ("U16", "2022-W52", 2, "late", "2023-01-01 23:59:59"),
        ("U16", "2023-01", 1, "on_time", "2023-01-20 23:59:59"),
        ("U17", "2022-12", 1, "missing", "2022-12-20 23:59:59"),
    ]


def test_shrinking_and_points(built: tuple[Path, Path]) -> None:
    """Two townships with a call-back each, one solved: p0 = 1/2, so (1 + 5) / 11 and (0 + 5) / 11."""
    rows = ask(
        built,
        "select unit_code, adjusted, points from marts.unit_metrics where period_code = '2022-11'"
        " and metric = 'solved_rate' and value is not null order by 1",
    )
    assert [unit for unit, *_ in rows] == ["U05", "U10"]
    assert rows[0][1:] == pytest.approx((6 / 11, 25 * (6 / 11 - 0.5) / 0.4))
    assert rows[1][1:] == pytest.approx((5 / 11, 0))


def test_the_second_calculation_agrees(built: tuple[Path, Path]) -> None:
    with duckdb.connect(str(built[1]), read_only=True) as connection:
        published = {name: connection.sql(f"select * from marts.{name}").df() for name in TABLES}
    periods = [NOV, DEC, JAN, BOTH]
    assert differences(published, calculate(built[0], periods), periods) == []
