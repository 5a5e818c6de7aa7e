"""One cell at a time: every spelling that the exports' contract allows."""

from __future__ import annotations

import datetime as dt

import pytest

from tests.reference_calc import cells

HALF_PAST_EIGHT = dt.datetime.fromisoformat("2022-07-01T08:30:00")


@pytest.mark.parametrize(
    "raw",
    [
        "2022-07-01 08:30:00",
        "2022-07-01T08:30:00",
        "2022/7/1 8:30",
        "2022年7月1日 8时30分",
        "２０２２-０７-０１　０８：３０：００",
        " 2022-07-01 08:30 ",
        HALF_PAST_EIGHT,
        dt.datetime.fromisoformat("2022-07-01T08:29:59.999700"),
    ],
)
def test_times(raw: object) -> None:
    assert cells.moment(raw) == (HALF_PAST_EIGHT, False)


@pytest.mark.parametrize("raw", ["2022-07-01", "2022/7/1", "2022年7月1日", dt.date.fromisoformat("2022-07-01")])
def test_a_date_alone(raw: object) -> None:
    assert cells.moment(raw) == (dt.datetime.fromisoformat("2022-07-01"), True)


@pytest.mark.parametrize("raw", ["2022-02-30", "2022-07-01 25:00", "1.7.2022", "44743", 44743.5, "2022-07", "昨天"])
def test_no_time(raw: object) -> None:
    with pytest.raises(cells.Unreadable):
        cells.moment(raw)


@pytest.mark.parametrize("raw", ["12", "12.0", "１２", 12, 12.0])
def test_integers(raw: object) -> None:
    assert cells.integer(raw) == 12


@pytest.mark.parametrize("raw", ["12.5", "十二", "", "1,200"])
def test_no_integer(raw: object) -> None:
    with pytest.raises(cells.Unreadable):
        cells.integer(raw)


@pytest.mark.parametrize(
    ("raw", "lost"),
    [("6.527E+17", True), (6.527e17, True), (1e15, True), (20220701001.0, False), ("652722202207010001", False)],
)
def test_lost_numbers(raw: object, lost: bool) -> None:
    assert cells.is_lost_number(raw) is lost


def test_obligation_periods() -> None:
    assert cells.month_code("2022年7月") == cells.month_code("2022-7") == cells.month_code("２０２２-０７") == "2022-07"
    assert cells.month_code(dt.datetime.fromisoformat("2022-07-15")) == "2022-07"
    assert cells.week_code("2022-W7") == "2022-W07"
    assert cells.period_code("2022-7--2022-8") == "2022-07--2022-08"
    for parse, raw in [(cells.month_code, "2022-13"), (cells.week_code, "2022-W53"), (cells.week_code, "2022-07")]:
        with pytest.raises(cells.Unreadable):
            parse(raw)
    assert cells.week_code("2020-W53") == "2020-W53"
