"""Names of units: what a name means on a day, how the table is edited, and that the next build knows it."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from ingestion.aliases import Alias, UnitNames
from ingestion.cli import main
from ingestion.contracts import CONTRACTS
from ingestion.delivered_units import UNIT_DAYS, mentions
from ingestion.home import PROJECT
from tests.ingestion.deliveries import MONTH, Exports, csv_bytes, good_row

CASES = "platform_cases"
DAY = dt.date(2022, 7, 1)
Run = Callable[..., Result]


@pytest.fixture
def seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project's seeds, in force."""
    folder = tmp_path / "seeds"
    shutil.copytree(PROJECT / "dbt_project" / "seeds", folder)
    monkeypatch.delenv("TONGBAO_COUNTY", raising=False)
    monkeypatch.setenv("TONGBAO_SEEDS", str(folder))
    return folder


@pytest.fixture
def run(seeds: Path, exports: Exports, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("TONGBAO_HOME", str(exports.home.root))

    def command(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["aliases", *arguments])

    return command


def table(seeds: Path) -> list[str]:
    return (seeds / "unit_aliases.csv").read_text("utf-8").splitlines()


# -- what a name means -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "day", "code"),
    [
        ("县公安局", DAY, "U13"),
        ("公安局", DAY, "U13"),
        (" 县公安局　", DAY, "U13"),
        ("县工商局", dt.date(2018, 12, 31), "U21"),
        ("县工商局", dt.date(2019, 1, 1), None),
        ("托里乡", dt.date(2014, 10, 20), "U03"),
        ("托里乡", dt.date(2014, 10, 21), None),
        ("托里镇八家户", DAY, None),
        ("", DAY, None),
    ],
)
def test_both_ends_of_a_validity_count(seeds: Path, name: str, day: dt.date, code: str | None) -> None:
    assert UnitNames.read().resolve(name, day) == code


@pytest.mark.parametrize(
    "name", ["托里镇八家户", "托里镇八家户农场", "托里镇、八家户", "八家户 托里镇", "县公安局县水利局财政局"]
)
def test_two_units_in_one_name_are_never_guessed(seeds: Path, name: str) -> None:
    names = UnitNames.read()
    code, text = names.why_unknown(name, DAY)
    assert code == "joined_units" and "不作猜测" in text and "相近" not in text
    assert names.resolve(name, DAY) is None


def test_names_that_are_one_unit(seeds: Path) -> None:
    names = UnitNames.read()
    for name in ("八家户农场", "县公安局公安局", "精河工业园区管委会", "托里镇政府"):
        assert names.joined(name) == ()


def test_nearest_names(seeds: Path) -> None:
    names = UnitNames.read()
    assert names.nearest("县市场监督局", DAY)[0].unit_code == "U21"
    assert "县工商局" not in {near.name for near in names.nearest("县工商", DAY)}
    assert "县工商局" in {near.name for near in names.nearest("县工商", dt.date(2018, 1, 1))}
    assert names.nearest("zzzz", DAY) == []
    assert len({near.unit_code for near in names.nearest("公安", DAY)}) == len(names.nearest("公安", DAY)) <= 3


def test_the_day_of_a_name_is_known_for_every_dataset_with_units() -> None:
    with_units = {name for name, contract in CONTRACTS.items() if "unit_name" in contract.by_name}
    assert set(UNIT_DAYS) == with_units
    for dataset, columns in UNIT_DAYS.items():
        assert set(columns) <= CONTRACTS[dataset].by_name.keys()


# -- editing ---------------------------------------------------------------------------------------------------


def test_add_keeps_order_and_the_other_lines(run: Run, seeds: Path) -> None:
    before = table(seeds)
    result = run("add", "县公安分局", "U13", "--from", "2020-01-01", "--to", "2022-12-31")
    assert result.exit_code == 0, result.output
    after = table(seeds)
    place = before.index("公安局,U13,,")
    assert after == [*before[: place + 1], "县公安分局,U13,2020-01-01,2022-12-31", *before[place + 1 :]]
    codes = [line.split(",")[1] for line in after[1:]]
    assert codes == sorted(codes)
    # A unit without any alias yet: between its neighbours.
    assert run("add", "精河镇政府", "U01").exit_code == 0
    assert table(seeds)[1] == "精河镇政府,U01,,"
    assert run("add", "政务服务中心", "U28").exit_code == 0
    assert table(seeds)[-1] == "政务服务中心,U28,,"
    assert run("remove", "精河镇政府").exit_code == 0
    assert run("remove", "政务服务中心").exit_code == 0
    assert run("remove", "县公安分局").exit_code == 0
    assert table(seeds) == before
    assert sorted(path.name for path in seeds.iterdir()) == sorted(
        path.name for path in (PROJECT / "dbt_project" / "seeds").iterdir()
    )


