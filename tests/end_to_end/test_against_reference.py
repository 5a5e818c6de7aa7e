"""Deliveries go through ingestion and dbt; every published figure is compared with the second calculation.

Two kinds of deliveries: a county's own as the simulator makes it, with bad rows planted, and one made of edges. Runs
when anything between a delivered file and a mart changes; fails on the first figure that differs, with both values.
Who mends it: read METRICS.md on that figure, then the side that does not follow it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pandas as pd
import pytest

import publishing
from ingestion import landing, load
from ingestion.home import Home
from ingestion.transports import connect
from tests.reference_calc import Result, calculate
from tests.reference_calc.compare import TABLES, differences
from tests.reference_calc.hostile import write_hostile
from tests.reference_calc.schema import SYSTEMS

CHECKOUT = Path(__file__).parents[2]


def ingest(home: Home, exports: Path) -> None:
    """Pull and load everything that lies in the exports folder."""
    for system, datasets in SYSTEMS.items():
        source = connect((exports / system).absolute().as_uri())
        for dataset in datasets:
            for month in source.months(dataset) or []:
                landing.pull(home, source, system, dataset, month)
                load.load(home, dataset, month)


def marts(warehouse: Path) -> dict[str, pd.DataFrame]:
    """The four published tables."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return {name: connection.sql(f"select * from marts.{name}").df() for name in TABLES}


def compared(tmp_path: Path, exports: Path, periods: list[str]) -> tuple[dict[str, pd.DataFrame], Result, list[str]]:
    home = Home(tmp_path / "home")
    ingest(home, exports)
    published = marts(publishing.build(home, periods, "compare"))
    reference = calculate(exports, periods)
    return published, reference, differences(published, reference, periods)


def assert_worth_comparing(published: dict[str, pd.DataFrame], reference: Result, periods: list[str]) -> None:
    """The comparison met what it is there for: all units, and most rules at work."""
    assert len(reference.unit_metrics) == len(periods) * 27 * 36
    assert len(published["unit_metrics"]) >= len(reference.unit_metrics)
    assert reference.unit_rankings["rank_change"].notna().any()
    assert {"good", "lagging"} <= set(reference.unit_rankings["list"].dropna())
    assert set(reference.unit_scores["veto_reason"].dropna()) >= {"serious_error"}
    assert len(reference.quarantine) > 0


@pytest.mark.slow
def test_county(tmp_path: Path) -> None:
    """The simulator's county at a tenth of its size, every row-level fault planted."""
    exports = tmp_path / "exports"
    command = [sys.executable, "-m", "simulator", "generate", "--out", str(exports), "--seed", "11"]
    command += ["--months", "2022-06..2022-08", "--factor", "0.1", "--faults", "rows"]
    subprocess.run(command, check=True, cwd=CHECKOUT, capture_output=True)
    periods = ["2022-07", "2022-08", "2022-07--2022-08"]
    published, reference, found = compared(tmp_path, exports, periods)
    assert_worth_comparing(published, reference, periods)
    assert not found, "\n".join(found[:40])


@pytest.mark.slow
def test_edges(tmp_path: Path) -> None:
    """Boundaries, expired aliases, ties of versions, deletions, the October holidays with their make-up days."""
    exports = write_hostile(tmp_path / "exports", ["2022-07", "2022-08", "2022-09", "2022-10"], seed=3)
    periods = ["2022-08", "2022-10", "2022-09--2022-10", "2022-07--2022-09"]
    published, reference, found = compared(tmp_path, exports, periods)
    assert_worth_comparing(published, reference, periods)
    assert not found, "\n".join(found[:40])


def test_the_comparison_can_fail(tmp_path: Path) -> None:
    """One figure changed, one row lost, one row too many: each is named."""
    exports = write_hostile(tmp_path / "exports", ["2022-07"], seed=5)
    reference = calculate(exports, ["2022-07"])
    tables = {name: getattr(reference, name).copy() for name in TABLES}
    assert differences(tables, reference, ["2022-07"]) == []
    metrics = tables["unit_metrics"]
    metrics.loc[metrics["value"].notna().idxmax(), "value"] += 1e-6
    tables["unit_scores"] = tables["unit_scores"].iloc[1:]
    extra = tables["unit_rankings"].iloc[[0]].assign(unit_code="U99")
    tables["unit_rankings"] = pd.concat([tables["unit_rankings"], extra])
    found = differences(tables, reference, ["2022-07"])
    assert len(found) == 3
    assert "value" in found[0]
    assert "only in the reference" in found[1]
    assert "only in the warehouse" in found[2]
