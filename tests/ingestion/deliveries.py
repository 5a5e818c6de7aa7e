"""Deliveries by hand: good rows of every dataset, written as CSV files into an exports folder and pulled from there."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path

from ingestion.contracts import CONTRACTS
from ingestion.home import Home
from ingestion.landing import Delivery, pull
from ingestion.load import LoadResult, load
from ingestion.transports import connect

Row = dict[str, str]
MONTH = "2022-07"


def good_row(dataset: str, n: int = 1) -> Row:
    """A row without fault under English names: every column filled, the key made of ``n``."""
    contract = CONTRACTS[dataset]
    row: Row = {}
    for column in contract.columns:
        row[column.name] = {
            "string": f"{column.name}{n}",
            "integer": "1",
            "timestamp": "2022-07-05 10:00:00",
            "date": "2022-07-05",
            "boolean": "否",
            "code": str(column.values[0]) if column.values else "",
            "period": "2022-W27",
        }[column.type]
    if dataset == "hotline_calls":
        row["call_date"] = f"2022-07-{n:02d}"
    if dataset == "hotline_dispatches":
        row["dispatch_no"] = str(n)
    row["updated_at"] = "2022-07-06 08:00:00"
    return row


def csv_bytes(dataset: str, rows: Sequence[Row]) -> bytes:
    """The rows as UTF-8 CSV with the contract's Chinese headers."""
    contract = CONTRACTS[dataset]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.header for column in contract.columns])
    writer.writerows([row.get(column.name, "") for column in contract.columns] for row in rows)
    return text.getvalue().encode()


class Exports:
    """An exports folder and the home that pulls from it."""

    def __init__(self, root: Path) -> None:
        self.root = root / "exports"
        self.root.mkdir()
        self.home = Home(root / "home")

    def put(self, dataset: str, rows: Sequence[Row] | bytes, file: str = "export.csv", month: str = MONTH) -> Path:
        """Writes a file of the delivery."""
        folder = self.root / CONTRACTS[dataset].system / dataset / month
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / file
        path.write_bytes(rows if isinstance(rows, bytes) else csv_bytes(dataset, rows))
        return path

    def manifest(self, *files: Path, **changes: object) -> None:
        """Writes the manifest beside the files; ``changes`` (rows, sha256, name) go into each entry."""
        listed = [
            {"name": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()} | changes for file in files
        ]
        (files[0].parent / "manifest.json").write_text(json.dumps({"files": listed}), encoding="utf-8")

    def pull(self, dataset: str, month: str = MONTH) -> Delivery:
        source = connect(f"{self.root.as_uri()}?min_age=0")  # nobody else writes here: nothing to wait for
        return pull(self.home, source, CONTRACTS[dataset].system, dataset, month)

    def load(self, dataset: str, month: str = MONTH) -> LoadResult:
        self.pull(dataset, month)
        return load(self.home, dataset, month)
