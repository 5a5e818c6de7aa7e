"""DuckDB within bounds: how much memory an engine may use, and the folder that it spills to beyond that.

Settings, read when used: ``TONGBAO_ENGINE_MEMORY`` (``900MiB``, ``2GiB``; default a quarter of the memory that this
process may use, since two tasks run at a time and each has Python and Arrow beside its engine), ``TONGBAO_SPILL``
(default ``spill/`` in the home; as large as the largest month's rows, and not on a file system in memory) and
``TONGBAO_ENGINE_THREADS`` (default the cores of the machine; a region's processes share them).
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from ingestion.durable import is_running
from ingestion.errors import BadParameter
from ingestion.home import Home

THREADS_VARIABLE = "TONGBAO_ENGINE_THREADS"

#: The least that a build of a county runs in.
_LEAST_MIB = 512

_CGROUP = Path("/sys/fs/cgroup/memory.max")
_number = itertools.count()


def memory_mib() -> int:
    """MiB that one engine may use; raises BadParameter where the setting is no amount of memory."""
    text = os.environ.get("TONGBAO_ENGINE_MEMORY", "").strip()
    if not text:
        return max(_LEAST_MIB, _machine_mib() // 4)
    found = re.fullmatch(r"([0-9]{1,6}) ?(MiB|GiB)", text)
    if not found or int(found[1]) < 1:
        raise BadParameter("TONGBAO_ENGINE_MEMORY must be a whole number of MiB or GiB, such as 2GiB")
    return int(found[1]) * (1024 if found[2] == "GiB" else 1)


def _threads() -> str:
    """How many threads an engine has; empty where nothing is set."""
    text = os.environ.get(THREADS_VARIABLE, "").strip()
    if text and not re.fullmatch(r"[1-9][0-9]{0,2}", text):
        raise BadParameter(f"{THREADS_VARIABLE} must be a whole number of threads from 1 on")
    return text


def _machine_mib() -> int:
    """Memory of the machine, or of the container where that is less."""
    mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    try:
        limit = _CGROUP.read_text().strip()
    except OSError:
        return mib
    return min(mib, int(limit) >> 20) if limit.isdigit() else mib


def spill_folder() -> Path:
    """Where engines put what does not fit into their memory."""
    named = os.environ.get("TONGBAO_SPILL", "").strip()
    return (Path(named).expanduser() if named else Home.from_env().root / "spill").absolute()


def bounds(warehouse: Path | str = ":memory:") -> dict[str, str]:
    """DuckDB's settings for the engine of this file, or for one in memory.

    Its folder is made when it spills and goes with it. A file has one folder a process, since its connections share an
    engine; engines in memory have one each.
    """
    folder, process = spill_folder(), os.getpid()
    folder.mkdir(parents=True, exist_ok=True)  # DuckDB makes the folder in it, and no more
    _sweep(folder, process)
    name = f"memory-{next(_number)}"
    if str(warehouse) != ":memory:":
        name = "file-" + hashlib.sha256(str(Path(warehouse).absolute()).encode()).hexdigest()[:12]
    settings = {"memory_limit": f"{memory_mib()}MiB", "temp_directory": str(folder / f"{process}-{name}")}
    if threads := _threads():
        settings["threads"] = threads
    return settings


@cache
def _sweep(folder: Path, process: int) -> None:
    """Takes away, once a process, what killed ones have left, one of the same number before it among them."""
    for left in folder.glob("*-*-*"):
        number = left.name.partition("-")[0]
        if number == str(process) or not is_running(number):
            shutil.rmtree(left, ignore_errors=True)


def connect(warehouse: Path | str = ":memory:", *, read_only: bool = False, **config: Any) -> duckdb.DuckDBPyConnection:
    """A connection within the bounds; ``config`` are further settings of DuckDB."""
    return duckdb.connect(str(warehouse), read_only=read_only, config={**bounds(warehouse), **config})


@contextmanager
def at_hand(warehouse: Path) -> Iterator[None]:
    """Keeps the engine of a finished file up inside: whoever connects to it to read joins it, and starts none anew.

    A file that cannot be opened is for those to tell.
    """
    with ExitStack() as held:
        with suppress(duckdb.Error):
            held.enter_context(connect(warehouse, read_only=True))
        yield


def shared(script: str = "", **config: Any) -> duckdb.DuckDBPyConnection:
    """A connection of its own to this process's engine in memory with these settings, which has run ``script`` once.

    To start an engine takes longer than most of what is asked of it. Close the connection to let go of what it holds:
    make only temporary things with it.
    """
    return _started(os.getpid(), memory_mib(), spill_folder(), script, **config).cursor()


@cache
def _started(_process: int, _memory: int, _folder: Path, script: str, **config: Any) -> duckdb.DuckDBPyConnection:
    # By process: an engine does not survive a fork.
    engine = connect(**config)
    if script:
        engine.execute(script)
    return engine
