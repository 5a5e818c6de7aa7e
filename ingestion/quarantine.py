"""Rows set aside: why (one code a row), the text people read, and how a value is masked before it is shown.

Grain of a quarantine file: one row of a delivered file that did not fit. Nothing in it holds a value in clear.
"""

from __future__ import annotations

import pyarrow as pa

#: Columns of quarantine/<dataset>/<month>/<landing_id>.parquet and of audit.quarantine.
QUARANTINE_SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("month", pa.string()),
        ("file", pa.string()),
        ("sha256", pa.string()),
        ("row", pa.int64()),
        ("column_name", pa.string()),
        ("header", pa.string()),
        ("value_masked", pa.string()),
        ("reason", pa.string()),
        ("landing_id", pa.int64()),
    ]
)

#: Columns of findings/<dataset>/<month>/<landing_id>.parquet and of audit.findings.
FINDINGS_SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("month", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),
        ("column_name", pa.string()),
        ("kind", pa.string()),
        ("detail", pa.string()),
        ("landing_id", pa.int64()),
    ]
)

#: The reason of a row that a reader could not take apart; what exactly was wrong with it stands in a finding.
DAMAGED = "damaged_row"

#: Why a row is set aside, in the order in which a row's faults are looked for: code -> what people read, how to mend.
REASONS: dict[str, tuple[str, str]] = {
    DAMAGED: ("该行结构损坏(列数、引号或单元格错误)", "按表头核对该行的列数和引号后重新导出"),
    "missing_key": ("主键为空", "补填主键后重新导出"),
    "lost_key": ("编码被 Excel 存成了数字,末尾数字已丢失", "将该列设为“文本”格式,从系统重新导出"),
    "required_empty": ("必填项为空", "补填该项"),
    "unreadable_time": ("时间无法识别", "改为 2022-07-01 08:30:00 的写法"),
    "unreadable_number": ("整数无法识别", "改为整数,不带单位和千分位"),
    "unknown_code": ("取值不在代码表内", "改为代码表中的取值"),
    "unreadable_period": ("所属期无法识别或与材料类型不符", "月写作 2022-07,周写作 2022-W27"),
    "end_before_start": ("结束时间早于开始时间", "核对两个时间"),
    "future_event": ("时间晚于提取时刻", "核对时间;尚未发生的事项不应有时间"),
}

#: What was reported though no row was lost: kind -> what people read.
FINDING_KINDS: dict[str, str] = {
    DAMAGED: "该行结构损坏的具体情况",
    "missing_optional_column": "缺少可选列,按空值处理",
    "lost_personal_value": "个人信息被 Excel 存成了数字,已置空",
    "unmapped_code": "代码表外的新代码",
    "extra_column": "多出的列,未载入",
    "title_line": "表头上方的标题行,已跳过",
    "total_line": "合计行,已跳过",
}

MASK_LENGTH = 24


def reason_text(reason: str) -> str:
    """What people read for a reason code: the table's text, or the code itself for a reader's own reason."""
    return REASONS[reason][0] if reason in REASONS else reason


def mask_sql(expression: str) -> str:
    """SQL that hides a value and keeps its shape: digits 9, Chinese characters 汉, other letters a; 24 characters.

    Chinese characters are letters too, so a control character stands for them until the letters are done.
    """
    masked = f"left({expression}, {MASK_LENGTH})"
    for pattern, shown in ((r"\p{N}", "9"), (r"\p{Han}", "\x01"), (r"\p{L}|\p{M}", "a"), ("\x01", "汉")):
        masked = f"regexp_replace({masked}, '{pattern}', '{shown}', 'g')"
    return masked
