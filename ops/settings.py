"""The demo's Airflow in one place: where it lives, its secrets, its settings as environment variables.

Everything lies under ``$TONGBAO_HOME/airflow``, so that several homes run side by side. A deployment that has its own
Airflow needs none of this but the DAGs folder, the plugins folder ``ops/airflow_plugins``, ``PYTHONPATH``, the pool
``warehouse`` and the three connections.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path

from ingestion.home import PROJECT, Home
from lineage import namespace, transport

USER = "tongbao"


@dataclass(frozen=True)
class AirflowHome:
    """The folder of one home's Airflow and the files in it."""

    root: Path
    keys: Path

    @classmethod
    def of(cls, home: Home) -> AirflowHome:
        return cls(home.root / "airflow", home.keys)

    @property
    def secrets(self) -> Path:
        """Fernet, JWT and session keys, made once; mode 0600. Apart from the database, which a copy of
        ``airflow/`` would take along."""
        return self.keys / "airflow.json"

    @property
    def passwords(self) -> Path:
        """The web user's generated password as Airflow's simple auth manager reads it; mode 0600."""
        return self.root / "passwords.json"

    @property
    def processes(self) -> Path:
        """What is running now: port and process groups; absent when nothing is."""
        return self.root / "processes.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def connections(self) -> Path:
        """Connections of a deployment in containers, read at each use; mode 0600."""
        return self.root / "connections.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def password(self) -> str:
        return str(json.loads(self.passwords.read_text())[USER])

    def prepare(self) -> None:
        """Make the folder, the keys and the password where they are not there yet."""
        for folder in (self.root, self.keys):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.chmod(0o700)
        self.logs.mkdir(exist_ok=True)
        if not self.secrets.exists():
            keys = {
                "fernet": urlsafe_b64encode(os.urandom(32)).decode(),
                "jwt": secrets.token_urlsafe(48),
                "session": secrets.token_urlsafe(32),
            }
            write_private(self.secrets, json.dumps(keys))
        if not self.passwords.exists():
            write_private(self.passwords, json.dumps({USER: secrets.token_urlsafe(16)}))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)


def free_port() -> int:
    """A port of the loopback address that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(
    home: Home,
    port: int,
    connections: dict[str, str],
    *,
    dags: Path = PROJECT / "dags",
    database: str | None = None,
    listen: str = "127.0.0.1",
    url: str | None = None,
    web_url: str | None = None,
) -> dict[str, str]:
    """The environment of every Airflow process of this home.

    `database` is the metadata database's SQLAlchemy URI (default: SQLite in the home), `listen` the address that the
    web pages are served on, `url` where the other processes and `web_url` where people reach them.

    `connections` maps a connection id (``tongbao_platform``) to its URI. Inherited ``AIRFLOW*`` variables are dropped:
    the run must not depend on the caller's own Airflow.
    """
    airflow = AirflowHome.of(home)
    keys = json.loads(airflow.secrets.read_text())
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW") and k != "PYTHONDONTWRITEBYTECODE"}
    url = url or f"http://127.0.0.1:{port}"
    database = database or f"sqlite:///{airflow.root / 'airflow.db'}"
    settings: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": dags,
            "load_examples": False,
            "executor": "LocalExecutor",
            "parallelism": 2,
            "max_active_tasks_per_dag": 4,
            "dags_are_paused_at_creation": False,
            "fernet_key": keys["fernet"],
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": airflow.passwords,
            "simple_auth_manager_all_admins": False,
            "plugins_folder": PROJECT / "ops" / "airflow_plugins",
            "execution_api_server_url": f"{url}/execution/",
            "test_connection": "Disabled",
            "default_timezone": "Asia/Shanghai",
        },
        "database": {"sql_alchemy_conn": database},
        "api": {
            "host": listen,
            "port": port,
            "workers": 1,
            "base_url": web_url or url,
            "secret_key": keys["session"],
            "expose_config": False,
        },
        "api_auth": {"jwt_secret": keys["jwt"]},
        "dag_processor": {"parsing_processes": 1, "refresh_interval": 60},
        "scheduler": {
            "scheduler_idle_sleep_time": 0.3,
            "enable_health_check": False,
            # A run's id is shown everywhere: eleven digits in a row could be a phone.
            "allowed_run_id_pattern": r"^(?!.*[0-9]{11})[A-Za-z0-9_.~:+-]+$",
        },
        "logging": {"base_log_folder": airflow.logs, "logging_level": "INFO", "fab_logging_level": "WARNING"},
        # A task that ends between two looks of its supervisor is noticed this much later (seconds; Airflow's own is 5).
        "workers": {"min_heartbeat_interval": 1},
        "usage_data_collection": {"enabled": False},
    }
    if events := transport():
        settings["openlineage"] = {
            "transport": json.dumps(events),
            "namespace": namespace(),
            "extractors": "lineage.tasks.Tasks",
            "emission_policy": json.dumps([{"scope": {}, "controls": {"include_source_code": False}}]),
        }
    if database.startswith("postgresql+psycopg:"):
        # One driver for both: Airflow would look for another one for its asynchronous sessions.
        settings["database"]["sql_alchemy_conn_async"] = database
    variables = {
        f"AIRFLOW__{section.upper()}__{key.upper()}": str(value)
        for section, values in settings.items()
        for key, value in values.items()
    }
    return {
        **kept,
        **variables,
        **{f"AIRFLOW_CONN_{name.upper()}": uri for name, uri in connections.items()},
        "AIRFLOW_HOME": str(airflow.root),
        "TONGBAO_HOME": str(home.root),
        "PYTHONPATH": str(PROJECT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        # No library of the tasks sends usage data anywhere either.
        "SCARF_ANALYTICS": "false",
        "GX_ANALYTICS_ENABLED": "false",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }
