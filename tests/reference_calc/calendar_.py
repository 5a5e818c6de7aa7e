"""Working days of the State Council's calendar, ISO weeks, months and periods. Days are Beijing days."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass

import chinese_calendar
import numpy as np
import pandas as pd

LAST_SECOND = pd.Timedelta(hours=23, minutes=59, seconds=59)
_ONE_DAY = dt.timedelta(days=1)


class WorkingDays:
    """The calendar as one sorted list of working days; ``overrides`` (day → is it a working day) beat it."""

    def __init__(self, overrides: Mapping[dt.date, bool] | None = None) -> None:
        years = [day.year for day in chinese_calendar.holidays]
        first, last = dt.date(min(years), 1, 1), dt.date(max(years), 12, 31)
        changed = overrides or {}
        days = [first + i * _ONE_DAY for i in range((last - first).days + 1)]
        working = [day for day in days if changed.get(day, chinese_calendar.is_workday(day))]
        self.working = np.array(working, dtype="datetime64[D]")
        self.first, self.last = np.datetime64(first), np.datetime64(last)

    def nth_after(self, start: pd.Series, n: pd.Series) -> pd.Series:
        """The n-th working day after the day of ``start``; for n = 0 that day, or the next working day on a day off.

        Null where ``start`` or ``n`` is, or where the day falls in a year that the calendar does not know.
        """
        days = start.to_numpy().astype("datetime64[D]")
        known = ~np.isnat(days) & n.notna().to_numpy() & (days >= self.first) & (days <= self.last)
        steps = np.where(known, n.fillna(0).to_numpy(), 0).astype(int).clip(min=0)
        safe = np.where(known, days, self.first)
        after = np.searchsorted(self.working, safe, side="right") + steps - 1
        same_or_next = np.searchsorted(self.working, safe, side="left")
        index = np.where(steps > 0, after, same_or_next)
        known &= index < len(self.working)
        due = np.where(known, self.working[np.minimum(index, len(self.working) - 1)], np.datetime64("NaT", "D"))
        return pd.Series(due.astype("datetime64[s]"), index=start.index)

    def between(self, start: pd.Series, end: pd.Series) -> pd.Series:
        """Working days in (day of start, day of end]; NaN where one is empty."""
        known = (start.notna() & end.notna()).to_numpy()
        first = start.to_numpy().astype("datetime64[D]")[known]
        last = end.to_numpy().astype("datetime64[D]")[known]
        counted = np.searchsorted(self.working, last, "right") - np.searchsorted(self.working, first, "right")
        result = pd.Series(np.nan, index=start.index)
        result[known] = counted.astype(float)
        return result


def last_second_of(days: pd.Series) -> pd.Series:
    """23:59:59 of each day."""
    return days.dt.normalize() + LAST_SECOND


def month_of(times: pd.Series) -> pd.Series:
    """The month as an integer, 202207; NaN for an empty time."""
    return times.dt.year * 100 + times.dt.month


def monday_of(times: pd.Series) -> pd.Series:
    """The Monday of the ISO week of each time."""
    return times.dt.normalize() - pd.to_timedelta(times.dt.day_of_week, unit="D")


@dataclass(frozen=True)
class MonthOfYear:
    """One calendar month."""

    year: int
    month: int

    @classmethod
    def parse(cls, code: str) -> MonthOfYear:
        if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", code):
            raise ValueError(f"not a month: {code!r}")
        return cls(int(code[:4]), int(code[5:]))

    def plus(self, months: int) -> MonthOfYear:
        index = self.year * 12 + self.month - 1 + months
        return MonthOfYear(index // 12, index % 12 + 1)

    @property
    def code(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @property
    def number(self) -> int:
        """202207: what ``month_of`` gives for a time in it."""
        return self.year * 100 + self.month

    @property
    def first_day(self) -> dt.date:
        return dt.date(self.year, self.month, 1)

    @property
    def last_day(self) -> dt.date:
        return self.plus(1).first_day - _ONE_DAY

    @property
    def mondays_of_weeks(self) -> list[dt.date]:
        """The Mondays of the ISO weeks that belong to the month: those whose Sunday lies in it."""
        days = [self.first_day + i * _ONE_DAY for i in range((self.last_day - self.first_day).days + 1)]
        return [day - 6 * _ONE_DAY for day in days if day.isoweekday() == 7]


@dataclass(frozen=True)
class PeriodOfMonths:
    """A run of whole months."""

    first: MonthOfYear
    last: MonthOfYear

    @classmethod
    def parse(cls, code: str) -> PeriodOfMonths:
        first, _, last = code.partition("--")
        return cls(MonthOfYear.parse(first), MonthOfYear.parse(last or first))

    @property
    def months(self) -> list[MonthOfYear]:
        length = (self.last.year - self.first.year) * 12 + self.last.month - self.first.month + 1
        return [self.first.plus(i) for i in range(length)]

    @property
    def code(self) -> str:
        return self.first.code if self.first == self.last else f"{self.first.code}--{self.last.code}"

    @property
    def previous(self) -> PeriodOfMonths:
        """The adjacent earlier period of the same length."""
        length = len(self.months)
        return PeriodOfMonths(self.first.plus(-length), self.last.plus(-length))

    @property
    def cut_off(self) -> pd.Timestamp:
        """The last second of the period's last day + 5 calendar days."""
        return pd.Timestamp(self.last.last_day) + pd.Timedelta(days=5) + LAST_SECOND
