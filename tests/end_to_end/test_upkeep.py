"""A county in operation: key rotated, people erased, everything rebuilt from raw: the same digests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ingestion.contracts import CONTRACTS
from ingestion.durable import sha256_of
from ingestion.erasure import erase, read_person
from ingestion.home import Home
from ingestion.readers import open_table
from ingestion.rotation import key_of_staged, rotate
from publishing import rollback
from publishing.report import write_report
from tests.end_to_end.conftest import generate, ingest, release
from upkeep.cli import main
from upkeep.rebuild import newest_digests, rebuild

PERIODS = ["2022-07"]


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A county small enough to be staged four times in seconds."""
    root = tmp_path_factory.mktemp("upkeep")
    home = Home(root / "home")
    ingest(home, generate(root / "exports", "--months", "2022-06..2022-07", "--factor", "0.05", "--seed", "7"))
    release(home, PERIODS, "one")
    return home


def delivered(home: Home, dataset: str, *columns: str) -> list[tuple[str, ...]]:
    """These columns of the July delivery as the systems exported them."""
    found: list[tuple[str, ...]] = []
    for path in sorted((home.root.parent / "exports" / CONTRACTS[dataset].system / dataset / "2022-07").iterdir()):
        if path.name != "manifest.json":
            with open_table(path, path.name, CONTRACTS[dataset]) as reader:
                for batch in reader.batches():
                    found += zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_rotated_erased_and_rebuilt_the_digests_are_the_same(county: Home, tmp_path: Path) -> None:
    served = sha256_of(county.current / "warehouse.duckdb")
    old_key = key_of_staged(county)
    assert rotate(county).files > 0 and key_of_staged(county) != old_key
    name, phone = next(row for row in delivered(county, "hotline_tickets", "caller", "caller_phone") if all(row))
    caller = erase(county, read_person(f"姓名: {name}\n电话: {phone}"), by="县局", request="1", apply=True)
    assert caller.rows > 0
    (reviewer,) = next(row for row in delivered(county, "cms_posts", "reviewer_1") if row[0])
    staff = erase(county, read_person(f"姓名: {reviewer}", name_alone=True), by="县局", request="2", apply=True)
    assert staff.rows > 1
    assert {place.action for place in (*caller.places, *staff.places)} == {"changed"}
    assert sha256_of(county.current / "warehouse.duckdb") == served
    ledger = sha256_of(county.ledger_path)
    done = rebuild(county, tmp_path / "rebuilt")
    assert sha256_of(county.ledger_path) == ledger, "what was staged on trial is sealed in a ledger of its own"
    assert done.agrees and done.same_input and set(done.digests) == set(PERIODS)
    assert set(done.seconds) == {"stage 入库", "build 构建", "audit 审核", "publish 发布"}
    assert newest_digests(done.home.current / "warehouse.duckdb") == newest_digests(county.current / "warehouse.duckdb")
    assert sha256_of(county.current / "warehouse.duckdb") == served, "a rebuild touches nothing that is served"


def test_state_is_told_in_full(county: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAO_HOME", str(county.root))
    state = json.loads(CliRunner().invoke(main, ["status", "--json"]).output)
    assert len(state["deliveries"]) == 20
    july = next(e for e in state["deliveries"] if (e["month"], e["dataset"]) == ("2022-07", "hotline_tickets"))
    assert july["outcome"] == {"accepted": july["files"]} and july["rows_in"] > 10 and july["age_days"] >= 0
    assert [each["period"] for each in state["published"]["periods"]] == sorted(PERIODS)
    assert state["published"]["rolled_back_from"] is None and state["unfinished_erasure"] is False
    assert all(each["late"] and each["newest"] == "2022-07" for each in state["sources"]), "the exports are of 2022"
    shown = CliRunner().invoke(main, ["status"])
    assert shown.exit_code == 0 and "逾期" in shown.output and "2022-07-r1" in shown.output
    assert CliRunner().invoke(main, ["status", "--strict"]).exit_code == 3
    assert CliRunner().invoke(main, ["freshness"]).exit_code == 3


def test_a_report_that_a_manager_reads(county: Home) -> None:
    path = write_report(county, "2022-07")
    text = path.read_text(encoding="utf-8")
    assert path.name == "2022-07-r1.html"
    for wanted in (
        "2022年7月运行报告",
        "本期各月数据均已交付",
        "工单明细",
        "隔离数据",
        "未匹配单位",
        "行数平衡",
        "良好：",
    ):
        assert wanted in text
    assert "http" not in text and "None" not in text
    assert write_report(county, "2022-07").read_text(encoding="utf-8") == text


def test_nothing_to_go_back_to_is_said(county: Home) -> None:
    with pytest.raises(Exception, match="oldest on disk"):
        rollback(county)
