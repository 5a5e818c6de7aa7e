"""A county with two releases and their documents: where a step back and the writing of documents are struck."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from faults import county
from faults.county import MONTH, Task, laid, measured, prepared
from faults.injection import in_child
from faults.invariants import served
from faults.workplace import Workplace
from ingestion.home import Home
from publishing.documents import documents_folder

#: The office's own wording: what the notices are written anew with.
WORDING = "wording.txt.j2"


def shelf_of(home: Home) -> dict[str, Any]:
    """What is served, the content of each release's documents, which of them are current, and the steps back."""
    from publishing import releases

    root = documents_folder(home)
    links = sorted(path for path in root.glob("[!.]*") if path.is_symlink()) if root.is_dir() else []
    return {
        "served": served(home),
        "documents": {link.name: tree(link.resolve()) for link in links if link.name.isdigit()},
        "current": [str(link.readlink()) for link in links if link.name == "current"],
        "rollbacks": [[line["from"], line["to"], line["reason"]] for line in releases.rollbacks(home)],
    }


def tree(folder: Path) -> str:
    """Hash of everything in a folder: names and bytes."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder)}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _old_or_new(place: Workplace, task: Task) -> list[str]:
    """Of each release a reader has the documents that were there or those that come, whole; and of one release."""
    now, found = shelf_of(place.home), []
    for name, digest in now["documents"].items():
        if digest not in (task.old["documents"].get(name), task.new["documents"].get(name)):
            found.append(f"I1: the documents of release {name} are neither the old nor the new ones")
    if gone := set(task.old["documents"]) - set(now["documents"]):
        found.append(f"I1: the documents of releases {sorted(gone)} are gone")
    if now["current"] not in (task.old["current"], task.new["current"]):
        found.append(f"I1: the current documents are those of {now['current']}")
    return found


@cache
def shelf_tasks() -> dict[str, Task]:
    """The tasks by name, measured undisturbed."""
    _warm()
    base, source = county.folder(), prepared("publish")
    place = laid(source, Workplace(base, "shelf"))
    _in_child(place, write_documents)
    _in_child(place, county.publish)
    # Only what is published matters from here on.
    for part in place.home.root.iterdir():
        if part != place.home.published:
            shutil.rmtree(part)
    county.keep(place, "undocumented")
    _in_child(place, write_documents)
    county.keep(place, "documented")
    _wording(place.root / WORDING)
    tasks = (
        Task("documents", place.root / "undocumented", write_documents, write_documents),
        Task("documents_again", place.root / "documented", write_again, write_again),
        Task("rollback", place.root / "documented", step_back, step_back),
    )
    return {task.name: measured(replace(task, state=shelf_of, wreck=_old_or_new), base) for task in tasks}


def _in_child(place: Workplace, work: county.Work) -> None:
    county.must(in_child(lambda: work(place), place.root / "making.log", patience=600))


def _warm() -> None:
    import importlib

    for name in ("publishing.notice", "publishing.page", "publishing.documents", "docx"):
        importlib.import_module(name)


def _wording(path: Path) -> None:
    from publishing.notice import template_path

    path.write_text(template_path().read_text("utf-8").rstrip() + "\n\n以上，特此通报。\n", "utf-8")


# -- what the tasks do ------------------------------------------------------------------------------------------------


def write_documents(place: Workplace) -> None:
    from publishing.documents import write_documents as write

    write(place.home)


def write_again(place: Workplace) -> None:
    """The notices of the month in another wording."""
    from publishing.documents import write_documents as write

    write(place.home, periods=[MONTH], template=county.folder() / "shelf" / WORDING)


def step_back(place: Workplace) -> None:
    """As ``python -m publishing rollback --to 1`` does it."""
    import publishing
    from publishing.documents import serve_documents

    publishing.rollback(place.home, 1, "a test")
    serve_documents(place.home)


# -- releases that are small enough to be mirrored at every statement --------------------------------------------------

#: Tables that a mirrored release keeps here.
_MIRRORED = {("marts", "releases"), ("marts", "publication"), ("marts", "unit_scores"), ("history", "unit_scores")}


def mirrored_home() -> Home:
    """Releases 1 and 2 with a few of their tables; release 1 is served."""
    shelf_tasks()
    place = Workplace(county.folder(), "mirrored")
    _in_child(place, _few_tables)
    return place.home


def _few_tables(place: Workplace) -> None:
    import duckdb

    from ingestion.durable import sha256_of
    from publishing.durable import swap_link

    source = Home(county.folder() / "shelf" / "documented" / "home").releases
    for number in (1, 2):
        folder = place.home.releases / str(number)
        folder.mkdir(parents=True)
        warehouse = folder / "warehouse.duckdb"
        shutil.copyfile(source / str(number) / "warehouse.duckdb", warehouse)
        with duckdb.connect(str(warehouse)) as connection:
            tables = connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
            for schema, table in set(tables) - _MIRRORED:
                connection.execute(f"DROP TABLE {schema}.{table}")
            connection.execute("CHECKPOINT")
        files = {"warehouse.duckdb": {"sha256": sha256_of(warehouse)}}
        (folder / "manifest.json").write_text(json.dumps({"number": number, "files": files}))
    swap_link(place.home.current, "releases/1")
