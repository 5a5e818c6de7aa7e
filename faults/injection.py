"""A fault at the n-th change of a task on disk, and the children that suffer it.

Where there is a C compiler, a small library (injector.c) is compiled and preloaded: it counts the calls of the C
library, so those of DuckDB, Arrow and SQLite too. Where there is none, audit hooks count what Python itself does;
``counted_by`` says which it is, and the card prints it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import hashlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults import material
from ingestion.errors import TongbaoError

SOURCE = Path(__file__).with_name("injector.c")

#: Kinds of changes, to be added up, and what happens at the n-th of them; both as in injector.c.
WRITE, RENAME, SYNC, CREATE, DELETE = 1, 2, 4, 8, 16
KINDS = (WRITE, RENAME, SYNC, CREATE, DELETE)
ANY = sum(KINDS)
COUNT, KILL, TEAR, ERROR_ONCE, ERROR_ON = range(5)

#: Audit events of the interpreter that change the disk, where the calls of C cannot be counted.
_EVENTS = {
    "os.rename": RENAME, "os.mkdir": CREATE, "os.symlink": CREATE, "os.link": CREATE, "open": CREATE,
    "os.remove": DELETE, "os.rmdir": DELETE, "os.truncate": DELETE,
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """What happens at the n-th change (from 1) of these kinds; an error may go on to the end of the task."""

    kinds: int
    n: int = 0
    action: int = COUNT
    error: int = errno.EIO


@dataclass
class Ran:
    """How a child ended: killed, with an error (its class, text and whole chain), or well with a result."""

    killed: bool = False
    timed_out: bool = False
    error: str | None = None
    text: str = ""
    #: The error is one that the project raises on purpose: it has a reason and an exit code of its own.
    foreseen: bool = False
    result: Any = None
    #: Changes counted, by kind.
    seen: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0
    peak_megabytes: float = 0.0
    exit_code: int = 0
    chain: str = field(default="", repr=False)

    @property
    def well(self) -> bool:
        return not (self.killed or self.timed_out or self.error)


def library() -> Path | None:
    """The compiled injector, made at the first call; None where there is no C compiler or no ELF to preload into."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None or not sys.platform.startswith("linux") or os.environ.get("FAULTS_WITHOUT_COMPILER"):
        return None
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    made = Path(tempfile.gettempdir(), f"faults-injector-{os.getuid()}-{digest}.so")
    if not made.exists():
        temporary = made.with_suffix(f".{os.getpid()}")
        command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(temporary), str(SOURCE), "-ldl"]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return None
        temporary.replace(made)
    return made


def preloaded_again(arguments: list[str]) -> None:
    """Starts this program once more with the injector preloaded; returns where it is already or cannot be."""
    if _injector() is not None or os.environ.get("FAULTS_PRELOADED"):
        return
    made = library()
    if made is None:
        return
    before = os.environ.get("LD_PRELOAD")
    env = {**os.environ, "LD_PRELOAD": f"{made}:{before}" if before else str(made), "FAULTS_PRELOADED": "1"}
    os.execve(sys.executable, [sys.executable, "-m", "faults", *arguments], env)  # noqa: S606 - ourselves


@functools.cache
def _injector() -> Any:
    loaded = ctypes.CDLL(None)
    try:
        loaded.faults_arm.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_long, ctypes.c_int, ctypes.c_int]
        loaded.faults_seen_of.restype = ctypes.c_long
    except AttributeError:
        return None
    return loaded


def counted_by() -> str:
    """How changes are counted here."""
    if _injector() is not None:
        return "calls of the C library (DuckDB, Arrow and SQLite among them)"
    return "audit hooks of Python only: no C compiler here, so the writes inside DuckDB, Arrow and SQLite are not cut"


class _Hooks:
    """The fallback: opens for writing, renames, removals and ``os.fsync`` of the interpreter."""

    def __init__(self, root: Path, fault: Fault) -> None:
        self.root, self.fault, self.seen, self.armed = str(root), fault, 0, True
        self.of_kind = dict.fromkeys(KINDS, 0)
        sync = os.fsync

        def fsync(fd: Any) -> None:
            self._step(SYNC)
            sync(fd)

        os.fsync = fsync
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        kind = _EVENTS.get(event)
        if kind is None or not self.armed:
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        # A tree is removed by names relative to open folders: those come with the folder's descriptor.
        relative = event in ("os.remove", "os.rmdir") and arguments[-1] != -1
        changed = arguments[1] if event in ("os.rename", "os.symlink", "os.link") else arguments[0]
        if relative or str(changed).startswith(self.root):
            # An open for writing stands for the writes that follow: they are not events.
            self._step(WRITE if event == "open" else kind)

    def _step(self, kind: int) -> None:
        if not kind & self.fault.kinds or not self.armed:
            return
        self.seen += 1
        self.of_kind[kind] += 1
        fault = self.fault
        if fault.action == COUNT or self.seen < fault.n or (self.seen > fault.n and fault.action != ERROR_ON):
            return
        if fault.action in (KILL, TEAR):
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(fault.error, os.strerror(fault.error))


