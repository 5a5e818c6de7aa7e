"""What an erasure under way has decided, so that one that was killed goes on where it was: ``raw/erasing/``."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from ingestion.durable import put
from ingestion.erasure.person import Person
from ingestion.errors import BadParameter
from ingestion.home import Home
from ingestion.ledger import now


def work_folder(home: Home) -> Path:
    """The folder of the erasure under way, in the raw zone; absent when none is."""
    return home.raw / "erasing"


def journal_path(home: Home) -> Path:
    """What the erasure under way has decided: an erasure is unfinished as long as this is there."""
    return work_folder(home) / "journal.json"


@dataclass
class Journal:
    """One erasure: its id, what stands for each value (under a salted hash of it), rows found by landed file."""

    id: str
    salt: str
    surrogates: dict[str, str]
    rows: dict[str, int] = field(default_factory=dict)
    #: Rows found in typed rows whose raw bytes are gone, by the hash of those.
    staged: dict[str, int] = field(default_factory=dict)
    #: Names of the ledger that are changed, hidden as the values are.
    names: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, home: Home, person: Person) -> Journal:
        """The journal of this person's erasure that was cut short, or a new one; BadParameter if it is of another."""
        values = [*person.names, *person.numbers]
        path = journal_path(home)
        if path.exists():
            known = {each.name for each in fields(cls)}
            found = cls(**{k: v for k, v in json.loads(path.read_text(encoding="utf-8")).items() if k in known})
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

    def note_name(self, name: str) -> None:
        """This name of the ledger is to be changed."""
        if (hidden := self._hidden(name)) not in self.names:
            self.names.append(hidden)

    def _hidden(self, value: str) -> str:
        return hmac.new(bytes.fromhex(self.salt), value.encode(), hashlib.sha256).hexdigest()

    def save(self, home: Home) -> None:
        """Writes the journal, durably, mode 0600."""
        folder = work_folder(home)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = folder / ".journal.tmp"
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(self), file, ensure_ascii=False)
        put(made, journal_path(home))

    @staticmethod
    def close(home: Home) -> None:
        """The erasure is done: what stood for what is forgotten. The journal goes last: until then it is resumed."""
        for entry in work_folder(home).iterdir() if work_folder(home).exists() else ():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry != journal_path(home):
                entry.unlink()
        journal_path(home).unlink(missing_ok=True)
        Journal.clear(home)

    @staticmethod
    def clear(home: Home) -> None:
        """Takes away what an erasure has left that was killed before it had a journal, or after it was done."""
        if work_folder(home).exists() and not journal_path(home).exists():
            shutil.rmtree(work_folder(home))
