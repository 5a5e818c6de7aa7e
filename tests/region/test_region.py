"""Many counties in one warehouse: each gets what it gets alone, none holds another up, and all are ranked together."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd
import pytest
from click.testing import CliRunner

import publishing
from ingestion import landing, load
from ingestion.cli import deliveries_at
from ingestion.contracts import SYSTEMS
from ingestion.home import Home
from ingestion.transports import connect
from publishing import releases
from region import warehouse
from region.cli import main
from region.county import at_home
from region.run import last_run
from tests.reference_calc import calculate
from tests.reference_calc.units import UnitNames
from tests.region.conftest import BING, DING, FIRST, JIA, PHONE, SECOND, YI, Story
from tests.region.reference import counties


def ask(folder: Home | Path, sql: str) -> pd.DataFrame:
    path = folder.current / "warehouse.duckdb" if isinstance(folder, Home) else folder
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).df()


def test_garbage_of_one_county_holds_nobody_up(story: Story) -> None:
    first, second = story.reports
    assert not first.failed and first.counties[DING].releases == [f"{FIRST}-r1"]
    garbage = second.counties[DING]
    assert garbage.state == "failed" and not garbage.is_transient
    assert len([reason for reason in garbage.reasons if "DeliveryRefused" in reason]) == 10
    for code in (BING, YI):
        assert second.counties[code].releases == [f"{FIRST}-r1", f"{SECOND}-r1"]
    assert second.region.state == "published"
    # 丁 goes on serving what it had.
    assert story.served[0][DING] == story.served[1][DING] == story.served[2][DING] == 1


def test_a_killed_process_takes_one_county_with_it(story: Story) -> None:
    killed = story.reports[1].counties[JIA]
    assert killed.reasons == ["its process was ended by SIGKILL"]
    assert killed.is_transient and story.served[1][JIA] == 1
    # Run again, it is published; late rows of the first month had come with the second.
    done = last_run(story.region)["counties"]
    assert done[JIA]["releases"] == [f"{FIRST}-r2", f"{SECOND}-r1"] and story.served[2][JIA] == 2
    # Only what was left was done.
    assert {done[code]["state"] for code in (BING, YI)} == {"unchanged"}
    assert {code: story.served[2][code] for code in (BING, YI)} == {BING: 1, YI: 1}
    assert last_run(story.region)["region"]["releases"] == [f"{FIRST}-r3", f"{SECOND}-r2"]


def test_the_command_says_what_is_left(story: Story) -> None:
    ran, root = story.again, story.region.root
    assert ran and ran.exit_code == 2, ran and ran.output
    assert "3 of 4 counties complete" in ran.output and "丁县: failed 未完成" in ran.output
    told = CliRunner().invoke(main, ["status", "--region", str(root)])
    assert told.exit_code == 0 and "DeliveryRefused" in told.output and "release 3" in told.output
    kept = (root / "records" / "last_run.json").read_text("utf-8")
    assert PHONE not in kept + ran.output + told.output
    assert "【电话】" in kept


def test_a_county_that_serves_all_of_it_already_is_not_built_again(story: Story) -> None:
    builds = {
        county.code: [run.name for run in story.region.home_of(county).runs.iterdir() if run.name[0] != "."]
        for county in story.region.counties
    }
    assert {code: len(found) for code, found in builds.items() if code in (YI, BING)} == {YI: 1, BING: 1}, builds
    told = CliRunner().invoke(main, ["status", "--region", str(story.region.root)]).output
    for code in (YI, BING):
        assert SECOND in next(line for line in told.splitlines() if code in line).split(), told


def test_nothing_new_of_the_counties_is_nothing_new_of_the_region(story: Story) -> None:
    before = releases.numbers(story.region.home)
    with at_home(story.region, None):
        served, new, problems = warehouse.publish(story.region)
    assert (new, problems) == (None, []) and served and served.number == 3
    assert releases.numbers(story.region.home) == before == [1, 2, 3]


@pytest.fixture(scope="session")
def alone(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """乙 by itself: an ordinary home, the ordinary steps, its profile."""
    home = Home(tmp_path_factory.mktemp("alone"))
    county = story.region.chosen((YI,))[0]
    with at_home(story.region, county), pytest.MonkeyPatch.context() as patch:
        patch.setenv("TONGBAO_HOME", str(home.root))
        source = connect((story.exports / YI).as_uri())
        for system, names in SYSTEMS.items():
            for dataset, month in deliveries_at(source, list(names), ()):
                landing.pull(home, source, system, dataset, month)
                load.load(home, dataset, month)
        publishing.run(home, [FIRST, SECOND], "alone")
    return home


def by_dbt(story: Story, code: str) -> bool:
    """Whether dbt itself made the county's newest build, and not what it had done for another."""
    runs = story.region.home_of(story.region.chosen((code,))[0]).runs
    return (max(each for each in runs.iterdir() if not each.name.startswith(".")) / "dbt").is_dir()


