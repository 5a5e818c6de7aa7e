"""Good deliveries whose every cell is known: rows of the generated county, and of real exports, before the damage.

A row is a mapping of header to text in the usual spelling. ``typed`` says, without the project's own reading, what
must be loaded of it.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import hmac
import io
import json
import os
import random
import tarfile
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import xlsxwriter

from faults.judge import Row
from ingestion.contracts import CONTRACTS, SYSTEMS, Column, Contract

MONTH = "2022-07"
#: The key that tokens are made with here, so that they can be computed again beside the project's own way.
KEY_ID, SECRET = "card", "only-for-the-card-of-input-faults-0123456789"
REAL_DATA = Path(os.environ.get("REAL_DATA_DIR") or Path(__file__).parents[2] / "shared" / "data")

Cells = dict[str, str]
#: The datasets that are damaged: one of each system and format, one with a key of two columns.
DATASETS = ("hotline_tickets", "platform_cases", "cms_posts", "hotline_dispatches")
ROWS = 60


@cache
def _county() -> dict[tuple[str, str], pd.DataFrame]:
    from simulator.generate import county

    return county(20, [MONTH], 0.5)


@cache
def generated(dataset: str, rows: int = ROWS) -> tuple[Cells, ...]:
    """The first complete rows of a generated month in the usual spelling."""
    frame = _county()[dataset, MONTH]
    contract = CONTRACTS[dataset]
    if "同步类型" in frame:
        frame = frame[frame["同步类型"] != "D"]
    frame = frame.drop_duplicates([contract.column(name).header for name in contract.key]).head(rows)
    found = []
    for number, record in enumerate(frame.to_dict("records"), start=1):
        row = {column.header: _text(record.get(column.header), column) for column in contract.columns}
        for column in contract.columns:
            if column.personal == "text":  # redaction is another matter
                row[column.header] = f"反映某路灯不亮，请处理({number}号)"
            if column.code_number and column.optional is False and column.name in contract.key[:1]:
                row[column.header] = f"K{number:05d}-{row[column.header][-4:]}"
        found.append(row)
    assert len(found) >= min(rows, 20), f"{dataset}: only {len(found)} rows"  # noqa: S101
    return tuple(found)


def _text(value: Any, column: Column) -> str:
    if value is None or value is pd.NaT or pd.isna(value):
        return ""
    if column.type == "timestamp":
        return f"{pd.Timestamp(value):%Y-%m-%d %H:%M:%S}"
    if column.type == "date":
        return f"{pd.Timestamp(value):%Y-%m-%d}"
    return str(int(value)) if column.type == "integer" else str(value)


def headers(dataset: str) -> list[str]:
    return [column.header for column in CONTRACTS[dataset].columns]


def typed(dataset: str, row: Cells) -> Row:
    """What must be loaded of a good row that is spelt in the usual way."""
    return tuple(_typed(column, row.get(column.header, "")) for column in CONTRACTS[dataset].columns)


def _typed(column: Column, cell: str) -> Any:
    text = cell if column.personal == "text" else unicodedata.normalize("NFKC", cell)
    text = text.strip()
    if not text:
        return None
    if column.personal == "token":
        digest = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
        return f"{KEY_ID}:{digest[:32]}"
    if column.type == "timestamp":
        return dt.datetime.fromisoformat(text)
    if column.type == "date":
        return dt.date.fromisoformat(text)
    if column.type == "integer":
        return int(text)
    return text == "是" if column.type == "boolean" else text


def wanted(dataset: str, rows: Iterable[Cells]) -> Counter[Row]:
    return Counter(typed(dataset, row) for row in rows)


@cache
def secrets(dataset: str) -> frozenset[str]:
    """Phones, ids and the like of the generated rows: nowhere outside the raw zone."""
    names = [column.header for column in CONTRACTS[dataset].columns if column.personal == "token"]
    return frozenset(row[name] for row in generated(dataset) for name in names if len(row[name]) >= 7)


# -- files ---------------------------------------------------------------------------------------------------------


def table(dataset: str, rows: Iterable[Cells], columns: Sequence[str] | None = None) -> list[list[str]]:
    """The header and the rows as lists of cells."""
    names = list(columns or headers(dataset))
    return [names, *([row.get(name, "") for name in names] for row in rows)]


def csv_text(cells: Iterable[Sequence[str]], delimiter: str = ",", end: str = "\r\n", quote_all: bool = False) -> str:
    out = io.StringIO()
    csv.writer(
        out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    ).writerows(cells)
    return out.getvalue()


def csv_bytes(dataset: str, rows: Iterable[Cells], encoding: str = "utf-8", delimiter: str = ",") -> bytes:
    return csv_text(table(dataset, rows), delimiter).encode(encoding)


def page(dataset: str, rows: Sequence[Any], month: str = MONTH, **changes: Any) -> dict[str, Any]:
    """The page object that JSON files hold."""
    whole = {"dataset": dataset, "period": month, "page": 1, "pages": 1, "total": len(rows), "rows": list(rows)}
    return {key: value for key, value in (whole | changes).items() if value is not ...}


def json_bytes(dataset: str, rows: Sequence[Any], month: str = MONTH, **changes: Any) -> bytes:
    return json.dumps(page(dataset, rows, month, **changes), ensure_ascii=False).encode()


def xlsx_bytes(cells: Iterable[Sequence[Any]], **options: Any) -> bytes:
    """A workbook of typed cells: text as text, numbers as numbers, moments as dates."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True, **options}) as book:
        fill(book.add_worksheet(), cells, book)
    return out.getvalue()