def test_a_table_saved_by_excel_stays_as_it_is(run: Run, seeds: Path) -> None:
    path = seeds / "unit_aliases.csv"
    path.write_bytes(path.read_text("utf-8").rstrip("\n").replace("\n", "\r\n").encode())
    path.chmod(0o640)
    before = path.read_bytes()
    assert run("add", "残联会", "U27").exit_code == 0
    assert path.read_bytes() == before + "\r\n残联会,U27,,\r\n".encode()
    assert path.stat().st_mode & 0o777 == 0o640


def test_names_are_narrowed_and_it_is_said(run: Run, seeds: Path) -> None:
    result = run("add", " 县公安局（１２３） ", "U13")
    assert result.exit_code == 0 and "名称已规范" in result.output
    assert "县公安局(123),U13,," in table(seeds)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["新名称", "U99"], "没有单位代码"),
        (["新名称", "UNMAPPED"], "没有单位代码"),
        (["县公安局", "U14"], "正式名称"),
        (["县公安局", "U13"], "正式名称"),
        (["公安局", "U14"], "重叠"),
        (["公安局", "U13", "--from", "2020-01-01"], "重叠"),
        (["县工商局", "U25", "--from", "2018-12-31"], "重叠"),
        (["托里镇八家户", "U03"], "两个单位"),
        (["新名称", "U13", "--from", "2022-02-01", "--to", "2022-01-31"], "晚于"),
        (["=1+1", "U13"], "公式"),
        (["　", "U13"], "字符"),
        (["a\nb", "U13"], "字符"),
        (["长" * 61, "U13"], "字符"),
        (["新名称", "U13", "--from", "2022-13-01"], "2022-13-01"),
    ],
)
def test_what_is_refused_changes_nothing(run: Run, seeds: Path, arguments: list[str], words: str) -> None:
    before = table(seeds)
    result = run("add", *arguments)
    assert result.exit_code == 2 and words in result.output, result.output
    assert table(seeds) == before


def test_a_name_may_pass_from_unit_to_unit(run: Run, seeds: Path) -> None:
    assert run("add", "县工商局", "U25", "--from", "2019-01-01").exit_code == 0
    names = UnitNames.read()
    assert [names.resolve("县工商局", dt.date(2018, 12, 31) + dt.timedelta(days=n)) for n in (0, 1)] == ["U21", "U25"]
    several = run("remove", "县工商局")
    assert several.exit_code == 2 and "多条" in several.output
    assert run("remove", "县工商局", "--unit", "U25").exit_code == 0
    assert run("remove", "县工商局", "--unit", "U25").exit_code == 2
    assert run("remove", "县公安局").exit_code == 2


def test_a_person_may_say_that_it_is_one_unit(run: Run) -> None:
    assert run("add", "托里镇八家户", "U06", "--one-unit").exit_code == 0


def test_list(run: Run) -> None:
    shown = run("list", "--unit", "U21").output
    assert "县市场监督管理局\tU21\t县市场监督管理局\t正式名称" in shown
    assert "县工商局\tU21\t县市场监督管理局\t有效期至 2018-12-31" in shown
    assert "U22" not in shown


def test_seeds_that_are_none(run: Run, seeds: Path) -> None:
    (seeds / "units.csv").unlink()
    result = run("list")
    assert result.exit_code == 2 and "units.csv" in result.output


_days = st.none() | st.dates(dt.date(2010, 1, 1), dt.date(2025, 1, 1))


