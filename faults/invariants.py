"""The invariants I1 to I7 that hold after every fault, each written once.

I1 a reader sees the old release or the new one · I2 every line is accounted for · I3 a plain re-run converges ·
I4 nothing personal outside the raw zone · I5 state and exit agree · I6 nothing temporary is left after the next run ·
I7 within the limits. The functions give breaches as sentences; none is the empty list.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from ingestion.durable import sha256_of
from ingestion.errors import TongbaoError
from ingestion.home import Home
from ingestion.landing import object_path
from ingestion.ledger import AcceptedFile, Ledger, findings_path, quarantine_path
from publishing import releases

#: Limits of one task in one child (I7).
SECONDS, MEGABYTES = 180, 2048

#: Columns of lineage: they tell of one landing, not of the data.
_LINEAGE = {"_landing_id", "_pulled_at", "landing_id"}


def state_of(home: Home) -> dict[str, Any]:
    """What the home holds, without times and numbers of attempts: equal states give equal figures."""
    return {
        "landed": _landed(home),
        "accepted": _accepted(home),
        "built": _built(home),
        "audited": sorted(path.parent.name for path in home.runs.glob("*/audit.json")),
        "served": served(home),
    }


def served(home: Home) -> list[list[Any]] | None:
    """(release, content digest) of what a reader has now; None before the first release."""
    if not home.current.is_symlink():
        return None
    # Attached and not connected to: the same path is opened anew, not found in a cache of this process.
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{home.current}/warehouse.duckdb' AS w (READ_ONLY)")
        rows = connection.execute("SELECT release, content_digest FROM w.marts.releases ORDER BY release").fetchall()
    return [list(row) for row in rows]


def _landed(home: Home) -> list[list[Any]]:
    """The newest delivery of each dataset and month: names and hashes."""
    ledger = Ledger(home)
    pairs = sorted({(attempt.dataset, attempt.month) for attempt in ledger.attempts()})
    return [
        [*pair, sorted([each.file, each.sha256] for each in ledger.newest_delivery(*pair))]  # type: ignore[type-var]
        for pair in pairs
    ]


def _accepted(home: Home) -> str:
    digest = hashlib.sha256()
    for file in sorted(Ledger(home).accepted_files(), key=lambda each: (each.dataset, each.month, each.landing_id)):
        digest.update(f"{file.dataset}/{file.month}/{file.file}/{file.sha256}\n".encode())
        place = (home, file.dataset, file.month, file.landing_id)
        for path in (file.path, quarantine_path(*place), findings_path(*place)):
            digest.update(_rows(path) if path.exists() else b"-")
    return digest.hexdigest()


def _rows(path: Path) -> bytes:
    table = pq.ParquetFile(path).read(use_threads=False)
    kept = table.drop_columns([name for name in table.column_names if name in _LINEAGE])
    return hashlib.sha256(repr(kept.to_pydict()).encode()).digest()


def _built(home: Home) -> dict[str, str]:
    """Content of the finished builds, run by run: models and seeds, without what names the run's moment."""
    found = {}
    for state in home.runs.glob("*/build.json"):
        with duckdb.connect(str(state.parent / "warehouse.duckdb"), read_only=True) as connection:
            names = connection.execute(
                "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database() "
                "AND schema_name NOT IN ('staged', 'audit', 'previous') ORDER BY ALL"
            ).fetchall()
            digest = hashlib.sha256(repr(names).encode())
            # The whole county's tables are judged by their releases' content digests: here it is the small project.
            for schema, table in names if len(names) < 10 else ():
                rows = connection.execute(f'SELECT * FROM "{schema}"."{table}" ORDER BY ALL').fetchall()
                columns = [column[0] for column in connection.description or []]
                keep = [i for i, name in enumerate(columns) if name not in _LINEAGE]
                digest.update(repr([[row[i] for i in keep] for row in rows]).encode())
        found[state.parent.name] = digest.hexdigest()
    return found


# -- I1, I2, I4: at any moment ---------------------------------------------------------------------------------------


def i1_old_or_new(home: Home, old: Any, new: Any) -> list[str]:
    """A reader has one of the two releases, whole: every file of it is as its manifest says."""
    try:
        now = served(home)
        number = releases.served_number(home)
        if number is not None:
            releases.verify(releases.open_release(home, number))
    except (duckdb.Error, TongbaoError, OSError) as error:
        return [f"I1: a reader cannot read: {type(error).__name__}: {error}"]
    return [] if now in (old, new) else [f"I1: a reader sees {now}, which is neither the old release nor the new one"]


def i2_lines(home: Home) -> list[str]:
    """Physical lines in = loaded + quarantined + header, total and blank lines, for every accepted file."""
    ledger, found = Ledger(home), []
    other = {attempt.attempt_id: attempt.rows_other for attempt in ledger.attempts()}
    replaced = {each.sha256: each.replaced_by for each in ledger.replacements()}
    for file in ledger.accepted_files():
        wrong = _lines(home, file, other, replaced)
        found += [f"I2: {file.dataset} {file.month} {file.file}: {one}" for one in wrong]
    return found


