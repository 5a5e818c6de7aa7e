"""A person out of the bytes of one landed file, whatever its format; what cannot be changed can still be searched."""

from __future__ import annotations

import gzip
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ingestion.erasure.person import Person, Replace
from ingestion.erasure.texts import csv_without, json_without
from ingestion.erasure.workbooks import workbook_without
from ingestion.errors import DeliveryRefused
from ingestion.readers.container import open_member
from ingestion.readers.encodings import detect


@dataclass(frozen=True)
class Found:
    """What a landed file holds of the person: rows, and its bytes without them.

    ``content`` None: the file names the person, or might (``searched`` False), and cannot be changed.
    """

    rows: int
    content: bytes | None
    searched: bool = True


def without(path: Path, name: str | None, person: Person, surrogate: Replace) -> Found | None:
    """What the file delivered under this name (None: unknown) holds of the person; None where it holds nothing."""
    if name is None:
        return _searched(path, person)
    try:
        found = _changed(path, name, person, surrogate)
    except (DeliveryRefused, ValueError, KeyError, IndexError, OSError, zipfile.BadZipFile, NotImplementedError):
        # Not readable as what it calls itself: it was refused, or its name is not one the readers know.
        return _searched(path, person)
    return found if found.rows else None


def _changed(path: Path, name: str, person: Person, surrogate: Replace) -> Found:
    member = open_member(path, name)
    with member.file as file:
        if member.format == "xlsx":
            content, rows = workbook_without(file.read(), person, surrogate)
        else:
            encoding, skip = detect(file, name)
            file.seek(0)
            whole = file.read()
            change = json_without if member.format == "json" else csv_without
            text, rows = change(whole[skip:].decode(encoding), person, surrogate)
            content = whole[:skip] + text.encode(encoding) if rows else whole
    return Found(rows, _packed(path, name, content) if rows else None)


def _packed(path: Path, name: str, content: bytes) -> bytes:
    """The content in the container in which it was delivered."""
    ending = PurePosixPath(name).suffix.lower()
    if ending == ".gz":
        return gzip.compress(content, mtime=0)
    if ending != ".zip":
        return content
    packed = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        (info,) = [
            each for each in archive.infolist() if not each.is_dir() and not each.filename.startswith("__MACOSX")
        ]
        made.writestr(zipfile.ZipInfo(info.filename, info.date_time), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _searched(path: Path, person: Person) -> Found | None:
    """Whether the bytes name the person in any encoding; packed or encrypted bytes cannot be searched."""
    content = path.read_bytes()
    if content.startswith((b"PK", b"\x1f\x8b", b"\xd0\xcf\x11\xe0", b"7z\xbc\xaf", b"Rar!")):
        return Found(0, None, searched=False)
    for encoding in ("utf-8", "gb18030", "utf-16-le", "utf-16-be"):
        text = content.decode(encoding, "ignore")
        if person.numbered_in(text) or (person.name_alone and person.named_in(text)):
            return Found(1, None)
    return None
