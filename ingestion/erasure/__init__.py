"""Erasure of a person (删除个人信息) from the raw zone and what is made of it; published figures stay as they are.

In the person's rows every number and name becomes a surrogate that stands for nobody, in the landed bytes themselves
and, by staging them again, in the tokens. Order of the steps, each of which may be the last of a killed process:
journal → changed bytes beside the old ones, staged on trial → ledger says what replaces what → old bytes removed →
staged again → builds removed → record → journal removed. A second run with the same input goes on from there.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ingestion.contracts import CONTRACTS, contract_of
from ingestion.durable import locked, naming_storage_faults, put, sync
from ingestion.erasure import record
from ingestion.erasure.journal import Journal, journal_path, work_folder
from ingestion.erasure.person import Person, read_person
from ingestion.erasure.search import Place, deliveries, names_in_ledger, search, shown_delivery, without_raw
from ingestion.erasure.staged import staged_without
from ingestion.errors import Permanent, Transient
from ingestion.home import Home
from ingestion.landing import Progress, empty, object_path
from ingestion.ledger import Ledger, now, staged_path
from ingestion.load import restage, sweep
from ingestion.normalize import Normalizer, connect
from ingestion.personal import key_of
from ingestion.personal_numbers import masked
from ingestion.staging import stage

__all__ = ["Erased", "Person", "erase", "read_person"]


class CannotErase(Permanent):
    """A landed file cannot be changed without losing rows; nothing was changed."""


@dataclass(frozen=True)
class Erased:
    """What an erasure found; ``record`` is the id of its entry, None on trial or when there was nothing."""

    places: tuple[Place, ...]
    names: int = 0
    record: str | None = None
    runs_left: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        return sum(place.rows for place in self.places)


@naming_storage_faults("erasure")
def erase(
    home: Home,
    person: Person,
    *,
    by: str,
    request: str,
    apply: bool = False,
    remove_files: bool = False,
    remove_unsearchable: bool = False,
    progress: Progress | None = None,
) -> Erased:
    """Finds the person and, with ``apply``, erases them; without it nothing is written.

    ``by`` and ``request`` say who asked and on which request; they go into the record. ``remove_files`` removes the
    landed files whole instead of changing them: what was accepted of them cannot be rebuilt from raw any more.
    Files that cannot be searched (packed, encrypted; never part of a dataset) are named, and removed when told.
    Raises CannotErase before anything is changed where a changed file would give other rows.
    """
    if not apply:
        journal = Journal.of(home, person)
        places, _ = search(home, person, journal, remove_files, remove_unsearchable, progress)
        return Erased(tuple(places), len(names_in_ledger(home, person)))
    with _no_pulls(home):
        Journal.clear(home)
        journal = Journal.of(home, person)
        places, contents = search(home, person, journal, remove_files, remove_unsearchable, progress)
        names = names_in_ledger(home, person)
        resumed = journal_path(home).exists()
        if not names and not resumed and all(place.action == "unsearchable" for place in places):
            return Erased(tuple(places))
        journal.rows |= {place.sha256: place.rows for place in places}
        journal.staged |= {place.sha256: place.rows for place in places if place.action == "staged"}
        for name in names:
            journal.note_name(name)
        journal.save(home)
        try:
            _on_trial(home, contents)
        except CannotErase:
            if not resumed:
                journal.close(home)
            raise
        _replace(home, journal, places, contents)
        _rename(home, person, journal)
        runs_left = _stage_again(home, person, journal, progress)
        done = _done(home, journal, places)
        record.append(home, _entry(home, person, journal, done, by, request))
        journal.close(home)
    return Erased(tuple(done), len(journal.names), journal.id, tuple(runs_left))


@contextmanager
def _no_pulls(home: Home) -> Iterator[None]:
    """No delivery is landed meanwhile, and no other erasure or retention runs; what killed pulls have left goes."""
    with ExitStack() as stack:
        for dataset in sorted(CONTRACTS):
            stack.enter_context(locked(home.raw / "incoming" / dataset, f"erasure ({dataset})"))
            empty(home.raw / "incoming" / dataset)
        yield


def _on_trial(home: Home, contents: dict[str, bytes]) -> None:
    """The changed bytes lie in the work folder, and each accepted file made of them gives the rows it gave before."""
    trial = Home(work_folder(home) / "trial")
    for sha256, attempts in deliveries(home).items():
        if sha256 not in contents:
            continue
        path = work_folder(home) / sha256
        path.write_bytes(contents[sha256])
        path.chmod(0o600)
        for attempt in attempts:
            if attempt.outcome != "accepted":
                continue
            with connect() as connection:
                normalizer = Normalizer(contract_of(attempt.dataset), key_of(home), connection)
                staged = stage(trial, path, attempt, normalizer, None)
            then = (attempt.rows_in, attempt.rows_loaded, attempt.rows_quarantined)
            name = shown_delivery(attempt)
            if then != (staged.rows_in, staged.rows_loaded, staged.rows_quarantined):
                raise CannotErase(
                    f"{name}: changed it would give {staged.rows_loaded} good rows of {staged.rows_in} "
                    f"instead of {attempt.rows_loaded} of {attempt.rows_in}; nothing was changed. --remove-files "
                    "removes it whole"
                )
    shutil.rmtree(trial.root, ignore_errors=True)


def _replace(home: Home, journal: Journal, places: list[Place], contents: dict[str, bytes]) -> None:
    ledger = Ledger(home)
    with ExitStack() as stack:
        # A load that is at work ends first; the next one reads what has replaced the bytes.
        for dataset in sorted(CONTRACTS):
            stack.enter_context(locked(home.staged / dataset, f"erasure ({dataset})"))
        sweep(home)
        for place in places:
            if place.action == "changed":
                content = contents[place.sha256]
                new = hashlib.sha256(content).hexdigest()
                made = work_folder(home) / f".{new}"
                made.write_bytes(content)
                made.chmod(0o600)
                put(made, object_path(home, new))
                ledger.record_replacement(place.sha256, new, "erasure", journal.id)
            elif place.action == "removed":
                ledger.record_replacement(place.sha256, None, "erasure", journal.id)
        for old in _replaced(home, journal):
            object_path(home, old).unlink(missing_ok=True)
        if home.objects.is_dir():
            sync(home.objects)


def _replaced(home: Home, journal: Journal) -> dict[str, str | None]:
    """Old hash -> new hash (None: removed) of this erasure, however often it was begun."""
    return {each.sha256: each.replaced_by for each in Ledger(home).replacements() if each.record == journal.id}


def _rename(home: Home, person: Person, journal: Journal) -> None:
    ledger = Ledger(home)
    for name in sorted(names_in_ledger(home, person)):
        ledger.rename_file(name, person.without(name, journal.surrogate))
    if journal.names:
        ledger.forget()


def _stage_again(home: Home, person: Person, journal: Journal, progress: Progress | None) -> list[str]:
    """Tokens of the person leave what is staged, and the builds made of it; returns builds that are at work now."""
    ledger, touched = Ledger(home), _replaced(home, journal)
    again = [
        attempt
        for attempt in ledger.attempts()
        if attempt.outcome == "accepted"
        and (kept := ledger.kept_as(attempt.sha256 or ""))
        and (kept in touched or kept in touched.values())
    ]
    raw_there = [a for a in again if object_path(home, ledger.kept_as(a.sha256 or "")).is_file()]
    restage(home, raw_there, progress=progress)
    for attempt in without_raw(home):
        with locked(home.staged / attempt.dataset, f"erasure of {attempt.dataset}"):
            delivery = (attempt.dataset, attempt.month, attempt.attempt_id)

            def seal(made: Path, delivery: tuple[str, str, int] = delivery) -> None:
                ledger.seal_again(*delivery, made)

            staged_without(staged_path(home, *delivery), person, key_of(home), journal.surrogate, seal)
    return _remove_runs(home)


def _remove_runs(home: Home) -> list[str]:
    """Builds hold tokens, and a rebuild on trial the ledger's names; they are made again when they are needed. One that
    is at work is left and named."""
    left = []
    folders = [path for path in home.runs.glob("*") if path.is_dir()] if home.runs.is_dir() else []
    for folder in [*folders, *([home.trial] if home.trial.is_dir() else [])]:
        try:
            with locked(folder, f"build {folder.name}", wait_seconds=0):
                shutil.rmtree(folder)
        except Transient:
            left.append(folder.name)
    return left


def _done(home: Home, journal: Journal, places: list[Place]) -> list[Place]:
    """The places of this erasure, those of an earlier try that was cut short among them."""
    found = {place.sha256: place for place in places}
    known = deliveries(home)
    replaced_by = _replaced(home, journal)
    done = {old: "changed" if new else "removed" for old, new in replaced_by.items()}
    for old, action in (dict.fromkeys(journal.staged, "staged") | done).items():
        if old not in found:
            attempts = known.get(replaced_by.get(old) or old, [])
            accepted = any(attempt.outcome == "accepted" for attempt in attempts)
            shown = tuple(dict.fromkeys(map(shown_delivery, attempts)))
            found[old] = Place(shown, old, journal.rows.get(old, 0), action, accepted)
    return list(found.values())


def _entry(home: Home, person: Person, journal: Journal, places: list[Place], by: str, request: str) -> dict:
    replaced = _replaced(home, journal)
    files = [
        {
            "deliveries": list(place.deliveries),
            "sha256": place.sha256,
            "replaced_by": replaced.get(place.sha256),
            "action": place.action,
            "rows": place.rows,
            "can_be_rebuilt": not place.accepted or place.action == "changed",
        }
        for place in places
    ]
    return {
        "id": journal.id,
        "at": now().isoformat(sep=" ", timespec="seconds"),
        "by": masked(by),
        "request": masked(request),
        "tokens": person.tokens(key_of(home)),
        "names_in_ledger": len(journal.names),
        "files": files,
    }
