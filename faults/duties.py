"""The homes in which upkeep is struck: a small one that holds a person in every kind of place, and one with releases.

What upkeep leaves is compared as ``kept_of`` tells it: tokens and surrogates are random, so they are numbered by their
first place; equal numbers then mean equal people.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import os
import re
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from faults import county, material
from faults.county import Task, measured
from faults.injection import in_child
from faults.invariants import i4_erased, served
from faults.workplace import Workplace
from ingestion.errors import BadParameter, DeliveryRefused
from ingestion.home import Home
from ingestion.ledger import Ledger, findings_path, now, quarantine_path, seal_of
from ingestion.personal import TOKEN, key_of

CASES, TICKETS = "platform_cases", "hotline_tickets"
NAME, PHONE, ID = "赵琰玥", "13812345678", "652701199003071233"
WHO = f"姓名: {NAME}\n电话: {PHONE}\n证件: {ID}\n"
PERSON = frozenset({NAME, PHONE, ID})
#: The key that a key of the environment is rotated to.
NEXT_KEY = "next:" + "k" * 40
_PASSED = dt.timedelta(days=2000)

_SURROGATE = re.compile("已删除[0-9a-f]{12}")
#: The piece of a token by which names of files that are shown masked stay two.
_NAME_TAIL = re.compile("#[0-9a-f]{8}")


# -- what is compared -------------------------------------------------------------------------------------------------


def kept_of(home: Home, fixed: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What the home keeps, with random values numbered; tokens in ``fixed`` stand as they are."""
    numbers: dict[str, str] = {}

    def same(text: str) -> str:
        text = TOKEN.sub(lambda m: m[0] if m[0] in fixed else numbers.setdefault(m[0], f"T{len(numbers)}"), text)
        return _NAME_TAIL.sub("#", _SURROGATE.sub("§", text))

    ledger = Ledger(home)
    files, seals = ledger.accepted_files(), ledger.seals()
    staged = []
    for file in files:
        place = (home, file.dataset, file.month, file.landing_id)
        paths = (file.path, quarantine_path(*place), findings_path(*place))
        staged.append([same(_rows(path)) if path.exists() else "" for path in paths])
    mark = key_of(home).mark
    return {
        "raw": sorted(_SURROGATE.sub("§", _unpacked(path)) for path in home.objects.glob("*")),
        "ledger": [
            [each.dataset, each.month, same(each.file or ""), each.outcome, each.rows_in, each.rows_loaded]
            for each in ledger.attempts()
        ],
        "replaced": sorted({f"{each.sha256} {each.why} {each.replaced_by is None}" for each in ledger.replacements()}),
        "staged": staged,
        "sealed": [
            seals.get(file.landing_id) == seal_of(home, file.dataset, file.month, file.landing_id) for file in files
        ],
        "of_the_key_in_use": [mark.encode() in _footer(file.path).values() for file in files],
        "records": [
            [each["by"], each["request"], each["names_in_ledger"], sorted(_told(one) for one in each["files"])]
            for each in _records(home)
        ],
        "keys": sorted(path.name for path in home.keys.glob("*")),
        "zone": sorted(path.name for path in home.raw.iterdir()),
        "runs": sorted(path.name for path in home.runs.glob("[!.]*")),
        "served": served(home),
    }


def _unpacked(path: Path) -> str:
    content = path.read_bytes()
    return (gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content).decode()


def _rows(path: Path) -> str:
    return repr(pq.ParquetFile(path).read(use_threads=False).to_pydict())


def _footer(path: Path) -> dict[bytes, bytes]:
    return pq.read_schema(path).metadata or {}


def _records(home: Home) -> list[dict[str, Any]]:
    from ingestion.erasure import record

    return record.entries(home)


def _told(file: dict[str, Any]) -> list[Any]:
    return [file["sha256"], file["action"], file["rows"], file["can_be_rebuilt"], file["replaced_by"] is None]


# -- the homes ---------------------------------------------------------------------------------------------------------


def _home_with_a_person(place: Workplace, key: str | None = None) -> None:
    """In plain and packed files, in a file's name, in typed rows without raw bytes and in a refused file."""
    if key is not None:
        os.environ["TONGBAO_PII_KEY"] = key
    from ingestion.load import load
    from ingestion.retention import remove_expired

    def deliver(dataset: str, month: str, name: str, content: bytes) -> None:
        place.put(dataset, {name: content}, month)
        county.land(place, (dataset,), month)
        load(place.home, dataset, month)

    cases = [dict(row) for row in material.generated(CASES)[:12]]
    for row in (cases[2], cases[7]):
        row |= {"申请人": NAME, "证件号码": ID, "联系电话": PHONE}
    tickets = [dict(row) for row in material.generated(TICKETS)[:16]]
    for row in (tickets[1], tickets[11]):
        row |= {"来电人": NAME, "来电号码": PHONE, "诉求内容": f"本人{NAME}，电话{PHONE}，要求回复"}
    deliver(TICKETS, "2022-06", "calls.csv", material.csv_bytes(TICKETS, tickets[10:]))
    remove_expired(place.home, needed_too=True, at=now() + _PASSED)
    deliver(CASES, material.MONTH, f"{PHONE}.csv", material.csv_bytes(CASES, cases))
    deliver(TICKETS, material.MONTH, "calls.csv.gz", gzip.compress(material.csv_bytes(TICKETS, tickets[:10]), mtime=0))
    with contextlib.suppress(DeliveryRefused):
        deliver(CASES, "2022-08", "bad.csv", f"没有表头,{PHONE}\n".encode())
    (place.home.runs / "run-1").mkdir(parents=True)
    (place.home.runs / "run-1" / "tokens").write_text("of the person")
    county.keep(place, "person")
    # What killed processes have left: of a pull, of a load, of a rebuild on trial.
    left = place.home.raw / "incoming" / CASES / "tmp1"
    left.mkdir(parents=True)
    (left / "export.csv").write_bytes(material.csv_bytes(CASES, cases))
    (file,) = Ledger(place.home).accepted_files(CASES)
    shutil.copyfile(file.path, file.path.with_name("99.parquet"))
    trial = Home(place.home.root / "rebuild")
    Ledger(place.home).copy_to(trial)
    county.keep(place, "person_and_left")


