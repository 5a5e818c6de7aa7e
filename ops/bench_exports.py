"""The exports that ``make bench`` measures: a county's simulated month, many times over, as its systems deliver it.

The simulator makes one county's month (``--plain``: what a system writes by itself, each value in one spelling). For a
region its rows are laid down again and again as bytes, each time with keys, phones, ID numbers and names of their own,
so that nothing is a duplicate and references still meet. Bytes are copied and digits are set in place, so that writing
is as fast as the disk and memory is one county's, whatever the size. Formats and layout are docs/architecture.md's:
JSON pages of the platform, GB18030 CSV with a manifest of the hotline, XLSX of the CMS.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import xlsxwriter

from ingestion.home import PROJECT

MONTH = "2022-07"
SEED = 20220708

#: Rows of a JSON page, a CSV and a workbook, about: a page of 50,000 cases has 30 MB; a sheet ends at 1,048,576 rows.
PAGE_ROWS, CSV_ROWS, SHEET_ROWS = 50_000, 1_000_000, 200_000

#: At most so many copies: each has its number, of three digits, in its keys.
MOST = 1_000

#: Digits that stay 0 in the simulator's keys, so that the number of the copy can stand there.
_KEYS = (
    re.compile(rb"65270(\d\d\d)220[67]\d{8}(?=[\",])"),
    re.compile(rb"PJ00(\d\d\d)\d{7}(?=[\",])"),
    re.compile(rb"GD\d{8}(\d\d\d)\d{4}(?=[\",])"),
)
_WORKBOOK_KEY = re.compile(r"^(XX|XMT|BS)\d{3}(\d+)$")
#: Digits that are another person's in each copy: the end of a phone or an ID number.
_PEOPLE = (re.compile(rb"(?<!\d)1[3-9]\d(\d{8})(?!\d)"), re.compile(rb"(?<!\d)[1-9]\d{12}(\d{4})[\dXx](?!\d)"))
#: The last character of a name, where it is none of ASCII: the last of its bytes.
_NAMES = re.compile('"申请人":"[^"]*'.encode() + rb'[\x80-\xbf](?=")')


def generate(folder: Path, factor: float) -> Path:
    """The exports of ``factor`` counties for ``MONTH``; made once. Less than 1 is a smaller county, else whole ones."""
    copies = max(1, round(factor))
    if copies > MOST:
        raise ValueError(f"at most {MOST} counties")
    out = folder / f"exports-{factor:g}"
    if (out / ".complete").exists():
        return out
    shutil.rmtree(out, ignore_errors=True)
    lay(_county(folder, min(1.0, factor)), out, copies)
    (out / ".complete").touch()
    # The transport waits for files to settle; here the clock would run.
    time.sleep(2.1)
    return out


def lay(base: Path, out: Path, copies: int, first: int = 0) -> None:
    """Writes the exports of so many counties like the one in ``base``, from the copy of this number on."""
    for path in sorted(base.glob("*/*/*")):
        target = out / path.relative_to(base)
        target.mkdir(parents=True)
        if path.parent.name == "hotline_calls":
            shutil.copytree(path, target, dirs_exist_ok=True)  # one row a day, whatever the size
        else:
            {"platform": _pages, "hotline": _csv, "cms": _workbooks}[path.parts[-3]](
                path, target, range(first, first + copies)
            )


def _county(folder: Path, factor: float) -> Path:
    out = folder / f"county-{factor:g}"
    if not (out / ".complete").exists():
        shutil.rmtree(out, ignore_errors=True)
        arguments = ["--months", MONTH, "--seed", str(SEED), "--factor", str(factor), "--plain", "--out", str(out)]
        subprocess.run(
            [sys.executable, "-m", "simulator", "generate", *arguments], cwd=PROJECT, check=True, capture_output=True
        )
        (out / ".complete").touch()
    return out


class _Copies:
    """A run of bytes and where in it the digits of keys, phones and ID numbers stand."""

    def __init__(self, data: bytes) -> None:
        self._data = np.frombuffer(data, np.uint8).copy()
        self._keys = np.array([match.start(1) for each in _KEYS for match in each.finditer(data)], np.int64)
        spans = [match.span(1) for each in _PEOPLE for match in each.finditer(data)]
        self._people = np.array([place for start, end in spans for place in range(start, end)], np.int64)
        #: The place within its number, so that a phone is changed alike wherever it stands.
        self._nth = np.array([end - place for start, end in spans for place in range(start, end)], np.uint8)
        self._names = np.array([match.end() - 1 for match in _NAMES.finditer(data)], np.int64)
        self._digits = self._data[self._people] - ord("0")
        self._last = self._data[self._names]

    def copy(self, number: int) -> bytes:
        """The bytes of this copy: as long as the first, no key, phone or ID number the same."""
        for place, digit in enumerate(f"{number:03d}".encode()):
            self._data[self._keys + place] = digit
        shift = np.array([0] + [number // 10 ** (nth % 3) % 10 for nth in range(8)], np.uint8)
        self._data[self._people] = (self._digits + shift[self._nth]) % 10 + ord("0")
        # The last six bits of a character of three bytes: another character of the same block.
        self._data[self._names] = 0x80 | ((self._last + np.uint8(number % 64)) & 0x3F)
        return self._data.tobytes()


def _pages(source: Path, target: Path, copies: range) -> None:
    pages = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(source.iterdir())]
    rows = [row for page in pages for row in page["rows"]]
    text = ",".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    county = _Copies(text.encode())
    each = max(1, round(PAGE_ROWS / max(1, len(rows))))
    starts = range(copies.start, copies.stop, each)
    for page, start in enumerate(starts, 1):
        head = {"dataset": source.parent.name, "period": MONTH, "page": page, "pages": len(starts)}
        head["total"] = len(rows) * len(copies)
        with (target / f"page-{page:05d}.json").open("wb") as file:
            file.write(json.dumps(head)[:-1].encode() + b', "rows": [')
            for number in range(start, min(copies.stop, start + each)):
                file.write((b"," if number > start and rows else b"") + county.copy(number))
            file.write(b"]}\n")


def _csv(source: Path, target: Path, copies: range) -> None:
    (path,) = source.glob("*.csv")
    header, _, body = path.read_bytes().partition(b"\n")
    # Not the lines: a text may hold some.
    (rows,) = (file["rows"] for file in json.loads((source / "manifest.json").read_text(encoding="utf-8"))["files"])
    county = _Copies(body)
    each = max(1, CSV_ROWS // max(1, rows))
    listed = []
    for part, start in enumerate(range(copies.start, copies.stop, each), 1):
        made = target / f"{path.stem}-{part:03d}.csv"
        digest = hashlib.sha256()
        with made.open("wb") as file:
            for piece in _pieces(header + b"\n", county, range(start, min(copies.stop, start + each))):
                file.write(piece)
                digest.update(piece)
        listed.append({"name": made.name, "rows": rows * min(each, copies.stop - start), "sha256": digest.hexdigest()})
    (target / "manifest.json").write_text(json.dumps({"files": listed}, ensure_ascii=False), encoding="utf-8")


def _pieces(header: bytes, county: _Copies, numbers: range) -> Iterator[bytes]:
    yield header
    for number in numbers:
        yield county.copy(number)


def _workbooks(source: Path, target: Path, copies: range) -> None:
    (path,) = source.glob("*.xlsx")
    table = pd.read_excel(path, engine="calamine", dtype=object)
    rows = [
        [None if pd.isna(value) else value for value in values] for values in table.itertuples(index=False, name=None)
    ]
    each = max(1, SHEET_ROWS // max(1, len(rows)))
    for part, start in enumerate(range(copies.start, copies.stop, each), 1):
        book = xlsxwriter.Workbook(str(target / f"{path.stem}-{part:03d}.xlsx"), {"constant_memory": True})
        sheet = book.add_worksheet("Sheet1")
        sheet.write_row(0, 0, list(table.columns))
        row = 1
        for number in range(start, min(copies.stop, start + each)):
            for values in rows:
                for column, value in enumerate(values):
                    if isinstance(value, str):
                        sheet.write_string(row, column, _own(value, table.columns[column], number))
                    elif value is not None:
                        sheet.write_number(row, column, value)
                row += 1
        book.close()


def _own(value: str, header: str, number: int) -> str:
    """The cell in this copy: keys get its number."""
    if header == "账号名称":
        return f"{value}{number}" if number else value
    if header.endswith("编号"):
        return _WORKBOOK_KEY.sub(rf"\g<1>{number:03d}\g<2>", value)
    return value
