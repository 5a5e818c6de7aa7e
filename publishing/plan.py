"""Which periods can be released, and what the others wait for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

from ingestion.errors import BadParameter
from ingestion.home import Home
from ingestion.ledger import Ledger
from ingestion.period import Month, Period, periods_ending_with
from ingestion.profile import county, delivered_datasets
from publishing import releases


@dataclass(frozen=True)
class Plan:
    """Period codes that can be released, and for the others the deliveries they wait for.

    ``waiting`` is period code -> missing (dataset, month), sorted; ``early``: period code -> its cut-off (Beijing
    time), where all is delivered and that is still to come.
    """

    publish: list[str] = field(default_factory=list)
    waiting: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    early: dict[str, dt.datetime] = field(default_factory=dict)

    def reasons(self) -> dict[str, list[str]]:
        """In words what each period that cannot be released waits for."""
        lacking = {code: [f"{dataset} {month}" for dataset, month in pairs] for code, pairs in self.waiting.items()}
        return lacking | {code: [f"its cut-off 截止 {cut_off}"] for code, cut_off in self.early.items()}


def missing_deliveries(period: Period, delivered: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """The (dataset, month) pairs of the period that no accepted delivery covers, by month, then dataset."""
    wanted = [(dataset, str(month)) for month in period.months for dataset in sorted(delivered_datasets())]
    return [pair for pair in wanted if pair not in delivered]


def delivered_pairs(home: Home, ledger: Ledger | None = None) -> set[tuple[str, str]]:
    """Every (dataset, month) that an accepted delivery stands for, of the datasets that the county delivers.

    ``ledger`` is the home's at one moment, where other things are read of it too.
    """
    pairs = {(dataset, str(month)) for dataset, month in (ledger or Ledger(home)).delivered_months()}
    profile = county()
    if profile is None:
        return pairs
    return {
        (dataset, covered)
        for dataset, month in pairs
        if dataset in profile.datasets
        for covered in profile.months_covered(dataset, month)
    }


def plan(home: Home, month: str | None = None, periods: Iterable[str] | None = None) -> Plan:
    """Decides which periods can be released: those whose months have all been delivered by all
    datasets of the county (the ten, or those of its profile), once their cut-off is past: what has still to happen
    would count as not done.

    ``month`` stands for the periods that ended with it; ``periods`` names them; with neither, every period that the
    delivered months complete is meant. Both at once, or a code that is no period, raise BadParameter.
    """
    if month is not None and periods is not None:
        raise BadParameter("give a month or periods, not both")
    delivered = delivered_pairs(home)
    if periods is not None:
        wanted = [Period.parse(code) for code in dict.fromkeys(periods)]
    elif month is not None:
        wanted = periods_ending_with(Month.parse(month))
    else:
        months = sorted({code for _, code in delivered})
        ended = [period for code in months for period in periods_ending_with(Month.parse(code))]
        wanted = [period for period in ended if not missing_deliveries(period, delivered)]
    missing = {period.code: missing_deliveries(period, delivered) for period in wanted}
    now = releases.beijing_now()
    early = {period.code: period.cut_off for period in wanted if not missing[period.code] and period.cut_off >= now}
    return Plan(
        publish=[code for code, pairs in missing.items() if not pairs and code not in early],
        waiting={code: pairs for code, pairs in missing.items() if pairs},
        early=early,
    )
