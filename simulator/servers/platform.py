"""The platform's API: ``GET /exports/<dataset>?period=YYYY-MM&page=N&page_size=M`` behind a bearer token.

Rows come from ``<exports>/platform/<dataset>/<YYYY-MM>/`` in the order of file names; JSON, CSV and XLSX are read.
"""

from __future__ import annotations

import asyncio
import csv
import gzip
import hmac
import io
import json
import re
import threading
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from simulator.servers.faults import HTTP_KINDS, Fault, Faults

LOGIN_PAGE = "<!DOCTYPE html><html><head><title>统一身份认证</title></head><body><form>用户名 密码</form></body></html>"
MAX_PAGE_SIZE = 10_000
Rows = Sequence[dict[str, Any]]


def platform_app(exports: Path, token: str, faults: Faults | None = None) -> Starlette:
    """The API over a folder of exports. ``exports`` is the root that holds the systems' folders."""
    faults = faults or Faults()

    async def export(request: Request) -> Response:
        dataset = request.path_params["dataset"]
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()) or faults.take("expired_token"):
            return JSONResponse({"error": "令牌无效或已过期"}, 401, {"WWW-Authenticate": "Bearer"})
        try:
            page = int(request.query_params.get("page", "1"))
            size = min(int(request.query_params.get("page_size", "1000")), MAX_PAGE_SIZE)
        except ValueError:
            page = size = 0
        period = request.query_params.get("period", "")
        if page < 1 or size < 1 or not re.fullmatch(r"\d{4}-\d{2}", period) or not re.fullmatch(r"[a-z_]+", dataset):
            return JSONResponse({"error": "参数错误"}, 400)
        folder = exports / "platform" / dataset / period
        rows = await asyncio.to_thread(delivered_rows, folder)
        if rows is None:
            return JSONResponse({"error": "无此数据"}, 404)
        fault = faults.take(*HTTP_KINDS, page=page, dataset=dataset)
        return _answer(dataset, period, page, size, rows, fault, "gzip" in request.headers.get("accept-encoding", ""))

    return Starlette(routes=[Route("/exports/{dataset}", export)])


def _answer(
    dataset: str, period: str, page: int, size: int, rows: Rows, fault: Fault | None, may_gzip: bool
) -> Response:
    """The page asked for, or what the fault makes of it."""
    kind = fault.kind if fault else ""
    pages = max(1, -(-len(rows) // size))
    total = len(rows) + (kind == "total_changes")
    # A page that says it is another, one that says it is right and is not, and rows that moved between two requests.
    said = page + 1 if kind == "swap_pages" else page
    taken = {"repeat_page": page - 1, "skip_page": page + 1, "swap_pages": page + 1}.get(kind, page)
    start = (max(taken, 1) - 1) * size - (kind == "rows_move" and page > 1)
    end = start + min(size, len(rows) - (page - 1) * size)  # so that the counts agree all the same
    body = json.dumps(
        {"dataset": dataset, "period": period, "page": said, "pages": pages, "total": total,
         "rows": list(rows[start:end])},
        ensure_ascii=False, default=str,
    ).encode()  # fmt: skip
    if fault is None or kind not in {"status", "drip", "cut_length", "cut_clean", "login_page", "gzip_bomb"}:
        if may_gzip and len(body) > 1000:
            return Response(gzip.compress(body, 1), 200, {"Content-Encoding": "gzip"}, "application/json")
        return Response(body, 200, media_type="application/json")
    if kind == "status":
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        return JSONResponse({"error": "系统繁忙"}, fault.status, headers)
    if kind == "login_page":
        return HTMLResponse(LOGIN_PAGE)
    if kind == "gzip_bomb":
        return Response(_bomb(), 200, {"Content-Encoding": "gzip"}, "application/json")
    if kind == "cut_clean":  # no length was announced, and the stream ends as if it were whole
        return StreamingResponse(_pieces([body[: fault.after]], 0), media_type="application/json")
    if kind == "cut_length":  # the length announced is the whole body's
        announced = {"Content-Length": str(len(body))}
        return StreamingResponse(_pieces([body[: fault.after]], 0), 200, announced, "application/json")
    drops = [body[: fault.after], *(body[i : i + 1] for i in range(fault.after, len(body)))]
    return StreamingResponse(_pieces(drops, fault.pause), media_type="application/json")


async def _pieces(pieces: list[bytes], pause: float) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
        await asyncio.sleep(pause)


@lru_cache(maxsize=1)
def _bomb() -> bytes:
    """256 MiB of blanks after an opening brace, packed to about 250 kB."""
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9) as packed:
        packed.write(b"{")
        blanks = b" " * (1 << 20)
        for _ in range(256):
            packed.write(blanks)
    return out.getvalue()


def delivered_rows(folder: Path) -> Rows | None:
    """All rows of a month's folder; None where there is no such folder."""
    if not folder.is_dir():
        return None
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.name != "manifest.json" and p.name[0] != ".")
    return _rows_of(tuple((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in files))


@lru_cache(maxsize=4)
def _rows_of(files: tuple[tuple[str, int, int], ...]) -> Rows:
    """The rows of these files; kept, because pages of one month are asked for one after another."""
    return [row for name, _, _ in files for row in _read(Path(name))]


def _read(path: Path) -> Rows:
    if path.suffix == ".json":
        rows: Rows = json.loads(path.read_text("utf-8-sig"))["rows"]
        return rows
    if path.suffix == ".csv":
        raw = path.read_bytes()
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("gb18030")
        return list(csv.DictReader(io.StringIO(text, newline="")))
    from python_calamine import CalamineWorkbook

    header, *cells = CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()
    return [dict(zip(map(str, header), row, strict=False)) for row in cells]


class PlatformServer:
    """The API served from a thread of this process; use as a context manager. ``uri`` is the connection URI."""

    def __init__(self, exports: Path, token: str, faults: Faults | None = None, port: int = 0) -> None:
        self.faults = faults or Faults()
        self._token = token
        self._server = uvicorn_server(platform_app(exports, token, self.faults), port)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> PlatformServer:
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the platform's server did not start")
            threading.Event().wait(0.005)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(5)

    @property
    def port(self) -> int:
        return served_port(self._server)

    @property
    def uri(self) -> str:
        return f"http://:{self._token}@127.0.0.1:{self.port}"


def uvicorn_server(app: Starlette, port: int) -> uvicorn.Server:
    """A quiet server on loopback; port 0 takes a free one."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="critical", access_log=False, lifespan="off", ws="none",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    return uvicorn.Server(config)


def served_port(server: uvicorn.Server) -> int:
    """The port a started server listens on."""
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port
