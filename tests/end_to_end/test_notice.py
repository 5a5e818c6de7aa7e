"""The notice of July-August 2022, figure by figure and list by list.

tests/fixtures/notice_figures.csv holds what was printed, whether it is consistent, and the correct figure where it
can be told; notice_lists.csv the units that the notice praises and blames. One test per figure that can be told.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from ingestion.home import Home

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
BOTH, JULY = "2022-07--2022-08", "2022-07"


@dataclass(frozen=True)
class Where:
    """Where a printed figure is found in marts.period_totals, and what the notice prints of it."""

    period: str
    figure: str
    shown: str = "count"


#: The figures that can be told, by their name in notice_figures.csv.
FIGURES = {
    "cases July-August": Where(BOTH, "cases_accepted"),
    "share window registration": Where(BOTH, "cases_accepted/channel=窗口登记"),
    "share service APP": Where(BOTH, "cases_accepted/channel=政务服务APP"),
    "web portal": Where(BOTH, "good_reviews_to_date/channel=政务服务网"),
    "mobile": Where(BOTH, "good_reviews_to_date/channel=移动端"),
    "service hall": Where(BOTH, "good_reviews_to_date/channel=线下实体大厅"),
    "SMS": Where(BOTH, "good_reviews_to_date/channel=短信"),
    "QR code": Where(BOTH, "good_reviews_to_date/channel=二维码"),
    "tickets received in July": Where(JULY, "tickets_received"),
    "closed": Where(JULY, "tickets_closed"),
    "closure rate": Where(JULY, "ticket_closure_rate", "percent"),
    "help requests": Where(JULY, "tickets_received/demand=求助", "count (percent)"),
    "consultations": Where(JULY, "tickets_received/demand=咨询", "count (percent)"),
    "complaints": Where(JULY, "tickets_received/demand=投诉", "count (percent)"),
    "reports and suggestions": Where(JULY, "tickets_received/demand=举报建议", "count (percent)"),
    "calls per day": Where(JULY, "calls_per_day", "value"),
    "dispatched to units": Where(JULY, "dispatched"),
    "dispatched 人社局": Where(JULY, "dispatched/unit=U16"),
    "dispatched 住建局": Where(JULY, "dispatched/unit=U20"),
    "dispatched 市监局": Where(JULY, "dispatched/unit=U21"),
    "dispatched 茫丁乡": Where(JULY, "dispatched/unit=U05"),
    "dispatched 精河镇": Where(JULY, "dispatched/unit=U01"),
    "dispatched 大河沿子镇": Where(JULY, "dispatched/unit=U02"),
}


def rows(name: str) -> list[dict[str, str]]:
    with (FIXTURES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


PRINTED = {row["figure"]: row for row in rows("notice_figures.csv")}
TOLD = [name for name, row in PRINTED.items() if row["correct"]]


@pytest.fixture(scope="module")
def published(notice_home: Home):
    with duckdb.connect(str(notice_home.current / "warehouse.duckdb"), read_only=True) as connection:
        yield connection


def percent(numerator: int, denominator: int) -> str:
    """Two decimals, half up on the exact fraction: the notice's own way where it is consistent."""
    hundredths = (numerator * 100_000 // denominator + 5) // 10
    return f"{hundredths // 100}.{hundredths % 100:02d}%"


def test_every_figure_that_can_be_told_is_told() -> None:
    assert set(TOLD) == set(FIGURES)


@pytest.mark.parametrize("name", TOLD)
def test_figure(name: str, published: duckdb.DuckDBPyConnection) -> None:
    where = FIGURES[name]
    found = published.execute(
        "select value, numerator, denominator from marts.period_totals where period_code = ? and figure = ?",
        [where.period, where.figure],
    ).fetchall()
    assert len(found) == 1
    value, numerator, denominator = found[0]
    shown = {
        "count": lambda: str(numerator),
        "value": lambda: f"{value:g}",
        "percent": lambda: percent(numerator, denominator),
        "count (percent)": lambda: f"{numerator} ({percent(numerator, denominator)})",
    }[where.shown]()
    assert shown == PRINTED[name]["correct"]


def test_printed_shares_of_the_channels(published: duckdb.DuckDBPyConnection) -> None:
    for name in ("share window registration", "share service APP"):
        numerator, denominator = published.execute(
            "select numerator, denominator from marts.period_totals where period_code = ? and figure = ?",
            [BOTH, FIGURES[name].figure],
        ).fetchone()
        assert percent(numerator, denominator) == PRINTED[name]["printed"]


def test_all_reviews_are_the_sum_of_their_channels(published: duckdb.DuckDBPyConnection) -> None:
    """Printed 245617, which its five channels contradict by 18143."""
    total = published.execute(
        "select numerator from marts.period_totals where period_code = ? and figure = 'good_reviews_to_date'", [BOTH]
    ).fetchone()[0]
    assert total == 263760
    assert total - int(PRINTED["all reviews (cumulative)"]["printed"]) == 18143


def test_satisfaction_is_a_share_of_the_tickets(published: duckdb.DuckDBPyConnection) -> None:
    """Printed 98.7 % and, in the same paragraph, 100 %; only 372 of 377 rounds to the first."""
    numerator, denominator = published.execute(
        "select numerator, denominator from marts.period_totals where period_code = ? and figure = ?",
        [JULY, "ticket_satisfied_rate"],
    ).fetchone()
    assert (numerator, denominator) == (372, 377)


LISTED = [(row["area"], row["list"], unit) for row in rows("notice_lists.csv") for unit in row["units"].split(";")]


@pytest.mark.parametrize(("area", "list_name", "unit"), LISTED)
def test_listed_unit(area: str, list_name: str, unit: str, published: duckdb.DuckDBPyConnection) -> None:
    found = published.execute(
        "select list, rank, score, null_reason from marts.unit_rankings "
        "where period_code = ? and area = ? and unit_name = ?",
        [BOTH, area, unit],
    ).fetchall()
    assert len(found) == 1
    assert found[0][0] == list_name, found[0]
