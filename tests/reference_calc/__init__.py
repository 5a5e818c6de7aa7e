"""The rankings calculated a second time, in plain pandas, from METRICS.md and EXPORTS.md alone.

What the warehouse publishes is compared with this, figure by figure. It shares no code, no SQL and no contract with
ingestion or dbt: only the county's own tables (units, aliases, calendar overrides) are common to both.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tests.reference_calc.asof import View, view
from tests.reference_calc.calendar_ import PeriodOfMonths, WorkingDays
from tests.reference_calc.metrics import unit_months
from tests.reference_calc.read_exports import Exports, read_exports
from tests.reference_calc.scores import missing_datasets, unit_metrics, unit_rankings, unit_scores
from tests.reference_calc.totals import period_totals
from tests.reference_calc.units import UnitNames

BEIJING = dt.timezone(dt.timedelta(hours=8))

__all__ = ["Exports", "Result", "calculate"]


@dataclass
class Result:
    """The four tables of METRICS.md for every period asked for (without ``release``), and what they stand on.

    ``unit_metrics`` has one column more, ``sd`` of the points. ``unit_months`` is the additive grain unit × month ×
    metric as each period sees it. ``current`` has the Chinese headers of the exports.
    """

    unit_metrics: pd.DataFrame
    unit_scores: pd.DataFrame
    unit_rankings: pd.DataFrame
    period_totals: pd.DataFrame
    unit_months: pd.DataFrame
    current: dict[str, pd.DataFrame]
    quarantine: pd.DataFrame
    refused: pd.DataFrame
    exports: Exports


def calculate(
    exports: Path | str,
    periods: Sequence[str],
    *,
    pulled_at: dt.datetime | None = None,
    units: Path | pd.DataFrame | None = None,
    aliases: Path | pd.DataFrame | None = None,
    calendar_overrides: Mapping[dt.date, bool] | None = None,
) -> Result:
    """Calculate the periods (``2022-07``, ``2022-07--2022-08``) from an exports folder.

    ``pulled_at`` is the moment of the pull in Beijing wall time, now if not given; ``units`` and ``aliases`` are the
    seeds' paths or frames. A period with a delivery missing is calculated as provisional.
    """
    names = UnitNames(units, aliases)
    calendar = WorkingDays(calendar_overrides)
    moment = pulled_at or dt.datetime.now(BEIJING).replace(tzinfo=None)
    read = read_exports(Path(exports), moment, names)
    known: dict[str, _Period] = {}
    for code in periods:
        for period in (PeriodOfMonths.parse(code), PeriodOfMonths.parse(code).previous):
            if period.code not in known:
                known[period.code] = _Period.of(read, period, names, calendar)
    asked = [known[code] for code in periods]
    rankings = []
    for one in asked:
        earlier = known[one.view.period.previous.code]
        rankings.append(unit_rankings(one.view, one.scores, None if earlier.missing else earlier.ranks()))
    return Result(
        unit_metrics=_stack([one.metrics for one in asked]),
        unit_scores=_stack([one.scores for one in asked]),
        unit_rankings=_stack(rankings),
        period_totals=_stack([period_totals(one.view, one.sums) for one in asked]),
        unit_months=pd.concat([one.sums.assign(period_code=one.view.period.code) for one in asked], ignore_index=True),
        current=read.current,
        quarantine=read.quarantine,
        refused=read.refused,
        exports=read,
    )


def _stack(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """The periods' tables in one; what is empty in a text column is None."""
    table = pd.concat(tables, ignore_index=True)
    for name in ("null_reason", "veto_reason", "list"):
        if name in table:
            table[name] = pd.Series([None if pd.isna(value) else value for value in table[name]], dtype=object)
    for name in ("rank", "rank_best", "rank_worst", "rank_change"):
        if name in table:
            table[name] = table[name].astype("Int64")
    return table


@dataclass
class _Period:
    """One period up to its scores; ranks need the earlier one."""

    view: View
    missing: set[str]
    sums: pd.DataFrame
    metrics: pd.DataFrame
    scores: pd.DataFrame

    @classmethod
    def of(cls, read: Exports, period: PeriodOfMonths, units: UnitNames, calendar: WorkingDays) -> _Period:
        media_months = read.accepted["cms_media_posts"]
        seen = view(read.current, period, units, calendar, min(media_months, default=None))
        missing = missing_datasets(seen, read.accepted)
        sums = unit_months(seen)
        metrics = unit_metrics(seen, sums, missing)
        return cls(seen, missing, sums, metrics, unit_scores(seen, metrics, missing))

    def ranks(self) -> pd.DataFrame:
        return unit_rankings(self.view, self.scores, None)
