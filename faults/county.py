"""The homes in which the faults of operation strike: a small one, fast enough for every point, and a whole county.

Made once for a run of the card, each in a child, so that this process never has a library's threads when it forks.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from faults import material
from faults.injection import ANY, Fault, in_child
from faults.invariants import state_of
from faults.workplace import Workplace
from ingestion.contracts import CONTRACTS, SYSTEMS
from ingestion.home import PROJECT, Home

MONTH, DATASET = material.MONTH, "platform_cases"
PERIODS = [MONTH]
#: A dbt project of three models, for what happens inside a build.
SMALL = Path(__file__).parent / "dbt_small"
RUN = "run-2"

Work = Callable[[Workplace], Any]


@dataclass(frozen=True)
class Task:
    """One task in a home where it is about to run."""

    name: str
    template: Path
    run: Work
    #: What follows when it is started again: itself, and the tasks below it.
    again: Work
    #: State of the home before it, after it alone, and after all that follows.
    old: dict[str, Any] = field(default_factory=dict)
    done: dict[str, Any] = field(default_factory=dict)
    new: dict[str, Any] = field(default_factory=dict)
    #: Changes on disk that it makes undisturbed, by kind.
    steps: dict[int, int] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    #: What of the home is compared, and what must hold besides the invariants, of the wreck and after the re-run.
    state: Callable[[Home], dict[str, Any]] = state_of
    wreck: Callable[[Workplace, Task], list[str]] = lambda place, task: []
    finished: Work = lambda place: []
    #: The environment's key for pseudonyms where it is not the card's; empty: the home has its own.
    key: str | None = None

    def place(self, base: Workplace) -> Workplace:
        """Lays the task's home and exports into the variant's folder."""
        if self.key is not None:
            os.environ["TONGBAO_PII_KEY"] = self.key
        return laid(self.template, base)


class NotPrepared(RuntimeError):
    """The homes in which the faults strike could not be made: nothing can be said of any fault."""


def laid(template: Path, place: Workplace) -> Workplace:
    """Lays a prepared home, and its exports where it has some, into the variant's folder."""
    shutil.copytree(template / "home", place.home.root, symlinks=True, dirs_exist_ok=True)
    if (template / "exports").exists():
        shutil.copytree(template / "exports", place.exports)
    return place


def prepared(name: str) -> Path:
    """A home of the whole county by name, made now where no task was asked for before."""
    tasks()
    return folder() / "whole" / name


# -- what the tasks do, as the DAGs do it ----------------------------------------------------------------------------


def land(place: Workplace, datasets: tuple[str, ...] = (DATASET,), month: str = MONTH) -> None:
    from ingestion.landing import pull
    from ingestion.transports import connect

    source = connect(place.exports.as_uri())
    try:
        for dataset in datasets:
            pull(place.home, source, CONTRACTS[dataset].system, dataset, month)
    finally:
        source.close()


def load(place: Workplace, datasets: tuple[str, ...] = (DATASET,), month: str = MONTH) -> None:
    import expectations
    from ingestion.load import load as load_delivery

    for dataset in datasets:
        load_delivery(place.home, dataset, month, validate=expectations.validate_load)


def build(place: Workplace, run_id: str = RUN) -> None:
    import publishing

    publishing.build(place.home, PERIODS, run_id, "更正 correction")


def build_small(place: Workplace) -> None:
    import publishing

    publishing.build(place.home, PERIODS, RUN, "更正 correction", project=SMALL)


def audit(place: Workplace, run_id: str = RUN) -> None:
    import publishing

    publishing.audit(place.home, run_id)


def publish(place: Workplace, run_id: str = RUN) -> list[str]:
    import publishing

    return publishing.publish(place.home, run_id).releases


def land_and_load_all(place: Workplace, month: str = MONTH) -> None:
    for datasets in SYSTEMS.values():
        for dataset in datasets:
            if dataset in ALL:
                land(place, (dataset,), month)
                load(place, (dataset,), month)


#: The ten datasets, whatever contracts the card adds for real exports.
ALL = tuple(name for names in SYSTEMS.values() for name in names)


