"""The same models on Apache Spark, local mode: every fact and published figure equal to DuckDB's, to the last digit.

Runs when a model, a macro or the Spark target changes; fails on the first figures that differ, with both values. `make
test-spark` runs it in an environment with requirements/spark.txt, where it fails without them or without Java 17
(Debian: default-jre-headless); `make test` says that it was left out. TONGBAO_SPARK=all compares further seeds.
Who mends it: who changed the model; what engines do differently belongs into dbt_project/macros.
"""

from __future__ import annotations

import importlib.util
import math
import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import publishing
from ingestion.errors import BadParameter, BuildFailed
from ingestion.home import Home
from ingestion.ledger import Ledger
from publishing import releases
from publishing.cli import main
from publishing.dbt_run import Summary
from publishing.spark import build as spark_build
from publishing.spark.build import SparkBuild
from publishing.spark.compare import Comparison, compare, read_table
from publishing.spark.inputs import Place, lay_delivered, lay_small_tables
from publishing.spark.session import java, session
from simulator.servers.objectstore import ObjectStoreServer
from tests.end_to_end.conftest import NOTICE_PERIODS, generate, ingest, release
from tests.reference_calc.hostile import write_hostile

#: What Spark leaves in the working folder when nobody tells it otherwise.
LITTER = ("metastore_db", "derby.log", "spark-warehouse", "artifacts")


@pytest.fixture(scope="module")
def spark() -> None:
    missing = [
        what
        for what, there in (
            ("requirements/spark.txt (`make test-spark`)", importlib.util.find_spec("pyspark")),
            ("Java 17 (apt-get install default-jre-headless)", java()),
        )
        if not there
    ]
    if missing:
        reason = f"the models were NOT built on Spark; not installed: {', '.join(missing)}"
        if os.environ.get("TONGBAO_SPARK"):
            pytest.fail(reason)
        pytest.skip(reason)


def compared(home: Home, run_id: str) -> Comparison:
    built = spark_build.repeat(home, run_id)
    assert built.summary.counts["pass"] >= 11, "the integrity tests ran on Spark too"
    return compare(home.runs / run_id / "warehouse.duckdb", built.place)


@pytest.mark.slow
def test_a_county_of_full_size(notice_home: Home, spark: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty thousand cases a month: the county of the notice as it was published, by the command that anyone runs."""
    litter = {name for name in LITTER if Path(name).exists()}
    monkeypatch.setenv("TONGBAO_HOME", str(notice_home.root))
    result = CliRunner().invoke(main, ["spark", "--run-id", "notice"])
    assert result.exit_code == 0, result.output[:4000]
    found = re.search(r"^0 differing of ([\d,]+) figures", result.output, re.MULTILINE)
    assert found and int(found[1].replace(",", "")) > 1_000_000, result.output
    assert {name for name in LITTER if Path(name).exists()} == litter
    assert not (notice_home.runs / "notice" / "spark" / "scratch").exists()


@pytest.mark.slow
def test_edges_revisions_and_a_build_by_spark(tmp_path: Path, spark: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rule's boundary; a second publication, with revisions of the first, built by Spark alone and served."""
    now = releases.beijing_now()
    monkeypatch.setattr(releases, "beijing_now", lambda: now)
    home = Home(tmp_path / "home")
    ingest(home, write_hostile(tmp_path / "first", ["2022-07", "2022-08"], seed=3))
    release(home, ["2022-07", "2022-08"], "first")
    ingest(home, write_hostile(tmp_path / "second", ["2022-09"], seed=3))
    duckdbs = publishing.build(home, ["2022-09"], "second")
    monkeypatch.setenv("TONGBAO_ENGINE", "spark")
    monkeypatch.setenv("TONGBAO_SPARK_FOLDER", str(tmp_path / "shared"))
    sparks = publishing.build(home, ["2022-09"], "by-spark")
    found = compare(duckdbs, Place(str(tmp_path / "shared" / "by-spark")))
    assert not found.differences, "\n".join(found.differences[:40])
    with duckdb.connect(str(sparks), read_only=True) as connection:
        revised = connection.execute("SELECT count(*) FROM marts.release_differences").fetchall()
    assert revised != [(0,)], "nothing was revised: the test compares less than it says"
    publishing.audit(home, "by-spark")
    assert publishing.publish(home, "by-spark").releases


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("TONGBAO_SPARK") != "all", reason="further seeds: TONGBAO_SPARK=all")
@pytest.mark.parametrize("seed", [11, 12])
def test_further_seeds(seed: int, tmp_path: Path, spark: None) -> None:
    """Counties at a tenth of their size, every row-level fault planted."""
    home = Home(tmp_path / "home")
    options = ["--seed", str(seed), "--months", "2022-06..2022-08", "--factor", "0.1", "--faults", "rows"]
    ingest(home, generate(tmp_path / "exports", *options))
    publishing.build(home, NOTICE_PERIODS, "compare")
    found = compared(home, "compare")
    assert not found.differences, "\n".join(found.differences[:40])


