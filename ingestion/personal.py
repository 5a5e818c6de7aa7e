"""Personal data: keyed tokens for what is only compared, redaction for free text. Nothing leaves ingestion in clear.

A token is ``<key id>:<first 128 bits of HMAC-SHA-256 in hex>``; the same value gives the same token under one key, so
the marts can compare people without knowing them. The key comes from ``TONGBAO_PII_KEY`` (at least 32 characters; an
optional ``<key id>:`` in front names it), or is made once in the home's ``keys/`` folder for a demo.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.durable import is_running, put
from ingestion.errors import BadParameter
from ingestion.home import Home

#: Hex digits of the HMAC that a token keeps (128 bits, as RFC 2104 allows).
TOKEN_DIGITS = 32

#: Values looked at to see whether they repeat.
_SAMPLE = 4096

_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,16}")

#: What a token looks like wherever it stands; read alike by Python and Arrow.
TOKEN = re.compile(rf"{_KEY_ID.pattern}:[0-9a-f]{{{TOKEN_DIGITS}}}")


@dataclass(frozen=True)
class PseudonymKey:
    """The secret (UTF-8 text) that tokens are made with, and the public name of it in front of each token."""

    key_id: str
    secret: bytes = field(repr=False)

    def token(self, value: str) -> str:
        """The token of one value, the same that ``tokenise`` gives."""
        return f"{self.key_id}:{hmac.new(self.secret, value.encode(), hashlib.sha256).hexdigest()[:TOKEN_DIGITS]}"

    @property
    def mark(self) -> str:
        """Public sign of this very key (id and secret), written into the files that hold its tokens."""
        return self.token("tongbao pseudonym key")

    def tokenise(self, values: pa.Array | pa.ChunkedArray) -> pa.Array:
        """Tokens of the values, null for null; where values repeat, each is hashed once."""
        whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        sample = whole.slice(0, _SAMPLE)
        if pc.count_distinct(sample).as_py() > len(sample) // 2:
            return self._hash(whole)
        encoded = pc.dictionary_encode(whole)
        return self._hash(encoded.dictionary).take(encoded.indices)

    def _hash(self, values: pa.Array) -> pa.Array:
        import polars  # a third of a second: only who types rows pays it
        import polars_hash

        digests = polars_hash.col("value").chash.hmac_sha256(key=self.secret.decode())
        token = polars.lit(f"{self.key_id}:") + digests.str.head(TOKEN_DIGITS)
        frame = polars.DataFrame({"value": polars.from_arrow(values)})
        return frame.select(token).to_series().to_arrow().cast(pa.string())


def key_of(home: Home) -> PseudonymKey:
    """The key of this county: from the environment, else the home's own, made at the first call (mode 0600)."""
    if given := os.environ.get("TONGBAO_PII_KEY"):
        key_id, mark, secret = given.partition(":")
        if not mark:
            secret, key_id = given, "env-" + hashlib.sha256(b"tongbao key id" + given.encode()).hexdigest()[:8]
        if not _KEY_ID.fullmatch(key_id) or len(secret) < 32:
            raise BadParameter(
                "TONGBAO_PII_KEY must be at least 32 characters, with an optional key id (letters, digits, _ and -) "
                "and a colon in front"
            )
        return PseudonymKey(key_id, secret.encode())
    return _home_key(home)


def home_key_path(home: Home) -> Path:
    """Where the home's own key lies; not used where the environment gives one."""
    return home.keys / "pseudonym.key"


def previous_key_path(home: Home) -> Path:
    """The home's key before the rotation that is under way; absent when none is."""
    return home.keys / "pseudonym.previous.key"


def renew_home_key(home: Home) -> None:
    """Puts a new key in the place of the home's own; the old one is kept beside it until the rotation is done."""
    path, previous = home_key_path(home), previous_key_path(home)
    _home_key(home)
    made = _new_key(home)
    previous.unlink(missing_ok=True)
    os.link(path, previous)
    put(made, path)


def is_renewed(home: Home) -> bool:
    """Whether a rotation of the home's own key has come as far as to put another key in its place."""
    previous = previous_key_path(home)
    return previous.exists() and previous.read_bytes() != home_key_path(home).read_bytes()


def _new_key(home: Home) -> Path:
    """A file with a new key, under a name of its own, on the disk; what killed processes left of one goes."""
    for left in home.keys.glob(".pseudonym.*"):
        if not is_running(left.name.split(".")[2]):
            left.unlink(missing_ok=True)
    made = home.keys / f".pseudonym.{os.getpid()}.{secrets.token_hex(4)}"
    descriptor = os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        os.write(descriptor, f"home-{secrets.token_hex(2)}:{secrets.token_hex(32)}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return made


def _home_key(home: Home) -> PseudonymKey:
    home.keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    home.keys.chmod(0o700)
    path = home_key_path(home)
    if not path.exists():
        made = _new_key(home)
        try:
            # A link fails where another process was first: then its key is the key.
            os.link(made, path)
        except FileExistsError:
            pass
        finally:
            made.unlink()
    key_id, _, secret = path.read_text(encoding="ascii").strip().partition(":")
    if not _KEY_ID.fullmatch(key_id) or len(secret) < 32:
        raise BadParameter(f"{path.name} in the home's keys folder is damaged; restore it: tokens depend on it")
    return PseudonymKey(key_id, secret.encode())
