"""Which unit a delivered name means, for measuring a delivery; the warehouse decides the same in its staging models.

A name is trimmed and narrowed (NFKC), then looked up among the units' own names and in the alias table on the row's
event day, both ends inclusive (METRICS.md, Who counts).
"""

from __future__ import annotations

import csv
import datetime as dt
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from ingestion.profile import seed_file


def narrowed(name: str) -> str:
    """The name without spaces around it and with full-width letters, digits and signs made narrow."""
    return unicodedata.normalize("NFKC", name).strip()


#: Code of a unit and the first and last day on which a name is its name; None is open.
_Bearer = tuple[str, dt.date | None, dt.date | None]


@cache
def _seeds(units: Path, unit_aliases: Path) -> tuple[dict[str, list[_Bearer]], dict[str, str]]:
    """Narrowed name -> who bears it, and unit_code -> unit_name."""
    with units.open(encoding="utf-8", newline="") as file:
        names = {row["unit_code"]: row["unit_name"] for row in csv.DictReader(file)}
    bearers: dict[str, list[_Bearer]] = {}
    for code, name in names.items():
        bearers.setdefault(narrowed(name), []).append((code, None, None))
    with unit_aliases.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            first, last = (dt.date.fromisoformat(row[at]) if row[at] else None for at in ("valid_from", "valid_to"))
            bearers.setdefault(narrowed(row["alias"]), []).append((row["unit_code"], first, last))
    return bearers, names


def unit_names() -> dict[str, str]:
    """unit_code -> unit_name, in the chosen county."""
    return dict(_seeds(seed_file("units.csv"), seed_file("unit_aliases.csv"))[1])


def resolve(named: Sequence[tuple[str | None, dt.date | None]]) -> list[str | None]:
    """The unit_code of each name on its day, None where no unit bears the name then; the smaller one where two do."""
    bearers, _ = _seeds(seed_file("units.csv"), seed_file("unit_aliases.csv"))
    borne = {name: bearers.get(narrowed(name), []) if name is not None else [] for name in {name for name, _ in named}}
    return [
        min((code for code, first, last in borne[name] if _is_within(day, first, last)), default=None)
        for name, day in named
    ]


def _is_within(day: dt.date | None, first: dt.date | None, last: dt.date | None) -> bool:
    if day is None:
        return first is None and last is None
    return (first is None or first <= day) and (last is None or day <= last)
