"""A build that takes facts over from an earlier one gives what a full build gives, row for row, whatever came between.

Every step of a sequence is built twice in the same home, once as the monthly run builds and once in full, and every
relation of the two files is compared. Rows are those of ``tests.reference_calc.hostile``: times at every edge, names
that change their unit, keys that come back corrected, deleted, revived and tied.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

import publishing
from ingestion import landing, load
from ingestion.home import Home
from ingestion.transports import connect
from publishing import kept
from publishing.build import read_state
from publishing.dbt_run import DBT_PROJECT, dbt_build
from tests.reference_calc.calendar_ import MonthOfYear
from tests.reference_calc.fixtures import write_csv
from tests.reference_calc.hostile import Hostile

#: What the kept relations are made of and what reads them first; the tests of this project that look at them; the
#: rules, which every build has.
FACTS = ["+rank_explanations", "+reconciliation", "rows_are_reconciled", "resource_type:seed"]
#: Seconds and names of the run: all else has to agree.
OF_THE_RUN = {"released_at", "reason"}
DAY = dt.timedelta(days=1)


class County:
    """A home, and deliveries of the platform to it, in which later rows contradict earlier ones."""

    parsed: Path | None = None
    project = DBT_PROJECT

    def __init__(self, root: Path, seed: int) -> None:
        self.home, self.exports = Home(root / "home"), root / "exports"
        self.maker, self.random, self.runs, self.files = Hostile(seed), np.random.default_rng(seed), 0, 0
        if County.parsed:  # reading the project takes dbt longer than building the facts
            shutil.copytree(County.parsed, self.home.runs / ".dbt")

    def deliver(self, dataset: str, month: str, rows: list[dict[str, Any]], file: str = "") -> None:
        """One file of the dataset's month, pulled and loaded; a name that was delivered before is sent again."""
        self.files += 1
        folder = self.exports / "platform" / dataset / month
        shutil.rmtree(folder, ignore_errors=True)
        write_csv(folder / (file or f"{self.files}.csv"), dataset, rows)
        source = connect(f"{self.exports.as_uri()}?min_age=0")  # what was written here is whole
        landing.pull(self.home, source, "platform", dataset, month)
        load.load(self.home, dataset, month)

    def cases(self, month: str, numbers: list[int], at: str, **cells: Any) -> list[dict[str, Any]]:
        """Cases of these numbers as of a day, with events in the month."""
        self.maker.month = MonthOfYear.parse(month)
        moment = dt.datetime.fromisoformat(at)
        return [self.maker.platform_cases(n) | {"更新时间": moment} | cells for n in numbers]

    def reviews(self, month: str, numbers: list[int], at: str, **cells: Any) -> list[dict[str, Any]]:
        self.maker.month = MonthOfYear.parse(month)
        moment = dt.datetime.fromisoformat(at)
        return [
            self.maker.platform_reviews(n)
            | {"更新时间": moment, "办件编号": f"C{int(self.random.integers(60))}"}
            | cells
            for n in numbers
        ]

    def build(self, *, full: bool | None = None) -> Path:
        """A build that counts as audited: only such a one is ever taken over."""
        self.runs += 1
        run_id = f"run-{self.runs}{'-full' if full else ''}"
        warehouse = publishing.build(self.home, ["2022-07"], run_id, full=full, project=self.project)
        state = read_state(warehouse.parent)
        (warehouse.parent / kept.AUDIT_FILE).write_text(json.dumps({"warehouse_sha256": state["warehouse_sha256"]}))
        County.parsed = self.home.runs / ".dbt"
        return warehouse

    def months(self, warehouse: Path) -> dict[str, int]:
        return read_state(warehouse.parent)["months"]

    def check(self, *, kept_any: bool = True) -> dict[str, int]:
        """Builds twice and compares; returns how many months were computed and kept."""
        incremental = self.build()
        full = self.build(full=True)
        assert not read_state(full.parent)["taken_over"]
        assert differences(incremental, full) == []
        # The next build takes over the incremental one, so that what is wrong would go on growing.
        shutil.rmtree(full.parent)
        assert read_state(incremental.parent)["taken_over"] == kept_any
        return self.months(incremental)