@cache
def upkeep_tasks() -> dict[str, Task]:
    """The tasks of upkeep by name, measured undisturbed."""
    county.warm()
    _warm()
    base = county.folder()
    small, own_key = Workplace(base, "upkeep"), Workplace(base, "upkeep-own-key")
    for place, key in ((small, None), (own_key, "")):
        county.must(in_child(lambda: _home_with_a_person(place, key), base / "upkeep.log", patience=600))  # noqa: B023
    fixed, mark = county.must(in_child(lambda: [_tokens(small.home), key_of(small.home).mark], base / "upkeep.log"))

    def known(home: Home) -> dict[str, Any]:
        return kept_of(home, frozenset(fixed))

    def erasure_told(place: Workplace, task: Task) -> list[str]:
        """Until the record says that it is done, ``status`` tells of an erasure that has changed anything."""
        state = known(place.home)
        changed = [name for name in state if state[name] != task.old[name] and name != "zone"]
        if not changed or state["records"] or status_of(place)["unfinished_erasure"]:
            return []
        return [f"I5: the erasure changed {', '.join(changed)}, and status tells nothing of it"]

    person, left = small.root / "person", small.root / "person_and_left"
    tasks = (
        Task("erasure", left, erase, erase, state=known, wreck=erasure_told, finished=_erased),
        Task("rotation", person, rotate, rotate, state=kept_of, wreck=_rotation_told, key=NEXT_KEY,
             finished=lambda place: _rotated(place, mark)),
        Task("rotation_of_own_key", own_key.root / "person", rotate, rotate, state=kept_of, wreck=_rotation_told,
             key="", finished=lambda place: _rotated(place, _own_mark(own_key.root / "person" / "home"))),
        Task("retention", person, retain, retain, state=known),
    )  # fmt: skip
    return {task.name: measured(replace(task, secrets=PERSON), base) for task in tasks}


def _tokens(home: Home) -> list[str]:
    files = Ledger(home).accepted_files()
    return sorted({token for file in files for token in TOKEN.findall(_rows(file.path))})


def _warm() -> None:
    import importlib

    for name in ("ingestion.erasure", "ingestion.rotation", "ingestion.retention", "upkeep.status", "ingestion.load"):
        importlib.import_module(name)


# -- what the tasks do ------------------------------------------------------------------------------------------------


def erase(place: Workplace) -> None:
    from ingestion import erasure

    erasure.erase(place.home, erasure.read_person(WHO), by="县局", request="2026-17", apply=True)


def rotate(place: Workplace) -> None:
    """Where the key is of the environment, a rotation that is done is refused for good reason: no key is new."""
    from ingestion import rotation

    try:
        rotation.rotate(place.home, rekey_expired=True)
    except BadParameter as error:
        if "every token is of the key" not in str(error):
            raise


def retain(place: Workplace) -> None:
    from ingestion.retention import remove_expired

    remove_expired(place.home, needed_too=True, at=now() + _PASSED)


# -- what must hold besides -------------------------------------------------------------------------------------------


def status_of(place: Workplace) -> dict[str, Any]:
    from upkeep.status import status

    return status(place.home)


def _rotation_told(place: Workplace, _: Task) -> list[str]:
    """``status`` tells of a rotation until all of it is done."""
    state = kept_of(place.home)
    begun = any("previous" in name for name in state["keys"])
    if all(state["of_the_key_in_use"]) and all(state["sealed"]) and not begun:
        return []
    told = status_of(place)
    if told.get("unfinished_rotation") or "KeysMixed" in (told["pseudonym_key"] or ""):
        return []
    return ["I5: a rotation was cut short, and status tells nothing of it"]


def _own_mark(home: Path) -> str:
    return key_of(Home(home)).mark


def _rotated(place: Workplace, before: str) -> list[str]:
    """Ended well, a rotation has put another key in the place of the one there was."""
    files = Ledger(place.home).accepted_files()
    old = [file for file in files if before.encode() in _footer(file.path).values()]
    return [f"I5: the rotation ended well, and {len(old)} files are of the old key"] if old else []


def _erased(place: Workplace) -> list[str]:
    """Neither the person's values in any file, nor the tokens of them in what is staged."""
    from ingestion.erasure import read_person

    gone = set(read_person(WHO).tokens(key_of(place.home)))
    staged = [path for path in place.home.root.rglob("*.parquet") if gone & set(TOKEN.findall(_rows(path)))]
    return i4_erased(place.home, PERSON) + [f"I4: tokens of the person in {path.name}" for path in staged]
