"""Months, days and working days as numpy arrays; all times are Beijing wall time."""

from __future__ import annotations

import datetime as dt
import zlib
from functools import cache

import chinese_calendar
import numpy as np

DAY = np.timedelta64(1, "D")
SECOND = np.timedelta64(1, "s")
NAT = np.datetime64("NaT", "s")


def rng_for(seed: int, *labels: object) -> np.random.Generator:
    """A generator of its own for each part of the data, so that parts do not depend on one another's order."""
    return np.random.default_rng([seed, *(zlib.crc32(str(label).encode()) for label in labels)])


def months_between(first: str, last: str) -> list[str]:
    """The months of ``first..last``, both inclusive."""
    months = np.arange(np.datetime64(first, "M"), np.datetime64(last, "M") + 1)
    if not len(months):
        raise ValueError(f"no months between {first} and {last}")
    return [str(month) for month in months]


def start(month: str) -> np.datetime64:
    """The month's first second."""
    return np.datetime64(month, "M").astype("datetime64[s]")


def end(month: str) -> np.datetime64:
    """The first second after the month."""
    return (np.datetime64(month, "M") + 1).astype("datetime64[s]")


def pulled(month: str) -> np.datetime64:
    """The moment that the month's export shows: the last second of the fifth day after the month."""
    return end(month) + 5 * DAY - SECOND


def days_of(month: str) -> np.ndarray:
    """The month's days, datetime64[D]."""
    return np.arange(start(month).astype("datetime64[D]"), end(month).astype("datetime64[D]"))


def month_of(times: np.ndarray) -> np.ndarray:
    """The month of each time, as text ``YYYY-MM`` (``NaT`` for none)."""
    return times.astype("datetime64[M]").astype(str)


@cache
def workdays() -> np.ndarray:
    """Every working day that the State Council's calendar knows, make-up days included."""
    days = chinese_calendar.get_workdays(dt.date(2004, 1, 1), dt.date(2026, 12, 31))
    return np.array(days, dtype="datetime64[D]")


def is_workday(days: np.ndarray) -> np.ndarray:
    """Which of the days are working days."""
    return np.isin(days.astype("datetime64[D]"), workdays())


def nth_workday(days: np.ndarray, n: np.ndarray | int) -> np.ndarray:
    """The n-th working day after each day; n = 0 gives the day itself, or the next working day on a day off.

    Beyond the calendar's last year it is the last working day that is known: good enough to invent a closing time.
    """
    days = days.astype("datetime64[D]")
    after = np.searchsorted(workdays(), days, side="right")
    same = np.searchsorted(workdays(), days, side="left")
    index = np.where(np.asarray(n) > 0, after + np.asarray(n) - 1, same)
    return workdays()[np.minimum(index, len(workdays()) - 1)]


def last_second(days: np.ndarray) -> np.ndarray:
    """23:59:59 of each day."""
    return days.astype("datetime64[D]").astype("datetime64[s]") + DAY - SECOND


def at(days: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """The moment that many seconds after each day's midnight."""
    return days.astype("datetime64[D]").astype("datetime64[s]") + seconds.astype("timedelta64[s]")


def office_hours(rng: np.random.Generator, days: np.ndarray) -> np.ndarray:
    """A moment of each day in the county's office hours: 10:00-14:00 and 16:00-20:00 by Beijing's clock."""
    seconds = rng.integers(0, 4 * 3600, len(days)) + np.where(rng.random(len(days)) < 0.55, 10 * 3600, 16 * 3600)
    return at(days, seconds)


def draw_days(
    rng: np.random.Generator, month: str, n: int, day_off: float = 0.05, month_end: float = 1.3
) -> np.ndarray:
    """n days of the month: days off at ``day_off`` of a working day's weight, the last five at ``month_end`` of it."""
    days = days_of(month)
    weight = np.where(is_workday(days), 1.0, day_off) * np.where(np.arange(len(days)) >= len(days) - 5, month_end, 1.0)
    return rng.choice(days, n, p=weight / weight.sum())


def seconds(rng: np.random.Generator, low: float, high: float, n: int) -> np.ndarray:
    """n durations between low and high seconds."""
    return rng.integers(int(low), int(high), n).astype("timedelta64[s]")