def one_after_another(*works: Work) -> Work:
    def all_of_them(place: Workplace) -> None:
        for work in works:
            work(place)

    return all_of_them


# -- the homes ---------------------------------------------------------------------------------------------------------


@cache
def tasks() -> dict[str, Task]:
    """Every task by name, measured undisturbed. Takes half a minute; the folder goes when this process ends."""
    warm()
    base = folder()
    small, whole = Workplace(base, "small"), Workplace(base, "whole")
    making = [
        in_child(lambda: _small(small), base / "small.log", patience=600, wait=False),
        in_child(lambda: _whole(whole), base / "whole.log", patience=900, wait=False),
    ]
    for ran in [ended() for ended in making]:
        if not ran.well:
            raise NotPrepared(f"the homes for the faults could not be made: {ran.error} {ran.text}\n{ran.chain}")
    found = {}
    little, phones = material.secrets(DATASET), _phones(whole.exports)
    for task in (
        Task("land", small.root / "land", land, one_after_another(land, load)),
        Task("load", small.root / "load", load, load),
        Task("build", small.root / "build", build_small, build_small),
        Task("audit", whole.root / "audit", audit, one_after_another(audit, publish)),
        Task("publish", whole.root / "publish", publish, publish),
    ):
        small_one = task.template.parent == small.root
        found[task.name] = measured(replace(task, secrets=little if small_one else phones), base)
    return found


@cache
def folder() -> Path:
    """The folder of the templates, in memory where there is some."""
    shared = Path("/dev/shm")  # noqa: S108
    made = Path(tempfile.mkdtemp(prefix="faults-homes-", dir=shared if os.access(shared, os.W_OK) else None))
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(made, ignore_errors=True) if os.getpid() == owner else None)
    return made


@cache
def warm() -> None:
    """Imports what the tasks import, once, before children are forked; runs nothing that starts a thread."""
    import importlib

    for name in (
        "dbt.cli.main", "dbt.adapters.duckdb.connections", "dbt.adapters.duckdb.impl", "publishing.sandbox",
        "great_expectations", "polars", "polars_hash", "pandas", "xlsxwriter", "expectations", "publishing",
        "ingestion.landing", "ingestion.transports", "simulator.generate",
    ):  # fmt: skip
        importlib.import_module(name)
    from expectations.judge import _gx

    _gx()
    gc.collect()
    gc.freeze()


def measured(task: Task, base: Path) -> Task:
    """Runs the task undisturbed in a copy: its steps and the states before and after."""
    key = os.environ.get("TONGBAO_PII_KEY", "")
    place = task.place(Workplace(base))

    def work() -> dict[str, Any]:
        return {"done": task.state(place.home)}

    def finish() -> dict[str, Any]:
        task.again(place)
        return task.state(place.home)

    log = place.root / "log.txt"
    old = must(in_child(lambda: task.state(place.home), log))
    # The first run in a home makes what later ones find (dbt's cache of its parse): it is not the one measured.
    ran = in_child(lambda: task.run(place), log, root=place.home.root, fault=Fault(ANY))
    must(ran)
    done = must(in_child(work, log))["done"]
    new = must(in_child(finish, log))
    place.remove()
    os.environ["TONGBAO_PII_KEY"] = key
    return replace(task, old=old, done=done, new=new, steps=ran.seen)


def must(ran: Any) -> Any:
    if not ran.well:
        raise NotPrepared(f"an undisturbed task failed: {ran.error} {ran.text}\n{ran.chain}")
    return ran.result


def keep(place: Workplace, name: str, exports: bool = False) -> None:
    target = place.root / name
    shutil.copytree(place.home.root, target / "home", symlinks=True)
    if exports:
        shutil.copytree(place.exports, target / "exports")


