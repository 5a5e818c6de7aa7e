"""What publish promises: a folder complete in itself, nothing new on unchanged input, no mixing, a way back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from expectations import build_data_docs, store
from ingestion.errors import AuditFailed, BadParameter
from ingestion.home import PROJECT, Home
from publishing import publish, releases, rollback
from publishing.audit import lost_history, personal_columns, unreconciled
from publishing.durable import PublisherBusy, exclusive
from publishing.publish import WITHHELD_FILE, StaleBuild, _decided
from publishing.release_file import storage_version
from publishing.small_cells import Withheld
from tests.publishing.warehouses import hand_made_run

PERIODS = ["2022-07", "2022-07--2022-08"]


def query(home: Home, sql: str) -> list[tuple]:
    with duckdb.connect(str(home.current / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def damaged(path: Path) -> bytes:
    """Damages the first byte of a published file, as a disk would; returns what it was."""
    whole = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(b"x" + whole[1:])
    return whole


def test_first_publication_is_complete_and_holds_no_staging(home: Home) -> None:
    hand_made_run(home, "run1", PERIODS, version=1)
    outcome = publish(home, "run1")
    assert outcome.releases == ["2022-07--2022-08-r1", "2022-07-r1"]
    assert (outcome.number, outcome.unchanged) == (1, False)
    assert home.current.is_symlink() and str(home.current.readlink()) == "releases/1"
    schemas = {name for (name,) in query(home, "SELECT DISTINCT table_schema FROM information_schema.tables")}
    assert schemas == {"core", "marts", "history", "audit"}
    assert query(home, "SELECT count(*) FROM information_schema.columns WHERE column_name = 'applicant_phone'") == [
        (0,)
    ]
    assert query(
        home, "SELECT comment FROM duckdb_tables() WHERE table_name = 'unit_rankings' AND schema_name = 'marts'"
    ) == [("Places in each group and area (排名).",)]
    assert query(
        home, "SELECT DISTINCT comment FROM duckdb_columns() WHERE column_name = 'rank' AND schema_name = 'marts'"
    ) == [("名次 competition ranking",)]
    assert query(home, "SELECT DISTINCT table_catalog FROM information_schema.tables") == [("warehouse",)]
    assert storage_version(home.current / "warehouse.duckdb") == "v1.4.0+"
    assert not list(home.published.rglob("*.wal"))
    assert not [path for path in home.published.rglob(".*") if path.name.startswith(".")]
    releases.verify(releases.open_release(home, 1))
    tables = {path.relative_to(home.current / "tables").as_posix() for path in (home.current / "tables").rglob("*.*")}
    assert tables == {
        f"{period}/{area}.{suffix}"
        for period in PERIODS
        for area in ("overall", "website", "platform")
        for suffix in ("csv", "xlsx", "parquet")
    }
    assert (home.current / "data_docs" / "index.html").is_file()


def test_unchanged_input_publishes_nothing(home: Home) -> None:
    hand_made_run(home, "run1", PERIODS, version=1)
    publish(home, "run1")
    before = sorted(home.published.rglob("*"))
    hand_made_run(home, "run2", PERIODS, version=1)
    outcome = publish(home, "run2")
    assert outcome.unchanged and outcome.releases == [] and outcome.number == 1
    assert sorted(home.published.rglob("*")) == before


def test_new_input_without_new_figures_refreshes_facts_but_makes_no_revision(home: Home) -> None:
    hand_made_run(home, "run1", PERIODS, version=1)
    publish(home, "run1")
    hand_made_run(home, "run2", PERIODS, version=1, input_digest="other files, same figures")
    outcome = publish(home, "run2")
    assert (outcome.number, outcome.releases, outcome.unchanged) == (2, [], False)
    assert query(home, "SELECT count(*), max(revision) FROM marts.releases") == [(2, 1)]


def test_tables_of_periods_that_nobody_revised_are_those_of_the_release_before(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_made_run(home, "run1", PERIODS, version=1)
    publish(home, "run1")
    kept = f"tables/{PERIODS[0]}/platform.csv"
    first = (home.current / kept).stat().st_ino
    hand_made_run(home, "run2", PERIODS, version=1, input_digest="other files, same figures")
    publish(home, "run2")
    assert (home.current / kept).stat().st_ino == first
    # Damaged on disk: not handed on, but made again, the same as before.
    whole = damaged(home.current / kept)
    hand_made_run(home, "run3", PERIODS, version=1, input_digest="yet other files, same figures")
    publish(home, "run3")
    assert (home.current / kept).read_bytes() == whole
    releases.verify(releases.open_release(home, 3))
    # More is withheld now (or other labels, another revision): made again.
    third = (home.current / kept).stat().st_ino
    more = Withheld(frozenset({(PERIODS[0], "U01", "platform", "cases_accepted")}), frozenset())
    monkeypatch.setattr(Withheld, "of", lambda connection, earlier: more)
    hand_made_run(home, "run4", PERIODS, version=1, input_digest="still other files, same figures")
    publish(home, "run4")
    assert (home.current / kept).stat().st_ino != third


def test_pages_of_results_that_are_as_they_were_are_those_of_the_release_before(home: Home) -> None:
    result = {"edge": "load", "subject": "2022-07", "dataset": "cms_posts", "month": "2022-07", "expectations": []}
    result |= {"suite": "load_cms_posts", "validated_at": "2022-08-06 08:00:00", "outcome": "passed", "seconds": 1.0}
    store.keep(home, "load", ("cms_posts", "2022-07", "1"), result | {"measures": {}})
    other = {"subject": "2022-08", "month": "2022-08", "measures": {}}
    store.keep(home, "load", ("cms_posts", "2022-08", "1"), result | other)
    hand_made_run(home, "run1", PERIODS, version=1)
    publish(home, "run1")
    first, second = (f"data_docs/results/cms_posts-{month}.html" for month in ("2022-07", "2022-08"))
    before = {name: (home.current / name).stat().st_ino for name in (first, second)}
    # One month is judged again; the page of the other is damaged on disk since.
    again = {"measures": {"rows_loaded": 7}, "validated_at": "2022-09-06 08:00:00"}
    store.keep(home, "load", ("cms_posts", "2022-07", "2"), result | again)
    hand_made_run(home, "run2", PERIODS, version=1, input_digest="other files, same figures")
    publish(home, "run2")
    assert (home.current / second).stat().st_ino == before[second]
    assert "2022-09-06 08:00:00" in (home.current / first).read_text(encoding="utf-8")
    whole = damaged(home.current / second)
    hand_made_run(home, "run3", PERIODS, version=1, input_digest="yet other files, same figures")
    publish(home, "run3")
    assert (home.current / second).read_bytes() == whole
    releases.verify(releases.open_release(home, 3))
    # All as they are when nothing is taken over.
    build_data_docs(home, home.root / "docs")
    for name in (first, second):
        assert (home.root / name.replace("data_docs", "docs")).read_bytes() == (home.current / name).read_bytes()


def test_decisions_about_small_cells_are_taken_over_whole_only(home: Home) -> None:
    hand_made_run(home, "run1", PERIODS, version=1)
    publish(home, "run1")
    release = releases.newest(home)
    assert release is not None
    assert _decided(release)
    path = release.path / WITHHELD_FILE
    path.chmod(0o644)
    path.write_text('{"another year": {"metrics": [], "totals": []}}')
    assert _decided(release) == _decided(None) == {}


def test_correction_is_a_new_revision_and_the_old_one_stays_readable(home: Home) -> None:
    hand_made_run(home, "run1", PERIODS, version=1)
    publish(home, "run1")
    hand_made_run(home, "run2", PERIODS, version=2)
    assert publish(home, "run2").releases == ["2022-07--2022-08-r2", "2022-07-r2"]
    assert query(home, "SELECT DISTINCT value FROM marts.period_totals") == [(2.0,)]
    assert query(home, "SELECT release, value FROM history.period_totals WHERE period_code = '2022-07' ORDER BY 1") == [
        ("2022-07-r1", 1.0),
        ("2022-07-r2", 2.0),
    ]


def test_what_was_not_audited_or_has_changed_since_is_not_published(home: Home) -> None:
    folder = hand_made_run(home, "run1", PERIODS, version=1)
    audited = (folder / "audit.json").read_text()
    (folder / "audit.json").unlink()
    with pytest.raises(BadParameter, match="not passed its audit"):
        publish(home, "run1")
    (folder / "audit.json").write_text(audited)
    with (folder / "warehouse.duckdb").open("r+b") as file:
        file.seek(20_000)
        byte = file.read(1)
        file.seek(20_000)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(AuditFailed, match="not the one that passed"):
        publish(home, "run1")
    assert not home.current.exists()


def test_run_built_on_an_older_release_is_refused(home: Home) -> None:
    hand_made_run(home, "run1", PERIODS, version=1)
    hand_made_run(home, "run2", PERIODS, version=2)
    publish(home, "run1")
    with pytest.raises(StaleBuild):
        publish(home, "run2")
    assert query(home, "SELECT DISTINCT value FROM marts.period_totals") == [(1.0,)]


def test_a_run_published_twice_is_told_what_it_published(home: Home) -> None:
    """A task killed after its swap is started again, and a scheduler may start one twice: nothing is stale then."""
    hand_made_run(home, "run1", PERIODS, version=1)
    first = publish(home, "run1")
    before = sorted(home.published.rglob("*"))
    (home.releases / ".building-old-0").mkdir()
    assert publish(home, "run1") == first
    assert sorted(home.published.rglob("*")) == before
    # Built anew on what it published itself, the run is another one.
    hand_made_run(home, "run2", PERIODS, version=2)
    publish(home, "run2")
    with pytest.raises(StaleBuild):
        publish(home, "run1")


def test_second_publisher_says_so(home: Home) -> None:
    code = (
        "import sys, time; from pathlib import Path; from publishing.durable import exclusive\n"
        "with exclusive(Path(sys.argv[1]), 'publishing'):\n    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, home.published], stdout=subprocess.PIPE, cwd=PROJECT) as holder:
        assert holder.stdout and holder.stdout.readline() == b"held\n"
        with pytest.raises(PublisherBusy), exclusive(home.published, "publishing", timeout=0.3):
            pass
        holder.kill()
        holder.wait()
        with exclusive(home.published, "publishing", timeout=5):
            assert list(home.published.iterdir()) == []


def test_a_step_back_cut_short_is_recorded_once_and_taken_by_the_second_try(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in (1, 2):
        hand_made_run(home, f"run{version}", PERIODS, version=version)
        publish(home, f"run{version}")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(releases, "swap_link", killed)
        with pytest.raises(KeyboardInterrupt):
            rollback(home, to=1)
    assert releases.served_number(home) == 2
    for _ in range(2):  # and once more after it is done
        assert rollback(home, to=1).number == 1
        assert [(line["from"], line["to"]) for line in releases.rollbacks(home)] == [(2, 1)]
    rollback(home, to=2)
    rollback(home, to=1)
    assert [line["to"] for line in releases.rollbacks(home)] == [1, 2, 1]


def test_back_and_forward_again(home: Home) -> None:
    for version in (1, 2):
        hand_made_run(home, f"run{version}", PERIODS, version=version)
        publish(home, f"run{version}")
    assert rollback(home, reason="数据有误").number == 1
    assert query(home, "SELECT DISTINCT value FROM marts.period_totals") == [(1.0,)]
    assert [(line["from"], line["to"], line["reason"]) for line in releases.rollbacks(home)] == [(2, 1, "数据有误")]
    # The same input again stays rolled back; a correction goes on after the newest revision, never reuses its name.
    hand_made_run(home, "run3", PERIODS, version=2)
    assert publish(home, "run3").unchanged
    assert releases.served_number(home) == 1
    hand_made_run(home, "run4", PERIODS, version=3)
    assert publish(home, "run4").releases == ["2022-07--2022-08-r3", "2022-07-r3"]
    assert releases.served_number(home) == 3
    assert rollback(home, to=2).number == 2
    with pytest.raises(BadParameter):
        rollback(home, to=9)


def test_damaged_release_is_not_gone_back_to(home: Home) -> None:
    for version in (1, 2):
        hand_made_run(home, f"run{version}", PERIODS, version=version)
        publish(home, f"run{version}")
    table = home.releases / "1" / "tables" / "2022-07" / "overall.csv"
    table.chmod(0o644)
    table.write_bytes(table.read_bytes() + b"x")
    with pytest.raises(AuditFailed, match=r"tables/2022-07/overall\.csv"):
        rollback(home)
    assert releases.served_number(home) == 2


def test_retention_keeps_the_newest_and_the_served(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAO_RELEASES_KEPT", "2")
    monkeypatch.setenv("TONGBAO_RUNS_KEPT", "1")
    for version in range(1, 5):
        hand_made_run(home, f"run{version}", ["2022-07"], version=version)
        publish(home, f"run{version}")
    assert releases.numbers(home) == [3, 4]
    assert [entry.name for entry in home.runs.iterdir()] == ["run4"]
    monkeypatch.setenv("TONGBAO_RELEASES_KEPT", "none")
    hand_made_run(home, "run5", ["2022-07"], version=5)
    with pytest.raises(BadParameter, match="TONGBAO_RELEASES_KEPT"):
        publish(home, "run5")


def test_audit_sees_lost_history_broken_identities_and_personal_columns(home: Home) -> None:
    hand_made_run(home, "run1", PERIODS, version=1)
    publish(home, "run1")
    folder = hand_made_run(home, "run2", PERIODS, version=2)
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        assert lost_history(connection) == []
        assert unreconciled(connection) == []
        assert personal_columns(connection) == []
        connection.execute(
            "UPDATE history.unit_scores SET score = 99 WHERE release = '2022-07-r1' AND unit_code = 'U01'"
        )
        connection.execute("INSERT INTO audit.reconciliation VALUES ('cms_posts', false)")
        connection.execute("CREATE TABLE core.fct_cases AS SELECT 'x' AS case_no, 'token' AS applicant_phone")
        assert lost_history(connection) == [
            "history.unit_scores: 3 published rows of earlier revisions are missing or changed"
        ]
        assert unreconciled(connection) == ["identity does not hold: dataset cms_posts, is_balanced False"]
        assert personal_columns(connection) == ["core.fct_cases.applicant_phone would publish personal data"]


READER = """
import sys, duckdb
from pathlib import Path
path, stop = sys.argv[1], Path(sys.argv[2])
reads = errors = mixed = 0
kept, seen = duckdb.connect(path, read_only=True), set()
old = kept.execute("SELECT DISTINCT value FROM marts.period_totals").fetchall()
print("ready", flush=True)
while not stop.exists():
    reads += 1
    # A reader in a process of its own would see the file of its first connection; a copy of the link's target is new.
    try:
        with duckdb.connect() as c:
            c.execute(f"ATTACH '{path}' AS w (READ_ONLY)")
            a = c.execute("SELECT DISTINCT value FROM w.marts.period_totals").fetchall()
            b = c.execute("SELECT DISTINCT score FROM w.marts.unit_scores").fetchall()
            n = c.execute("SELECT max(revision) FROM w.marts.releases").fetchall()
            mixed += not (a == b and a[0][0] == n[0][0])
            seen.add(a[0][0])
    except Exception as error:
        errors += 1
        print(error, file=sys.stderr)
assert kept.execute("SELECT DISTINCT score FROM marts.unit_scores").fetchall() == old
print(reads, errors, mixed, len(seen))
"""


def test_readers_read_on_while_releases_are_swapped(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TONGBAO_RELEASES_KEPT", "2")
    hand_made_run(home, "run1", ["2022-07"], version=1)
    publish(home, "run1")
    stop, path = tmp_path / "stop", home.current / "warehouse.duckdb"
    with subprocess.Popen([sys.executable, "-c", READER, path, stop], stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout and reader.stdout.readline() == "ready\n"
        for version in range(2, 14):
            hand_made_run(home, f"run{version}", ["2022-07"], version=version)
            publish(home, f"run{version}")
        stop.touch()
        reads, errors, mixed, seen = map(int, reader.stdout.read().split())
    assert reader.returncode == 0
    assert (errors, mixed) == (0, 0)
    assert reads > 12 and seen > 3, "the reader must have read between the swaps"


def test_manifest_names_every_file(home: Home) -> None:
    hand_made_run(home, "run1", PERIODS, version=1)
    publish(home, "run1")
    manifest = json.loads((home.current / "manifest.json").read_text())
    files = {
        path.relative_to(home.current.resolve()).as_posix()
        for path in home.current.resolve().rglob("*")
        if path.is_file()
    }
    assert set(manifest["files"]) == files - {"manifest.json"}
    (home.current / "extra.txt").write_text("x")
    with pytest.raises(AuditFailed, match=r"extra\.txt"):
        releases.verify(releases.open_release(home, 1))
