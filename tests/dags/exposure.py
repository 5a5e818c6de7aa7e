"""What a running Airflow shows that it should not: each function returns the problems that it found, best none.

They look at the real processes, sockets, files and answers of one home; tests/dags/test_exposure.py shows each of them
finding something.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import socket
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx

from ops.client import AirflowClient
from ops.settings import AirflowHome
from tests.end_to_end.leaks import Finder

#: Logins that tools come with or people begin with.
DEFAULT_LOGINS = [
    (user, password)
    for user in ("admin", "airflow", "tongbao", "root", "user")
    for password in ("admin", "airflow", "tongbao", "password", "123456", user, "")
]


def processes_of(groups: Iterable[int]) -> list[int]:
    """Every process of these process groups."""
    wanted, found = set(groups), []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if os.getpgid(int(folder.name)) in wanted:
                    found.append(int(folder.name))
    return found


def open_to_the_network(groups: Iterable[int]) -> list[str]:
    """Addresses other than loopback on which a process of the groups listens."""
    sockets: dict[str, int] = {}
    for process in processes_of(groups):
        with contextlib.suppress(OSError):
            for entry in Path(f"/proc/{process}/fd").iterdir():
                with contextlib.suppress(OSError):
                    sockets[str(entry.readlink())] = process
    return [
        f"process {sockets[f'socket:[{inode}]']} listens on {address}:{port}"
        for address, port, inode in _listening()
        if f"socket:[{inode}]" in sockets and not ipaddress.ip_address(address).is_loopback
    ]


def _listening() -> Iterator[tuple[str, int, str]]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:] if Path(table).exists() else ():
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A":
                host, _, port = local.partition(":")
                words = struct.pack(f"={len(host) // 8}I", *(int(host[i : i + 8], 16) for i in range(0, len(host), 8)))
                family = socket.AF_INET if len(words) == 4 else socket.AF_INET6
                yield socket.inet_ntop(family, words).removeprefix("::ffff:"), int(port, 16), inode


def open_logins(url: str) -> list[str]:
    """Default logins that are let in, and pages that answer without one."""
    found = []
    with httpx.Client(base_url=url, trust_env=False) as http:
        for user, password in DEFAULT_LOGINS:
            if http.post("/auth/token", json={"username": user, "password": password}).is_success:
                found.append(f"{user}:{password} is let in")
        pages = ("/auth/token", "/auth/token/login", "/api/v2/dags", "/api/v2/config", "/api/v2/connections")
        return found + [f"{path} answers to anybody" for path in pages if http.get(path).is_success]


def shown_configuration(client: AirflowClient) -> list[str]:
    """The configuration, where the API gives it even to the administrator."""
    try:
        client.call("GET", "/config")
    except httpx.HTTPStatusError as error:
        return [] if error.response.status_code == httpx.codes.FORBIDDEN else [f"/config: {error}"]
    return ["/api/v2/config shows the configuration"]


def readable_by_others(airflow: AirflowHome) -> list[str]:
    """Folders and secret files of this Airflow whose mode lets others in."""
    modes = {airflow.root: 0o700, airflow.keys: 0o700, airflow.secrets: 0o600, airflow.passwords: 0o600}
    return [
        f"{path.name} has mode {path.stat().st_mode & 0o777:o}"
        for path, mode in modes.items()
        if path.stat().st_mode & 0o777 & ~mode
    ]


def told_in_clear(airflow: AirflowHome, groups: Iterable[int], secrets: Iterable[str]) -> list[str]:
    """Secrets in the metadata database, the logs or a process's arguments (its environment only its owner reads)."""
    wanted = [secret.encode() for secret in secrets]
    places = {
        path: path.read_bytes() for path in airflow.root.rglob("*") if path.is_file() and path != airflow.passwords
    }
    for process in processes_of(groups):
        with contextlib.suppress(OSError):
            places[Path(f"/proc/{process}/cmdline")] = Path(f"/proc/{process}/cmdline").read_bytes()
    return [f"{path}: a secret" for path, content in places.items() if any(secret in content for secret in wanted)]


def secrets_of(airflow: AirflowHome, connections: dict[str, str], home_key: str) -> set[str]:
    """Everything that must stay out of database, logs and arguments: Airflow's keys, passwords, the pseudonym key."""
    keys = set(json.loads(airflow.secrets.read_text()).values()) | {airflow.password(), home_key}
    return keys | {password for text in connections.values() if (password := json.loads(text).get("password"))}


def rows_of(airflow: AirflowHome) -> str:
    """Every value of Airflow's database as text: runs, their conf and notes, XCom, rendered fields, logs of actions."""
    with contextlib.closing(sqlite3.connect(f"file:{airflow.root / 'airflow.db'}?mode=ro", uri=True)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        values = (v for table in tables for row in connection.execute(f'SELECT * FROM "{table}"') for v in row)
        return "\n".join(v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values)


def personal_data(airflow: AirflowHome, finder: Finder) -> list[str]:
    """Planted secrets in Airflow's database, read row by row and as bytes, and in its logs."""
    found = [f"airflow.db: {hit}"] if (hit := finder.in_text(rows_of(airflow))) else []
    files = [path for path in airflow.root.rglob("*") if path.is_file()]
    hits = {path: finder.in_bytes(path.read_bytes()) or finder.in_text(str(path)) for path in files}
    return found + [f"{path.relative_to(airflow.root)}: {hit}" for path, hit in hits.items() if hit]


def let_through(client: AirflowClient, attempts: dict[str, tuple[str, str, dict[str, Any]]]) -> list[str]:
    """Requests with a personal number in them that Airflow did not refuse, or refused repeating it."""
    found = []
    for name, (method, path, body) in attempts.items():
        try:
            client.call(method, path, json=body)
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in (400, 413, 422):
                found.append(f"{name}: {error.response.status_code}")
        else:
            found.append(name)
    return found
