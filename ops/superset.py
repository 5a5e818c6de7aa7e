"""``make superset``: a real Superset for this home, on loopback, with the dashboards of ``bi/superset/assets``.

Superset has an environment of its own (requirements/superset.txt); settings and start are those of the container
(deploy/superset). Its state is ``$TONGBAO_HOME/superset``, its secrets are made once and lie with the other keys.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
from psycopg.conninfo import conninfo_to_dict
from rich.console import Console

from ingestion.errors import BadParameter
from ingestion.home import PROJECT, Home
from ops.runtime import RunFailed, stop_groups
from ops.settings import free_port, write_private
from publishing import settings

USER = "tongbao"
#: Seconds from the start to the first healthy answer on a busy machine.
START_SECONDS = 240

_DEPLOY = PROJECT / "deploy" / "superset"
_ASSETS = PROJECT / "bi" / "superset" / "assets"


def python() -> Path:
    """The Python of Superset's environment (``TONGBAO_SUPERSET_VENV``, default var/superset-venv); may not be there."""
    return Path(os.environ.get("TONGBAO_SUPERSET_VENV") or PROJECT / "var" / "superset-venv") / "bin" / "python"


def warehouse(home: Home, backend: str) -> str:
    """Where the dashboards read, as an SQLAlchemy address: the served DuckDB file, or the mirror as its reader.

    Raises BadParameter for another back end, for one that has nothing to show, or where no mirror is set. The reader's
    password is libpq's business (``PGPASSFILE``), as for every other client.
    """
    if backend == "duckdb":
        if not home.current.exists():
            raise BadParameter(f"nothing is published in {home.root} yet: `make run` first")
        return f"duckdb:///{quote(str(home.current / 'warehouse.duckdb'))}"
    if backend != "postgres":
        raise BadParameter(f"BACKEND is duckdb or postgres, not {backend}")
    mirror = settings.postgres()
    if mirror is None:
        raise BadParameter("no mirror is set; TONGBAO_POSTGRES names its database, e.g. postgresql://host/warehouse")
    place = {key: str(value) for key, value in conninfo_to_dict(mirror).items() if key not in ("user", "password")}
    database = place.pop("dbname", "")
    more = f"?{urlencode(place)}" if place else ""
    return f"postgresql+psycopg2://{settings.mirror_reader()}@/{quote(database)}{more}"


def environment(home: Home, address: str, port: int) -> dict[str, str]:
    """The environment of Superset's processes; makes the folder and the secrets where they are not there yet."""
    root, keys = home.root / "superset", home.keys / "superset"
    for folder in (root, home.keys, keys):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
    for name in ("superset_secret_key", "superset_admin_password"):
        if not (keys / name).exists():
            write_private(keys / name, secrets.token_urlsafe(32))
    # The project's packages and another Superset's settings are nothing to this one.
    dropped = ("SUPERSET", "FLASK", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {
        "SUPERSET_CONFIG_PATH": str(_DEPLOY / "superset_config.py"),
        "SUPERSET_HOME": str(root),
        "SUPERSET_DATABASE": f"sqlite:///{root / 'superset.db'}?timeout=30",
        "SUPERSET_ASSETS": str(_ASSETS),
        "SUPERSET_WAREHOUSE": address,
        "SUPERSET_BIND": f"127.0.0.1:{port}",
        "TONGBAO_SECRETS": str(keys),
        "NO_PROXY": "127.0.0.1,localhost",
    }


class Superset:
    """A running Superset: where it is, and the password of its one user."""

    def __init__(self, home: Home, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.log = home.root / "superset" / "superset.log"
        self.password_file = home.keys / "superset" / "superset_admin_password"


@contextlib.contextmanager
def running(home: Home, address: str, *, port: int | None = None) -> Iterator[Superset]:
    """A healthy Superset whose dashboards read at ``address``; ended with all its processes on the way out.

    Raises RunFailed where its environment is missing, it cannot be prepared, or it does not get healthy.
    """
    if not python().exists():
        raise RunFailed(f"Superset is not installed ({python()} is missing): `make superset` installs it")
    port = port or free_port()
    env = environment(home, address, port)
    superset = Superset(home, port)
    with superset.log.open("ab") as output:
        command = [str(python()), str(_DEPLOY / "prepare.py")]
        if subprocess.run(command, env=env, stdout=output, stderr=subprocess.STDOUT, check=False).returncode:
            raise RunFailed(f"Superset could not be prepared; its log: {superset.log}")
        process = subprocess.Popen(
            [str(python()), "-m", "gunicorn", "--config", str(_DEPLOY / "gunicorn.conf.py")],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_healthy(superset, process)
        yield superset
    finally:
        stop_groups([process.pid])
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)


def _wait_healthy(superset: Superset, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{superset.url}/health", timeout=5).is_success:
                return
        time.sleep(0.3)
    raise RunFailed(f"Superset did not get healthy; its log: {superset.log}")


def serve(home: Home, backend: str, port: int | None, console: Console) -> None:
    """Superset until Ctrl-C; raises RunFailed, BadParameter."""
    address = warehouse(home, backend)
    console.print("preparing Superset: its own database, the dashboards …")
    with running(home, address, port=port) as superset:
        console.print(f"\npages     {superset.url}/dashboard/list/\nuser      {USER}")
        console.print(f"password  in {superset.password_file}\nreads     {backend}\nstop      Ctrl-C", end="\n\n")
        while httpx.get(f"{superset.url}/health", timeout=60).is_success:
            time.sleep(5)
        raise RunFailed(f"Superset ended; its log: {superset.log}")
