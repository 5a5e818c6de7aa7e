"""Where a run's exports come from: the simulated systems (generated and served here), or a folder that is given."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from rich.console import Console

from ingestion import transports
from ingestion.contracts import SYSTEMS
from ingestion.home import PROJECT, Home
from ops import connections
from ops.runtime import RunFailed, stop_groups

START_SECONDS = 60

#: The notice reports July and August 2022; two months before them are its past.
MONTHS = "2022-05..2022-08"


def delivered_months(exports: Path) -> dict[str, set[str]]:
    """The months each dataset has in an exports folder."""
    source = transports.connect(f"file://{quote(str(exports.resolve()))}")
    return {dataset: set(source.months(dataset) or []) for datasets in SYSTEMS.values() for dataset in datasets}


def generate(home: Home, scenario: str, seed: int, console: Console) -> Path:
    """The generated exports of a scenario under the home; made once for each scenario and seed."""
    exports = home.root / "exports" / f"{scenario}-{seed}"
    if (exports / ".complete").exists():
        return exports
    console.print(f"generating the exports of scenario {scenario!r} (seed {seed}) …")
    arguments = ["generate", "--scenario", scenario, "--seed", str(seed), "--months", MONTHS, "--out", str(exports)]
    exports.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([sys.executable, "-m", "simulator", *arguments], cwd=PROJECT, check=False)
    if done.returncode:
        raise RunFailed(f"the simulator could not generate scenario {scenario!r} (exit code {done.returncode})")
    (exports / ".complete").touch()
    return exports


@contextlib.contextmanager
def served(home: Home, exports: Path) -> Iterator[dict[str, str]]:
    """The three simulated systems on loopback; gives the Airflow connections to them and stops them at the end."""
    state = home.root / "simulator"
    state.mkdir(parents=True, exist_ok=True)
    told = state / "connections.env"
    told.unlink(missing_ok=True)
    command = [sys.executable, "-m", "simulator", "serve", "--exports", str(exports), "--state", str(state)]
    with (state / "serve.log").open("ab") as log:
        server = subprocess.Popen(
            command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not told.exists():
            if server.poll() or time.monotonic() > deadline:
                raise RunFailed(f"the simulated systems did not start; see {state / 'serve.log'}")
            time.sleep(0.1)
        yield connections.of_file(told)
    finally:
        stop_groups([server.pid])
        told.unlink(missing_ok=True)
