"""kill -9 at every change that a publication makes on disk: readers have old or new, and the next run converges."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ingestion.home import Home
from publishing import publish, releases
from tests.publishing.warehouses import hand_made_run

#: Audit events of the interpreter that change the disk; `open` counts where it is for writing.
_CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.symlink", "os.chmod", "os.link", "open"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def _in_child(root: Path, kill_at: int, work: Callable[[], Any]) -> tuple[int, int]:
    """Runs ``work`` in a forked child that kills itself before the ``kill_at``-th change under ``root`` (0: never).

    Returns the child's exit status (negative: the signal) and the changes it came to.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        count = 0

        def step() -> None:
            nonlocal count
            count += 1
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event not in _CHANGES or (event == "open" and not arguments[2] & _WRITING):
                return
            # A tree is removed by names relative to open folders: those come with the folder's descriptor.
            relative = event in ("os.remove", "os.rmdir") and arguments[-1] != -1
            if relative or str(arguments[0]).startswith(str(root)):
                step()

        sync = os.fsync

        def fsync(fd: int) -> None:
            step()
            sync(fd)

        os.fsync = fsync
        sys.addaudithook(hook)
        try:
            work()
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
        os.write(write, str(count).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        counted = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, int(counted or 0)


def _served(home: Home) -> tuple[int | None, float]:
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{home.current}/warehouse.duckdb' AS w (READ_ONLY)")
        rows = connection.execute(
            "SELECT DISTINCT t.value FROM w.marts.period_totals t JOIN w.marts.unit_scores s ON s.score = t.value"
        ).fetchall()
    assert len(rows) == 1
    return releases.served_number(home), rows[0][0]


@pytest.mark.slow
def test_killed_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Two kept: the publication also removes an old release, so that step is killed too.
    monkeypatch.setenv("TONGBAO_RELEASES_KEPT", "2")

    template = Home(tmp_path / "template")
    for version in (1, 2, 3):
        hand_made_run(template, f"run{version}", ["2022-07"], version=version)
        if version < 3:
            publish(template, f"run{version}")

    def prepared(name: str) -> Home:
        return Home(Path(shutil.copytree(template.root, tmp_path / name, symlinks=True)))

    home = prepared("whole")
    status, steps = _in_child(home.root, 0, partial(publish, home, "run3"))
    assert status == 0 and steps > 50
    assert _served(home) == (3, 3.0)
    reference = {name: file["sha256"] for name, file in releases.open_release(home, 3).manifest["files"].items()}

    swapped = []
    home = prepared("killed")
    for step in range(1, steps + 1):
        status, _ = _in_child(home.root, step, partial(publish, home, "run3"))
        assert status == -signal.SIGKILL, f"step {step}"
        number, value = _served(home)
        assert (number, value) in ((2, 2.0), (3, 3.0)), f"step {step}"
        releases.verify(releases.open_release(home, number or 0))
        if number == 3:
            # The swap was done: what is left is clearing away, for the next publisher. Start again from before.
            swapped.append(step)
            hand_made_run(home, "next", ["2022-07"], version=4)
            assert _in_child(home.root, 0, partial(publish, home, "next"))[0] == 0, f"step {step}"
            assert _served(home) == (4, 4.0)
            assert _leftovers(home) == [], f"step {step}"
            home = prepared(f"killed{step}")
    assert swapped and len(swapped) < steps // 2
    assert _in_child(home.root, 0, partial(publish, home, "run3"))[0] == 0
    assert _served(home) == (3, 3.0)
    assert _leftovers(home) == []
    again = {name: file["sha256"] for name, file in releases.open_release(home, 3).manifest["files"].items()}
    tables = {name for name in reference if name.startswith("tables/")}
    assert {name: again[name] for name in tables} == {name: reference[name] for name in tables}


def _leftovers(home: Home) -> list[str]:
    return [
        str(path) for path in home.published.rglob("*") if path.name.startswith(".") or path.suffix in (".tmp", ".wal")
    ]
