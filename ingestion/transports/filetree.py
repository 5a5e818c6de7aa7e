"""Deliveries that lie as files: a folder, an SFTP drop, an object store.

Layout: ``<root>/<system>/<dataset>/<YYYY-MM>/<any name>``; the root may also be the system's own folder. Names are
data: a fetched file lies here under a number, whatever it was called. ``manifest.json`` is read and passed on.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import secrets
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from fsspec import AbstractFileSystem

from ingestion.contracts import contract_of
from ingestion.errors import (
    BadParameter,
    DeliveryMissing,
    DeliveryRefused,
    SourceInconsistent,
    SourceUnavailable,
    Transient,
)
from ingestion.period import Month
from ingestion.personal_numbers import masked
from ingestion.transports.base import Deadline, Fetched, ManifestEntry, bounded, retrying
from ingestion.transports.filesystems import close_filesystem, open_filesystem, translate
from ingestion.transports.uri import SourceUri

T = TypeVar("T")

MANIFEST = "manifest.json"
#: A manifest is a list of names; more than this is something else.
MAX_MANIFEST_BYTES = 16 * 1024 * 1024
CHUNK = 1024 * 1024

#: Seconds for which a file must have been left alone, by transport. Objects appear whole or not at all.
MIN_AGE = {"file": 2.0, "sftp": 5.0, "s3": 0.0}

#: Left behind by desktops and editors; never a delivery.
_LITTER = re.compile(r"\.(?!\.?$).*|~\$.*|Thumbs\.db|desktop\.ini", re.IGNORECASE)
#: Names under which clients upload before they rename.
_UPLOADING = re.compile(r".*\.(part|partial|filepart|tmp|temp|uploading|crdownload|swp)", re.IGNORECASE)


@dataclass(frozen=True, order=True)
class Entry:
    """A file as listed: what must not change between two looks."""

    name: str
    path: str
    size: int
    mtime: float


class TreeSource:
    """A source whose deliveries are files in folders; see ingestion.transports.base.Source."""

    def __init__(self, uri: SourceUri) -> None:
        self._uri = uri
        self._limits = uri.limits
        self._min_age = MIN_AGE[uri.scheme] if uri.limits.min_age is None else uri.limits.min_age
        self._open: tuple[AbstractFileSystem, str] | None = None

    def describe(self) -> str:
        return str(self._uri)

    def close(self) -> None:
        opened, self._open = self._open, None
        if opened:
            close_filesystem(opened[0], self._uri)

    def months(self, dataset: str) -> list[str]:
        def look(deadline: Deadline) -> list[str]:
            folder = self._dataset_folder(dataset)
            months = [entry["name"].rpartition("/")[2] for entry in self._ls(folder) or []]
            return sorted(m for m in months if _is_month(m) and self._files(f"{folder}/{m}", self.describe()))

        return self._retried(look, f"{self.describe()}: months of {dataset}")

    def fetch(self, dataset: str, month: str, into: Path) -> list[Fetched]:
        code = str(Month.parse(month))
        where = f"{self.describe()} {dataset} {code}"
        mark = secrets.token_hex(4)  # the folder may hold what another fetch brought
        done: dict[str, tuple[Entry, Path]] = {}  # what earlier attempts brought, whole or in part

        def attempt(deadline: Deadline) -> list[Fetched]:
            folder = f"{self._dataset_folder(dataset)}/{code}"
            entries = self._settled(folder, where, deadline)
            manifest = self._manifest(entries, where)
            files = [entry for entry in entries if entry.name != MANIFEST]
            if manifest is not None:
                _check_complete(manifest, files, where)
            elif not files:
                raise DeliveryMissing(f"{where}: no file; a month with nothing is a file with a header only")
            for number, entry in enumerate(files, start=1):
                kept = done.get(entry.path)
                target = kept[1] if kept else into / f"{mark}-{len(done) + 1:05d}.fetched"
                if kept and kept[0] != entry:
                    target.unlink(missing_ok=True)
                done[entry.path] = (entry, target)
                self._download(entry, target, f"{where}: file {number} of {len(files)} ({show(entry.name)})", deadline)
            if self._files(folder, where) != entries:
                raise SourceInconsistent(f"{where}: the folder changed while it was being read (still being written?)")
            return [
                Fetched(
                    name=entry.name,
                    path=done[entry.path][1],
                    manifest=_entry_for(manifest, entry.name),
                    has_manifest=manifest is not None,
                    size=entry.size,
                )
                for entry in files
            ]

        return self._retried(attempt, where)

    def _retried(self, work: Callable[[Deadline], T], what: str) -> T:
        """Run work until it succeeds, fails for good, or the attempts or the deadline are over."""
        deadline = Deadline(self._limits.deadline)

        def once() -> T:
            try:
                return bounded(lambda: work(deadline), deadline, what, self.close)
            except Transient:
                self.close()  # the next attempt starts with a fresh connection
                raise

        return retrying(self._limits, deadline)(once)

    def _fs(self) -> tuple[AbstractFileSystem, str]:
        if self._open is None:
            try:
                self._open = open_filesystem(self._uri)
            except Exception as error:
                raise translate(error, self.describe()) from None
        return self._open

    def _ls(self, path: str) -> list[dict[str, Any]] | None:
        """What lies in a folder; None where there is no such folder."""
        fs, _ = self._fs()
        try:
            entries = [_follow(fs, entry) for entry in fs.ls(path, detail=True) if entry["name"].rstrip("/") != path]
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:
            raise translate(error, self.describe()) from None
        return entries

    def _dataset_folder(self, dataset: str) -> str:
        system = contract_of(dataset).system
        _, root = self._fs()
        top = self._ls(root)
        if top is None:
            # An unmounted share looks like this; it must not look like a month without deliveries.
            raise SourceUnavailable(f"{self.describe()}: the root folder is not there")
        names = {entry["name"].rstrip("/").rpartition("/")[2] for entry in top if entry["type"] == "directory"}
        base = root.rstrip("/")
        return f"{base}/{system}/{dataset}" if system in names else f"{base}/{dataset}"

    def _files(self, folder: str, where: str) -> list[Entry]:
        """The delivered files of a month's folder, by name; desktop litter left out."""
        files = []
        for entry in self._ls(folder) or []:
            name = entry["name"][len(folder) + 1 :]
            if _LITTER.fullmatch(name):
                continue
            if entry["type"] != "file":
                raise DeliveryRefused(f"{where}: {show(name)} is not a file; files lie directly in the month's folder")
            if _UPLOADING.fullmatch(name):
                raise SourceInconsistent(f"{where}: {show(name)} looks like an upload that has not ended")
            files.append(Entry(_as_text(name), entry["name"], int(entry["size"] or 0), _seconds(entry.get("mtime"))))
        return sorted(files)

    def _settled(self, folder: str, where: str, deadline: Deadline) -> list[Entry]:
        """The files, once none of them has changed for a while."""
        entries = self._files(folder, where)
        if not entries:
            raise DeliveryMissing(f"{where}: nothing delivered; a month with nothing is a file with a header only")
        grain = 1.0 if self._uri.scheme == "sftp" else 0.0  # SFTP tells whole seconds, rounded down
        age = time.time() - max(entry.mtime for entry in entries) - grain
        if self._min_age > 0 and age < self._min_age:
            # Clocks differ: never wait longer than the age asked for, and let the second look decide.
            time.sleep(max(0.0, min(self._min_age, self._min_age - age, deadline.remaining())))
            if self._files(folder, where) != entries:
                raise SourceInconsistent(f"{where}: a file is still growing")
        return entries

    def _download(self, entry: Entry, target: Path, what: str, deadline: Deadline) -> None:
        """Bring a file whole; go on where an earlier attempt was cut."""
        with target.open("ab") as out:
            have = out.tell()
            if have < entry.size:
                with self._opened(entry, what, have) as remote:
                    while have < entry.size:
                        deadline.check(what)
                        try:
                            chunk = remote.read(min(CHUNK, entry.size - have))
                        except Exception as error:
                            raise translate(error, what) from None
                        if not chunk:
                            break
                        out.write(chunk)
                        have += len(chunk)
        if have != entry.size:
            raise SourceInconsistent(f"{what}: {have} of {entry.size} bytes came")

    def _opened(self, entry: Entry, what: str, offset: int) -> IO[bytes]:
        fs, _ = self._fs()
        try:
            remote: IO[bytes] = fs.open(entry.path, "rb")
            if offset:
                remote.seek(offset)
            if hasattr(remote, "prefetch"):  # SFTP: without it every 32 KiB cost a round trip
                remote.prefetch(entry.size, max_concurrent_requests=64)
        except Exception as error:
            raise translate(error, what) from None
        return remote

    def _manifest(self, entries: list[Entry], where: str) -> dict[str, ManifestEntry] | None:
        entry = next((entry for entry in entries if entry.name == MANIFEST), None)
        if entry is None:
            return None
        if entry.size > MAX_MANIFEST_BYTES:
            raise DeliveryRefused(f"{where}: manifest.json has {entry.size} bytes")
        with self._opened(entry, f"{where}: manifest.json", 0) as remote:
            try:
                content = remote.read(entry.size)
            except Exception as error:
                raise translate(error, f"{where}: manifest.json") from None
        if len(content) != entry.size:
            raise SourceInconsistent(f"{where}: manifest.json: {len(content)} of {entry.size} bytes came")
        return parse_manifest(content, where)


