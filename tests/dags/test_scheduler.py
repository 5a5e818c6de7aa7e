"""The scheduler itself: three systems served on loopback, pulled month by month, ranked by assets."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from rich.console import Console

from ingestion.home import PROJECT, Home
from ingestion.personal import key_of
from ops import sources
from ops.front import DAGS, documents_written, pull_and_rank, started
from ops.runtime import Airflow, RunFailed, home_lock, request_stop
from ops.settings import AirflowHome
from ops.watch import wait
from tests.dags import exposure
from tests.end_to_end.leaks import Finder, Secrets
from tests.end_to_end.test_no_leak import plant_crashes

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


def exposed(home: Home, airflow: Airflow, uris: dict[str, str], exports: Path) -> None:
    """What this running server shows and lets in (docs/threat-model.md)."""
    secrets = Secrets(random.Random(9))
    said = f"{secrets.phone('plain')} {secrets.id('plain')}"
    groups = [process.pid for process in airflow.processes.values()]
    assert exposure.open_to_the_network(groups) == []
    assert exposure.open_logins(airflow.url) == []
    assert exposure.shown_configuration(airflow.client) == []
    assert exposure.readable_by_others(airflow.home) == []
    assert {dag["dag_id"] for dag in airflow.client.call("GET", "/dags", params={"limit": 100})["dags"]} == DAGS
    hidden = exposure.secrets_of(airflow.home, uris, key_of(home).secret.decode())
    assert exposure.told_in_clear(airflow.home, groups, hidden) == []

    # What people type: a personal number is refused at the door, hostile periods and months by the params.
    run = {"logical_date": None, "conf": {"periods": "2022-07", "reason": "复核"}}
    known = airflow.client.runs("rank_month")[0].run_id
    attempts = {
        "reason": run | {"conf": {"periods": "2022-07", "reason": f"应{secrets.phone()}要求"}},
        "unknown key": run | {"conf": run["conf"] | {"caller": secrets.id()}},
        "key": run | {"conf": run["conf"] | {secrets.phone("plain"): 1}},
        "number": run | {"conf": run["conf"] | {"caller": int(secrets.phone("plain"))}},
        "note": run | {"note": f"联系{secrets.phone()}"},
        "run id": run | {"dag_run_id": f"for-{secrets.phone('plain')}"},
        "periods": run | {"conf": {"periods": f"2022-07 {secrets.id('plain')}", "reason": "x"}},
        "sql": run | {"conf": {"periods": "2022-07'; drop table marts.releases; --", "reason": "x"}},
        "jinja": run | {"conf": {"periods": "{{ conn.tongbao_platform.password }}", "reason": "x"}},
        "shell": run | {"conf": {"periods": ["2022-07", "$(id)"], "reason": "x"}},
    }
    requests = {name: ("POST", "/dags/replay/dagRuns", body) for name, body in attempts.items()}
    requests["month"] = ("POST", "/dags/pull_cms/dagRuns", {"logical_date": None, "conf": {"month": "2022-07;id"}})
    requests["later note"] = ("PATCH", f"/dags/rank_month/dagRuns/{known}", {"note": said})
    requests["search"] = ("GET", f"/dags?dag_id_pattern={secrets.phone('plain')}", {})
    requests["variable"] = ("POST", "/variables", {"key": "contact", "value": said})
    replays = len(airflow.client.runs("replay"))
    assert exposure.let_through(airflow.client, requests) == []
    assert len(airflow.client.runs("replay")) == replays

    # What deliveries hold: planted in a month's files and their names, each refused for another reason. (The platform's
    # faults are of the kind that is tried again, for minutes; test_no_leak has them.)
    plant_crashes(exports, secrets, "2022-09")
    runs = [airflow.client.trigger(dag, partition_key="2022-09") for dag in ("pull_hotline", "pull_cms")]
    assert len(wait(airflow, runs, Console()).failures) >= 6
    assert exposure.personal_data(airflow.home, Finder(secrets)) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_months_from_three_servers_to_rankings_by_assets(exports, tmp_path):
    home, console = Home(tmp_path / "home"), Console()
    exports = shutil.copytree(exports, tmp_path / "exports")  # files are planted in it
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
        (stopped,) = [task for task in airflow.client.tasks(again) if task["state"] == "failed"]
        # Where people look first: the end of the log.
        assert any("platform_cases 2022-09" in line for line in airflow.client.log(again, stopped)[-3:])
        exposed(home, airflow, uris, exports)
        # Only one run a home at a time.
        with pytest.raises(RunFailed, match="another run"), home_lock(home):
            pass
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
    command = [sys.executable, "-m", "ops", "run", "--exports", str(exports)]
    # A shell lets what it starts in the background ignore Ctrl-C, and children inherit it: here it must be heard.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run = subprocess.Popen(command, env=env, cwd=PROJECT)
    finally:
        signal.signal(signal.SIGINT, before)
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
