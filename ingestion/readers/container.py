"""Which format a delivered file is in, and the one member of a .zip or .gz, unpacked within limits."""

from __future__ import annotations

import gzip
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ingestion.errors import DeliveryRefused

FORMATS = {".csv": "csv", ".txt": "csv", ".tsv": "csv", ".xlsx": "xlsx", ".json": "json"}

#: An archive may unpack to so many bytes, and to so many times its own size once it is past the free part.
UNPACKED_MOST = 4 << 30
UNPACKED_RATIO = 200
UNPACKED_FREE = 64 << 20

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@dataclass(frozen=True)
class Member:
    """The bytes of a table, ready to read, and the format they are in (csv, xlsx, json)."""

    file: BinaryIO
    format: str


def open_member(path: Path, name: str) -> Member:
    """The table inside a delivered file; raises DeliveryRefused when it is of no known format or unpacks too large.

    What is unpacked lies in a file without a name: it is gone when it is closed, also by a kill.
    """
    ending = PurePosixPath(name).suffix.lower()
    if ending == ".gz":
        inner = name[: -len(".gz")]
        with path.open("rb") as packed:
            file = _unpack_gzip(packed, path.stat().st_size, name)
        if not PurePosixPath(inner).suffix[1:].isalpha():
            inner += _ending_of(file)
    elif ending == ".zip":
        file, inner = _unpack_zip(path, name)
    else:
        file, inner = path.open("rb"), name
    try:
        return Member(file, _format(file, inner, name))
    except BaseException:
        file.close()
        raise


def _ending_of(file: BinaryIO) -> str:
    """What a table packed under a name that does not say it (``2022-07.gz``) starts like."""
    head = file.read(512).removeprefix(b"\xef\xbb\xbf").lstrip()
    file.seek(0)
    return ".xlsx" if head.startswith(b"PK\x03\x04") else ".json" if head.startswith(b"{") else ".csv"


def _format(file: BinaryIO, inner: str, name: str) -> str:
    """The format by the ending, when the first bytes agree."""
    ending = PurePosixPath(inner).suffix.lower()
    head = file.read(512)
    file.seek(0)
    start = head.lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n").lower()
    if head.startswith(_OLE):
        raise DeliveryRefused(f"{name}: an encrypted or old (.xls) workbook; save it as .xlsx without a password")
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<table", b"<head", b"<meta")):
        raise DeliveryRefused(f"{name}: a web page or XML, not a table; export it as .csv, .xlsx or .json")
    if ending not in FORMATS:
        raise DeliveryRefused(
            f"{name}: unknown ending {ending[:10]!r}; deliver .csv, .xlsx, .json, or .zip or .gz of one of them"
        )
    kind = FORMATS[ending]
    zipped = head.startswith(b"PK\x03\x04")
    if kind == "xlsx" and not zipped:
        raise DeliveryRefused(f"{name}: not an XLSX workbook, whatever its name says; export it again")
    if kind != "xlsx" and (zipped or head.startswith(b"\x1f\x8b")):
        raise DeliveryRefused(f"{name}: packed content under the name of a {ending} file; name it by what it is")
    return kind


def _unpack_gzip(packed: BinaryIO, size: int, name: str) -> BinaryIO:
    try:
        with gzip.GzipFile(fileobj=packed) as stream:
            return _bounded_copy(stream, size, name)
    except (OSError, EOFError, zlib.error) as error:
        raise DeliveryRefused(f"{name}: a damaged or cut .gz ({type(error).__name__}); deliver it again") from None


def _unpack_zip(path: Path, name: str) -> tuple[BinaryIO, str]:
    """The only member of a .zip that is a file."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if not info.is_dir() and not _is_clutter(info.filename)]
            if len(members) != 1:
                raise DeliveryRefused(
                    f"{name}: {len(members)} files in the .zip where one is expected; deliver one table a file"
                )
            info = members[0]
            if info.flag_bits & 0x1:
                raise DeliveryRefused(f"{name}: the .zip is encrypted; deliver it without a password")
            with archive.open(info) as stream:
                return _bounded_copy(stream, path.stat().st_size, name), info.filename
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, NotImplementedError, RuntimeError, ValueError) as error:
        raise DeliveryRefused(f"{name}: a damaged or cut .zip ({type(error).__name__}); deliver it again") from None


def _is_clutter(member: str) -> bool:
    """What macOS puts beside the file."""
    return member.startswith("__MACOSX/") or PurePosixPath(member).name == ".DS_Store"


def _bounded_copy(stream: object, packed_size: int, name: str) -> BinaryIO:
    """Unpacked bytes in a nameless file; the limit is on what comes out, not on what the archive says of itself."""
    limit = min(UNPACKED_MOST, max(UNPACKED_FREE, UNPACKED_RATIO * packed_size))
    target: BinaryIO = tempfile.TemporaryFile()  # type: ignore[assignment]  # noqa: SIM115 - the reader closes it
    try:
        size = 0
        while block := stream.read(1 << 20):  # type: ignore[attr-defined]
            size += len(block)
            if size > limit:
                raise DeliveryRefused(f"{name}: unpacks to more than {limit >> 20} MB; deliver it in parts or unpacked")
            target.write(block)
        target.seek(0)
    except BaseException:
        target.close()
        raise
    return target
