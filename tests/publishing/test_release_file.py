"""The served file: facts that no new row touches stay in a copy of the one before; it holds what a new one would."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from publishing import release_file
from publishing.dictionary import dictionary
from publishing.release_file import write_release_file

ERASED = "C-erased-0000000000000000"


def run(path: Path, *, corrected: int, touched: str | None, erased: bool = False) -> Path:
    """A run's file: 3,000 cases and their reviews, of which those of number ``corrected`` say another channel."""
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"""
            CREATE SCHEMA core; CREATE SCHEMA marts; CREATE SCHEMA history; CREATE SCHEMA audit; CREATE SCHEMA staged;
            CREATE TABLE core.fct_cases AS
                SELECT 'C' || i AS case_no, CASE WHEN i = {corrected} THEN '掌上办' END AS channel,
                    TIMESTAMP '2022-05-01 08:00:00' + INTERVAL (i) MINUTE AS accepted_at, i % 3 = 0 AS is_counted
                FROM range(3000) AS t(i) WHERE i <> 8
                UNION ALL SELECT '{ERASED}', NULL, NULL, NULL WHERE NOT {erased};
            CREATE TABLE core.fct_case_reviews AS
                SELECT 'R' || i AS review_no, 'C' || i AS case_no, NULL::BIGINT AS level FROM range(2000) AS t(i);
            CREATE TABLE marts.releases AS SELECT '2022-05-r' || {corrected} AS release;
            CREATE TABLE history.unit_metrics AS
                SELECT '2022-05-r' || unnest(range({corrected} + 1)) AS release, 1.5 AS value;
            CREATE TABLE marts.unit_metrics AS SELECT '2022-05' AS period_code, '2022-05-r' || {corrected} AS release;
            CREATE TABLE marts.rank_explanations AS
                SELECT '2022-0' || i AS period_code, CASE WHEN i = 5 THEN {corrected} END AS score
                FROM range(4, 7) AS t(i);
            CREATE VIEW marts.county_months AS SELECT {corrected} AS value;
        """)
        if touched is not None:
            connection.execute("CREATE TABLE staged.touched_reviews AS SELECT NULL::VARCHAR AS review_no")
            connection.execute(f"CREATE TABLE staged.touched_cases AS SELECT unnest({touched}::VARCHAR[]) AS case_no")
            connection.execute(
                "CREATE SCHEMA scoring; CREATE TABLE scoring.touched_explanations AS SELECT '2022-05' AS period_code"
            )
            new = f"SELECT '2022-05-r' || i AS release FROM range(6, {corrected} + 1) AS t(i)"
            connection.execute(f"CREATE TABLE scoring.new_releases AS {new}")
    return path


def rows(path: Path) -> dict[str, list[tuple]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        tables = connection.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() ORDER BY 1"
        ).fetchall()
        return {table: connection.execute(f"SELECT * FROM {table} ORDER BY ALL").fetchall() for (table,) in tables}


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each file that was written continued another."""
    found, carried = [], release_file._carried

    def spy(connection: duckdb.DuckDBPyConnection, target: Path) -> bool:
        found.append(carried(connection, target))
        return found[-1]

    monkeypatch.setattr(release_file, "_carried", spy)
    return found


def written(folder: Path, of: Path) -> Path:
    """The release file of a run that continues the one of the first run, which is checked against a new one."""
    first, new, target = folder / "first.duckdb", folder / "new.duckdb", folder / "target.duckdb"
    write_release_file(run(folder / "run1.duckdb", corrected=5, touched=None), first)
    write_release_file(of, new)
    shutil.copyfile(first, target)
    write_release_file(of, target, continues=True)
    assert rows(target) == rows(new)
    assert not target.with_name("target.duckdb.wal").exists()
    return target


def test_touched_rows_are_replaced_and_the_rest_stays(tmp_path: Path, begun: list[bool]) -> None:
    written(tmp_path, run(tmp_path / "run2.duckdb", corrected=7, touched="['C5', 'C7', 'C8', 'C9', 'C-none']"))
    assert begun == [True]


@pytest.mark.parametrize("touched", ["['C7']", "[]", "['C5', 'C6']"])
def test_what_does_not_come_to_the_rows_of_the_run_is_copied_whole(
    tmp_path: Path, begun: list[bool], monkeypatch: pytest.MonkeyPatch, touched: str
) -> None:
    """As where the run took over another run than the one that is published."""
    of = run(tmp_path / "run2.duckdb", corrected=7, touched=touched)
    written(tmp_path, of)
    assert begun == [False]
    # Without the look at every row the difference would be served.
    shutil.copyfile(tmp_path / "first.duckdb", tmp_path / "target.duckdb")
    monkeypatch.setattr(release_file, "_same_rows", lambda *_: True)
    write_release_file(of, tmp_path / "target.duckdb", continues=True)
    assert rows(tmp_path / "target.duckdb") != rows(tmp_path / "new.duckdb")


def test_a_file_of_a_run_that_took_nothing_over_holds_no_block_of_the_one_before(
    tmp_path: Path, begun: list[bool]
) -> None:
    target = written(tmp_path, run(tmp_path / "run2.duckdb", corrected=5, touched=None, erased=True))
    assert begun == [False]
    assert ERASED.encode() in (tmp_path / "first.duckdb").read_bytes()
    assert ERASED.encode() not in target.read_bytes()


def told(path: Path) -> dict[tuple[str, str], str | None]:
    with duckdb.connect(str(path), read_only=True) as connection:
        found = connection.execute(
            "SELECT schema_name || '.' || table_name, column_name, comment FROM duckdb_columns() "
            "WHERE database_name = current_database() UNION ALL "
            "SELECT schema_name || '.' || table_name, '', comment FROM duckdb_tables()"
        ).fetchall()
    return {(table, column): comment for table, column, comment in found}


def test_each_file_is_described_whether_it_is_the_first_of_a_process_or_continues_another(tmp_path: Path) -> None:
    written(tmp_path, run(tmp_path / "run2.duckdb", corrected=7, touched="['C5', 'C7', 'C8', 'C9']"))
    files = {name: told(tmp_path / f"{name}.duckdb") for name in ("first", "new", "target")}
    described = dictionary()["core", "fct_cases"]
    for comments in files.values():
        assert comments["core.fct_cases", ""] == described.description
        assert comments["core.fct_cases", "case_no"] == described.columns["case_no"]
        assert comments == files["first"]


def test_a_file_that_could_not_be_written_leaves_nothing_in_the_way_of_the_next(tmp_path: Path) -> None:
    source = run(tmp_path / "run1.duckdb", corrected=5, touched=None)
    with pytest.raises(duckdb.Error):
        write_release_file(source, tmp_path / "nowhere" / "target.duckdb")
    with duckdb.connect(str(source)) as connection:
        connection.execute("CREATE VIEW marts.broken AS SELECT 1 / 0 AS a, CAST('x' AS INTEGER) AS b")
    with pytest.raises(duckdb.Error):
        write_release_file(source, tmp_path / "target.duckdb")
    with duckdb.connect(str(source)) as connection:
        connection.execute("DROP VIEW marts.broken")
    write_release_file(source, tmp_path / "target.duckdb")
    assert len(rows(tmp_path / "target.duckdb")["core.fct_cases"]) == 3000
