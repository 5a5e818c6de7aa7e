"""A critical expectation that fails at either edge: the run is red and says why, what was served goes on being served.

The expectation is a real one made impossible (its bound moved in a copy of the suites); the DAGs are the real ones.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

import expectations.judge
from ingestion.home import PROJECT, Home
from ops import connections
from ops.settings import AirflowHome, environment
from tests.end_to_end.conftest import generate, ingest, release

CHILD = """
import sys
from pathlib import Path
import expectations.judge
expectations.judge.SUITES = Path(sys.argv[1])
from airflow.dag_processing.dagbag import DagBag
import os
dag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"]).dags[sys.argv[2]]
sys.exit(0 if dag.test(run_conf={"month": sys.argv[3]}).state == "success" else 9)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Path]:
    """A county with June published, July delivered to its sources, and an Airflow of its own."""
    root = tmp_path_factory.mktemp("edges")
    arguments = ["--months", "2022-06..2022-07", "--factor", "0.05", "--seed", "3", "--plain"]
    exports = generate(root / "exports", *arguments)
    home = Home(root / "home")
    later = root / "later"
    for path in sorted(exports.glob("*/*/2022-07")):
        shutil.move(path, later / path.relative_to(exports).parent / path.name)
    ingest(home, exports)
    release(home, ["2022-06"], "june")
    shutil.copytree(later, exports, dirs_exist_ok=True)
    AirflowHome.of(home).prepare()
    for command in (["db", "migrate"], ["pools", "set", "warehouse", "1", "one writer"]):
        env = environment(home, 1, connections.of_folder(exports))
        subprocess.run([sys.executable, "-m", "airflow", *command], env=env, check=True, capture_output=True)
    return home, exports


def impossible(tmp_path: Path, suite: str, column: str) -> Path:
    """A copy of the suites in which the expectation on this measure cannot be met."""
    suites = shutil.copytree(expectations.judge.SUITES, tmp_path / "suites")
    path = suites / f"{suite}.json"
    content = json.loads(path.read_text("utf-8"))
    (found,) = [one for one in content["expectations"] if one["kwargs"]["column"] == column]
    assert found["severity"] == "critical"
    found["kwargs"].update(min_value=1.0, max_value=1.0)
    path.write_text(json.dumps(content), "utf-8")
    return suites


def run_dag(served: tuple[Home, Path], suites: Path, dag: str, month: str) -> tuple[int, str]:
    home, exports = served
    env = environment(home, 1, connections.of_folder(exports))
    command = [sys.executable, "-c", CHILD, str(suites), dag, month]
    done = subprocess.run(command, env=env, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=300)
    return done.returncode, done.stdout + done.stderr


def releases(home: Home) -> list[tuple]:
    with duckdb.connect(str(home.current / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute("select release, content_digest from marts.releases order by 1").fetchall()


@pytest.mark.slow
def test_either_edge_stops_a_run_and_the_next_one_goes_through(served: tuple[Home, Path], tmp_path: Path) -> None:
    home, _ = served
    before, folder = releases(home), home.current.resolve()
    assert [name for name, _ in before] == ["2022-06-r1"]

    # About to be loaded: nothing of the delivery is accepted.
    strict = impossible(tmp_path / "load", "load", "null_key_rows")
    code, log = run_dag(served, strict, "pull_hotline", "2022-07")
    assert code == 9
    assert "null_key_rows" in log or "DeliveryRefused" in log
    assert (releases(home), home.current.resolve()) == (before, folder)

    # As it is, the same delivery goes through.
    for system in ("platform", "hotline", "cms"):
        code, log = run_dag(served, expectations.judge.SUITES, f"pull_{system}", "2022-07")
        assert code == 0, log[-3000:]

    # About to be published: built, refused, the old release served.
    strict = impossible(tmp_path / "published", "published", "empty_relations")
    code, log = run_dag(served, strict, "rank_month", "2022-07")
    assert code == 9
    reason = [line for line in log.splitlines() if "AuditFailed" in line or "empty_relations" in line]
    assert reason
    assert (releases(home), home.current.resolve()) == (before, folder)

    code, log = run_dag(served, expectations.judge.SUITES, "rank_month", "2022-07")
    assert code == 0, log[-3000:]
    # July also corrects June late, so June may have a second revision.
    assert {name for name, _ in releases(home)} - {"2022-06-r2"} == {"2022-06-r1", "2022-07-r1"}
