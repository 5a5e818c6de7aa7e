"""Delivered files to raw cells: which files make a delivery, how each is unpacked and where its table stands.

Nothing is typed here. A file that cannot be trusted raises Refused with its reason; its month is then refused whole.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import python_calamine

from tests.reference_calc import cells
from tests.reference_calc.schema import SCHEMA, SYSTEMS

csv.field_size_limit(1 << 30)

#: How far down the header may stand: below a title line or two.
_HEADER_WITHIN = 5
Line = tuple[int, list[Any]]


class Refused(Exception):
    """The file, and with it its month of the dataset, is not taken in; the text is the reason."""


def months_delivered(exports: Path, dataset: str) -> list[str]:
    """The months for which the dataset has a folder with something in it, in order."""
    system = next(name for name, datasets in SYSTEMS.items() if dataset in datasets)
    folder = exports / system / dataset
    if not folder.is_dir():
        return []
    return sorted(month.name for month in folder.iterdir() if month.is_dir() and delivered_files(month))


def delivered_files(folder: Path) -> list[Path]:
    """The data files of one delivery by name; the manifest and hidden files are none."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.name != "manifest.json" and not path.name.startswith(".")
    )


def read_table(path: Path, dataset: str) -> pd.DataFrame:
    """The rows of one file as raw cells under the contract's headers, with ``_row`` (physical) and ``_width_ok``.

    Unknown columns are left out, missing optional ones are None. Raises Refused.
    """
    name, data = _unpack(path)
    suffix = Path(name).suffix.lower()
    try:
        if suffix == ".json":
            return _from_json(data, dataset)
        lines = _xlsx_lines(data) if suffix == ".xlsx" else _csv_lines(data, dataset)
    except Refused:
        raise
    except Exception as error:  # whatever a reader raises, the bytes were not readable
        raise Refused(f"unreadable bytes: {type(error).__name__}") from error
    return _table(lines, dataset)


def check_manifest(folder: Path, rows: dict[str, int]) -> None:
    """Compare the delivery with its manifest, where there is one. ``rows`` is the rows read by file name."""
    manifest = folder / "manifest.json"
    if not manifest.exists():
        return
    entries = {entry["name"]: entry for entry in json.loads(manifest.read_bytes())["files"]}
    if set(entries) != set(rows):
        raise Refused(f"manifest mismatch: files {sorted(set(entries) ^ set(rows))}")
    for name, count in rows.items():
        if int(entries[name]["rows"]) != count:
            raise Refused(f"manifest mismatch: {name} has {count} rows, the manifest says {entries[name]['rows']}")
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        if entries[name]["sha256"].lower() != digest:
            raise Refused(f"manifest mismatch: {name} has sha256 {digest}, the manifest says {entries[name]['sha256']}")


def _unpack(path: Path) -> tuple[str, bytes]:
    data = path.read_bytes()
    try:
        if path.suffix.lower() == ".gz":
            return path.stem, gzip.decompress(data)
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = [info for info in archive.infolist() if not info.is_dir()]
                if len(members) != 1:
                    raise Refused(f"a zip must hold one file, this one holds {len(members)}")
                return members[0].filename, archive.read(members[0])
    except (OSError, EOFError, zipfile.BadZipFile, RuntimeError) as error:
        raise Refused(f"unreadable bytes: {type(error).__name__}") from error
    return path.name, data


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("gb18030")


def _header_cell(raw: Any) -> str:
    return unicodedata.normalize("NFKC", "" if raw is None else str(raw)).strip()


def _csv_lines(data: bytes, dataset: str) -> Iterator[Line]:
    content = _decode(data)
    known = {column.header for column in SCHEMA[dataset]}
    best, best_hits = ",", -1
    for delimiter in ",\t;":
        first = [row for _, row in zip(range(_HEADER_WITHIN), _records(content, delimiter), strict=False)]
        hits = max((len(known & set(map(_header_cell, row))) for _, row in first), default=0)
        if hits > best_hits:
            best, best_hits = delimiter, hits
    return _records(content, best)


def _records(content: str, delimiter: str) -> Iterator[Line]:
    """(first physical line of the record, cells)."""
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter)
    start = 1
    for row in reader:
        yield start, list(row)
        start = reader.line_num + 1


def _xlsx_lines(data: bytes) -> Iterator[Line]:
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
    visible = [
        sheet.name
        for sheet in book.sheets_metadata
        if sheet.visible == python_calamine.SheetVisibleEnum.Visible
        and sheet.typ == python_calamine.SheetTypeEnum.WorkSheet
    ]
    if not visible:
        raise Refused("no visible sheet")
    return iter(list(enumerate(book.get_sheet_by_name(visible[0]).to_python(skip_empty_area=False), start=1)))


def _from_json(data: bytes, dataset: str) -> pd.DataFrame:
    try:
        page = json.loads(data.decode("utf-8-sig"))
        rows = page["rows"]
    except (UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"unreadable bytes: {type(error).__name__}") from error
    headers = [column.header for column in SCHEMA[dataset]]
    narrow = [{_header_cell(name): value for name, value in row.items()} for row in rows]
    present = {name for row in narrow for name in row}
    if narrow:
        _require(present, dataset)
    table = pd.DataFrame({h: pd.Series([row.get(h) for row in narrow], dtype=object) for h in headers})
    table["_row"] = range(1, len(narrow) + 1)
    table["_width_ok"] = True
    return table


def _require(present: set[str], dataset: str) -> None:
    missing = [column.header for column in SCHEMA[dataset] if not column.optional and column.header not in present]
    if missing:
        raise Refused(f"missing required header: {'、'.join(missing)}")


def _is_blank(row: list[Any]) -> bool:
    return all(cells.text(cell) == "" for cell in row)


def _is_total(row: list[Any]) -> bool:
    first = next((cells.text(cell) for cell in row if cells.text(cell)), "")
    return first.startswith("合计")


def _table(lines: Iterator[Line], dataset: str) -> pd.DataFrame:
    """Find the header, drop blank lines and the 合计 line, and put the cells under the contract's headers."""
    known = {column.header for column in SCHEMA[dataset]}
    body = [(number, row) for number, row in lines if not _is_blank(row)]
    candidates = [len(known & set(map(_header_cell, row))) for _, row in body[:_HEADER_WITHIN]]
    if not candidates or max(candidates) == 0:
        raise Refused("missing required header: no header line found")
    top = candidates.index(max(candidates))
    header = [_header_cell(cell) for cell in body[top][1]]
    while header and header[-1] == "":
        header.pop()
    named = [name for name in header if name in known]
    if len(set(named)) != len(named):
        raise Refused("a header stands twice")
    _require(set(named), dataset)
    rows = body[top + 1 :]
    if rows and _is_total(rows[-1][1]):
        rows = rows[:-1]
    width = len(header)
    kept = [row[:width] + [None] * (width - len(row)) for _, row in rows]
    columns = list(zip(*kept, strict=True)) if kept else [()] * width
    by_header = dict(zip(header, columns, strict=True))
    nothing = [None] * len(rows)
    table = pd.DataFrame(
        {c.header: pd.Series(list(by_header.get(c.header, nothing)), dtype=object) for c in SCHEMA[dataset]}
    )
    table["_row"] = [number for number, _ in rows]
    table["_width_ok"] = [len(row) >= width and _is_blank(row[width:]) for _, row in rows]
    return table
