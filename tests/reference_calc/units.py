"""Who counts: units, their groups, and the unit that a name means on a day."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pandas as pd

UNMAPPED = "UNMAPPED"
SEEDS = Path(__file__).parents[2] / "dbt_project" / "seeds"


def _narrow(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip()


class UnitNames:
    """The table of units and the names each was known by, both ends of an alias' validity inclusive."""

    def __init__(self, units: Path | pd.DataFrame | None = None, aliases: Path | pd.DataFrame | None = None) -> None:
        self.units = _table(units, SEEDS / "units.csv")
        self.units["ranked"] = self.units["ranked"].str.lower() == "true"
        self._names: dict[str, list[tuple[pd.Timestamp, pd.Timestamp, str]]] = {}
        for name, code in self.units[["unit_name", "unit_code"]].to_numpy():
            self._add(name, "", "", code)
        known = _table(aliases, SEEDS / "unit_aliases.csv")
        for name, valid_from, valid_to, code in known[["alias", "valid_from", "valid_to", "unit_code"]].to_numpy():
            self._add(name, valid_from, valid_to, code)

    def _add(self, name: str, valid_from: str, valid_to: str, code: str) -> None:
        first = pd.Timestamp(valid_from) if valid_from else pd.Timestamp("1900-01-01")
        last = pd.Timestamp(valid_to) if valid_to else pd.Timestamp("2200-01-01")
        self._names.setdefault(_narrow(name), []).append((first, last, code))

    @property
    def ranked(self) -> pd.DataFrame:
        """unit_code, unit_name, unit_group of the units that are ranked."""
        return self.units[self.units["ranked"]].reset_index(drop=True)

    def unit_on(self, name: str | None, day: pd.Timestamp) -> str:
        """The code of the unit that this (narrowed) name means on the day; UNMAPPED where it means none."""
        for first, last, code in self._names.get(name or "", []):
            if first <= day <= last:
                return code
        return UNMAPPED

    def resolve(self, names: pd.Series, days: pd.Series) -> pd.Series:
        """Code by row; ``days`` may carry a time of day."""
        pairs = pd.DataFrame({"name": names, "day": days.dt.normalize()})
        known = pairs.drop_duplicates()
        codes = [self.unit_on(name, day) for name, day in zip(known["name"], known["day"], strict=True)]
        merged = pairs.merge(known.assign(code=pd.Series(codes, index=known.index, dtype=object)), how="left")
        return pd.Series(merged["code"].to_numpy(dtype=object), index=names.index, dtype=object)


def _table(source: Path | pd.DataFrame | None, default: Path) -> pd.DataFrame:
    if isinstance(source, pd.DataFrame):
        return source.astype(str).replace({"nan": "", "None": "", "NaT": ""})
    return pd.read_csv(source or default, dtype=str, keep_default_na=False)
