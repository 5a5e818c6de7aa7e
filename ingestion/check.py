"""What is wrong with one export file, where, and how to mend it: for the people who make the exports, in Chinese."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from ingestion.contracts import CONTRACTS, Contract
from ingestion.errors import DeliveryRefused
from ingestion.ledger import now
from ingestion.normalize import Normalizer, Origin, connect
from ingestion.personal import PseudonymKey
from ingestion.quarantine import DAMAGED, FINDING_KINDS, REASONS
from ingestion.readers import open_table

#: Places of one kind of fault that the text report names.
PLACES_SHOWN = 10


@dataclass(frozen=True)
class Fault:
    """One row that does not fit: physical row, Chinese header (None where it is the whole row), shape of the value."""

    row: int
    header: str | None
    value_masked: str | None
    reason: str
    detail: str | None = None


@dataclass
class Report:
    """The finding of a check. ``refused``: why the file as a whole cannot be used."""

    file: str
    contract: Contract
    rows_in: int = 0
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused: str | None = None

    @property
    def is_clean(self) -> bool:
        return not self.faults and self.refused is None

    def lines(self) -> list[str]:
        """The report as text, a line each."""
        title = f"{self.file}:按“{self.contract.title}”({self.contract.dataset})检查"
        if self.refused and not self.faults:
            return [title, f"✗ 整个文件不能使用:{self.refused}", *self._noted()]
        lines = [title, f"共 {self.rows_in} 行,合格 {self.rows_in - len(self.faults)} 行,不合格 {len(self.faults)} 行"]
        if self.refused:
            lines.append(f"✗ 整个文件将被退回:{self.refused}")
        grouped: dict[tuple[str, str | None], list[Fault]] = defaultdict(list)
        for fault in self.faults:
            grouped[fault.reason, fault.header].append(fault)
        for (reason, header), faults in grouped.items():
            text, remedy = REASONS[reason]
            if reason == "unknown_code" and header is not None:
                column = self.contract.by_header[header]
                listed = column.values or ("是", "否")
                remedy = f"改为:{'、'.join(str(value) for value in listed)}"
            lines += [f"✗ {f'“{header}”列' if header else '整行'}:{text},{len(faults)} 行", f"    办法:{remedy}"]
            for fault in faults[:PLACES_SHOWN]:
                shown = f",形如 {fault.value_masked}" if fault.value_masked else ""
                detail = f"({fault.detail})" if fault.detail else ""
                lines.append(f"    第 {fault.row} 行{shown}{detail}")
            if len(faults) > PLACES_SHOWN:
                lines.append(f"    ……另有 {len(faults) - PLACES_SHOWN} 行")
        if self.is_clean:
            lines.append("✓ 没有发现问题")
        return lines + self._noted()

    def _noted(self) -> list[str]:
        return [f"· 提示:{note}" for note in self.notes]


def check_file(path: Path, contract: Contract) -> Report:
    """Reads and types the file as a load would, against this moment; writes nothing.

    Raises nothing for a file that cannot be used: the report says so.
    """
    report = Report(path.name, contract)
    origin = Origin("", now(), path.name, 0)
    # Tokens are made and thrown away here: any key does, and the county's is not needed.
    key = PseudonymKey("check", b"\0" * 32)
    tables, lost = [], 0
    with connect() as connection:
        try:
            with open_table(path, path.name, contract) as reader:
                normalizer = Normalizer(contract, key, connection)
                for batch in reader.batches():
                    typed = normalizer.normalise(pa.Table.from_batches([batch]), origin)
                    tables.append(typed.faults)
                    lost += typed.lost_values.num_rows
        except DeliveryRefused as error:
            report.refused = str(error).removeprefix(f"{path.name}: ")
            return report
    report.rows_in = reader.rows_in
    for bad in reader.bad_rows:
        known = bad.reason in REASONS
        report.faults.append(
            Fault(
                bad.row,
                bad.header,
                bad.value_masked,
                bad.reason if known else DAMAGED,
                None if known else bad.reason,
            )
        )
    for row in pa.concat_tables(tables).to_pylist() if tables else ():
        report.faults.append(Fault(row["row"], row["header"], row["value_masked"], row["reason"]))
    report.faults.sort(key=lambda fault: fault.row)
    if contract.refusal.is_exceeded(report.rows_in, len(report.faults)):
        report.refused = (
            f"不合格的行超过 {contract.refusal.quarantined_share_above:.0%}"
            f"且多于 {contract.refusal.quarantined_rows_above} 行"
        )
    for finding in reader.findings:
        where = f"第 {finding.row} 行," if finding.row is not None else ""
        report.notes.append(f"{where}{FINDING_KINDS.get(finding.kind, finding.kind)}({finding.detail})")
    if lost:
        report.notes.append(f"{FINDING_KINDS['lost_personal_value']},{lost} 处")
    return report


def dataset_of(path: Path) -> str | None:
    """The dataset that a delivery's folders name (``<dataset>/<month>/<file>``), None where they name none."""
    return next((part.name for part in path.absolute().parents if part.name in CONTRACTS), None)
