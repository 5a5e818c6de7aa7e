"""What the county reads for each code, and how a period is called in Chinese."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from ingestion.period import Period
from ingestion.yaml_file import read_yaml


@cache
def labels() -> dict[str, Any]:
    """The content of labels.yaml."""
    return read_yaml(Path(__file__).with_name("labels.yaml"))


def reason_text(codes: str | None) -> str:
    """Chinese for one or more reason codes joined by ``;``; a code without a label is shown as it is."""
    if not isinstance(codes, str) or not codes:
        return ""
    return "；".join(labels()["reasons"].get(code, code) for code in codes.split(";"))


def period_name(code: str) -> str:
    """2022年7月, 2022年7—8月, 2022年第三季度, 2022年上半年, 2022年."""
    period = Period.parse(code)
    first, last = period.first, period.last
    match period.period_type:
        case "month":
            text = f"{first.month}月"
        case "bimonth":
            text = f"{first.month}—{last.month}月"
        case "quarter":
            text = f"第{'一二三四'[(first.month - 1) // 3]}季度"
        case "half_year":
            text = "上半年" if first.month == 1 else "下半年"
        case _:
            text = ""
    return f"{first.year}年{text}"
