"""Raw files whose time is over go, except what the warehouse is rebuilt from."""

from __future__ import annotations

import datetime as dt

import pytest

from ingestion.errors import BadParameter, DeliveryRefused, Permanent
from ingestion.landing import object_path
from ingestion.ledger import Ledger, now
from ingestion.load import load, rebuild
from ingestion.retention import expired, remove_expired
from tests.ingestion.deliveries import Exports, good_row

CASES = "platform_cases"


def days(number: int) -> dt.datetime:
    return now() + dt.timedelta(days=number)


@pytest.fixture
def held(exports: Exports) -> Exports:
    """An accepted delivery, a refused one, and bytes that no delivery knows."""
    exports.put(CASES, [good_row(CASES, 1)])
    exports.load(CASES)
    exports.put(CASES, b"not,a\nheader,1\n", month="2022-08")
    with pytest.raises(DeliveryRefused):
        exports.load(CASES, "2022-08")
    object_path(exports.home, "f" * 64).write_bytes(b"left by a kill")
    return exports


def test_only_what_no_rebuild_needs_goes_by_itself(held: Exports) -> None:
    home = held.home
    assert expired(home, at=days(89)) == remove_expired(home, at=days(89)) == []
    found = expired(home, at=days(2000))
    assert {(each.deliveries, each.needed) for each in found} == {
        ((), False),
        (("platform_cases 2022-08 export.csv",), False),
        (("platform_cases 2022-07 export.csv",), True),
    }
    assert len(list(home.objects.iterdir())) == 3, "nothing goes by being looked at"
    removed = remove_expired(home, at=days(91))
    assert [each.needed for each in removed] == [False, False] and len(list(home.objects.iterdir())) == 1
    assert rebuild(home) == 1
    assert [(each.why, each.replaced_by) for each in Ledger(home).replacements()] == [("retention", None)]
    assert remove_expired(home, at=days(91)) == []


def test_what_is_needed_goes_only_when_told_and_never_as_the_only_copy(held: Exports) -> None:
    home = held.home
    (accepted,) = Ledger(home).accepted_files()
    kept = accepted.path.read_bytes()
    accepted.path.unlink()
    with pytest.raises(BadParameter, match="only copy"):
        remove_expired(home, needed_too=True, at=days(2000))
    assert object_path(home, accepted.sha256).exists()
    accepted.path.write_bytes(kept)
    assert [each.needed for each in remove_expired(home, needed_too=True, at=days(2000))].count(True) == 1
    assert list(home.objects.iterdir()) == []
    assert rebuild(home) == 0 and accepted.path.read_bytes() == kept
    accepted.path.unlink()
    with pytest.raises(Permanent, match="cannot be rebuilt"):
        rebuild(home)
    # Delivered again it is kept again.
    held.put(CASES, [good_row(CASES, 1)], "again.csv")
    assert held.load(CASES).outcome == "accepted"


def test_settings_are_checked_and_a_file_not_decided_yet_counts_from_its_pull(
    held: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.put(CASES, [good_row(CASES, 5)], month="2022-09")
    held.pull(CASES, "2022-09")
    assert len(remove_expired(held.home, at=days(30))) == 0
    assert load(held.home, CASES, "2022-09").outcome == "accepted"
    monkeypatch.setenv("TONGBAO_REFUSED_KEPT_DAYS", "10")
    assert len(expired(held.home, at=days(30))) == 2
    for wrong in ("0", "ninety", "-1"):
        monkeypatch.setenv("TONGBAO_RAW_KEPT_DAYS", wrong)
        with pytest.raises(BadParameter, match="TONGBAO_RAW_KEPT_DAYS"):
            expired(held.home)
