"""The load edge: is what one system handed over for one dataset and month fit to become part of the dataset?

Measured by DuckDB over the staged Parquet, compared with the dataset's accepted months, judged by Great Expectations.
Rows that are wrong in themselves are in quarantine already; here the delivery as a whole is looked at.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from expectations import measures, profile, store, units
from expectations.judge import Measure, judge, read_expectations
from expectations.personal import scrubbed
from ingestion.contracts import CONTRACTS, contract_of
from ingestion.errors import DeliveryRefused
from ingestion.home import Home
from ingestion.ledger import AcceptedFile, Ledger, findings_path, quarantine_path
from ingestion.period import Month
from ingestion.quarantine import reason_text

#: Accepted months, nearest to the delivered one, that make the history.
HISTORY_MONTHS = 12
#: Fewer months do not show what "always" was (2026-11: a quarter, the shortest period in which every unit has work).
MIN_MONTHS_FOR_ALWAYS = 3
#: A dataset's first delivery often brings its past along, so that one month alone is no measure of the next.
MIN_MONTHS = 2
#: Below this median the number of rows of a month says nothing (2026-11: at 20 rows chance alone is ±45 %).
MIN_MEDIAN_ROWS = 20
#: A column counts as emptied only where history makes us expect at least so many filled cells.
MIN_EXPECTED_CELLS = 5


class StagedFile(Protocol):
    """What this edge needs to know of a staged file (``ingestion.load``)."""

    @property
    def landing_id(self) -> int: ...
    @property
    def file(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def rows_in(self) -> int: ...
    @property
    def rows_loaded(self) -> int: ...
    @property
    def rows_quarantined(self) -> int: ...


class StagedDelivery(Protocol):
    """What is about to be accepted (``ingestion.load``)."""

    @property
    def dataset(self) -> str: ...
    @property
    def month(self) -> str: ...
    @property
    def files(self) -> Sequence[StagedFile]: ...


Items = list[dict[str, Any]]


class _Measured:
    """Figures by measure, and the rows or things that a figure counts (at most 20 of each)."""

    def __init__(self) -> None:
        self.figures: dict[str, Measure] = {}
        self.items: dict[str, Items] = {}

    def things(self, measure: str, found: Items | None) -> None:
        """The measure is the number of things found; null where there is too little to compare with."""
        self.figures[measure] = None if found is None else len(found)
        self.items[measure] = (found or [])[: store.MAX_ITEMS]


def validate_load(home: Home, staged: StagedDelivery) -> None:
    """Judge a staged delivery before it is accepted, and keep the result whatever it is.

    Raises DeliveryRefused with the failed critical expectations and their figures; nothing of the delivery may then
    become part of the dataset. Warnings and findings are kept and do not stop anything.
    """
    started = time.perf_counter()
    dataset, month = contract_of(staged.dataset).dataset, str(Month.parse(str(staged.month)))
    measured, history_months = _measure(home, dataset, month, staged.files)
    suites = ("load", f"load_{dataset}")
    known = measured.figures
    outcomes, _ = judge(suites[1], (e for e in read_expectations(*suites) if _applies(e, dataset)), known)
    for outcome in outcomes:
        outcome["items"] = measured.items.get(outcome["measure"], [])[: store.MAX_ITEMS]
        outcome["items_total"] = int(outcome["observed"] or 0) if outcome["items"] else 0
    result = {
        "edge": "load",
        "subject": f"{CONTRACTS[dataset].title} {dataset} {month}",
        "dataset": dataset,
        "month": month,
        "suite": suites[1],
        "validated_at": store.now(),
        "outcome": store.outcome_of(outcomes),
        "history_months": history_months,
        "landing_ids": sorted(int(file.landing_id) for file in staged.files),
        "seconds": round(time.perf_counter() - started, 3),
        "measures": known,
        "expectations": outcomes,
    }
    newest = max((int(file.landing_id) for file in staged.files), default=0)
    store.keep(home, "load", (dataset, month, f"{newest:010d}"), result)
    if result["outcome"] == "refused":
        raise DeliveryRefused(store.refusal_text(result))


def _applies(expectation: dict[str, Any], dataset: str) -> bool:
    """Leave out what cannot be asked of a dataset that names no unit, or whose rows come only when they change."""
    meta, declared = expectation["meta"], measures.of_delivery(dataset)
    return not (meta.get("needs_unit") and declared.unit is None) and not (
        meta.get("needs_monthly") and not declared.monthly
    )


def _measure(home: Home, dataset: str, month: str, files: Sequence[StagedFile]) -> tuple[_Measured, list[str]]:
    measured = _Measured()
    loaded = sum(file.rows_loaded for file in files)
    measured.figures |= {
        "rows_in": sum(file.rows_in for file in files),
        "rows_loaded": loaded,
        # Per file: what one file has too much must not make up for what another lacks.
        "rows_unaccounted": sum(abs(f.rows_in - f.rows_loaded - f.rows_quarantined) for f in files),
    }
    measured.figures["rows_quarantined"] = sum(file.rows_quarantined for file in files)
    with profile.connect() as connection:
        _measure_reports(connection, home, dataset, month, files, measured)
        if files:
            now = _measure_rows(connection, dataset, [Path(file.path) for file in files], measured)
        else:
            now = profile.Profile()
            measured.figures |= {"null_key_rows": 0}
        measured.figures["rows_missing_in_staged"] = abs(now.rows - loaded)
    months, here = _history(home, dataset, month, files)
    _measure_against_history(dataset, profile.added([now, here]), list(months.values()), measured)
    return measured, sorted(months)


def _measure_reports(
    connection: duckdb.DuckDBPyConnection,
    home: Home,
    dataset: str,
    month: str,
    files: Sequence[StagedFile],
    measured: _Measured,
) -> None:
    """What the load itself reported of these files: rows set aside by reason, columns kept out, values emptied."""
    ids = [int(file.landing_id) for file in files]
    quarantine = [path for n in ids if (path := quarantine_path(home, dataset, month, n)).is_file()]
    findings = [path for n in ids if (path := findings_path(home, dataset, month, n)).is_file()]
    for kind in ("extra_column", "lost_personal_value"):
        measured.figures[f"{kind}s"] = 0
    if quarantine:
        reasons = connection.execute(
            "select file, reason, column_name, count(*) from read_parquet(?) group by all order by all",
            [[profile.literal_path(path) for path in quarantine]],
        ).fetchall()
        measured.items["rows_quarantined"] = [
            {"file": scrubbed(file), "reason": reason_text(reason), "column": column, "rows": rows}
            for file, reason, column, rows in reasons[: store.MAX_ITEMS]
        ]
    if findings:
        reported = connection.execute(
            "select kind, file, column_name, detail, count(*) from read_parquet(?) group by all order by all",
            [[profile.literal_path(path) for path in findings]],
        ).fetchall()
        for kind, file, column, detail, rows in reported:
            measure = f"{kind}s"
            if measure in measured.figures:
                measured.figures[measure] = (measured.figures[measure] or 0) + rows
                measured.items.setdefault(measure, []).append(
                    {"file": scrubbed(file), "column": column, "detail": scrubbed(detail), "rows": rows}
                )


def _measure_rows(
    connection: duckdb.DuckDBPyConnection, dataset: str, paths: Sequence[Path], measured: _Measured
) -> profile.Profile:
    """What is counted of the staged rows, and the first of those that a count is about; gives their profile."""
    contract, declared = CONTRACTS[dataset], measures.of_delivery(dataset)
    taken = profile.take(connection, dataset, paths, declared.rows)
    counts = {"null_key_rows": taken.keyless, **taken.counts}
    predicates = {"null_key_rows": profile.keyless(contract)}
    predicates |= {name: f"_live and ({predicate})" for name, predicate in declared.rows.items()}
    if declared.unit:
        counts["unknown_unit_rows"] = sum(rows for _, _, rows in taken.unknown)
        place = f'("{declared.unit.column}", ({declared.unit.day})::date)'
        predicates["unknown_unit_rows"] = f"_live and ({place}) in (select (name, day) from unknown)"
    if taken.unknown:
        names, days, _ = zip(*taken.unknown, strict=True)
        unknown = pa.table({"name": pa.array(names, pa.string()), "day": pa.array(days, pa.date32())})
        connection.register("unknown", unknown)
    for name, count in counts.items():
        measured.figures[name] = count
        if count:
            measured.items[name] = _rows(connection, profile.rows_of(paths), predicates[name], contract.key)
    return taken.profile


def _rows(connection: duckdb.DuckDBPyConnection, rows: str, predicate: str, key: Sequence[str]) -> Items:
    """The first rows where the predicate holds, by file and physical row, with their business key."""
    shown = ", ".join(f"coalesce(\"{name}\"::varchar, '—')" for name in key)
    found = connection.execute(
        f"select concat_ws(' / ', {shown}), _file, _row from {rows} where {predicate} "
        f"order by _file, _row limit {store.MAX_ITEMS}"
    ).fetchall()
    return [{"key": scrubbed(key), "file": scrubbed(file), "row": row} for key, file, row in found]


def _history(
    home: Home, dataset: str, month: str, files: Sequence[StagedFile]
) -> tuple[dict[str, profile.Profile], profile.Profile]:
    """Profiles of the nearest accepted months other than this one, and of what this one holds beside these files."""
    by_month: dict[str, list[AcceptedFile]] = {}
    for file in Ledger(home).accepted_files(dataset):
        by_month.setdefault(str(file.month), []).append(file)
    sent_again = {file.file for file in files}
    here = profile.of_files(dataset, [f.path for f in by_month.pop(month, []) if f.file not in sent_again])
    target = Month.parse(month)
    near = sorted(by_month, key=lambda code: _distance(target, Month.parse(code)))[:HISTORY_MONTHS]
    return {code: profile.of_month(home, dataset, code, by_month[code]) for code in near}, here


def _distance(one: Month, other: Month) -> tuple[int, bool]:
    """How many months lie between; of two as near, the earlier comes first."""
    apart = (other.year - one.year) * 12 + other.month - one.month
    return abs(apart), apart > 0


def _measure_against_history(
    dataset: str, now: profile.Profile, history: list[profile.Profile], measured: _Measured
) -> None:
    declared, contract = measures.of_delivery(dataset), CONTRACTS[dataset]
    rows = [one.rows for one in history]
    median = statistics.median(rows) if rows else None
    # Of two months the smaller: the larger may be the first delivery with the past in it.
    usual = statistics.median_low(rows) if len(rows) >= MIN_MONTHS else 0
    figures = measured.figures
    figures["history_months"] = len(history)
    figures["history_median_rows"] = median
    if declared.monthly:
        figures["volume_ratio"] = round(now.rows / usual, 4) if usual >= MIN_MEDIAN_ROWS else None
    enough = contract.refusal.empty_when_history_at_least
    figures["empty_against_history"] = (
        None if median is None else int(now.rows == 0 and enough is not None and median >= enough)
    )
    always = history if len(history) >= MIN_MONTHS_FOR_ALWAYS else None
    measured.things("columns_emptied", None if always is None else _emptied(dataset, now, always))
    measured.things("columns_flattened", None if always is None else _flattened(dataset, now, always))
    if declared.unit:
        measured.things("units_absent", None if always is None else _absent(now, always))
    for name in declared.shares:
        share = now.share(name)
        before = [value for one in history if (value := one.share(name)) is not None]
        figures[name] = 0.0 if share is None else round(share, 4)
        comparable = share is not None and len(before) >= MIN_MONTHS
        figures[f"{name}_change"] = round((share or 0.0) - statistics.median(before), 4) if comparable else None


def _emptied(dataset: str, now: profile.Profile, history: list[profile.Profile]) -> Items:
    """Optional columns that nothing fills now, though every month of the history makes us expect some cells."""
    columns = CONTRACTS[dataset].by_name
    return [
        {"column": name, "header": columns[name].header}
        for name, filled in now.filled.items()
        if filled == 0
        and min(one.filled.get(name, 0) / one.live_rows if one.live_rows else 0 for one in history) * now.live_rows
        >= MIN_EXPECTED_CELLS
    ]


def _flattened(dataset: str, now: profile.Profile, history: list[profile.Profile]) -> Items:
    """Coded columns that hold one value (the default) in every row, though they varied in every month before."""
    columns = CONTRACTS[dataset].by_name
    if now.live_rows < MIN_MEDIAN_ROWS:
        return []
    emptied = {item["column"] for item in _emptied(dataset, now, history)}
    varied = set.intersection(*(set(one.varied) for one in history))
    return [
        {"column": name, "header": columns[name].header}
        for name in sorted(varied - set(now.varied) - emptied)
        if now.filled.get(name, now.live_rows) >= MIN_MEDIAN_ROWS
    ]


def _absent(now: profile.Profile, history: list[profile.Profile]) -> Items:
    """Units that every month of the history names and this one does not."""
    names = units.unit_names()
    always = set.intersection(*(set(one.units) for one in history))
    return [{"unit_code": code, "unit_name": names.get(code, "")} for code in sorted(always - set(now.units))]


def profile_of_delivery(staged: StagedDelivery) -> dict[str, Any]:
    """The figures of a staged delivery as a JSON object: for tools that look at a delivery before its load."""
    return asdict(profile.of_files(staged.dataset, [Path(file.path) for file in staged.files]))