def test_a_county_gets_what_it_gets_alone(story: Story, alone: Home) -> None:
    assert [by_dbt(story, code) for code in (BING, YI)] == [True, False]
    digests = "SELECT period_code, content_digest FROM marts.releases ORDER BY ALL"
    in_region = story.region.home_of(story.region.chosen((YI,))[0])
    assert ask(alone, digests).equals(ask(in_region, digests))
    assert ask(alone, digests)["period_code"].to_list() == [FIRST, SECOND]
    for table in ("unit_metrics", "unit_scores", "unit_rankings", "period_totals"):
        rows = f"SELECT * FROM marts.{table} ORDER BY ALL"
        expected = ask(alone, rows)
        assert expected.equals(ask(in_region, rows))
        # The same rows, under its code, in the region's file: nothing of it is lost there, nothing of others in it.
        there = ask(story.region.home, f"SELECT * FROM counties.{table} WHERE county_code = '{YI}'")
        there = there.drop(columns=["county_code", "unit_key"], errors="ignore")
        assert there.sort_values(list(there), ignore_index=True).equals(
            expected[list(there)].sort_values(list(there), ignore_index=True)
        )


def test_a_code_of_two_counties_is_two_units(story: Story) -> None:
    found = ask(
        story.region.home,
        "SELECT county_code, unit_key FROM counties.unit_rankings "
        f"WHERE unit_code IN ('U01', 'K01') AND area = 'overall' AND period_code = '{SECOND}' ORDER BY ALL",
    )
    assert found["unit_key"].to_list() == [f"{JIA}/U01", f"{YI}/K01", f"{BING}/U01"]
    keys = ask(
        story.region.home,
        "SELECT count(*) AS n, count(DISTINCT (unit_key, period_code, area)) AS keys FROM counties.unit_rankings",
    )
    assert keys["n"].item() == keys["keys"].item() > 0
    unranked = ask(story.region.home, "SELECT unit_key FROM counties.units WHERE unit_code = 'U05' AND NOT ranked")
    assert unranked["unit_key"].to_list() == [f"{YI}/U05"]


def test_a_county_without_a_release_is_not_delivered_and_never_nothing(story: Story) -> None:
    rows = ask(
        story.region.home,
        f"SELECT area, score, rank, null_reason FROM marts.unit_rankings WHERE unit_code = '{DING}' "
        f"AND period_code = '{SECOND}'",
    )
    assert len(rows) == 7 and set(rows["null_reason"]) == {"not_delivered"}
    assert rows["score"].isna().all() and rows["rank"].isna().all()
    figures = ask(
        story.region.home,
        f"SELECT count(*) AS n, count(numerator) + count(value) + count(points) AS said FROM marts.unit_metrics "
        f"WHERE unit_code = '{DING}' AND period_code = '{SECOND}'",
    )
    assert figures["n"].item() > 30 and figures["said"].item() == 0
    # What it released before counts where it was released.
    earlier = ask(
        story.region.home,
        f"SELECT rank FROM marts.unit_rankings WHERE unit_code = '{DING}' AND period_code = '{FIRST}' "
        "AND area = 'overall'",
    )
    assert earlier["rank"].notna().all()
    table = (story.region.home.current / "tables" / SECOND / "overall.csv").read_text("utf-8-sig")
    assert "丁县" in table and "数据未报送" in table


