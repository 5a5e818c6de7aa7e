"""The figures of a month that later deliveries are compared with, and the table they come from.

A profile holds counts alone: rows, filled and varied columns, units by code, parts and wholes of shares. It is kept
under ``validation/profiles`` beside the results, so that a dataset's history costs a few small files and not its rows.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import duckdb

from expectations import measures, store, units
from ingestion import engine
from ingestion.contracts import CONTRACTS, Contract
from ingestion.home import Home
from ingestion.ledger import AcceptedFile

#: Counted up when profiles of an older version no longer say what this one reads.
VERSION = 1


@dataclass
class Profile:
    """Figures of some rows of one dataset. Profiles of several files add up."""

    rows: int = 0
    #: Rows that do not delete their key: what the other figures are about.
    live_rows: int = 0
    #: optional column -> live rows that fill it.
    filled: dict[str, int] = field(default_factory=dict)
    #: codes, booleans and integers that hold more than one value (null not counted).
    varied: list[str] = field(default_factory=list)
    #: codes of the units that are named.
    units: list[str] = field(default_factory=list)
    #: measure -> [part, whole].
    shares: dict[str, list[int]] = field(default_factory=dict)

    def share(self, name: str) -> float | None:
        """The share of this name, null where its whole is empty."""
        part, whole = self.shares.get(name, (0, 0))
        return part / whole if whole else None


def added(profiles: Iterable[Profile]) -> Profile:
    """One profile of all the rows of these."""
    total = Profile()
    for one in profiles:
        total.rows += one.rows
        total.live_rows += one.live_rows
        total.varied = sorted({*total.varied, *one.varied})
        total.units = sorted({*total.units, *one.units})
        for name, count in one.filled.items():
            total.filled[name] = total.filled.get(name, 0) + count
        for name, (part, whole) in one.shares.items():
            before = total.shares.get(name, [0, 0])
            total.shares[name] = [before[0] + part, before[1] + whole]
    return total


def connect() -> duckdb.DuckDBPyConnection:
    """An engine in memory that shows no progress bar in a task's log."""
    connection = engine.shared()
    connection.execute("set enable_progress_bar = false")
    return connection


def literal_path(path: Path) -> str:
    """The path as DuckDB reads it literally: a name is a pattern there, even as a bound parameter."""
    return re.sub(r"([\[*?])", r"[\1]", str(path))


def rows_of(paths: Sequence[Path]) -> str:
    """SQL for the rows of these typed files; ``_live`` says of each that it does not delete its key."""
    files = ", ".join("'" + literal_path(path).replace("'", "''") + "'" for path in paths)
    return f"(select *, not coalesce(_deleted, false) as _live from read_parquet([{files}]))"


def keyless(contract: Contract) -> str:
    """SQL: this row lacks a part of its key."""
    parts = " or ".join(f'"{name}" is null' for name in contract.key)
    return f"_key is null or _key = '' or {parts}"


@dataclass(frozen=True)
class Taken:
    """What was taken of some rows: their profile, and what is judged of a delivery and not kept."""

    profile: Profile
    #: Rows without a key, those that delete one among them.
    keyless: int
    #: How many live rows each of the given predicates holds for.
    counts: dict[str, int]
    #: (name, day, rows) of the live rows that name no unit.
    unknown: list[tuple[str | None, dt.date | None, int]]


def take(
    connection: duckdb.DuckDBPyConnection, dataset: str, paths: Sequence[Path], predicates: Mapping[str, str]
) -> Taken:
    """The profile of the rows of these typed files, and in how many live ones each of the predicates holds.

    One scan, and another over the columns of the unit and its day where units are named. Rows that delete their key
    are a group of their own: a filter at each of the figures would take three times as long.
    """
    contract, declared = CONTRACTS[dataset], measures.of_delivery(dataset)
    figures = {"rows": "count(*)", "keyless": f"count(*) filter (where {keyless(contract)})"}
    figures |= {f"filled.{name}": f'count("{name}")' for name in _optional(contract)}
    figures |= {f"varied.{name}": f'coalesce(min("{name}") <> max("{name}"), false)' for name in _coded(contract)}
    for name, share in declared.shares.items():
        figures[f"part.{name}"] = f"count(*) filter (where ({share.part}) and ({share.whole}))"
        figures[f"whole.{name}"] = f"count(*) filter (where {share.whole})"
    figures |= {f"counted.{name}": f"count(*) filter (where {sql})" for name, sql in predicates.items()}
    rows = rows_of(paths)
    groups = connection.execute(f"select _live, {', '.join(figures.values())} from {rows} group by _live").fetchall()
    by_live: dict[bool, dict[str, int]] = {is_live: dict(zip(figures, row, strict=True)) for is_live, *row in groups}
    found = by_live.get(True, dict.fromkeys(figures, 0))
    named: list[tuple[str | None, dt.date | None, int]] = []
    if unit := declared.unit:
        named = connection.execute(
            f'select "{unit.column}", ({unit.day})::date, count(*) from {rows} where _live group by all'
        ).fetchall()
    codes = units.resolve([(name, day) for name, day, _ in named])
    return Taken(
        profile=Profile(
            rows=sum(group["rows"] for group in by_live.values()),
            live_rows=found["rows"],
            filled={name: found[f"filled.{name}"] for name in _optional(contract)},
            varied=[name for name in _coded(contract) if found[f"varied.{name}"]],
            units=sorted({code for code in codes if code is not None}),
            shares={name: [found[f"part.{name}"], found[f"whole.{name}"]] for name in declared.shares},
        ),
        keyless=sum(group["keyless"] for group in by_live.values()),
        counts={name: found[f"counted.{name}"] for name in predicates},
        unknown=[each for each, code in zip(named, codes, strict=True) if code is None],
    )


def _optional(contract: Contract) -> list[str]:
    return [column.name for column in contract.columns if column.optional and column.name != "sync_type"]


def _coded(contract: Contract) -> list[str]:
    kinds = ("code", "boolean", "integer")
    return [c.name for c in contract.columns if c.type in kinds and c.name not in ("sync_type", *contract.key)]


def of_month(home: Home, dataset: str, month: str, files: Sequence[AcceptedFile]) -> Profile:
    """The profile of a month's accepted files: the kept one, or taken now and kept (files came, or a first run)."""
    kept = store.folder(home) / "profiles" / dataset / f"{month}.json"
    stamp = {"version": VERSION, "files": [[f.landing_id, *_bytes_and_time(f.path)] for f in files]}
    if kept.exists():
        content = json.loads(kept.read_text(encoding="utf-8"))
        if content["stamp"] == stamp:
            return Profile(**content["profile"])
    profile = of_files(dataset, [file.path for file in files])
    store.write_json(kept, {"stamp": stamp, "profile": asdict(profile)})
    return profile


def of_files(dataset: str, paths: Sequence[Path]) -> Profile:
    """The profile of the rows of these typed files, taken now; no file gives no rows."""
    if not paths:
        return Profile()
    with connect() as connection:
        return take(connection, dataset, paths, {}).profile


def _bytes_and_time(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns
