"""The paged API against a real HTTP server on loopback, with every fault it can commit."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestion.errors import BadParameter, DeliveryMissing, SourceInconsistent, SourceUnavailable
from ingestion.transports import AccessRefused, Fetched, Source
from simulator.servers.platform import PlatformServer

from .exports import CASES, QUICK, deliver, page_object

SMALL = f"{QUICK}&page_size=20"


@pytest.fixture
def platform(exports: Path) -> Iterator[PlatformServer]:
    with PlatformServer(exports, "s3cret-token") as server:
        yield server


def rows(fetched: list[Fetched]) -> list[dict[str, Any]]:
    return [row for one in fetched for row in json.loads(one.path.read_bytes())["rows"]]


def test_every_page_is_landed_as_received(platform: PlatformServer, source: Callable[..., Source], into: Path) -> None:
    fetched = source(platform.uri, SMALL).fetch("platform_cases", "2022-07", into)
    assert [one.name for one in fetched] == [f"page-{n:05d}.json" for n in range(1, 6)]
    assert rows(fetched) == CASES
    assert all(one.size == one.path.stat().st_size and not one.has_manifest for one in fetched)


def test_a_month_with_nothing_is_one_page_without_rows(
    platform: PlatformServer, exports: Path, source: Callable[..., Source], into: Path
) -> None:
    deliver(exports, "platform_cases", "2022-09", "a.json", page_object([], month="2022-09"))
    fetched = source(platform.uri).fetch("platform_cases", "2022-09", into)
    assert len(fetched) == 1
    assert rows(fetched) == []


def test_the_platform_serves_files_of_any_format(
    platform: PlatformServer, exports: Path, source: Callable[..., Source], into: Path
) -> None:
    import xlsxwriter

    deliver(exports, "platform_reviews", "2022-07", "a.csv", "评价编号,评价等级\r\nR1,满意\r\n".encode("gb18030"))
    book = io.BytesIO()
    with xlsxwriter.Workbook(book) as workbook:
        sheet = workbook.add_worksheet()
        sheet.write_row(0, 0, ["评价编号", "评价等级", "评价时间"])
        sheet.write_row(1, 0, ["R2", "不满意"])
        moment = dt.datetime(2022, 7, 1, 8, 30)  # noqa: DTZ001
        sheet.write_datetime(1, 2, moment, workbook.add_format({"num_format": "yyyy-mm-dd hh:mm"}))
    deliver(exports, "platform_reviews", "2022-07", "b.xlsx", book.getvalue())
    assert rows(source(platform.uri).fetch("platform_reviews", "2022-07", into)) == [
        {"评价编号": "R1", "评价等级": "满意"},
        {"评价编号": "R2", "评价等级": "不满意", "评价时间": "2022-07-01 08:30:00"},
    ]


def test_what_is_not_delivered_is_missing_and_months_are_not_listed(
    platform: PlatformServer, source: Callable[..., Source], into: Path
) -> None:
    api = source(platform.uri)
    assert api.months("platform_cases") is None
    with pytest.raises(DeliveryMissing, match="platform_cases 2021-01"):
        api.fetch("platform_cases", "2021-01", into)
    with pytest.raises(BadParameter):
        api.fetch("platform_cases/../x", "2022-07", into)
    with pytest.raises(BadParameter):
        api.fetch("platform_cases", "2022-07&page=9", into)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503, "times": 2},
        {"kind": "status", "status": 429, "retry_after": 0, "times": 2},
        {"kind": "status", "status": 500, "page": 3},
        {"kind": "cut_length", "page": 2},
        {"kind": "cut_clean", "page": 2},
        {"kind": "cut_clean", "page": 2, "after": 0},
        {"kind": "login_page", "page": 4},
        {"kind": "repeat_page", "page": 3},
        {"kind": "skip_page", "page": 2},
        {"kind": "swap_pages", "page": 2},
        {"kind": "total_changes", "page": 2},
        {"kind": "rows_move", "page": 3},
        {"kind": "gzip_bomb", "page": 2},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values()),
)
def test_a_passing_fault_ends_in_the_exact_rows(
    platform: PlatformServer, source: Callable[..., Source], into: Path, fault: dict[str, Any]
) -> None:
    platform.faults.add(**fault)
    fetched = source(platform.uri, SMALL + "&max_page_bytes=1000000").fetch("platform_cases", "2022-07", into)
    assert platform.faults.committed, "the server never failed: the test shows nothing"
    assert rows(fetched) == CASES


@pytest.mark.parametrize(
    ("fault", "error", "reason"),
    [
        ({"kind": "status", "status": 503}, SourceUnavailable, "HTTP 503"),
        ({"kind": "cut_length"}, SourceUnavailable, "lost"),
        ({"kind": "cut_clean"}, SourceInconsistent, "cut short"),
        ({"kind": "login_page"}, SourceInconsistent, "login"),
        ({"kind": "repeat_page", "page": 3}, SourceInconsistent, r"stand on two pages|rows came"),
        ({"kind": "skip_page", "page": 2}, SourceInconsistent, r"stand on two pages|rows came"),
        ({"kind": "rows_move"}, SourceInconsistent, r"stand on two pages"),
        ({"kind": "swap_pages", "page": 2}, SourceInconsistent, "says it is page 3"),
        ({"kind": "total_changes", "page": 2}, SourceInconsistent, "96 rows"),
        ({"kind": "gzip_bomb"}, SourceInconsistent, "larger than"),
        ({"kind": "status", "status": 302}, SourceInconsistent, "redirected"),
        ({"kind": "expired_token"}, AccessRefused, "expired"),
        ({"kind": "status", "status": 403}, AccessRefused, "403"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_a_lasting_fault_is_named_and_nothing_secret_is(
    platform: PlatformServer,
    source: Callable[..., Source],
    into: Path,
    fault: dict[str, Any],
    error: type[Exception],
    reason: str,
) -> None:
    platform.faults.add(times=-1, **fault)
    begun = time.monotonic()
    with pytest.raises(error, match=reason) as caught:
        source(platform.uri, SMALL + "&max_page_bytes=1000000").fetch("platform_cases", "2022-07", into)
    assert time.monotonic() - begun < 9
    chain = f"{caught.value!r} {caught.value.__cause__!r}"
    assert "s3cret" not in chain
    assert "A00" not in chain  # a row's key


def test_an_expired_token_is_not_tried_again(
    platform: PlatformServer, source: Callable[..., Source], into: Path
) -> None:
    platform.faults.add("expired_token", times=-1)
    with pytest.raises(AccessRefused):
        source(platform.uri).fetch("platform_cases", "2022-07", into)
    assert platform.faults.committed == ["expired_token"]


def test_retry_after_is_waited_for(platform: PlatformServer, source: Callable[..., Source], into: Path) -> None:
    platform.faults.add("status", status=429, retry_after=1)
    begun = time.monotonic()
    source(platform.uri).fetch("platform_cases", "2022-07", into)
    assert 1.0 <= time.monotonic() - begun < 4


@pytest.mark.parametrize("after", [3600, "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_retry_after_beyond_the_deadline_ends_at_once(
    platform: PlatformServer, source: Callable[..., Source], into: Path, after: float | str
) -> None:
    platform.faults.add("status", status=503, retry_after=after, times=-1)
    begun = time.monotonic()
    with pytest.raises(SourceUnavailable, match="come again"):
        source(platform.uri).fetch("platform_cases", "2022-07", into)
    assert time.monotonic() - begun < 2


def test_a_drip_ends_at_the_deadline(platform: PlatformServer, source: Callable[..., Source], into: Path) -> None:
    platform.faults.add("drip", times=-1, pause=0.1)  # never silent for long, never done
    begun = time.monotonic()
    with pytest.raises(SourceUnavailable, match="not finished within the deadline"):
        source(platform.uri, "deadline=1.5&timeout=1").fetch("platform_cases", "2022-07", into)
    assert time.monotonic() - begun < 3


def test_dripped_headers_end_at_the_deadline_too(source: Callable[..., Source], into: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not over.wait(0.1):
                connection.sendall(b"x")

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    begun = time.monotonic()
    try:
        with pytest.raises(SourceUnavailable, match="deadline"):
            uri = f"http://:t@127.0.0.1:{listener.getsockname()[1]}"
            source(uri, "deadline=1&timeout=5").fetch("platform_cases", "2022-07", into)
        assert time.monotonic() - begun < 3
    finally:
        over.set()
        thread.join(2)
        listener.close()


def test_nobody_there(source: Callable[..., Source], into: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(SourceUnavailable, match="connection failed"):
        source(f"http://:secret@127.0.0.1:{port}").fetch("platform_cases", "2022-07", into)


def test_two_versions_of_a_row_on_two_pages_are_no_drift(
    platform: PlatformServer, exports: Path, source: Callable[..., Source], into: Path
) -> None:
    corrected = [*CASES, {**CASES[0], "更新时间": "2022-07-09 10:00:00"}]
    deliver(exports, "platform_cases", "2022-07", "a.json", page_object(corrected))
    assert rows(source(platform.uri, SMALL).fetch("platform_cases", "2022-07", into)) == corrected


def test_rows_that_the_system_really_holds_twice_are_no_drift(
    platform: PlatformServer, exports: Path, source: Callable[..., Source], into: Path
) -> None:
    doubled = [*CASES, *CASES[:3]]
    deliver(exports, "platform_cases", "2022-07", "a.json", page_object(doubled))
    assert rows(source(platform.uri, SMALL).fetch("platform_cases", "2022-07", into)) == doubled


def test_pages_that_cover_each_other_by_key_are_seen(
    platform: PlatformServer, exports: Path, source: Callable[..., Source], into: Path
) -> None:
    """A corrected row that wanders to the end takes another row off the pages still to come; the counts still agree."""
    folder = exports / "platform/platform_cases/2022-07"
    moved = [*CASES[1:], {**CASES[0], "更新时间": "2022-07-09 10:00:00"}]
    original = platform.faults.take

    def take(*kinds: str, page: int | None = None, **rest: Any) -> Any:
        if page == 2 and "expired_token" not in kinds:  # page 1 is out; the row moves before page 3 is asked for
            deliver(exports, "platform_cases", "2022-07", "a.json", page_object(moved))
        return original(*kinds, page=page, **rest)

    platform.faults.take = take  # type: ignore[method-assign]
    fetched = rows(source(platform.uri, SMALL).fetch("platform_cases", "2022-07", into))
    assert folder.exists()
    assert fetched == moved


def test_a_wrong_token_and_an_unpacked_or_huge_page(
    platform: PlatformServer, source: Callable[..., Source], into: Path
) -> None:
    with pytest.raises(AccessRefused, match="401"):
        source(platform.uri.replace("s3cret", "wrong")).fetch("platform_cases", "2022-07", into)
    with pytest.raises(SourceInconsistent, match="lower page_size"):
        source(platform.uri, QUICK + "&max_page_bytes=2000").fetch("platform_cases", "2022-07", into)
