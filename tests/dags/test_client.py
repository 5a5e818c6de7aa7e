"""The small client of Airflow's API against a real server on loopback that has bad moments."""

from __future__ import annotations

import json

import httpx
import pytest

from ops import client
from tests import loopback
from tests.loopback import Quiet

LOCKED = {"detail": {"reason": "Database error", "statement": "hidden"}}
BROKEN = {"detail": "Internal Server Error"}


@pytest.fixture
def served():
    """A server that gives the answers put into its list, one a request, and notes what was asked."""
    answers: list[tuple[int, object]] = []
    asked: list[str] = []

    class Handler(Quiet):
        def do_GET(self):
            asked.append(self.path)
            status, body = answers.pop(0)
            content = json.dumps(body, separators=(",", ":")).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with loopback.served(Handler) as place:
        airflow = client.AirflowClient(f"http://{place}", "unused")
        yield airflow, answers, asked
        airflow.close()


def test_a_request_is_repeated_while_the_database_is_locked(served, monkeypatch):
    monkeypatch.setattr(client, "LOCKED", (0, 0, 0))
    airflow, answers, asked = served
    answers += [(500, LOCKED), (500, LOCKED), (200, {"dags": []})]
    assert airflow.call("GET", "/dags") == {"dags": []}
    assert asked == ["/api/v2/dags"] * 3


def test_a_database_that_stays_locked_is_an_error(served, monkeypatch):
    monkeypatch.setattr(client, "LOCKED", (0, 0, 0))
    airflow, answers, asked = served
    answers += [(500, LOCKED)] * 3
    with pytest.raises(httpx.HTTPStatusError, match="Database error"):
        airflow.call("GET", "/dags")
    assert len(asked) == 3


def test_any_other_error_of_the_server_is_told_at_once(served):
    airflow, answers, asked = served
    answers += [(500, BROKEN)]
    with pytest.raises(httpx.HTTPStatusError, match="Internal Server Error"):
        airflow.call("GET", "/dags")
    assert len(asked) == 1
