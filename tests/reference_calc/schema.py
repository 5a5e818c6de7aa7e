"""The ten datasets as the exports' contract prints them, read here by a notation of its own.

The reference keeps its own list on purpose: a slip in the contracts of ingestion must not be repeated by what they are
compared with. Columns keep their Chinese headers, so that the code reads beside the text of the rules.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SYSTEMS = {
    "platform": ("platform_cases", "platform_reviews"),
    "hotline": ("hotline_tickets", "hotline_dispatches", "hotline_exclusions", "hotline_calls"),
    "cms": ("cms_posts", "cms_media_accounts", "cms_media_posts", "cms_submissions"),
}
DATASETS = tuple(name for names in SYSTEMS.values() for name in names)

#: ``**key**``, ``*`` personal, type s/i/t/d/b or ``{codes}``, ``?`` may be empty.
CONTRACT = {
    "platform_cases": """**办件编号** s · 事项编码 s · 事项名称 s · 办件类型 {即办件, 承诺件} · 办理单位 s ·
        申请来源 {窗口登记, 政务服务APP, 政务服务网, 自助终端} · 申请人类型 {自然人, 法人} · 申请人* s? · 证件号码* s? ·
        联系电话* s? · 申请时间 t · 受理时间 t? · 法定时限 i? · 承诺时限 i? · 特别程序天数 i? · 办结时间 t? ·
        办结结果 {出证办结, 办结, 退回, 作废, 删除, 转报, 补正不来}? · 是否超期 b? · 更新时间 t ·
        同步类型 {I, U, D}?""",
    "platform_reviews": """**评价编号** s · 办件编号 s · 被评价单位 s ·
        评价渠道 {政务服务网, 移动端, 线下实体大厅, 短信, 二维码, 系统默认} ·
        评价等级 {非常满意, 满意, 基本满意, 不满意, 非常不满意} · 评价次序 {1, 2} · 评价时间 t · 评价内容* s? ·
        核实结果 {属实, 误评, 恶意}? · 整改完成时间 t? · 回访时间 t? · 更新时间 t · 同步类型 {I, U, D}?""",
    "hotline_tickets": """**工单编号** s · 来电时间 t · 来电人* s? · 来电号码* s? ·
        诉求类型 {咨询, 求助, 投诉, 举报, 建议, 表扬, 其他} · 诉求分类 s? · 诉求内容* s? · 办理方式 {直接答复, 转办} ·
        关联工单 s? · 工单状态 {办理中, 已办结, 已回访, 作废} · 办结时间 t? · 回访时间 t? ·
        回访结果 {已接通, 未接通, 拒访}? · 是否解决 {解决, 部分解决, 未解决}? ·
        满意度 {满意, 基本满意, 不满意, 未评价}? · 更新时间 t · 同步类型 {I, U, D}?""",
    "hotline_dispatches": """**工单编号** s · **派单序号** i · 承办单位 s · 承办角色 {主办, 协办} · 派单时间 t ·
        签收期限 t? · 签收时间 t? · 办理期限 t · 延期期限 t? · 办复时间 t? · 退单时间 t? · 退单是否成立 b? ·
        填报是否解决 {解决, 部分解决, 未解决}? · 催办次数 i? · 督办次数 i? · 重办次数 i? · 更新时间 t ·
        同步类型 {I, U, D}?""",
    "hotline_exclusions": """**工单编号** s · **承办单位** s · 剔除原因 s · 申请时间 t · 批准时间 t? · 批准人 s? ·
        审批结果 {同意, 不同意}? · 更新时间 t · 同步类型 {I, U, D}?""",
    "hotline_calls": "**日期** d · 呼入量 i · 接通量 i · 十五秒接通量 i? · 更新时间 t",
    "cms_posts": """**信息编号** s · 标题 s · 栏目 s · 栏目类型 {动态要闻, 通知公告, 政策文件, 其他} · 发布单位 s ·
        来源类型 {原创, 转载} · 撰稿人 s? · 报送时间 t? · 初审人 s? · 初审时间 t? · 复审人 s? · 复审时间 t? ·
        终审人 s? · 终审时间 t? · 一校人 s? · 一校时间 t? · 二校人 s? · 二校时间 t? · 三校人 s? · 三校时间 t? ·
        发布时间 t? · 页面显示日期 d? · 状态 {草稿, 待审, 退回, 已发布, 已撤回} · 错字数 i? · 严重错误数 i? · 字数 i? ·
        链接 s? · 更新时间 t · 同步类型 {I, U, D}?""",
    "cms_media_accounts": """**平台** s · **账号名称** s · 主办单位 s · 开设日期 d · 注销日期 d? · 更新时间 t ·
        同步类型 {I, U, D}?""",
    "cms_media_posts": """**发布编号** s · 平台 s · 账号名称 s · 标题 s · 发布时间 t · 严重错误数 i? · 更新时间 t ·
        同步类型 {I, U, D}?""",
    "cms_submissions": """**报送编号** s · 专项 {放管服, 社会管理公共服务组, 科技支撑组} ·
        材料类型 {动态信息, 月小结, 整改报告} · 报送单位 s · 所属期 s · 报送时间 t ·
        审核状态 {采用, 未采用, 退回, 待审} · 退回次数 i? · 更新时间 t · 同步类型 {I, U, D}?""",
}

#: A date alone is the last second of its day here, the first elsewhere.
LIMITS = {"签收期限", "办理期限", "延期期限"}
ENDS = {"办结时间", "签收时间", "办复时间", "回访时间", "整改完成时间"}
#: These may lie after the moment of the pull.
MAY_LIE_AHEAD = LIMITS | {"注销日期", "页面显示日期"}
#: Number codes that Excel can turn into floats: keys and references.
NUMBER_CODES = {"办件编号", "评价编号", "工单编号", "关联工单", "信息编号", "发布编号", "报送编号"}
#: Pairs (start, end) that must not run backwards.
ORDERED = {
    "platform_cases": ("受理时间", "办结时间"),
    "hotline_dispatches": ("派单时间", "签收时间"),
    "hotline_tickets": ("来电时间", "回访时间"),
}
#: Names of staff, which like starred columns lose a value that Excel stored as a float.
STAFF = {"撰稿人", "初审人", "复审人", "终审人", "一校人", "二校人", "三校人", "批准人"}


@dataclass(frozen=True)
class Column:
    """One header of the contract. ``kind`` is s, i, t, d, b or code."""

    header: str
    kind: str
    key: bool
    optional: bool
    personal: bool
    codes: tuple[str, ...] = ()


_ITEM = re.compile(
    r"(?P<key>\*\*)?(?P<header>[^\s*]+)(?:\*\*)?(?P<pii>\*)? (?:(?P<kind>[sitdb])|\{(?P<codes>.*)\})(?P<opt>\?)?"
)


def _parse(text: str) -> tuple[Column, ...]:
    columns = []
    for item in text.split("·"):
        match = _ITEM.fullmatch(item.strip())
        if match is None:
            raise ValueError(f"not a column of the contract: {item!r}")
        codes = tuple(code.strip() for code in match["codes"].split(",")) if match["codes"] else ()
        columns.append(
            Column(
                header=match["header"],
                kind=match["kind"] or "code",
                key=bool(match["key"]),
                optional=bool(match["opt"]),
                personal=bool(match["pii"]) or match["header"] in STAFF,
                codes=codes,
            )
        )
    return tuple(columns)


SCHEMA: dict[str, tuple[Column, ...]] = {name: _parse(text) for name, text in CONTRACT.items()}


def keys(dataset: str) -> list[str]:
    """The headers of the dataset's key, in order."""
    return [column.header for column in SCHEMA[dataset] if column.key]
