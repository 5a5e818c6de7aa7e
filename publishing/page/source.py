"""The published file as the page reads it: one connection, the periods that are shown, names, records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from publishing.inputs import literal

#: Months that the page goes back, the newest included; earlier ones are in the tables to download.
MONTHS_SHOWN = 12

_SHOWN = f"""
CREATE TEMP TABLE shown_periods AS
WITH released AS (
    SELECT periods.period_code, periods.period_type, periods.months, periods.first_month, periods.last_month,
        periods.first_day, periods.last_day, periods.previous_period_code
    FROM core.dim_period AS periods
    JOIN marts.newest_releases USING (period_code)
)
SELECT * FROM released
WHERE last_day > (SELECT last_day(max(last_day) - INTERVAL {MONTHS_SHOWN} MONTH) FROM released)
"""


class Source:
    """A published warehouse file with the views of derived.sql over it. Close it, or use it in ``with``."""

    def __init__(self, warehouse: Path) -> None:
        self.connection = duckdb.connect()
        # Names without a catalog are looked up in the file; it is attached for reading only.
        self.connection.execute(f"ATTACH {literal(str(warehouse))} AS published (READ_ONLY)")
        self.connection.execute("USE published")
        self.connection.execute(_SHOWN)
        self.connection.execute(Path(__file__).with_name("derived.sql").read_text(encoding="utf-8"))

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def records(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query as dicts; decimals as floats, nulls as None."""
        result = self.connection.execute(sql)
        names = [column[0] for column in result.description or []]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def by(self, sql: str, *keys: str) -> dict[Any, list[dict[str, Any]]]:
        """The rows of a query in lists by one key, or by several as tuples."""
        found: dict[Any, list[dict[str, Any]]] = {}
        for record in self.records(sql):
            key = record[keys[0]] if len(keys) == 1 else tuple(record[name] for name in keys)
            found.setdefault(key, []).append(record)
        return found
