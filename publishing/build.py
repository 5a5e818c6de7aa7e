"""A new warehouse file per run: inputs laid in, then dbt. This run is its only writer; nothing served is touched."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ingestion import rotation
from ingestion.durable import naming_storage_faults, sha256_of
from ingestion.errors import BadParameter, BuildFailed, Permanent, StorageFailed
from ingestion.home import Home
from ingestion.ledger import Ledger
from ingestion.load import restore
from ingestion.period import Period
from publishing import inputs, kept, releases, settings
from publishing.dbt_run import DBT_PROJECT, Summary, dbt_build, seeds_folder
from publishing.durable import PublisherBusy, exclusive, fsync_path, write_text
from publishing.plan import delivered_pairs, missing_deliveries
from publishing.previous import copy_previous, published_periods
from publishing.releases import Release, next_number
from publishing.warehouse import writing

log = logging.getLogger("tongbao.publishing")

#: What a build leaves beside its warehouse, for audit and publish.
STATE_FILE = "build.json"


def run_folder(home: Home, run_id: str) -> Path:
    """``runs/<run_id>``; raises BadParameter on an id that is not fit for a path."""
    return home.runs / settings.checked_run_id(run_id)


def read_state(run_dir: Path) -> dict[str, Any]:
    """What the build wrote when it was done; raises BadParameter where no build ended there."""
    try:
        return json.loads((run_dir / STATE_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadParameter(f"run {run_dir.name} has no finished build; build it first") from None


@naming_storage_faults("build")
def build(
    home: Home,
    periods: list[str],
    run_id: str,
    reason: str = "",
    *,
    project: Path = DBT_PROJECT,
    full: bool | None = None,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Builds ``runs/<run_id>/warehouse.duckdb`` for these periods and every one published before, and returns its path.

    ``reason`` is published with each new revision. A folder left by a killed run of the same id is built anew. Facts
    that nothing new touches are taken over from an earlier run (publishing.kept), unless ``full`` (default: the setting
    TONGBAO_FULL_BUILD). Raises BuildFailed with the failing models and tests named, BadParameter on codes that are
    none.
    """
    wanted = [Period.parse(code).code for code in periods]
    if not wanted:
        raise BadParameter("no period to build; `plan` says which can be released")
    inputs.checked_path(home.root)
    run_dir = run_folder(home, run_id)
    with exclusive(run_dir, f"run {run_id}"):
        _empty(run_dir)
        warehouse = run_dir / "warehouse.duckdb"
        base = releases.newest(home)
        if base is not None:
            releases.verify_warehouse(base)
        _restore_staged(home)
        key = rotation.key_of_staged(home)
        # Deliveries may be accepted while this goes on: the digest, the rows and the audit tables are of one moment.
        with Ledger(home).at_one_moment() as ledger:
            digest = input_digest(home, project, ledger)
            made_of = kept.Ingredients(_code_digest(home, project), _sealed_landings(ledger))
            # What another engine has built is not in the file of a run.
            wants_all = settings.engine() == "spark" or (settings.full_build() if full is None else full)
            new = None if wants_all else kept.take_over(home, warehouse, made_of)
            provisional = lay_inputs(home, ledger, warehouse, wanted, run_id, reason, digest, base, made_of, new)
        taken = {} if new is None else {"seeds": False}  # the rules of an earlier run are in the file, and the same
        summary = _models(settings.engine())(home, run_dir, project=project, progress=progress, **taken)
        if rotation.key_of_staged(home) != key:
            raise PublisherBusy("the pseudonymisation key was rotated during the build; build again")
        months = _finish(warehouse, anew=new is None)
        log.info("run %s: facts of %d months computed, of %d kept", run_id, months["computed"], months["kept"])
        state = {
            "run_id": run_id,
            "periods": wanted,
            "base": base.number if base else None,
            "input_digest": digest,
            "warehouse_sha256": sha256_of(warehouse),
            "dbt": asdict(summary),
            "taken_over": new is not None,
            "months": months,
            "provisional": provisional,
        }
        write_text(run_dir / STATE_FILE, json.dumps(state, ensure_ascii=False, indent=1))
    return warehouse


def _models(engine: str) -> Callable[..., Summary]:
    """What builds the models from the inputs laid in."""
    if engine == "spark":
        from publishing.spark.build import models_on_spark

        return models_on_spark
    from publishing import repeated

    return repeated.models if repeated.is_on() else dbt_build


