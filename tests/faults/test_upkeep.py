"""The rows of upkeep can fail: what they look for beside the seven invariants is noticed when it is there."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from faults import duties, invariants, shelf
from faults.cases import mirror
from faults.county import Task
from faults.judge import WRONG
from faults.workplace import Workplace
from ingestion.home import Home
from ingestion.landing import object_path
from ingestion.ledger import Ledger, now
from ingestion.personal import key_of
from ingestion.retention import remove_expired
from tests.ingestion.deliveries import Exports, good_row

PHONE = "13812345678"


@pytest.fixture(autouse=True)
def key_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A workplace sets the key of its own; it is put back at the end."""
    monkeypatch.setenv("TONGBAO_PII_KEY", "")


@pytest.fixture
def exports(tmp_path: Path) -> Exports:
    made = Exports(tmp_path)
    made.put("platform_cases", [good_row("platform_cases", 1)])
    made.load("platform_cases")
    return made


def test_a_value_that_an_erasure_has_left_is_noticed_also_packed_and_in_a_name(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.objects.mkdir(parents=True)
    (home.objects / "a").write_text("1381234567")
    assert invariants.i4_erased(home, [PHONE, "艾力江"]) == []
    (home.objects / "b").write_bytes(gzip.compress(PHONE.encode()))
    (home.raw / f"{PHONE}.csv").touch()
    (home.objects / "c").write_bytes("艾力江".encode("gb18030"))
    assert len(invariants.i4_erased(home, [PHONE, "艾力江"])) == 3


def test_bytes_that_the_ledger_says_are_others_or_gone_are_accounted_for(exports: Exports) -> None:
    home = exports.home
    (file,) = Ledger(home).accepted_files()
    path = object_path(home, file.sha256)
    content = path.read_bytes()
    path.unlink()
    assert "gone or damaged" in invariants.i2_lines(home)[0]
    path.write_bytes(content)
    remove_expired(home, needed_too=True, at=now().replace(year=2099))
    assert invariants.i2_lines(home) == []
    path.write_bytes(content + b"x")
    assert "gone or damaged" in invariants.i2_lines(home)[0]


def test_a_rotation_that_changed_nothing_is_noticed(exports: Exports) -> None:
    mark = key_of(exports.home).mark
    place = Workplace(exports.root.parent, "place")
    place.home = exports.home
    assert "1 files are of the old key" in duties._rotated(place, mark)[0]
    assert duties._rotated(place, "another") == []


def test_a_mixture_of_documents_is_noticed(tmp_path: Path) -> None:
    place = Workplace(tmp_path)
    root = place.home.published / "documents"
    (root / ".1-a" / "page").mkdir(parents=True)
    (root / ".1-a" / "page" / "index.html").write_text("old")
    (root / "1").symlink_to(".1-a")
    (root / "current").symlink_to("1")
    task = Task("documents", tmp_path, shelf.write_documents, shelf.write_documents, old=shelf.shelf_of(place.home))
    task.new.update(task.old)
    assert shelf._old_or_new(place, task) == []
    (root / ".1-a" / "page" / "unit.html").write_text("new")
    assert "neither the old nor the new" in shelf._old_or_new(place, task)[0]
    (root / "1").unlink()
    assert "are gone" in shelf._old_or_new(place, task)[0]


def test_a_mirror_without_a_server_is_wrong_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise FileNotFoundError("no initdb")

    monkeypatch.setattr(mirror, "prepared_mirror", absent)
    (variant,) = mirror.variants()
    verdict = variant.check(Workplace(tmp_path))
    assert verdict.outcome == WRONG and "no PostgreSQL could be started" in verdict.why
