"""Small contracts, and what a reader makes of some bytes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingestion.contracts import Column, Contract
from ingestion.readers import BadRow, Finding, open_table

#: Real data lies outside the project.
REAL_DATA = Path(os.environ.get("REAL_DATA_DIR") or Path(__file__).parents[3] / "shared" / "data")


def contract_for(headers: list[str], *, optional: tuple[str, ...] = (), text: tuple[str, ...] = ()) -> Contract:
    """A contract of string columns with these headers; the first is the key, the last plays 更新时间."""
    names = [f"c{number}" for number in range(len(headers) - 1)] + ["updated_at"]
    columns = tuple(
        Column(name=name, header=header, type="string", optional=header in optional,
               personal="text" if header in text else None)
        for name, header in zip(names, headers, strict=True)
    )  # fmt: skip
    return Contract(dataset="sample", title="样表", system="hotline", key=(names[0],), columns=columns)


@dataclass(frozen=True)
class Read:
    """Everything a reader gave: rows as tuples in the contract's order, their numbers, and the account."""

    rows: list[tuple[Any, ...]]
    numbers: list[int]
    bad: list[BadRow]
    findings: list[Finding]
    rows_in: int
    rows_other: int
    extra: tuple[str, ...]
    missing: tuple[str, ...]


def read(path: Path, contract: Contract, name: str | None = None) -> Read:
    """Exhaust the reader of a file."""
    rows: list[tuple[Any, ...]] = []
    numbers: list[int] = []
    with open_table(path, name or path.name, contract) as reader:
        for batch in reader.batches():
            assert batch.schema.names == [*(column.name for column in contract.columns), "_row"]
            values = [batch.column(column.name).to_pylist() for column in contract.columns]
            rows += zip(*values, strict=True)
            numbers += batch.column("_row").to_pylist()
    return Read(
        rows, numbers, reader.bad_rows, reader.findings, reader.rows_in, reader.rows_other,
        reader.extra_columns, reader.missing_optional,
    )  # fmt: skip


def read_bytes(folder: Path, name: str, content: bytes, contract: Contract) -> Read:
    """What a reader makes of these bytes under this name. The file itself is named as landed ones are."""
    path = folder / "0123456789abcdef"
    path.write_bytes(content)
    return read(path, contract, name)


def physical_lines(content: bytes) -> int:
    return content.count(b"\n") + (not content.endswith(b"\n") and bool(content))
