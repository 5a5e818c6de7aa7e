"""From landed bytes to typed Parquet: a delivery is loaded, validated and accepted as a whole, or refused as a whole.

Whatever happens, the dataset stays as it was until one ledger transaction accepts the delivery's files. What is staged
can be made again from the raw zone and the ledger, byte for byte (``rebuild``).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from ingestion.contracts import Contract, contract_of
from ingestion.durable import locked, naming_storage_faults, sha256_of, storage_reason
from ingestion.errors import DeliveryMissing, DeliveryRefused, Permanent
from ingestion.home import Home
from ingestion.landing import Progress, object_path
from ingestion.ledger import (
    Attempt,
    Decision,
    Ledger,
    checked,
    findings_path,
    quarantine_path,
    seal_of,
    staged_path,
)
from ingestion.normalize import Normalizer, connect
from ingestion.personal import key_of
from ingestion.staging import StagedFile, stage


@dataclass(frozen=True)
class StagedDelivery:
    """What is about to be accepted: the new files of one dataset and month."""

    dataset: str
    month: str
    files: list[StagedFile]
    #: Files of the delivery that were accepted before with the same bytes.
    unchanged: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadResult:
    """What a load came to: ``accepted``, or ``unchanged`` when there was nothing new. Rows of the new files only."""

    dataset: str
    month: str
    outcome: str
    files: tuple[StagedFile, ...] = ()

    @property
    def rows_in(self) -> int:
        return sum(file.rows_in for file in self.files)

    @property
    def rows_loaded(self) -> int:
        return sum(file.rows_loaded for file in self.files)

    @property
    def rows_quarantined(self) -> int:
        return sum(file.rows_quarantined for file in self.files)

    @property
    def findings(self) -> int:
        return sum(file.findings for file in self.files)


Validate = Callable[[Home, StagedDelivery], None]


@naming_storage_faults("load")
def load(
    home: Home,
    dataset: str,
    month: str,
    *,
    validate: Validate | None = None,
    progress: Progress | None = None,
) -> LoadResult:
    """Loads the newest pulled delivery of the dataset's month and accepts it.

    Raises DeliveryMissing when none was pulled, DeliveryRefused with the reason when it cannot be trusted (also when
    ``validate`` says so): then its files are recorded as refused and the dataset keeps its last good state.
    """
    dataset, month = checked(dataset, str(month))
    ledger = Ledger(home)
    with locked(home.staged / dataset, f"load of {dataset}"):
        delivery = ledger.newest_delivery(dataset, month)
        if not delivery:
            raise DeliveryMissing(f"{dataset} {month}: nothing has been pulled yet")
        _sweep(home, ledger, dataset, month)
        new = [attempt for attempt in delivery if attempt.outcome not in ("accepted", "unchanged")]
        if not new:
            return LoadResult(dataset, month, "unchanged")
        try:
            _check_manifest(delivery)
            files = _stage_all(home, contract_of(dataset), new, progress)
            _check_rows(contract_of(dataset), ledger, delivery, files)
            if validate:
                known = tuple(attempt.file or "" for attempt in delivery if attempt.outcome == "unchanged")
                validate(home, StagedDelivery(dataset, month, files, known))
        except DeliveryRefused as error:
            ledger.decide([Decision(attempt.attempt_id, "refused", str(error)) for attempt in new])
            _sweep(home, ledger, dataset, month)
            raise
        except BaseException:
            _sweep(home, ledger, dataset, month)
            raise
        ledger.decide(
            Decision(
                file.landing_id,
                "accepted",
                None,
                file.rows_in,
                file.rows_loaded,
                file.rows_quarantined,
                file.rows_other,
                file.findings,
                seal_of(home, dataset, month, file.landing_id),
            )
            for file in files
        )
    return LoadResult(dataset, month, "accepted", tuple(files))


@naming_storage_faults("rebuild")
def rebuild(home: Home, datasets: Iterable[str] | None = None, *, progress: Progress | None = None) -> int:
    """Makes the staged Parquet, quarantine and findings of everything accepted again from raw zone and ledger.

    Returns the number of files. The moment of the pull is the ledger's, so the result is the same as before. Raises
    Permanent when a landed object is gone or damaged, or when it now gives other figures than it was accepted with.
    """
    ledger = Ledger(home)
    wanted = None if datasets is None else {contract_of(dataset).dataset for dataset in datasets}
    accepted = [
        attempt
        for attempt in ledger.attempts()
        if attempt.outcome == "accepted" and (wanted is None or attempt.dataset in wanted)
    ]
    # What was taken out of the raw zone on purpose stays as it is staged; without that it is lost, and said so.
    gone = {each.sha256 for each in ledger.replacements() if each.replaced_by is None}
    kept = {each.attempt_id: ledger.kept_as(each.sha256 or "") for each in accepted}
    expired = {n for n, sha256 in kept.items() if sha256 in gone and not object_path(home, sha256).exists()}
    again = [each for each in accepted if each.attempt_id not in expired]
    lost = [
        each
        for each in accepted
        if each.attempt_id in expired and not staged_path(home, each.dataset, each.month, each.attempt_id).is_file()
    ]
    if lost:
        raise Permanent(
            f"{len(lost)} accepted files were removed from the raw zone by retention or an erasure and cannot be "
            f"rebuilt: {', '.join(f'{each.dataset} {each.month} {each.file}' for each in lost[:5])}; restore staged/ "
            "from a backup, or have them delivered again"
        )
    restage(home, again, progress=progress)
    return len(again)


def restage(home: Home, accepted: Sequence[Attempt], *, progress: Progress | None = None) -> None:
    """Makes the staged Parquet, quarantine and findings of these accepted files again; raises as ``rebuild`` does."""
    ledger = Ledger(home)
    for done, attempt in enumerate(accepted):
        if progress:
            progress(f"{attempt.dataset} {attempt.month}", done, len(accepted))
        _remake(home, ledger, attempt)


@naming_storage_faults("restore")
def restore(home: Home) -> list[str]:
    """Makes again, from the raw zone, what is staged of accepted files and is gone or no longer as it was accepted.

    A flipped byte in a Parquet file would else be read as another value. Returns ``dataset month file`` of what was
    made again. Raises what ``rebuild`` raises.
    """
    ledger, made = Ledger(home), []
    seals = ledger.seals()
    for attempt in ledger.attempts():
        if attempt.outcome != "accepted":
            continue
        place = (home, attempt.dataset, attempt.month, attempt.attempt_id)
        seal = seals.get(attempt.attempt_id)
        there = staged_path(*place).is_file()
        if there and (seal is None or seal_of(*place) == seal):
            continue
        if there and not object_path(home, ledger.kept_as(attempt.sha256 or "")).is_file():
            raise Permanent(
                f"{attempt.dataset} {attempt.month} {attempt.file}: its typed rows are not those that were accepted, "
                "and its raw bytes are gone; an erasure or a key rotation that was cut short is repeated (python -m "
                "upkeep status tells of it), else restore staged/ from a backup"
            )
        _remake(home, ledger, attempt)
        made.append(f"{attempt.dataset} {attempt.month} {attempt.file}")
    return made


def _remake(home: Home, ledger: Ledger, attempt: Attempt) -> None:
    with locked(home.staged / attempt.dataset, f"rebuild of {attempt.dataset}"):
        (file,) = _stage_all(home, contract_of(attempt.dataset), [attempt], None)
        then = (attempt.rows_in, attempt.rows_loaded, attempt.rows_quarantined)
        if then != (file.rows_in, file.rows_loaded, file.rows_quarantined):
            raise Permanent(
                f"{attempt.dataset} {attempt.month} {attempt.file}: accepted with {then[0]} rows, {then[2]} of them in "
                f"quarantine; rebuilt with {file.rows_in} and {file.rows_quarantined}: has a contract changed?"
            )
        # A newer library may write other bytes for the same rows.
        ledger.seal_again(attempt.dataset, attempt.month, attempt.attempt_id)


def _stage_all(
    home: Home, contract: Contract, attempts: Sequence[Attempt], progress: Progress | None
) -> list[StagedFile]:
    ledger = Ledger(home)
    with connect() as connection:
        normalizer = Normalizer(contract, key_of(home), connection)
        files = []
        for attempt in attempts:
            kept = ledger.kept_as(attempt.sha256 or "")
            path = object_path(home, kept)
            if not path.is_file() or sha256_of(path) != kept:
                raise DeliveryRefused(f"{attempt.file}: the landed bytes are gone or damaged; pull the delivery again")
            try:
                files.append(stage(home, path, attempt, normalizer, progress))
            except (duckdb.Error, pa.lib.ArrowException) as error:
                if storage_reason(error):
                    raise  # no fault of the file: it must not be refused for it
                # The engines' texts can hold a cell: only its kind goes on, and the chain is cut.
                raise DeliveryRefused(f"{attempt.file}: could not be typed ({type(error).__name__})") from None
        return files


def _check_manifest(delivery: Sequence[Attempt]) -> None:
    """The delivery's manifest against names and hashes, before anything is read; rows follow in ``_check_rows``."""
    for attempt in delivery:
        if attempt.has_manifest and not attempt.in_manifest:
            listed = sum(other.in_manifest for other in delivery)
            raise DeliveryRefused(
                f"{attempt.file}: delivered, but manifest.json does not list it ({listed} files listed, "
                f"{len(delivery)} delivered)"
            )
        if attempt.manifest_sha256 and attempt.manifest_sha256.lower() != attempt.sha256:
            raise DeliveryRefused(
                f"{attempt.file}: manifest.json gives sha256 {attempt.manifest_sha256[:12]}…, the file has "
                f"{(attempt.sha256 or '')[:12]}…; it was cut or changed on the way"
            )


