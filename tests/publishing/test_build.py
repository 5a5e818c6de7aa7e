"""What build lays in, what it keeps SQL from, and how it says what failed."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from ingestion.contracts import CONTRACTS
from ingestion.durable import sha256_of
from ingestion.errors import AuditFailed, BadParameter, BuildFailed
from ingestion.home import Home
from ingestion.ledger import Decision, Ledger, NewAttempt, staged_path
from ingestion.period import Period
from publishing import audit, build, inputs, plan, publish
from publishing.build import input_digest
from publishing.cli import main
from publishing.dbt_run import without_values
from publishing.releases import beijing_now
from tests.publishing.warehouses import hand_made_run

MINI = Path(__file__).parent / "dbt_mini"
PULLED = dt.datetime(2022, 8, 6, 1, 0)  # noqa: DTZ001 - Beijing wall time, as everywhere


def deliver(home: Home, dataset: str, month: str, rows: list[dict], sha256: str = "0" * 64) -> Path:
    """Accepts one file of typed rows for the dataset and month, as a load does; returns the staged file."""
    ledger, contract = Ledger(home), CONTRACTS[dataset]
    file = NewAttempt(file=f"{dataset}.csv", sha256=sha256, bytes=1)
    (attempt,) = ledger.record_pull(contract.system, dataset, month, PULLED, [file])
    assert attempt.landing_id is not None
    path = staged_path(home, dataset, month, attempt.landing_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    extra = {"_month": month, "_landing_id": attempt.landing_id, "_deleted": False, "_row": 2}
    pq.write_table(
        pa.Table.from_pylist([row | extra for row in rows]) if rows else pa.table({"_row": pa.array([], pa.int64())}),
        path,
    )
    ledger.decide([Decision(attempt.attempt_id, "accepted", rows_in=len(rows), rows_loaded=len(rows))])
    return path


def deliver_all(home: Home, month: str) -> None:
    for dataset in CONTRACTS:
        rows = [{"case_no": f"A{i}", "accepted_at": PULLED} for i in range(3)] if dataset == "platform_cases" else []
        deliver(home, dataset, month, rows)


def query(path: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_plan_names_what_is_missing(home: Home) -> None:
    deliver_all(home, "2022-07")
    deliver(home, "cms_posts", "2022-08", [])
    found = plan(home, month="2022-08")
    assert found.publish == []
    assert sorted(found.waiting) == ["2022-07--2022-08", "2022-08"]
    assert ("hotline_calls", "2022-08") in found.waiting["2022-08"]
    assert ("cms_posts", "2022-08") not in found.waiting["2022-08"]
    assert len(found.waiting["2022-07--2022-08"]) == 9
    assert plan(home, month="2022-07").publish == ["2022-07"]
    assert plan(home).publish == ["2022-07"]
    assert plan(home, periods=["2022-07", "2022-07"]).publish == ["2022-07"]
    with pytest.raises(BadParameter):
        plan(home, month="2022-07", periods=["2022-07"])
    with pytest.raises(BadParameter):
        plan(home, periods=["2022-08--2022-09"])


def test_a_period_waits_for_its_cut_off(home: Home) -> None:
    now = Period.parse(f"{beijing_now():%Y-%m}")
    deliver_all(home, now.code)
    found = plan(home, periods=[now.code])
    assert (found.publish, found.waiting, found.early) == ([], {}, {now.code: now.cut_off})
    shown = CliRunner().invoke(main, ["run", now.code], env={"TONGBAO_HOME": str(home.root)})
    assert shown.exit_code == 1
    assert f"{now.code} waits for its cut-off" in shown.output


def test_a_period_that_lacks_deliveries_is_not_published(home: Home) -> None:
    deliver_all(home, "2022-07")
    deliver(home, "cms_posts", "2022-08", [])
    warehouse = build(home, ["2022-07", "2022-08"], "look", project=MINI)
    audit_record = {"warehouse_sha256": sha256_of(warehouse)}
    (warehouse.parent / "audit.json").write_text(json.dumps(audit_record), encoding="utf-8")
    with pytest.raises(BadParameter, match="2022-08 lack deliveries"):
        publish(home, "look")
    assert not home.current.exists()


def test_build_lays_in_what_the_models_read(home: Home) -> None:
    deliver_all(home, "2022-07")
    # A second file of the month, and one that was delivered and refused: only accepted files are read.
    deliver(home, "platform_cases", "2022-07", [{"case_no": "A9"}], sha256="9" * 64)
    refused = deliver(home, "platform_cases", "2022-07", [{"case_no": "B1"}], sha256="b" * 64)
    Ledger(home).decide([Decision(int(refused.stem), "refused", reason="broken")])
    finished: list[str] = []
    warehouse = build(home, ["2022-07"], "run-1", "更正 it's", project=MINI, progress=finished.append)
    assert warehouse == home.runs / "run-1" / "warehouse.duckdb"
    assert sorted(finished) == ["cases", "known", "names", "unique_cases_case_no"]
    assert query(warehouse, "SELECT cases, names, posts, scores FROM known") == [(4, 2, 0, 0)]
    assert query(warehouse, "SELECT * FROM staged.requested_periods") == [("2022-07", False)]
    assert query(warehouse, "SELECT count(*), min(month) FROM staged.delivered_months") == [(10, "2022-07")]
    run_id, reason, digest = query(warehouse, "SELECT run_id, reason, input_digest FROM staged.run")[0]
    assert (run_id, reason, digest) == ("run-1", "更正 it's", input_digest(home, MINI))
    assert query(warehouse, "SELECT outcome, count(*) FROM audit.deliveries GROUP BY 1 ORDER BY 1") == [
        ("accepted", 11),
        ("refused", 1),
    ]
    assert not (warehouse.parent / "warehouse.duckdb.wal").exists()
    assert "TONGBAO_WAREHOUSE" not in os.environ
    assert len(list((home.runs / ".dbt").iterdir())) == 1


def test_what_is_accepted_during_a_build_is_of_the_next_one(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backfill beside a monthly run: rows without their delivery, or the other way round, do not balance."""
    deliver(home, "platform_cases", "2022-07", [{"case_no": "A1"}])
    first = input_digest(home, MINI)

    def meanwhile(connection: duckdb.DuckDBPyConnection, files: Any) -> None:
        staged_views(connection, files)
        deliver(home, "platform_cases", "2022-06", [{"case_no": "B1"}], sha256="b" * 64)

    staged_views = inputs.staged_views
    monkeypatch.setattr(inputs, "staged_views", meanwhile)
    warehouse = build(home, ["2022-07"], "run-1", project=MINI)
    assert query(warehouse, "SELECT month FROM audit.deliveries") == [("2022-07",)]
    assert query(warehouse, "SELECT month FROM staged.delivered_months") == [("2022-07",)]
    assert query(warehouse, "SELECT cases FROM known") == [(1,)]
    assert query(warehouse, "SELECT input_digest FROM staged.run") == [(first,)]
    monkeypatch.undo()
    assert query(build(home, ["2022-07"], "run-2", project=MINI), "SELECT cases FROM known") == [(2,)]