def test_the_counties_are_ranked_as_by_a_second_calculation(story: Story) -> None:
    results = {}
    for code in (JIA, YI, BING, DING):
        seeds = story.region.root / "yi" / "seeds" if code == YI else None
        own = (seeds / "units.csv", seeds / "unit_aliases.csv") if seeds else (None, None)
        months = [FIRST] if code == DING else [FIRST, SECOND]
        results[code] = calculate(story.exports / code, months, units=own[0], aliases=own[1]), UnitNames(*own)
    earlier = None
    for period, codes in ((FIRST, (JIA, YI, BING, DING)), (SECOND, (JIA, YI, BING))):
        metrics, scored, ranked = counties({code: results[code] for code in codes}, period, earlier)
        earlier = ranked
        names = ", ".join(repr(code) for code in codes)
        where = f"WHERE period_code = '{period}' AND unit_code IN ({names})"
        _agree(story, "unit_metrics", where, metrics, ["metric"], ["numerator", "denominator", "adjusted", "points"])
        _agree(story, "unit_scores", where, scored, [], ["score", "score_sd", "coverage"])
        _agree(story, "unit_rankings", where, ranked, [], ["score", "rank", "rank_best", "rank_worst", "rank_change"])
        _agree(story, "unit_rankings", where, ranked, [], [], ["list", "null_reason"])
        assert ranked["score"].notna().sum() > 4 * len(codes)
    assert ranked["rank_change"].notna().any()


def _agree(
    story: Story,
    table: str,
    where: str,
    expected: pd.DataFrame,
    key: list[str],
    numbers: list[str],
    texts: list[str] | None = None,
) -> None:
    key = ["unit_code", "area", *key]
    found = ask(story.region.home, f"SELECT * FROM marts.{table} {where}").set_index(key).sort_index()
    expected = expected.set_index(key).sort_index()
    assert list(found.index) == list(expected.index)
    for name in numbers:
        ours, theirs = found[name].astype("float64"), expected[name].astype("float64")
        pd.testing.assert_series_equal(ours, theirs, rtol=1e-9, atol=1e-9, check_names=False)
    for name in texts or []:
        said = [None if pd.isna(value) else value for value in expected[name]]
        assert [None if pd.isna(value) else value for value in found[name]] == said


def test_a_countys_sums_are_its_published_totals(story: Story) -> None:
    both = ask(
        story.region.home,
        "SELECT count(*) AS n, count(*) FILTER (m.numerator IS DISTINCT FROM t.numerator "
        "OR m.denominator IS DISTINCT FROM t.denominator) AS differ FROM marts.unit_metrics AS m "
        "JOIN counties.period_totals AS t ON t.county_code = m.unit_code AND t.period_code = m.period_code "
        "AND t.area = m.area AND t.figure = m.metric WHERE m.metric <> 'dispatched'",
    )
    assert both["n"].item() > 150 and both["differ"].item() == 0


def test_a_damaged_release_of_one_county_leaves_the_others_ranked(story: Story, tmp_path: Path) -> None:
    """The region publishes over the whole releases and names the one it cannot use; with it mended, nothing is new."""
    county = story.region.chosen((JIA,))[0]
    served = releases.served(story.region.home_of(county))
    assert served
    whole = served.warehouse.read_bytes()
    served.warehouse.chmod(0o644)
    served.warehouse.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    try:
        found, problems = warehouse.contributions(story.region)
    finally:
        served.warehouse.write_bytes(whole)
    assert [each.county.code for each in found] == [BING, YI, DING]
    assert len(problems) == 1 and problems[0].startswith(f"{JIA} 甲县: warehouse.duckdb of release")
    assert len(warehouse.contributions(story.region)[0]) == 4
