"""A run that passed its audit becomes the served release: a new folder, complete and on disk, then one swap of a link.

Steps, each of which may be the last of a killed process: folder under a temporary name → files, hashed in a manifest →
fsync → rename → swap of ``current``. Before the swap readers have the old release; what is left over the next
publisher removes.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingestion import engine
from ingestion.durable import naming_storage_faults, sha256_of
from ingestion.errors import AuditFailed, BadParameter, Permanent
from ingestion.home import Home
from publishing import releases, settings
from publishing.build import read_state, run_folder
from publishing.durable import PublisherBusy, exclusive, files_under, fsync_path, fsync_tree, link_or_copy, swap_link
from publishing.kept import AUDIT_FILE
from publishing.release_file import write_parquet, write_release_file
from publishing.small_cells import Withheld
from publishing.tables import made_of, write_tables

log = logging.getLogger("tongbao.publishing")

#: What small cells a release withholds, for the next one to take over.
WITHHELD_FILE = "withheld.json"


class StaleBuild(Permanent):
    """Another run has published since this one was built: build it again on what is served now."""


@dataclass(frozen=True)
class Published:
    """What a publication did: the new releases (``<period>-r<revision>``), and the number of the folder that holds
    them. ``unchanged``: the run brought nothing that is not published already, and nothing was written."""

    releases: list[str] = field(default_factory=list)
    unchanged: bool = False
    number: int | None = None
    #: Of how many months facts were computed for it, and of how many kept from an earlier build.
    months: dict[str, int] = field(default_factory=dict)


@naming_storage_faults("publish")
def publish(home: Home, run_id: str) -> Published:
    """Publishes the run's warehouse where it holds anything new; one publisher at a time.

    Published already by the same build, nothing is done again and the same is returned. Raises BadParameter where the
    run was not built, has not passed its audit or holds a period that lacks deliveries, AuditFailed where its file is
    not the one that passed, StaleBuild where another run was published in between, PublisherBusy (may be retried) where
    another publisher does not come to an end.
    """
    run_dir = run_folder(home, run_id)
    state = read_state(run_dir)
    warehouse = run_dir / "warehouse.duckdb"
    if provisional := state.get("provisional"):
        raise BadParameter(
            f"run {run_id} is provisional: {', '.join(provisional)} lack deliveries (`plan` names them); its figures "
            "can be looked at in its file and are not published"
        )
    with exclusive(home.published, "publishing"):
        _check_audited(run_dir, warehouse)
        base = releases.newest(home)
        if base and (base.manifest["run_id"], base.manifest["base"]) == (run_id, state["base"]):
            # This run is published: a task killed after its swap, or run twice. What it had left to do is done now.
            releases.clean(home)
            releases.prune(home)
            return Published(releases=base.manifest["releases"], number=base.number)
        if (base.number if base else None) != state["base"]:
            raise StaleBuild(
                f"run {run_id} continues release {state['base']}, but release {base and base.number} is newer"
            )
        home.releases.mkdir(parents=True, exist_ok=True)
        releases.clean(home)
        new, known = _new_releases(warehouse)
        if not new and (not known or (base and base.manifest["input_digest"] == state["input_digest"])):
            return Published(unchanged=True, number=releases.served_number(home))
        number = releases.next_number(base)
        folder = home.releases / f".building-{number}"
        folder.mkdir()
        _fill(home, folder, warehouse, number, state, new, base)
        final = home.releases / str(number)
        folder.rename(final)
        fsync_path(home.releases)
        swap_link(home.current, f"releases/{number}")
        releases.prune(home)
    _prune_runs(home, keep=run_dir)
    months = state.get("months", {})
    log.info("release %d: facts of %d months computed, of %d kept", number, *_counts(months))
    return Published(releases=new, number=number, months=months)


def _counts(months: dict[str, int]) -> tuple[int, int]:
    return months.get("computed", 0), months.get("kept", 0)


def _check_audited(run_dir: Path, warehouse: Path) -> None:
    try:
        audited = json.loads((run_dir / AUDIT_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadParameter(f"run {run_dir.name} has not passed its audit; audit it first") from None
    if sha256_of(warehouse) != audited["warehouse_sha256"]:
        raise AuditFailed(f"the warehouse of run {run_dir.name} is not the one that passed its audit")


def _new_releases(warehouse: Path) -> tuple[list[str], int]:
    """Releases that the run adds, sorted, and how many it knows in all."""
    with engine.connect(warehouse, read_only=True) as connection:
        new = connection.execute(
            "SELECT release FROM marts.releases ANTI JOIN previous.releases USING (release) ORDER BY release"
        ).fetchall()
        known = connection.execute("SELECT count(*) FROM marts.releases").fetchone()
    return [release for (release,) in new], known[0] if known else 0


def _fill(
    home: Home,
    folder: Path,
    warehouse: Path,
    number: int,
    state: dict[str, Any],
    new: list[str],
    base: releases.Release | None,
) -> None:
    from expectations import build_data_docs  # Great Expectations takes seconds to import

    def copy() -> None:
        schemas = state.get("schemas", settings.PUBLISHED_SCHEMAS)
        served = folder / "warehouse.duckdb"
        write_release_file(warehouse, served, schemas, continues=_copied(base, served))
        # The facts are large and in the warehouse file; `python -m publishing parquet` writes them where wanted.
        write_parquet(warehouse, folder / "parquet", ["marts"])

    handed = Handed(base, folder)
    # The copies are the engine's work; the tables, read from the same audited file, are the interpreter's.
    with ThreadPoolExecutor(1, "release-file") as thread:
        copied = thread.submit(copy)
        with engine.connect(warehouse, read_only=True) as connection:
            withheld = Withheld.of(connection, _decided(base))
        withheld.write(folder / WITHHELD_FILE)
        tables = made_of(warehouse, withheld)
        write_tables(warehouse, folder / "tables", tables.keys() - handed.tables(tables), withheld)
        pages: dict[str, str] = {}

        def keep_page(name: str, made_of: str) -> bool:
            pages[name] = made_of
            return handed.page(f"data_docs/{name}", name, made_of)

        build_data_docs(home, folder / "data_docs", keep_page)
        copied.result()
    manifest = {
        "number": number,
        "run_id": state["run_id"],
        "base": state["base"],
        "releases": new,
        "input_digest": state["input_digest"],
        "tables": tables,
        "pages": pages,
        "files": dict(sorted((handed.files | _sealed(folder, handed.files)).items())),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False, indent=1), encoding="utf-8")
    fsync_tree(folder, but=handed.files)


def _sealed(folder: Path, known: Container[str]) -> dict[str, dict[str, Any]]:
    """Closes every file under the folder but the known ones against writing; returns what the manifest says of them."""
    sealed = {}
    for name, path in sorted(files_under(folder)):
        if name not in known:
            path.chmod(0o444)
            sealed[name] = {"sha256": sha256_of(path), "bytes": path.stat().st_size}
    return sealed


def _copied(base: releases.Release | None, target: Path) -> bool:
    """Copies the file of the release before to ``target``; False where it is not as it was published."""
    if base is None or not base.warehouse.is_file():
        return False
    shutil.copyfile(base.warehouse, target)
    return sha256_of(target) == base.manifest["files"].get("warehouse.duckdb", {}).get("sha256")


def _decided(base: releases.Release | None) -> dict[str, Withheld]:
    """What the release before decided about small cells; nothing where its file is not what its manifest says."""
    path = base.intact(WITHHELD_FILE) if base else None
    return Withheld.read(path) if path else {}


@dataclass(frozen=True)
class Handed:
    """What a release holds of the one before: files made of the same, linked and never written, so read once here.

    A file that is not what its manifest says is not handed on: then it is made anew.
    """

    base: releases.Release | None
    folder: Path
    #: What the manifest says of the files that were linked.
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    def tables(self, made_of: dict[str, str]) -> set[str]:
        """Links the ranking tables that would be made of the same (``tables.made_of``); returns their names."""
        before = self.base.manifest.get("tables", {}) if self.base else {}
        names: dict[str, list[str]] = {}
        for name in self.base.manifest["files"] if self.base else ():
            table = name.rpartition(".")[0].removeprefix("tables/")
            if name.startswith("tables/") and table in made_of and before.get(table) == made_of[table]:
                names.setdefault(table, []).append(name)
        return {table for table, of_table in names.items() if self._link(of_table)}

    def page(self, name: str, page: str, made_of: str) -> bool:
        """Links the page of Data Docs where the release before has one made of the same."""
        if self.base is None or self.base.manifest.get("pages", {}).get(page) != made_of:
            return False
        return self._link([name])

    def _link(self, names: Sequence[str]) -> bool:
        """Links all of these files or none."""
        paths = [self.base.intact(name) if self.base else None for name in names]
        if not self.base or None in paths:
            return False
        for name, path in zip(names, filter(None, paths), strict=True):
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if link_or_copy(path, target):  # a copy is a file like those that are written
                self.files[name] = self.base.manifest["files"][name]
        return True


def _prune_runs(home: Home, keep: Path) -> None:
    """Keeps the newest build folders; one that another process is at work in is left alone."""
    folders = [entry for entry in home.runs.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    folders.sort(key=lambda entry: entry.stat().st_mtime)
    for folder in folders[: -settings.runs_kept()]:
        if folder == keep:
            continue
        try:
            with exclusive(folder, f"run {folder.name}", timeout=0):
                shutil.rmtree(folder)
        except PublisherBusy:
            continue
