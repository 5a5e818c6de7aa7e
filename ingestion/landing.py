"""From a source into the raw zone: bytes under their sha256, a ledger row for every attempt, good or failed."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ingestion.contracts import SYSTEMS
from ingestion.durable import locked, naming_storage_faults, put, sha256_of, storage_reason, sync
from ingestion.errors import BadParameter, DeliveryRefused, TongbaoError
from ingestion.home import Home
from ingestion.ledger import Attempt, Ledger, NewAttempt, checked, now
from ingestion.personal_numbers import excerpt
from ingestion.profile import county
from ingestion.transports import Fetched, Source

#: Told what is being done, how much of it is done and of how much (None: unknown).
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Delivery:
    """One pulled delivery: its files' attempts, in the order of their names."""

    system: str
    dataset: str
    month: str
    pulled_at: dt.datetime
    attempts: tuple[Attempt, ...]

    @property
    def attempt_ids(self) -> tuple[int, ...]:
        return tuple(attempt.attempt_id for attempt in self.attempts)

    @property
    def unchanged(self) -> bool:
        """Has every file been accepted before, byte for byte?"""
        return all(attempt.outcome == "unchanged" for attempt in self.attempts)


def raw_zone(home: Home) -> Path:
    """The raw zone's object folder, made with mode 0700: it holds personal data in clear."""
    for folder in (home.raw, home.objects):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    return home.objects


@naming_storage_faults("pull")
def pull(
    home: Home, source: Source, system: str, dataset: str, month: str, *, progress: Progress | None = None
) -> Delivery:
    """Lands everything the source has for the dataset's month and records it; raises what the transport raises.

    A failed pull leaves a ledger row with its reason and nothing else. Nothing is loaded here: see ``load``.
    """
    dataset, month = checked(dataset, str(month))
    if dataset not in SYSTEMS.get(system, ()):
        raise BadParameter(f"{dataset} is not delivered by {excerpt(system)}")
    raw_zone(home)
    incoming = home.raw / "incoming" / dataset
    with locked(incoming, f"pull of {dataset}"):
        # What a killed pull has left: nobody else is here now.
        empty(incoming)
        pulled_at = now()
        ledger = Ledger(home)
        try:
            into = Path(tempfile.mkdtemp(dir=incoming))
            if progress:
                progress(f"{dataset} {month}", 0, None)
            profile = county()
            fetched = source.fetch(profile.delivered_as(dataset) if profile else dataset, month, into)
            files = []
            for done, each in enumerate(fetched, 1):
                files.append(_land(home, ledger, each))
                if progress:
                    progress(f"{dataset} {month}", done, len(fetched))
        except TongbaoError as error:
            ledger.record_failure(
                system, dataset, month, pulled_at, str(error), refused=isinstance(error, DeliveryRefused)
            )
            raise
        except Exception as error:
            # Of an error that is not ours only the kind is kept: its text may hold what a file holds.
            reason = storage_reason(error) or f"unexpected {type(error).__name__}"
            with contextlib.suppress(sqlite3.Error, OSError):  # on a full disk the ledger takes no row either
                ledger.record_failure(system, dataset, month, pulled_at, reason)
            raise
        finally:
            empty(incoming)
        sync(home.objects)
        attempts = ledger.record_pull(system, dataset, month, pulled_at, files)
    return Delivery(system, dataset, month, pulled_at, tuple(attempts))


def object_path(home: Home, sha256: str) -> Path:
    """Where the bytes with this hash lie."""
    return home.objects / sha256


def _land(home: Home, ledger: Ledger, fetched: Fetched) -> NewAttempt:
    sha256 = sha256_of(fetched.path)
    size = fetched.path.stat().st_size
    fetched.path.chmod(0o600)
    if ledger.kept_as(sha256) == sha256:
        # Also over an object that is there already: it may have been damaged since.
        put(fetched.path, object_path(home, sha256))
    # Else somebody has been erased from these bytes: what is kept in their place goes on standing for them.
    manifest = fetched.manifest
    return NewAttempt(
        file=fetched.name,
        sha256=sha256,
        bytes=size,
        has_manifest=fetched.has_manifest or manifest is not None,
        in_manifest=manifest is not None,
        manifest_rows=manifest["rows"] if manifest else None,
        manifest_sha256=manifest["sha256"] if manifest else None,
    )


def empty(folder: Path) -> None:
    """Takes away what a killed pull has left; to be called with the folder locked."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            Path(entry.path).unlink()
