"""Spellings of a 所属期: the ways people write a month, a week or a period, and the one code that each stands for."""

from __future__ import annotations

import datetime as dt
import re

from ingestion.errors import BadParameter
from ingestion.period import Month

_MONTH = re.compile(r"(\d{4})(?:[-/](\d{1,2})|年(\d{1,2})月)", re.ASCII)
_DAY = re.compile(
    r"(\d{4})(?:-(\d{1,2})-(\d{1,2})|/(\d{1,2})/(\d{1,2})|年(\d{1,2})月(\d{1,2})日)(?:[ T]+[\d:]+)?", re.ASCII
)
_WEEK = re.compile(r"(\d{4})-W(\d{1,2})", re.ASCII)


def period_code(text: str | None, kind: str) -> str | None:
    """The code of the week, month or period that the text spells, None where it spells none of that kind.

    A month may be ``2022-07``, ``2022-7``, ``2022/7``, ``2022年7月`` or a day of it (Excel makes dates of months); a
    week ``2022-W07`` or ``2022-W7``; a period a month or ``<month>--<month>``, any run of whole months (only some are
    ranked). Weeks and months must exist.
    """
    if text is None:
        return None
    if kind == "week":
        return _week(text)
    if kind == "month":
        return _month(text)
    first, mark, last = text.partition("--")
    months = [month for part in ([first, last] if mark else [first]) if (month := _month(part.strip()))]
    if mark and (len(months) < 2 or months[0] >= months[1]):
        return None
    return "--".join(months) or None


def _month(text: str) -> str | None:
    if match := _MONTH.fullmatch(text):
        year, month = match[1], match[2] or match[3]
    elif match := _DAY.fullmatch(text):
        year, month, day = (part for part in match.groups() if part)
        try:
            dt.date(int(year), int(month), int(day))
        except ValueError:
            return None
    else:
        return None
    try:
        return str(Month.parse(f"{year}-{int(month):02d}"))
    except BadParameter:
        return None


def _week(text: str) -> str | None:
    match = _WEEK.fullmatch(text)
    if not match:
        return None
    try:
        dt.date.fromisocalendar(int(match[1]), int(match[2]), 1)
    except ValueError:
        return None
    return f"{match[1]}-W{int(match[2]):02d}"
