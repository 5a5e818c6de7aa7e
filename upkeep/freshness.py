"""Freshness of each source (数据时效): the month that must be here by now, and whether it is."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ingestion.contracts import CONTRACTS, SYSTEMS
from ingestion.errors import BadParameter, Permanent
from ingestion.home import Home
from ingestion.ledger import Ledger, now
from ingestion.period import Month
from ingestion.profile import county, delivered_datasets
from ingestion.yaml_file import read_yaml
from publishing.plan import delivered_pairs


class SourceLate(Permanent):
    """A source system has not delivered a month that must be here by now."""


class Limit(BaseModel):
    """By when a system's month must be here, in the following month, Beijing time; and why so."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    day: int = Field(ge=1, le=28)
    hour: int = Field(ge=0, le=23)
    why: str = Field(min_length=1)

    def due_month(self, at: dt.datetime) -> Month:
        """The newest month whose limit has passed at this moment (Beijing)."""
        this = Month.parse(f"{at:%Y-%m}")
        passed = at >= dt.datetime(at.year, at.month, self.day, self.hour)  # noqa: DTZ001 - Beijing wall time
        return this.plus(-1 if passed else -2)


@dataclass(frozen=True)
class Freshness:
    """One dataset: what is due, what is there, how old that is (days since the newest accepted pull; None: never)."""

    system: str
    dataset: str
    title: str
    due: str
    newest: str | None
    #: Months from the first delivered to the due one that are not there.
    missing: tuple[str, ...]
    age_days: float | None

    @property
    def late(self) -> bool:
        return bool(self.missing)


@cache
def limits() -> dict[str, Limit]:
    """system -> its limit; raises BadParameter where a system has none, or one is no system."""
    content = read_yaml(Path(__file__).with_name("freshness.yaml"))
    found = TypeAdapter(dict[str, Limit]).validate_python(content)
    if set(found) != set(SYSTEMS):
        raise BadParameter(f"freshness.yaml must name exactly the systems {', '.join(SYSTEMS)}")
    return found


def freshness(home: Home, at: dt.datetime | None = None) -> list[Freshness]:
    """Freshness of every dataset that the county delivers, by system; ``at`` (Beijing) instead of now."""
    moment = at or now()
    pairs = delivered_pairs(home)
    newest_pull: dict[str, dt.datetime] = {}
    for file in Ledger(home).accepted_files():
        newest_pull[file.dataset] = max(file.pulled_at, newest_pull.get(file.dataset, file.pulled_at))
    found = []
    for system, datasets in SYSTEMS.items():
        for dataset in [name for name in datasets if name in delivered_datasets()]:
            months = {month for name, month in pairs if name == dataset}
            due = _due(dataset, limits()[system], moment)
            pulled = newest_pull.get(dataset)
            age = round((moment - pulled).total_seconds() / 86_400, 2) if pulled else None
            newest = max(months, default=None)
            title = CONTRACTS[dataset].title
            found.append(Freshness(system, dataset, title, str(due), newest, _missing(months, due), age))
    return found


def check(home: Home, system: str, at: dt.datetime | None = None) -> None:
    """Raises SourceLate that names the datasets and months of this system which are not here."""
    late = [each for each in freshness(home, at) if each.system == system and each.late]
    if late:
        told = "; ".join(f"{each.dataset} ({each.title}) lacks {_shown(each.missing)}" for each in late)
        limit = limits()[system]
        raise SourceLate(f"{system} is late: {told}; due by the {limit.day}th {limit.hour:02d}:00 of the next month")


def _due(dataset: str, limit: Limit, moment: dt.datetime) -> Month:
    """The newest month due; of a dataset that is delivered for several months at once, the last whole lot of them."""
    due = limit.due_month(moment)
    profile = county()
    described = profile.datasets.get(dataset) if profile else None
    return due.plus(1 - described.covers_months) if described else due


def _missing(months: set[str], due: Month) -> tuple[str, ...]:
    month = Month.parse(min(months)) if months and min(months) <= str(due) else due
    found = []
    while str(month) <= str(due):
        if str(month) not in months:
            found.append(str(month))
        month = month.plus(1)
    return tuple(found)


def _shown(months: tuple[str, ...]) -> str:
    return ", ".join(months) if len(months) <= 3 else f"{months[0]} … {months[-1]} ({len(months)} months)"
