"""What upkeep leaves when it is cut short at its worst places: told, never falsified, and finished by a second run."""

from __future__ import annotations

import errno
import gzip
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingestion import retention, rotation
from ingestion.erasure import erase, read_person, record
from ingestion.erasure.journal import work_folder
from ingestion.errors import Permanent, StorageFailed
from ingestion.home import Home
from ingestion.landing import object_path
from ingestion.ledger import Ledger, NewAttempt, now
from ingestion.load import restore
from ingestion.personal import home_key_path, key_of, previous_key_path
from tests.ingestion.deliveries import Exports, csv_bytes, good_row
from upkeep.status import status

CASES, TICKETS = "platform_cases", "hotline_tickets"
PHONE = "13812345678"
WHO = f"姓名: 赵琰玥\n电话: {PHONE}\n"


class Killed(BaseException):
    """The process ends here."""


def cut(monkeypatch: pytest.MonkeyPatch, target: object, name: str, work: Callable[[], object]) -> None:
    """Runs ``work`` up to the first call of ``target.name``, which is the last thing that it does."""

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(target, name, killed)
        with pytest.raises(Killed):
            work()


@pytest.fixture
def held(exports: Exports) -> Exports:
    """The person in a packed file; a month of tickets of which only the typed rows are left."""
    mine = good_row(TICKETS, 1) | {"caller": "赵琰玥", "caller_phone": PHONE}
    exports.put(TICKETS, [mine], month="2022-06")
    exports.load(TICKETS, "2022-06")
    (file,) = Ledger(exports.home).accepted_files()
    retention.remove_expired(exports.home, needed_too=True, at=now().replace(year=2099))
    assert not object_path(exports.home, file.sha256).exists()
    packed = gzip.compress(csv_bytes(TICKETS, [mine, good_row(TICKETS, 2)]), mtime=0)
    exports.put(TICKETS, packed, "a.csv.gz")
    exports.load(TICKETS)
    return exports


def erased(home: Home, **options: bool) -> int:
    return erase(home, read_person(WHO), by="县局", request="1", apply=True, **options).rows


# -- rotation ---------------------------------------------------------------------------------------------------------


