"""A temporary home and what a delivery does in it: real files, the real pull and load, then a look at everything."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from faults.judge import Observed
from faults.material import KEY_ID, MONTH, SECRET
from ingestion.contracts import CONTRACTS
from ingestion.errors import TongbaoError
from ingestion.home import Home
from ingestion.landing import pull
from ingestion.ledger import Ledger, findings_path, quarantine_path
from ingestion.load import load
from ingestion.transports import connect

Files = Mapping[str, bytes]


class Workplace:
    """One variant's folder with ``exports`` and ``home``; gone at the end unless it is kept."""

    def __init__(self, base: Path, name: str | None = None) -> None:
        if name is None:
            self.root = Path(tempfile.mkdtemp(prefix="variant-", dir=base))
        else:
            self.root = base / name
            self.root.mkdir()
        self.exports = self.root / "exports"
        self.home = Home(self.root / "home")
        os.environ["TONGBAO_PII_KEY"] = f"{KEY_ID}:{SECRET}"

    def remove(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def put(self, dataset: str, files: Files, month: str = MONTH, manifest: Any = None, age: float = 3600) -> Path:
        """Lays files where the system delivers them; ``manifest`` is True for a true one, or what stands in it."""
        folder = self.exports / CONTRACTS[dataset].system / dataset / month
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if manifest is True:
            manifest = true_manifest(files)
        if manifest is not None:
            content = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
            files = {**files, "manifest.json": content}
        then = time.time() - age
        for name, content in files.items():
            path = folder / name
            path.write_bytes(content)
            os.utime(path, (then, then))
        return folder

    def deliver(
        self,
        dataset: str,
        files: Files | None = None,
        month: str = MONTH,
        *,
        manifest: Any = None,
        uri: str | None = None,
        validate: Callable[..., None] | None = None,
    ) -> Observed:
        """Puts the files (none: what lies there already), pulls, loads, and looks at what came of it."""
        if files is not None:
            self.put(dataset, files, month, manifest)
        observed = Observed()
        before = {file.landing_id for file in Ledger(self.home).accepted_files(dataset)}
        try:
            source = connect(uri or self.exports.as_uri())
            try:
                pull(self.home, source, CONTRACTS[dataset].system, dataset, month)
            finally:
                source.close()
            load(self.home, dataset, month, validate=validate)
        except TongbaoError as error:
            observed.refusal = str(error)
            # What a log would show: the whole chain.
            chain: BaseException | None = error
            while chain is not None:
                observed.text += f"{chain!r}\n"
                chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
        except Exception as error:
            observed.crash = f"{type(error).__name__}: {str(error)[:200]}"
        self.look(observed, dataset, before)
        return observed

    def look(self, observed: Observed, dataset: str, before: set[int]) -> None:
        """Fills in what the home shows of the files accepted since ``before``."""
        ledger = Ledger(self.home)
        names = [column.name for column in CONTRACTS[dataset].columns]
        accepted = ledger.accepted_files(dataset)
        others = {attempt.attempt_id: attempt.rows_other for attempt in ledger.attempts()}
        for file in accepted:
            rows = pq.ParquetFile(file.path).read()
            columns = [rows[name].to_pylist() for name in names]
            observed.text += _strings(rows)
            if file.landing_id in before:
                continue
            observed.rows.update(zip(*columns, strict=True))
            observed.rows_in += file.rows_in
            observed.rows_loaded += file.rows_loaded
            observed.rows_other += others[file.landing_id]
            place = (self.home, dataset, file.month, file.landing_id)
            if (path := quarantine_path(*place)).exists():
                aside = pq.ParquetFile(path).read()
                observed.quarantined += aside["row"].to_pylist()
                observed.reasons |= set(aside["reason"].to_pylist())
                observed.text += _strings(aside)
            if (path := findings_path(*place)).exists():
                found = pq.ParquetFile(path).read()
                observed.findings |= set(found["kind"].to_pylist())
                observed.text += _strings(found)
        observed.text += "\n".join(attempt.reason or "" for attempt in ledger.attempts())
        observed.leftovers += self._leftovers(dataset, {file.landing_id for file in accepted})

    def _leftovers(self, dataset: str, accepted: set[int]) -> list[str]:
        left = [path for path in (self.home.raw / "incoming").rglob("*") if path.is_file()]
        for zone in (self.home.staged, self.home.quarantine, self.home.root / "findings"):
            left += [
                path
                for path in zone.rglob("*")
                if path.is_file() and not (path.suffix == ".parquet" and path.stem in map(str, accepted))
            ]
        return [str(path.relative_to(self.home.root)) for path in left]


def true_manifest(files: Files, rows: Mapping[str, int] | None = None) -> dict[str, Any]:
    """What the source says of its files; row counts where they are given."""
    listed = []
    for name, content in files.items():
        entry: dict[str, Any] = {"name": name, "sha256": hashlib.sha256(content).hexdigest()}
        if rows is not None:
            entry["rows"] = rows[name]
        listed.append(entry)
    return {"files": listed}


def _strings(rows: Any) -> str:
    """All text of a table in one string, columns one after another."""
    values: Counter[str] = Counter()
    for column in rows.columns:
        if str(column.type) == "string":
            values.update(value for value in column.to_pylist() if value)
    return "\n".join(values)
