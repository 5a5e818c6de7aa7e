"""Which unit a delivered name means, for measuring a delivery; the warehouse decides the same in its staging models.

A name is trimmed and narrowed (NFKC), then looked up among the units' own names and in the alias table on the row's
event day, both ends inclusive (METRICS.md, Who counts).
"""

from __future__ import annotations

import csv
import unicodedata
from functools import cache
from pathlib import Path

import duckdb
import pyarrow as pa

from ingestion.profile import seed_file


def narrowed(name: str) -> str:
    """The name without spaces around it and with full-width letters, digits and signs made narrow."""
    return unicodedata.normalize("NFKC", name).strip()


@cache
def _seeds(units: Path, unit_aliases: Path) -> tuple[pa.Table, dict[str, str]]:
    with units.open(encoding="utf-8", newline="") as file:
        names = {row["unit_code"]: row["unit_name"] for row in csv.DictReader(file)}
    rows: list[tuple[str, str, str | None, str | None]] = [
        (narrowed(name), code, None, None) for code, name in names.items()
    ]
    with unit_aliases.open(encoding="utf-8", newline="") as file:
        rows += [
            (narrowed(row["alias"]), row["unit_code"], row["valid_from"] or None, row["valid_to"] or None)
            for row in csv.DictReader(file)
        ]
    alias, code, valid_from, valid_to = (list(column) for column in zip(*rows, strict=True))
    table = pa.table({"alias": alias, "unit_code": code, "valid_from": valid_from, "valid_to": valid_to}).cast(
        pa.schema([(name, pa.string()) for name in ("alias", "unit_code", "valid_from", "valid_to")])
    )
    return table, names


def unit_names() -> dict[str, str]:
    """unit_code -> unit_name, in the chosen county."""
    return dict(_seeds(seed_file("units.csv"), seed_file("unit_aliases.csv"))[1])


def resolve(connection: duckdb.DuckDBPyConnection) -> None:
    """Resolve the table ``named_days`` (name, day, rows), distinct names by day, into ``resolved_days``.

    ``resolved_days`` has the same grain and one column more: ``unit_code``, null where no unit bears the name then.
    """
    aliases, _ = _seeds(seed_file("units.csv"), seed_file("unit_aliases.csv"))
    raw = [
        name for (name,) in connection.execute("select distinct name from named_days where name is not null").fetchall()
    ]
    spelled = pa.table(
        {"name": pa.array(raw, pa.string()), "alias": pa.array([narrowed(name) for name in raw], pa.string())}
    )
    connection.register("spelled", spelled)
    connection.register("aliases", aliases)
    connection.execute(
        """
        create or replace temp table resolved_days as
        select named_days.name, named_days.day, named_days.rows, min(aliases.unit_code) as unit_code
        from named_days
        left join spelled using (name)
        left join aliases on aliases.alias = spelled.alias
            and (aliases.valid_from is null or named_days.day >= aliases.valid_from::date)
            and (aliases.valid_to is null or named_days.day <= aliases.valid_to::date)
        group by all
        """
    )
    connection.unregister("spelled")
    connection.unregister("aliases")