def test_parse_cache_is_not_taken_from_a_project_elsewhere(home: Home, tmp_path: Path) -> None:
    """The cache of one checkout named the seeds of another, which the new build may not read."""
    deliver(home, "platform_cases", "2022-07", [{"case_no": "A1"}])
    moved = Path(shutil.copytree(MINI, tmp_path / "moved"))
    (moved / "seeds" / "names.csv").write_text("code,name\na,甲\n")
    for project, names in ((MINI, 2), (moved, 1), (MINI, 2)):
        assert query(build(home, ["2022-07"], "run-1", project=project), "SELECT names FROM known") == [(names,)]


def test_staged_columns_are_typed_also_without_any_file(home: Home) -> None:
    deliver(home, "platform_cases", "2022-07", [{"case_no": "A1"}])
    warehouse = build(home, ["2022-07"], "run-1", project=MINI)
    for dataset in ("platform_cases", "hotline_calls"):
        described = dict(
            query(
                warehouse,
                "SELECT column_name, data_type FROM duckdb_columns() "
                f"WHERE schema_name = 'staged' AND table_name = '{dataset}'",
            )
        )
        wanted = {column.name for column in CONTRACTS[dataset].columns} | {"_key", "_deleted", "_month", "_landing_id"}
        assert wanted <= set(described)
        assert (described["updated_at"], described["_deleted"], described["_row"]) == ("TIMESTAMP", "BOOLEAN", "BIGINT")
    # 2022-07 lacks nine datasets: computed, but provisional.
    assert query(warehouse, "SELECT * FROM staged.requested_periods") == [("2022-07", True)]


def test_published_periods_are_computed_again_and_their_history_is_there(home: Home) -> None:
    hand_made_run(home, "first", ["2022-06"], version=1)
    publish(home, "first")
    deliver_all(home, "2022-07")
    warehouse = build(home, ["2022-07"], "run-1", project=MINI)
    assert query(warehouse, "SELECT period_code FROM staged.requested_periods ORDER BY 1") == [
        ("2022-06",),
        ("2022-07",),
    ]
    assert query(warehouse, "SELECT release, revision FROM previous.releases") == [("2022-06-r1", 1)]
    assert query(warehouse, "SELECT count(*) FROM previous.unit_metrics") == [(12,)]


def test_damaged_base_stops_the_build(home: Home) -> None:
    hand_made_run(home, "first", ["2022-06"], version=1)
    publish(home, "first")
    served = home.releases / "1" / "warehouse.duckdb"
    served.chmod(0o644)
    with served.open("r+b") as file:
        file.seek(30_000)
        file.write(b"\xff")
    with pytest.raises(AuditFailed, match="release 1 is damaged"):
        build(home, ["2022-06"], "run-1", project=MINI)


