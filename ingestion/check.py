"""What is wrong with one export file, where, and how to mend it: for the people who make the exports, in Chinese.

A check reads and types the file as a load would, against this moment, and adds what otherwise only the warehouse
knows: names that mean no unit, keys that stand twice, a manifest that says otherwise. It changes nothing.
"""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa

from ingestion.aliases import UnitNames
from ingestion.check_guess import Guess, guess_dataset
from ingestion.contracts import CONTRACTS, Column, Contract, contract_of
from ingestion.delivered_units import resolved_pairs, unit_day
from ingestion.durable import sha256_of
from ingestion.errors import BadParameter, DeliveryRefused
from ingestion.explanations import EXPLANATIONS, Explanation, explain_refusal, explain_row
from ingestion.ledger import now
from ingestion.normalize import Normalizer, Origin, connect
from ingestion.period import Month
from ingestion.personal import PseudonymKey
from ingestion.personal_numbers import masked
from ingestion.quarantine import FINDING_KINDS
from ingestion.readers import Finding, TableReader, open_table
from ingestion.readers.table import Chunk

#: ``error``: the row or file does not get in; ``warning``: it does, but perhaps not as it was meant.
Level = Literal["error", "warning"]

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Problem:
    """One thing to mend: physical row (None: the whole file), Chinese header (None: the whole row), words, cure.

    ``shown`` is the shape of the value (masked) or, where the row matters, what it collides with.
    """

    code: str
    level: Level
    text: str
    remedy: str
    row: int | None = None
    header: str | None = None
    shown: str | None = None


@dataclass
class Table:
    """The file's table as it stands there, for a copy of it: header, rows and the text of damaged rows."""

    #: Physical row of the header; 0 where there is none (JSON).
    header_row: int = 0
    cells: tuple[str, ...] = ()
    first_column: int = 0
    #: Our Chinese header -> position among ``cells``.
    positions: dict[str, int] = field(default_factory=dict)
    #: Is it a workbook, whose cells people know by letter and number?
    is_sheet: bool = False
    chunks: list[Chunk] = field(default_factory=list)
    damaged: dict[int, str] = field(default_factory=dict)
    #: Rows above or below the table that were skipped: row -> what it is.
    skipped: dict[int, str] = field(default_factory=dict)


@dataclass
class Report:
    """The finding of a check. ``unreadable``: nothing of the file can be used, so its rows were not looked at."""

    file: str
    contract: Contract | None = None
    guessed: bool = False
    rows_in: int = 0
    rows_bad: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unreadable: bool = False
    table: Table = field(default_factory=Table)

    @property
    def is_clean(self) -> bool:
        return not self.problems

    @property
    def exit_code(self) -> int:
        """0 nothing to mend, 1 something, 2 the file cannot be read at all."""
        return 2 if self.unreadable else 1 if self.problems else 0

    def add(
        self, level: Level, why: Explanation | str, text: str | None = None, remedy: str | None = None, **where: Any
    ) -> None:
        """Adds a problem in the words of its explanation, or in these."""
        if isinstance(why, str):
            why = EXPLANATIONS[why]
        self.problems.append(Problem(why.code, level, text or why.text, remedy or why.remedy, **where))


def check_file(path: Path, dataset: str | None = None, month: str | None = None, *, keep_rows: bool = False) -> Report:
    """Checks the file as an export of the dataset (default: what its headers say) and the month (what its folders say).

    ``keep_rows`` keeps the rows in memory, for a marked copy. Raises nothing for a file that cannot be used: the report
    says so. Raises BadParameter on a dataset or month that is none, or where the dataset cannot be told.
    """
    report = Report(masked(path.name))
    contract = _contract(report, path, dataset)
    if contract is None:
        return report
    month = str(Month.parse(month)) if month else month_of(path)
    report.contract = contract
    origin = Origin(month or "", now(), path.name, 0)
    found = _Found([], [])
    with connect() as connection:
        try:
            with open_table(path, masked(path.name), contract) as reader:
                _follow(report, reader, keep_rows)
                # Tokens are made and thrown away here: any key does, and the county's is not needed.
                normalizer = Normalizer(contract, PseudonymKey("check", b"\0" * 32), connection)
                for batch in reader.batches():
                    typed = normalizer.normalise(pa.Table.from_batches([batch]), origin)
                    found.take(contract, typed.good, typed.faults)
                    _lost_values(report, typed.lost_values)
        except DeliveryRefused as error:
            return _refused(report, error)
        except (duckdb.Error, pa.lib.ArrowException):
            # The engines' texts can hold a cell.
            report.unreadable = True
            report.add("error", "not_typed")
            return report
        _describe_table(report, reader)
        _bad_rows(report, reader, found)
        _known_to_the_warehouse(report, connection, found, month)
    _whole_file(report, path, reader, month)
    report.problems.sort(key=lambda each: (each.row or 0, each.level))
    return report


