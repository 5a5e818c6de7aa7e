"""An S3 API on loopback (moto) with a bucket that holds a folder of exports, listings paged as a real one's are."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import boto3  # type: ignore[import-untyped]
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from simulator.servers.faults import S3_KINDS, Faults

DENIED = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'


class ObjectStoreServer:
    """The object store served from threads of this process; use as a context manager.

    ``list_page`` is the number of keys in one answer of a listing (a real store: 1,000).
    """

    def __init__(self, faults: Faults | None = None, list_page: int = 1000) -> None:
        self.faults = faults or Faults()
        self.bucket = f"exports-{secrets.token_hex(4)}"
        self.listings = 0
        self._list_page = list_page
        self._key, self._secret = secrets.token_hex(8), secrets.token_urlsafe(24)
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> ObjectStoreServer:
        self._thread.start()
        self.client().create_bucket(Bucket=self.bucket)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def uri(self, prefix: str = "") -> str:
        """The connection URI of the bucket, or of a prefix in it."""
        login = f"{self._key}:{quote(self._secret, safe='')}"
        path = f"/{quote(prefix)}" if prefix else ""
        return f"s3://{login}@{self.bucket}{path}?endpoint_url={quote(self.endpoint, safe='')}&region=us-east-1"

    def client(self) -> Any:
        """A boto3 client of the store."""
        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1",
            aws_access_key_id=self._key, aws_secret_access_key=self._secret,
        )  # fmt: skip

    def upload(self, folder: Path, prefix: str = "") -> None:
        """Put every file under a folder into the bucket, by its path."""
        client = self.client()
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                client.put_object(
                    Bucket=self.bucket, Key=f"{prefix}{path.relative_to(folder).as_posix()}", Body=path.read_bytes()
                )

    def _answer(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        query = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
        if "list-type" in query:
            self.listings += 1
            environ["QUERY_STRING"] = urlencode(query | {"max-keys": str(self._list_page)})
        reads = environ["REQUEST_METHOD"] == "GET" and "list-type" not in query
        fault = self.faults.take(*S3_KINDS) if reads else None
        if fault is None:
            return self._app(environ, start)
        if fault.kind == "s3_denied":
            start("403 Forbidden", [("Content-Type", "application/xml"), ("Content-Length", str(len(DENIED)))])
            return [DENIED]
        if fault.kind == "s3_status":
            start(f"{fault.status} Slow Down", [("Content-Length", "0")])
            return []
        body = b"".join(self._app(environ, start))  # the length announced is the whole body's
        return _drip(body, fault.pause) if fault.kind == "s3_drip" else [body[: fault.after]]


def _drip(body: bytes, pause: float) -> Iterator[bytes]:
    for i in range(len(body)):
        yield body[i : i + 1]
        time.sleep(pause)
