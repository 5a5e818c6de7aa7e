"""The scheduler itself: three systems served on loopback, pulled month by month, ranked by assets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from rich.console import Console

from ingestion.home import PROJECT, Home
from ops import sources
from ops.front import documents_written, pull_and_rank, started
from ops.runtime import RunFailed, home_lock, request_stop
from ops.settings import AirflowHome

MONTHS = ["2022-07", "2022-08"]


@pytest.fixture(scope="module")
def exports(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("exports") / "county"
    command = [sys.executable, "-m", "simulator", "generate", "--scenario", "county", "--seed", "11"]
    command += ["--factor", "0.1", "--months", "2022-07..2022-08", "--out", str(out)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
    return out


def _left_over(home: Home) -> list[str]:
    """Processes that still carry this home in their environment, this one apart."""
    marker = f"TONGBAO_HOME={home.root}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                if marker in (folder / "environ").read_bytes().split(b"\0"):
                    found.append((folder / "cmdline").read_bytes().decode(errors="replace"))
            except OSError:
                continue
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_months_from_three_servers_to_rankings_by_assets(exports, tmp_path):
    home, console = Home(tmp_path / "home"), Console()
    with sources.served(home, exports) as uris, started(home, uris, console) as airflow:
        for month in MONTHS:
            assert pull_and_rank(airflow, month, console) == []
        ranked = airflow.client.runs("rank_month")
        assert [(run.partition_key, run.state) for run in reversed(ranked)] == [(m, "success") for m in MONTHS]
        assert all(run.run_id.startswith("asset_triggered") for run in ranked)
        # Each publication sets off its documents; the last ones are of the release that is served.
        assert documents_written(airflow, home, console) == []
        assert (home.published / "documents" / "current" / "notice" / "2022-07--2022-08.docx").is_file()
        # A replay of what is published already publishes nothing new; one of what is incomplete is red and names it.
        again = airflow.client.trigger("replay", conf={"periods": "2022-07 2022-07--2022-09", "reason": "a test"})
        while not (again := airflow.client.run(again.dag_id, again.run_id)).finished:
            time.sleep(0.5)
        (failure,) = airflow.client.failures(again)
        assert "confirm" in failure and "platform_cases 2022-09" in failure
        # Only one run a home at a time.
        with pytest.raises(RunFailed, match="another run"), home_lock(home):
            pass
        modes = {path.name: path.stat().st_mode & 0o777 for path in airflow.home.root.glob("*.json")}
        assert modes["secrets.json"] == modes["passwords.json"] == 0o600
    with duckdb.connect(str(home.current / "warehouse.duckdb"), read_only=True) as warehouse:
        released = {release for (release,) in warehouse.sql("select release from marts.releases").fetchall()}
        # August's delivery corrects July late, so July may have a second revision; the replay has added nothing.
        assert released - {"2022-07-r2"} == {"2022-07--2022-08-r1", "2022-07-r1", "2022-08-r1"}
        assert warehouse.execute("select count(*) from marts.unit_rankings").fetchall() > [(0,)]
    assert _left_over(home) == []
    assert not AirflowHome.of(home).processes.exists()


@pytest.mark.slow
def test_interrupted_by_a_signal_everything_that_was_started_ends(exports, tmp_path):
    home = Home(tmp_path / "home")
    env = {**os.environ, "TONGBAO_HOME": str(home.root), "PYTHONPATH": str(PROJECT)}
    run = subprocess.Popen([sys.executable, "-m", "ops", "run", "--exports", str(exports)], env=env, cwd=PROJECT)
    deadline = time.monotonic() + 120
    while not AirflowHome.of(home).processes.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(_left_over(home)) >= 4
    run.send_signal(signal.SIGINT)
    assert run.wait(timeout=60) == 130
    assert _left_over(home) == []
    assert request_stop(home) is False


def test_a_run_on_a_folder_that_holds_nothing_says_so(tmp_path):
    (tmp_path / "exports").mkdir()
    env = {**os.environ, "TONGBAO_HOME": str(tmp_path / "home"), "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "ops", "run", "--exports", str(tmp_path / "exports")]
    done = subprocess.run(command, env=env, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no deliveries in" in done.stdout
    assert _left_over(Home(tmp_path / "home")) == []
