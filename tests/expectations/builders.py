"""Hand-made deliveries for the tests: typed Parquet as ingestion stages it, and a real ledger that accepts it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.contracts import CONTRACTS, SYSTEMS
from ingestion.home import Home
from ingestion.ledger import Decision, Ledger, NewAttempt, staged_path

TYPES = {
    "string": pa.string(),
    "code": pa.string(),
    "period": pa.string(),
    "integer": pa.int64(),
    "timestamp": pa.timestamp("us"),
    "date": pa.date32(),
    "boolean": pa.bool_(),
}
UNITS = ("精河镇", "大河沿子镇", "县公安局", "县教育局")
PULLED = dt.datetime.fromisoformat("2022-08-06 03:00:00")

Row = dict[str, Any]
Change = Callable[[list[Row]], list[Row]]


@dataclass(frozen=True)
class File:
    """A staged file, as ``ingestion.load`` hands it over."""

    landing_id: int
    file: str
    path: Path
    rows_in: int
    rows_loaded: int
    rows_quarantined: int


@dataclass(frozen=True)
class Delivery:
    """A staged delivery, as ``ingestion.load`` hands it over."""

    dataset: str
    month: str
    files: tuple[File, ...]


def good_rows(dataset: str, month: str, count: int = 60) -> list[Row]:
    """Rows without any fault: every column filled, codes and units in turn, times inside the month."""
    contract, start = CONTRACTS[dataset], dt.datetime.fromisoformat(f"{month}-01")
    rows = []
    for n in range(count):
        row: Row = {}
        moment = start + dt.timedelta(days=n % 28, hours=9)
        for column in contract.columns:
            of_list = column.values[n % len(column.values)] if column.values else None
            row[column.name] = {
                "string": f"{column.name}-{month}-{n:04d}",
                "code": of_list,
                "period": month,
                "integer": n % 5 if of_list is None else of_list,
                "timestamp": moment,
                "date": moment.date(),
                "boolean": n % 2 == 0,
            }[column.type]
        if "unit_name" in row:
            row["unit_name"] = UNITS[n % len(UNITS)]
        row |= GOOD.get(dataset, lambda n: {})(n)
        row["sync_type"] = "I"
        rows.append({name: row[name] for name in contract.by_name if name in row})
    return rows


#: What a row without contradiction needs beside what is in turn.
GOOD: dict[str, Callable[[int], Row]] = {
    "platform_cases": lambda n: {"promised_days": 5, "statutory_days": 20},
    "platform_reviews": lambda n: {"level": "不满意", "review_order": 1},
    "hotline_tickets": lambda n: {"related_ticket_no": f"{n}"},
    "hotline_calls": lambda n: {"calls_in": 100 + n % 7, "calls_answered": 90, "calls_answered_15s": 80 + n % 7},
    "cms_posts": lambda n: {"status": ("已发布", "已撤回")[n % 2]},
    "cms_submissions": lambda n: {"return_count": 1 + n % 2},
}


def write(path: Path, dataset: str, month: str, rows: Sequence[Row], file: str) -> None:
    """The staged Parquet of these rows."""
    contract = CONTRACTS[dataset]
    columns = {c.name: pa.array([row.get(c.name) for row in rows], TYPES[c.type]) for c in contract.columns}
    keys = [
        None if any(row.get(k) is None for k in contract.key) else "\x1f".join(str(row[k]) for k in contract.key)
        for row in rows
    ]
    count = len(rows)
    columns |= {
        "_key": pa.array(keys, pa.string()),
        "_deleted": pa.array([row.get("sync_type") == "D" for row in rows], pa.bool_()),
        "_month": pa.array([month] * count, pa.string()),
        "_pulled_at": pa.array([PULLED] * count, pa.timestamp("us")),
        "_file": pa.array([file] * count, pa.string()),
        "_row": pa.array(range(2, count + 2), pa.int64()),
        "_landing_id": pa.array([0] * count, pa.int64()),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def stage(
    home: Home, dataset: str, month: str, rows: Sequence[Row] | None = None, *, file: str = "export.csv", lost: int = 0
) -> Delivery:
    """Land and stage rows as one file; ``lost`` rows are claimed to have come in and are nowhere."""
    rows = good_rows(dataset, month) if rows is None else rows
    system = next(name for name, datasets in SYSTEMS.items() if dataset in datasets)
    sha256 = f"{len(rows):064d}"
    (attempt,) = Ledger(home).record_pull(system, dataset, month, PULLED, [NewAttempt(file, sha256, 1)])
    path = staged_path(home, dataset, month, attempt.attempt_id)
    write(path, dataset, month, rows, file)
    count = len(rows)
    return Delivery(dataset, month, (File(attempt.attempt_id, file, path, count + lost, count, 0),))


def accept(home: Home, delivery: Delivery) -> None:
    """Make the delivery part of the dataset."""
    Ledger(home).decide(
        [Decision(f.landing_id, "accepted", None, f.rows_in, f.rows_loaded, f.rows_quarantined) for f in delivery.files]
    )


def history(home: Home, dataset: str, months: Sequence[str] = ("2022-04", "2022-05", "2022-06")) -> None:
    """Accepted months without fault."""
    for month in months:
        accept(home, stage(home, dataset, month))
