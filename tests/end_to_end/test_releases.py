"""Running again, correcting, rebuilding: what a release promises, on a county small enough to run in seconds."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import openpyxl
import pytest

from ingestion import load
from ingestion.home import Home
from tests.end_to_end.conftest import generate, ingest, release

PERIODS = ["2022-07"]


@pytest.fixture
def county(tmp_path: Path) -> tuple[Home, Path]:
    arguments = ["--months", "2022-06..2022-07", "--factor", "0.05", "--seed", "7", "--plain"]
    exports = generate(tmp_path / "exports", *arguments)
    home = Home(tmp_path / "home")
    ingest(home, exports)
    return home, exports


def query(home: Home, sql: str, *parameters: object) -> list[tuple]:
    with duckdb.connect(str(home.current / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql, list(parameters)).fetchall()


def digests(home: Home) -> list[tuple]:
    return query(home, "select release, content_digest from marts.releases order by release")


def correct_a_submission(exports: Path) -> str:
    """A late correction in the July delivery: an adopted piece turns out returned. Returns its unit."""
    path = next((exports / "cms" / "cms_submissions" / "2022-07").glob("*.xlsx"))
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    header = next(row for row in sheet.iter_rows() if any(cell.value == "报送编号" for cell in row))
    column = {cell.value: cell.column for cell in header}
    for row in range(header[0].row + 1, sheet.max_row + 1):
        cells = {name: sheet.cell(row, at) for name, at in column.items()}
        if cells["审核状态"].value == "采用" and str(cells["报送时间"].value).startswith("2022-07"):
            cells["审核状态"].value = "退回"
            cells["更新时间"].value = "2022-08-04 09:00:00"
            book.save(path)
            return str(cells["报送单位"].value)
    raise AssertionError("no adopted piece to correct")


@pytest.mark.slow
def test_again_corrected_and_rebuilt(county: tuple[Home, Path]) -> None:
    home, exports = county
    first = release(home, PERIODS, "one")
    assert first.releases == ["2022-07-r1"]
    served = home.current.resolve()
    before = digests(home)

    # Again on unchanged input, pulled again too: nothing new, the same digest, the same folder served.
    ingest(home, exports)
    again = release(home, PERIODS, "two")
    assert again.releases == []
    assert again.unchanged
    assert home.current.resolve() == served
    assert digests(home) == before

    # A late correction: revision 2, with the difference that it made; revision 1 still readable.
    unit = correct_a_submission(exports)
    ingest(home, exports)
    second = release(home, PERIODS, "three", "更正一篇报送")
    assert second.releases == ["2022-07-r2"]
    differences = query(
        home,
        "select unit_name, area, old_score, new_score, top_metric from marts.release_differences "
        "where release = '2022-07-r2' and area in ('reform', 'governance')",
    )
    moved = [row for row in differences if row[0].endswith(unit) or unit.endswith(row[0])]
    assert [row[1] for row in moved] in (["reform"], ["governance"])
    assert moved[0][2] != moved[0][3]
    assert moved[0][4] in ("adoption_rate", "returned_rate", "on_time_rate")
    assert query(home, "select distinct release from marts.unit_rankings") == [("2022-07-r2",)]
    assert query(home, "select count(*) from history.unit_rankings where release = '2022-07-r1'")[0][0] > 0
    assert query(home, "select reason from marts.releases where release = '2022-07-r2'") == [("更正一篇报送",)]

    # Everything but the landed files is lost: the same figures, digest for digest.
    expected = dict(digests(home))["2022-07-r2"]
    for folder in (home.staged, home.quarantine, home.runs, home.published):
        shutil.rmtree(folder, ignore_errors=True)
    load.rebuild(home)
    release(home, PERIODS, "four")
    assert digests(home) == [("2022-07-r1", expected)]
