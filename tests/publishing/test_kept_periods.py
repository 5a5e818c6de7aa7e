"""Months of a county, one after the other: scores, ranks and explanations that a build keeps are what a full one gives.

Every build that takes facts over is repeated in full and all relations are compared (:mod:`tests.publishing.test_kept`)
while months come, a month of long ago is corrected, and nothing comes. The rules look back over months (decision 0010).
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

import publishing
from ingestion import landing, load
from ingestion.contracts import SYSTEMS
from ingestion.home import Home
from ingestion.transports import connect
from publishing.build import read_state
from publishing.dbt_run import DBT_PROJECT
from simulator.generate_cli import generate_command
from tests.publishing.test_kept import differences

MONTHS = [f"2022-{month:02}" for month in range(1, 7)]


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a year of a small county."""
    folder = tmp_path_factory.mktemp("exports") / "county"
    arguments = ["--out", str(folder), "--seed", "5", "--factor", "0.03", "--format", "csv", "--plain"]
    done = CliRunner().invoke(generate_command, [*arguments, "--months", f"{MONTHS[0]}..{MONTHS[-1]}"])
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(autouse=True)
def looking_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule set that lists by evidence over months holds from April on."""
    seeds = tmp_path / "seeds"
    shutil.copytree(DBT_PROJECT / "seeds", seeds)
    rules = seeds / "rule_sets.csv"
    content = rules.read_text(encoding="utf-8").replace("2026-12-31", "2022-03-31").replace("2027-01-01", "2022-04-01")
    rules.write_text(content.replace(",12,10", ",2,10"), encoding="utf-8")
    monkeypatch.setenv("TONGBAO_SEEDS", str(seeds))


class County:
    """A home that months are delivered to, built, and published from."""

    def __init__(self, root: Path, exports: Path, project: Path = DBT_PROJECT) -> None:
        self.home, self.exports, self.project, self.runs = Home(root / "home"), exports, project, 0

    def deliver(self, *months: str) -> None:
        source = connect(f"{self.exports.as_uri()}?min_age=0")  # what was written here is whole
        for system, datasets in SYSTEMS.items():
            for dataset in datasets:
                for month in months:
                    landing.pull(self.home, source, system, dataset, month)
                    load.load(self.home, dataset, month)

    def correct(self, month: str, at: str) -> None:
        """Every other post of the month turns out to hold a serious error: a file more of the website."""
        place = Path("cms", "cms_posts", month)
        (file,) = (self.exports / place).glob("*.csv")
        with file.open(encoding="gb18030", newline="") as source:
            rows = [row for row in csv.DictReader(source) if row["发布时间"].startswith(month)]
        late = self.home.root.with_name("late")
        (late / place).mkdir(parents=True)
        with (late / place / "late.csv").open("w", encoding="gb18030", newline="") as target:
            writer = csv.DictWriter(target, list(rows[0]))
            writer.writeheader()
            writer.writerows(row | {"严重错误数": "1", "更新时间": at} for row in rows[::2])
        landing.pull(self.home, connect(f"{late.as_uri()}?min_age=0"), "cms", "cms_posts", month)
        load.load(self.home, "cms_posts", month)

    def build(self, *, full: bool | None = None) -> Path:
        self.runs += 1
        plan = publishing.plan(self.home).publish or MONTHS[:1]
        return publishing.build(self.home, plan, f"run-{self.runs}", full=full, project=self.project)

    def publish(self, warehouse: Path) -> None:
        publishing.audit(self.home, warehouse.parent.name)
        publishing.publish(self.home, warehouse.parent.name)

    def step(self) -> set[str]:
        """A build that keeps what it can, the same in full, and the publication of the first; the touched periods."""
        kept = self.build()
        whole = self.build(full=True)
        assert read_state(kept.parent)["taken_over"]
        assert differences(kept, whole) == []
        shutil.rmtree(whole.parent)
        self.publish(kept)
        with duckdb.connect(str(kept), read_only=True) as connection:
            return {code for (code,) in connection.execute("FROM scoring.touched_periods").fetchall()}


def test_months_that_follow_each_other(tmp_path: Path, exports: Path) -> None:
    county = County(tmp_path, exports)
    county.deliver(*MONTHS[:4])
    county.publish(county.build())
    assert county.step() == set()
    # February otherwise, and what holds it or is compared with it; April looks back on two months only.
    county.correct("2022-02", "2022-05-20 10:00:00")
    touched = county.step()
    assert {"2022-02", "2022-01--2022-02", "2022-01--2022-03", "2022-03", "2022-03--2022-04"} <= touched
    assert "2022-01" not in touched
    county.deliver(*MONTHS[4:])
    assert set(MONTHS[4:]) | {"2022-01--2022-06"} <= county.step()


def test_what_is_compared_with_a_touched_period_is_touched(tmp_path: Path, exports: Path) -> None:
    """The comparison can fail: without them a place keeps the change since what the period before was."""
    project = tmp_path / "dbt_project"
    shutil.copytree(DBT_PROJECT, project)
    model = project / "models" / "scoring" / "touched_periods.sql"
    content = model.read_text(encoding="utf-8")
    naive = content.replace("where previous_period_code in (select own.period_code from own)", "where false")
    assert naive != content
    model.write_text(naive, encoding="utf-8")
    county = County(tmp_path, exports, project)
    county.deliver(*MONTHS[:3])
    county.publish(county.build())
    county.correct("2022-02", "2022-05-20 11:00:00")
    with pytest.raises(AssertionError, match="rank_explanations"):
        county.step()
