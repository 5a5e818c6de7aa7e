"""What every transport shares: the Source interface, limits, the total deadline, retries with back-off.

A transport either brings the bytes as they were delivered or says why not, by an error whose type decides between
retry and stop (ingestion.errors). Messages name places, files and figures; never a password, a token or a row's value.
"""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypedDict, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, stop_before_delay
from tenacity.wait import wait_base, wait_random_exponential

from ingestion.errors import Permanent, SourceUnavailable, Transient

T = TypeVar("T")


class AccessRefused(Permanent):
    """The source does not accept our token, password, key, or shows a host key that is not the pinned one."""


class ManifestEntry(TypedDict):
    """What the delivering system says of one file: its data rows and the hash of its bytes (hex, lower case)."""

    name: str
    rows: int | None
    sha256: str | None


@dataclass(frozen=True)
class Fetched:
    """One delivered file on this machine.

    ``name`` is the name as delivered: data, never part of a path here. ``path`` lies in the folder given to
    ``fetch`` under a name of our own. With ``has_manifest`` and no ``manifest`` the delivery has a manifest that
    does not name this file: such a file is to be refused.
    """

    name: str
    path: Path
    manifest: ManifestEntry | None = None
    has_manifest: bool = False
    size: int = 0


class Source(Protocol):
    """One source system: what it has delivered, and the files of one dataset's month."""

    def describe(self) -> str:
        """Where the source is, for logs: no secrets."""

    def months(self, dataset: str) -> list[str] | None:
        """The delivered months (``YYYY-MM``), sorted; None where the source has no way to list them."""

    def fetch(self, dataset: str, month: str, into: Path) -> list[Fetched]:
        """Bring every file of the dataset's month into the (existing) folder, in the order of their names.

        Raises DeliveryMissing, DeliveryRefused, AccessRefused (stop), SourceUnavailable, SourceInconsistent (retry:
        the transport has already tried within its own deadline).
        """

    def close(self) -> None:
        """Let go of connections; the source can be used again."""


@dataclass(frozen=True)
class Limits:
    """How long and how often a source is tried. Set in the URI's query by these names.

    All times are seconds. ``deadline`` bounds one whole fetch, retries and waiting included: a server that drips
    ends there. ``timeout`` bounds one silence. ``min_age``: a file changed less than this ago may still be growing
    and is looked at a second time; None takes the transport's own default.
    """

    deadline: float = 1800.0
    timeout: float = 30.0
    attempts: int = 6
    backoff: float = 0.5
    backoff_max: float = 30.0
    min_age: float | None = None
    page_size: int = 5000
    max_page_bytes: int = 256 * 1024 * 1024


class Deadline:
    """A point in monotonic time by which a fetch is over."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        return self._end - time.monotonic()

    def check(self, what: str) -> None:
        """Raise SourceUnavailable when the time is over."""
        if self.remaining() <= 0:
            raise SourceUnavailable(f"{what}: not finished within the deadline of {self.seconds:g} s")


class RetryAfter(SourceUnavailable):
    """The source is there and says when to come again (429 or 503 with Retry-After)."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class _Wait(wait_base):
    """Back-off with full jitter; at least what the source asked for where it did."""

    def __init__(self, limits: Limits) -> None:
        self._backoff = wait_random_exponential(multiplier=limits.backoff, max=limits.backoff_max)

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        wait = self._backoff(retry_state)
        return error.seconds + min(wait, 1.0) if isinstance(error, RetryAfter) else wait


def retrying(limits: Limits, deadline: Deadline, on: type[Exception] = Transient) -> Retrying:
    """A retry policy that gives up at the attempts' end or where the next wait would pass the deadline."""
    return Retrying(
        retry=retry_if_exception_type(on),
        stop=stop_after_attempt(limits.attempts) | stop_before_delay(max(deadline.remaining(), 0.0)),
        wait=_Wait(limits),
        reraise=True,
    )


#: Seconds within which a new thread has begun, on however busy a machine.
_BEGIN_SECONDS = 30.0


def bounded(work: Callable[[], T], deadline: Deadline, what: str, stop: Callable[[], Any]) -> T:
    """The result of ``work``, or SourceUnavailable at the deadline, whatever the network does meanwhile.

    Per-read timeouts do not bound a server that sends a byte now and then, and not every client library can be
    interrupted. So the work runs in a thread of its own; at the deadline ``stop`` is called (it closes connections)
    and the thread, a daemon, is left to its end.
    """
    result: list[T] = []
    failure: list[BaseException] = []

    begun, done = threading.Event(), threading.Event()

    def run() -> None:
        begun.set()
        try:
            result.append(work())
        except BaseException as error:  # handed to the caller below
            failure.append(error)
        finally:
            done.set()

    # Thread.start would wait without end for a thread that has no memory to begin with.
    _thread.start_new_thread(run, ())
    if not begun.wait(_BEGIN_SECONDS):
        raise MemoryError(f"{what}: no thread began within {_BEGIN_SECONDS:g} s")
    if not done.wait(max(deadline.remaining(), 0.0)):
        stop()
        raise SourceUnavailable(f"{what}: not finished within the deadline of {deadline.seconds:g} s")
    if failure:
        raise failure[0]
    return result[0]