def arm(root: Path, fault: Fault) -> Callable[[], dict[int, int]]:
    """Arms the fault for this process; the function returned disarms it and gives the changes counted by kind."""
    injector = _injector()
    if injector is None:
        hooks = _Hooks(root, fault)

        def disarm() -> dict[int, int]:
            hooks.armed = False
            return hooks.of_kind

        return disarm
    injector.faults_arm(os.fsencode(root), fault.kinds, fault.n, fault.action, fault.error)

    def stop() -> dict[int, int]:
        injector.faults_disarm()
        return {kind: int(injector.faults_seen_of(kind)) for kind in KINDS}

    return stop


def in_child(
    work: Callable[[], Any],
    log: Path,
    *,
    root: Path | None = None,
    fault: Fault | None = None,
    before: Callable[[], None] | None = None,
    patience: float = 240,
    wait: bool = True,
) -> Any:
    """Runs ``work`` in a forked child with its output in ``log``; the fault counts changes under ``root``.

    ``before`` runs in the child first (limits, another user). Gives how it ended, or with ``wait=False`` a function
    that waits for it.
    """
    read, write = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        # Whatever happens in the child, also without memory for its own last steps: it never goes on as the card.
        leave = os._exit
        try:
            os.close(read)
            _be_child(work, log, write, root, fault, before)
        finally:
            leave(70)
    os.close(write)

    def ended() -> Ran:
        return _ended(child, read, started, patience)

    return ended() if wait else ended


def _be_child(
    work: Callable[[], Any],
    log: Path,
    write: int,
    root: Path | None,
    fault: Fault | None,
    before: Callable[[], None] | None,
) -> None:
    """Never returns: the child's life."""
    told: dict[str, Any] = {}
    code = 1
    disarm: Callable[[], dict[int, int]] | None = None
    try:
        os.setpgid(0, 0)
        out = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o666)
        os.dup2(out, 1)
        os.dup2(out, 2)
        material.forget_adopted()
        if before:
            before()
        if fault and root:
            disarm = arm(root, fault)
        try:
            told["result"] = work()
        except BaseException as error:
            told |= {"error": type(error).__name__, "text": str(error)[:2000], "foreseen": _foreseen(error)}
            told["chain"] = "".join(traceback.format_exception(error))[-20_000:]
        told["seen"] = disarm() if disarm else {}
        code = 1 if told.get("error") else 0
        content = json.dumps(told, default=str).encode()
        while content:
            content = content[os.write(write, content) :]
    finally:
        os._exit(code)


def _foreseen(error: BaseException) -> bool:
    return isinstance(error, TongbaoError)


def _ended(child: int, read: int, started: float, patience: float) -> Ran:
    """Reads what the child tells, and ends it with what it started where it takes too long."""
    timed_out = False
    os.set_blocking(read, False)
    pieces: list[bytes] = []
    while True:
        left = started + patience - time.monotonic()
        if left <= 0 or not select.select([read], [], [], left)[0]:
            timed_out = True
            break
        piece = os.read(read, 65536)
        if not piece:
            break
        pieces.append(piece)
    os.close(read)
    if timed_out:
        os.kill(child, signal.SIGKILL)
    _, status, used = os.wait4(child, 0)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(status)
    try:
        told = json.loads(b"".join(pieces) or b"{}")
    except ValueError:
        told = {}
    return Ran(
        killed=code == -signal.SIGKILL and not timed_out,
        timed_out=timed_out,
        error=told.get("error") or (None if code in (0, -signal.SIGKILL) else f"exit code {code}"),
        text=told.get("text", ""),
        foreseen=told.get("foreseen", False),
        result=told.get("result"),
        seen={int(kind): count for kind, count in told.get("seen", {}).items()},
        seconds=time.monotonic() - started,
        peak_megabytes=used.ru_maxrss / 1024,
        exit_code=code,
        chain=told.get("chain", ""),
    )