def test_the_comparison_sees_one_last_digit(notice_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard itself: DuckDB's own tables as Parquet are equal, and each kind of change to them is seen and named."""
    warehouse = notice_home.runs / "notice" / "warehouse.duckdb"
    place = Place(str(tmp_path))
    _as_parquet(warehouse, tmp_path)
    assert compare(warehouse, place, ["marts"]).differences == []

    path = tmp_path / "marts" / "unit_scores" / "0.parquet"
    table = pq.read_table(path)
    row = pc.index(pc.is_valid(table["score"]), True).as_py()
    scores = table["score"].to_pylist()
    scores[row] = math.nextafter(scores[row], math.inf)
    changed = table.set_column(table.schema.get_field_index("score"), "score", pa.array(scores, pa.float64()))
    pq.write_table(changed, path)
    (line,) = compare(warehouse, place, ["marts"]).differences
    assert line.startswith("marts.unit_scores [") and "] score: DuckDB " in line

    pq.write_table(table.slice(1), path)
    (line,) = compare(warehouse, place, ["marts"]).differences
    assert line.endswith("a row only on DuckDB")

    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), path)
    (line,) = compare(warehouse, place, ["marts"]).differences
    assert line.endswith("a row only on Spark")

    pq.write_table(table.drop_columns(["score"]), path)
    (line,) = compare(warehouse, place, ["marts"]).differences
    assert "other columns or types: score DOUBLE" in line

    path.unlink()
    assert compare(warehouse, place, ["marts"]).differences == ["marts.unit_scores: Spark wrote no such table"]
    monkeypatch.setattr(spark_build, "repeat", lambda *_, **__: SparkBuild(place, Summary()))
    monkeypatch.setenv("TONGBAO_HOME", str(notice_home.root))
    result = CliRunner().invoke(main, ["spark", "--run-id", "notice"])
    assert result.exit_code == 1 and "marts.unit_scores: Spark wrote no such table" in result.output


def test_delivered_rows_are_laid_once_and_taken_back(notice_home: Home, tmp_path: Path) -> None:
    """What is no longer accepted, or was staged anew, does not stay where the cluster reads."""
    place = Place(str(tmp_path / "tables"))
    files = Ledger(notice_home).accepted_files()
    counts = lay_delivered(place, files)
    laid = {path: Path(path).stat().st_ino for path in place.files("staged")}
    assert len(laid) == len(files) == sum(counts.values())
    assert all("/month=" in path for path in laid)
    lay_delivered(place, files[1:])
    left = {path: Path(path).stat().st_ino for path in place.files("staged")}
    assert len(left) == len(files) - 1 and left.items() <= laid.items()


def test_inputs_in_an_object_store(notice_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Delivered rows and small tables reach a store by its URI, once, and what is no longer accepted goes there too."""
    with ObjectStoreServer() as store:
        login = urlsplit(store.uri())
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", login.username or "")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", unquote(login.password or ""))
        place = Place(f"s3a://{store.bucket}/tongbao/run")
        files = Ledger(notice_home).accepted_files("hotline_calls")
        assert lay_delivered(place, files) == {"hotline_calls": len(files)}
        tables = lay_small_tables(place, notice_home.runs / "notice" / "warehouse.duckdb")
        assert ("previous", "releases") in tables
        rows = read_table(place, "staged", "hotline_calls")
        assert rows is not None and rows.num_rows == sum(file.rows_loaded for file in files)
        periods = read_table(place, "inputs", "staged", "requested_periods")
        assert periods is not None and sorted(periods["period_code"].to_pylist()) == sorted(NOTICE_PERIODS)
        assert lay_delivered(place, files[:1]) == {"hotline_calls": 1}
        assert len(place.files("staged", ending=".parquet")) == 1
        place.system.delete_dir_contents(place.path("never"), missing_dir_ok=True)


def test_without_a_build_or_java_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadParameter, match="nothing is built yet"):
        spark_build.newest_run(Home(tmp_path))
    with pytest.raises(BadParameter, match="no finished build"):
        spark_build.repeat(Home(tmp_path), "nobody")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(BuildFailed, match=r"Java 17|spark\.txt"), session(tmp_path / "run", tmp_path.as_uri()):
        pass


def _as_parquet(warehouse: Path, folder: Path) -> None:
    from publishing.release_file import write_parquet

    for path in write_parquet(warehouse, folder / "flat", ["marts"]):
        target = folder / "marts" / path.stem / "0.parquet"
        target.parent.mkdir(parents=True)
        path.rename(target)