def test_a_warehouse_damaged_between_build_and_audit_does_not_pass(home: Home) -> None:
    deliver_all(home, "2022-07")
    warehouse = build(home, ["2022-07"], "run-1", project=MINI)
    with warehouse.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    with pytest.raises(AuditFailed, match=r"run run-1 is not as its build left it.*build it again"):
        audit(home, "run-1")


def test_failing_test_is_named_without_values_and_nothing_is_ready_to_publish(home: Home) -> None:
    deliver_all(home, "2022-07")
    deliver(home, "platform_cases", "2022-07", [{"case_no": "A1"}], sha256="1" * 64)
    with pytest.raises(BuildFailed, match=r"test unique_cases_case_no: Got 1 result") as failure:
        build(home, ["2022-07"], "run-1", project=MINI)
    assert "A1" not in str(failure.value)
    with pytest.raises(BadParameter, match="no finished build"):
        publish(home, "run-1")
    # The same run again, after the cause is gone, starts from nothing.
    files = Ledger(home).accepted_files("platform_cases")
    Ledger(home).decide([Decision(files[-1].landing_id, "refused", reason="sent twice")])
    build(home, ["2022-07"], "run-1", project=MINI)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select * from read_csv('/etc/hosts')", "Permission Error"),
        ("select * from read_parquet('{raw}')", "Permission Error"),
        ("select cast('13800138000' as date) as d", "model evil: Runtime Error in model evil"),
        ("select nothing_there from staged.run", "nothing_there"),
    ],
)
def test_sql_reaches_nothing_but_the_run(home: Home, tmp_path: Path, sql: str, said: str) -> None:
    project = Path(shutil.copytree(MINI, tmp_path / "project"))
    (project / "models" / "evil.sql").write_text(sql.format(raw=home.objects / "x"))
    with pytest.raises(BuildFailed, match="model evil") as failure:
        build(home, ["2022-07"], "run-1", project=project)
    assert said in str(failure.value)
    assert "13800138000" not in str(failure.value)


def test_missing_staged_file_is_not_a_zero(home: Home) -> None:
    deliver(home, "platform_cases", "2022-07", [{"case_no": "A1"}]).unlink()
    with pytest.raises(BuildFailed, match=r"gone from staged/.*platform_cases"):
        build(home, ["2022-07"], "run-1", project=MINI)


@pytest.mark.parametrize("run_id", ["", "../x", "a/b", ".hidden", "a b", "x" * 121, "a'b"])
def test_run_id_never_leaves_its_folder(home: Home, run_id: str) -> None:
    with pytest.raises(BadParameter, match="run id"):
        build(home, ["2022-07"], run_id, project=MINI)


@pytest.mark.parametrize("code", ["2022-13", "2022-07'; drop table x", "{{ 1 }}", "2022-08--2022-09"])
def test_period_codes_are_checked_before_anything_is_made(home: Home, code: str) -> None:
    with pytest.raises(BadParameter):
        build(home, [code], "run-1", project=MINI)
    assert not home.runs.exists()


def test_home_that_reads_as_a_pattern_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match="pattern"):
        build(Home(tmp_path / "county[1]"), ["2022-07"], "run-1", project=MINI)


def test_input_digest_goes_by_content(home: Home, tmp_path: Path) -> None:
    deliver(home, "platform_cases", "2022-07", [{"case_no": "A1"}], sha256="1" * 64)
    first = input_digest(home, MINI)
    # The same bytes in a home of its own, where another delivery came (and was refused) before.
    other = Home(tmp_path / "other")
    lost = deliver(other, "platform_cases", "2022-07", [{"case_no": "B1"}], sha256="2" * 64)
    Ledger(other).decide([Decision(int(lost.stem), "refused", reason="broken")])
    deliver(other, "platform_cases", "2022-07", [{"case_no": "A1"}], sha256="1" * 64)
    assert input_digest(other, MINI) == first
    deliver(other, "platform_cases", "2022-07", [{"case_no": "A2"}], sha256="3" * 64)
    assert input_digest(other, MINI) != first
    changed = Path(shutil.copytree(MINI, tmp_path / "project"))
    (changed / "seeds" / "names.csv").write_text("code,name\na,丙\n")
    assert input_digest(home, changed) != first


def test_messages_keep_names_and_lose_values() -> None:
    assert without_values("Could not convert string '张三' to INT32 when casting from source column phone") == (
        "Could not convert string '…' to INT32 when casting from source column phone"
    )
    assert "13800138000" not in without_values('Duplicate key "phone: 13800138000" violates unique constraint')
    assert without_values('date field value out of range: "13800138000"') == 'date field value out of range: "…"'
    assert without_values('Overflow in (13800138000 * 2) of "amount"') == 'Overflow in (… * 2) of "amount"'
    assert "secret" not in without_values("Parser Error: x\n\nLINE 1: select 'a' as secret")
