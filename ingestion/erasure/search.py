"""Where a person stands: in which landed files, under which names, and in which staged rows without landed bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ingestion.erasure.journal import Journal
from ingestion.erasure.objects import Found, without
from ingestion.erasure.person import Person
from ingestion.erasure.staged import owned_rows
from ingestion.home import Home
from ingestion.landing import Progress, object_path
from ingestion.ledger import Attempt, Ledger
from ingestion.personal import key_of


@dataclass(frozen=True)
class Place:
    """One landed file, or one staged file without its raw bytes, that holds the person."""

    #: ``dataset month file`` as shown, for every delivery of these bytes; empty for bytes that no delivery knows.
    deliveries: tuple[str, ...]
    sha256: str
    rows: int
    #: changed, removed (nothing is kept), staged (only typed rows are left, changed there), unsearchable (left)
    action: str
    #: Is it part of a dataset, so that a removal means it cannot be rebuilt from raw any more?
    accepted: bool


def search(
    home: Home,
    person: Person,
    journal: Journal,
    remove_files: bool,
    remove_unsearchable: bool,
    progress: Progress | None,
) -> tuple[list[Place], dict[str, bytes]]:
    """Where the person stands, and the changed bytes by the hash of the old ones."""
    known = deliveries(home)
    names = _kept_names(home)
    replaced = {each.sha256 for each in Ledger(home).replacements() if each.replaced_by}
    places: list[Place] = []
    contents: dict[str, bytes] = {}
    objects = sorted(path for path in home.objects.glob("*") if path.is_file()) if home.objects.is_dir() else []
    for done, path in enumerate(objects):
        if progress:
            progress("raw", done, len(objects))
        if path.name in replaced:
            continue  # an erasure that was killed has not come to remove it; it does so when it is run again
        found: Found | None = None
        delivered: list[str | None] = [*sorted(names.get(path.name, []))]
        for name in delivered or [None]:
            found = without(path, name, person, journal.surrogate)
            if found is None or found.content is not None:
                break
        if found is None:
            continue
        attempts = known.get(path.name, [])
        accepted = any(attempt.outcome == "accepted" for attempt in attempts)
        action = "removed"
        if not found.searched:
            action = "removed" if remove_unsearchable and not accepted else "unsearchable"
        elif found.content is not None and not remove_files:
            action, contents[path.name] = "changed", found.content
        shown = tuple(dict.fromkeys(map(shown_delivery, attempts)))
        places.append(Place(shown, path.name, found.rows, action, accepted))
    # What a killed try has put beside the old bytes, before the ledger knew of it, is nobody's file.
    made = {hashlib.sha256(content).hexdigest() for content in contents.values()}
    places = [place for place in places if place.sha256 not in made]
    for attempt in without_raw(home):
        path = home.staged / attempt.dataset / attempt.month / f"{attempt.attempt_id}.parquet"
        if rows := owned_rows(path, person, key_of(home)):
            places.append(Place((shown_delivery(attempt),), attempt.sha256 or "", rows, "staged", True))
    return places, contents


def _kept_names(home: Home) -> dict[str, set[str]]:
    """Hash of what is kept -> the names that those bytes, or those they replace, were delivered under."""
    ledger = Ledger(home)
    names: dict[str, set[str]] = {}
    for sha256, found in ledger.delivered_names().items():
        names.setdefault(ledger.kept_as(sha256), set()).update(found)
    return names


def deliveries(home: Home) -> dict[str, list[Attempt]]:
    """Hash of what is kept -> the attempts that stand on it."""
    ledger = Ledger(home)
    found: dict[str, list[Attempt]] = {}
    for attempt in ledger.attempts():
        if attempt.sha256:
            found.setdefault(ledger.kept_as(attempt.sha256), []).append(attempt)
    return found


def without_raw(home: Home) -> list[Attempt]:
    """Accepted files of which only the staged rows are left."""
    return [
        attempt
        for sha256, attempts in deliveries(home).items()
        if not object_path(home, sha256).exists()
        for attempt in attempts
        if attempt.outcome == "accepted"
    ]


def shown_delivery(attempt: Attempt) -> str:
    return f"{attempt.dataset} {attempt.month} {attempt.file}"


def names_in_ledger(home: Home, person: Person) -> set[str]:
    """Delivered names that hold one of the person's numbers."""
    return {name for names in Ledger(home).delivered_names().values() for name in names if person.numbered_in(name)}
