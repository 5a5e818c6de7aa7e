"""Files that are whole or absent after a kill or a power cut, and locks that a dead process cannot leave behind."""

from __future__ import annotations

import errno
import fcntl
import functools
import glob
import hashlib
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from ingestion.errors import StorageFailed, TongbaoError, Transient

P = ParamSpec("P")
R = TypeVar("R")

#: Seconds that a second load or pull of the same dataset waits for the first.
LOCK_WAIT_SECONDS = 1800.0

#: A file is read in pieces of this size at the most: large ones, since a thread waits for its turn after each.
_PIECE = 16 << 20


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        piece = memoryview(bytearray(min(os.fstat(file.fileno()).st_size, _PIECE) or 1))
        while count := file.readinto(piece):
            digest.update(piece[:count])
    return digest.hexdigest()


#: System errors that say that the place of the state or a limit of the process is at fault, and neither code nor data.
_STORAGE_ERRORS = {
    number: os.strerror(number)
    for number in (
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    )
}
_SQLITE_ERRORS = {
    sqlite3.SQLITE_FULL: os.strerror(errno.ENOSPC),
    sqlite3.SQLITE_IOERR: os.strerror(errno.EIO),
    sqlite3.SQLITE_READONLY: os.strerror(errno.EROFS),
    # SQLite gives no other word for a folder in which it can make or open no file.
    sqlite3.SQLITE_CANTOPEN: "no file can be made or opened "
    f"({os.strerror(errno.ENOSPC)}, {os.strerror(errno.EMFILE)}, or {os.strerror(errno.EACCES)})",
    sqlite3.SQLITE_NOMEM: os.strerror(errno.ENOMEM),
    sqlite3.SQLITE_PERM: os.strerror(errno.EACCES),
}
_IN_TEXT = re.compile("|".join(map(re.escape, _STORAGE_ERRORS.values())))


#: How engines, and the dynamic linker of a library that is first needed now, say that memory is short.
_NO_MEMORY = ("bad_alloc", "bad alloc", "Out of Memory Error", "failed to map segment from shared object")

#: The module that errors of libraries in Rust say they are of (polars, where it finds no thread to begin with).
_RUST = "pyo3_runtime"


def storage_reason_in(text: str) -> str | None:
    """The system's words for a fault of the place of the state, where the text holds them."""
    if found := _IN_TEXT.search(text):
        return found[0]
    return os.strerror(errno.ENOMEM) if any(word in text for word in _NO_MEMORY) else None


def storage_reason(error: BaseException) -> str | None:
    """Why the place of the state is at fault for this error, in the system's words; None where it is not.

    Engines tell it in their own ways: DuckDB and Arrow in their texts, SQLite by a code.
    """
    each: BaseException | None = error
    while each is not None:
        if isinstance(each, OSError) and each.errno in _STORAGE_ERRORS:
            return _STORAGE_ERRORS[each.errno]
        if isinstance(each, MemoryError):
            return os.strerror(errno.ENOMEM)
        if isinstance(each, sqlite3.Error):
            code = getattr(each, "sqlite_errorcode", None)
            if code is not None and code & 0xFF in _SQLITE_ERRORS:
                return _SQLITE_ERRORS[code & 0xFF]
        engine = type(each).__module__.partition(".")[0] in ("duckdb", "_duckdb", "pyarrow", _RUST)
        if engine or isinstance(each, (OSError, RuntimeError, ImportError)):
            if type(each).__name__ == "OutOfMemoryException":
                return os.strerror(errno.ENOMEM)
            if "can't start new thread" in str(each) or "Resource temporarily unavailable" in str(each):
                return "no more threads"
            if "fsync failed" in str(each):  # DuckDB gives no other word for it
                return os.strerror(errno.EIO)
            if found := storage_reason_in(str(each)):
                return found
        each = each.__cause__ or each.__context__
    return None


#: What to do about a fault of the place of the state.
REMEDY = "What was there before is untouched; give the home room, rights and limits, then run this again"


def naming_storage_faults(what: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """For the entry points of a task: an error of the place of the state becomes StorageFailed with its reason.

    Other errors pass as they are. The chain is cut: an engine's text can hold a cell.
    """

    def wrap(work: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(work)
        def guarded(*arguments: P.args, **named: P.kwargs) -> R:
            try:
                return work(*arguments, **named)
            except TongbaoError:
                raise
            except BaseException as error:
                # A panic of a library in Rust is no Exception; an interruption is none of this.
                told = isinstance(error, Exception) or type(error).__module__ == _RUST
                reason = storage_reason(error) if told else None
                if reason is None:
                    raise
            raise StorageFailed(f"{what}: {reason}. {REMEDY}")

        return guarded

    return wrap


def sync(path: Path) -> None:
    """What was written to this file or folder is on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_beside(path: Path) -> Path:
    """A name beside ``path`` for what will become it, of this process; what killed ones left of it is taken away."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        number = left.name.split(".")[-2]
        if number == str(os.getpid()) or not is_running(number):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def is_running(number: str) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError):
        return True
    return True


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
