"""A small disk, folders that may not be written, limits of memory, open files and file size; bytes that flip."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from faults.county import Task, tasks
from faults.injection import CREATE, ERROR_ON, WRITE, Fault, in_child
from faults.judge import EXACT, REFUSE, WRONG, Verdict
from faults.trial import all_of, trial
from faults.variants import Variant, every
from faults.workplace import Workplace
from ingestion.ledger import Ledger

MEGABYTE = 1 << 20

ROOM = ("No space left on device",)
RIGHTS = ("Permission denied", "Read-only file system", "Operation not permitted", "unable to open database file")
MEMORY = ("Cannot allocate memory", "no more threads", "out of memory")
FILES = ("Too many open files", "unable to open database file", "Input/output error")
SIZE = ("File too large", "Input/output error", "No space left on device")


# -- a disk of 64 MB -------------------------------------------------------------------------------------------------


def small_disks() -> Iterator[Variant]:
    """A file system of 64 MB with so little room left when the task starts; room again before the re-run."""
    for name in tasks():
        for kilobytes in (0, 4, 16, 64, 256, 1024, 4096):
            yield Variant(f"{name}/{kilobytes}KB", _small_disk(name, kilobytes))


def _small_disk(name: str, kilobytes: int) -> Callable[[Workplace], Verdict]:
    def check(place: Workplace) -> Verdict:
        task = tasks()[name]
        mounted = place.home.root
        mounted.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=64m", "faults", str(mounted)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
            # No right to mount: the same error from the call at which so much would be written.
            mounted.rmdir()
            return trial(place, task, fault=Fault(WRITE | CREATE, 1 + kilobytes // 4, ERROR_ON, 28), says=ROOM)
        filler = mounted / "filler"

        def fill(_: Workplace) -> None:
            free = shutil.disk_usage(mounted).free - kilobytes * 1024
            filler.write_bytes(b"\0" * max(0, free))

        try:
            return trial(
                _Mounted(place), task, damage=fill, mend=lambda _: filler.unlink(missing_ok=True), says=ROOM
            )  # fmt: skip
        finally:
            subprocess.run(["umount", "-l", str(mounted)], capture_output=True, check=False)

    return check


class _Mounted(Workplace):
    """The place with its home on a file system that is there already."""

    def __init__(self, place: Workplace) -> None:
        self.root, self.exports, self.home = place.root, place.exports, place.home


# -- folders that may not be written -----------------------------------------------------------------------------------

_ZONES = (
    *(".", "raw", "raw/objects", "raw/incoming", "staged", "quarantine", "findings"),
    *("validation", "runs", "published", "published/releases"),
)


def read_only() -> Iterator[Variant]:
    """Each zone of the home closed to writing, with all in it, for a process without root's privileges."""
    for name in tasks():
        for zone in _ZONES:
            yield Variant(f"{name}/{zone}", _read_only(name, zone))


def _read_only(name: str, zone: str) -> Callable[[Workplace], Verdict]:
    def closed(place: Workplace) -> None:
        _each_folder(place.home.root / zone, lambda mode: mode & ~0o222)

    def opened(place: Workplace) -> None:
        _each_folder(place.home.root / zone, lambda mode: mode | 0o200)

    def check(place: Workplace) -> Verdict:
        return trial(place, tasks()[name], before=without_privileges, damage=closed, mend=opened, says=RIGHTS)

    return check


def without_privileges() -> None:
    """Takes root's right to write everywhere from this process; anyone else has none."""
    if os.geteuid() == 0:
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        if ctypes.CDLL(None, use_errno=True).capset(header, (ctypes.c_uint32 * 6)()):
            raise OSError(ctypes.get_errno(), "the privileges of root could not be given up")


def _each_folder(root: Path, change: Callable[[int], int]) -> None:
    """Changes the mode of the folder, of what is in it and of the ledger, the outermost first."""
    if root.exists():
        for path in (root, *sorted(root.rglob("*"))):
            if not path.is_symlink() and (path.is_dir() or path.suffix == ".sqlite"):
                path.chmod(change(path.stat().st_mode & 0o777))


# -- limits of the process ---------------------------------------------------------------------------------------------


def limits() -> Iterator[Variant]:
    """Memory, open files and the size of a file, from too little to enough."""
    for name in tasks():
        for megabytes in (0, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 1024):
            yield Variant(f"{name}/memory/{megabytes}MB", _limited(name, "memory", megabytes, MEMORY))
        for files in (0, 1, 2, 3, 4, 5, 6, 8, 10, 14, 20, 32):
            yield Variant(f"{name}/files/{files}", _limited(name, "files", files, FILES))
        for kilobytes in (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096):
            yield Variant(f"{name}/file_size/{kilobytes}KB", _limited(name, "file_size", kilobytes, SIZE))


