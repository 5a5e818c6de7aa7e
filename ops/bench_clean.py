"""Part of ``make bench``: a clean case export of 2 million rows, loaded and validated, against DuckDB's own limit.

The limit is what DuckDB takes to turn the same CSV into Parquet with ``read_csv`` and nothing else: no proof that the
file is clean, no quarantine, no tokens. Ours is ``ingestion.load`` of the landed file, with and without the load-edge
expectations. Each is measured in fresh processes that take turns; the best of each counts, because a shared machine
only ever adds time. Clocks start when the modules that each side needs are imported, except Great Expectations: its
import is part of the validated load.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
from rich.console import Console

from ingestion.home import PROJECT, Home
from ops import bench_peak

ROWS = 2_000_000
MONTH = "2022-07"
DATASET = "platform_cases"
#: At most so many times the limit: loaded, and loaded with validation; and at most so much memory.
TARGET, TARGET_VALIDATED, TARGET_MIB = 3.0, 5.0, 2048

#: Nearly all names, ids and phones differ, as in a year's export of a prefecture; 7 in 100 applicants are companies.
_CASES = """
SELECT '2207' || lpad(n::VARCHAR, 10, '0') AS 办件编号,
    '0124' || lpad((r1 % 400)::VARCHAR, 4, '0') AS 事项编码,
    ['社保参保', '食品许可', '转移登记', '设立登记', '优待证'][1 + r1 % 5] || (r1 % 400)::VARCHAR AS 事项名称,
    CASE WHEN instant THEN '即办件' ELSE '承诺件' END AS 办件类型,
    $units[1 + r2 % len($units)] AS 办理单位,
    ['窗口登记', '政务服务APP', '政务服务网', '自助终端'][1 + r3 % 4] AS 申请来源,
    CASE WHEN company THEN '法人' ELSE '自然人' END AS 申请人类型,
    CASE WHEN company THEN '精河县' ELSE '' END
        || substr('王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗', 1 + r4 % 20, 1) || chr((19968 + r5 % 5000)::INTEGER)
        || chr((19968 + r6 % 5000)::INTEGER) || CASE WHEN company THEN '商贸有限公司' ELSE '' END AS 申请人,
    '652722' || strftime(DATE '1950-01-01' + (r7 % 20000)::INTEGER, '%Y%m%d') || lpad((r8 % 10000)::VARCHAR, 4, '0')
        AS 证件号码,
    '1' || [38, 39, 50, 51, 59, 82, 87, 88, 99][1 + r9 % 9] || lpad((r10 % 100000000)::VARCHAR, 8, '0') AS 联系电话,
    accepted - INTERVAL 1 SECOND * (r11 % 7200) AS 申请时间,
    accepted AS 受理时间,
    CASE WHEN instant THEN 0 ELSE 10 + r12 % 20 END AS 法定时限,
    CASE WHEN instant THEN 0 ELSE 1 + r12 % 10 END AS 承诺时限,
    CASE WHEN r13 % 50 = 0 THEN 5 END AS 特别程序天数,
    CASE WHEN closed THEN accepted + INTERVAL 1 SECOND * (r14 % 259200) END AS 办结时间,
    CASE WHEN closed THEN ['办结', '出证办结', '办结', '退回'][1 + r15 % 4] END AS 办结结果,
    CASE WHEN closed THEN CASE WHEN r16 % 40 = 0 THEN '是' ELSE '否' END END AS 是否超期,
    accepted + INTERVAL 3 DAY AS 更新时间,
    'I' AS 同步类型
FROM (SELECT *, r17 % 10 < 6 AS instant, r4 % 100 < 7 AS company, r18 % 50 > 0 AS closed,
          TIMESTAMP '2022-07-01 09:00:00' + INTERVAL 1 SECOND * (r19 % 2300000) AS accepted
      FROM (SELECT n, {randoms} FROM range($rows) AS numbers(n)))
"""


def generate(path: Path, rows: int = ROWS) -> Path:
    """The export as UTF-8 CSV without quotes, the same bytes for the same rows; kept once it is made."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with (PROJECT / "dbt_project" / "seeds" / "units.csv").open(encoding="utf-8", newline="") as file:
        units = [row["unit_name"] for row in csv.DictReader(file)]
    # Multiples modulo a prime: as good as random here, and every value of n gives another.
    randoms = ", ".join(
        f"((n + 1) * {1_000_003 + 7_919 * number**2} % 2147483647) >> 3 AS r{number}" for number in range(1, 20)
    )
    made = path.with_name(f".{path.name}.part")
    with duckdb.connect() as connection:
        connection.execute("SET preserve_insertion_order = true")
        relation = connection.sql(_CASES.format(randoms=randoms), params={"units": units, "rows": rows})
        relation.write_csv(str(made), header=True)
    made.replace(path)
    return path


