"""Starts and stops the demo's Airflow: api-server, scheduler and dag-processor, each in a process group of its own.

``airflow standalone`` is not used: stopped by anything but SIGINT it leaves its children behind, and it starts a
triggerer that nothing here needs.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from ingestion.home import PROJECT, Home
from ops.client import AirflowClient
from ops.settings import AirflowHome, environment, free_port

COMPONENTS = {
    "api-server": ["airflow", "api-server"],
    "scheduler": ["ops.scheduler", "scheduler", "--skip-serve-logs"],
    "dag-processor": ["airflow", "dag-processor"],
}
START_SECONDS = 120


class RunFailed(Exception):
    """The run cannot go on; the message is for the person who started it."""


class Airflow:
    """One home's running Airflow. Use :func:`running`; `client` speaks to it."""

    def __init__(self, home: Home, connections: dict[str, str], *, dags: Path = PROJECT / "dags") -> None:
        self.home = AirflowHome.of(home)
        self.home.prepare()
        self.port = free_port()
        self.env = environment(home, self.port, connections, dags=dags)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.client = AirflowClient(f"http://127.0.0.1:{self.port}", self.home.password())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Migrate the metadata database, start the components, wait until all are healthy; raises RunFailed."""
        self._command("db", "migrate")
        for name, command in COMPONENTS.items():
            with (self.home.logs / f"{name}.log").open("ab") as output:
                self.processes[name] = subprocess.Popen(
                    [sys.executable, "-m", *command],
                    env=self.env,
                    cwd=self.home.root,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        groups = {name: process.pid for name, process in self.processes.items()}
        self.home.processes.write_text(json.dumps({"owner": os.getpid(), "port": self.port, "groups": groups}))
        self._wait_healthy()
        self.client.ensure_pool("warehouse", slots=1)

    def stop(self) -> None:
        """End every process that was started, children included; safe to call twice."""
        stop_groups([process.pid for process in self.processes.values()])
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)
        self.processes = {}
        self.client.close()
        self.home.processes.unlink(missing_ok=True)

    def check(self) -> None:
        """Raise RunFailed when a component has ended by itself."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise RunFailed(f"Airflow's {name} ended with code {process.returncode}: {self._last_lines(name)}")

    def _command(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self.env,
            cwd=self.home.root,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RunFailed(f"airflow {' '.join(arguments)} failed: {done.stderr.strip()[-800:]}")

    def _wait_healthy(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self.check()
            with contextlib.suppress(httpx.HTTPError):
                if self.client.healthy():
                    return
            time.sleep(0.3)
        raise RunFailed(f"Airflow was not healthy after {START_SECONDS} s; its logs: {self.home.logs}")

    def _last_lines(self, name: str) -> str:
        lines = (self.home.logs / f"{name}.log").read_text(errors="replace").splitlines()
        return " | ".join(lines[-5:])


def stop_groups(groups: list[int], *, grace_seconds: float = 15) -> None:
    """Stop process groups: SIGINT, then SIGTERM at half the grace, then SIGKILL."""
    started = time.monotonic()
    for number, after in ((signal.SIGINT, 0.0), (signal.SIGTERM, grace_seconds / 2), (signal.SIGKILL, grace_seconds)):
        while (remaining := _alive(groups)) and time.monotonic() - started < after:
            time.sleep(0.1)
        for group in remaining:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)


def _alive(groups: list[int]) -> list[int]:
    """The groups that still have a process which is not a zombie of ours."""
    alive = []
    for group in groups:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(group, os.WNOHANG)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, 0)
            alive.append(group)
    return alive


@contextlib.contextmanager
def home_lock(home: Home) -> Iterator[None]:
    """One runtime a home at a time; raises RunFailed when another has it. The lock ends with the process."""
    airflow = AirflowHome.of(home)
    airflow.prepare()
    with airflow.lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunFailed(
                f"another run or web server uses {home.root}; wait, `make stop`, or set TONGBAO_HOME"
            ) from None
        stop_leftovers(home)
        yield


def request_stop(home: Home) -> bool:
    """Ask whoever runs this home's Airflow to stop it, and wait; stop it here when nobody does. True where it ran."""
    recorded = AirflowHome.of(home).processes
    if not recorded.exists():
        return False
    owner = json.loads(recorded.read_text())["owner"]
    if Path(f"/proc/{owner}/cmdline").exists() and b"ops" in Path(f"/proc/{owner}/cmdline").read_bytes():
        os.kill(owner, signal.SIGTERM)
        deadline = time.monotonic() + 60
        while recorded.exists() and time.monotonic() < deadline:
            time.sleep(0.2)
    stop_leftovers(home)
    return True


def stop_leftovers(home: Home) -> bool:
    """Stop what a killed run of this home left running; True where there was something."""
    recorded = AirflowHome.of(home).processes
    if not recorded.exists():
        return False
    groups = [pid for pid in json.loads(recorded.read_text())["groups"].values() if _is_ours(pid, home)]
    stop_groups(groups)
    recorded.unlink(missing_ok=True)
    return bool(groups)


def _is_ours(pid: int, home: Home) -> bool:
    """Whether this process id still is an Airflow of this home (ids are reused)."""
    try:
        return f"TONGBAO_HOME={home.root}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


@contextlib.contextmanager
def running(home: Home, connections: dict[str, str], *, dags: Path = PROJECT / "dags") -> Iterator[Airflow]:
    """A healthy Airflow for this home, stopped with all its children on the way out, whatever happens."""
    with home_lock(home):
        airflow = Airflow(home, connections, dags=dags)
        try:
            airflow.start()
            yield airflow
        finally:
            # A second Ctrl-C must not leave half of the processes behind.
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)
            airflow.stop()
            signal.signal(signal.SIGINT, before)
