"""Faults of operation: the invariants and the driver can fail, and what the card found stays mended."""

from __future__ import annotations

import errno
import faulthandler
import fcntl
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from faults import card, invariants
from faults import county as prepared_homes
from faults.__main__ import main
from faults.cases import CASES, IN_CHILDREN
from faults.cases.operations import published
from faults.cases.side_by_side import waited
from faults.county import NotPrepared, Task
from faults.injection import (
    ANY,
    CREATE,
    DELETE,
    ERROR_ON,
    KILL,
    RENAME,
    SYNC,
    WRITE,
    Fault,
    Ran,
    in_child,
    library,
)
from faults.judge import EXACT, REFUSE, WRONG, Verdict
from faults.trial import trial, verdict
from faults.variants import Variant
from faults.workplace import Workplace
from ingestion.durable import naming_storage_faults, storage_reason, storage_reason_in, temporary_beside
from ingestion.errors import StorageFailed
from ingestion.home import PROJECT, Home
from ingestion.ledger import Decision, Ledger, NewAttempt
from ingestion.transports.base import Deadline, bounded
from publishing import publish
from tests.publishing.test_build import PULLED
from tests.publishing.warehouses import hand_made_run

# -- the invariants ---------------------------------------------------------------------------------------------------


@pytest.fixture(name="county")
def two_releases(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    for version in (1, 2):
        hand_made_run(home, f"run{version}", ["2022-07"], version=version)
        publish(home, f"run{version}")
    return home


def test_i1_notices_a_third_state_and_a_damaged_file(county: Home) -> None:
    now = invariants.served(county)
    assert invariants.i1_old_or_new(county, None, now) == []
    assert "neither" in invariants.i1_old_or_new(county, None, [["2022-07-r1", "1"]])[0]
    table = next((county.current / "tables").rglob("*.csv"))
    table.chmod(0o644)
    table.write_text("half")
    assert "damaged" in invariants.i1_old_or_new(county, None, now)[0]
    county.current.unlink()
    county.current.symlink_to("releases/9")
    assert "cannot read" in invariants.i1_old_or_new(county, None, now)[0]


def test_i2_notices_a_row_that_no_one_accounts_for(tmp_path: Path) -> None:
    home = Home(tmp_path)
    file = NewAttempt(file="a.csv", sha256="0" * 64, bytes=1)
    (attempt,) = Ledger(home).record_pull("platform", "platform_cases", "2022-07", PULLED, [file])
    Ledger(home).decide([Decision(attempt.attempt_id, "accepted", rows_in=3, rows_loaded=1, rows_quarantined=1)])
    found = "; ".join(invariants.i2_lines(home))
    assert "3 rows in, 1 loaded, 1 in quarantine" in found
    assert "holds 0 rows, the ledger says 1" in found
    assert "landed bytes are gone" in found


def test_i3_i5_and_i7_notice_a_difference() -> None:
    assert invariants.i3_converged({"a": 1}, {"a": 1}) == []
    assert invariants.i3_converged({"a": 1}, {"a": 2}) == ["I3: a is 1, not 2"]
    assert invariants.i5_state_agrees(True, "", {"a": 1}, {"a": 2}) == ["I5: ended well, but a is not done"]
    assert invariants.i5_state_agrees(False, " ", {}, {}) == ["I5: failed without a reason"]
    assert invariants.i5_state_agrees(False, "disk full", {}, {}) == []
    assert len(invariants.i7_within_limits(invariants.SECONDS + 1, invariants.MEGABYTES + 1)) == 2


def test_i4_notices_a_planted_value_but_not_in_the_raw_zone(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.raw.mkdir(parents=True)
    (home.raw / "object").write_text("13912345678")
    assert invariants.i4_nothing_personal(tmp_path, home, ["13912345678"]) == []
    (tmp_path / "log.txt").write_text("row 3: 13912345678")
    assert "log.txt" in invariants.i4_nothing_personal(tmp_path, home, ["13912345678"])[0]
    assert "an error" in invariants.i4_nothing_personal(home.root, home, ["13912345678"], "of 13912345678")[0]


def test_i6_notices_what_is_left(county: Home) -> None:
    assert invariants.i6_nothing_left(county) == []
    (county.root / "validation").mkdir()
    (county.root / "validation" / ".a.json.1.tmp").touch()
    (county.staged / "cms_posts" / "2022-07").mkdir(parents=True)
    (county.staged / "cms_posts" / "2022-07" / "7.parquet").touch()
    shutil.copytree(county.releases / "2", county.releases / "3")
    held = os.open(county.published, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    found = "; ".join(invariants.i6_nothing_left(county))
    os.close(held)
    for left in (".a.json.1.tmp", "7.parquet", "releases/3", "locked: published"):
        assert left in found


# -- the driver -------------------------------------------------------------------------------------------------------


def write_files(root: Path) -> None:
    for name in "abc":
        (root / f".{name}").write_text(name)
        (root / f".{name}").replace(root / name)


@pytest.mark.parametrize(("kinds", "count"), [(RENAME, 3), (WRITE, 3), (ANY, 6), (SYNC, 0), (DELETE, 0)])
def test_changes_are_counted_and_cut_at_each(tmp_path: Path, kinds: int, count: int) -> None:
    def ran(fault: Fault) -> Ran:
        shutil.rmtree(tmp_path / "x", ignore_errors=True)
        (tmp_path / "x").mkdir()
        return in_child(lambda: write_files(tmp_path / "x"), tmp_path / "log", root=tmp_path / "x", fault=fault)

    assert sum(ran(Fault(kinds)).seen.values()) == count
    for n in range(1, count + 1):
        assert ran(Fault(kinds, n, KILL)).killed
        full = ran(Fault(kinds, n, ERROR_ON, errno.ENOSPC))
        assert (full.error, full.foreseen) == ("OSError", False)
        assert "No space left" in full.text
    assert ran(Fault(kinds, count + 1, KILL)).well


def test_preloaded_the_writes_of_c_libraries_are_counted_too(tmp_path: Path) -> None:
    made = library()
    if made is None:
        pytest.fail("no C compiler: the card would count Python's own changes only")
    program = (
        "import sqlite3, sys; from pathlib import Path; from faults.injection import *\n"
        "def work(): sqlite3.connect(sys.argv[1] + '/a').execute('create table t (x)').connection.commit()\n"
        "for fault in (Fault(ANY), Fault(WRITE, 2, ERROR_ONCE, 28)):\n"
        "    ran = in_child(work, Path(sys.argv[1], 'log'), root=Path(sys.argv[1]), fault=fault)\n"
        "    print(ran.seen.get(WRITE), ran.seen.get(SYNC), ran.error)\n"
    )
    env = {**os.environ, "LD_PRELOAD": str(made), "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], env=env, capture_output=True, text=True, check=True
    )
    counted, failed = done.stdout.splitlines()
    assert int(counted.split()[0]) > 2 and int(counted.split()[1]) > 0
    assert failed.endswith("OperationalError")


@pytest.mark.parametrize(
    ("ran", "breaches", "says", "outcome", "why"),
    [
        (Ran(), [], (), EXACT, ""),
        (Ran(killed=True), [], (), REFUSE, ""),
        (Ran(error="StorageFailed", foreseen=True, text="No space left"), [], ("No space",), REFUSE, ""),
        (Ran(error="StorageFailed", foreseen=True, text="failed"), [], ("No space",), WRONG, "not named"),
        (Ran(error="KeyError", text="'x'"), [], (), WRONG, "a raw KeyError"),
        (Ran(timed_out=True), [], (), WRONG, "hung"),
        (Ran(), ["I6: left behind"], (), WRONG, "I6"),
    ],
)
def test_the_verdict_can_be_wrong(ran: Ran, breaches: list[str], says: tuple[str, ...], outcome: str, why: str) -> None:
    found = verdict(ran, breaches, says)
    assert found.outcome == outcome
    assert why in found.why


def publication(tmp_path: Path) -> Task:
    """A hand-made county whose second release is about to be published."""
    home = Home(tmp_path / "template" / "home")
    for version in (1, 2):
        hand_made_run(home, f"run{version}", ["2022-07"], version=version)
        if version == 1:
            publish(home, "run1")

    def run(place: Workplace) -> None:
        publish(place.home, "run2")

    task = Task("publish", tmp_path / "template", run, run)
    place = task.place(Workplace(tmp_path))
    old = in_child(lambda: invariants.state_of(place.home), tmp_path / "log").result
    assert in_child(lambda: run(place), tmp_path / "log").well
    new = in_child(lambda: invariants.state_of(place.home), tmp_path / "log").result
    return Task("publish", task.template, run, run, old, new, new, secrets=frozenset({"13912345678"}))


def test_a_swap_in_two_steps_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAO_PII_KEY", "")
    task = publication(tmp_path)
    assert trial(Workplace(tmp_path), task, fault=Fault(CREATE, 9, KILL)).why == ""

    def swap_in_two(link: Path, target: str) -> None:
        link.unlink(missing_ok=True)
        link.symlink_to(target)

    monkeypatch.setattr(sys.modules["publishing.publish"], "swap_link", swap_in_two)
    verdicts = [
        trial(Workplace(tmp_path), task, fault=Fault(DELETE | CREATE, n, KILL)) for n in _swap_steps(tmp_path, task)
    ]
    assert any(one.outcome == WRONG and "I1" in one.why for one in verdicts)


def test_a_death_by_signal_is_a_kill_only_where_it_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAO_PII_KEY", "")
    whole = publication(tmp_path)

    def dies(place: Workplace) -> None:
        (place.home.root / ".left.tmp").touch()
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)

    def tidies(place: Workplace) -> None:
        (place.home.root / ".left.tmp").unlink()
        publish(place.home, "run2")

    task = replace(whole, run=dies, again=tidies)
    found = trial(Workplace(tmp_path), task, may_die=True)
    assert (found.outcome, found.why) == (REFUSE, "the process died of SIGSEGV")
    assert "a raw exit code -11" in trial(Workplace(tmp_path), task).why
    assert "I6" in trial(Workplace(tmp_path), replace(task, again=whole.again), may_die=True).why


def _swap_steps(tmp_path: Path, task: Task) -> list[int]:
    """The last changes of a publication: the swap is among them."""
    place = task.place(Workplace(tmp_path))
    ran = in_child(lambda: task.run(place), tmp_path / "log", root=place.home.root, fault=Fault(DELETE | CREATE))
    last = sum(ran.seen.values())
    return list(range(last - 1, last + 1))


def test_the_card_lists_every_fault_of_operation() -> None:
    assert {case.name for case in CASES} >= IN_CHILDREN
    done = subprocess.run(
        [sys.executable, "-m", "faults", "--help"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert all(name in done.stdout.replace("\n", "") for name in IN_CHILDREN)


def test_homes_that_cannot_be_made_end_the_card_with_their_reason(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def broken() -> None:
        raise NotPrepared("the homes could not be made: no room")

    monkeypatch.setattr(prepared_homes, "tasks", broken)
    monkeypatch.setattr(card, "tasks", broken)
    monkeypatch.setenv("FAULTS_PRELOADED", "1")
    assert main(["--case", "clock", "--workers", "1", "--out", str(tmp_path / "card.json")]) == 2
    assert "no room" in capfd.readouterr().err
    assert not (tmp_path / "card.json").exists()
    # Nor does a home that was not made pass for an empty one, where a row is the first to want it.
    with pytest.raises(NotPrepared):
        published(Workplace(tmp_path))


def test_what_a_variant_sets_is_not_the_next_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TONGBAO_RELEASES_KEPT", raising=False)

    def sets(_: Workplace) -> Verdict:
        os.environ["TONGBAO_RELEASES_KEPT"] = "3"
        return Verdict(EXACT)

    def sees(_: Workplace) -> Verdict:
        return Verdict(WRONG if "TONGBAO_RELEASES_KEPT" in os.environ else EXACT)

    todo = [("times", Variant("sets", sets)), ("times", Variant("sees", sees))]
    assert card.run(todo, workers=1).wrong == []


@pytest.mark.parametrize(
    ("alone", "beside", "said"),
    [
        ([0.1, 0.1, 0.2], [0.1, 0.8, 1.1], None),
        ([0.1, 0.1, 0.2], [0.1, 0.1, 1.2], "the slowest publication took 1.2 s"),
        ([0.1, 0.1, 2.0], [0.9, 0.9, 0.9], "the median publication took 0.9 s"),
        ([0.1, 0.2], [], "nothing is shown"),
        ([], [0.1], "nothing is shown"),
    ],
)
def test_a_publisher_that_waits_for_readers_is_noticed(
    alone: list[float], beside: list[float], said: str | None
) -> None:
    found = "; ".join(waited(alone, beside))
    assert said in found if said else found == ""


# -- what the card found ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "x"), "No space left on device"),
        (duckdb.IOException('IO Error: Could not write file "x": No space left on device'), "No space left on device"),
        (duckdb.OutOfMemoryException("Out of Memory Error"), "Cannot allocate memory"),
        (duckdb.FatalException("FATAL Error: fsync failed!"), "Input/output error"),
        (MemoryError(), "Cannot allocate memory"),
        (ImportError("x.so: failed to map segment from shared object"), "Cannot allocate memory"),
        (ImportError("x.so: cannot open shared object file: Too many open files"), "Too many open files"),
        (ModuleNotFoundError("No module named 'x'"), None),
        (FileNotFoundError(errno.ENOENT, "x"), None),
        (duckdb.ConversionException("Could not convert string '13912345678'"), None),
        (KeyError("No space left on device"), None),
    ],
)
def test_a_fault_of_the_place_is_told_from_others(error: Exception, reason: str | None) -> None:
    assert storage_reason(error) == reason

    @naming_storage_faults("load")
    def work() -> None:
        raise error

    with pytest.raises(StorageFailed if reason else type(error)) as raised:
        work()
    if reason:
        assert reason in str(raised.value)
        assert raised.value.__cause__ is None and raised.value.__context__ is None


def test_a_thread_that_never_begins_does_not_hang_the_pull(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without memory a new thread dies before it says that it began, and Thread.start waits for that."""
    monkeypatch.setattr("ingestion.transports.base._BEGIN_SECONDS", 0.2)
    monkeypatch.setattr("_thread.start_new_thread", lambda *_: 0)
    with pytest.raises(MemoryError, match="no thread began"):
        bounded(lambda: None, Deadline(10), "fetch", lambda: None)


def test_sqlite_says_it_by_its_code(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "a")
    connection.execute("create table t (x)")
    connection.execute("pragma max_page_count = 2")
    with pytest.raises(sqlite3.OperationalError) as raised:
        connection.execute("insert into t values (zeroblob(100000))")
    assert storage_reason(raised.value) == "No space left on device"


def test_want_of_memory_is_told_from_what_a_model_failed_of() -> None:
    told = "model cases: Runtime Error / Out of Memory Error: Failed to allocate block of … bytes (bad allocation)"
    assert storage_reason_in(told) == "Cannot allocate memory"
    assert storage_reason_in("model cases: Binder Error: no column memory") is None


def test_sqlite_has_one_word_for_all_that_keeps_it_from_a_file(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError) as raised:
        sqlite3.connect(tmp_path / "absent" / "a")
    reason = storage_reason(raised.value) or ""
    for word in (errno.ENOSPC, errno.EMFILE, errno.EACCES):
        assert os.strerror(word) in reason


def test_temporaries_of_killed_processes_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left, other = tmp_path / f".a.json.{dead.pid}.tmp", tmp_path / f".a.json.{os.getppid()}.tmp"
    left.touch()
    other.touch()
    assert temporary_beside(tmp_path / "a.json").name == f".a.json.{os.getpid()}.tmp"
    assert not left.exists() and other.exists()
