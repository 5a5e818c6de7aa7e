"""OpenLineage events of a real monthly run under Airflow, taken by a real server; a build's, by a file; none when off.

The exports of the run are full of planted phones, ids and names (tests/end_to_end/leaks.py), one pull fails on them,
and a name is typed into the runs: none of it is in an event.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

import lineage
from ingestion.contracts import CONTRACTS
from ingestion.errors import BadParameter
from ingestion.home import PROJECT, Home
from ops import bench_dag, connections
from ops.settings import AirflowHome, environment
from publishing import build
from publishing.dictionary import dictionary
from tests import loopback
from tests.end_to_end.conftest import generate
from tests.end_to_end.leaks import Finder, Secrets
from tests.end_to_end.test_no_leak import plant, plant_crashes

MONTH, REFUSED = "2022-07", "2022-08"
KEY = "key-of-the-lineage-server"

#: As the bench runs the DAGs, with what somebody typed in each run, and a pull of what cannot be accepted.
RUNS = """
import os, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
month, refused, typed = sys.argv[1:]
dags = ["pull_platform", "pull_hotline", "pull_cms", "rank_month"]
states = [bag.dags[d].test(logical_date=None, run_conf={"month": month, "caller": typed}).state for d in dags]
states.append(bag.dags["pull_hotline"].test(logical_date=None, run_conf={"month": refused, "caller": typed}).state)
print("states", *map(str, states))
"""


class Receiver(loopback.Quiet):
    """What an OpenLineage server does with an event, and what it was sent."""

    got: ClassVar[list[tuple[str, str | None, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.path, self.headers.get("Authorization"), body))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with loopback.served(Receiver) as place:
        yield f"http://{place}"


@pytest.fixture(scope="module")
def told(server: str, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The run: its events, what was planted, and what the environment held that is nobody's business."""
    root = tmp_path_factory.mktemp("lineage")
    secrets = Secrets(random.Random(7))
    exports = generate(
        root / "exports", "--months", MONTH, "--factor", "0.02", "--seed", "11", "--plain", "--format", "csv"
    )
    plant(exports, secrets)
    plant_crashes(exports, secrets, REFUSED)
    typed = secrets.name()
    home = Home(root / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(lineage.SETTING, server)
        patch.setenv("OPENLINEAGE_API_KEY", KEY)
        bench_dag.migrate(home)
        env = environment(home, 1, connections.of_folder(exports))
    command = [sys.executable, "-c", RUNS, MONTH, REFUSED, typed]
    done = subprocess.run(command, env=env, cwd=root, capture_output=True, text=True, check=False)
    assert "states success success success success failed" in done.stdout, (done.stdout + done.stderr)[-3000:]
    keys = [value for name, value in env.items() if name.endswith(("FERNET_KEY", "SECRET_KEY", "JWT_SECRET"))]
    events = [json.loads(body) for _, _, body in Receiver.got]
    return SimpleNamespace(events=events, sent=list(Receiver.got), secrets=secrets, hidden=[*keys, KEY, str(root)])


def of(told: SimpleNamespace, kind: str, job: str) -> list[dict[str, Any]]:
    return [event for event in told.events if event["eventType"] == kind and event["job"]["name"] == job]


def names(datasets: list[dict[str, Any]]) -> set[str]:
    return {each["name"] for each in datasets}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_each_task_and_each_model_is_told_from_export_to_release(told: SimpleNamespace) -> None:
    assert {(path, key) for path, key, _ in told.sent} == {("/api/v1/lineage", f"Bearer {KEY}")}
    assert {event["job"]["namespace"] for event in told.events} == {"tongbao"}
    ran = {"pull_platform.ingest": 2, "pull_hotline.ingest": 8, "pull_cms.ingest": 4}
    ran |= {f"rank_month.{task}": 1 for task in ("plan", "build", "audit", "publish")}
    for job, times in ran.items():
        starts, ends = of(told, "START", job), of(told, "COMPLETE", job) + of(told, "FAIL", job)
        assert len(starts) == len(ends) == times, job
        assert {e["run"]["runId"] for e in starts} == {e["run"]["runId"] for e in ends}, job
    assert len(of(told, "FAIL", "pull_hotline.ingest")) == 4

    # One unbroken chain of names: export, staged, model by model, published.
    made_of: dict[str, set[str]] = {}
    for event in told.events:
        for output in event["outputs"]:
            made_of.setdefault(output["name"], set()).update(names(event["inputs"]))
    reached, todo = set(), ["published.warehouse"]
    while todo:
        if (name := todo.pop()) not in reached:
            reached.add(name)
            todo += made_of.get(name, ())
    assert {lineage.export(dataset) for dataset in CONTRACTS} <= reached
    marts = {lineage.relation(*name) for name in dictionary() if name[0] in ("core", "marts", "history")}
    assert marts <= reached and marts <= names([o for e in told.events for o in e["outputs"]])

    (task,) = of(told, "COMPLETE", "rank_month.build")
    (model,) = of(told, "COMPLETE", "warehouse.marts.tongbao.unit_rankings.build.run")
    parent = model["run"]["facets"]["parent"]
    assert (parent["job"]["name"], parent["run"]["runId"]) == ("rank_month.build", task["run"]["runId"])
    (output,) = model["outputs"]
    lines = output["facets"]["columnLineage"]["fields"]["rank"]["inputFields"]
    assert [(line["name"], line["field"]) for line in lines] == [("warehouse.history.unit_rankings", "rank")]
    described = {field["name"]: field["description"] for field in output["facets"]["schema"]["fields"]}
    assert described == dictionary()["marts", "unit_rankings"].columns
    print(Counter(event["eventType"] for event in told.events), sum(len(body) for *_, body in told.sent))


@pytest.mark.slow
def test_no_person_and_no_secret_is_in_an_event(told: SimpleNamespace) -> None:
    finder = Finder(told.secrets)
    assert len(told.secrets.planted) > 400
    assert [hit for *_, body in told.sent if (hit := finder.in_bytes(body))] == []
    everything = b"\n".join(body for *_, body in told.sent).decode()
    assert [secret for secret in told.hidden if secret in everything] == []
    # What failed says why, as the task's log does.
    errors = [e["run"]["facets"]["errorMessage"] for e in of(told, "FAIL", "pull_hotline.ingest")]
    assert all("DeliveryRefused" in str(error) or error["message"] for error in errors)


def test_what_is_left_out_would_be_sent() -> None:
    """The same event without the transformer holds what was typed: it is the transformer that takes it out."""
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
    from openlineage.client.serde import Serde

    from lineage.events import WithoutPeople

    secrets = Secrets(random.Random(3))
    facets: dict[str, Any] = {
        "airflowDagRun": {"dagRun": {"conf": {"reason": f"应{secrets.name()}要求"}, "run_id": secrets.phone("plain")}},
        "errorMessage": {"message": f"call {secrets.phone('plain')}", "stackTrace": f"raise E('{secrets.name()}')"},
    }
    run = Run(runId="01a21592-c819-738d-8dfd-a4c47fc63a1b", facets=facets)
    job, at = Job(namespace="tongbao", name="replay"), "2022-09-06T06:00:00+08:00"
    event = RunEvent(eventType=RunState.FAIL, eventTime=at, run=run, job=job, producer="https://x")
    finder = Finder(secrets)
    assert finder.in_text(Serde.to_json(event))
    sent = WithoutPeople({}).transform(event)
    assert finder.in_text(Serde.to_json(sent)) is None
    assert (sent["run"]["runId"], sent["eventTime"]) == (run.runId, event.eventTime)


def _write(arguments: tuple[str, int]) -> None:
    from lineage.events import FileConfig, LineFile

    path, number = arguments
    transport = LineFile(FileConfig.from_dict({"log_file_path": path, "append": True}))
    for _ in range(40):
        transport.emit({"number": number, "filling": "血缘" * 20_000})


def test_two_processes_do_not_get_into_each_others_lines(tmp_path: Path) -> None:
    path = tmp_path / "new" / "events.jsonl"
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(_write, [(str(path), number) for number in range(2)]))
    events = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert Counter(event["number"] for event in events) == {0: 40, 1: 40}


