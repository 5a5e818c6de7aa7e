"""What a reader would check by hand: the published figures of Pingshan against its file, counted with pandas."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from tests.counties.conftest import run_county, served

FILE = "hotline_pingshan_2018.csv"
YEAR = "2018-01--2018-12"
PERIODS = ["2018-09", "2018-10", YEAR]


@pytest.fixture(scope="module")
def home(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pingshan")
    done = run_county("pingshan", real_data, root, *PERIODS)
    assert done.returncode == 0, done.stdout + done.stderr
    return root


@pytest.fixture(scope="module")
def marts(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with served(home) as connection:
        yield connection


@pytest.fixture(scope="module")
def by_hand(real_data: Path) -> pd.DataFrame:
    """period × unit id: requests, closed in time, closed at all; straight from the file."""
    rows = pd.read_csv(real_data / FILE, dtype=str, keep_default_na=False)
    rows["intime"] = (rows.INTIME_ARCHIVE_NUM == "1").astype(int)
    rows["closed"] = rows["intime"] + (rows.OVERTIME_ARCHIVE_NUM == "1").astype(int)
    months = rows.assign(period=rows.CREATE_TIME.str[:7])
    both = pd.concat([months, rows.assign(period=YEAR)])
    grouped = both[both.DISPOSE_UNIT_ID != "-"].groupby(["period", "DISPOSE_UNIT_ID"])
    return grouped.agg(requests=("REC_ID", "size"), intime=("intime", "sum"), closed=("closed", "sum")).reset_index()


@pytest.mark.parametrize("period", PERIODS)
def test_totals_and_on_time_shares_of_each_unit_are_the_files(
    marts: duckdb.DuckDBPyConnection, by_hand: pd.DataFrame, period: str
) -> None:
    published = marts.execute(
        """
        select unit_code, max(numerator) filter (where metric = 'dispatched') as requests,
            max(numerator) filter (where metric = 'close_on_time_rate') as intime,
            max(denominator) filter (where metric = 'close_on_time_rate') as closed,
            max(value) filter (where metric = 'close_on_time_rate') as share
        from marts.unit_metrics where area = 'hotline' and period_code = ? group by unit_code
        """,
        [period],
    ).df()
    # The command centre and the test unit are in the totals and in no ranking.
    wanted = by_hand[(by_hand.period == period) & ~by_hand.DISPOSE_UNIT_ID.isin(["9770", "686"])]
    joined = published.merge(
        wanted, how="outer", left_on="unit_code", right_on="DISPOSE_UNIT_ID", suffixes=("", "_file")
    )
    assert joined.unit_code.notna().all()
    assert len(published) == 118
    for figure in ("requests", "intime", "closed"):
        assert (joined[figure].astype(int) == joined[f"{figure}_file"].fillna(0).astype(int)).all(), figure
    seen = joined[joined.closed > 0]
    assert len(seen) > 40
    assert ((seen.share - seen.intime_file / seen.closed_file).abs() < 1e-12).all()


def test_the_county_total_is_every_row_of_the_file(marts: duckdb.DuckDBPyConnection) -> None:
    totals = dict(
        marts.execute("select figure, numerator from marts.period_totals where period_code = ?", [YEAR]).fetchall()
    )
    assert totals["tickets_received"] == totals["dispatched"] == 10_000
    assert totals["dispatched/unit=UNMAPPED"] == 22
    units = [count for figure, count in totals.items() if figure.startswith("dispatched/unit=")]
    assert (len(units), sum(units)) == (121, 10_000)
    # What the file does not hold is no figure, above all not a zero.
    assert not {"rework_rate", "urged_rate", "repeat_rate", "invalid_return_rate"} & set(totals)
    accounts = marts.execute(
        "select dataset, rows_in, rows_loaded, rows_quarantined from audit.deliveries order by dataset"
    ).fetchall()
    assert accounts == [("hotline_dispatches", 10_000, 10_000, 0), ("hotline_tickets", 10_000, 10_000, 0)]


def test_units_with_one_request_do_not_top_the_ranking(marts: duckdb.DuckDBPyConnection, by_hand: pd.DataFrame) -> None:
    ranks = marts.execute(
        "select period_code, unit_code, rank, null_reason from marts.unit_rankings where area = 'hotline'"
    ).df()
    joined = ranks.merge(by_hand, left_on=["period_code", "unit_code"], right_on=["period", "DISPOSE_UNIT_ID"])
    few = joined[joined.requests < 5]
    assert (few.requests == 1).sum() > 10
    # In the file they are at 100 %, most of them: a plain share would rank them first.
    assert (few[few.requests == 1].intime == 1).mean() > 0.5
    assert few["rank"].isna().all()
    assert set(few.null_reason) == {"insufficient_volume"}
    assert joined[joined.requests >= 5]["rank"].notna().all()


def test_units_with_several_names_are_one_unit(marts: duckdb.DuckDBPyConnection, real_data: Path) -> None:
    rows = pd.read_csv(real_data / FILE, dtype=str, keep_default_na=False)
    names = rows[rows.DISPOSE_UNIT_ID != "-"].groupby("DISPOSE_UNIT_ID").DISPOSE_UNIT_NAME.nunique()
    several = set(names[names > 1].index)
    assert len(several) == 35
    counts = dict(marts.execute("select unit_code, count(*) from core.fct_ticket_dispatches group by 1").fetchall())
    sizes = rows.DISPOSE_UNIT_ID.value_counts()
    assert {unit: counts[unit] for unit in several} == {unit: sizes[unit] for unit in several}
    assert marts.execute(
        "select count(*), count(distinct unit_name) from core.dim_unit where unit_code <> 'UNMAPPED'"
    ).fetchone() == (120, 120)


def test_what_the_file_cannot_support_is_null_with_its_reason(marts: duckdb.DuckDBPyConnection) -> None:
    areas = marts.execute(
        "select area, null_reason, count(score) from marts.unit_scores where area <> 'hotline' group by all"
    ).fetchall()
    assert {area: reason for area, reason, _ in areas} == {
        "overall": "insufficient_coverage",
        **dict.fromkeys(("website", "media", "reform", "governance", "platform"), "not_delivered"),
    }
    assert all(scores == 0 for _, _, scores in areas)
    metrics = marts.execute(
        "select distinct metric, null_reason, value is null from marts.unit_metrics "
        "where area = 'hotline' and metric not in ('close_on_time_rate', 'dispatched')"
    ).fetchall()
    assert set(metrics) == {
        ("sign_on_time_rate", "nothing_due", True),
        ("solved_rate", "no_activity", True),
        ("satisfied_rate", "no_activity", True),
        ("false_report_rate", "no_activity", True),
    }
    released = marts.execute("select distinct rule_set, revision from marts.releases").fetchall()
    assert released == [("pingshan-2018.1", 1)]


def test_running_again_publishes_nothing_new(home: Path, real_data: Path) -> None:
    done = run_county("pingshan", real_data, home, *PERIODS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "unchanged" in done.stdout
