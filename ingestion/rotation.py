"""Rotation of the pseudonymisation key (换钥): every token is made again under the new key, from the raw zone.

Tokens are only ever compared with each other, so figures do not change when all of them change together. Each staged
file notes which key made it (``staging.KEY_MARK``); a build takes files of one key only, so a rotation that was killed
half-way can delay a release and never falsify one. Running it again finishes it.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow.parquet as pq

from ingestion.durable import locked, naming_storage_faults
from ingestion.errors import BadParameter, Permanent
from ingestion.home import Home
from ingestion.landing import Progress, object_path
from ingestion.ledger import AcceptedFile, Ledger
from ingestion.load import restage, restore
from ingestion.personal import TOKEN, PseudonymKey, is_renewed, key_of, previous_key_path, renew_home_key
from ingestion.staging import KEY_MARK, rewrite


class KeysMixed(Permanent):
    """Staged files hold tokens of several keys: people could not be compared across them."""


@dataclass(frozen=True)
class Rotation:
    """What a rotation did: the key's id now, files made again, and those made of their old tokens."""

    key_id: str
    files: int
    rekeyed: tuple[str, ...] = ()


def key_mark(file: AcceptedFile) -> str | None:
    """The sign of the key that made this staged file's tokens; None where the file does not say, or is gone."""
    try:
        found = file.path.stat()
    except FileNotFoundError:
        return None
    return _key_mark(file.path, found.st_ino, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=4096)
def _key_mark(path: Path, *_version: int) -> str | None:
    # A staged file is never written again, but replaced by another one.
    found = (pq.read_schema(path).metadata or {}).get(KEY_MARK.encode())
    return found.decode() if found else None


def key_of_staged(home: Home) -> str | None:
    """The sign of the one key that made all staged tokens; raises KeysMixed when there are several."""
    by_key: dict[str | None, list[AcceptedFile]] = defaultdict(list)
    for file in Ledger(home).accepted_files():
        if file.path.is_file():
            by_key[key_mark(file)].append(file)
    if len(by_key) > 1:
        told = ", ".join(f"{_id(mark)} in {len(files)} files" for mark, files in by_key.items())
        raise KeysMixed(
            f"the staged files hold tokens of several keys ({told}): a rotation was not finished, or TONGBAO_PII_KEY "
            "was changed; run: python -m ingestion rotate-key"
        )
    return next(iter(by_key), None)


def unfinished(home: Home) -> bool:
    """Whether a rotation was begun and not finished: tokens of another key than the one in use, or the old key."""
    files = [file for file in Ledger(home).accepted_files() if file.path.is_file()]
    return previous_key_path(home).exists() or any(key_mark(file) != key_of(home).mark for file in files)


@naming_storage_faults("key rotation")
def rotate(home: Home, *, rekey_expired: bool = False, progress: Progress | None = None) -> Rotation:
    """Brings all staged tokens under one new key: the one in TONGBAO_PII_KEY, else a new one of the home's own.

    Where a rotation was begun and not finished it is finished, and no other key is made. Files whose raw bytes are
    gone cannot be made again: BadParameter names them, unless ``rekey_expired`` says to make tokens of their tokens.
    Then people are compared as before within these files, and no longer between them and the others. Raises what
    ``rebuild`` raises.
    """
    old = _not_of(home, key_of(home).mark)
    if not old and not is_renewed(home):
        if os.environ.get("TONGBAO_PII_KEY"):
            if made := restore(home):  # of a rotation that was killed before it had sealed its last file
                return Rotation(key_of(home).key_id, len(made))
            raise BadParameter("every token is of the key in TONGBAO_PII_KEY; set it to the new key, then rotate")
        _expired(home, Ledger(home).accepted_files(), rekey_expired)
        renew_home_key(home)
        old = _not_of(home, key_of(home).mark)
    expired = _expired(home, old, rekey_expired)
    again = {file.landing_id for file in old} - {file.landing_id for file in expired}
    restage(home, [each for each in Ledger(home).attempts() if each.attempt_id in again], progress=progress)
    for file in expired:
        with locked(home.staged / file.dataset, f"key rotation of {file.dataset}"):
            _rekey(home, file, key_of(home))
    restore(home)
    if not _not_of(home, key_of(home).mark):
        previous_key_path(home).unlink(missing_ok=True)
    return Rotation(key_of(home).key_id, len(again), tuple(_name(file) for file in expired))


def _not_of(home: Home, mark: str) -> list[AcceptedFile]:
    return [file for file in Ledger(home).accepted_files() if key_mark(file) != mark]


def _expired(home: Home, files: list[AcceptedFile], allowed: bool) -> list[AcceptedFile]:
    ledger = Ledger(home)
    gone = [file for file in files if not object_path(home, ledger.kept_as(file.sha256)).is_file()]
    if gone and not allowed:
        raise BadParameter(
            f"the raw bytes of {len(gone)} accepted files are gone, so their tokens cannot be made again: "
            f"{', '.join(map(_name, gone[:5]))}; have them delivered again, or say --rekey-expired"
        )
    return gone


def _rekey(home: Home, file: AcceptedFile, key: PseudonymKey) -> None:
    """Every token in this staged file becomes the token of itself under the new key, in every column alike."""

    def renewed(text: str) -> str:
        return TOKEN.sub(lambda match: key.token(match[0]), text)

    def seal(made: Path) -> None:
        Ledger(home).seal_again(file.dataset, file.month, file.landing_id, made)

    rewrite(file.path, key, renewed, TOKEN.pattern, seal)


def _name(file: AcceptedFile) -> str:
    return f"{file.dataset} {file.month} {file.file}"


def _id(mark: str | None) -> str:
    return mark.partition(":")[0] if mark else "unknown"
