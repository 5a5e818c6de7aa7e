"""The record of erasures (删除记录): lines that are only ever added, each holding the hash of the one before.

``records/erasures.jsonl`` says when, who asked, on which request, what was done to which files, and the tokens of what
was erased. No name and no number stands in it in clear.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from ingestion.durable import locked, sync
from ingestion.errors import Permanent
from ingestion.home import Home

_START = "0" * 64


def record_path(home: Home) -> Path:
    """Where the record lies."""
    return home.root / "records" / "erasures.jsonl"


def entries(home: Home) -> list[dict[str, Any]]:
    """The entries so far, oldest first; raises Permanent where one was changed or taken out."""
    found, before = [], _START
    for number, line in enumerate(_lines(record_path(home)), 1):
        entry = json.loads(line)
        if entry.get("before") != before:
            raise Permanent(f"records/erasures.jsonl was changed by hand before its entry {number}; restore it")
        before = _hash(line)
        found.append(entry)
    return found


def append(home: Home, entry: dict[str, Any]) -> None:
    """Adds an entry, durably; one with this id that is there already stays as it is."""
    path = record_path(home)
    with locked(path.parent, "record of erasures"):
        path.parent.chmod(0o700)
        if any(known["id"] == entry["id"] for known in entries(home)):
            return
        lines = _lines(path)
        text = json.dumps(entry | {"before": _hash(lines[-1]) if lines else _START}, ensure_ascii=False) + "\n"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            # What a kill has left of a line behind the last whole one is written over.
            end = sum(len(line) + 1 for line in lines)
            file.truncate(end)
            file.seek(end)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        sync(path.parent)


def _lines(path: Path) -> list[bytes]:
    """The whole lines; what follows the last line break was torn by a kill."""
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
