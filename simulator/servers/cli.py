"""``serve`` and ``stop``: the three source systems as one process, ready when its connections file is written."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import click

CONNECTIONS = "connections.env"
PID_FILE = "servers.pid"
LOG = "servers.log"

_state = click.option(
    "--state", type=click.Path(path_type=Path, file_okay=False), required=True,
    help="Folder for the connections, secrets and process id of the servers.",
)  # fmt: skip


@click.command()
@click.option("--exports", type=click.Path(path_type=Path, exists=True, file_okay=False), required=True,
              help="Folder <system>/<dataset>/<YYYY-MM>/<files> to deliver.")  # fmt: skip
@_state
@click.option("--platform-port", default=0, show_default="a free one", help="Port of the platform's API.")
@click.option("--hotline-port", default=0, show_default="a free one", help="Port of the hotline's SFTP drop.")
@click.option("--hotline-auth", type=click.Choice(["password", "key"]), default="password", show_default=True)
@click.option("--faults", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="JSON list of faults to commit; see simulator.servers.faults.Fault.")  # fmt: skip
@click.option("--detach", is_flag=True, help="Return when the servers answer and leave them running.")
def serve(
    exports: Path,
    state: Path,
    platform_port: int,
    hotline_port: int,
    hotline_auth: str,
    faults: Path | None,
    detach: bool,
) -> None:
    """Serve a folder of exports as platform API, hotline SFTP drop and CMS folder, on loopback only.

    Passwords, token and keys are new at every start. connections.env in the state folder (mode 0600) has the URIs:
    TONGBAO_PLATFORM_URI, TONGBAO_HOTLINE_URI, TONGBAO_CMS_URI. It is there when the servers answer.
    """
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    if _running(state):
        raise click.ClickException(f"servers already run for {state}; stop them first")
    (state / CONNECTIONS).unlink(missing_ok=True)
    if detach:
        _detach(state)
    else:
        asyncio.run(_serve(exports.absolute(), state, platform_port, hotline_port, hotline_auth, faults))


@click.command()
@_state
def stop(state: Path) -> None:
    """Stop the servers of a state folder and remove their secrets; no error where none run."""
    pid = _running(state)
    if pid is None:
        click.echo("no servers run here")
    else:
        os.kill(pid, signal.SIGTERM)
        for _ in range(500):
            if _running(state) is None:
                break
            time.sleep(0.01)
        else:
            raise click.ClickException(f"process {pid} did not end")
        click.echo("servers stopped")
    _tidy(state)


async def _serve(
    exports: Path, state: Path, platform_port: int, hotline_port: int, hotline_auth: str, faults_file: Path | None
) -> None:
    import asyncssh

    from simulator.servers.faults import Faults
    from simulator.servers.hotline import USER, host_key_option, start_hotline
    from simulator.servers.platform import platform_app, served_port, uvicorn_server

    faults = Faults.read(faults_file) if faults_file else Faults()
    token, password = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    client_key = asyncssh.generate_private_key("ssh-ed25519") if hotline_auth == "key" else None
    acceptor = await start_hotline(
        exports, host_key, password=None if client_key else password, key=client_key, faults=faults, port=hotline_port
    )
    server = uvicorn_server(platform_app(exports, token, faults), platform_port)
    api = asyncio.create_task(server.serve())
    while not server.started and not api.done():
        await asyncio.sleep(0.005)
    if api.done():
        raise click.ClickException("the platform's port is taken")

    options = f"host_key={host_key_option(host_key)}"
    if client_key:
        _write_private(state / "hotline_key", client_key.export_private_key("openssh").decode())
        options += f"&key_file={quote(str((state / 'hotline_key').absolute()), safe='')}"
    login = USER if client_key else f"{USER}:{password}"
    _write_private(state / PID_FILE, f"{os.getpid()} {_started(os.getpid())}\n")
    _write_private(
        state / CONNECTIONS,
        f"TONGBAO_PLATFORM_URI='http://:{token}@127.0.0.1:{served_port(server)}'\n"
        f"TONGBAO_HOTLINE_URI='sftp://{login}@127.0.0.1:{acceptor.get_port()}/?{options}'\n"
        f"TONGBAO_CMS_URI='file://{quote(str(exports))}'\n",
    )
    try:
        await api  # until SIGTERM or SIGINT, which uvicorn catches
    finally:
        acceptor.close()
        _tidy(state)


def _detach(state: Path) -> None:
    """Start the same command in a session of its own and wait until it is ready."""
    again = [sys.executable, "-m", "simulator", *(word for word in sys.argv[1:] if word != "--detach")]
    with (state / LOG).open("wb") as log:
        process = subprocess.Popen(again, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    for _ in range(1000):
        if (state / CONNECTIONS).exists():
            click.echo(f"servers run (process {process.pid}); connections in {state / CONNECTIONS}")
            return
        if process.poll() is not None:
            break
        time.sleep(0.01)
    process.kill()
    raise click.ClickException(f"the servers did not start; see {state / LOG}")


def _write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 so that it appears whole."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
    fresh.replace(path)


def _tidy(state: Path) -> None:
    for name in (CONNECTIONS, PID_FILE, "hotline_key"):
        (state / name).unlink(missing_ok=True)


def _started(pid: int) -> str:
    """When a process began, in clock ticks since boot; empty for one that is gone or has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _running(state: Path) -> int | None:
    """The process id of the servers of this folder: a number that another process has got since does not count."""
    try:
        pid, started = (state / PID_FILE).read_text().split()
    except (OSError, ValueError):
        return None
    return int(pid) if started == _started(int(pid)) else None
