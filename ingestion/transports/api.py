"""The paged API of a platform: ``GET <base>/exports/<dataset>?period=YYYY-MM&page=N&page_size=M``, bearer token.

Every page is landed as it was received. Pages are taken one after another from a system that goes on working, so the
pass over them is checked as a whole: each page says which it is, all say the same total, the rows add up to it, and
no key is on two pages. A pass that contradicts itself is thrown away and begun again within the deadline.

A key on two pages may be lawful (two versions of a row in one delivery) or the trace of a page sent twice, in place of
another. A second pass with another page size tells them apart: the rows must be the same, however they are cut.
"""

from __future__ import annotations

import email.utils
import ipaddress
import json
import logging
import secrets
import ssl
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import httpx

from ingestion.contracts import contract_of
from ingestion.errors import BadParameter, DeliveryMissing, Permanent, SourceInconsistent, SourceUnavailable
from ingestion.period import Month
from ingestion.personal_numbers import excerpt
from ingestion.transports.base import AccessRefused, Deadline, Fetched, RetryAfter, bounded, retrying
from ingestion.transports.uri import SourceUri

# At INFO the client logs the reason that a server gives with its status: free text of somebody else.
logging.getLogger("httpx").setLevel(logging.WARNING)

#: More pages than this are a server that has lost count.
MAX_PAGES = 100_000


class PagesDrifted(SourceInconsistent):
    """The pages of one pass do not belong together: the data changed while they were read, or the server erred."""


