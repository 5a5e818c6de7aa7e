"""The looks at a running Airflow find what they look for, and the door refuses what it should; without a server.

The same looks at a real one are in test_scheduler.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import socket
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingestion.home import PROJECT, Home
from ingestion.personal_numbers import NONE_TYPED
from ops.airflow_plugins.door import LARGEST, Door
from ops.settings import AirflowHome, environment
from tests.dags import exposure
from tests.end_to_end.leaks import Finder, Secrets


@pytest.fixture
def airflow(tmp_path: Path) -> AirflowHome:
    made = AirflowHome.of(Home(tmp_path))
    made.prepare()
    with contextlib.closing(sqlite3.connect(made.root / "airflow.db")) as database:
        database.execute("CREATE TABLE dag_run (conf BLOB, note TEXT)")
        database.commit()
    return made


def test_a_socket_that_others_reach_is_seen() -> None:
    group = [os.getpgrp()]
    with socket.socket() as loopback, socket.socket() as everywhere:
        loopback.bind(("127.0.0.1", 0))
        loopback.listen()
        before = exposure.open_to_the_network(group)
        everywhere.bind(("0.0.0.0", 0))  # noqa: S104 - what is looked for
        everywhere.listen()
        (found,) = set(exposure.open_to_the_network(group)) - set(before)
        assert found.endswith(f"0.0.0.0:{everywhere.getsockname()[1]}")


def test_modes_keys_and_planted_data_are_seen(airflow: AirflowHome) -> None:
    assert exposure.readable_by_others(airflow) == []
    keys = exposure.secrets_of(airflow, {"c": json.dumps({"password": "p" * 20})}, "k" * 64)
    assert len(keys) == 6
    assert exposure.told_in_clear(airflow, [], keys) == []
    for path in (airflow.root, airflow.secrets):
        before = path.stat().st_mode
        path.chmod(0o755)
        assert len(exposure.readable_by_others(airflow)) == 1
        path.chmod(before)
    for key in keys:
        (airflow.logs / "scheduler.log").write_text(f"connecting with {key}")
        assert len(exposure.told_in_clear(airflow, [], keys)) == 1
    (airflow.logs / "scheduler.log").unlink()
    secrets = Secrets(random.Random(4))
    finder_of = lambda: Finder(secrets)  # noqa: E731
    planted = secrets.phone("plain")
    assert exposure.personal_data(airflow, finder_of()) == []
    with contextlib.closing(sqlite3.connect(airflow.root / "airflow.db")) as database:
        database.execute("INSERT INTO dag_run VALUES (?, ?)", [json.dumps({"reason": planted}).encode(), None])
        database.commit()
    assert exposure.personal_data(airflow, finder_of()) != []


def test_keys_lie_apart_from_the_database_and_are_never_a_default(tmp_path: Path) -> None:
    one, other = AirflowHome.of(Home(tmp_path / "one")), AirflowHome.of(Home(tmp_path / "other"))
    for airflow in (one, other):
        airflow.prepare()
        assert not airflow.secrets.is_relative_to(airflow.root)
    assert set(json.loads(one.secrets.read_text()).values()).isdisjoint(json.loads(other.secrets.read_text()).values())
    assert one.password() != other.password() and len(one.password()) > 20
    before = one.secrets.read_text()
    one.prepare()
    assert one.secrets.read_text() == before
    settings = environment(Home(tmp_path / "one"), 8080, {})
    keys = json.loads(before)
    assert settings["AIRFLOW__CORE__FERNET_KEY"] == keys["fernet"] and len(keys["fernet"]) == 44
    assert settings["AIRFLOW__API_AUTH__JWT_SECRET"] == keys["jwt"]
    assert settings["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert (
        settings["AIRFLOW__CORE__LOAD_EXAMPLES"] == settings["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] == "False"
    )


async def never(*_: Any) -> Any:
    raise AssertionError("reached")


async def ignore(_: Any) -> None:
    """An answer nobody reads."""


def ask(method: str, path: str, body: bytes = b"", query: bytes = b"") -> tuple[int, str, bytes | None]:
    """Status and answer of the door before an application that tells what body it got."""
    got: list[bytes] = []
    sent: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        message = await receive() if method != "GET" else {"body": b""}
        got.append(message["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"through"})

    pieces = [body[: len(body) // 2], body[len(body) // 2 :]]

    async def receive() -> Any:
        piece = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": query}
    asyncio.run(Door(application)(scope, receive, send))
    return sent[0]["status"], sent[1]["body"].decode(), got[0] if got else None


@pytest.mark.parametrize("spelling", [None, "plain", "Chinese numerals", "zero-width", "full-width"])
def test_the_door_refuses_personal_numbers_in_every_spelling(spelling: str | None) -> None:
    secrets = Secrets(random.Random(5))
    for secret in (secrets.phone(spelling), secrets.id(spelling)):
        for body in (
            {"conf": {"reason": f"应{secret}要求"}},
            {"note": [secret]},
            {secret: 1},
            {"a": {"b": {"c": secret}}},
        ):
            status, told, got = ask("POST", "/api/v2/dags/replay/dagRuns", json.dumps(body).encode())
            assert (status, got) == (422, None)
            assert Finder(secrets).in_text(told) is None


def test_the_door_passes_what_it_should_byte_for_byte() -> None:
    body = json.dumps(
        {"conf": {"periods": "2022-07 2022-07--2022-09", "reason": "工单652701202207010001更正"}}
    ).encode()
    assert ask("POST", "/api/v2/dags/replay/dagRuns", body) == (200, "through", body)
    run = "/api/v2/dags/x/dagRuns/manual__2026-11-25T22:47:53.138456+00:00__a1"
    assert ask("PATCH", run, b"{}")[0] == ask("GET", run)[0] == ask("POST", "/api/v2/x")[0] == 200
    # Encrypted, or not typed by people.
    phone = json.dumps({"password": "13812345678"}).encode()
    assert ask("POST", "/api/v2/connections", phone)[0] == ask("POST", "/execution/x", phone)[0] == 200


def test_the_door_refuses_searches_numbers_forms_and_what_is_too_long() -> None:
    for path, query in (("/api/v2/dags", b"dag_id_pattern=138%201234%205678"), ("/api/v2/dags/13812345678", b"")):
        scope = {"type": "http", "method": "GET", "path": path, "query_string": query}
        asyncio.run(Door(never)(scope, never, ignore))
        assert (scope["path"], scope["query_string"]) == ("/refused", b""), "the access log reads these afterwards"
    assert ask("GET", "/api/v2/dags", query=b"dag_id_pattern=138%201234%205678")[0] == 422
    assert ask("PATCH", "/api/v2/dags/x/dagRuns/for-13812345678", b"{}")[0] == 422
    assert ask("POST", "/api/v2/variables", json.dumps({"value": 13812345678}).encode())[0] == 422
    assert ask("POST", "/ui/x", b"note=138+1234+5678")[0] == 422
    assert ask("POST", "/api/v2/variables", b" " * (LARGEST + 1))[0] == 413


def test_params_refuse_personal_numbers_and_what_is_no_period_without_the_door(airflow_env: dict[str, str]) -> None:
    """`airflow dags trigger` writes without the API: the params are what it checks."""
    from airflow.sdk.exceptions import ParamValidationError

    from dags.common import MONTH_PARAM
    from tests.dags.test_dags import HOSTILE

    secrets = Secrets(random.Random(6))
    params = dags_of("replay.py")["replay"].params
    reason, periods = params.get_param("reason"), params.get_param("periods")
    for text in (
        "更正8月12日的一篇报送",
        "统计口径2022年7月1日至31日",
        "工单652701202207010001重办",
        "2022-07--2022-08",
    ):
        assert reason.resolve(text) == text
    for text in ("2022-07", " 2022-07  2022-07--2022-08 ", ["2022-07", "2022-07--2022-08"]):
        assert periods.resolve(text) == text
    spelt = [
        make(spelling) for spelling in ("plain", "full-width", "zero-width") for make in (secrets.phone, secrets.id)
    ]
    for secret in spelt:
        with pytest.raises(ParamValidationError):
            reason.resolve(f"应{secret}的要求")
        for given in (secret, f"2022-07 {secret}", ["2022-07", secret]):
            with pytest.raises(ParamValidationError):
                periods.resolve(given)
    of_form = {"2022-08--2022-09", ("2022-01",) * 61}  # months, and none of the ranked periods: the task says so
    for given in HOSTILE:
        if (tuple(given) if isinstance(given, list) else given) not in of_form:
            with pytest.raises(ParamValidationError):
                periods.resolve(given)
    for given in ("2022-07;id", "{{ ds }}", "2022-07-01", "' or 1=1", "２０２２-07"):
        with pytest.raises(ParamValidationError):
            MONTH_PARAM.resolve(given)


def test_the_pattern_of_forms_sees_nearly_what_the_mask_sees() -> None:
    import re

    secrets = Secrets(random.Random(7))
    planted = [make() for _ in range(500) for make in (secrets.phone, secrets.id)]
    missed = [secret for secret in planted if re.search(NONE_TYPED, f"应{secret}要求")]
    assert missed == []


def dags_of(file: str) -> dict[str, Any]:
    """The DAGs that one file defines, as Airflow reads it."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(PROJECT / "dags" / file)).dags


def test_errors_of_the_rows_tasks_are_withheld(airflow_env: dict[str, str]) -> None:
    """The guard is around every task that handles rows; a task without it would tell the text."""
    tasks = [*dags_of("replay.py")["replay"].tasks, *dags_of("pull.py")["pull_cms"].tasks]
    guarded = {task.task_id for task in tasks if task.python_callable.__code__.co_name == "guarded"}
    assert {"ingest", "build", "audit", "publish"} <= guarded
    assert "confirm" not in guarded


def test_a_login_that_is_let_in_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200 if request.url.path == "/api/v2/config" else 401)
        return httpx.Response(201 if json.loads(request.content) == {"username": "admin", "password": "admin"} else 401)

    client = httpx.Client
    monkeypatch.setattr(
        httpx, "Client", lambda **given: client(transport=httpx.MockTransport(answer), base_url=given["base_url"])
    )
    found = exposure.open_logins("http://127.0.0.1:1")
    assert found == ["admin:admin is let in", "admin:admin is let in", "/api/v2/config answers to anybody"]