def parse_manifest(content: bytes, where: str) -> dict[str, ManifestEntry]:
    """The manifest's entries by file name; raises DeliveryRefused where it is none."""
    try:
        files = json.loads(content.decode("utf-8-sig"))["files"]
        entries: list[ManifestEntry] = [
            {"name": str(file["name"]), "rows": _whole(file.get("rows")), "sha256": _hash(file.get("sha256"))}
            for file in files
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DeliveryRefused(f'{where}: manifest.json is not {{"files": [{{"name", "rows", "sha256"}}]}}') from None
    manifest = {entry["name"]: entry for entry in entries}
    if len(manifest) != len(entries):
        raise DeliveryRefused(f"{where}: manifest.json names a file twice")
    return manifest


def _whole(value: Any) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise ValueError


def _hash(value: Any) -> str | None:
    if value is None:
        return None
    text = str(value).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError
    return text


def _entry_for(manifest: dict[str, ManifestEntry] | None, name: str) -> ManifestEntry | None:
    """The manifest's entry for a file; a name may be composed (NFC) here and decomposed (NFD, macOS) there."""
    if manifest is None:
        return None
    if name in manifest:
        return manifest[name]
    same = unicodedata.normalize("NFC", name)
    return next((entry for other, entry in manifest.items() if unicodedata.normalize("NFC", other) == same), None)


def _check_complete(manifest: dict[str, ManifestEntry], files: list[Entry], where: str) -> None:
    there = {unicodedata.normalize("NFC", entry.name) for entry in files}
    missing = [name for name in manifest if unicodedata.normalize("NFC", name) not in there]
    if missing:
        raise DeliveryRefused(
            f"{where}: manifest.json names {len(manifest)} files, {len(manifest) - len(missing)} of them are there; "
            f"missing: {', '.join(show(name) for name in missing[:5])}"
        )
    if not files:
        raise DeliveryMissing(f"{where}: a manifest and no file")


def _follow(fs: AbstractFileSystem, entry: dict[str, Any]) -> dict[str, Any]:
    """The entry itself, or for a link what it leads to; a link that leads nowhere stays what it is."""
    if entry["type"] in ("file", "directory"):
        return entry
    try:
        return {**fs.info(entry["name"]), "name": entry["name"]}
    except FileNotFoundError:
        return entry


def _seconds(mtime: Any) -> float:
    if isinstance(mtime, dt.datetime):
        return mtime.timestamp()
    return float(mtime or 0)


def _as_text(name: str) -> str:
    """A name that can be stored as text: bytes that are no UTF-8 (a Chinese Windows wrote GB18030) are decoded."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raw = name.encode("utf-8", "surrogateescape")
        try:
            return raw.decode("gb18030")
        except UnicodeDecodeError:
            return raw.decode("utf-8", "backslashreplace")
    return name


def show(name: str) -> str:
    """A delivered name for a message: without phones and ids, quoted, escaped, shortened in the middle."""
    name = masked(name)
    return repr(name if len(name) <= 80 else f"{name[:50]}…{name[-25:]}")


def _is_month(name: str) -> bool:
    try:
        Month.parse(name)
    except BadParameter:
        return False
    return True
