"""``python -m simulator serve`` and ``stop``: the whole of the three systems as one process."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ingestion.errors import SourceUnavailable
from ingestion.transports import Source

Connect = Callable[..., Source]


def simulator(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simulator", *map(str, words)], capture_output=True, text=True, timeout=30, check=False
    )


def connections(state: Path) -> dict[str, str]:
    lines = (shlex.split(line)[0] for line in (state / "connections.env").read_text().splitlines())
    return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("auth", ["password", "key"])
def test_started_served_stopped(exports: Path, tmp_path: Path, source: Connect, into: Path, auth: str) -> None:
    state = tmp_path / "state"
    begun = time.monotonic()
    started = simulator("serve", "--exports", exports, "--state", state, "--hotline-auth", auth, "--detach")
    try:
        assert started.returncode == 0, started.stderr
        assert time.monotonic() - begun < 5  # two cores shared with other tests; alone it is below one second
        assert stat.S_IMODE((state / "connections.env").stat().st_mode) == 0o600
        uris = connections(state)
        wanted = [("platform_cases", "PLATFORM", 1), ("hotline_calls", "HOTLINE", 1), ("cms_posts", "CMS", 2)]
        for dataset, name, files in wanted:
            assert len(source(uris[f"TONGBAO_{name}_URI"]).fetch(dataset, "2022-07", into)) == files
        assert simulator("serve", "--exports", exports, "--state", state).returncode != 0  # they run already
    finally:
        stopped = simulator("stop", "--state", state)
    assert stopped.returncode == 0, stopped.stderr
    assert [path.name for path in state.iterdir()] == ["servers.log"]
    assert (state / "servers.log").read_text() == ""
    with pytest.raises(SourceUnavailable):
        source(uris["TONGBAO_PLATFORM_URI"]).fetch("platform_cases", "2022-07", into)


def test_a_process_that_got_the_number_since_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "servers.pid").write_text(f"{os.getpid()} 1\n")
    assert simulator("stop", "--state", tmp_path).returncode == 0
    assert not list(tmp_path.iterdir())
