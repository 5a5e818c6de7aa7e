"""Periods that nothing new touches are taken over with their release, and all is as in a full build.

Every build of a sequence is made twice, as the monthly run makes it and in full; every relation of the two files is
compared, and every table and decision about small cells of the two publications, byte for byte.
"""

from __future__ import annotations

import datetime as dt
import re
import shutil
import sys
from pathlib import Path

import pytest

import publishing
from ingestion.home import Home
from publishing import kept, releases
from publishing.build import read_state
from publishing.dbt_run import DBT_PROJECT
from publishing.publish import WITHHELD_FILE
from tests.publishing.test_kept import County, differences
from tests.reference_calc.calendar_ import MonthOfYear
from tests.reference_calc.hostile import write_hostile
from tests.reference_calc.schema import DATASETS, SYSTEMS

MONTHS = ["2022-04", "2022-05", "2022-06"]
publish_module = sys.modules["publishing.publish"]


class Released(County):
    """All ten datasets; what is built is published."""

    periods = ("2022-04", "2022-05", "2022-06", "2022-04--2022-06", "2022-07")

    def pull(self, months: list[str]) -> None:
        for month in months:
            for system, datasets in SYSTEMS.items():
                for dataset in datasets:
                    self.take(system, dataset, month)

    def row(self, dataset: str, month: str, number: int, at: str, **cells: object) -> list[dict]:
        self.maker.month = MonthOfYear.parse(month)
        return [getattr(self.maker, dataset)(number) | {"更新时间": dt.datetime.fromisoformat(at)} | cells]

    def compare(self, *, files: bool = False) -> dict[str, int]:
        """Builds twice, and with ``files`` also publishes twice: the full build on a copy of the home.

        Returns how many periods the incremental build, which is published, computed and kept.
        """
        run, full = self.build(), self.build(full=True)
        assert differences(run, full) == []
        other = Home(self.home.root.with_name("copy"))
        if files:
            shutil.copytree(self.home.root, other.root, symlinks=True)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(publish_module, "_decided", lambda base: {})
                patch.setattr(publish_module, "_keep_tables", lambda *_: set())
                publishing.publish(other, full.parent.name)
        shutil.rmtree(full.parent)
        publishing.publish(self.home, run.parent.name)
        if files:
            assert printed(self.home) == printed(other)
            shutil.rmtree(other.root)
        periods: dict[str, int] = read_state(run.parent)["scored_periods"]
        return periods


def printed(home: Home) -> dict[str, str]:
    """The files of the served release that people read, and what is withheld of them, by their hashes."""
    served = releases.served(home)
    assert served is not None
    files = served.manifest["files"]
    names = [name for name in files if name.startswith("tables/") or name == WITHHELD_FILE]
    assert len(names) > 3 * 7
    return {name: files[name]["sha256"] for name in names}


@pytest.fixture
def county(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Released:
    """Three months of all systems, not built yet; at one moment, so that two builds print the same."""
    monkeypatch.setattr(releases, "beijing_now", lambda: dt.datetime.fromisoformat("2022-08-07"))
    made = Released(tmp_path, seed=5)
    write_hostile(made.exports, MONTHS, seed=5)
    made.pull(MONTHS)
    return made


def test_a_sequence_of_publications(county: Released) -> None:
    publishing.publish(county.home, county.build().parent.name)
    # A later month that lacks deliveries, and late rows of it: what it does not touch stays.
    county.deliver("platform_cases", "2022-07", county.cases("2022-07", [7000, 7001], "2022-08-01"))
    county.deliver("hotline_tickets", "2022-07", county.row("hotline_tickets", "2022-07", 7000, "2022-08-01"))
    periods = county.compare(files=True)
    assert periods["kept"] >= 4
    # An old month corrected in every system: a case that moves to another month, a deletion, a post, an approval.
    county.deliver("platform_cases", "2022-07", county.cases("2022-05", [0, 321], "2022-08-02"))
    county.deliver("platform_reviews", "2022-07", county.reviews("2022-05", [260], "2022-08-02", 同步类型="D"))
    county.deliver("cms_posts", "2022-07", county.row("cms_posts", "2022-05", 161, "2022-08-02"))
    county.deliver("hotline_tickets", "2022-07", county.row("hotline_tickets", "2022-06", 301, "2022-08-02"))
    county.compare(files=True)
    # An audit that failed, and a run that passed it and was not published: figures of periods are not theirs to give.
    county.deliver("platform_cases", "2022-07", county.cases("2022-06", [641, 642], "2022-08-03"))
    (county.build().parent / kept.AUDIT_FILE).unlink()
    county.build()
    county.deliver("hotline_calls", "2022-07", county.row("hotline_calls", "2022-07", 7, "2022-08-03"))
    periods = county.compare()
    assert periods["kept"] == 0
    # Back to an earlier release: the next build still continues the newest. A period becomes complete.
    publishing.rollback(county.home)
    for dataset in DATASETS:
        county.deliver(dataset, "2022-07", county.row(dataset, "2022-07", 9000, "2022-08-04"))
    county.compare()


def test_a_relation_that_is_not_compared_is_found(county: Released, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail: where calls are taken to be as they were, a period keeps what it was."""
    monkeypatch.setattr(publish_module, "write_tables", lambda *_: [])
    county.project = county.home.root.with_name("dbt_project")
    shutil.copytree(DBT_PROJECT, county.project)
    model = county.project / "models" / "scoring" / "touched_periods.sql"
    content = model.read_text(encoding="utf-8")
    careless = content.replace("'fct_calls_daily': ['month_code'],", "")
    assert careless != content
    model.write_text(careless, encoding="utf-8")
    publishing.publish(county.home, county.build().parent.name)
    county.deliver("hotline_calls", "2022-07", county.row("hotline_calls", "2022-05", 3, "2022-08-03"))
    with pytest.raises(AssertionError, match="county_totals"):
        county.compare()


#: What a period is made of that the digest of code and rules covers, or that is itself made of what is compared.
RULES = {"dim_area", "dim_metric", "dim_unit", "dim_date", "rule_sets", "demand_groups"}


def test_what_is_kept_is_declared_once_and_what_it_reads_is_compared() -> None:
    models = {path.stem: path.read_text(encoding="utf-8") for path in (DBT_PROJECT / "models").rglob("*.sql")}
    names = {"history": "{}_revisions"}
    declared = {
        names.get(schema, "{}").format(table): group
        for group, relations in kept.KEPT.items()
        for schema, _, table in (relation.partition(".") for relation in relations)
    }
    found = {
        name: match[1]
        for name, content in models.items()
        if (match := re.search(r"'kept': '(\w+)', 'touched'", content))
    }
    assert found == declared
    compared = {relation.partition(".")[2] for relation in kept.COMPARED}
    assert set(re.findall(r"ref\('(\w+)'\)", models["touched_periods"])) - {"rule_sets"} == compared - {"releases"}
    scoring = {name for name, group in declared.items() if group == "periods" and "touched_periods" in models[name]}
    reads = {read for name in scoring for read in re.findall(r"ref\('(\w+)'\)", models[name])}
    assert reads <= scoring | compared | RULES | {"touched_periods", "newest_releases"}