def _restore_staged(home: Home) -> None:
    """What was accepted and is damaged or gone from staged/ is made again from the raw zone: never read as it is."""
    try:
        made = restore(home)
    except Permanent as error:
        raise BuildFailed(
            f"accepted files are gone from staged/ or damaged, and cannot be made again: {error}; load them again"
        ) from None
    for name in made:
        log.warning("%s was damaged in staged/ and has been made again from the raw zone", name)


def lay_inputs(
    home: Home,
    ledger: Ledger,
    warehouse: Path,
    periods: list[str],
    run_id: str,
    reason: str,
    digest: str,
    base: Release | None,
    made_of: kept.Ingredients,
    new: list[int] | None,
) -> list[str]:
    """Creates the file with the schemas staged, audit and previous, as docs/architecture.md describes them.

    ``new``: landings that a file taken over from an earlier run does not know; None where there is no such file.
    Returns the periods that were never published and lack deliveries: they are computed to be looked at.
    """
    delivered = delivered_pairs(home, ledger)
    files: dict[str, list[Path]] = defaultdict(list)
    accepted = ledger.accepted_files()
    for file in accepted:
        files[file.dataset].append(file.path)
    with writing(warehouse) as connection:
        if new is not None:
            kept.strip(connection)
        connection.execute("CREATE SCHEMA staged; CREATE SCHEMA audit")
        inputs.staged_views(connection, files)
        inputs.create_table(
            connection,
            "staged.delivered_months",
            inputs.records(
                {"dataset": "VARCHAR", "month": "VARCHAR"},
                [{"dataset": dataset, "month": month} for dataset, month in sorted(delivered)],
            ),
        )
        copy_previous(connection, base.warehouse if base else None)
        # What is published already is computed again: a late correction becomes a revision.
        published = published_periods(connection)
        requested = sorted({*periods, *published})
        lacking = {code for code in requested if missing_deliveries(Period.parse(code), delivered)}
        inputs.create_table(
            connection,
            "staged.requested_periods",
            inputs.records(
                {"period_code": "VARCHAR", "provisional": "BOOLEAN"},
                [{"period_code": code, "provisional": code in lacking} for code in requested],
            ),
        )
        # In a county its units deliver together; in a region (package region) a county may have delivered nothing.
        inputs.undelivered_areas(connection, [])
        inputs.run_row(connection, run_id, reason, releases.beijing_now(), digest, next_number(base))
        kept.record(connection, made_of)
        if new is not None:
            months = [month for dataset, month in delivered if dataset == "platform_cases"]
            cut_off = Period.parse(max(months)).cut_off if months else None
            kept.touch(connection, new, accepted, cut_off)
        inputs.create_table(connection, "audit.deliveries", ledger.attempts_table())
        inputs.create_table(connection, "audit.quarantine", ledger.quarantine_table())
        inputs.create_table(connection, "audit.findings", ledger.findings_table())
    return sorted(lacking.difference(published))


def input_digest(home: Home, project: Path = DBT_PROJECT, ledger: Ledger | None = None) -> str:
    """Hex SHA-256 of what a release is made of: the accepted files' content, and the models and rules.

    Neither times nor numbers of the ledger are in it: the same files landed anew give the same digest.
    """
    digest, ledger = hashlib.sha256(), ledger or Ledger(home)
    files = sorted((file.dataset, file.month, file.file, file.sha256) for file in ledger.accepted_files())
    digest.update(json.dumps([files, sorted(delivered_pairs(home, ledger))], ensure_ascii=False).encode())
    for folder, path in _project_files(home, project):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _project_files(home: Home, project: Path) -> list[tuple[Path, Path]]:
    """Models, macros and rules, each with the folder that it is one of."""
    folders = (project / "models", project / "macros", seeds_folder(home, project))
    return [
        (folder, path)
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".sql", ".yml", ".csv")
    ]


def _code_digest(home: Home, project: Path) -> str:
    return kept.code_digest([project / "dbt_project.yml", *(path for _, path in _project_files(home, project))])


def _sealed_landings(ledger: Ledger) -> dict[int, str | None]:
    seals = ledger.seals()
    return {file.landing_id: seals.get(file.landing_id) for file in ledger.accepted_files()}


def _empty(run_dir: Path) -> None:
    for entry in run_dir.iterdir():
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _finish(warehouse: Path, *, anew: bool) -> dict[str, int]:
    """The file as it stays, on disk; returns of how many months facts were computed and kept."""
    with writing(warehouse) as connection:
        months = kept.settle(connection, anew=anew)
    if warehouse.with_name(warehouse.name + ".wal").exists():
        raise StorageFailed(f"the warehouse kept a log after it was written out: {os.strerror(errno.EIO)}")
    fsync_path(warehouse)
    return months