def fill(sheet: Any, cells: Iterable[Sequence[Any]], book: Any, top: int = 0) -> None:
    """Writes cells into a worksheet from the row ``top``."""
    moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    for number, row in enumerate(cells, start=top):
        for column, value in enumerate(row):
            if isinstance(value, str):
                if value:
                    sheet.write_string(number, column, value)
            elif isinstance(value, dt.date):
                sheet.write_datetime(number, column, value, moment)
            elif value is not None:
                sheet.write(number, column, value)


def file_of(dataset: str, form: str, rows: Sequence[Cells]) -> tuple[str, bytes]:
    """Name and bytes of a delivered file in one of the three formats."""
    if form == "csv":
        return "export.csv", csv_bytes(dataset, rows)
    if form == "json":
        return "export.json", json_bytes(dataset, rows)
    return "export.xlsx", xlsx_bytes(table(dataset, rows))


def lines_of(text: str) -> int:
    """Physical lines of a text."""
    return text.count("\n") + (bool(text) and not text.endswith("\n"))


# -- real exports ----------------------------------------------------------------------------------------------------


_TEN = frozenset(CONTRACTS)


def adopt(dataset: str, names: Sequence[str], key: str) -> str:
    """Makes a contract of text columns for a real export under its own headers, known to this program only."""
    if dataset not in CONTRACTS:
        ordered = [key, *(name for name in names if name != key)]
        columns = (
            *(
                Column(name=f"c{number}", header=name, type="string", optional=name != key)
                for number, name in enumerate(ordered)
            ),
            # These exports have no such column: it comes as null.
            Column(name="updated_at", header="更新时间", type="timestamp", optional=True),
        )
        CONTRACTS[dataset] = Contract(dataset=dataset, title=dataset, system="hotline", key=("c0",), columns=columns)
        SYSTEMS["hotline"] = (*SYSTEMS["hotline"], dataset)
    return dataset


def forget_adopted() -> None:
    """Takes the contracts of real exports back: no county delivers them, so its periods must not wait for them."""
    for dataset in [name for name in CONTRACTS if name not in _TEN]:
        del CONTRACTS[dataset]
    SYSTEMS["hotline"] = tuple(name for name in SYSTEMS["hotline"] if name in _TEN)


@cache
def real(name: str, rows: int = 200) -> tuple[str, tuple[Cells, ...]]:
    """A dataset and rows of a real export: ``pingshan``, or a month of ``ottawa`` such as ``ottawa:Mar``."""
    what, _, month = name.partition(":")
    if what == "pingshan":
        with (REAL_DATA / "hotline_pingshan_2018.csv").open(newline="", encoding="utf-8") as file:
            records = list(csv.DictReader(file))[:: 10_000 // rows][:rows]
        return adopt("real_pingshan", list(records[0]), "REC_ID"), tuple(records)
    with tarfile.open(REAL_DATA / "ottawa_311_2014.tar.xz") as packed:
        member = packed.extractfile(f"ottawa_311_2014/{month}SR-2014.csv")
        if member is None:
            raise FileNotFoundError(name)
        text = io.TextIOWrapper(member, encoding="utf-8", newline="")
        records = [row for row, _ in zip(csv.DictReader(text), range(rows), strict=False)]
    header = list(records[0])
    return adopt(f"real_ottawa_{month.lower()}", header, header[0]), tuple(records)


def rng(*seed: object) -> random.Random:
    """A generator of its own for each variant: the same variant whatever else runs."""
    return random.Random("/".join(map(str, seed)))  # noqa: S311 - nothing secret
