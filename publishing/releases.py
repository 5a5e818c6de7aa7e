"""The shelf of release folders: which exist, which is served, which one the next builds on, going back.

``published/releases/<n>/`` never changes once its name has no leading dot; ``published/current`` links to the served
one. Going back leaves a line in ``published/rollbacks.jsonl``; a release that was served once counts as published for
ever, so revisions and release numbers are not used twice.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ingestion.durable import naming_storage_faults, sha256_of
from ingestion.errors import AuditFailed, BadParameter
from ingestion.home import Home
from ingestion.personal_numbers import masked
from publishing import settings
from publishing.durable import exclusive, swap_link, write_text

BEIJING = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True)
class Release:
    """One release folder; ``manifest`` is what ``manifest.json`` in it says."""

    number: int
    path: Path
    manifest: dict[str, Any]

    @property
    def warehouse(self) -> Path:
        return self.path / "warehouse.duckdb"

    @property
    def periods(self) -> set[str]:
        """Codes of the periods that it has ranking tables of (``<period>/<area>`` in the manifest)."""
        return {table.partition("/")[0] for table in self.manifest.get("tables", {})}

    def intact(self, name: str) -> Path | None:
        """The file of this name (``tables/2022-07/overall.csv``); None where it is not what the manifest says."""
        path, sealed = self.path / name, self.manifest["files"].get(name)
        return path if sealed and path.is_file() and sha256_of(path) == sealed["sha256"] else None


def beijing_now() -> dt.datetime:
    """Now as Beijing wall time, whole seconds, without zone: how every time in the warehouse is written."""
    return dt.datetime.now(BEIJING).replace(microsecond=0, tzinfo=None)


def numbers(home: Home) -> list[int]:
    """Numbers of the release folders on disk, ascending."""
    if not home.releases.is_dir():
        return []
    return sorted(int(entry.name) for entry in home.releases.iterdir() if entry.name.isascii() and entry.name.isdigit())


def served_number(home: Home) -> int | None:
    """Number of the release that ``current`` links to; None before the first."""
    try:
        name = home.current.readlink().name
    except FileNotFoundError:
        return None
    return int(name) if name.isascii() and name.isdigit() else None


def open_release(home: Home, number: int) -> Release:
    """The release folder of this number; raises BadParameter where there is none."""
    path = home.releases / str(number)
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(map(str, numbers(home))) or "none"
        raise BadParameter(f"there is no release {number}; there are: {known}") from None
    return Release(number, path, manifest)


def served(home: Home) -> Release | None:
    """The release that is served; None before the first."""
    number = served_number(home)
    return None if number is None else open_release(home, number)


def newest(home: Home) -> Release | None:
    """The newest release that was ever served: what the next build continues, also after a step back."""
    candidates = {served_number(home), *(line["from"] for line in rollbacks(home))} - {None}
    on_disk = candidates & set(numbers(home))
    return open_release(home, max(on_disk)) if on_disk else None


def next_number(base: Release | None) -> int:
    """The number of the release that continues ``base``."""
    return (base.number if base else 0) + 1


def rollbacks(home: Home) -> list[dict[str, Any]]:
    """The steps back so far, oldest first: at (Beijing time), from, to, reason."""
    path = home.published / "rollbacks.jsonl"
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    # Only a line that ends was written whole; what follows the last newline is torn by a kill.
    return [json.loads(line) for line in lines[:-1] if line]


def verify(release: Release) -> None:
    """Compares every file of the release with its manifest; raises AuditFailed that names what differs."""
    expected: dict[str, dict[str, Any]] = release.manifest["files"]
    present = {
        path.relative_to(release.path).as_posix()
        for path in release.path.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    damaged = sorted(present ^ set(expected)) + [
        name for name in sorted(present & set(expected)) if release.intact(name) is None
    ]
    if damaged:
        raise AuditFailed(f"release {release.number} is damaged on disk: {', '.join(damaged[:10])}")


def verify_warehouse(release: Release) -> None:
    """Compares the release's database file with its manifest; raises AuditFailed where it is damaged."""
    if release.intact("warehouse.duckdb") is None:
        raise AuditFailed(
            f"warehouse.duckdb of release {release.number} is damaged on disk; restore it from a backup, "
            "or remove the release's folder after going back to an earlier one"
        )


@naming_storage_faults("rollback")
def rollback(home: Home, to: int | None = None, reason: str = "") -> Release:
    """Serves an earlier release again (default: the one before the served) and leaves a record of it.

    The target is verified against its manifest first. Raises BadParameter where there is nothing to go back to,
    AuditFailed where the target is damaged. Any release on disk can be named, so it also goes forward again; named once
    more, after a kill, the step is finished or is there already.
    """
    with exclusive(home.published, "publishing"):
        now = served_number(home)
        if now is None:
            raise BadParameter("nothing is published yet, so there is nothing to go back to")
        if to is None:
            earlier = [number for number in numbers(home) if number < now]
            if not earlier:
                raise BadParameter(f"release {now} is the oldest on disk; there is none before it")
            to = earlier[-1]
        reached = newest(home)
        if to > (reached.number if reached else now):
            raise BadParameter(f"release {to} was never served")
        release = open_release(home, to)
        verify(release)
        if to == now:
            return release  # the same step once more: it is taken, and stands in the record
        _record(home, {"at": beijing_now().isoformat(sep=" "), "from": now, "to": to, "reason": masked(reason)})
        swap_link(home.current, f"releases/{to}")
        return release


def _record(home: Home, line: dict[str, Any]) -> None:
    path, before = home.published / "rollbacks.jsonl", rollbacks(home)
    if before and (before[-1]["from"], before[-1]["to"]) == (line["from"], line["to"]):
        before.pop()  # recorded and not taken: killed before its swap, for what it led away from is served still
    whole = "".join(json.dumps(known, ensure_ascii=False) + "\n" for known in [*before, line])
    write_text(path, whole)


def clean(home: Home) -> None:
    """Removes what a killed publisher left: temporary names, and folders that were never served."""
    reached = newest(home)
    last = reached.number if reached else 0
    for entry in [*home.published.glob(".*.tmp"), *home.releases.glob(".building-*")]:
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    for number in numbers(home):
        if number > last:
            shutil.rmtree(home.releases / str(number))


def prune(home: Home) -> None:
    """Keeps the newest release folders and whatever is served."""
    now, known = served_number(home), numbers(home)
    for number in known[: -settings.releases_kept()]:
        if number != now:
            # Under a name that is no release first: a kill half-way leaves no release with files missing.
            doomed = home.releases / f".building-old-{number}"
            (home.releases / str(number)).rename(doomed)
            shutil.rmtree(doomed)