def _lines(home: Home, file: AcceptedFile, other: dict[int, int], replaced: dict[str, str | None]) -> Iterable[str]:
    if file.rows_in != file.rows_loaded + file.rows_quarantined:
        yield f"{file.rows_in} rows in, {file.rows_loaded} loaded, {file.rows_quarantined} in quarantine"
    aside = quarantine_path(home, file.dataset, file.month, file.landing_id)
    for path, rows in ((file.path, file.rows_loaded), (aside, file.rows_quarantined)):
        there = pq.ParquetFile(path).metadata.num_rows if path.exists() else 0
        if there != rows:
            yield f"{path.parent.parent.parent.name} holds {there} rows, the ledger says {rows}"
    kept: str | None = file.sha256
    while kept in replaced:
        kept = replaced[kept]
    landed = object_path(home, kept or file.sha256)
    if kept is None and not landed.exists():
        return  # retention or an erasure took it, and the ledger says so
    kept = kept or file.sha256
    if not landed.exists() or sha256_of(landed) != kept:
        yield "its landed bytes are gone or damaged"
    elif file.file.endswith(".csv") and file.rows_in:
        lines = landed.read_bytes().count(b"\n")
        if lines != file.rows_in + other[file.landing_id]:
            yield f"{lines} physical lines, {file.rows_in + other[file.landing_id]} accounted for"


def i4_erased(home: Home, values: Iterable[str]) -> list[str]:
    """The values stand in no file of the home at all, the raw zone and what is packed in it included."""
    pattern = re.compile(b"|".join(re.escape(value.encode(code)) for value in values for code in ("utf-8", "gb18030")))
    found = []
    for path in home.root.rglob("*"):
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        if pattern.search(content) or pattern.search(os.fsencode(path.name)):
            found.append(f"I4: a value of the erased person stands in {path.relative_to(home.root)}")
    return found


def i4_nothing_personal(root: Path, home: Home, secrets: Iterable[str], said: str = "") -> list[str]:
    """The planted values stand in no file outside the raw zone (logs of the variant included), and in no error."""
    wanted = [secret.encode() for secret in secrets]
    found = [f"I4: an error tells a value of {len(one)} bytes" for one in wanted if one in said.encode()]
    any_of_them = re.compile(b"|".join(map(re.escape, wanted)))  # one look at each file, not one for each value
    for folder, _, names in os.walk(root):
        if Path(folder).is_relative_to(home.raw) or Path(folder).is_relative_to(root / "exports"):
            continue
        for name in names:
            path = Path(folder, name)
            content = b"" if path.is_symlink() else path.read_bytes()
            if wanted and (any_of_them.search(content) or any_of_them.search(name.encode())):
                found.append(f"I4: a planted value stands in {path.relative_to(root)}")
    return found


# -- I6: after the next run ------------------------------------------------------------------------------------------


def i6_nothing_left(home: Home) -> list[str]:
    """No temporary file, no half a release, no file of what was not accepted, no lock."""
    left: list[Path] = []
    documents = home.published / "documents"
    linked = {path.resolve() for path in documents.glob("*") if path.is_symlink()}
    for path in home.root.rglob("*"):
        parts = path.relative_to(home.root).parts
        if parts[:1] == ("airflow",) or parts in (("runs", ".dbt"), ("runs", ".seeds")) or path.resolve() in linked:
            continue
        if path.name.startswith(".") or path.suffix in (".tmp", ".wal") or path.name.endswith("-journal"):
            left.append(path)
    left += [path for path in (home.raw / "incoming").rglob("*") if path.is_file()]
    accepted = {file.landing_id for file in Ledger(home).accepted_files()}
    for zone in (home.staged, home.quarantine, home.root / "findings"):
        left += [path for path in zone.rglob("*.parquet") if path.stem.isdigit() and int(path.stem) not in accepted]
    newest = releases.newest(home)
    left += [
        home.releases / str(number) for number in releases.numbers(home) if number > (newest.number if newest else 0)
    ]
    found = [f"I6: left behind: {path.relative_to(home.root)}" for path in left]
    return found + [f"I6: locked: {path.relative_to(home.root)}" for path in _lockable(home) if not _free(path)]


def _lockable(home: Home) -> list[Path]:
    zones = [home.published, *home.staged.glob("*"), *(home.raw / "incoming").glob("*")]
    return [path for path in [*zones, *home.runs.glob("[!.]*")] if path.is_dir()]


def _free(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


# -- I3, I5, I7: of a task -------------------------------------------------------------------------------------------


def i3_converged(now: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """After the re-run everything is as after a run that nothing disturbed."""
    return [f"I3: {name} is {now[name]}, not {wanted[name]}" for name in wanted if now[name] != wanted[name]]


def i5_state_agrees(well: bool, reason: str, now: dict[str, Any], done: dict[str, Any]) -> list[str]:
    """A task that ended well has done all of its work; one that failed says why."""
    if well:
        return [f"I5: ended well, but {name} is not done" for name in done if now[name] != done[name]]
    return [] if reason.strip() else ["I5: failed without a reason"]


def i7_within_limits(seconds: float, megabytes: float) -> list[str]:
    found = [f"I7: took {seconds:.0f} s, more than {SECONDS} s"] if seconds > SECONDS else []
    return found + ([f"I7: took {megabytes:.0f} MB, more than {MEGABYTES} MB"] if megabytes > MEGABYTES else [])