@given(_days, _days, _days, _days)
def test_overlap_is_a_day_on_which_both_are_valid(
    a: dt.date | None, b: dt.date | None, c: dt.date | None, d: dt.date | None
) -> None:
    one, other = Alias("x", "U01", a, b), Alias("x", "U02", c, d)
    ends = [day for day in (a, b, c, d) if day] + [dt.date.min, dt.date.max]
    both = any(one.is_valid(day) and other.is_valid(day) for day in ends)
    assert one.overlaps(other) == both == other.overlaps(one)


# -- delivered rows --------------------------------------------------------------------------------------------


def cases(*names: str) -> list[dict[str, str]]:
    return [good_row(CASES, n) | {"unit_name": name} for n, name in enumerate(names, 1)]


def test_unknown_names_of_delivered_rows(run: Run, exports: Exports) -> None:
    assert "没有未识别" in run("unknown").output
    exports.put(CASES, cases("县公安分局", "县公安分局", "县工商局", "托里镇八家户", "县水利局", "旧名称"))
    exports.load(CASES)
    # A correction of the last row names a known unit: the row before it counts no more.
    exports.put(
        CASES, [cases("县水利局")[0] | {"case_no": "case_no6", "updated_at": "2022-08-01 00:00:00"}], month="2022-08"
    )
    exports.load(CASES, "2022-08")
    shown = run("unknown").output
    assert "县公安分局\t2\tplatform_cases 2\t" in shown and "相近的有：县公安局" in shown
    assert "曾用名，有效期至 2018-12-31" in shown and "托里镇 + 八家户农场" in shown
    assert "旧名称" not in shown and "县水利局\t" not in shown
    assert "没有未识别" in run("unknown", "--from-build").output


def test_rows_that_change_hands_are_told(run: Run, exports: Exports) -> None:
    rows = cases("县公安分局", "县公安分局", "县水利局")
    rows[1] |= {"accepted_at": "2022-06-30 10:00:00"}
    exports.put(CASES, rows)
    exports.load(CASES)
    added = run("add", "县公安分局", "U13", "--from", "2022-07-01").output
    assert "platform_cases\t2022-07\t1\t未识别\tU13 县公安局" in added and "2022-06" not in added
    assert "下次运行时" in added
    removed = run("remove", "县公安分局").output
    assert "platform_cases\t2022-07\t1\tU13 县公安局\t未识别" in removed
    assert "没有因此改变归属的行" in run("add", "从未出现的名称", "U13").output


@pytest.mark.slow
def test_an_alias_added_is_resolved_by_the_next_build(run: Run, seeds: Path, exports: Exports) -> None:
    """A small county, end to end: delivered, published, alias added, built again; the published period is named.

    The seeds lie outside the dbt project here: a build once wrote its SQL over them (see publishing.seeds).
    """
    import publishing

    for dataset in CONTRACTS:
        exports.put(dataset, csv_bytes(dataset, cases("县公安分局", "县水利局") if dataset == CASES else []))
        exports.load(dataset)

    def units(warehouse: Path) -> tuple[list[tuple[str, str, int]], dict[str, str]]:
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            unknown = connection.execute(
                "SELECT dataset, unit_name, rows_unmapped FROM audit.unmapped_units"
            ).fetchall()
            return unknown, dict(connection.execute("SELECT case_no, unit_code FROM core.fct_cases").fetchall())

    before = table(seeds)
    first = publishing.build(exports.home, [MONTH], "before")
    assert units(first) == ([(CASES, "县公安分局", 1)], {"case_no1": "UNMAPPED", "case_no2": "U14"})
    assert table(seeds) == before
    publishing.audit(exports.home, "before")
    publishing.publish(exports.home, "before")
    found = [(each.unit_name, each.unit_code) for each in mentions(exports.home, UnitNames.read())]
    assert found == [("县公安分局", None), ("县水利局", "U14")]
    assert "县公安分局\t1\tplatform_cases 1" in run("unknown", "--from-build").output

    added = run("add", "县公安分局", "U13").output
    assert f"已发布的 {MONTH} 将按新的归属重新计算" in added
    second = publishing.build(exports.home, [MONTH], "after")
    assert units(second) == ([], {"case_no1": "U13", "case_no2": "U14"})
    # Once more: what the build before did to its copy of the seeds is undone.
    third = publishing.build(exports.home, [MONTH], "again")
    assert units(third) == units(second)
