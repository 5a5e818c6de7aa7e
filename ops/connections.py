"""From the URI of a source to an Airflow connection (the way back is ``ingestion.transports.uri_from_connection``)."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from ingestion.contracts import SYSTEMS
from ingestion.errors import BadParameter
from ops.settings import write_private


def connection_json(uri: str) -> str:
    """The connection in Airflow's JSON form. Airflow's own URI form would lose a path and decode a host key."""
    parts = urlsplit(uri)
    extra: dict[str, str] = dict(parse_qsl(parts.query))
    if parts.path.strip("/"):
        extra["path"] = unquote(parts.path)
    connection: dict[str, object] = {"conn_type": parts.scheme, "extra": extra}
    if parts.hostname:
        connection["host"] = parts.netloc.rpartition("@")[2] if parts.scheme == "s3" else parts.hostname
    if parts.port and parts.scheme != "s3":
        connection["port"] = parts.port
    if parts.username:
        connection["login"] = unquote(parts.username)
    if parts.password:
        connection["password"] = unquote(parts.password)
    return json.dumps(connection)


def of_folder(exports: Path) -> dict[str, str]:
    """The three connections for an exports folder without servers; raises BadParameter where there is none."""
    if not exports.is_dir():
        raise BadParameter(f"no such exports folder: {exports}")
    uri = f"file://{quote(str(exports.resolve()))}"
    return {f"tongbao_{system}": connection_json(uri) for system in SYSTEMS}


def of_file(path: Path) -> dict[str, str]:
    """The three connections that the simulated sources wrote (lines ``TONGBAO_<SYSTEM>_URI=…``).

    Raises BadParameter where one is not named.
    """
    lines = [line.partition("=") for line in path.read_text().splitlines() if "=" in line and not line.startswith("#")]
    uris = {name.strip(): uri.strip().strip("'\"") for name, _, uri in lines}
    if absent := [name for system in SYSTEMS if (name := f"TONGBAO_{system.upper()}_URI") not in uris]:
        raise BadParameter(
            f"{path} does not say where every system is; add a line {', '.join(f'{n}=…' for n in absent)}"
        )
    return {f"tongbao_{system}": connection_json(uris[f"TONGBAO_{system.upper()}_URI"]) for system in SYSTEMS}


def write_file(path: Path, connections: dict[str, str]) -> None:
    """The connections as the file that Airflow's LocalFilesystemBackend reads at each use; mode 0600, whole or not."""
    write_private(path, json.dumps({name: json.loads(connection) for name, connection in connections.items()}))
