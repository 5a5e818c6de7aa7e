"""Engines keep to their memory and to their folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from ingestion import engine
from ingestion.errors import BadParameter

#: In memory this takes more than the engine below may use: 160 MB that hardly compress.
_LARGE = (
    "CREATE TABLE large AS SELECT hash(n) AS a, hash(a) AS b, hash(b) AS c, hash(c) AS d FROM range(5_000_000) r(n)"
)


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TONGBAO_ENGINE_MEMORY", "100MiB")
    monkeypatch.delenv("TONGBAO_SPILL", raising=False)


def test_what_does_not_fit_is_spilled_to_the_declared_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAO_SPILL", str(tmp_path / "spill"))
    with engine.connect() as connection:
        connection.execute(_LARGE)
        assert connection.execute("SELECT count(DISTINCT a) FROM large").fetchall() == [(5_000_000,)]
        assert sum(path.stat().st_size for path in (tmp_path / "spill").rglob("*.tmp")) > 50 << 20
    assert not list((tmp_path / "spill").iterdir())


def test_without_a_folder_to_spill_to_it_is_an_error_and_no_more_memory() -> None:
    """The guard of the test above: the bound is a bound."""
    with engine.connect(temp_directory="") as connection, pytest.raises(duckdb.OutOfMemoryException):
        connection.execute(_LARGE)


def test_connections_to_one_file_go_together(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    with engine.connect(path) as first, engine.connect(path) as second:
        first.execute("CREATE TABLE t AS SELECT 1 AS x")
        assert second.execute("FROM t").fetchall() == [(1,)]
    assert engine.bounds() != engine.bounds()


def test_a_file_at_hand_is_joined_and_a_damaged_one_is_left_to_its_reader(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    with engine.connect(path) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS x")
    with engine.at_hand(path), engine.connect(path, read_only=True) as reader:
        assert reader.execute("FROM t").fetchall() == [(1,)]
        with pytest.raises(duckdb.ConnectionException):  # it is up, for readers
            engine.connect(path)
    engine.connect(path).close()
    path.write_bytes(b"no database")
    with engine.at_hand(path), pytest.raises(duckdb.Error):
        engine.connect(path, read_only=True)


def test_what_a_killed_process_has_left_is_taken_away(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    spill = tmp_path / "home" / "spill"
    for number in (ended.pid, os.getppid()):
        (spill / f"{number}-memory-0").mkdir(parents=True)
    engine.bounds()
    assert [each.name for each in spill.iterdir()] == [f"{os.getppid()}-memory-0"]


def test_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine.memory_mib() == 100
    monkeypatch.setenv("TONGBAO_ENGINE_MEMORY", "2 GiB")
    assert engine.memory_mib() == 2048
    for wrong in ("2GB", "half", "0MiB", "-1GiB"):
        monkeypatch.setenv("TONGBAO_ENGINE_MEMORY", wrong)
        with pytest.raises(BadParameter, match="TONGBAO_ENGINE_MEMORY"):
            engine.memory_mib()


def test_the_threads_of_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = "SELECT current_setting('threads')"
    monkeypatch.setenv("TONGBAO_ENGINE_THREADS", "3")
    with engine.connect() as connection:
        assert connection.execute(threads).fetchall() == [(3,)]
    monkeypatch.setenv("TONGBAO_ENGINE_THREADS", "all")
    with pytest.raises(BadParameter, match="TONGBAO_ENGINE_THREADS"):
        engine.connect()
    monkeypatch.delenv("TONGBAO_ENGINE_THREADS")
    with engine.connect() as connection, duckdb.connect() as plain:
        assert connection.execute(threads).fetchall() == plain.execute(threads).fetchall()


def test_the_default_is_a_quarter_of_the_machine_or_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TONGBAO_ENGINE_MEMORY")
    group = tmp_path / "memory.max"
    monkeypatch.setattr(engine, "_CGROUP", group)
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    for content, expected in ((None, whole // 4), ("max\n", whole // 4), (str(4 << 30), 1024), (str(64 << 20), 512)):
        if content:
            group.write_text(content)
        assert engine.memory_mib() == max(512, expected)


def test_connections_of_one_engine_share_its_script_and_nothing_that_they_make() -> None:
    script = "CREATE MACRO twice(n) AS 2 * n"
    with engine.shared(script) as first, engine.shared(script) as second:
        first.execute("CREATE TEMP TABLE mine AS SELECT twice(4) AS n")
        assert second.execute("SELECT twice(5)").fetchone() == (10,)
        with pytest.raises(duckdb.CatalogException):
            second.execute("SELECT * FROM mine")
    with engine.shared(script) as third, pytest.raises(duckdb.CatalogException):
        third.execute("SELECT * FROM mine")


def test_a_forked_process_has_an_engine_of_its_own() -> None:
    with engine.shared() as connection:
        connection.execute("SELECT 1")
    child = os.fork()
    if not child:
        with engine.shared() as connection:
            (folder,) = connection.execute("SELECT current_setting('temp_directory')").fetchone() or ("",)
        os._exit(0 if Path(folder).name.startswith(f"{os.getpid()}-") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
