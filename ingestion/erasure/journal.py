"""What an erasure under way has decided, so that one that was killed goes on where it was: ``raw/erasing/``."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ingestion.durable import put
from ingestion.erasure.person import Person
from ingestion.errors import BadParameter
from ingestion.home import Home
from ingestion.ledger import now


def work_folder(home: Home) -> Path:
    """The folder of the erasure under way, in the raw zone; absent when none is."""
    return home.raw / "erasing"


@dataclass
class Journal:
    """One erasure: its id, what stands for each value (under a salted hash of it), rows found by landed file."""

    id: str
    salt: str
    surrogates: dict[str, str]
    rows: dict[str, int] = field(default_factory=dict)
    #: Names of the ledger that were changed.
    renamed: int = 0

    @classmethod
    def of(cls, home: Home, person: Person) -> Journal:
        """The journal of this person's erasure that was cut short, or a new one; BadParameter if it is of another."""
        values = [*person.names, *person.numbers]
        path = work_folder(home) / "journal.json"
        if path.exists():
            found = cls(**json.loads(path.read_text(encoding="utf-8")))
            if {found._hidden(value) for value in values} != set(found.surrogates):
                raise BadParameter("an erasure of someone else was not finished; repeat that one first")
            return found
        made = cls(f"erasure-{now():%Y%m%d}-{secrets.token_hex(4)}", secrets.token_hex(16), {})
        # Random, so that nobody can tell from it whom it stands for; one for each value, so that rows of one person
        # go on being one person's and no figure changes.
        made.surrogates = {made._hidden(value): f"已删除{secrets.token_hex(6)}" for value in values}
        return made

    def surrogate(self, value: str) -> str:
        """What stands in the place of this value."""
        return self.surrogates[self._hidden(value)]

    def _hidden(self, value: str) -> str:
        return hmac.new(bytes.fromhex(self.salt), value.encode(), hashlib.sha256).hexdigest()

    def save(self, home: Home) -> None:
        """Writes the journal, durably, mode 0600."""
        folder = work_folder(home)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = folder / ".journal.tmp"
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(self), file, ensure_ascii=False)
        put(made, folder / "journal.json")

    @staticmethod
    def close(home: Home) -> None:
        """The erasure is done: what stood for what is forgotten."""
        shutil.rmtree(work_folder(home), ignore_errors=True)