@dataclass
class _Found:
    """What is kept of the typed rows: faults, and of good ones key, moment, unit and day."""

    good: list[pa.Table]
    faults: list[pa.Table]

    def take(self, contract: Contract, good: pa.Table, faults: pa.Table) -> None:
        wanted = ["_row", "_key", "_deleted", *dict.fromkeys(_needed(contract))]
        self.good.append(good.select(wanted))
        if faults.num_rows:
            self.faults.append(faults)


def _needed(contract: Contract) -> Iterator[str]:
    yield "updated_at"
    yield contract.key[0]
    if "unit_name" in contract.by_name:
        yield "unit_name"
        yield from (column.name for column in contract.columns if column.type in ("timestamp", "date"))


def dataset_of(path: Path) -> str | None:
    """The dataset that a delivery's folders name (``<dataset>/<month>/<file>``), None where they name none."""
    return next((part.name for part in path.absolute().parents if part.name in CONTRACTS), None)


def month_of(path: Path) -> str | None:
    """The month that a delivery's folder names, None where it names none."""
    try:
        return str(Month.parse(path.absolute().parent.name))
    except BadParameter:
        return None


def _contract(report: Report, path: Path, dataset: str | None) -> Contract | None:
    if dataset:
        return contract_of(dataset)
    folder = dataset_of(path)
    guess: Guess = guess_dataset(path, folder)
    if guess.dataset is None and folder is None:
        if guess.refusal is None:
            alike = f"（像 {'、'.join(guess.alike)}）" if guess.alike else ""
            raise BadParameter(f"认不出 {report.file} 是哪一类数据{alike}，请用 --dataset 指明（name it: --dataset）")
        _refused(report, guess.refusal)
        return None
    report.guessed = guess.dataset is not None
    chosen = contract_of(guess.dataset or folder or "")
    if folder and chosen.dataset != folder:
        expected = CONTRACTS[folder].title
        text = f"文件在“{expected}”（{folder}）的文件夹里，表头却像“{chosen.title}”（{chosen.dataset}）"
        report.add("error", "wrong_folder", text)
    return chosen


def _refused(report: Report, error: DeliveryRefused) -> Report:
    report.unreadable = True
    report.add("error", explain_refusal(str(error).removeprefix(f"{report.file}: ")))
    return report


# -- the table as it stands ------------------------------------------------------------------------------------


def _source(reader: TableReader) -> TableReader:
    """The reader of the file itself, where a county's profile stands between."""
    inner = getattr(reader, "_inner", reader)
    return inner if isinstance(inner, TableReader) else reader


def _follow(report: Report, reader: TableReader, keep_rows: bool) -> None:
    if keep_rows:
        source = _source(reader)
        source.on_chunk = report.table.chunks.append
        source.on_damaged = report.table.damaged.__setitem__


def _describe_table(report: Report, reader: TableReader) -> None:
    source, table, contract = _source(reader), report.table, reader.contract
    header = source.header
    if header is None:
        return
    table.header_row, table.cells, table.first_column = header.row, header.cells, source.first_column
    table.is_sheet = not source.shifts
    by_text = {text: position for position, text in reversed(list(enumerate(header.cells)))}
    for column in contract.columns:
        names = _their_headers(contract, column)
        position = next((by_text[name] for name in names if name in by_text), None)
        if position is not None:
            table.positions[column.header] = position


