"""Files that are whole or absent after a kill or a power cut, and locks that a dead process cannot leave behind."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingestion.errors import Transient

#: Seconds that a second load or pull of the same dataset waits for the first.
LOCK_WAIT_SECONDS = 1800.0


def sync(path: Path) -> None:
    """What was written to this file or folder is on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put(made: Path, target: Path) -> None:
    """Renames a finished file of the same file system to its name, durably; an earlier file of the name is replaced."""
    sync(made)
    made.replace(target)
    sync(target.parent)


@contextmanager
def locked(folder: Path, what: str, wait_seconds: float = LOCK_WAIT_SECONDS) -> Iterator[None]:
    """Holds the folder for this process; it is made where it is absent. Raises Transient when the wait is over."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        until = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise Transient(f"{what}: another run is still at it after {wait_seconds:g} s") from None
                time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)
