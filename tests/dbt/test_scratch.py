"""``make dbt`` works on a copy: the newest finished build, kept until it is asked for anew."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
from dbt.adapters.duckdb.connections import DuckDBConnectionManager

from ingestion.contracts import CONTRACTS
from ingestion.home import PROJECT, Home
from ingestion.profile import delivered_datasets
from ops.scratch import main, prepare
from publishing.dbt_run import of_county


def built(home: Home, run: str, content: str, at: int, *, finished: bool = True) -> None:
    folder = home.runs / run
    folder.mkdir(parents=True)
    (folder / "warehouse.duckdb").write_text(content)
    os.utime(folder / "warehouse.duckdb", (at, at))
    if finished:
        (folder / "build.json").write_text("{}")


def test_the_copy_is_of_the_newest_finished_build_and_stays(tmp_path: Path, monkeypatch) -> None:
    home = Home(tmp_path / "home")
    monkeypatch.setenv("TONGBAO_HOME", str(home.root))
    assert main(["run"]) == 1 and prepare(home) is None
    built(home, "one", "1", 1000)
    built(home, "killed", "2", 2000, finished=False)
    scratch = prepare(home)
    assert scratch is not None and scratch.read_text() == "1"
    scratch.write_text("changed by hand")
    built(home, "three", "3", 3000)
    assert prepare(home).read_text() == "changed by hand"  # type: ignore[union-attr]
    assert prepare(home, fresh=True).read_text() == "3"  # type: ignore[union-attr]
    assert (home.runs / "three" / "warehouse.duckdb").read_text() == "3"


def test_with_a_county_the_rules_and_data_sets_are_its_own(tmp_path: Path, monkeypatch) -> None:
    """dbt itself, on a copy: the seed that it loads and the variable that it sees are the county's."""
    home = Home(tmp_path / "home")
    built(home, "one", "", 1000)
    (home.runs / "one" / "warehouse.duckdb").unlink()
    duckdb.connect(str(home.runs / "one" / "warehouse.duckdb")).close()
    monkeypatch.setenv("TONGBAO_HOME", str(home.root))
    monkeypatch.setenv("TONGBAO_COUNTY", "pingshan")
    for name in ("TONGBAO_SEEDS", "TONGBAO_WAREHOUSE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    assert main(["seed", "--select", "units", "--quiet"]) == 0
    DuckDBConnectionManager.close_all_connections()  # the adapter holds the file until the process ends
    own = (PROJECT / "counties" / "pingshan" / "seeds" / "units.csv").read_text("utf-8").splitlines()[1:]
    with duckdb.connect(str(home.runs / ".scratch" / "warehouse.duckdb"), read_only=True) as connection:
        names = {name for (name,) in connection.execute("SELECT unit_name FROM rules.units").fetchall()}
    assert names == {line.split(",")[1] for line in own}
    _, variables, dbt_vars = of_county(home)
    assert Path(variables["TONGBAO_SEEDS"]).is_relative_to(home.runs)
    assert dbt_vars == {"datasets": list(delivered_datasets())} and len(delivered_datasets()) < len(CONTRACTS)
