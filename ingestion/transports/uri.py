"""Connection URIs of the sources: reading them, printing them without secrets, making them from an Airflow connection.

``file:///exports`` · ``sftp://user:password@host:22/root?host_key=…`` ·
``s3://key:secret@bucket/prefix?endpoint_url=…&region=…`` · ``https://:token@host/base``; every part percent-encoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from ingestion.errors import BadParameter
from ingestion.personal_numbers import excerpt, masked
from ingestion.transports.base import Limits

#: Query keys each scheme knows besides the limits; anything else is a typing error and is refused.
OPTIONS = {
    "file": frozenset[str](),
    "sftp": frozenset({"host_key", "key_file", "private_key", "passphrase"}),
    "s3": frozenset({"endpoint_url", "region", "session_token", "anonymous"}),
    "http": frozenset({"ca_file"}),
    "https": frozenset({"ca_file"}),
}

_LIMITS = {field.name: field.type for field in fields(Limits)}


@dataclass(frozen=True, repr=False)
class SourceUri:
    """A connection URI in its parts, decoded. ``repr`` and ``str`` hold no secret."""

    scheme: str
    host: str
    port: int | None
    user: str
    password: str
    path: str
    options: dict[str, str]
    limits: Limits

    def __str__(self) -> str:
        user = f"{quote(masked(self.user), safe='')}@" if self.user and self.scheme != "s3" else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        # Encoded, a phone in a folder's name would not be recognised any more.
        path = quote(self.path) if masked(self.path) == self.path else masked(self.path)
        return f"{self.scheme}://{user}{host}{f':{self.port}' if self.port else ''}{path}"

    __repr__ = __str__


def parse(uri: str) -> SourceUri:
    """The parts of a connection URI; raises BadParameter (without the URI's secrets) where it is none."""
    try:
        parts = urlsplit(uri.strip())
        port = parts.port
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise BadParameter("not a connection URI: check the port, the brackets and the percent-encoding") from None
    scheme = parts.scheme
    if scheme not in OPTIONS:
        raise BadParameter(f"unknown kind of source {excerpt(scheme, 20)}; known: {', '.join(OPTIONS)}")
    if parts.fragment:
        raise BadParameter(f"{scheme} URI: '#' must be percent-encoded (%23)")
    host = parts.netloc.rpartition("@")[2] if scheme == "s3" else parts.hostname or ""
    if scheme == "file" and host not in ("", "localhost"):
        raise BadParameter("file URI: write three slashes before an absolute path (file:///exports)")
    if scheme != "file" and not host:
        raise BadParameter(f"{scheme} URI without a {'bucket' if scheme == 's3' else 'host'}")
    unknown = sorted(set(query) - OPTIONS[scheme] - set(_LIMITS))
    if unknown:
        known = ", ".join(sorted(OPTIONS[scheme] | set(_LIMITS)))
        raise BadParameter(f"{scheme} URI: unknown option {excerpt(unknown[0])}; known: {known}")
    limits = Limits()
    for name in _LIMITS.keys() & query.keys():
        limits = replace(limits, **{name: _number(name, query.pop(name))})
    return SourceUri(
        scheme=scheme,
        host=host,
        port=None if scheme == "s3" else port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        path=unquote(parts.path),
        options=query,
        limits=limits,
    )


def _number(name: str, text: str) -> Any:
    whole = str(_LIMITS[name]) == "int"
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = -1
    if not (0 <= value < 1e12) or (whole and value < 1):
        raise BadParameter(
            f"option {name} must be a {'whole ' if whole else ''}positive number, not {excerpt(text, 20)}"
        )
    return value


def uri_from_connection(
    conn_type: str,
    host: str | None,
    port: int | None,
    login: str | None,
    password: str | None,
    schema: str | None,
    extra: Mapping[str, Any] | None,
) -> str:
    """The URI of an Airflow connection's fields; raises BadParameter for a type or a setting it does not know.

    Types: ``http``/``https`` (token in ``password``; ``schema`` may say ``https``; a path may follow the host),
    ``sftp``/``ssh`` (``extra``: ``path``, ``host_key``, ``key_file`` or ``private_key``), ``file``/``fs`` (the folder
    in ``extra.path``, ``schema`` or ``host``), ``aws``/``s3`` (access key in ``login``, secret in ``password``,
    ``extra``: ``bucket``, ``prefix``, ``endpoint_url``, ``region_name``). Limits (``deadline``, ``timeout``, …) may
    stand in ``extra`` of every type.
    """
    extra = dict(extra or {})
    kind = conn_type.lower()
    query = {name: extra[name] for name in _LIMITS if extra.get(name) is not None}
    login, password, host = login or "", password or "", (host or "").strip()
    if kind in ("file", "fs"):
        folder = str(extra.get("path") or extra.get("basepath") or schema or host)
        if not folder.startswith("/"):
            raise BadParameter(f"{kind} connection: give an absolute folder in extra.path")
        return f"file://{quote(folder)}" + _query(query)
    if kind in ("aws", "s3"):
        settings = (extra.get("service_config") or {}).get("s3", {}) if isinstance(extra, dict) else {}
        bucket = str(extra.get("bucket") or settings.get("bucket_name") or schema or host)
        region = extra.get("region") or extra.get("region_name")
        query |= _given(extra, "session_token", "anonymous") | ({"region": region} if region else {})
        endpoint = extra.get("endpoint_url") or settings.get("endpoint_url")
        query |= {"endpoint_url": endpoint} if endpoint else {}
        return f"s3://{_login(login, password)}{bucket}{_path(extra.get('prefix') or extra.get('path'))}" + _query(
            query
        )
    if not host:
        raise BadParameter(f"{kind} connection without a host")
    if kind in ("sftp", "ssh"):
        query |= _given(extra, "host_key", "key_file", "private_key")
        passphrase = extra.get("passphrase") or extra.get("private_key_passphrase")
        query |= {"passphrase": passphrase} if passphrase else {}
        path = extra.get("path") or extra.get("remote_path") or schema
        return f"sftp://{_login(login, password)}{_host(host)}{f':{port}' if port else ''}{_path(path)}" + _query(query)
    if kind in ("http", "https"):
        scheme, mark, rest = host.partition("://")
        if not mark:
            scheme, rest = (schema or kind).lower(), host
        if scheme not in ("http", "https"):
            raise BadParameter(f"{kind} connection: schema must be http or https, not {excerpt(scheme, 20)}")
        name, _, base = rest.partition("/")
        query |= _given(extra, "ca_file")
        path = extra.get("path") or base
        inner = _host(name) if not name.rpartition(":")[2].isdigit() or name.count(":") > 1 else name
        return f"{scheme}://{_login('', password)}{inner}{f':{port}' if port else ''}{_path(path)}" + _query(query)
    raise BadParameter(f"unknown connection type {excerpt(kind, 20)}; known: http, https, sftp, file, s3")


def _given(extra: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: extra[name] for name in names if extra.get(name) not in (None, "")}


def _login(login: str, password: str) -> str:
    if not login and not password:
        return ""
    return f"{quote(login, safe='')}{':' + quote(password, safe='') if password else ''}@"


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _path(path: Any) -> str:
    text = str(path or "").strip("/")
    return f"/{quote(text)}" if text else ""


def _query(query: Mapping[str, Any]) -> str:
    return f"?{urlencode({k: str(v) for k, v in query.items()}, quote_via=quote)}" if query else ""