def _their_headers(contract: Contract, column: Column) -> list[str]:
    from ingestion.profile import county

    profile = county()
    described = profile.datasets.get(contract.dataset) if profile else None
    mapped = described.columns if described else {}
    mapping = mapped.get(column.header) or mapped.get(column.name)
    theirs = list(mapping.headers) if mapping else [column.header]
    return [unicodedata.normalize("NFKC", name).strip() for name in theirs]


# -- rows ------------------------------------------------------------------------------------------------------


def _bad_rows(report: Report, reader: TableReader, found: _Found) -> None:
    contract = reader.contract
    for bad in reader.bad_rows:
        report.add("error", explain_row(bad.reason), row=bad.row, header=bad.header, shown=bad.value_masked or None)
    for row in pa.concat_tables(found.faults).to_pylist() if found.faults else ():
        why, remedy = explain_row(row["reason"]), None
        if row["reason"] == "unknown_code":
            listed = contract.by_header[row["header"]].values or ("是", "否")
            remedy = f"改为：{'、'.join(str(value) for value in listed)}"
        report.add("error", why, None, remedy, row=row["row"], header=row["header"], shown=row["value_masked"])
    report.rows_in = reader.rows_in
    report.rows_bad = len({problem.row for problem in report.problems if problem.row and problem.level == "error"})
    for finding in reader.findings:
        report.notes.append(_note(report, contract, finding))


def _lost_values(report: Report, lost: pa.Table) -> None:
    assert report.contract is not None  # noqa: S101 - for the type checker
    for each in lost.to_pylist():
        header = report.contract.column(each["column_name"]).header
        report.add("warning", "lost_personal_value", row=each["row"], header=header)


_SKIPPED = {"title_line": "标题行，未载入", "total_line": "合计行，未载入"}


def _note(report: Report, contract: Contract, finding: Finding) -> str:
    kind = FINDING_KINDS.get(finding.kind, finding.kind).replace(",", "，")
    if finding.kind in _SKIPPED and finding.row is not None:
        report.table.skipped[finding.row] = _SKIPPED[finding.kind]
        return f"第 {finding.row} 行是{kind}"
    if finding.kind == "missing_optional_column" and finding.column in contract.by_name:
        return f"{kind}：{contract.column(finding.column).header}"
    if finding.kind == "extra_column":
        return f"{kind}：{finding.detail.removeprefix('unknown column ').removesuffix(' is kept out')}"
    if finding.kind == "value_without_header":
        return f"第 {finding.row} 行起，没有表头的列里有内容，未载入"
    where = f"第 {finding.row} 行：" if finding.row else ""
    return f"{where}{kind}（{finding.detail}）"


# -- what the warehouse would know -----------------------------------------------------------------------------


def _known_to_the_warehouse(
    report: Report, connection: duckdb.DuckDBPyConnection, found: _Found, month: str | None
) -> None:
    contract = report.contract
    if contract is None or not found.good:
        return
    connection.register("good", pa.concat_tables(found.good))
    key = "_key"
    if "unit_name" in contract.by_name:
        last_day = Month.parse(month).last_day if month else now().date()
        _unknown_units(report, connection, contract, last_day)
        if "unit_name" in contract.key:
            # The unit of a key is the one that the name means: two names of one unit are one key.
            key = f"{contract.key[0]} || chr(31) || coalesce(unit_code, 'name:' || unit_name)"
    else:
        connection.execute("CREATE TEMP VIEW dated AS SELECT * FROM good")
    _duplicates(report, connection, contract, key)


def _unknown_units(
    report: Report, connection: duckdb.DuckDBPyConnection, contract: Contract, last_day: dt.date
) -> None:
    names = UnitNames.read()
    header = contract.column("unit_name").header
    day = unit_day(contract.dataset)
    connection.execute(
        f"CREATE TEMP TABLE named AS SELECT *, coalesce({day}, $last_day) AS day FROM good", {"last_day": last_day}
    )
    connection.register("pairs", resolved_pairs(connection, "named", names))
    connection.execute(
        "CREATE TEMP VIEW dated AS SELECT named.*, pairs.unit_code FROM named LEFT JOIN pairs USING (unit_name, day)"
    )
    unknown = connection.execute(
        "SELECT unit_name, day, list(_row ORDER BY _row) FROM dated"
        " WHERE unit_code IS NULL AND unit_name IS NOT NULL AND NOT _deleted GROUP BY ALL ORDER BY 1, 2"
    ).fetchall()
    told: dict[str, tuple[str, str]] = {}
    for name, on, rows in unknown:
        code, text = told.get(name) or told.setdefault(name, names.why_unknown(name, on))
        for row in rows:
            report.add("warning", code, text, row=row, header=header)


