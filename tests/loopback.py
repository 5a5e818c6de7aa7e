"""A real HTTP server on loopback for the length of a test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Quiet(BaseHTTPRequestHandler):
    """Says nothing of the requests: the test's own output is not what is looked at."""

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(handler: type[Quiet]) -> Iterator[str]:
    """Host and port of a server that answers by this handler; it has ended when this is left."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
