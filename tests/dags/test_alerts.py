"""Alerts against a real SMTP server and a real HTTP server on loopback, which check what a robot would check."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiosmtpd.controller import Controller

from dags.failures import report_failure
from ingestion.errors import DeliveryRefused
from ingestion.transports.api import PagesDrifted
from ops.settings import free_port
from upkeep import alerts
from upkeep.freshness import SourceLate

pytestmark = pytest.mark.usefixtures("airflow_env")

SECRET = "SECtest"
PHONE = "13812345678"


@pytest.fixture(autouse=True)
def _no_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """No alert leaves by an address of the machine that the tests run on."""
    for name in (*alerts.SETTINGS.values(), "TONGBAO_RUNBOOK_URL"):
        monkeypatch.delenv(name, raising=False)


class Robot(HTTPServer):
    """Takes messages as the robots of WeCom and DingTalk do, and refuses those of another shape."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken: list[tuple[str, dict[str, Any]]] = []
        self.answer_with = 200

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Robot

    def do_POST(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        wrong = self._wecom(query, body) if parts.path == "/cgi-bin/webhook/send" else self._dingtalk(query, body)
        if not wrong:
            self.server.taken.append((parts.path, body))
        self.send_response(self.server.answer_with)
        self.end_headers()
        self.wfile.write(json.dumps({"errcode": 310000 if wrong else 0, "errmsg": wrong or "ok"}).encode())

    @staticmethod
    def _wecom(query: dict[str, str], body: dict[str, Any]) -> str:
        content = body["markdown"]["content"]
        good = query == {"key": "K"} and body["msgtype"] == "markdown" and 0 < len(content.encode()) <= 4096
        return "" if good else "invalid message"

    @staticmethod
    def _dingtalk(query: dict[str, str], body: dict[str, Any]) -> str:
        code = hmac.new(SECRET.encode(), f"{query.get('timestamp')}\n{SECRET}".encode(), hashlib.sha256).digest()
        if query.get("sign") != base64.b64encode(code).decode() or query.get("access_token") != "T":
            return "sign not match"
        if abs(time.time() * 1000 - int(query["timestamp"])) > 3_600_000:
            return "timestamp is invalid"
        good = body["msgtype"] == "markdown" and body["markdown"]["title"] and body["markdown"]["text"]
        return "" if good else "invalid message"

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def robot() -> Iterator[Robot]:
    server = Robot()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class Inbox:
    def __init__(self) -> None:
        self.envelopes: list[Any] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.envelopes.append(envelope)
        return "250 OK"


@pytest.fixture
def mail() -> Iterator[tuple[str, Inbox]]:
    inbox = Inbox()
    port = free_port()
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield f"smtp://127.0.0.1:{port}?security=none&from=tongbao@example.cn&to=a@example.cn,b@example.cn", inbox
    controller.stop()


class _Task:
    dag_id, task_id, map_index = "pull_hotline", "load", 2


class _Run:
    partition_key = "2022-07"


def context(error: object) -> dict[str, Any]:
    run = {"ti": _Task(), "dag_run": _Run(), "run_id": "manual", "params": {}, "dataset": "hotline_tickets"}
    return run | {"exception": error}


def configure(monkeypatch: pytest.MonkeyPatch, robot: Robot, mail: str) -> None:
    monkeypatch.setenv("TONGBAO_ALERT_SMTP", mail)
    monkeypatch.setenv("TONGBAO_ALERT_WECOM", f"{robot.address}/cgi-bin/webhook/send?key=K")
    monkeypatch.setenv("TONGBAO_ALERT_DINGTALK", f"{robot.address}/robot/send?access_token=T&secret={SECRET}")


def test_a_failed_task_is_told_by_every_channel(
    robot: Robot, mail: tuple[str, Inbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, robot, mail[0])
    monkeypatch.setenv("TONGBAO_RUNBOOK_URL", "https://wiki.example.cn/runbook/")
    report_failure(context(DeliveryRefused(f"export.csv: line 7, 来电号码 {PHONE} " + "很长" * 2000)))
    (envelope,) = mail[1].envelopes
    assert envelope.rcpt_tos == ["a@example.cn", "b@example.cn"]
    message = message_from_bytes(envelope.content, policy=policy.default)
    text = message.get_content()
    assert "pull_hotline 2022-07" in message["Subject"] and "DeliveryRefused" in message["Subject"]
    assert [path for path, _ in robot.taken] == ["/cgi-bin/webhook/send", "/robot/send"]
    shown = [text, robot.taken[0][1]["markdown"]["content"], robot.taken[1][1]["markdown"]["text"]]
    for each in shown:
        for wanted in ("pull_hotline", "load hotline_tickets", "2022-07", "DeliveryRefused: export.csv: line 7"):
            assert wanted in each
        assert "python -m ingestion check" in each and "wiki.example.cn/runbook/DeliveryRefused.md" in each
        assert PHONE not in each and len(each.encode()) < 2048


def test_of_an_error_that_is_not_ours_only_the_kind_is_told() -> None:
    for error, kind in ((ValueError(f"row: 张三 {PHONE}"), "ValueError"), (None, "Killed")):
        alert = alerts.alert_of(dag="d", task="t", month="2022-07", error=error)
        assert alert.kind == kind and "张三" not in alert.text and PHONE not in alert.text
    assert alerts.alert_of(dag="d", task="t", month="", error=ValueError()).lines[-1][1].endswith("/Unforeseen.md")


def test_text_of_others_makes_no_link_and_calls_nobody() -> None:
    error = DeliveryRefused("[click](http://evil) <@all> @all `x`\n\n# heading\x00\u202e")
    text = alerts.alert_of(dag="d", task="t", month="2022-07", error=error).markdown
    assert not any(sign in text for sign in ("](", "<@", "@all", "\x00", "\u202e")) and text.count("# heading") == 1
    assert "\n# heading" not in text


def test_a_late_source_has_its_page() -> None:
    drifted = alerts.alert_of(dag="d", task="t", month="", error=PagesDrifted("x"))
    assert (drifted.kind, drifted.page) == ("PagesDrifted", "SourceInconsistent"), "the page of the class above"
    alert = alerts.alert_of(dag="freshness", task="on_time cms", month="", error=SourceLate("cms is late: …"))
    assert alert.lines[-1][1] == "docs/runbook/SourceLate.md" and "cms is late" in alert.text


def test_off_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    monkeypatch.setattr(alerts, "send", lambda *arguments: sent.append(arguments))
    report_failure(context(DeliveryRefused("x")))
    assert sent == [] and alerts.channels({}) == []


def test_a_channel_that_fails_fails_nothing_and_names_no_secret(
    robot: Robot, mail: tuple[str, Inbox], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    configure(monkeypatch, robot, "smtp://user:hunter2@127.0.0.1:1?security=none&from=x@y.cn&to=z@y.cn")
    monkeypatch.setenv("TONGBAO_ALERT_WECOM", f"{robot.address}/cgi-bin/webhook/send?key=wrong-key")
    report_failure(context(DeliveryRefused("x")))
    assert [path for path, _ in robot.taken] == ["/robot/send"], "the others go on"
    assert "ALERT by smtp failed: ConnectionRefusedError" in caplog.text
    assert "ALERT by wecom failed: NotTaken" in caplog.text
    robot.answer_with = 500
    report_failure(context(DeliveryRefused("x")))
    assert "ALERT by dingtalk failed: HTTPStatusError" in caplog.text
    for wrong in ("smtp://127.0.0.1", "not an address hunter2", "smtp://h:99999?from=a&to=b"):
        assert alerts.channels({"TONGBAO_ALERT_SMTP": wrong, "TONGBAO_ALERT_WECOM": "ftp://hunter2"}) == []
    assert not any(secret in caplog.text for secret in ("hunter2", "wrong-key", SECRET))
    # Even a context that holds nothing of what is expected raises nothing.
    from dags.alerts import alert

    alert({})
    assert "ALERT could not be made" in caplog.text


def test_the_signature_is_checked_at_all(robot: Robot) -> None:
    alert = alerts.alert_of(dag="d", task="t", month="2022-07", error=DeliveryRefused("x"))
    unsigned = alerts.channel_of("dingtalk", f"{robot.address}/robot/send?access_token=T")
    assert alerts.send(alert, [unsigned]) == [] and robot.taken == []


def test_the_address_may_be_an_airflow_connection(robot: Robot, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"{robot.address}/cgi-bin/webhook/send?key=K"
    connection = json.dumps({"conn_type": "generic", "password": address})
    monkeypatch.setenv("AIRFLOW_CONN_TONGBAO_ALERT_WECOM", connection)
    report_failure(context(DeliveryRefused("x")))
    assert [path for path, _ in robot.taken] == ["/cgi-bin/webhook/send"]
