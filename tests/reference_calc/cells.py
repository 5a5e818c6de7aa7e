"""One cell at a time: raw value of a CSV, XLSX or JSON cell to text, integer, time, date, boolean or period code.

Raw values are ``str`` (CSV, JSON, XLSX text), ``int``/``float``, ``bool``, ``None`` (JSON) and ``date``/``datetime``
(XLSX date cells). All times are Beijing wall time without a zone. A value that cannot be read raises Unreadable.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from typing import Any, NamedTuple

Raw = Any


class Unreadable(ValueError):
    """The cell does not hold what its column's type asks for."""


class Moment(NamedTuple):
    """A point of time and whether the cell held a date alone."""

    at: dt.datetime
    date_alone: bool


#: Greatest number that Excel shows with all its digits; from here on a stored number has lost some.
LOST_FROM = 1e15
_SCIENTIFIC = re.compile(r"[+-]?\d(\.\d+)?E\+?\d+", re.IGNORECASE)
_INTEGER = re.compile(r"([+-]?\d+)(\.0*)?")
_DATE = (
    r"(?P<y>\d{4})"
    r"(?:-(?P<m1>\d{1,2})-(?P<d1>\d{1,2})|/(?P<m2>\d{1,2})/(?P<d2>\d{1,2})|年(?P<m3>\d{1,2})月(?P<d3>\d{1,2})日)"
)
_TIME = (
    r"(?:(?P<h1>\d{1,2}):(?P<n1>\d{1,2})(?::(?P<s1>\d{1,2}))?|(?P<h2>\d{1,2})时(?P<n2>\d{1,2})分(?:(?P<s2>\d{1,2})秒)?)"
)
_MOMENT = re.compile(rf"{_DATE}(?:(?:\s*T\s*|\s*){_TIME})?")


def text(raw: Raw) -> str:
    """The cell as trimmed, width-narrowed (NFKC) text; empty for nothing. A whole number has no decimal point."""
    if raw is None:
        return ""
    if isinstance(raw, bool):
        return "是" if raw else "否"
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    return unicodedata.normalize("NFKC", str(raw)).strip()


def is_lost_number(raw: Raw) -> bool:
    """Whether a number code was stored as a number by Excel and has lost digits."""
    if isinstance(raw, (int, float)):
        return abs(raw) >= LOST_FROM
    return bool(_SCIENTIFIC.fullmatch(text(raw)))


def integer(raw: Raw) -> int:
    """``12``, ``12.0`` or ``１２``."""
    match = _INTEGER.fullmatch(text(raw))
    if match is None:
        raise Unreadable(raw)
    return int(match[1])


def boolean(raw: Raw) -> bool:
    """是 or 否."""
    value = text(raw)
    if value not in ("是", "否"):
        raise Unreadable(raw)
    return value == "是"


def moment(raw: Raw) -> Moment:
    """A time or a date alone; the time of a date alone is 00:00:00 here, the caller moves it where the rules say so.

    An Excel date cell is rounded to the second; without a time of day it is a date alone.
    """
    if isinstance(raw, dt.datetime):
        rounded = (raw + dt.timedelta(microseconds=500_000)).replace(microsecond=0)
        return Moment(rounded, rounded.time() == dt.time())
    if isinstance(raw, dt.date):
        return Moment(dt.datetime.combine(raw, dt.time()), True)
    match = _MOMENT.fullmatch(text(raw)) if isinstance(raw, str) else None
    if match is None:
        raise Unreadable(raw)
    part = match.groupdict()
    month, day = part["m1"] or part["m2"] or part["m3"], part["d1"] or part["d2"] or part["d3"]
    hour, minute, second = part["h1"] or part["h2"], part["n1"] or part["n2"], part["s1"] or part["s2"]
    try:
        clock = dt.time(int(hour or 0), int(minute or 0), int(second or 0))
        at = dt.datetime.combine(dt.date(int(part["y"]), int(month), int(day)), clock)
    except ValueError as error:
        raise Unreadable(raw) from error
    return Moment(at, hour is None)


_MONTH = re.compile(r"(\d{4})(?:-(\d{1,2})|年(\d{1,2})月)")
_WEEK = re.compile(r"(\d{4})-?W(\d{1,2})", re.IGNORECASE)


def month_code(raw: Raw) -> str:
    """``2022-07`` from ``2022-7``, ``2022年7月`` or an Excel date of that month."""
    if isinstance(raw, dt.date):
        return f"{raw.year:04d}-{raw.month:02d}"
    match = _MONTH.fullmatch(text(raw))
    number = int(match[2] or match[3]) if match else 0
    if match is None or not 1 <= number <= 12:
        raise Unreadable(raw)
    return f"{match[1]}-{number:02d}"


def week_code(raw: Raw) -> str:
    """``2022-W07`` from ``2022-W7``; the year must have that ISO week."""
    match = _WEEK.fullmatch(text(raw)) if isinstance(raw, str) else None
    if match is None:
        raise Unreadable(raw)
    try:
        dt.date.fromisocalendar(int(match[1]), int(match[2]), 1)
    except ValueError as error:
        raise Unreadable(raw) from error
    return f"{match[1]}-W{int(match[2]):02d}"


def period_code(raw: Raw) -> str:
    """A month or ``2022-07--2022-08``, spelled as above."""
    if isinstance(raw, dt.date):
        return month_code(raw)
    first, mark, last = text(raw).partition("--")
    if not mark:
        return month_code(first)
    months = month_code(first), month_code(last)
    if months[0] >= months[1]:
        raise Unreadable(raw)
    return "--".join(months)
