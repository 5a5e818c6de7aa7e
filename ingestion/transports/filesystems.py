"""The three file systems behind a delivery folder, opened through fsspec: local, SFTP with a pinned host key, S3.

Also what their errors mean: paramiko, pyarrow and the operating system each say it in their own way.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import io
import os
import socket
import stat
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fsspec import AbstractFileSystem

from ingestion.errors import BadParameter, DeliveryRefused, SourceInconsistent, SourceUnavailable, TongbaoError
from ingestion.transports.base import AccessRefused
from ingestion.transports.uri import SourceUri


def open_filesystem(uri: SourceUri) -> tuple[AbstractFileSystem, str]:
    """A new connection to the URI's file system, and the root path in its own spelling (no trailing slash)."""
    if uri.scheme == "file":
        from fsspec.implementations.local import LocalFileSystem

        return LocalFileSystem(skip_instance_cache=True), uri.path.rstrip("/") or "/"
    if uri.scheme == "sftp":
        return _sftp(uri), uri.path.rstrip("/") or "/"
    return _s3(uri), "/".join(part for part in (uri.host, uri.path.strip("/")) if part)


def close_filesystem(fs: AbstractFileSystem, uri: SourceUri) -> None:
    """End the connections of a file system; pending reads on it fail."""
    client = getattr(fs, "client", None)
    if client is not None:
        client.close()
    if uri.scheme == "s3" and uri.options.get("endpoint_url"):
        _shut_down(uri.options["endpoint_url"])


def _shut_down(endpoint: str) -> None:
    """Shut down this process's connections to an object store.

    The S3 client cannot be interrupted, its timeout does not bound a store that drips, and a read that is left alone
    keeps the process from ending. Other reads from the store in this process fail too, and are tried again.
    """
    parts = urlsplit(endpoint)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        peers = {address[4][:2] for address in socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)}
    except (OSError, ValueError):
        return
    for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        with contextlib.suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as connection:
                if connection.getpeername()[:2] in peers:
                    connection.shutdown(socket.SHUT_RDWR)


def _sftp(uri: SourceUri) -> AbstractFileSystem:
    import paramiko  # type: ignore[import-untyped]
    from fsspec.implementations.sftp import SFTPFileSystem

    class Pinned(paramiko.MissingHostKeyPolicy):
        """Accept one host key only: first contact is not trusted, an intermediary must not read the county's files."""

        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
            if _is_pinned(key.get_name(), key.asbytes(), uri.options.get("host_key", "")):
                return
            shown = _fingerprint(key.asbytes())
            if uri.options.get("host_key"):
                raise AccessRefused(f"{uri}: the server shows another host key ({key.get_name()} {shown}) than pinned")
            raise AccessRefused(
                f"{uri}: unknown host key {key.get_name()} {shown}; compare it with the operator's, "
                f"then add it to the connection as host_key"
            )

    timeout = uri.limits.timeout
    secret: dict[str, Any] = {"pkey": _private_key(uri)} if {"key_file", "private_key"} & uri.options.keys() else {}
    fs = SFTPFileSystem(
        uri.host,
        port=uri.port or 22,
        username=uri.user or None,
        password=uri.password or None,
        host_key_policy=Pinned(),
        disabled_algorithms=_other_key_types(uri.options.get("host_key", "")),
        timeout=timeout,
        banner_timeout=timeout,
        auth_timeout=timeout,
        channel_timeout=timeout,
        allow_agent=False,
        look_for_keys=False,
        skip_instance_cache=True,
        **secret,
    )
    fs.ftp.get_channel().settimeout(timeout)
    return fs


