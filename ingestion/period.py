"""Months and periods of the assessment: codes, days, cut-offs. All times are Beijing wall time (Asia/Shanghai).

A period is a run of whole months: its code is the month (``2022-07``) or the ISO 8601 interval of its first and last
month (``2022-07--2022-08``). Five lengths are ranked: month, bimonth (Jan-Feb ... Nov-Dec), quarter, half_year, year.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from ingestion.errors import BadParameter
from ingestion.personal_numbers import excerpt

#: Days after a period's last day at whose end what is known counts (METRICS.md, Cut-off).
CUT_OFF_DAYS = 5

#: Length in months of each ranked kind of period.
PERIOD_TYPES = {"month": 1, "bimonth": 2, "quarter": 3, "half_year": 6, "year": 12}

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month; orders by time, prints as ``YYYY-MM``."""

    year: int
    month: int

    @classmethod
    def parse(cls, code: str) -> Month:
        """The month with this code; raises BadParameter on anything else."""
        match = _MONTH.fullmatch(code) if isinstance(code, str) and code.isascii() else None
        if not match or match[1] < "1900":
            raise BadParameter(f"not a month: {excerpt(code)}; write YYYY-MM, for example 2022-07")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    def plus(self, months: int) -> Month:
        """The month this many months later (earlier when negative)."""
        index = self.year * 12 + self.month - 1 + months
        return Month(index // 12, index % 12 + 1)

    def next(self) -> Month:
        return self.plus(1)

    def previous(self) -> Month:
        return self.plus(-1)

    @property
    def first_day(self) -> dt.date:
        return dt.date(self.year, self.month, 1)

    @property
    def last_day(self) -> dt.date:
        return self.next().first_day - dt.timedelta(days=1)


@dataclass(frozen=True, order=True)
class Period:
    """A ranked period; orders by its first month, then its last."""

    first: Month
    last: Month

    @classmethod
    def parse(cls, code: str) -> Period:
        """The period with this code; raises BadParameter where it is none that is ranked."""
        first, mark, last = code.partition("--") if isinstance(code, str) else ("", "", "")
        period = cls(Month.parse(first), Month.parse(last if mark else first))
        if not period._is_ranked() or period.code != code:
            raise BadParameter(
                f"not a ranked period: {excerpt(code)}; a period is a month (2022-07), two months from an odd one "
                "(2022-07--2022-08), a quarter, a half-year or a year"
            )
        return period

    def _is_ranked(self) -> bool:
        length = len(self)
        return length in PERIOD_TYPES.values() and (self.first.month - 1) % length == 0

    def __len__(self) -> int:
        return (self.last.year - self.first.year) * 12 + self.last.month - self.first.month + 1

    @property
    def code(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}--{self.last}"

    @property
    def period_type(self) -> str:
        return next(name for name, length in PERIOD_TYPES.items() if length == len(self))

    @property
    def months(self) -> list[Month]:
        return [self.first.plus(i) for i in range(len(self))]

    @property
    def first_day(self) -> dt.date:
        return self.first.first_day

    @property
    def last_day(self) -> dt.date:
        return self.last.last_day

    @property
    def cut_off(self) -> dt.datetime:
        """The last second that counts for the period, the same for all its revisions."""
        return dt.datetime.combine(self.last_day + dt.timedelta(days=CUT_OFF_DAYS), dt.time(23, 59, 59))

    def previous(self) -> Period:
        """The adjacent earlier period of the same length: what ``rank_change`` compares with."""
        return Period(self.first.plus(-len(self)), self.last.plus(-len(self)))


def periods_ending_with(month: Month) -> list[Period]:
    """Every ranked period whose last month this is, the shortest first."""
    candidates = (Period(month.plus(1 - length), month) for length in PERIOD_TYPES.values())
    return [period for period in candidates if period._is_ranked()]
