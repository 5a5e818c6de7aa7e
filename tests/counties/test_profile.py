"""Profiles: what is refused in one, and how a table is read by one."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestion.contracts import CONTRACTS, contract_of
from ingestion.errors import BadParameter, DeliveryRefused
from ingestion.home import Home
from ingestion.period import Period
from ingestion.profile import COUNTIES, SEEDS, county, delivered_datasets, read_profile, seed_file
from ingestion.readers import TableReader, open_table
from publishing.plan import missing_deliveries
from publishing.seeds import overlaid

TICKETS = "hotline_tickets"
BASE: dict[str, Any] = {
    "title": "试验县",
    "null_markers": ["-"],
    "datasets": {
        TICKETS: {
            "columns": {
                "工单编号": ["ID", "REQ_ID"],
                "来电时间": "MADE",
                "诉求类型": {"header": "KIND", "codes": {"求决": "求助"}, "when_empty": "其他"},
                "办理方式": {"constant": "转办"},
                "工单状态": {
                    "choose": [{"constant": "已办结", "when": {"DONE": "1"}}, {"constant": "办理中"}],
                },
                "办结时间": {"choose": [{"header": "MADE", "plus_seconds": 90, "when": {"DONE": "1"}}]},
                "更新时间": "MADE",
            },
            "ignored_headers": ["NOTE"],
        }
    },
    "time_formats": ["%d.%m.%Y %H:%M"],
}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a profile, some of BASE changed."""

    def make(**changes: Any) -> Path:
        folder = tmp_path / "trial"
        folder.mkdir(exist_ok=True)
        (folder / "profile.yaml").write_text(yaml.safe_dump(BASE | changes, allow_unicode=True), encoding="utf-8")
        return folder

    return make


def with_columns(**columns: Any) -> dict[str, Any]:
    described = BASE["datasets"][TICKETS]
    return {TICKETS: described | {"columns": described["columns"] | columns}}


