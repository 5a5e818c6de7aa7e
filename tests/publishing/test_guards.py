"""Guards of publishing taken away one by one: what each alone holds back then comes through."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import openpyxl
import pytest
from click.testing import CliRunner

import publishing.tables
import publishing.workbook
from ingestion.errors import BadParameter
from ingestion.home import Home
from publishing import build, cli, publish, sandbox
from publishing.audit import personal_columns
from publishing.settings import checked_run_id
from publishing.small_cells import Withheld
from tests.publishing.test_build import MINI, deliver, query
from tests.publishing.warehouses import hand_made_run

PERIOD = "2022-07"


def model(tmp_path: Path, sql: str) -> Path:
    """The mini project with one more model."""
    project = Path(shutil.copytree(MINI, tmp_path / "project"))
    (project / "models" / "evil.sql").write_text(sql)
    return project


def test_without_the_sandbox_a_model_reads_the_host(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(home, "platform_cases", PERIOD, [{"case_no": "A1"}])
    monkeypatch.setattr(sandbox, "lock", lambda conn, folders: None)
    project = model(tmp_path, "select content from read_text('/etc/hostname')")
    assert query(build(home, [PERIOD], "run-1", project=project), "select content from evil") == [
        (Path("/etc/hostname").read_text(),)
    ]


def test_the_sandbox_is_locked_and_reaches_only_its_folders(tmp_path: Path) -> None:
    allowed, other = tmp_path / "allowed", tmp_path / "other"
    for folder in (allowed, other):
        folder.mkdir()
        (folder / "a.txt").write_text(folder.name)
    with duckdb.connect() as connection:
        connection.execute(f"SELECT * FROM read_text('{other}/a.txt')")  # before the guard
        sandbox.lock(connection, [str(allowed)])
        assert connection.execute(f"SELECT content FROM read_text('{allowed}/a.txt')").fetchall() == [("allowed",)]
        for sql in (
            f"SELECT * FROM read_text('{other}/a.txt')",
            f"SELECT * FROM read_text('{allowed}/../other/a.txt')",
            f"ATTACH '{other}/x.duckdb' AS x",
            f"COPY (SELECT 1) TO '{other}/x.csv'",
            "INSTALL httpfs",
        ):
            with pytest.raises(duckdb.PermissionException):
                connection.execute(sql)
        for setting in ("enable_external_access = true", f"allowed_directories = ['{other}']"):
            with pytest.raises(duckdb.InvalidInputException, match="locked"):
                connection.execute(f"SET {setting}")
        assert [path.name for path in other.iterdir()] == ["a.txt"]


def published(home: Home) -> Path:
    hand_made_run(home, "run1", [PERIOD], version=80)
    publish(home, "run1")
    return home.current / "tables" / PERIOD


def test_without_the_guard_a_formula_stands_in_the_csv(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing.tables, "guarded", lambda text: text)
    text = (published(home) / "overall.csv").read_text(encoding="utf-8-sig")
    assert ',"=HYPERLINK(' in text


def test_without_typed_strings_a_formula_stands_in_the_workbook(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing.tables, "guarded", lambda text: text)
    folder = published(home)
    typed = {cell.data_type for row in openpyxl.load_workbook(folder / "overall.xlsx")["县直部门"] for cell in row}
    assert "f" not in typed, "a typed string is none, even without the apostrophe"
    sheet = publishing.workbook.xlsxwriter.worksheet.Worksheet
    monkeypatch.setattr(sheet, "write_string", lambda self, *cell: self.write(*cell))
    options = publishing.workbook.xlsxwriter.Workbook
    monkeypatch.setattr(publishing.workbook.xlsxwriter, "Workbook", lambda path, _: options(path))
    for table in publishing.tables.ranking_tables(home.current / "warehouse.duckdb"):
        publishing.workbook.write(table, home.root / "loose.xlsx")
    loose = openpyxl.load_workbook(home.root / "loose.xlsx")["县直部门"]
    assert "f" in {cell.data_type for row in loose for cell in row}


def test_a_small_base_is_not_printed_and_would_be(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = hand_made_run(home, "run1", [PERIOD], version=80)
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        connection.execute(
            "UPDATE marts.unit_metrics SET denominator = 3, numerator = 1, value = 1/3 "
            "WHERE unit_code = 'U01' AND metric = 'online_rate'"
        )

    def shown() -> tuple[object, str]:
        tables = publishing.tables.ranking_tables(folder / "warehouse.duckdb")
        frame = next(table.frame for table in tables if table.area == "platform")
        return frame["网办率"].isna().tolist(), frame["备注"].tolist()[0]

    # U01 and, so that the others do not give it away where the total is known, one more.
    hidden, remark = shown()
    assert hidden[0] and "不予公布：网办率" in remark
    monkeypatch.setattr(Withheld, "metric", lambda self, *place: False)
    hidden, remark = shown()
    assert hidden[0] is False and "不予公布" not in remark


def test_a_personal_column_is_seen_where_it_is_published(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA core; CREATE SCHEMA staging; CREATE TABLE staging.t (caller_phone VARCHAR)")
        assert personal_columns(connection) == []
        connection.execute("CREATE TABLE core.t AS FROM staging.t")
        assert personal_columns(connection) == ["core.t.caller_phone would publish personal data"]


@pytest.mark.parametrize("run_id", ["for-13812345678", "110105199003074477", "11010519900307447X_again"])
def test_a_run_id_holds_no_personal_number(run_id: str) -> None:
    with pytest.raises(BadParameter) as error:
        checked_run_id(run_id)
    assert run_id not in str(error.value)


@pytest.mark.parametrize("run_id", ["20220906120000", "manual-2026-11-25T22-47-53-138456-00-00-1a2b", "2022-07"])
def test_a_run_id_may_hold_times(run_id: str) -> None:
    assert checked_run_id(run_id) == run_id


def crash(*_: object, **__: object) -> None:
    raise ValueError("Could not convert '张三 13800138000' to INT64")


def ranked(runner: CliRunner, invoke: Callable | None, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys.modules["publishing.audit"], "audit", crash)
    if invoke:
        monkeypatch.setattr(cli._Group, "invoke", invoke)
    result = runner.invoke(cli.main, ["audit", "--run-id", "x"])
    assert result.exit_code == 1
    return result.output + str(result.exception)


def test_a_crash_is_told_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    told = ranked(CliRunner(), None, monkeypatch)
    assert "13800138000" not in told and "张三" not in told
    assert "ValueError at test_guards.py" in told
    assert "13800138000" in ranked(CliRunner(), cli.click.Group.invoke, monkeypatch)
