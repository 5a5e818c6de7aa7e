"""A build by what dbt did for another county: the same tables, and dbt itself wherever it would see something else."""

from __future__ import annotations

import copy
import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import yaml

from ingestion.errors import BuildFailed
from ingestion.home import Home
from publishing import build, repeated
from publishing.dbt_run import DBT_PROJECT
from tests.publishing.test_build import MINI, deliver, query


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, repeated.Recording]]:
    """The file of a county that dbt built, and what is remembered of it."""
    repeated.switch_on()
    warehouse, by_dbt = county(tmp_path_factory.mktemp("first"), ["A1", "A2"])
    known = dict(repeated._recordings)
    repeated.forget()
    assert by_dbt and len(known) == 1
    return warehouse, known


@pytest.fixture(autouse=True)
def repeating(first: tuple[Path, dict[str, repeated.Recording]]) -> Iterator[None]:
    """Each test begins with what is remembered of the first county."""
    repeated.switch_on()
    repeated._recordings.update(copy.deepcopy(first[1]))
    yield
    repeated.forget()


def county(folder: Path, cases: list[str | None], project: Path = MINI) -> tuple[Path, bool]:
    """A home with these cases, built; its file, and whether dbt built it."""
    home = Home(folder)
    deliver(home, "platform_cases", "2022-07", [{"case_no": number} for number in cases])
    warehouse = build(home, ["2022-07"], "run-1", project=project)
    return warehouse, (warehouse.parent / "dbt").is_dir()


def test_the_second_county_is_built_by_the_statements_of_the_first(
    first: tuple[Path, dict[str, repeated.Recording]], tmp_path: Path
) -> None:
    second, by_dbt = county(tmp_path / "2", ["B1", "B2", "B3"])
    assert not by_dbt
    assert query(second, "SELECT cases, names FROM known") == [(3, 2)]
    assert query(second, "SELECT case_no FROM cases ORDER BY 1") == [("B1",), ("B2",), ("B3",)]
    tables = "SELECT schema_name, table_name, sql FROM duckdb_tables() ORDER BY ALL"
    assert query(second, tables) == query(first[0], tables)
    assert not second.with_name("warehouse.duckdb.wal").exists()


def test_a_test_that_fails_is_named_by_dbt(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="test unique_cases_case_no: Got 1 result"):
        county(tmp_path / "2", ["B1", "B1"])
    # What is remembered is still good.
    assert not county(tmp_path / "3", ["C1"])[1]


def test_without_its_look_at_what_dbt_saw_a_failing_test_would_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for recording in repeated._recordings.values():
        assert any(each.seen for each in recording.statements)
        for each in recording.statements:
            each.seen = None
    assert not county(tmp_path / "2", ["B1", "B1"])[1]


def test_other_models_or_an_empty_seed_are_dbts_again(tmp_path: Path) -> None:
    project = Path(shutil.copytree(MINI, tmp_path / "project"))
    (project / "models" / "cases.sql").write_text("select case_no || '!' as case_no from staged.platform_cases")
    warehouse, by_dbt = county(tmp_path / "3", ["A1"], project)
    assert by_dbt and query(warehouse, "SELECT case_no FROM cases") == [("A1!",)]
    (project / "seeds" / "names.csv").write_text("code,name\n")
    warehouse, by_dbt = county(tmp_path / "4", ["A1"], project)
    assert by_dbt and query(warehouse, "SELECT names FROM known") == [(0,)]


def test_an_error_of_the_engine_is_dbts_to_tell(tmp_path: Path) -> None:
    project = Path(shutil.copytree(MINI, tmp_path / "project"))
    (project / "models" / "cases.sql").write_text(
        "select cast(case_no as integer) as case_no from staged.platform_cases"
    )
    county(tmp_path / "1", ["1"], project)
    with pytest.raises(BuildFailed, match="model cases: Runtime Error") as failure:
        county(tmp_path / "2", ["13800138000x"], project)
    assert "13800138000" not in str(failure.value)


def test_nothing_is_repeated_unless_it_is_switched_on(tmp_path: Path) -> None:
    known = dict(repeated._recordings)
    repeated.forget()
    repeated._recordings.update(known)
    assert county(tmp_path / "2", ["A2"])[1]


def test_sql_that_is_repeated_reaches_nothing_but_its_own_run(
    first: tuple[Path, dict[str, repeated.Recording]], tmp_path: Path
) -> None:
    """The lock is that of dbt's connection: another county's rows are out of reach."""
    beyond = first[0].with_name("x.parquet")
    for recording in repeated._recordings.values():
        recording.statements.append(repeated.Statement(f"CREATE TABLE stolen AS SELECT * FROM '{beyond}'"))
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT 1 AS a) TO '{beyond}'")
    warehouse, by_dbt = county(tmp_path / "2", ["B1"])
    assert by_dbt and query(warehouse, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'stolen'") == [(0,)]


def test_every_column_of_every_seed_has_its_type_declared() -> None:
    """dbt would guess the others from a county's own rows, and its statements would no longer be the same for all."""
    declared = yaml.safe_load((DBT_PROJECT / "models" / "_seeds.yml").read_text("utf-8"))["seeds"]
    types = {each["name"]: set(each["config"]["column_types"]) for each in declared}
    for path in (DBT_PROJECT / "seeds").glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            assert set(next(csv.reader(file))) == types[path.stem], path
