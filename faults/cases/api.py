"""A platform's API that errs: the real server on loopback with faults injected, the real client with short limits.

What passes must be retried until the delivery is exact; what stays must be refused by name within the deadline, and a
plain re-run once the server is well again must be exact.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from faults import material as m
from faults.judge import EXACT, REFUSE, WRONG, Expect, Verdict, judge
from faults.variants import Variant
from faults.workplace import Workplace

#: The bearer token of the server: must not stand in a message, a log or the ledger.
TOKEN = "planted-token-0123456789"  # noqa: S105 - of a server that lives for one variant
#: Room for the waits of a machine that does other work besides; a server that errs once is no reason to give up.
PATIENT = {"deadline": 30, "timeout": 10, "attempts": 6, "backoff": 0.002, "backoff_max": 0.01, "page_size": 25}
#: For servers that never get well.
HASTY = PATIENT | {"attempts": 2}
#: For servers that are slow: the deadline decides.
BRIEF = HASTY | {"deadline": 0.4, "timeout": 0.2}
#: How much longer than its deadline a pull may take: the load that follows it, and a busy machine.
GRACE = 10

Fault = tuple[str, dict[str, Any]]
ONLY_EXACT, ONLY_REFUSE = frozenset({EXACT}), frozenset({REFUSE})

#: Deliveries: dataset, rows, and the format that the server reads them from.
DELIVERIES = {
    "cases": ("platform_cases", 60, "json"),
    "reviews": ("platform_reviews", 60, "csv"),
    "one_page": ("platform_cases", 12, "json"),
    "full_pages": ("platform_reviews", 50, "json"),
}
#: Statuses that may pass by themselves.
PASSING = (429, 500, 502, 503, 504, 408, 425, 302, 307)
#: Statuses that mean the same next time.
LASTING = (400, 401, 403, 404, 405, 410, 418, 204, 206)
#: Faults of a page's content, and the pages on which they show.
DRIFTS = {
    "repeat_page": (2, 3), "skip_page": (1, 2), "swap_pages": (1, 2, 3), "total_changes": (1, 2, 3),
    "rows_move": (2, 3),
}  # fmt: skip


@cache
def pages_of(delivery: str) -> int:
    """Pages of a delivery under the limits here."""
    return -(-DELIVERIES[delivery][1] // int(PATIENT["page_size"]))


def variants() -> Iterator[Variant]:
    """All variants of the row *API*."""
    for delivery in DELIVERIES:
        last = pages_of(delivery)
        yield served(f"{delivery}/well", delivery, [])
        for times in (1, 2):
            for status in PASSING:
                yield _status(delivery, status, 1 + status % last, times)
            for kind in ("login_page", "gzip_bomb"):
                yield served(f"{delivery}/{kind}/{times}", delivery, [(kind, {"page": last, "times": times})],
                             max_page_bytes=1_000_000)  # fmt: skip
        for status in PASSING:
            yield _status(delivery, status, last, -1)
        for status in LASTING:
            yield _status(delivery, status, last, 1, ONLY_REFUSE)
        for kind in ("login_page", "gzip_bomb"):
            yield served(f"{delivery}/{kind}/always", delivery, [(kind, {"page": 1, "times": -1})], ONLY_REFUSE, HASTY,
                         max_page_bytes=1_000_000)  # fmt: skip
        yield served(f"{delivery}/expired_token", delivery, [("expired_token", {})], ONLY_REFUSE, says="token")
        yield from _retry_after(delivery)
        yield from _cuts(delivery)
        yield from _drips(delivery)
        yield from _drifts(delivery)
        for number in range(12):
            yield served(f"{delivery}/several/{number}", delivery, _several(delivery, number))
    yield from _unreachable()


def _status(delivery: str, status: int, page: int, times: int, may: frozenset[str] | None = None) -> Variant:
    lasting = times < 0
    expected = may or (ONLY_REFUSE if lasting else ONLY_EXACT)
    return served(
        f"{delivery}/status_{status}/{'always' if lasting else times}", delivery,
        [("status", {"status": status, "page": page, "times": times})], expected, HASTY if lasting else PATIENT,
    )  # fmt: skip


def _retry_after(delivery: str) -> Iterator[Variant]:
    """What the server says of when to come again: soon, in the past, at no time, and after the deadline."""
    for status in (429, 503):
        for number, when in enumerate((0, "0", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", "", "-5", "1e9", "０")):
            yield served(f"{delivery}/retry_after_{status}/{number}", delivery,
                         [("status", {"status": status, "retry_after": when, "page": 1})])  # fmt: skip
        for number, when in enumerate((3600, "9" * 30, "Fri, 31 Dec 2199 23:59:59 GMT")):
            yield served(f"{delivery}/retry_after_{status}/late_{number}", delivery,
                         [("status", {"status": status, "retry_after": when, "page": 1})], ONLY_REFUSE)  # fmt: skip


def _cuts(delivery: str) -> Iterator[Variant]:
    last = pages_of(delivery)
    for kind in ("cut_length", "cut_clean"):
        for number, after in enumerate((0, 1, 2, 40, 80, 500, 1500, 2500)):
            fault = {"after": after, "page": 1 + number % last}
            yield served(f"{delivery}/{kind}/{after}", delivery, [(kind, fault | {"times": 1 + number % 2})])
        yield served(f"{delivery}/{kind}/always", delivery, [(kind, {"times": -1})], ONLY_REFUSE, HASTY)


def _drips(delivery: str) -> Iterator[Variant]:
    whole = len(_first_page(delivery))
    for rest in (1, 20):
        yield served(
            f"{delivery}/drip/{rest}", delivery, [("drip", {"after": whole - rest, "pause": 0.002, "page": 1})]
        )
    for after in (0, 300):
        # Never silent for long, never done: only the total deadline ends it.
        yield served(f"{delivery}/drip/never_done_{after}", delivery,
                     [("drip", {"after": after, "pause": 0.02, "times": -1})], ONLY_REFUSE, BRIEF)  # fmt: skip
        yield served(f"{delivery}/drip/silent_{after}", delivery,
                     [("drip", {"after": after, "pause": 0.6, "times": -1})], ONLY_REFUSE, BRIEF)  # fmt: skip


def _drifts(delivery: str) -> Iterator[Variant]:
    last = pages_of(delivery)
    for kind, shown_on in DRIFTS.items():
        for page in shown_on:
            if page > last or (kind == "skip_page" and page == last):
                continue
            for times in (1, 2):
                yield served(f"{delivery}/{kind}/{page}/{times}", delivery, [(kind, {"page": page, "times": times})])
            if page == 1 and kind == "total_changes" and last > 1:
                continue  # the pages after it tell the true total, and the first one is asked again
            yield served(f"{delivery}/{kind}/{page}/always", delivery, [(kind, {"page": page, "times": -1})],
                         ONLY_REFUSE, HASTY)  # fmt: skip


def _several(delivery: str, number: int) -> list[Fault]:
    """Three passing faults in one pull."""
    chance, last = m.rng("several", delivery, number), pages_of(delivery)
    kinds = ["status", "login_page", "cut_length", "cut_clean", "swap_pages", "total_changes"]
    if last > 1:
        kinds += ["rows_move", "repeat_page"]
    found: list[Fault] = []
    for kind in chance.sample(kinds, 3):
        first = 2 if kind in ("rows_move", "repeat_page") else 1
        found.append((kind, {"page": chance.randint(first, last), "status": chance.choice((429, 503, 500))}))
    return found


def _unreachable() -> Iterator[Variant]:
    """No server, another token, an address that is none of the API's."""
    for what, change in {
        "another_token": lambda uri: uri.replace(TOKEN, "another"),
        "no_token": lambda uri: uri.replace(f":{TOKEN}@", ""),
        "another_path": lambda uri: uri + "/elsewhere",
        "nobody_listens": lambda uri: uri.rpartition(":")[0] + ":9",
        "https_to_http": lambda uri: uri.replace("http://", "https://"),
    }.items():
        yield served(f"unreachable/{what}", "cases", [], ONLY_REFUSE, HASTY, address=change)


