"""One measured step of the bench of sizes in a process of its own: ``python -m ops.bench_stage STEP EXPORTS RESULT``.

Steps are what the DAGs call, in their order (pull, load, build, audit, publish), and the two yardsticks: ``limit``
(DuckDB reads the same files to Parquet once) and ``pandas`` (:mod:`ops.bench_pandas`). A process each, so that the
peak of memory is the step's own.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ingestion.contracts import SYSTEMS
from ingestion.home import Home
from ops import bench_peak
from ops.bench_exports import MONTH

RUN = "bench"


def pull(exports: Path) -> None:
    """Every dataset's delivery into the raw zone."""
    from ingestion import landing, transports

    source = transports.connect(f"file://{exports}")
    for system, datasets in SYSTEMS.items():
        for dataset in datasets:
            landing.pull(Home.from_env(), source, system, dataset, MONTH)


def load(_: Path) -> dict[str, int]:
    """Typed Parquet of every dataset, validated and accepted; gives the rows of each."""
    import expectations
    from ingestion.load import load as load_one

    expectations.prepare()
    rows = {}
    for datasets in SYSTEMS.values():
        for dataset in datasets:
            rows[dataset] = load_one(Home.from_env(), dataset, MONTH, validate=expectations.validate_load).rows_loaded
    return rows


def build(_: Path) -> None:
    """The run's warehouse: every model and test."""
    import publishing

    publishing.build(Home.from_env(), [MONTH], RUN, "bench")


def audit(_: Path) -> None:
    """The gate before publication."""
    import publishing

    publishing.audit(Home.from_env(), RUN)


def publish(_: Path) -> None:
    """The release folder, served; raises AssertionError where nothing was released."""
    import publishing

    if publishing.publish(Home.from_env(), RUN).releases != [f"{MONTH}-r1"]:
        raise AssertionError("the month was not released")


def limit(exports: Path) -> None:
    """The same files to Parquet by DuckDB, once, and nothing else: no proof, no ledger, no tokens, no metrics.

    GB18030 and XLSX, which DuckDB reads by extensions from a network only, are handed to it decoded and by calamine.
    """
    import duckdb

    out = Home.from_env().root / "limit"
    out.mkdir(parents=True)
    with duckdb.connect() as connection:
        for system, datasets in SYSTEMS.items():
            for dataset in datasets:
                folder = exports / system / dataset / MONTH
                _LIMIT[system](connection, folder, f"(FORMAT parquet) -- {dataset}", out / f"{dataset}.parquet")


def _limit_json(connection: Any, folder: Path, options: str, target: Path) -> None:
    connection.execute(
        f"COPY (SELECT unnest(rows, recursive := true) FROM read_json('{folder}/*.json', format = 'unstructured', "
        f"maximum_object_size = 67108864)) TO '{target}' {options}"
    )


def _limit_csv(connection: Any, folder: Path, options: str, target: Path) -> None:
    decoded: list[Path] = []
    for path in sorted(folder.glob("*.csv")):
        made = target.with_suffix(f".{len(decoded)}.csv")
        with path.open(encoding="gb18030", newline="") as source, made.open("w", encoding="utf-8", newline="") as sink:
            while block := source.read(1 << 20):
                sink.write(block)
        decoded.append(made)
    connection.execute(f"COPY (FROM read_csv({list(map(str, decoded))})) TO '{target}' {options}")
    for made in decoded:
        made.unlink()


def _limit_xlsx(connection: Any, folder: Path, options: str, target: Path) -> None:
    import pyarrow as pa
    from python_calamine import load_workbook

    parts = []
    for path in sorted(folder.glob("*.xlsx")):
        header, *rows = load_workbook(path).get_sheet_by_index(0).to_python()
        columns = zip(*rows, strict=True) if rows else [()] * len(header)
        parts.append(pa.table({str(n): list(map(str, values)) for n, values in zip(header, columns, strict=True)}))
    table = pa.concat_tables(parts)
    connection.register("sheet", table)
    connection.execute(f"COPY sheet TO '{target}' {options}")
    connection.unregister("sheet")


_LIMIT = {"platform": _limit_json, "hotline": _limit_csv, "cms": _limit_xlsx}


def pandas(exports: Path) -> None:
    """What an analyst would write instead."""
    from ops import bench_pandas

    bench_pandas.rankings(exports, MONTH).to_csv(Home.from_env().root / "pandas.csv", index=False)


#: What the DAGs call for a month, in order.
STAGES: dict[str, Callable[[Path], Any]] = {
    "pull": pull, "load": load, "build": build, "audit": audit, "publish": publish,
}  # fmt: skip
YARDSTICKS: dict[str, Callable[[Path], Any]] = {"limit": limit, "pandas": pandas}


def main(step: str, exports: Path, result: Path) -> None:
    """Runs the step and writes its seconds, CPU seconds, peak memory (MiB) and what it gives."""
    started = time.perf_counter()
    given = (STAGES | YARDSTICKS)[step](exports)
    took = time.perf_counter() - started
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    result.write_text(
        json.dumps(
            {
                "inner_seconds": took,
                "cpu_seconds": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
                "peak_rss_mib": bench_peak.with_children_mib(),
                "given": given,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