def _small(place: Workplace) -> None:
    """An accepted delivery, and a newer one of the same file with corrected, new and damaged rows."""
    rows = [dict(row) for row in material.generated(DATASET)[:24]]
    place.put(DATASET, {"export.csv": material.csv_bytes(DATASET, rows[:20])})
    one_after_another(land, load)(place)
    damaged = material.csv_text(material.table(DATASET, rows)).splitlines()
    damaged[5] += ",13912345678"
    place.put(DATASET, {"export.csv": "\r\n".join([*damaged, ""]).encode()})
    keep(place, "land", exports=True)
    land(place)
    keep(place, "load", exports=True)
    load(place)
    # The parse of the project is kept as on every day but the first.
    _in_own_child(lambda: build_small(place), place)
    shutil.rmtree(place.home.runs / RUN)
    keep(place, "build", exports=True)


def _in_own_child(work: Callable[[], Any], place: Workplace) -> None:
    must(in_child(work, place.root / "making.log", patience=600))


def _whole(place: Workplace) -> None:
    """A month of a small county: published, corrected, built anew; then audited."""
    from simulator.generate import county  # noqa: F401 - imported before the clock runs

    generate(place.exports, [MONTH])
    _in_own_child(lambda: land_and_load_all(place), place)
    for work in (build, audit, publish):
        _in_own_child(lambda work=work: work(place, "run-1"), place)  # type: ignore[misc]
    keep(place, "published", exports=True)
    correct(place.exports)
    keep(place, "corrected", exports=True)
    _in_own_child(lambda: land_and_load_all(place), place)
    _in_own_child(lambda: build(place), place)
    shutil.rmtree(place.home.runs / "run-1")
    keep(place, "audit")
    _in_own_child(lambda: audit(place), place)
    keep(place, "ready")
    _in_own_child(lambda: _fewer_tables(place), place)
    keep(place, "publish")


def _fewer_tables(place: Workplace) -> None:
    """Of the audited run only one area's ranking: a publication whose every write can be cut, table by table alike."""
    import duckdb

    from ingestion.durable import sha256_of

    run = place.home.runs / RUN
    with duckdb.connect(str(run / "warehouse.duckdb")) as connection:
        connection.execute("DELETE FROM marts.unit_rankings WHERE area <> 'overall'")
        connection.execute("CHECKPOINT")
    for name in ("build.json", "audit.json"):
        told = json.loads((run / name).read_text("utf-8")) | {"warehouse_sha256": sha256_of(run / "warehouse.duckdb")}
        (run / name).write_text(json.dumps(told))
    for folder in (place.home.root / "validation" / "load").iterdir():
        if folder.name != DATASET:
            shutil.rmtree(folder)


def generate(exports: Path, months: list[str], seed: int = 7) -> None:
    """Writes the exports of a county of a fiftieth of the size."""
    import subprocess
    import sys

    command = [sys.executable, "-m", "simulator", "generate", "--out", str(exports), "--months"]
    command += [f"{months[0]}..{months[-1]}", "--factor", "0.02", "--seed", str(seed), "--plain"]
    env = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    subprocess.run(command, check=True, cwd=PROJECT, capture_output=True, env=env)
    then = time.time() - 3600
    for path in exports.rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


def correct(exports: Path, month: str = MONTH) -> None:
    """A late correction: the first adopted submission of the month turns out returned."""
    import openpyxl

    path = next((exports / "cms" / "cms_submissions" / month).glob("*.xlsx"))
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    header = next(row for row in sheet.iter_rows() if any(cell.value == "报送编号" for cell in row))
    column = {cell.value: cell.column for cell in header}
    for row in range(header[0].row + 1, sheet.max_row + 1):
        cells = {name: sheet.cell(row, at) for name, at in column.items()}
        if cells["审核状态"].value == "采用" and str(cells["报送时间"].value).startswith(month):
            cells["审核状态"].value = "退回"
            cells["更新时间"].value = f"{month[:5]}{int(month[5:]) + 1:02d}-04 09:00:00"
            break
    book.save(path)
    then = time.time() - 1800
    os.utime(path, (then, then))


def _phones(exports: Path) -> frozenset[str]:
    """Some of the callers' numbers in the exports: nowhere outside the raw zone."""
    found: set[str] = set()
    for path in sorted(exports.rglob("*.[cj]s*")):
        found |= {number.decode() for number in re.findall(rb"(?<!\d)1[3-9]\d{9}(?!\d)", path.read_bytes())}
    return frozenset(sorted(found)[:20])