def test_a_build_by_command_is_told_to_a_file_and_a_silent_server_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(lineage.SETTING, str(tmp_path / "events.jsonl"))
    monkeypatch.setenv("TONGBAO_COUNTY", "")
    warehouse = build(Home(tmp_path / "home"), [MONTH], "one")
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text("utf-8").splitlines()]
    ended = {event["job"]["name"] for event in events if event["eventType"] == "COMPLETE"}
    models = list((PROJECT / "dbt_project" / "models").rglob("*.sql"))
    assert len([name for name in ended if name.endswith(".build.run")]) == len(models) > 50
    assert str(tmp_path) not in (tmp_path / "events.jsonl").read_text("utf-8")

    from lineage.events import tell_build

    monkeypatch.setenv(lineage.SETTING, "http://127.0.0.1:1")
    started = time.monotonic()
    assert tell_build(PROJECT / "dbt_project", warehouse.parent / "dbt") == 0
    assert time.monotonic() - started < 30
    assert "0 events of the build were sent" in caplog.text


def test_off_it_costs_nothing_and_a_wrong_target_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(lineage.SETTING, raising=False)
    home = Home(tmp_path / "home")
    AirflowHome.of(home).prepare()
    env = environment(home, 1, {})
    assert not [name for name in env if "OPENLINEAGE" in name or name == lineage.SETTING]
    code = (
        "import sys, publishing.dbt_run, lineage\n"
        "with lineage.child_of(None): pass\n"
        "import airflow.providers.openlineage.plugins.openlineage as plugin\n"
        "assert plugin.OpenLineageProviderPlugin.listeners == []\n"
        "print(*[m for m in sys.modules if m.startswith(('openlineage', 'lineage.'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
    for target in ("events.jsonl", "ftp://host/x"):
        monkeypatch.setenv(lineage.SETTING, target)
        with pytest.raises(BadParameter, match=lineage.SETTING):
            lineage.transport()
    monkeypatch.setenv(lineage.SETTING, str(tmp_path / "x"))
    monkeypatch.setenv("TONGBAO_COUNTY", str(tmp_path / "counties" / "pingshan"))
    assert lineage.namespace() == "tongbao/pingshan"
    assert "OPENLINEAGE_API_KEY" not in os.environ
