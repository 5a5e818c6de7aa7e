"""What a server is to do wrong, and how often: handed to the servers by tests, or by a file to ``serve``."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: What the platform's API can do wrong with a page; ``expired_token`` and ``status`` come before any page.
HTTP_KINDS = (
    *("status", "drip", "cut_length", "cut_clean", "login_page", "gzip_bomb"),
    *("repeat_page", "skip_page", "swap_pages", "total_changes", "rows_move"),
)
#: What the hotline's drop can do wrong with a read.
SFTP_KINDS = ("sftp_cut", "sftp_short", "sftp_drip")
#: What the object store can do wrong with the read of an object.
S3_KINDS = ("s3_denied", "s3_status", "s3_cut", "s3_drip")
KINDS = frozenset({*HTTP_KINDS, *SFTP_KINDS, *S3_KINDS, "expired_token"})


@dataclass
class Fault:
    """One kind of failure for the next ``times`` requests it fits (-1: always).

    ``page`` and ``dataset`` narrow it down. ``status`` and ``retry_after`` (seconds, or any header text) belong to
    kind ``status``; ``after`` is the number of bytes before a cut or a drip; ``pause`` the seconds between drips.
    """

    kind: str
    times: int = 1
    page: int | None = None
    dataset: str | None = None
    status: int = 503
    retry_after: float | str | None = None
    after: int = 200
    pause: float = 0.05

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; known: {', '.join(sorted(KINDS))}")


@dataclass
class Faults:
    """The faults a server still has to commit, and the log of those it did. Safe between threads."""

    pending: list[Fault] = field(default_factory=list)
    committed: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def read(cls, path: Path) -> Faults:
        """Faults from a JSON list of objects with the fields of Fault."""
        return cls([Fault(**item) for item in json.loads(path.read_text("utf-8"))])

    def add(self, kind: str, **settings: Any) -> None:
        with self._lock:
            self.pending.append(Fault(kind, **settings))

    def take(
        self, *kinds: str, page: int | None = None, dataset: str | None = None, end: int | None = None
    ) -> Fault | None:
        """The next fault of these kinds that fits the request; it counts as committed.

        ``end`` is where a read of a file ends: a fault of the drop waits until its ``after`` is passed.
        """
        with self._lock:
            for fault in self.pending:
                fits = fault.kind in kinds and fault.page in (None, page) and fault.dataset in (None, dataset)
                if fits and fault.times and (end is None or end > fault.after):
                    fault.times -= 1
                    self.committed.append(fault.kind)
                    return fault
        return None