def _limited(name: str, what: str, amount: int, says: tuple[str, ...]) -> Callable[[Workplace], Verdict]:
    """``memory`` and ``files`` are on top of what the process has when the task starts."""

    def limit() -> None:
        if what == "memory":
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            bytes_ = pages * resource.getpagesize() + amount * MEGABYTE
            resource.setrlimit(resource.RLIMIT_AS, (bytes_, bytes_))
        elif what == "files":
            highest = max(int(entry) for entry in os.listdir("/proc/self/fd"))  # noqa: PTH208
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + amount, highest + 1 + amount))
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (amount * 1024, amount * 1024))

    def check(place: Workplace) -> Verdict:
        # With too little memory DuckDB and the C library may die of a signal as they start: nothing in the process can
        # say so.
        return trial(place, tasks()[name], before=limit, says=says, may_die=what == "memory")

    return check


# -- a byte that flips -----------------------------------------------------------------------------------------------


def flips() -> Iterator[Variant]:
    """One byte of a landed file, a staged Parquet, the built warehouse, a release: at even places over the file."""
    for what, count in (("landed", 25), ("staged", 60), ("quarantine", 20), ("built", 25), ("audited", 25)):
        for n in range(count):
            yield Variant(f"{what}/{n}", _flipped(what, n, count))
    for what, count in (("base_warehouse", 12), ("release_file", 12)):
        for n in range(count):
            yield Variant(f"{what}/{n}", _flipped_release(what, n, count))


def flip(path: Path, n: int, count: int) -> None:
    """Changes one bit of the n-th of ``count`` evenly spread bytes of the file, the first and the last among them."""
    content = bytearray(path.read_bytes())
    at = every(range(len(content)), count)
    content[at[n % len(at)]] ^= 1 << (n % 8)
    mode = path.stat().st_mode
    path.chmod(mode | 0o200)
    path.write_bytes(content)
    path.chmod(mode)


def _flipped(what: str, n: int, count: int) -> Callable[[Workplace], Verdict]:
    task_name = {"landed": "load", "staged": "build", "quarantine": "build", "built": "audit", "audited": "publish"}[
        what
    ]

    def target(place: Workplace) -> Path:
        home = place.home
        if what == "landed":
            (attempt,) = Ledger(home).newest_delivery("platform_cases", "2022-07")
            return home.objects / str(attempt.sha256)
        if what in ("staged", "quarantine"):
            zone = home.staged if what == "staged" else home.quarantine
            return sorted(zone.rglob("*.parquet"))[-1]
        return home.runs / "run-2" / "warehouse.duckdb"

    def check(place: Workplace) -> Verdict:
        task = tasks()[task_name]
        # A run whose file is damaged is built again, a delivery whose file is damaged pulled again: plain re-runs.
        again = {"landed": tasks()["land"].again, "built": _anew, "audited": _anew}.get(what, task.again)
        if what == "landed":
            task = _with(task, again)
        elif what in ("built", "audited"):
            return _damaged_build(place, task, lambda: flip(target(place), n, count))
        return trial(place, task, damage=lambda _: flip(target(place), n, count), says=("damaged",))

    return check


def _with(task: Task, again: Callable[[Workplace], object]) -> Task:
    from dataclasses import replace

    return replace(task, again=again)


def _anew(place: Workplace) -> None:
    raise AssertionError("see _damaged_build")


def _damaged_build(place: Workplace, task: Task, damage: Callable[[], None]) -> Verdict:
    """The damaged build is refused and nothing is published; a new one takes too long to be made at every byte."""
    task.place(place)
    damage()
    ran = in_child(lambda: task.run(place), place.root / "log.txt")
    if ran.well or not ran.foreseen or not re.search("damaged|not the one that passed", ran.text):
        return Verdict(WRONG, f"a damaged build was not refused: {ran.error}: {ran.text[:200]}")
    from faults import invariants

    after = in_child(
        lambda: (
            invariants.i1_old_or_new(place.home, task.old["served"], task.old["served"])
            + invariants.i4_nothing_personal(place.root, place.home, task.secrets, ran.text)
            + invariants.i6_nothing_left(place.home)
        ),
        place.root / "again.txt",
    )
    wrong = after.result if after.well else [f"{after.error}: {after.text}"]
    return Verdict(WRONG, "; ".join(wrong)) if wrong else Verdict(REFUSE)


def _flipped_release(what: str, n: int, count: int) -> Callable[[Workplace], Verdict]:
    """A damaged release is noticed: by the next build (its database), by going back to it (any file of it)."""

    def check(place: Workplace) -> Verdict:
        tasks()["publish"].place(place)
        release = place.home.releases / "1"
        files = sorted(path for path in release.rglob("*") if path.is_file() and path.name != "manifest.json")
        path = release / "warehouse.duckdb" if what == "base_warehouse" else files[n * len(files) // count]
        flip(path, n, count)

        def noticed_by_build() -> None:
            import publishing

            publishing.build(place.home, ["2022-07"], "run-3")

        def noticed_by_rollback() -> None:
            import publishing

            publishing.publish(place.home, "run-2")
            publishing.rollback(place.home)

        outcomes = []
        for work in (noticed_by_build, noticed_by_rollback):
            if work is noticed_by_build and path.name != "warehouse.duckdb":
                continue
            ran = in_child(work, place.root / "log.txt")
            named = ran.foreseen and "damaged" in ran.text
            outcomes.append(Verdict(REFUSE) if named else Verdict(WRONG, f"not noticed: {ran.error} {ran.text[:200]}"))
        return all_of(*outcomes, Verdict(EXACT))

    return check
