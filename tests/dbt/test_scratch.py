"""``make dbt`` works on a copy: the newest finished build, kept until it is asked for anew."""

from __future__ import annotations

import os
from pathlib import Path

from ingestion.home import Home
from ops.scratch import main, prepare


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
