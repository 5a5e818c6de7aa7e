"""The published file, opened as it is documented for readers: it can be read, and it opens nothing else.

Against the real warehouse of the notice's county. Each refusal is also tried without the three settings, so that the
settings are what refuses.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from ingestion.contracts import CONTRACTS
from ingestion.home import Home
from ingestion.period import Period
from publishing import settings
from publishing.small_cells import THRESHOLD, Withheld
from publishing.tables import ranking_tables

LOCKED = settings.READER_CONFIG
#: What a reader might try with a file of its own; {out} is a folder that it may write to.
ATTEMPTS = {
    "read a host file": "SELECT * FROM read_text('/etc/hostname')",
    "read a host table": "SELECT * FROM read_csv('/etc/passwd', delim = ':')",
    "list a folder": "SELECT * FROM glob('/etc/*')",
    "attach another file": "ATTACH '{out}/other.duckdb' AS other (READ_ONLY)",
    "attach the raw zone": "ATTACH '{home}/raw/ledger.sqlite' AS raw",
    "write a file": "COPY (SELECT 1) TO '{out}/copy.csv'",
    "export everything": "EXPORT DATABASE '{out}/export'",
    "install an extension": "INSTALL httpfs",
    "load an extension": "LOAD '{out}/evil.duckdb_extension'",
    "write a mart": "UPDATE marts.unit_rankings SET score = 100",
    "make a table": "CREATE TABLE marts.mine AS SELECT 1",
    "unlock": "SET enable_external_access = true",
    "turn extensions on": "SET autoinstall_known_extensions = true",
    "change the folder of secrets": "SET secret_directory = '{out}'",
    "reach out": "SELECT * FROM read_text('http://127.0.0.1:9/x')",
}


def attempt(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """The kind of error that the statement ends with; empty where it goes through."""
    try:
        connection.execute(sql).fetchall()
    except duckdb.Error as error:
        return type(error).__name__
    return ""


def other_file(folder: Path) -> None:
    """Another database that the reader may read, as far as the host is concerned."""
    duckdb.connect(str(folder / "other.duckdb")).close()


@pytest.fixture(scope="module")
def served(notice_home: Home) -> Path:
    return notice_home.current / "warehouse.duckdb"


def test_the_locked_file_is_read_and_opens_nothing_else(served: Path, notice_home: Home, tmp_path: Path) -> None:
    before = served.read_bytes()
    other_file(tmp_path)
    with duckdb.connect(str(served), read_only=True, config=LOCKED) as reader:
        assert reader.execute("SELECT count(*) > 0 FROM marts.unit_rankings").fetchall() == [(True,)]
        outcomes = {
            name: attempt(reader, sql.format(out=tmp_path, home=notice_home.root)) for name, sql in ATTEMPTS.items()
        }
    # An IOException would be a file that is not there: not what is asked.
    assert set(outcomes.values()) <= {"PermissionException", "InvalidInputException"}, outcomes
    assert [path.name for path in tmp_path.iterdir()] == ["other.duckdb"]
    assert served.read_bytes() == before


@pytest.mark.parametrize("off", sorted(LOCKED))
def test_each_setting_refuses_something_by_itself(served: Path, tmp_path: Path, off: str) -> None:
    weaker = {name: value for name, value in LOCKED.items() if name != off}
    with duckdb.connect(str(served), read_only=True, config=weaker) as reader:
        if off == "enable_external_access":
            other_file(tmp_path)
            for name in ("read a host file", "list a folder", "attach another file", "write a file"):
                assert attempt(reader, ATTEMPTS[name].format(out=tmp_path, home="")) == "", name
        else:
            assert attempt(reader, "SET autoinstall_known_extensions = true") == ""


def test_a_file_opened_for_writing_is_writable_so_its_mode_says_no(served: Path) -> None:
    files = [path for path in served.parent.resolve().rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o222 for path in files if path.name != "manifest.json"} == {0}


def test_it_holds_marts_and_neither_tokens_nor_texts(served: Path, notice_home: Home) -> None:
    personal = {column.name for contract in CONTRACTS.values() for column in contract.columns if column.personal}
    with duckdb.connect(str(served), read_only=True, config=LOCKED) as reader:
        columns = reader.execute("SELECT table_schema, column_name FROM information_schema.columns").fetchall()
        texts = reader.execute(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns WHERE data_type = 'VARCHAR'"
        ).fetchall()
        key_id = next(iter((notice_home.keys / "pseudonym.key").read_text().split(":")))
        tokens = [
            place
            for schema, table, column in texts
            for place in [f"{schema}.{table}.{column}"]
            if reader.execute(
                f'SELECT count(*) FROM "{schema}"."{table}" WHERE "{column}" LIKE ?', [f"%{key_id}:%"]
            ).fetchone()
            != (0,)
        ]
    assert {schema for schema, _ in columns} == set(settings.PUBLISHED_SCHEMAS)
    assert personal.isdisjoint(column for _, column in columns)
    assert tokens == []
    # The guard sees them where they are: staging has both.
    staged = next((notice_home.staged / "hotline_tickets").rglob("*.parquet"))
    assert personal & set(pq.ParquetFile(staged).schema_arrow.names)


def sizes(served: Path) -> dict[tuple[str, str, str, str], int]:
    """How many people each metric and figure is about: period, unit (empty: county), area, figure."""
    with duckdb.connect(str(served), read_only=True, config=LOCKED) as reader:
        rows = reader.execute(
            "SELECT period_code, unit_code, area, metric, coalesce(denominator, numerator) FROM marts.unit_metrics "
            "UNION ALL SELECT period_code, '', area, figure, CASE WHEN contains(figure, '/') THEN numerator "
            "ELSE coalesce(denominator, numerator) END FROM marts.period_totals"
        ).fetchall()
    return {tuple(place): size or 0 for *place, size in rows if place[2] in ("platform", "hotline")}


def test_no_printed_table_shows_a_small_cell_or_lets_one_be_computed(served: Path, notice_home: Home) -> None:
    with duckdb.connect(str(served), read_only=True, config=LOCKED) as reader:
        withheld = Withheld.of(reader)
    people = sizes(served)
    outcomes = ("cases_overdue", "speedup_rate", "tickets_closed")
    hidden = {place for place in people if is_withheld(withheld, place)}
    small = {place for place, size in people.items() if 0 < size < THRESHOLD and place[3] not in outcomes}
    assert len(small) > 100
    assert small <= hidden
    # From any whole, its other parts subtracted: never one hidden part alone, and never only ones that must be small.
    wholes = 0
    for area, figure, parts in sums(people):
        unknown = [part for part in parts if part in hidden]
        whole = (parts[0][0], "", area, figure)
        if unknown and whole not in hidden:
            wholes += 1
            assert len(unknown) > 1, whole
            assert sum(people[part] for part in unknown) >= THRESHOLD + len(unknown) - 1, whole
    assert wholes > 20
    # A month is never what is left of a longer period when its other month is taken away.
    for _, unit, area, figure in {place for place in people if "_to_date" not in place[3]}:
        cells = [(code, unit, area, figure) for code in ("2022-07", "2022-08", "2022-07--2022-08")]
        unknown = [cell for cell in cells if cell in hidden]
        assert len(unknown) != 1 or unknown[0] not in small, unknown
    # Printed: nothing of what is withheld, and the figures of the notice all are.
    tables = {(table.period_code, table.area): table for table in ranking_tables(served)}
    hotline = tables["2022-07", "hotline"]
    closed = hotline.frame[hotline.frame["备注"].str.contains("按时办结率")]["按时办结率"]
    assert len(closed) >= 12 and closed.isna().all()
    assert any("不足5人次" in note for note in hotline.notes)
    assert not any("不予公布" in text for text in tables["2022-07", "website"].frame["备注"])
    assert not any(total[0] == "2022-07" and "/unit=" not in total[2] for total in withheld.totals)
    assert all(Period.parse(period) for period, *_ in withheld.metrics)


def is_withheld(withheld: Withheld, place: tuple[str, str, str, str]) -> bool:
    period, unit, area, figure = place
    return withheld.metric(*place) if unit else withheld.total(period, area, figure)


def sums(people: dict[tuple[str, str, str, str], int]) -> list[tuple[str, str, list[tuple[str, str, str, str]]]]:
    """Every figure's units, and every whole's parts, by period."""
    groups: dict[tuple[str, ...], list[tuple[str, str, str, str]]] = {}
    for place in people:
        period, unit, area, figure = place
        whole, mark, part = figure.partition("/")
        if unit:
            groups.setdefault((period, area, figure, "unit"), []).append(place)
        elif mark:
            groups.setdefault((period, area, whole, part.partition("=")[0]), []).append(place)
    return [(area, figure, parts) for (_, area, figure, _), parts in groups.items()]