@cache
def _rows(delivery: str) -> tuple[m.Cells, ...]:
    dataset, count, _ = DELIVERIES[delivery]
    return m.generated(dataset)[:count]


def _first_page(delivery: str) -> bytes:
    """The body of the first page as the server writes it."""
    rows, size = _rows(delivery), int(PATIENT["page_size"])
    dataset, count, _ = DELIVERIES[delivery]
    return m.json_bytes(dataset, rows[:size], pages=pages_of(delivery), total=count)


def served(
    name: str,
    delivery: str,
    faults: Sequence[Fault],
    may: frozenset[str] = ONLY_EXACT,
    limits: dict[str, float] = PATIENT,
    *,
    says: str = "",
    address: Any = None,
    **more: float,
) -> Variant:
    """One pull from the API with these faults; after a refusal a second one from a server that is well."""
    dataset, _, form = DELIVERIES[delivery]

    def check(place: Workplace) -> Verdict:
        from simulator.servers.platform import PlatformServer

        rows = _rows(delivery)
        file, content = m.file_of(dataset, form, rows)
        place.put(dataset, {file: content})
        expect = Expect(m.wanted(dataset, rows), may, says=says, secrets=m.secrets(dataset) | {TOKEN})
        options = "&".join(f"{option}={value}" for option, value in {**limits, **more}.items())
        with PlatformServer(place.exports, TOKEN) as server:
            for kind, settings in faults:
                server.faults.add(kind, **settings)
            uri = address(server.uri) if address else server.uri
            started = time.monotonic()
            observed = place.deliver(dataset, uri=f"{uri}?{options}")
            took = time.monotonic() - started
            if took > limits["deadline"] + GRACE:
                observed.breaches.append(f"took {took:.1f} s with a deadline of {limits['deadline']} s")
            if faults and not server.faults.committed:
                observed.breaches.append("the server committed no fault")
            verdict = judge(expect, observed)
            if verdict.outcome != REFUSE:
                return verdict
            server.faults.pending.clear()
            well = "&".join(f"{option}={value}" for option, value in PATIENT.items())
            again = judge(Expect(expect.rows, ONLY_EXACT), place.deliver(dataset, uri=f"{server.uri}?{well}"))
        return verdict if again.outcome == EXACT else Verdict(WRONG, f"the re-run did not mend it: {again.why}")

    return Variant(name, check)
