"""Airflow plugin: what people type into Airflow's pages and API holds no phone and no citizen's id (身份证).

Airflow keeps what is typed (a run's conf, its note, its id, a variable) in its own database and shows it to everybody
who may look, its access log keeps what is searched for, and no later step can take it back. So a request that carries
a personal number is refused before Airflow sees it: 422, with the places named and nothing repeated. Connections pass:
Airflow encrypts them. What tasks say of themselves comes by another way (``/execution``); the tasks keep it clean.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any
from urllib.parse import unquote_plus

from airflow.plugins_manager import AirflowPlugin

from ingestion.personal_numbers import masked

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

#: Where people and their scripts write, and what of it is kept encrypted.
WRITTEN, ENCRYPTED = ("/api/v2/", "/ui/"), ("/api/v2/connections",)
METHODS = frozenset({"POST", "PUT", "PATCH"})
#: Bytes of the largest request that is looked at; Airflow's own are far smaller.
LARGEST = 1_000_000


def places(value: Any, at: str = "body") -> Iterator[str]:
    """Where in a decoded JSON a personal number stands: ``body.conf.reason``. A key that holds one is not named."""
    if isinstance(value, dict):
        for key, each in value.items():
            if masked(str(key)) != str(key):
                yield f"{at}: a key"
            else:
                yield from places(each, f"{at}.{key}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from places(each, f"{at}[{number}]")
    elif masked(str(value)) != str(value):
        yield at


class Door:
    """ASGI middleware in front of the whole server."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith(WRITTEN) or path.startswith(ENCRYPTED):
            await self.app(scope, receive, send)
            return
        asked = {"path": path, "query": unquote_plus(scope.get("query_string", b"").decode("latin-1"))}
        if found := list(places(asked, "request")):
            # The access log stands outside and reads both when the answer is given.
            scope["path"], scope["query_string"] = "/refused", b""
            await _refuse(send, 422, _told(found))
            return
        if scope["method"] not in METHODS:
            await self.app(scope, receive, send)
            return
        body, more = b"", True
        while more and len(body) <= LARGEST:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        if more or len(body) > LARGEST:
            await _refuse(send, 413, f"the request is longer than {LARGEST} bytes")
            return
        if found := list(places(_decoded(body))):
            await _refuse(send, 422, _told(found))
            return
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, again, send)


def _told(found: list[str]) -> str:
    return f"a phone or ID number stands in {', '.join(found[:5])}: write it without (请去掉电话号码、身份证号)"


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body or b"null")
    except ValueError:
        return unquote_plus(body.decode("utf-8", "replace"))


async def _refuse(send: Send, status: int, detail: str) -> None:
    content = json.dumps({"detail": detail}, ensure_ascii=False).encode()
    headers = [(b"content-type", b"application/json; charset=utf-8"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


class PersonalNumbersPlugin(AirflowPlugin):
    """Puts the door in front of Airflow's API server."""

    name = "tongbao_door"
    fastapi_root_middlewares = [{"name": "no personal numbers", "middleware": Door}]  # noqa: RUF012 - Airflow's own