def differences(one: Path, other: Path) -> list[str]:
    """Relations of the models whose rows differ in the two files; floating point to 9 decimals, as digests take it."""
    found = []
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{one}' AS one (READ_ONLY); ATTACH '{other}' AS other (READ_ONLY)")
        columns: dict[tuple[str, str], dict[str, list[str]]] = {}
        for base, schema, table, column, kind in connection.execute(
            "SELECT database_name, schema_name, table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE database_name IN ('one', 'other') AND NOT internal AND schema_name NOT IN ('staged', 'staging') "
            "AND NOT starts_with(table_name, 'touched_') ORDER BY ALL"
        ).fetchall():
            if column not in OF_THE_RUN:
                text = f'round("{column}", 9)' if kind == "DOUBLE" else f'"{column}"'
                columns.setdefault((schema, table), {}).setdefault(base, []).append(text)
        assert {"fct_cases", "fct_case_reviews", "platform_unit_months"} <= {table for _, table in columns}
        for (schema, table), by_base in columns.items():
            if by_base.get("one") != by_base.get("other"):
                found.append(f"{schema}.{table}: columns")
                continue
            first, second = (
                f"SELECT {', '.join(by_base['one'])} FROM {base}.{schema}.{table}" for base in ("one", "other")
            )
            rows = connection.execute(
                f"SELECT count(*) FROM (({first} EXCEPT ALL {second}) UNION ALL ({second} EXCEPT ALL {first}))"
            ).fetchone()
            if rows and rows[0]:
                found.append(f"{schema}.{table}: {rows[0]} rows")
    return found


@pytest.fixture
def facts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds the facts of the platform, their unit-months and the reconciliation, and leaves out what reads on."""
    monkeypatch.setattr(sys.modules["publishing.build"], "dbt_build", partial(dbt_build, select=FACTS))


@pytest.fixture
def county(tmp_path: Path, facts_only: None) -> County:
    """Two months of the platform, built."""
    made = County(tmp_path, seed=7)
    made.deliver("platform_cases", "2022-05", made.cases("2022-05", list(range(30)), "2022-06-03"))
    made.deliver("platform_reviews", "2022-05", made.reviews("2022-05", list(range(40)), "2022-06-03"))
    made.deliver("platform_cases", "2022-06", made.cases("2022-06", list(range(30, 60)), "2022-07-03"))
    made.deliver("platform_reviews", "2022-06", made.reviews("2022-06", list(range(40, 80)), "2022-07-03"))
    made.build()
    return made


@pytest.mark.usefixtures("facts_only")
def test_a_sequence_of_hostile_months(county: County) -> None:
    say = county.deliver
    # Nothing new: nothing is computed.
    assert county.check()["computed"] == 0
    # Late corrections of the first month, in a file of the third; some older than what is known, some as old.
    say("platform_cases", "2022-07", county.cases("2022-05", [0, 1, 2], "2022-07-30"))
    county.check()
    say(
        "platform_cases",
        "2022-07",
        county.cases("2022-06", [3, 4], "2022-06-01") + county.cases("2022-05", [5], "2022-06-03"),
    )
    county.check()
    # Deletions, one older than the row that it names, and of keys that nobody knows.
    gone = county.cases("2022-05", [0, 6, 7, 900], "2022-08-01", 同步类型="D")
    say("platform_cases", "2022-07", gone + county.cases("2022-05", [8], "2020-01-01", 同步类型="D"))
    say("platform_reviews", "2022-07", county.reviews("2022-05", [0, 1, 41], "2022-08-01", 同步类型="D"))
    county.check()
    # Back again; a review that moves to another case; a case that becomes void under its reviews.
    say("platform_cases", "2022-07", county.cases("2022-07", [0, 6], "2022-08-02", 同步类型="U"))
    say("platform_reviews", "2022-07", county.reviews("2022-06", [42, 43, 44, 45], "2022-08-02", 办件编号="C9"))
    say("platform_cases", "2022-08", county.cases("2022-06", [9, 31], "2022-08-03", 办结结果="作废"))
    county.check()
    # Reviews before their case; another first review of a case whose reviews are old.
    say("platform_reviews", "2022-08", county.reviews("2022-08", [200, 201, 202], "2022-09-01", 办件编号="C300"))
    say("platform_reviews", "2022-08", county.reviews("2022-05", [203], "2022-09-01", 办件编号="C10", 评价次序=1))
    county.check()
    say("platform_cases", "2022-08", county.cases("2022-08", [300], "2022-09-02"))
    county.check()
    # A file sent again without half of its rows, and a month before all others.
    say("platform_cases", "2022-09", county.cases("2022-09", [400, 401, 402, 403], "2022-10-01"), "again.csv")
    county.check()
    say("platform_cases", "2022-09", county.cases("2022-09", [402, 403], "2022-10-02"), "again.csv")
    say("platform_cases", "2022-01", county.cases("2022-01", [500, 501], "2022-02-03"))
    county.check()
    # A month without rows moves the cut-off: open cases become late though no row of theirs has come.
    cells = {"办结时间": "", "办结结果": "", "承诺时限": 30, "办件类型": "承诺件", "特别程序天数": ""}
    open_cases = county.cases("2022-09", [600, 601], "2022-10-05", **cells)
    say("platform_cases", "2022-09", open_cases)
    before = county.build()
    say("platform_cases", "2023-03", [])
    county.check()
    assert late(before) == 0 < late(county.build())


def late(warehouse: Path) -> int:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM core.fct_cases WHERE is_overdue AND case_no IN ('C600', 'C601')"
        ).fetchone()
    return int(row[0]) if row else 0


@pytest.mark.usefixtures("facts_only")
@pytest.mark.parametrize("seed", [1, 2])
def test_random_deliveries(tmp_path: Path, seed: int) -> None:
    county = County(tmp_path, seed)
    pick = county.random.integers
    months = [f"2022-{month:02}" for month in range(1, 9)]
    for step in range(3):
        for _ in range(3):
            of, about = months[pick(len(months))], months[pick(len(months))]
            day = (dt.date(2022, 3, 1) + int(pick(200)) * DAY).isoformat()
            sync = {"同步类型": ["", "", "U", "D"][pick(4)]}
            numbers = sorted({int(pick(60)) for _ in range(15)})
            county.deliver("platform_cases", of, county.cases(about, numbers, day, **sync))
            county.deliver("platform_reviews", of, county.reviews(about, numbers, day, **sync))
        if step == 0:
            county.build()
        else:
            county.check()


@pytest.mark.usefixtures("facts_only")
def test_what_is_left_out_of_the_touched_keys_is_found(county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail: without the other reviews of a case, its first review stays what it was."""
    cases, *_, months = kept._TOUCHED
    naive = "CREATE TABLE staged.touched_reviews AS SELECT DISTINCT _key AS review_no FROM staged.new_platform_reviews"
    alone = "CREATE TEMP TABLE _cases AS SELECT case_no FROM staged.touched_cases"
    first = {"办件编号": "C10", "评价次序": 1}
    earliest = county.reviews("2022-05", [900], "2022-09-01", **first, 评价时间="2022-05-01 00:00:00")
    county.deliver("platform_reviews", "2022-08", county.reviews("2022-07", [901], "2022-08-30", **first))
    county.check()
    monkeypatch.setattr(kept, "_TOUCHED", (cases, alone, naive, months))
    county.deliver("platform_reviews", "2022-09", earliest)
    with pytest.raises(AssertionError, match="fct_case_reviews"):
        county.check()


