"""The bench of sizes at a size that takes seconds: it runs, it measures what it says, and its yardsticks are honest."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from rich.console import Console

import publishing
from ingestion.home import Home
from ops import bench_exports, bench_pandas, bench_sizes
from tests.end_to_end.conftest import ingest, release

FACTOR = 0.05


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def exports(folder: Path) -> Path:
    """Three counties of a twentieth of the size."""
    small = bench_exports.generate(folder / "made", FACTOR)
    out = folder / "made" / "three"
    county = folder / "made" / f"county-{FACTOR:g}"
    bench_exports.lay(county, out, copies=3)
    assert sorted(p.relative_to(small) for p in small.rglob("*/") if p.is_dir()) == sorted(
        p.relative_to(out) for p in out.rglob("*/") if p.is_dir()
    )
    return out


@pytest.fixture(scope="module")
def home(folder: Path, exports: Path) -> Home:
    home = Home(folder / "home")
    ingest(home, exports)
    release(home, [bench_exports.MONTH], "bench")
    return home


def test_copies_are_other_people_with_other_keys(home: Home, exports: Path) -> None:
    """Copies do not replace one another: each has keys of its own, and its references lead to its own rows."""
    warehouse = publishing.releases.served(home).warehouse  # type: ignore[union-attr]
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        figures = connection.execute("SELECT dataset, rows_in, rows_current FROM audit.reconciliation").fetchall()
        strays = connection.execute("SELECT avg((NOT is_case_known)::INT) FROM core.fct_case_reviews").fetchone()
    delivered = {dataset: (rows_in, current) for dataset, rows_in, current in figures if dataset != "hotline_calls"}
    page = json.loads(next((exports / "platform" / "platform_cases").rglob("page-00001.json")).read_text())
    assert delivered["platform_cases"][0] == page["total"] > 0
    # Of three copies with the same keys a third would be current at the most.
    for dataset, (rows_in, current) in delivered.items():
        assert current % 3 == rows_in % 3 == 0, dataset
        assert current > 0.7 * rows_in, dataset
    assert strays is not None
    assert strays[0] < 0.2
    people = {(row["申请人"], row["证件号码"], row["联系电话"]) for row in page["rows"]}
    assert len(people) > 0.7 * len(page["rows"])


def test_pandas_ranks_as_the_warehouse_does(home: Home, exports: Path) -> None:
    """An honest yardstick: the same scores and places, of every ranked unit in every area."""
    ours = pd.DataFrame()
    warehouse = publishing.releases.served(home).warehouse  # type: ignore[union-attr]
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        ours = connection.execute(
            "SELECT area, unit_code, score::DOUBLE AS score, rank FROM marts.unit_rankings ORDER BY ALL"
        ).df()
    theirs = bench_pandas.rankings(exports, bench_exports.MONTH).sort_values(["area", "unit_code"])
    assert len(ours) == len(theirs) > 150
    for column in ("score", "rank"):
        found = pd.to_numeric(theirs[column]).reset_index(drop=True).astype("Float64")
        pd.testing.assert_series_equal(ours[column].astype("Float64"), found, check_names=False, check_exact=True)
    assert ours["score"].notna().sum() > 100


def test_the_bench_runs(folder: Path) -> None:
    """Every step in its own process, from files to release, beside both yardsticks."""
    found = bench_sizes.measure(folder / "run", Console(quiet=True), [FACTOR])
    run = found["sizes"]["x0.05"]
    assert list(run["stages"]) == ["pull", "load", "build", "audit", "publish"]
    assert run["seconds"] == pytest.approx(sum(step["seconds"] for step in run["stages"].values()), abs=0.1)
    assert found["ratios"]["x0.05_vs_limit"] == pytest.approx(run["seconds"] / run["limit"]["seconds"], abs=0.01)
    assert found["ratios"]["x0.05_vs_pandas"] == pytest.approx(run["seconds"] / run["pandas"]["seconds"], abs=0.01)
    assert all(50 < peak < 4096 for peak in found["peak_rss_mib"].values())
    assert run["cases"] > 500
    assert not list((folder / "run").iterdir())
