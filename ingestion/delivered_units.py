"""The units that delivered rows name: on which day a name counts, and which rows an alias would move.

The day is the row's event day (METRICS.md, Who counts); the warehouse decides by the same columns in its core models.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.aliases import Alias, UnitNames
from ingestion.home import Home
from ingestion.ledger import Ledger
from ingestion.period import Month

#: Dataset -> the columns whose first filled one gives the day on which the unit's name counts; none: the last day of
#: the measured month.
UNIT_DAYS: dict[str, tuple[str, ...]] = {
    "platform_cases": ("accepted_at", "applied_at"),
    "platform_reviews": ("reviewed_at",),
    "hotline_dispatches": ("dispatched_at",),
    "hotline_exclusions": ("requested_at", "updated_at"),
    "cms_posts": ("published_at", "updated_at"),
    "cms_media_accounts": (),
    "cms_submissions": ("submitted_at",),
}


def unit_day(dataset: str) -> str:
    """SQL for the day on which the name in a row counts; NULL where the row does not say it."""
    columns = UNIT_DAYS[dataset]
    return f"CAST(coalesce({', '.join(columns)}) AS DATE)" if columns else "CAST(NULL AS DATE)"


def resolved_pairs(connection: duckdb.DuckDBPyConnection, relation: str, names: UnitNames) -> pa.Table:
    """unit_name, day, unit_code (null: unknown then): a row for each distinct name and day of the relation."""
    pairs = connection.execute(
        f"SELECT DISTINCT unit_name, day FROM {relation} WHERE unit_name IS NOT NULL ORDER BY ALL"
    ).fetchall()
    codes = [names.resolve(name, day) for name, day in pairs]
    return pa.table(
        {
            "unit_name": pa.array([name for name, _ in pairs], pa.string()),
            "day": pa.array([day for _, day in pairs], pa.date32()),
            "unit_code": pa.array(codes, pa.string()),
        }
    )


@dataclass(frozen=True)
class Mention:
    """How many current rows of a dataset bear a name in one month of their event days (YYYY-MM)."""

    dataset: str
    unit_name: str
    month: str
    unit_code: str | None
    rows: int


def mentions(home: Home, names: UnitNames, only: str | None = None) -> list[Mention]:
    """Names of units in the current rows of everything accepted, with the unit that each means on its day.

    ``only``: rows of this name alone. A row is current as in the warehouse: the newest of its key, not deleted.
    """
    found: list[Mention] = []
    for dataset in UNIT_DAYS:
        tables = [_columns(file.path, dataset) for file in Ledger(home).accepted_files(dataset)]
        if not tables:
            continue
        with duckdb.connect(":memory:", config={"enable_external_access": "false"}) as connection:
            connection.register("staged", pa.concat_tables(tables))
            connection.execute(
                f"""
                CREATE TEMP TABLE named AS
                SELECT unit_name, coalesce({unit_day(dataset)}, last_day(CAST(_month || '-01' AS DATE))) AS day
                FROM (
                    SELECT * FROM staged QUALIFY row_number() OVER (
                        PARTITION BY _key
                        ORDER BY updated_at DESC, _month DESC, _pulled_at DESC, _file DESC, _row DESC, _landing_id DESC
                    ) = 1
                )
                WHERE NOT _deleted AND ($only IS NULL OR unit_name = $only)
                """,
                {"only": only},
            )
            connection.register("pairs", resolved_pairs(connection, "named", names))
            rows = connection.execute(
                "SELECT unit_name, strftime(day, '%Y-%m'), unit_code, count(*) FROM named JOIN pairs"
                " USING (unit_name, day) GROUP BY ALL ORDER BY ALL"
            ).fetchall()
        found += [Mention(dataset, *row) for row in rows]
    return found


@dataclass(frozen=True)
class Move:
    """Rows that change hands: from one unit (None: unknown) to another, by dataset and month."""

    dataset: str
    month: str
    before: str | None
    after: str | None
    rows: int


def moves(home: Home, before: UnitNames, after: UnitNames, alias: Alias) -> list[Move]:
    """What a change of the table does to the rows that bear the alias."""
    then = {(each.dataset, each.month, each.unit_code): each.rows for each in mentions(home, before, alias.name)}
    now = {(each.dataset, each.month, each.unit_code): each.rows for each in mentions(home, after, alias.name)}
    found = []
    for dataset, month in sorted({key[:2] for key in then.keys() | now.keys()}):
        codes = {key[2] for key in then.keys() | now.keys() if key[:2] == (dataset, month)}
        change = {code: now.get((dataset, month, code), 0) - then.get((dataset, month, code), 0) for code in codes}
        # One alias moves rows between one unit and one other place.
        gained = [code for code, rows in change.items() if rows > 0]
        lost = [code for code, rows in change.items() if rows < 0]
        if gained and lost:
            found.append(Move(dataset, month, lost[0], gained[0], change[gained[0]]))
    return found


def published_periods(home: Home, months: set[str]) -> list[str]:
    """Published periods that hold one of the months: what the next run computes again and may revise."""
    warehouse = home.current / "warehouse.duckdb"
    if not warehouse.is_file():
        return []
    with duckdb.connect(str(warehouse.resolve()), read_only=True) as connection:
        codes = connection.execute("SELECT DISTINCT period_code FROM marts.releases ORDER BY 1").fetchall()
    return [code for (code,) in codes if any(_holds(code, month) for month in months)]


def _holds(period: str, month: str) -> bool:
    first, _, last = period.partition("--")
    return Month.parse(first) <= Month.parse(month) <= Month.parse(last or first)


def _columns(path: Path, dataset: str) -> pa.Table:
    wanted = ["unit_name", "updated_at", *UNIT_DAYS[dataset]]
    own = ["_key", "_deleted", "_month", "_pulled_at", "_file", "_row", "_landing_id"]
    return pq.ParquetFile(path).read(columns=list(dict.fromkeys(wanted + own)))