def _check_rows(contract: Contract, ledger: Ledger, delivery: Sequence[Attempt], files: Sequence[StagedFile]) -> None:
    """Row counts against manifest, limits of the quarantine and history; raises DeliveryRefused."""
    accepted = {each.landing_id: each for each in ledger.accepted_files(contract.dataset)}
    rows = {file.landing_id: file.rows_in for file in files}
    total = 0
    for attempt in delivery:
        landing = attempt.landing_id or attempt.attempt_id
        rows_in = rows[landing] if landing in rows else accepted[landing].rows_in
        total += rows_in
        if attempt.manifest_rows is not None and attempt.manifest_rows != rows_in:
            raise DeliveryRefused(
                f"{attempt.file}: manifest.json gives {attempt.manifest_rows} rows, the file has {rows_in}"
            )
    limits = contract.refusal
    for file in files:
        if limits.is_exceeded(file.rows_in, file.rows_quarantined):
            worst = ", ".join(f"{count} × {reason}" for reason, count in file.reasons.most_common(3))
            raise DeliveryRefused(
                f"{file.file}: {file.rows_quarantined} of {file.rows_in} rows do not fit (more than "
                f"{limits.quarantined_share_above:.0%} and more than {limits.quarantined_rows_above}): {worst}"
            )
    if total == 0 and limits.empty_when_history_at_least is not None:
        by_month: dict[str, int] = {}
        for each in accepted.values():
            by_month[each.month] = by_month.get(each.month, 0) + each.rows_in
        usual = statistics.median(by_month.values()) if by_month else 0
        if usual >= limits.empty_when_history_at_least:
            names = ", ".join(attempt.file or "" for attempt in delivery)
            raise DeliveryRefused(f"{names}: 0 rows, where a month of {contract.dataset} has {usual:g} rows (median)")


def sweep(home: Home) -> None:
    """Takes away what killed loads have left of any dataset; to be called with all of ``staged/<dataset>`` locked."""
    ledger = Ledger(home)
    months = {path.relative_to(zone).parts for zone in _zones(home) for path in zone.glob("*/*") if path.is_dir()}
    for dataset, month in sorted(months):
        _sweep(home, ledger, dataset, month)


def _zones(home: Home) -> list[Path]:
    return [place(home, "-", "-", 0).parents[2] for place in (staged_path, quarantine_path, findings_path)]


def _sweep(home: Home, ledger: Ledger, dataset: str, month: str) -> None:
    """Takes away what a refused or killed load has left; accepted files stay. Called with the dataset locked."""
    keep = {each.landing_id for each in ledger.accepted_files(dataset) if each.month == month}
    for place in (staged_path, quarantine_path, findings_path):
        folder: Path = place(home, dataset, month, 0).parent
        if folder.is_dir():
            for path in folder.iterdir():
                if path.suffix != ".parquet" or int(path.stem) not in keep:
                    path.unlink()
