"""Eight monthly files whose times change their spelling on the way, without keys: every request once, in its month."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from tests.counties.conftest import run_county, served

PERIODS = ["2014-01", "2014-03", "2014-08", "2014-01--2014-06"]


@pytest.fixture(scope="module")
def exports(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ottawa")
    with tarfile.open(real_data / "ottawa_311_2014.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "ottawa_311_2014"


@pytest.fixture(scope="module")
def marts(exports: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    home = tmp_path_factory.mktemp("home")
    done = run_county("ottawa", exports, home, *PERIODS)
    assert done.returncode == 0, done.stdout + done.stderr
    with served(home) as connection:
        yield connection


@pytest.fixture(scope="module")
def by_hand(exports: Path) -> pd.DataFrame:
    """One row a request, with its month: rows of January that the August file repeats are one request."""
    files = [pd.read_csv(path, dtype=str, keep_default_na=False) for path in sorted(exports.glob("*.csv"))]
    assert sum(map(len, files)) == 127_188
    for rows in files:
        cells = rows.apply(lambda column: column.str.strip())
        rows["nth"] = cells.groupby(list(cells.columns)).cumcount()
        rows[list(cells.columns)] = cells
    requests = pd.concat(files).drop_duplicates()
    spelled = requests.creation_date.str.contains("/")
    moments = pd.concat(
        [
            pd.to_datetime(requests.creation_date[spelled], format="%m/%d/%Y %H:%M"),
            pd.to_datetime(requests.creation_date[~spelled], format="%Y-%b-%d %H:%M:%S"),
        ]
    )
    months = pd.concat([spelled[spelled], spelled[~spelled]]).index
    assert len(months) == len(moments)
    requests = pd.concat([requests[spelled], requests[~spelled]])
    return requests.assign(month=moments.dt.strftime("%Y-%m").to_numpy(), ward=requests.ward.str.upper())


def test_every_request_counts_once_in_its_own_month(marts: duckdb.DuckDBPyConnection, by_hand: pd.DataFrame) -> None:
    found = marts.execute("select called_month, count(*) from core.fct_tickets group by 1").fetchall()
    assert dict(found) == by_hand.month.value_counts().to_dict()
    assert dict(found)["2014-01"] == 16_780
    accounts = marts.execute("select sum(rows_in), sum(rows_loaded) from audit.deliveries").fetchone()
    assert accounts == (2 * 127_188, 2 * 127_188)


def test_wards_in_any_case_of_letters_are_one_unit_and_mistyped_ones_are_not_guessed(
    marts: duckdb.DuckDBPyConnection, by_hand: pd.DataFrame
) -> None:
    found = marts.execute(
        "select unit_name, count(*) from core.fct_ticket_dispatches join core.dim_unit using (unit_code) "
        "where unit_code <> 'UNMAPPED' group by 1"
    ).fetchall()
    wards = by_hand.ward[by_hand.ward.str.fullmatch(r"WARD \d+")]
    assert dict(found) == wards.value_counts().to_dict()
    assert len(found) == 23
    unmapped = marts.execute("select sum(rows_unmapped) from audit.unmapped_units").fetchone()
    assert unmapped is not None
    known = marts.execute("select count(*) from core.fct_ticket_dispatches where unit_code = 'UNMAPPED'").fetchone()
    assert known == (len(by_hand) - len(wards),)


def test_without_outcomes_nothing_is_ranked(marts: duckdb.DuckDBPyConnection) -> None:
    found = marts.execute("select distinct null_reason from marts.unit_rankings where area = 'hotline'").fetchall()
    assert found == [("insufficient_coverage",)]
    assert marts.execute("select count(rank) from marts.unit_rankings").fetchone() == (0,)
    volumes = marts.execute(
        "select sum(numerator) from marts.unit_metrics where metric = 'dispatched' and period_code = '2014-03'"
    ).fetchone()
    assert volumes is not None and 12_000 < volumes[0] < 12_804