def measure(folder: Path, console: Console, repeats: int = 3, rows: int = ROWS) -> dict[str, dict]:
    """Runs the sides in turn and returns what goes into bench.json: ratios, peak_rss_mib, seconds (best of each)."""
    # The number of rows stands in the name: an export of another size is not taken for this one.
    export = generate(folder / f"cases-{rows}.csv", rows)
    console.print(f"clean export: {rows:,} rows, {export.stat().st_size / 1e6:.0f} MB")
    seconds: dict[str, list[float]] = {}
    rss: dict[str, float] = {}
    for _ in range(repeats):
        for side in ("limit", "load", "validated"):
            found = _in_child(side, export, folder)
            seconds.setdefault(side, []).append(found["seconds"])
            rss[side] = max(rss.get(side, 0), found["peak_rss_mib"])
            console.print(
                f"{side:<10} {found['seconds']:6.2f} s  {found['cpu_seconds']:6.2f} s of CPU in the whole process  "
                f"{found['peak_rss_mib']:6.0f} MiB"
            )
    best = {side: min(runs) for side, runs in seconds.items()}
    loaded, validated = best["load"] / best["limit"], best["validated"] / best["limit"]
    console.print(
        f"load / limit = {loaded:.2f} (target: at most {TARGET}), validated / limit = {validated:.2f} "
        f"(at most {TARGET_VALIDATED}), peak {max(rss['load'], rss['validated']):.0f} MiB (at most {TARGET_MIB})"
    )
    return {
        "ratios": {"clean_2m_vs_limit": round(loaded, 3), "clean_2m_validated_vs_limit": round(validated, 3)},
        "peak_rss_mib": {
            "clean_2m_limit": round(rss["limit"]),
            "clean_2m": round(rss["load"]),
            "clean_2m_validated": round(rss["validated"]),
        },
        "seconds": {f"clean_2m_{side}": [round(s, 2) for s in runs] for side, runs in seconds.items()},
    }


def _in_child(side: str, export: Path, folder: Path) -> dict[str, float]:
    """Seconds and peak MiB of one side in a fresh process; raises RuntimeError with the end of what it said."""
    with tempfile.TemporaryDirectory(prefix="clean-", dir=folder) as work:
        result = Path(work) / "result.json"
        env = {**os.environ, "TONGBAO_HOME": str(Path(work) / "home"), "PYTHONPATH": str(PROJECT)}
        command = [sys.executable, "-m", "ops.bench_clean", side, str(export), work]
        done = subprocess.run(command, env=env, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the {side} side failed: {done.stderr.decode(errors='replace')[-1500:]}")
        found: dict[str, float] = json.loads(result.read_text())
        return found


def _limit(export: Path, work: Path) -> float:
    started = time.perf_counter()
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM read_csv('{export}')) TO '{work / 'limit.parquet'}' (FORMAT parquet)")
    return time.perf_counter() - started


def _ours(export: Path, *, validated: bool) -> float:
    """Seconds of the load; the pull before it (a copy into the raw zone) is not part of it."""
    from expectations import validate_load
    from ingestion.landing import pull
    from ingestion.load import load
    from ingestion.transports import connect

    home = Home.from_env()
    delivered = home.root / "exports" / "platform" / DATASET / MONTH
    delivered.mkdir(parents=True)
    delivered.joinpath("cases.csv").hardlink_to(export)
    pull(home, connect(f"file://{home.root / 'exports'}"), "platform", DATASET, MONTH)
    started = time.perf_counter()
    result = load(home, DATASET, MONTH, validate=validate_load if validated else None)
    took = time.perf_counter() - started
    if result.rows_loaded != result.rows_in or not result.rows_in:
        raise AssertionError(f"{result.rows_in} rows in, {result.rows_loaded} loaded: the export is not clean")
    return took


def _child(side: str, export: Path, work: Path) -> None:
    seconds = _limit(export, work) if side == "limit" else _ours(export, validated=side == "validated")
    peak = bench_peak.own_mib()
    (work / "result.json").write_text(
        json.dumps({"seconds": seconds, "cpu_seconds": time.process_time(), "peak_rss_mib": peak})
    )


if __name__ == "__main__":
    _child(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
