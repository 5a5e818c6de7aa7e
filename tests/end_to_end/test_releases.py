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


def approve_an_exclusion(home: Home, exports: Path) -> tuple[str, str]:
    """A late file of July's 剔除审批: the request of a unit for a ticket that counts is approved. Returns both."""
    ((ticket, code, name),) = query(
        home,
        "select ticket_no, unit_code, unit_name from core.fct_ticket_dispatches join core.dim_unit using (unit_code) "
        "where is_counted and ranked and dispatched_month = '2022-07' and ticket_no not in "
        "(select ticket_no from core.fct_ticket_exclusions) order by ticket_no limit 1",
    )
    header = "工单编号,承办单位,剔除原因,申请时间,批准时间,批准人,审批结果,更新时间,同步类型"
    row = f"{ticket},{name},重复派单,2022-07-28 09:00:00,2022-08-20 10:00:00,李志强,同意,2022-08-20 10:00:00,I"
    other = f"{ticket}0,{name},电话13912345678说重复,2022-07-28 09:00:00,,,,2022-08-20 10:00:00,I"
    folder = exports / "hotline" / "hotline_exclusions" / "2022-07"
    (folder / "manifest.json").unlink()  # the list of the first delivery; a folder may come without one
    (folder / "剔除审批-补报.csv").write_text("\n".join([header, row, other]) + "\n", encoding="gb18030")
    return ticket, code


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

    # An exclusion approved after publication: revision 3 names it; the later revisions keep what was told.
    ticket, unit_code = approve_an_exclusion(home, exports)
    ingest(home, exports)
    third = release(home, PERIODS, "four")
    assert third.releases == ["2022-07-r3"]
    assert query(
        home,
        "select ticket_no, unit_code, ground, cast(approved_at as varchar), metrics_changed > 0 "
        "from marts.release_exclusions where release = '2022-07-r3'",
    ) == [(ticket, unit_code, "重复派单", "2022-08-20 10:00:00", True)]
    named = query(
        home,
        "select area, exclusions from marts.release_differences where release = '2022-07-r3' and unit_code = ?",
        unit_code,
    )
    assert all(count == (1 if area in ("hotline", "overall") else 0) for area, count in named)
    assert query(home, "select count(*) from marts.release_exclusions where release = '2022-07-r2'") == [(0,)]
    assert not any("139" in str(row) for row in query(home, "from marts.release_exclusions"))

    # Everything but the landed files is lost: the same figures, digest for digest.
    expected = dict(digests(home))["2022-07-r3"]
    for folder in (home.staged, home.quarantine, home.runs, home.published):
        shutil.rmtree(folder, ignore_errors=True)
    load.rebuild(home)
    release(home, PERIODS, "five")
    assert digests(home) == [("2022-07-r1", expected)]
