"""The hotline's SFTP drop: read-only, password or key, a host key of its own. Serves ``<exports>`` as its root."""

from __future__ import annotations

import asyncio
import hmac
import os
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncssh

from simulator.servers.faults import SFTP_KINDS, Faults

USER = "tongbao"


class _Login(asyncssh.SSHServer):
    """One user, known by a password or by a key."""

    def __init__(self, password: str | None, key: asyncssh.SSHKey | None) -> None:
        self._password, self._key = password, key

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return self._password is not None

    def validate_password(self, username: str, password: str) -> bool:
        known = self._password or ""
        return bool(known) and username == USER and hmac.compare_digest(password.encode(), known.encode())

    def public_key_auth_supported(self) -> bool:
        return self._key is not None

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == USER and self._key is not None and key.public_data == self._key.public_data


class _Drop(asyncssh.SFTPServer):
    """The drop: nobody writes here through SFTP, and reads fail where a fault says so."""

    def __init__(self, channel: Any, root: Path, faults: Faults) -> None:
        super().__init__(channel, chroot=os.fsencode(root))
        self._faults = faults

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        if pflags & ~asyncssh.FXF_READ:
            raise asyncssh.SFTPPermissionDenied("read-only")
        return super().open(path, pflags, attrs)

    async def read(self, file_obj: Any, offset: int, size: int) -> bytes:  # type: ignore[override]
        fault = self._faults.take(*SFTP_KINDS, end=offset + size)
        if fault and fault.kind == "sftp_cut":
            self.channel.get_connection().abort()
            raise asyncssh.SFTPConnectionLost("cut")
        if fault and fault.kind == "sftp_short":
            return b""
        if fault and fault.kind == "sftp_drip":
            await asyncio.sleep(fault.pause)
        data = super().read(file_obj, offset, size)
        return await data if asyncio.iscoroutine(data) else data  # type: ignore[return-value]

    def remove(self, path: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("read-only")

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("read-only")

    posix_rename = rename  # type: ignore[assignment]

    def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        raise asyncssh.SFTPPermissionDenied("read-only")

    def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        raise asyncssh.SFTPPermissionDenied("read-only")

    rmdir = remove

    def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("read-only")

    link = symlink


async def start_hotline(
    exports: Path,
    host_key: asyncssh.SSHKey,
    *,
    password: str | None = None,
    key: asyncssh.SSHKey | None = None,
    faults: Faults | None = None,
    port: int = 0,
) -> asyncssh.SSHAcceptor:
    """Listen on loopback; port 0 takes a free one (``acceptor.get_port()``)."""
    drop_faults = faults or Faults()
    return await asyncssh.listen(
        "127.0.0.1",
        port,
        server_host_keys=[host_key],
        server_factory=lambda: _Login(password, key),
        sftp_factory=lambda channel: _Drop(channel, exports, drop_faults),
        allow_scp=False,
    )


def host_key_option(key: asyncssh.SSHKey) -> str:
    """A host key as the ``host_key`` option of a connection URI: ``type base64``, percent-encoded."""
    return quote(" ".join(key.export_public_key("openssh").decode().split()[:2]), safe="")


class HotlineServer:
    """The drop served from a thread of this process; use as a context manager. ``uri`` is the connection URI."""

    def __init__(
        self, exports: Path, password: str | None, *, key: asyncssh.SSHKey | None = None, faults: Faults | None = None
    ) -> None:
        self.faults = faults or Faults()
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.port = 0
        self._exports, self._password, self._key = exports, password, key
        self._loop = asyncio.new_event_loop()
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> HotlineServer:
        self._thread.start()
        starting = start_hotline(
            self._exports, self.host_key, password=self._password, key=self._key, faults=self.faults
        )
        self._acceptor = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)
        self.port = self._acceptor.get_port()
        return self

    def __exit__(self, *_: object) -> None:
        async def end() -> None:
            if self._acceptor is not None:
                self._acceptor.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    @property
    def uri(self) -> str:
        login = USER + (f":{quote(self._password, safe='')}" if self._password else "")
        return f"sftp://{login}@127.0.0.1:{self.port}/?host_key={host_key_option(self.host_key)}"
