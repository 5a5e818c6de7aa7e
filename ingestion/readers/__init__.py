"""Delivered bytes to strings, never silently wrong: CSV, XLSX and JSON, also inside .zip and .gz."""

from __future__ import annotations

from pathlib import Path

from ingestion.contracts import Contract
from ingestion.readers.container import open_member
from ingestion.readers.table import BadRow, Finding, TableReader

__all__ = ["BadRow", "Finding", "TableReader", "open_table"]


def open_table(path: Path, name: str, contract: Contract) -> TableReader:
    """The reader of one landed file.

    ``path`` is the landed object (its own name means nothing), ``name`` the delivered name: its ending decides the
    format and the content must agree. Raises DeliveryRefused with the file's name, what is wrong and what to do when
    the file cannot be trusted at all; the reader's ``batches`` may still raise it later. Where the chosen county's
    profile spells the dataset otherwise, the reader gives the contract's columns all the same.
    """
    from ingestion.profile import county

    profile = county()
    if profile and profile.is_mapped(contract.dataset):
        from ingestion.mapping import MappedReader

        return MappedReader(lambda delivered: _open(path, name, delivered), name, contract, profile)
    return _open(path, name, contract)


def _open(path: Path, name: str, contract: Contract) -> TableReader:
    member = open_member(path, name)
    try:
        if member.format == "csv":
            from ingestion.readers.csv_reader import CsvReader

            return CsvReader(member.file, name, contract)
        if member.format == "xlsx":
            from ingestion.readers.workbook import WorkbookReader

            return WorkbookReader(member.file, name, contract)
        from ingestion.readers.json_reader import JsonReader

        return JsonReader(member.file, name, contract)
    except BaseException:
        member.file.close()
        raise