def _private_key(uri: SourceUri) -> Any:
    import paramiko

    passphrase = uri.options.get("passphrase") or None
    try:
        if "key_file" in uri.options:
            return paramiko.PKey.from_path(uri.options["key_file"], passphrase.encode() if passphrase else None)
        for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
            try:
                return kind.from_private_key(io.StringIO(uri.options["private_key"]), passphrase)
            except paramiko.PasswordRequiredException:
                raise
            except (paramiko.SSHException, ValueError):
                continue
    except Exception as error:  # the libraries' own texts may quote the key
        raise BadParameter(f"{uri}: the private key cannot be read ({type(error).__name__})") from None
    raise BadParameter(f"{uri}: the private key cannot be read (none of Ed25519, ECDSA, RSA)")


def _fingerprint(key: bytes) -> str:
    """The OpenSSH spelling of a host key's SHA-256."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _is_pinned(name: str, key: bytes, pin: str) -> bool:
    """Whether a host key is the pinned one: a fingerprint, a base64 key, or ``type base64`` as in known_hosts."""
    pin = pin.strip()
    if pin.startswith("SHA256:"):
        return hmac.compare_digest(_fingerprint(key), pin.rstrip("="))
    words = pin.split()
    named = len(words) < 2 or words[0] == name
    blob = (words[1] if len(words) > 1 else pin).encode()
    return named and hmac.compare_digest(base64.b64encode(key).rstrip(b"="), blob.rstrip(b"="))


def _other_key_types(pin: str) -> dict[str, list[str]] | None:
    """Host key types to turn off, so that a server with several keys shows the one that is pinned."""
    import paramiko

    kind = pin.split()[0] if len(pin.split()) > 1 else ""
    if not kind:
        return None
    wanted = {kind, "rsa-sha2-512", "rsa-sha2-256"} if kind == "ssh-rsa" else {kind}
    return {"keys": [name for name in paramiko.Transport._preferred_keys if name not in wanted]}


def _s3(uri: SourceUri) -> AbstractFileSystem:
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    options: dict[str, Any] = {}
    scheme, mark, host = uri.options.get("endpoint_url", "").partition("://")
    if mark:
        if scheme not in ("http", "https") or not host:
            raise BadParameter(f"{uri}: endpoint_url must be http(s)://host:port")
        options |= {"endpoint_override": host.rstrip("/"), "scheme": scheme}
    if uri.user:
        options |= {"access_key": uri.user, "secret_key": uri.password}
        options |= {"session_token": uri.options["session_token"]} if uri.options.get("session_token") else {}
    fs = S3FileSystem(
        region=uri.options.get("region") or ("us-east-1" if mark else None),
        anonymous=uri.options.get("anonymous", "").lower() in ("1", "true", "yes"),
        connect_timeout=min(uri.limits.timeout, 10.0),
        request_timeout=uri.limits.timeout,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=1),  # the transport has a back-off of its own
        **options,
    )
    return ArrowFSWrapper(fs, skip_instance_cache=True)


def translate(error: Exception, what: str) -> TongbaoError:
    """The error of this project that a file system's error is; texts of libraries are not passed on."""
    if isinstance(error, TongbaoError):
        return error
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"AuthenticationException", "PasswordRequiredException"}:
        return AccessRefused(f"{what}: user, password or key not accepted")
    if isinstance(error, PermissionError):
        return AccessRefused(f"{what}: no permission to read")
    if isinstance(error, UnicodeDecodeError):
        return DeliveryRefused(f"{what}: a file name is not UTF-8; rename the file")
    if isinstance(error, FileNotFoundError):
        return SourceInconsistent(f"{what}: gone while it was being read")
    if kinds & {"SSHException", "SFTPError"} or isinstance(error, EOFError | OSError):
        text = str(error)
        if any(mark in text for mark in ("ACCESS_DENIED", "INVALID_ACCESS_KEY", "SIGNATURE_DOES_NOT", "code 403")):
            return AccessRefused(f"{what}: the object store does not accept the key, or it may not read here")
        if "NO_SUCH_BUCKET" in text:
            return BadParameter(f"{what}: no such bucket")
        return SourceUnavailable(f"{what}: connection failed or lost ({type(error).__name__})")
    raise error