@pytest.mark.usefixtures("facts_only")
def test_a_damaged_or_unaudited_file_is_never_taken_over(county: County, caplog: pytest.LogCaptureFixture) -> None:
    (run,) = [path.parent for path in county.home.runs.glob("*/build.json")]
    county.deliver("platform_cases", "2022-07", county.cases("2022-07", [0, 70], "2022-08-02"))
    audited = (run / kept.AUDIT_FILE).read_text()
    (run / kept.AUDIT_FILE).unlink()
    unaudited = county.build()
    assert not read_state(unaudited.parent)["taken_over"]
    shutil.rmtree(unaudited.parent)
    (run / kept.AUDIT_FILE).write_text(audited)
    content = bytearray((run / "warehouse.duckdb").read_bytes())
    content[len(content) // 2] ^= 1
    (run / "warehouse.duckdb").write_bytes(content)
    county.check(kept_any=False)
    assert "damaged on disk" in caplog.text


@pytest.mark.usefixtures("facts_only")
def test_another_alias_is_computed_whole(county: County, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = tmp_path / "seeds"
    shutil.copytree(DBT_PROJECT / "seeds", seeds)
    with (seeds / "unit_aliases.csv").open("a", encoding="utf-8") as file:
        file.write("某某局,U01,,\n")
    monkeypatch.setenv("TONGBAO_SEEDS", str(seeds))
    county.check(kept_any=False)
    county.deliver("platform_cases", "2022-07", county.cases("2022-07", [1, 71], "2022-08-02"))
    county.check()


@pytest.mark.usefixtures("facts_only")
def test_a_metric_that_knows_nothing_of_what_is_kept(county: County, tmp_path: Path) -> None:
    """As somebody adds it: it computes every month. What nothing touched is not written a second time."""
    county.project = tmp_path / "dbt_project"
    shutil.copytree(DBT_PROJECT, county.project)
    model = county.project / "models" / "metrics" / "platform_unit_months.sql"
    content = model.read_text(encoding="utf-8")
    careless = re.sub(r"\{\{ is_touched\([^}]*\) \}\}", "true", content)
    assert careless != content
    model.write_text(careless, encoding="utf-8")
    county.check(kept_any=False)
    county.deliver("platform_cases", "2022-07", county.cases("2022-06", [3, 34], "2022-08-02"))
    assert county.check()["kept"] > 0


def test_scores_and_marts_are_the_same(county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole project on facts that were kept, with its tests."""
    county.deliver("platform_cases", "2022-07", county.cases("2022-06", [2, 33, 72], "2022-08-02"))
    county.deliver("platform_reviews", "2022-07", county.reviews("2022-07", [3, 50, 90], "2022-08-02"))
    monkeypatch.undo()
    county.check()
