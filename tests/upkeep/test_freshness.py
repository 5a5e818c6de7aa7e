"""When a source is late: by its declared limit, by months and not by the clock alone."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from ingestion.contracts import SYSTEMS
from ingestion.errors import DeliveryRefused
from tests.ingestion.deliveries import Exports, good_row
from upkeep.freshness import Limit, SourceLate, check, freshness, limits

CMS = SYSTEMS["cms"]


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


@pytest.fixture
def exports(tmp_path: Path) -> Exports:
    """July of the CMS, whole."""
    made = Exports(tmp_path)
    for dataset in CMS:
        made.put(dataset, [good_row(dataset)])
        made.load(dataset)
    return made


@pytest.mark.parametrize(
    ("moment", "due"),
    [
        ("2022-09-08 11:59:59", "2022-07"),
        ("2022-09-08 12:00:00", "2022-08"),
        ("2022-09-30 23:59:59", "2022-08"),
        ("2023-01-01 00:00:00", "2022-11"),
        ("2023-01-08 12:00:00", "2022-12"),
        ("2024-02-29 12:00:00", "2024-01"),
    ],
)
def test_the_month_that_is_due(moment: str, due: str) -> None:
    assert str(Limit(day=8, hour=12, why="a test").due_month(at(moment))) == due


def test_late_from_the_limit_on_and_not_before(exports: Exports) -> None:
    home = exports.home
    check(home, "cms", at("2022-09-08 11:00:00"))
    with pytest.raises(SourceLate, match=r"cms is late: cms_media_accounts .* lacks 2022-08.*8th 12:00"):
        check(home, "cms", at("2022-09-08 12:00:00"))
    # A delivery that was refused is not there; one that was accepted is.
    exports.put(CMS[0], b"not,a\nheader,1\n", month="2022-08")
    with pytest.raises(DeliveryRefused):
        exports.load(CMS[0], "2022-08")
    with pytest.raises(SourceLate, match=CMS[0]):
        check(home, "cms", at("2022-09-09 09:00:00"))
    for dataset in CMS:
        exports.put(dataset, [good_row(dataset)], month="2022-08")
        exports.load(dataset, "2022-08")
    check(home, "cms", at("2022-09-09 09:00:00"))


def test_a_gap_is_late_and_a_system_that_never_delivered_too(exports: Exports) -> None:
    for dataset in CMS:
        exports.put(dataset, [good_row(dataset)], month="2022-09")
        exports.load(dataset, "2022-09")
    found = {each.dataset: each for each in freshness(exports.home, at("2022-10-10 09:00:00"))}
    assert found[CMS[0]].missing == ("2022-08",) and found[CMS[0]].newest == "2022-09"
    never = found["platform_cases"]
    assert never.late and never.missing == ("2022-09",) and never.age_days is None and never.newest is None


def test_every_system_has_a_limit_with_a_reason() -> None:
    assert set(limits()) == set(SYSTEMS) and all("2026-" in limit.why for limit in limits().values())