def read(path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[list[dict[str, Any]], TableReader]:
    monkeypatch.setenv("TONGBAO_COUNTY", str(folder))
    with open_table(path, path.name, contract_of(TICKETS)) as reader:
        rows = [row for batch in reader.batches() for row in batch.to_pylist()]
    return rows, reader


def delivered(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "export.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_profiles_of_the_project_hold_together() -> None:
    folders = [path for path in COUNTIES.iterdir() if (path / "profile.yaml").exists()]
    assert {folder.name for folder in folders} >= {"pingshan", "ottawa"}
    for folder in folders:
        assert read_profile(folder).datasets


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"tittle": "x"}, "tittle"),
        ({"datasets": {"hotline_tikets": {}}}, "hotline_tikets"),
        ({"datasets": with_columns(工单号="ID")}, "工单号"),
        ({"datasets": with_columns(诉求类型={"header": "KIND", "codes": {"a": "感谢"}})}, "感谢"),
        ({"datasets": with_columns(办理方式={"constant": "转办", "header": "X"})}, "exactly one"),
        ({"datasets": {TICKETS: {"may_be_empty": ["工单编号"]}}}, "cannot be empty"),
        ({"time_formats": ["%d/%m/%Y", "%m/%d/%Y"]}, "two moments"),
        ({"files": [{"dataset": TICKETS, "pattern": "a.csv"}]}, "month"),
    ],
)
def test_a_profile_that_contradicts_the_contracts_is_refused(write: Write, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(BadParameter, match=told):
        read_profile(write(**changes))


def test_a_table_comes_in_the_contracts_columns(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = delivered(
        tmp_path,
        "NOTE,DONE,KIND,MADE,REQ_ID",
        "a,1,求决,04.03.2018 05:06,1",
        'b,0,-,2018-03-04 05:06:07,"2"',
        "c,0,新码,soon,3",
    )
    rows, reader = read(path, monkeypatch, write())
    shown = [(row["ticket_no"], row["called_at"], row["demand_type"], row["ticket_status"]) for row in rows]
    assert shown == [
        ("1", "2018-03-04 05:06:00", "求助", "已办结"),
        ("2", "2018-03-04 05:06:07", "其他", "办理中"),
        # What cannot be read goes on as it is, so that typing sets the row aside.
        ("3", "soon", "新码", "办理中"),
    ]
    assert [row["closed_at"] for row in rows] == ["2018-03-04 05:07:30", None, None]
    assert [row["_row"] for row in rows] == [2, 3, 4]
    assert {row["handling"] for row in rows} == {"转办"}
    assert (reader.rows_in, reader.rows_other) == (3, 1)
    (new,) = [finding for finding in reader.findings if finding.kind == "unmapped_code"]
    assert new.row == 4
    for part in ("KIND: 1 row", "咨询、求助", "trial/profile.yaml", "诉求类型 → codes"):
        assert part in new.detail
    assert "新码" not in new.detail
    assert not [finding for finding in reader.findings if finding.kind == "extra_column"]


def test_headers_in_another_order_and_one_more_are_read_and_reported(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = delivered(tmp_path, "MORE,MADE,ID,KIND,DONE", "x,2018-01-01 00:00:00,7,咨询,0")
    rows, reader = read(path, monkeypatch, write())
    assert [row["ticket_no"] for row in rows] == ["7"]
    assert reader.extra_columns == ("MORE",)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("ID,KIND,DONE,MADDE", "lacks MADE.*MADDE \\(meant MADE\\?\\).*trial/profile.yaml"),
        ("MADE,KIND,DONE,NR", "lacks ID or REQ_ID"),
        ("MADE,KIND,DONE,ID,REQ_ID", "both stand for 工单编号"),
    ],
)
def test_a_header_that_lacks_what_is_needed_is_refused_with_the_difference(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, header: str, told: str
) -> None:
    path = delivered(tmp_path, header, "1,2,3,4" + ",5" * (header.count(",") - 3))
    with pytest.raises(DeliveryRefused, match=told):
        read(path, monkeypatch, write())


def test_rows_without_a_number_get_one_from_their_cells(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(datasets=with_columns(工单编号={"digest": ["MADE", "KIND"]}))
    lines = ["MADE,KIND,DONE", "2018-01-01 00:00:00,咨询,0", "2018-01-02 00:00:00,咨询,0", "2018-01-01 00:00:00,咨询,0"]
    first, _ = read(delivered(tmp_path, *lines), monkeypatch, folder)
    keys = [row["ticket_no"] for row in first]
    assert keys[2] == f"{keys[0]}-2" != keys[1]
    # The same rows in another order, among others, keep their numbers.
    again, _ = read(
        delivered(tmp_path, lines[0], "2018-02-02 00:00:00,咨询,0", *reversed(lines[1:])), monkeypatch, folder
    )
    assert sorted(row["ticket_no"] for row in again[1:]) == sorted(keys)


def test_without_a_county_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TONGBAO_COUNTY", raising=False)
    assert county() is None
    assert delivered_datasets() == tuple(CONTRACTS)
    assert contract_of(TICKETS) is CONTRACTS[TICKETS]
    assert seed_file("units.csv") == SEEDS / "units.csv"


def test_a_period_waits_for_the_countys_datasets_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAO_COUNTY", "pingshan")
    assert missing_deliveries(Period.parse("2018-09"), {(TICKETS, "2018-09")}) == [("hotline_dispatches", "2018-09")]
    chosen = county()
    assert chosen is not None
    assert chosen.months_covered(TICKETS, "2018-12") == [f"2018-{month:02d}" for month in range(1, 13)]


def test_own_seeds_lie_over_the_projects(tmp_path: Path) -> None:
    own = tmp_path / "seeds"
    own.mkdir()
    (own / "units.csv").write_text("unit_code,unit_name,unit_group,ranked\nA,甲,department,true\n", encoding="utf-8")
    folder = overlaid(SEEDS, own, Home(tmp_path).runs)
    with (folder / "units.csv").open(encoding="utf-8") as file:
        assert [row["unit_name"] for row in csv.DictReader(file)] == ["甲"]
    assert (folder / "quotas.csv").read_bytes() == (SEEDS / "quotas.csv").read_bytes()
    assert overlaid(SEEDS, own, Home(tmp_path).runs) == folder
    (own / "unit.csv").write_text("a\n", encoding="utf-8")
    with pytest.raises(BadParameter, match="no seed has this name"):
        overlaid(SEEDS, own, tmp_path)
    (own / "unit.csv").unlink()
    (own / "units.csv").write_text("code\n", encoding="utf-8")
    with pytest.raises(BadParameter, match=r"lacks unit_code.*unknown code"):
        overlaid(SEEDS, own, tmp_path)
