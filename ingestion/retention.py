"""Retention of the raw zone (保存期限): landed files whose time is over are removed, except what a rebuild needs.

Every accepted file is needed: the warehouse is rebuilt from all of them. By default only what never became part of a
dataset (refused, never loaded, superseded before it was loaded) goes, after ``TONGBAO_REFUSED_KEPT_DAYS`` (90). What
was accepted goes after ``TONGBAO_RAW_KEPT_DAYS`` (1096, three years) and only when told to (``needed_too``): its staged
rows, which hold no personal data in clear, stay, but can then not be made again.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
from contextlib import ExitStack
from dataclasses import dataclass

from ingestion.contracts import CONTRACTS
from ingestion.durable import locked, naming_storage_faults, sync
from ingestion.errors import BadParameter
from ingestion.home import Home
from ingestion.landing import object_path
from ingestion.ledger import BEIJING, Attempt, Ledger, now, staged_path


@dataclass(frozen=True)
class Expired:
    """Landed bytes whose time is over: ``dataset month file`` of their deliveries, when last delivered (Beijing)."""

    sha256: str
    deliveries: tuple[str, ...]
    delivered_at: dt.datetime
    bytes: int
    #: Is it needed to rebuild the warehouse from raw?
    needed: bool


def kept_days() -> tuple[int, int]:
    """Days that accepted files are kept, and files that never became part of a dataset; raises BadParameter."""
    return _days("TONGBAO_RAW_KEPT_DAYS", 1096), _days("TONGBAO_REFUSED_KEPT_DAYS", 90)


def _days(name: str, default: int) -> int:
    text = os.environ.get(name, "").strip() or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 36_525):
        raise BadParameter(f"{name} must be a whole number of days, at least 1")
    return int(text)


def expired(home: Home, *, at: dt.datetime | None = None) -> list[Expired]:
    """What is older than its limit, the oldest first; ``at`` (Beijing) instead of now. Nothing is removed.

    Bytes that no delivery knows were left by a pull that was killed; they count from their time on disk.
    """
    accepted_days, other_days = kept_days()
    moment = at or now()
    ledger = Ledger(home)
    by_kept: dict[str, list[Attempt]] = {}
    for attempt in ledger.attempts():
        if attempt.sha256:
            by_kept.setdefault(ledger.kept_as(attempt.sha256), []).append(attempt)
    found = []
    for path in sorted(home.objects.glob("*")) if home.objects.is_dir() else []:
        attempts = by_kept.get(path.name, [])
        needed = any(attempt.outcome == "accepted" for attempt in attempts)
        # A file on which nothing was decided yet may still be loaded.
        latest = max((each.pulled_at for each in attempts), default=_on_disk(path.stat().st_mtime))
        if moment - latest > dt.timedelta(days=accepted_days if needed else other_days):
            shown = tuple(dict.fromkeys(f"{each.dataset} {each.month} {each.file}" for each in attempts))
            found.append(Expired(path.name, shown, latest, path.stat().st_size, needed))
    return sorted(found, key=lambda each: (each.delivered_at, each.sha256))


@naming_storage_faults("retention")
def remove_expired(home: Home, *, needed_too: bool = False, at: dt.datetime | None = None) -> list[Expired]:
    """Removes what is over its limit and returns it; what a rebuild needs only with ``needed_too``.

    The ledger says of each that retention took it. Raises BadParameter where staged rows of a needed file are gone:
    then the raw bytes are the only copy.
    """
    with ExitStack() as stack:
        for dataset in sorted(CONTRACTS):
            stack.enter_context(locked(home.raw / "incoming" / dataset, f"retention ({dataset})"))
            stack.enter_context(locked(home.staged / dataset, f"retention ({dataset})"))
        ledger = Ledger(home)
        doomed = [each for each in expired(home, at=at) if needed_too or not each.needed]
        for attempt in ledger.attempts():
            only_copy = not staged_path(home, attempt.dataset, attempt.month, attempt.attempt_id).is_file()
            kept = ledger.kept_as(attempt.sha256 or "")
            if attempt.outcome == "accepted" and only_copy and any(kept == each.sha256 for each in doomed):
                raise BadParameter(
                    f"{attempt.dataset} {attempt.month} {attempt.file}: the staged rows are gone, raw bytes are the "
                    "only copy; run python -m ingestion rebuild first"
                )
        record = f"retention-{now():%Y%m%d}-{secrets.token_hex(4)}"
        for each in doomed:
            if each.deliveries:
                ledger.record_replacement(each.sha256, None, "retention", record)
            object_path(home, each.sha256).unlink(missing_ok=True)
        if doomed:
            sync(home.objects)
    return doomed


def _on_disk(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, BEIJING).replace(tzinfo=None)
