"""What makes a change on disk all or nothing: fsync, the swap of a link, locks that die with their process."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path

from ingestion.errors import Transient

#: Seconds a second publisher waits for the first before it says so.
LOCK_TIMEOUT = 600.0


class PublisherBusy(Transient):
    """Another process holds the folder; it will be free by itself."""


def fsync_path(path: Path) -> None:
    """Brings a file's bytes, or a folder's entries, to the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def files_under(root: Path) -> Iterator[tuple[str, Path]]:
    """Every file under ``root``, with its name there (``tables/2022-07/overall.csv``), the inner ones first."""
    for folder, _, files in os.walk(root, topdown=False):
        above = Path(folder).relative_to(root)
        for name in files:
            yield (above / name).as_posix(), Path(folder, name)


def fsync_tree(root: Path, but: Container[str] = ()) -> None:
    """Brings every file under ``root`` to the disk, then the folders, the inner ones first.

    ``but`` names files (see ``files_under``) that are on disk already, such as links to files that were.
    """
    for name, path in files_under(root):
        if name not in but:
            fsync_path(path)
    for folder, _, _ in os.walk(root, topdown=False):
        fsync_path(Path(folder))


def write_text(path: Path, text: str) -> None:
    """Writes a small file whole or not at all: temporary name, fsync, rename, fsync of the folder."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    fsync_path(temporary)
    temporary.replace(path)
    fsync_path(path.parent)


def link_or_copy(source: str | Path, target: str | Path) -> bool:
    """For files that are never written again: a hard link (True) where the file system allows it, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        return False
    return True


def swap_link(link: Path, target: str) -> None:
    """Points ``link`` at ``target`` (relative to the link's folder) in one step: a reader sees the old or the new."""
    temporary = link.with_name(f".{link.name}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)
    fsync_path(link.parent)


@contextmanager
def exclusive(folder: Path, what: str, timeout: float = LOCK_TIMEOUT) -> Iterator[None]:
    """One process at a time in ``folder``; waits up to ``timeout`` seconds, then raises PublisherBusy.

    The lock is on the folder itself: it leaves no file behind and ends with the process that holds it, however it ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fd = os.open(folder, os.O_RDONLY)
    deadline = time.monotonic() + timeout
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise PublisherBusy(f"another process is busy with {what}; try again when it is done") from None
                time.sleep(0.1)
        yield
    finally:
        os.close(fd)
