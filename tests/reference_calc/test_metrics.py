"""Every metric on rows few enough to count by hand. U01 is 精河镇, U02 大河沿子镇."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pandas as pd
import pytest

from tests.reference_calc.calendar_ import MonthOfYear
from tests.reference_calc.fixtures import period_view, sums, write_exports
from tests.reference_calc.metrics import is_silent, obligations
from tests.reference_calc.scores import vetoes

JULY = MonthOfYear(2022, 7)


def case(number: str, accepted: str, closed: str = "", **other: object) -> dict[str, object]:
    return {"办件编号": number, "申请时间": accepted, "受理时间": accepted, "办结时间": closed} | other


def test_due_cases(tmp_path: Path) -> None:
    cases = [
        case("1", "2022-07-01 09:00", "2022-07-08 23:59:59"),  # five working days, to the last second
        case("2", "2022-07-01 09:00", "2022-07-09 00:00:00"),
        case("3", "2022-07-01 09:00", "2022-07-11 10:00", 特别程序天数=1),  # due on the 11th
        case("4", "2022-07-01 09:00"),  # open
        case("5", "2022-07-01 09:00", "2022-07-29 10:00", 承诺时限=""),  # the 20 statutory days: the 29th
        case("6", "2022-07-02 09:00", "2022-07-04 10:00", 办件类型="即办件", 承诺时限=9, 特别程序天数=3),
        case("7", "2022-07-01 09:00", "2022-07-04 10:00", 办件类型="即办件"),  # a day late
        case("8", "2022-07-01 09:00", "2022-07-04 10:00", 办结结果="作废"),
        case("9", "2022-07-29 09:00"),  # due in August
        case("10", "2022-07-01 09:00", "2022-08-06 10:00", 承诺时限=20),  # closed after the cut-off, and late
        case("11", "2022-06-28 09:00", "2022-07-01 09:00", 办结结果="退回"),  # due on 07-05
    ]
    root = write_exports(tmp_path, ["2022-07"], platform_cases=cases)
    found = sums(root, "2022-07")
    assert found["U01", "case_on_time_rate"] == (5, 9)
    assert found["U01", "cases_overdue"] == (4, 0)
    assert found["U01", "cases_accepted"] == (9, 0)
    assert found["U01", "cases_closed"] == (7, 0)
    assert found["U01", "void_share"] == (1, 10)
    # (07-01, 07-08] 5 · (07-01, 07-09] 5 · 6 · 20 · (07-02, 07-04] 1 · 1 · (06-28, 07-01] 3
    assert found["U01", "mean_working_days"] == (41, 7)
    # statutory 20 each of the nine accepted; promised 5 5 5 5 20 0 0 5 20
    assert found["U01", "speedup_rate"] == (180 - 65, 180)


def test_the_longer_period_sees_what_closed_before_its_own_cut_off(tmp_path: Path) -> None:
    cases = [case("1", "2022-07-01 09:00", "2022-08-06 10:00", 承诺时限=30, 申请来源="自助终端")]
    root = write_exports(tmp_path, ["2022-07", "2022-08"], platform_cases=cases)
    july, both = sums(root, "2022-07"), sums(root, "2022-07--2022-08")
    assert ("U01", "cases_closed") not in july
    assert both["U01", "cases_closed"] == (1, 0)
    assert july["U01", "online_rate"] == both["U01", "online_rate"] == (1, 1)


def review(number: str, at: str, **other: object) -> dict[str, object]:
    return {"评价编号": number, "评价时间": at} | other


def test_first_reviews(tmp_path: Path) -> None:
    cases = [case(str(n), "2022-07-01 09:00", "2022-07-04 10:00") for n in range(1, 7)]
    cases += [case("7", "2022-07-01 09:00", "2022-07-04 10:00", 办结结果="删除")]
    reviews = [
        review("R1", "2022-07-05", 办件编号="1"),
        review("R2", "2022-07-04", 办件编号="1", 评价次序=2, 评价等级="不满意"),  # not first
        review("R4", "2022-07-05", 办件编号="2", 评价等级="不满意"),
        review("R3", "2022-07-05", 办件编号="2", 评价等级="满意"),  # the same time: the lower number is first
        review("R5", "2022-07-05", 办件编号="3", 评价渠道="系统默认"),
        review("R6", "2022-07-06", 办件编号="3", 评价等级="不满意"),  # later than the default one
        review("R7", "2022-07-05", 办件编号="4", 评价等级="非常不满意", 核实结果="误评"),
        review("R8", "2022-08-06", 办件编号="5"),  # after the cut-off
        review("R9", "2022-07-05", 办件编号="7"),  # of a void case
        review("R10", "2022-07-05", 办件编号="unknown", 被评价单位="大河沿子镇", 评价等级="基本满意"),
        review("R11", "2022-07-05", 办件编号="6", 被评价单位="大河沿子镇", 评价等级="不满意"),
    ]
    root = write_exports(tmp_path, ["2022-07"], platform_cases=cases, platform_reviews=reviews)
    found = sums(root, "2022-07")
    assert found["U01", "good_review_rate"] == (2, 2)  # R1, R3
    assert found["U02", "good_review_rate"] == (1, 2)  # R10, R11
    assert found["U01", "default_review_share"] == (1, 4)  # R1, R3, R5, R7
    assert found["U01", "active_review_rate"] == (4, 6)  # cases 1, 2, 4 and 6, whoever was reviewed


def test_bad_reviews_are_due_by_the_fifteenth_working_day(tmp_path: Path) -> None:
    bad = {"评价等级": "不满意"}
    reviews = [
        review("R1", "2022-07-01 10:00", 办件编号="1", 整改完成时间="2022-07-22", **bad),  # 15th working day
        review("R2", "2022-07-01 10:00", 办件编号="2", 整改完成时间="2022-07-23 00:00:00", **bad),
        review("R3", "2022-07-01 10:00", 办件编号="3", 核实结果="恶意", **bad),
        review("R4", "2022-07-11 10:00", 办件编号="4", **bad),  # due on Monday, August 1
    ]
    root = write_exports(tmp_path, ["2022-07"], platform_reviews=reviews)
    assert sums(root, "2022-07")["U01", "bad_review_fixed_rate"] == (1, 2)


def ticket(number: str, **other: object) -> dict[str, object]:
    return {"工单编号": number, "来电时间": "2022-07-01 08:00"} | other


def sent(number: str, order: int = 1, at: str = "2022-07-01 09:00", **other: object) -> dict[str, object]:
    return {"工单编号": number, "派单序号": order, "派单时间": at, "办理期限": "2022-07-08"} | other


def test_which_dispatches_count(tmp_path: Path) -> None:
    dispatches = [
        sent("1", 重办次数=0, 催办次数=2, 办复时间="2022-07-08"),
        sent("2", 签收期限="2022-07-02", 签收时间="2022-07-02", 办复时间="2022-07-09 08:00", 重办次数=1),
        sent("3", 退单时间="2022-07-02", 退单是否成立="是"),
        sent("4", 退单时间="2022-07-02", 退单是否成立="否", 签收期限="2022-07-02", 签收时间="2022-07-03 08:00"),
        sent("5", 退单时间="2022-07-02"),  # undecided: stays
        sent("6", 承办角色="协办"),
        sent("7"),  # excluded below
        sent("7", 2, 承办单位="大河沿子镇"),
        sent("8"),  # of a void ticket
        sent("unknown", 延期期限="2022-08-01"),  # due in August
        sent("9", at="2022-08-06 08:00"),  # after the cut-off
        sent("10", 退单时间="2022-08-06 08:00", 退单是否成立="否"),  # returned after the cut-off
    ]
    tickets = [ticket("1", 关联工单="0"), ticket("8", 工单状态="作废")]
    exclusions = [{"工单编号": "7", "承办单位": "精河镇", "申请时间": "2022-07-01", "审批结果": "同意"}]
    root = write_exports(
        tmp_path,
        ["2022-07"],
        hotline_dispatches=dispatches,
        hotline_tickets=tickets,
        hotline_exclusions=exclusions,
    )
    found = sums(root, "2022-07")
    assert found["U01", "dispatched"] == (6, 0)  # 1 2 4 5 unknown 10
    assert found["U02", "dispatched"] == (1, 0)
    assert found["U01", "close_on_time_rate"] == (1, 5)
    assert found["U01", "sign_on_time_rate"] == (1, 2)
    assert found["U01", "rework_rate"] == (1, 2)
    assert found["U01", "invalid_return_rate"] == (1, 6)
    assert found["U01", "repeat_rate"] == (1, 6)
    assert found["U01", "urged_rate"] == (1, 6)


def test_call_backs_go_to_the_last_counted_dispatch(tmp_path: Path) -> None:
    called = {"回访时间": "2022-07-20", "回访结果": "已接通"}
    tickets = [
        ticket("1", **called, 是否解决="解决", 满意度="满意"),
        ticket("2", **called, 是否解决="未解决", 满意度="不满意"),
        ticket("3", **called | {"回访结果": "未接通"}, 是否解决="解决", 满意度="未评价"),
        ticket("4", **called | {"回访时间": "2022-08-06"}, 是否解决="解决", 满意度="满意"),
        ticket("5", **called, 是否解决="部分解决", 满意度="基本满意"),
    ]
    dispatches = [
        sent("1"),
        sent("1", 2, 承办单位="大河沿子镇", 填报是否解决="解决"),
        sent("1", 3, 承办单位="托里镇", 承办角色="协办"),
        sent("1", 10, 承办单位="托里镇", 退单是否成立="是"),
        sent("2", 填报是否解决="解决"),
        sent("3", 填报是否解决="解决"),
        sent("4", 填报是否解决="解决"),
        sent("5", 填报是否解决="部分解决"),
    ]
    root = write_exports(tmp_path, ["2022-07"], hotline_dispatches=dispatches, hotline_tickets=tickets)
    found = sums(root, "2022-07")
    assert found["U02", "solved_rate"] == found["U02", "satisfied_rate"] == (1, 1)
    assert found["U02", "false_report_rate"] == (0, 1)
    assert found["U01", "solved_rate"] == (0, 2)
    assert found["U01", "satisfied_rate"] == (1, 2)
    assert found["U01", "false_report_rate"] == (1, 1)
    assert ("U03", "solved_rate") not in found


STEPS = ["初审", "复审", "终审", "一校", "二校", "三校"]


def post(number: str, at: str, **other: object) -> dict[str, object]:
    checked = {f"{step}人": f"甲{i}" for i, step in enumerate(STEPS)}
    checked |= {f"{step}时间": "2022-06-01 08:00" for step in STEPS}
    return {"信息编号": number, "发布时间": at, "终审时间": "2022-06-01 08:00"} | checked | other


def test_posts(tmp_path: Path) -> None:
    posts = [
        post("0", "2022-06-28 09:00"),  # Tuesday of the week that ends on July 3
        post("1", "2022-07-05 09:00", 错字数=0),
        post("2", "2022-07-26 09:00", 错字数=1, 一校人=""),  # the 26th is not yet one of the last five days
        post("3", "2022-07-27 00:00:00", 复审人="甲0"),
        post("4", "2022-07-31 09:00", 复审时间="2022-06-01 08:01"),  # after 终审
        post("5", "2022-07-31 09:00", 三校时间="2022-07-31 09:00"),  # as late as the post itself: in order
        post("6", "2022-07-12 09:00", 状态="已撤回"),
        post("7", "", 状态="已发布"),
    ]
    root = write_exports(tmp_path, ["2022-07"], cms_posts=posts)
    found = sums(root, "2022-07")
    assert found["U01", "post_quota_rate"] == (4, 4)  # five posts, a quota of four
    assert found["U01", "weekly_update_rate"] == (3, 5)
    assert found["U01", "month_end_share"] == (3, 5)
    assert found["U01", "review_complete_rate"] == (3, 5)  # 1, 3, 5
    assert found["U01", "review_independent_rate"] == (3, 5)  # 1, 4, 5
    assert found["U01", "error_free_rate"] == (4, 5)


def test_vetoes(tmp_path: Path) -> None:
    posts = [
        post("1", "2022-07-05 09:00", 严重错误数=1, 状态="已撤回"),
        post("2", "2022-08-05 09:00", 严重错误数=1, 状态="草稿"),
        # 大河沿子镇: shown before the final review and before it was published
        post("3", "2022-07-05 09:00", 终审时间="2022-07-05 08:00", 页面显示日期="2022-07-04", 发布单位="大河沿子镇"),
        post("4", "2022-07-05 09:00", 终审时间="", 页面显示日期="2022-07-04", 发布单位="托里镇"),
        post("5", "2022-07-05 09:00", 终审时间="2022-07-04", 页面显示日期="2022-07-04", 发布单位="托托镇"),
        post("6", "2022-07-05 09:00", 终审时间="", 页面显示日期="2022-07-04", 发布单位="茫丁乡", 来源类型="转载"),
        post("7", "2022-07-05 09:00", 终审时间="2022-07-06", 页面显示日期="2022-07-05", 发布单位="托托镇"),
    ]
    media = [{"发布编号": "M1", "发布时间": "2022-08-01 09:00", "严重错误数": 2}]
    accounts = [{"更新时间": "2022-08-01"}]
    root = write_exports(
        tmp_path, ["2022-07", "2022-08"], cms_posts=posts, cms_media_posts=media, cms_media_accounts=accounts
    )
    found = vetoes(period_view(root, "2022-07--2022-08"))
    assert sorted(map(tuple, found[["unit_code", "month", "area", "reason"]].to_numpy())) == [
        ("U01", 202207, "website", "serious_error"),
        ("U01", 202208, "media", "serious_error"),
        ("U02", 202207, "website", "backdated"),
        ("U03", 202207, "website", "backdated"),
    ]


OLD = dt.date(2020, 1, 1)


@pytest.mark.parametrize(
    ("posts", "opened", "first", "silent"),
    [
        ([(7, 1), (7, 16), (7, 30)], OLD, None, False),
        ([(7, 1), (7, 17), (7, 30)], OLD, None, True),
        ([(7, 1), (7, 16)], OLD, None, True),  # 07-31 is fifteen days on
        ([(6, 20), (7, 2), (7, 17)], OLD, None, False),
        ([(6, 17), (7, 1), (7, 15), (7, 29)], OLD, None, False),
        ([(6, 16), (7, 2), (7, 15), (7, 29)], OLD, None, True),  # 07-01 is already fifteen days on
        ([(7, 16), (7, 30)], OLD, "2022-07-01", False),  # nothing before the first delivered month counts
        ([(7, 17), (7, 30)], OLD, "2022-07-01", True),
        ([], dt.date(2022, 7, 1), None, True),
        ([(7, 10), (7, 20)], dt.date(2022, 6, 30), None, False),
    ],
)
def test_silence(posts: list[tuple[int, int]], opened: dt.date, first: str | None, silent: bool) -> None:
    days = [dt.date(2022, month, day) for month, day in posts]
    assert is_silent(JULY, days, opened, pd.Timestamp(first) if first else None) is silent


def test_accounts_open_the_whole_month(tmp_path: Path) -> None:
    names = ["甲", "乙", "丙", "丁", "戊"]
    accounts = [
        {"账号名称": "甲", "开设日期": "2022-07-01"},
        {"账号名称": "乙", "开设日期": "2022-07-02"},
        {"账号名称": "丙", "注销日期": "2022-07-31"},
        {"账号名称": "丁", "注销日期": "2022-08-01"},
        {"账号名称": "戊", "主办单位": "大河沿子镇", "更新时间": "2022-08-30"},
        {"账号名称": "戊", "主办单位": "托里镇", "更新时间": "2022-08-31"},
    ]
    days = ["2022-07-05", "2022-07-15", "2022-07-25"]
    media = [{"发布编号": f"{n}{d}", "账号名称": n, "发布时间": d} for n in names for d in days if n != "丁"]
    root = write_exports(tmp_path, ["2022-07"], cms_media_accounts=accounts, cms_media_posts=media)
    found = sums(root, "2022-07")
    assert found["U01", "account_active_rate"] == (1, 2)  # 甲 posted, 丁 did not
    assert found["U03", "account_active_rate"] == (1, 1)
    assert ("U02", "account_active_rate") not in found
    assert found["U01", "media_posts"] == (9, 0)


def material(number: str, period: str, at: str, **other: object) -> dict[str, object]:
    return {"报送编号": number, "所属期": period, "报送时间": at} | other


def test_obligations(tmp_path: Path) -> None:
    weekly = {"材料类型": "动态信息"}
    rows = [
        material("1", "2022-07", "2022-07-21 08:00"),
        material("2", "2022-07", "2022-07-20 23:59:59", 审核状态="退回", 退回次数=1),  # not counted as met
        material("3", "2022-W26", "2022-07-03 23:59:59", **weekly, 审核状态="未采用", 退回次数=2),
        material("4", "2022-W26", "2022-07-04", **weekly, 审核状态="待审", 退回次数=1),
        material("5", "2022-W27", "2022-06-01", **weekly),
        material("6", "2022-W27", "2022-07-10", **weekly),
        material("7", "2022-W27", "2022-07-10", **weekly),  # a third one meets nothing
        material("8", "2022-W28", "2022-08-06", **weekly),  # after the cut-off
        material("9", "2022-07", "2022-07-20", 专项="科技支撑组"),
        material("10", "2022-07", "2022-07-20", 专项="科技支撑组", 材料类型="整改报告"),
    ]
    root = write_exports(tmp_path, ["2022-07"], cms_submissions=rows)
    found = sums(root, "2022-07")
    assert found["U01", "on_time_rate"] == (3, 11)  # 3, 5, 6 of five weeks twice and one month
    assert found["U02", "on_time_rate"] == (0, 11)
    assert found["U01", "governance.on_time_rate"] == (1, 2)
    # by 报送时间 in July: 采用 1, 6, 7; 未采用 3; 退回 2. The one of June 1 counts in June.
    assert found["U01", "adoption_rate"] == (3, 4)
    assert found["U01", "returned_rate"] == (2, 5)
    assert found["U01", "governance.adoption_rate"] == (1, 1)
    owed = obligations(period_view(root, "2022-07"))
    mine = owed[(owed["unit_code"] == "U01") & (owed["program"] == "放管服")]
    assert mine["outcome"].value_counts().to_dict() == {"missing": 6, "on_time": 3, "late": 2}
    assert str(mine.loc[mine["obligation_period"] == "2022-W26", "due_at"].iloc[0]) == "2022-07-03 23:59:59"


def test_what_excludes_a_row_does_so_in_every_period(tmp_path: Path) -> None:
    """A case voided and a dispatch excluded after the cut-off are gone all the same."""
    exclusion = {"工单编号": "1", "申请时间": "2022-08-20", "批准时间": "2022-08-25", "审批结果": "同意"}
    root = write_exports(
        tmp_path,
        ["2022-07", "2022-08"],
        platform_cases=[case("1", "2022-07-01 09:00", "2022-08-20 09:00", 办结结果="作废")],
        hotline_dispatches=[sent("1")],
        hotline_exclusions=[exclusion],
    )
    found = sums(root, "2022-07")
    assert ("U01", "cases_accepted") not in found
    assert ("U01", "dispatched") not in found
    assert found["U01", "void_share"] == (1, 1)