class ApiSource:
    """A source behind a paged HTTP API; see ingestion.transports.base.Source. It has no listing of months."""

    def __init__(self, uri: SourceUri) -> None:
        self._uri = uri
        self._limits = uri.limits
        self._client: httpx.Client | None = None

    def describe(self) -> str:
        return str(self._uri)

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def months(self, dataset: str) -> None:
        """None: the API does not say what it has; the caller names the month, and a 404 is a missing delivery."""
        contract_of(dataset)

    def fetch(self, dataset: str, month: str, into: Path) -> list[Fetched]:
        """Every page of the month as ``page-00001.json`` and so on; see Source.fetch for the errors."""
        keys = [contract_of(dataset).column(name).header for name in contract_of(dataset).key]
        code = str(Month.parse(month))
        deadline = Deadline(self._limits.deadline)
        where = f"{self.describe()} {dataset} {code}"
        looks: list[Look] = []
        mark = into / secrets.token_hex(4)  # the folder may hold what another fetch brought

        def one_pass() -> list[Fetched]:
            return self._pass(dataset, code, keys, mark, where, deadline, looks)

        try:
            return bounded(
                lambda: retrying(self._limits, deadline, on=PagesDrifted)(one_pass), deadline, where, self.close
            )
        finally:
            self.close()

    def _pass(
        self, dataset: str, month: str, keys: list[str], mark: Path, where: str, deadline: Deadline, looks: list[Look]
    ) -> list[Fetched]:
        """One look at all pages; ``looks`` holds what earlier ones saw, where a key stood on two pages."""
        fetched: list[Fetched] = []
        size = self._limits.page_size
        size = size if len(looks) % 2 == 0 else max(1, size * 2 // 3)
        with Pages(dataset, month, keys, where) as pages:
            while len(fetched) < pages.expected:
                number = len(fetched) + 1
                target = mark.with_name(f"{mark.name}-{number:05d}.fetched")
                params: dict[str, str | int] = {"period": month, "page": number, "page_size": size}
                retrying(self._limits, deadline)(self._page, dataset, params, target, pages, where, deadline)
                fetched.append(Fetched(name=f"page-{number:05d}.json", path=target, size=target.stat().st_size))
            look = pages.check_whole()
            if look.keys_twice and not any(look.confirms(other) for other in looks):
                looks.append(look)
                raise PagesDrifted(
                    f"{where}: {look.keys_twice} keys stand on two pages (a page sent twice, or data in motion)"
                )
        return fetched

    def _page(
        self, dataset: str, params: dict[str, str | int], target: Path, pages: Pages, where: str, deadline: Deadline
    ) -> None:
        what = f"{where} page {params['page']}"
        deadline.check(what)
        client = self._connected()
        timeout = max(0.01, min(self._limits.timeout, deadline.remaining()))
        try:
            with client.stream("GET", f"exports/{dataset}", params=params, timeout=timeout) as response:
                _check_status(response, what)
                body = b"".join(_plain(response, what, self._limits.max_page_bytes, deadline))
        except httpx.TransportError as error:
            self.close()
            raise SourceUnavailable(f"{what}: connection failed or lost ({type(error).__name__})") from None
        pages.add(int(params["page"]), body, response.headers.get("content-type", ""))
        target.write_bytes(body)

    def _connected(self) -> httpx.Client:
        if self._client is None:
            uri = self._uri
            host = f"[{uri.host}]" if ":" in uri.host else uri.host
            port = f":{uri.port}" if uri.port else ""
            ca_file = uri.options.get("ca_file")
            self._client = httpx.Client(
                base_url=f"{uri.scheme}://{host}{port}{uri.path.rstrip('/')}/",
                headers={
                    "Authorization": f"Bearer {uri.password}",
                    "Accept": "application/json",
                    "Accept-Encoding": "gzip",
                },
                verify=_tls(ca_file, self.describe()) if ca_file else True,
                trust_env=not _is_loopback(uri.host),  # a proxy has no business on this machine
                follow_redirects=False,
            )
        return self._client


@dataclass(frozen=True)
class Look:
    """What one pass over the pages saw: enough to tell whether another one saw the same rows."""

    pages: int
    rows: int
    row_hashes: int  # their sum, so that the order does not matter
    keys_twice: int  # keys that stand on more than one page
    rows_twice: int  # whole rows that do

    def confirms(self, other: Look) -> bool:
        """Whether both saw the same rows in pages cut differently.

        A server that knows one page size only cannot be asked in two ways: there, versions of a row are believed when
        they come a second time, and whole rows that repeat never are.
        """
        same = (self.rows, self.row_hashes) == (other.rows, other.row_hashes)
        return same and (self.pages != other.pages or not self.rows_twice)


class Pages:
    """The pages of one pass: what each must say, and whether they belong together. Use as a context manager."""

    def __init__(self, dataset: str, month: str, keys: list[str], where: str) -> None:
        self.expected = 1
        self._dataset, self._month, self._where = dataset, month, where
        self._keys = [f"$.{json.dumps(header, ensure_ascii=False)}" for header in keys]
        self._total: int | None = None
        self._rows = 0
        self._db = duckdb.connect(":memory:", config={"enable_external_access": "false", "threads": "1"})
        self._db.execute("CREATE TABLE seen (page BIGINT, key UBIGINT, content UBIGINT)")

    def __enter__(self) -> Pages:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(self, number: int, body: bytes, content_type: str) -> None:
        """Take a page in, or say what is wrong with it: SourceInconsistent (ask again), PagesDrifted (begin again)."""
        what = f"{self._where} page {number}"
        if body.lstrip()[:1] != b"{":
            login = (
                "an HTML page, perhaps a login: check the token" if _is_html(body, content_type) else "no JSON object"
            )
            raise SourceInconsistent(f"{what}: the answer is {login}")
        try:
            said = self._envelope(body.decode("utf-8-sig"))
        except (UnicodeDecodeError, duckdb.Error):  # the engine's message quotes the text
            raise SourceInconsistent(f"{what}: the answer is cut short or no JSON ({len(body)} bytes)") from None
        dataset, month, page, pages, total, rows = said
        if rows is None or page is None or pages is None or total is None:
            raise SourceInconsistent(f"{what}: the answer lacks one of page, pages, total, rows")
        if (dataset, month) != (self._dataset, self._month):
            raise SourceInconsistent(f"{what}: the answer is about another dataset or period than asked for")
        if page != number:
            raise PagesDrifted(f"{what}: the answer says it is page {page}")
        if self._total is not None and (total, pages) != (self._total, self.expected):
            raise PagesDrifted(
                f"{what}: {total} rows on {pages} pages, where page 1 said {self._total} on {self.expected}"
            )
        if not 0 <= pages <= MAX_PAGES or total < 0:
            raise SourceInconsistent(f"{what}: {total} rows on {pages} pages is no count")
        self._total, self.expected = total, max(pages, 1)
        self._rows += rows
        self._db.execute("INSERT INTO seen SELECT ?, key, content FROM page_rows", [number])

    def _envelope(self, text: str) -> tuple[Any, ...]:
        """What the page says of itself, and how many rows it has; hashes of the rows go to a table of their own."""
        self._db.execute("CREATE OR REPLACE TEMP TABLE body AS SELECT ?::JSON AS j", [text])
        self._db.execute(
            """CREATE OR REPLACE TEMP TABLE page_rows AS
            SELECT hash(r::VARCHAR) AS content,
                   CASE WHEN len(list_filter(key, lambda k: k IS NOT NULL)) = 0 THEN content ELSE hash(key) END AS key
            FROM (SELECT r, json_extract_string(r, $keys) AS key
                  FROM (SELECT unnest(json_extract(j, '$.rows[*]')) AS r FROM body))""",
            {"keys": self._keys},
        )
        return self._db.execute(
            """SELECT j->>'$.dataset', j->>'$.period', try_cast(j->>'$.page' AS BIGINT),
                      try_cast(j->>'$.pages' AS BIGINT), try_cast(j->>'$.total' AS BIGINT),
                      CASE WHEN json_type(j, '$.rows') = 'ARRAY' THEN json_array_length(j, '$.rows') END
               FROM body"""
        ).fetchall()[0]

    def check_whole(self) -> Look:
        """What this pass saw; raises PagesDrifted unless the rows add up to the total."""
        if self._rows != self._total:
            raise PagesDrifted(f"{self._where}: {self._rows} rows came, the server counts {self._total}")
        twice = "(SELECT count(*) FROM (SELECT {0} FROM seen GROUP BY {0} HAVING count(DISTINCT page) > 1))"
        row = self._db.execute(
            "SELECT count(*), coalesce(sum(content::HUGEINT), 0), "
            f"{twice.format('key')}, {twice.format('content')} FROM seen"
        ).fetchall()[0]
        return Look(self.expected, *map(int, row))


def _check_status(response: httpx.Response, what: str) -> None:
    """Raise what a status other than 200 means."""
    status = response.status_code
    if status == 200:
        return
    if status in (401, 403):
        raise AccessRefused(f"{what}: the token is not accepted (HTTP {status}); it has expired or was replaced")
    if status == 404:
        raise DeliveryMissing(f"{what}: the platform has no such export (HTTP 404)")
    if status in (429, 503):
        wait = _retry_after(response.headers.get("retry-after"))
        message = f"{what}: the server is busy (HTTP {status})"
        if wait is not None:
            raise RetryAfter(f"{message}, come again in {wait:.0f} s", wait)
        raise SourceUnavailable(message)
    if status >= 500 or status in (408, 425):
        raise SourceUnavailable(f"{what}: the server failed (HTTP {status})")
    if 300 <= status < 400:
        raise SourceInconsistent(f"{what}: redirected (HTTP {status}), perhaps to a login: check address and token")
    raise Permanent(f"{what}: the server does not accept the request (HTTP {status})")


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait: the header gives seconds or an HTTP date."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _plain(response: httpx.Response, what: str, limit: int, deadline: Deadline) -> Iterator[bytes]:
    """The body's bytes, unpacked here and counted: the client's own unpacking knows no limit."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise SourceInconsistent(
            f"{what}: the answer is packed in a way that was not asked for ({excerpt(encoding, 20)})"
        )
    unpack = zlib.decompressobj(wbits=31) if "gzip" in encoding else None
    size = 0
    for packed in response.iter_raw(1 << 16):
        deadline.check(what)
        rest = packed
        while rest:
            try:
                chunk = unpack.decompress(rest, 1 << 20) if unpack else rest
            except zlib.error:
                raise SourceInconsistent(f"{what}: the packed answer is damaged") from None
            rest = unpack.unconsumed_tail if unpack else b""
            size += len(chunk)
            if size > limit:
                raise SourceInconsistent(f"{what}: the page is larger than {limit} bytes; lower page_size")
            yield chunk
    if unpack and not unpack.eof:
        raise SourceInconsistent(f"{what}: the packed answer is cut short")


def _is_html(body: bytes, content_type: str) -> bool:
    return "html" in content_type.lower() or body.lstrip()[:1] == b"<"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _tls(ca_file: str, what: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError:
        raise BadParameter(f"{what}: ca_file cannot be read") from None