def _duplicates(report: Report, connection: duckdb.DuckDBPyConnection, contract: Contract, key: str) -> None:
    """Every row that another row of the file replaces, as the upsert rule decides: 更新时间, then the later row."""
    header = contract.column(contract.key[0]).header
    columns = "＋".join(contract.column(name).header for name in contract.key)
    replaced = connection.execute(
        f"""
        SELECT _row, winner, updated_at = newest, deletes FROM (
            SELECT _row, updated_at, first_value(_row) OVER newest AS winner,
                first_value(updated_at) OVER newest AS newest, first_value(_deleted) OVER newest AS deletes
            FROM dated WINDOW newest AS (PARTITION BY {key} ORDER BY updated_at DESC, _row DESC)
        ) WHERE winner <> _row ORDER BY _row
        """
    ).fetchall()
    for row, winner, is_tie, deletes in replaced:
        why = "更新时间相同，以靠后的一行为准" if is_tie else "该行更新时间较晚，以该行为准"
        shown = f"与第 {winner} 行重复；{why}{'（同步类型 D，删除此主键）' if deletes else ''}"
        report.add("warning", "duplicate_key", f"主键（{columns}）在文件内重复", row=row, header=header, shown=shown)


# -- the file as a whole ---------------------------------------------------------------------------------------


def _whole_file(report: Report, path: Path, reader: TableReader, month: str | None) -> None:
    refusal = reader.contract.refusal
    if refusal.is_exceeded(report.rows_in, report.rows_bad):
        limits = f"超过 {refusal.quarantined_share_above:.0%} 且多于 {refusal.quarantined_rows_above} 行"
        report.add("error", "too_many_bad_rows", f"不合格的行{limits}，整个文件会被退回")
    if reader.period and month and reader.period != month:
        report.add("error", "wrong_month", f"文件里写明的月份是 {masked(reader.period)[:20]}，而这里是 {month}")
    if not report.rows_in:
        report.notes.append("没有数据行：当月确无业务时，只交表头即可")
    manifest = path.parent / MANIFEST
    if manifest.is_file():
        _against_manifest(report, path, manifest)


def _against_manifest(report: Report, path: Path, manifest: Path) -> None:
    from ingestion.transports.filetree import MAX_MANIFEST_BYTES, parse_manifest

    try:
        if manifest.stat().st_size > MAX_MANIFEST_BYTES:
            raise DeliveryRefused("manifest.json is not a list of names")
        entries = parse_manifest(manifest.read_bytes(), "")
    except DeliveryRefused as error:
        report.add("error", explain_refusal(str(error)))
        return
    # A name may be composed here and decomposed there (macOS).
    listed = {unicodedata.normalize("NFC", name): entry for name, entry in entries.items()}
    there = {unicodedata.normalize("NFC", other.name) for other in path.parent.iterdir()}
    if missing := [name for name in listed if name not in there]:
        shown = "、".join(masked(name)[:60] for name in missing[:5])
        report.add("error", "manifest_missing_file", f"清单列出的 {len(missing)} 个文件不在同一文件夹：{shown}")
    entry = listed.get(unicodedata.normalize("NFC", path.name))
    if entry is None:
        report.add("error", "manifest_unlisted")
        return
    if entry["sha256"] and entry["sha256"] != sha256_of(path):
        report.add("error", "manifest_hash")
    if entry["rows"] is not None and entry["rows"] != report.rows_in:
        text = f"清单写明 {entry['rows']} 行，文件有 {report.rows_in} 行"
        report.add("error", "manifest_rows", text)
