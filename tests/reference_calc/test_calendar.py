"""Working days, weeks and periods by the examples that the rules give."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from tests.reference_calc.calendar_ import MonthOfYear, PeriodOfMonths, WorkingDays, last_second_of


@pytest.fixture(scope="module")
def calendar() -> WorkingDays:
    return WorkingDays()


def nth(calendar: WorkingDays, day: str, n: int | None) -> str | None:
    due = last_second_of(calendar.nth_after(pd.Series([pd.Timestamp(day)]), pd.Series([n], dtype="float64")))[0]
    return None if pd.isna(due) else str(due)


@pytest.mark.parametrize(
    ("accepted", "days", "due"),
    [
        ("2022-09-28 08:00:00", 5, "2022-10-10 23:59:59"),  # 09-29, 09-30, then make-up days 10-08 and 10-09, 10-10
        ("2022-10-06 10:00:00", 0, "2022-10-08 23:59:59"),  # in the holidays: the Saturday that is worked
        ("2022-07-01 10:00:00", 0, "2022-07-01 23:59:59"),
        ("2022-07-02 10:00:00", 0, "2022-07-04 23:59:59"),  # a Saturday
        ("2022-07-02 10:00:00", 1, "2022-07-04 23:59:59"),
        ("2022-07-01 23:59:59", 1, "2022-07-04 23:59:59"),
        ("2026-12-31 10:00:00", 1, None),  # 2027 is not known
        ("2003-12-31 10:00:00", 1, None),
    ],
)
def test_nth_working_day(calendar: WorkingDays, accepted: str, days: int, due: str | None) -> None:
    assert nth(calendar, accepted, days) == due


def test_working_days_between_leave_out_the_first_day(calendar: WorkingDays) -> None:
    start = pd.Series(pd.to_datetime(["2022-09-28 09:00", "2022-07-01 09:00", "2022-07-01 09:00", "NaT"]))
    end = pd.Series(pd.to_datetime(["2022-10-10 09:00", "2022-07-01 17:00", "2022-07-03 17:00", "2022-07-03 09:00"]))
    assert calendar.between(start, end).fillna(-1).tolist() == [5, 0, 0, -1]


def test_a_county_holiday_moves_the_due_day() -> None:
    calendar = WorkingDays({dt.date(2022, 7, 4): False})
    assert nth(calendar, "2022-07-01", 1) == "2022-07-05 23:59:59"


def test_weeks_belong_to_the_month_of_their_sunday() -> None:
    july, august = MonthOfYear(2022, 7), MonthOfYear(2022, 8)
    assert july.mondays_of_weeks[0] == dt.date(2022, 6, 27)
    assert len(july.mondays_of_weeks) == 5  # Sundays 3, 10, 17, 24, 31
    assert august.mondays_of_weeks[0] == dt.date(2022, 8, 1)


def test_period_months_cut_off_and_predecessor() -> None:
    period = PeriodOfMonths.parse("2022-01--2022-02")
    assert [month.code for month in period.months] == ["2022-01", "2022-02"]
    assert str(period.cut_off) == "2022-03-05 23:59:59"
    assert period.previous.code == "2021-11--2021-12"
    assert PeriodOfMonths.parse("2022-07").previous.code == "2022-06"
