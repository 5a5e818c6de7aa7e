"""``python -m ops.container``: one process of a deployment in containers (docker-compose.yml), with its settings.

Passwords and keys come from files: those that compose mounts (``TONGBAO_SECRETS``, default /run/secrets) and those that
``init`` makes once in the state's volume. None is in the compose file, an image, or an environment that it shows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import click
import httpx

from ingestion.home import Home
from ops import connections
from ops.settings import AirflowHome, environment

#: Process -> what it runs. All have the same image; the scheduler also runs the tasks (LocalExecutor).
COMPONENTS = {
    "api-server": ["airflow", "api-server"],
    "scheduler": ["ops.scheduler", "scheduler", "--skip-serve-logs"],
    "dag-processor": ["airflow", "dag-processor"],
    "triggerer": ["airflow", "triggerer", "--skip-serve-logs"],
}

_BACKEND = "airflow.secrets.local_filesystem.LocalFilesystemBackend"


def secret(name: str) -> str | None:
    """Content of a mounted secret, without the newline that editors add; None where it is absent or empty."""
    path = Path(os.environ.get("TONGBAO_SECRETS", "/run/secrets")) / name
    return (path.read_text(encoding="utf-8").strip() or None) if path.is_file() else None


def container_environment(home: Home) -> dict[str, str]:
    """The environment of each process of the deployment, made of ``TONGBAO_*`` variables and mounted secrets."""
    given = os.environ
    port = int(given.get("TONGBAO_API_PORT", "8080"))
    env = environment(
        home,
        port,
        {},
        database=with_password(given["TONGBAO_AIRFLOW_DATABASE"], secret("airflow_db_password")),
        listen=given.get("TONGBAO_API_LISTEN", "0.0.0.0"),  # noqa: S104 inside a container; compose publishes loopback
        url=given.get("TONGBAO_API_URL", f"http://api-server:{port}"),
        web_url=given.get("TONGBAO_WEB_URL"),
    )
    env["AIRFLOW__SECRETS__BACKEND"] = _BACKEND
    env["AIRFLOW__SECRETS__BACKEND_KWARGS"] = json.dumps(
        {"connections_file_path": str(AirflowHome.of(home).connections)}
    )
    env["AIRFLOW__CORE__PARALLELISM"] = given.get("TONGBAO_PARALLELISM", "2")
    # Secrets of the tasks: they are forked from the scheduler.
    if mirror := given.get("TONGBAO_POSTGRES"):
        env["TONGBAO_POSTGRES"] = with_password(mirror, secret("mirror_db_password"))
    if key := secret("pii_key"):
        env["TONGBAO_PII_KEY"] = key
    return env


def with_password(uri: str, password: str | None) -> str:
    """The URI with the password put in; unchanged without one."""
    from sqlalchemy.engine import make_url

    return make_url(uri).set(password=password).render_as_string(hide_password=False) if password else uri


@click.group()
def main() -> None:
    """One process of the deployment; see docs/deployment.md."""


@main.command()
def init() -> None:
    """Make keys and connections where they are missing, migrate the metadata database, make the writer's pool."""
    home = Home.from_env()
    airflow = AirflowHome.of(home)
    airflow.prepare()
    mounted = Path(os.environ.get("TONGBAO_SECRETS", "/run/secrets")) / "sources"
    if secret("sources"):
        connections.write_file(airflow.connections, connections.of_file(mounted))
    elif not airflow.connections.exists():
        connections.write_file(airflow.connections, {})
    env = container_environment(home)
    for command in (["db", "migrate"], ["pools", "set", "warehouse", "1", "one writer of the warehouse"]):
        subprocess.run([sys.executable, "-m", "airflow", *command], env=env, check=True)
    click.echo(f"initialised; the web password of user tongbao is in {airflow.passwords}")


@main.command()
@click.argument("component", type=click.Choice(sorted(COMPONENTS)))
def run(component: str) -> None:
    """Become one of Airflow's processes."""
    home = Home.from_env()
    env = container_environment(home)
    os.chdir(home.root)
    os.execve(  # noqa: S606 becoming the process is the point
        sys.executable, [sys.executable, "-m", *COMPONENTS[component]], env
    )


@main.command()
@click.argument("component", type=click.Choice(sorted(COMPONENTS)))
def health(component: str) -> None:
    """Exit 0 where Airflow reports this process healthy, by its heartbeat: the container's health check."""
    url = os.environ.get("TONGBAO_API_URL", "http://api-server:8080")
    parts = httpx.get(f"{url}/api/v2/monitor/health", timeout=10, trust_env=False).raise_for_status().json()
    part = {"api-server": "metadatabase"}.get(component, component.replace("-", "_"))
    sys.exit(0 if parts[part]["status"] == "healthy" else 1)


@main.command()
@click.option("--scenario", default="notice", show_default=True)
@click.option("--seed", default=2022, show_default=True)
def sources(scenario: str, seed: int) -> None:
    """The three simulated systems of the demo, and the connections to them, until the container stops."""
    from rich.console import Console

    from ops.sources import generate, served

    home = Home.from_env()
    with served(home, generate(home, scenario, seed, Console())) as uris:
        connections.write_file(AirflowHome.of(home).connections, uris)
        click.echo("the platform, the hotline and the CMS are served")
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main(prog_name="python -m ops.container")