def test_cut_short_before_the_new_key_is_in_its_place_a_second_rotation_makes_one(
    held: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, old = held.home, key_of(held.home)
    cut(monkeypatch, sys.modules["ingestion.personal"], "put", lambda: rotation.rotate(home, rekey_expired=True))
    assert previous_key_path(home).exists() and key_of(home) == old and status(home)["unfinished_rotation"]
    assert rotation.rotate(home, rekey_expired=True).key_id != old.key_id
    assert not status(home)["unfinished_rotation"]


def test_a_key_that_a_killed_process_has_left_goes(held: Exports) -> None:
    home = held.home
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = home.keys / f".pseudonym.{dead.pid}.0a0b0c0d"
    left.write_text("home-1:" + "0" * 64)
    rotation.rotate(home, rekey_expired=True)
    assert list(home.keys.iterdir()) == [home_key_path(home)]


def test_rows_without_raw_bytes_are_sealed_before_they_get_their_name(
    held: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sealed after, they would be taken for damaged, and nothing could ever tell that they are not."""
    home = held.home
    (expired,) = [file for file in Ledger(home).accepted_files() if file.month == "2022-06"]
    real = Ledger.seal_again

    def at_the_expired(self: Ledger, dataset: str, month: str, attempt_id: int, staged: Path | None = None) -> None:
        if attempt_id == expired.landing_id:
            raise Killed
        real(self, dataset, month, attempt_id, staged)

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "seal_again", at_the_expired)
        with pytest.raises(Killed):
            rotation.rotate(home, rekey_expired=True)
    rotation.rotate(home, rekey_expired=True)
    assert restore(home) == [] and rotation.key_of_staged(home) == key_of(home).mark
    # Between the seal and the name a build cannot go on, and says what has to be done first.
    cut(monkeypatch, sys.modules["ingestion.staging"], "put", lambda: _rekey_of(home, expired.landing_id))
    with pytest.raises(Permanent, match="cut short is repeated"):
        restore(home)


def _rekey_of(home: Home, landing_id: int) -> None:
    (file,) = [file for file in Ledger(home).accepted_files() if file.landing_id == landing_id]
    rotation._rekey(home, file, key_of(home))


def test_cut_short_at_its_last_seal_a_rotation_to_an_outer_key_can_be_repeated(
    exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports.put(TICKETS, [good_row(TICKETS, 1)])
    exports.load(TICKETS)
    monkeypatch.setenv("TONGBAO_PII_KEY", "2026a:" + "x" * 32)
    cut(monkeypatch, Ledger, "seal_again", lambda: rotation.rotate(exports.home))
    assert rotation.rotate(exports.home).files == 1
    assert restore(exports.home) == []


# -- erasure ----------------------------------------------------------------------------------------------------------


def test_what_killed_processes_have_left_of_the_person_goes_too(held: Exports) -> None:
    home = held.home
    left = home.raw / "incoming" / TICKETS / "tmp1" / "export.csv"
    left.parent.mkdir(parents=True)
    left.write_text(PHONE)
    (file, _) = Ledger(home).accepted_files()
    staged = file.path.with_name("99.parquet")
    staged.write_bytes(file.path.read_bytes())
    Ledger(home).copy_to(Home(home.trial))
    erased(home)
    assert not left.exists() and not staged.exists() and not home.trial.exists()


def test_a_name_is_gone_from_the_free_room_of_the_ledgers_pages(
    exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an SQLite that does not overwrite by itself what it frees: not every build of it does."""
    real = sqlite3.connect

    def careless(*arguments: Any, **named: Any) -> sqlite3.Connection:
        connection = real(*arguments, **named)
        connection.execute("PRAGMA secure_delete = OFF")
        return connection

    monkeypatch.setattr(sqlite3, "connect", careless)
    home = exports.home
    files = [NewAttempt(file=f"{PHONE}-{'y' * (n * 37 % 90)}{n}.csv", sha256=f"{n:064}", bytes=1) for n in range(120)]
    for _ in range(2):
        Ledger(home).record_pull("hotline", TICKETS, "2022-05", now(), files)
    assert home.ledger_path.read_bytes().count(PHONE.encode()) > 240, "nothing is left in free room: this shows nothing"
    erased(home)
    assert PHONE.encode() not in home.ledger_path.read_bytes()
    assert record.entries(home)[0]["names_in_ledger"] == 120


def test_changed_bytes_that_the_ledger_does_not_know_yet_are_nobodys_file(
    held: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A packed file cannot be searched without its name: taken for a stranger's it would be removed when so told."""
    home = held.home
    cut(monkeypatch, Ledger, "record_replacement", lambda: erased(home))
    assert len(list(home.objects.iterdir())) == 2 and status(home)["unfinished_erasure"]
    erased(home, remove_unsearchable=True)
    (entry,) = record.entries(home)
    assert sorted(file["action"] for file in entry["files"]) == ["changed", "staged"]
    (kept,) = home.objects.iterdir()
    assert PHONE.encode() not in gzip.decompress(kept.read_bytes()) and restore(home) == []


def test_typed_rows_changed_before_the_kill_stand_in_the_record(held: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    cut(monkeypatch, sys.modules["ingestion.erasure"], "_remove_runs", lambda: erased(held.home))
    erased(held.home)
    (entry,) = record.entries(held.home)
    assert sorted((file["action"], file["rows"]) for file in entry["files"]) == [("changed", 1), ("staged", 1)]


def test_names_are_counted_once_however_often_it_was_begun(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    exports.put(TICKETS, [good_row(TICKETS, 1)], f"{PHONE}.csv")
    exports.load(TICKETS)
    for _ in range(2):
        cut(monkeypatch, Ledger, "rename_file", lambda: erased(exports.home))
    erased(exports.home)
    assert record.entries(exports.home)[0]["names_in_ledger"] == 1
    assert PHONE.encode() not in exports.home.ledger_path.read_bytes()


def test_a_work_folder_without_a_journal_is_no_erasure_and_goes(held: Exports) -> None:
    home = held.home
    work_folder(home).mkdir()
    (work_folder(home) / ".journal.tmp").write_text("{")
    assert not status(home)["unfinished_erasure"]
    erased(home)
    (work_folder(home) / "trial").mkdir(parents=True)
    erased(home)
    assert not work_folder(home).exists() and len(record.entries(home)) == 1


# -- the place ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("work", "target", "name"),
    [
        (erased, "ingestion.erasure", "put"),
        (lambda home: rotation.rotate(home, rekey_expired=True), "ingestion.personal", "put"),
        (lambda home: retention.remove_expired(home, needed_too=True, at=now().replace(year=2099)),
         "ingestion.retention", "sync"),
    ],
)  # fmt: skip
def test_a_fault_of_the_place_is_named(
    held: Exports, monkeypatch: pytest.MonkeyPatch, work: Callable[[Home], object], target: str, name: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(sys.modules[target], name, full)
        with pytest.raises(StorageFailed, match="No space left"):
            work(held.home)
    work(held.home)
