"""Small cells (小数保护): which figures about people are too small to be printed, and which would give them away.

Whatever is public (the ranking tables, the notice, the page) asks here, so that two of them never together tell what
each of them hides. The warehouse itself is internal and complete. The rule and its limits: docs/decisions/0011.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from ingestion.period import Period
from publishing import programme, ranges, suppression
from publishing.suppression import Sum, suppress

#: A figure about fewer people than this, and more than none, is not printed. The only place that says so.
THRESHOLD = 5

#: What stands in print where a figure is withheld, and the note that goes with it.
MARK = "＊"
NOTE = f"{MARK}：涉及不足{THRESHOLD}人次的数据不予公布；个别数据一并隐去，以防由合计推算。"

#: Areas whose figures count posts, accounts and papers. Any other area is taken to count people.
AREAS_WITHOUT_PEOPLE = frozenset({"website", "media", "reform", "governance"})

#: Figures that tell an outcome, and the one that tells how many people it is about; of other figures it is their own
#: denominator, or they count people themselves.
_ABOUT = {
    "cases_overdue": "case_on_time_rate",
    "speedup_rate": "cases_accepted",
    "tickets_closed": "tickets_received",
    "calls_per_day": "calls_in",
}

#: Running totals: no sum of the periods that they cover.
_RUNNING = "_to_date"

#: What decides: a decision of other code is not taken over.
_CODE = (__file__, suppression.__file__, ranges.__file__, programme.__file__)

#: How many people each figure is about: of a unit, and (unit empty) of the county.
_SIZES = """
SELECT period_code, unit_code, area, metric AS figure, coalesce(denominator, numerator) AS size
FROM marts.unit_metrics WHERE NOT list_contains($areas, area)
UNION ALL
SELECT period_code, '', area, figure,
    CASE WHEN contains(figure, '/') THEN numerator ELSE coalesce(denominator, numerator) END
FROM marts.period_totals WHERE NOT list_contains($areas, area)
"""
_DIGESTS = f"""
SELECT left(period_code, 4) AS year, sha256(string_agg(cell, chr(10) ORDER BY cell)) FROM (
    SELECT period_code, concat(period_code, ';', unit_code, ';', area, ';', figure, ';', size) AS cell FROM ({_SIZES})
) GROUP BY ALL ORDER BY ALL
"""
_OF_YEAR = f"""
SELECT * FROM ({_SIZES}) WHERE left(period_code, 4) = $year
ORDER BY unit_code = '', period_code, unit_code, area, figure
"""


@dataclass(frozen=True)
class Withheld:
    """What may not be printed of one warehouse: a unit's metrics (value, numerator, denominator, interval, points) and
    the county's totals (value, numerator, denominator). A score or rank stays in print: it is no sum of its metrics."""

    metrics: frozenset[tuple[str, str, str, str]]
    totals: frozenset[tuple[str, str, str]]
    #: The same year by year, under the digest of what each was decided of.
    years: Mapping[str, Withheld] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection, earlier: Mapping[str, Withheld] | None = None) -> Withheld:
        """Decides for every period's newest revision: of a year at once, for its periods are parts of one another. No
        sum crosses the years. A year that is decided of the same as in ``earlier`` is not decided again."""
        asked: dict[str, Any] = {"areas": sorted(AREAS_WITHOUT_PEOPLE)}
        code = b"".join(Path(module).read_bytes() for module in _CODE)
        years = {}
        for year, figures in connection.execute(_DIGESTS, asked).fetchall():
            made_of = hashlib.sha256(code + figures.encode()).hexdigest()
            if (known := (earlier or {}).get(made_of)) is None:
                known = _withheld(connection.execute(_OF_YEAR, asked | {"year": year}).fetchall())
            years[made_of] = known
        return cls(
            metrics=frozenset().union(*(year.metrics for year in years.values())),
            totals=frozenset().union(*(year.totals for year in years.values())),
            years=years,
        )

    def write(self, path: Path) -> None:
        """Writes what ``read`` reads: the decisions of each year, no figure."""
        content = {
            digest: {"metrics": sorted(year.metrics, key="\n".join), "totals": sorted(year.totals, key="\n".join)}
            for digest, year in self.years.items()
        }
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> dict[str, Withheld]:
        """The decisions that ``write`` left, under the digests of what they were made of."""
        return {
            digest: cls(frozenset(map(tuple, year["metrics"])), frozenset(map(tuple, year["totals"])))
            for digest, year in json.loads(path.read_text(encoding="utf-8")).items()
        }

    def metric(self, period: str, unit: str, area: str, metric: str) -> bool:
        """Is this metric of the unit withheld?"""
        return (period, unit, area, metric) in self.metrics

    def total(self, period: str, area: str, figure: str) -> bool:
        """Is this figure of ``period_totals`` withheld?"""
        return (period, area, figure) in self.totals


#: A cell: period, unit (empty: the county), area, the figure that counts its people.
_Place = tuple[str, str, str, str]


def _withheld(figures: list[tuple[Any, ...]]) -> Withheld:
    sizes: dict[_Place, int] = {tuple(place): int(size or 0) for *place, size in figures}
    people = _people(sizes)
    cell_of = {of: (*of[:3], people[of[2:]]) for of in sizes}
    cells = {cell: sizes.get(cell, sizes[of]) for of, cell in cell_of.items()}
    sums = [*_sums_of_units(cells), *_sums_of_parts(cells, people), *_sums_of_periods(cells)]
    hidden = suppress(cells, sums, THRESHOLD)
    # A unit's dispatches and the tickets among them (dispatched/unit=…) are nearly one number: both or neither.
    for period, unit, area, figure in [of for of, cell in cell_of.items() if cell in hidden]:
        whole, mark, part = figure.partition("/unit=")
        twin = (period, part, area, whole) if mark else (period, "", area, f"{figure}/unit={unit}")
        hidden |= {cell_of[twin]} if twin in sizes else set()
    shut = [of for of, cell in cell_of.items() if cell in hidden]
    return Withheld(
        metrics=frozenset(of for of in shut if of[1]),
        totals=frozenset((period, area, figure) for period, unit, area, figure in shut if not unit),
    )


def _people(sizes: Mapping[_Place, int]) -> dict[tuple[str, ...], str]:
    """(area, figure) -> the figure that stands for all that count the same people of every unit."""
    columns: dict[tuple[str, ...], set[tuple[str, str, int]]] = defaultdict(set)
    for (period, unit, area, figure), size in sizes.items():
        columns[area, figure] |= {(period, unit, size)} if unit else set()
    first: dict[Hashable, str] = {}
    same = {
        (area, figure): first.setdefault((area, frozenset(column)), figure) if column else figure
        for (area, figure), column in sorted(columns.items())
    }
    return {(area, figure): same.get((area, _ABOUT.get(figure, "")), own) for (area, figure), own in same.items()}


def _sums_of_units(cells: Mapping[_Place, int]) -> Iterator[Sum[_Place]]:
    units = defaultdict(list)
    for period, unit, area, figure in cells:
        if unit:
            units[period, area, figure].append((period, unit, area, figure))
    for (period, area, figure), parts in units.items():
        yield (period, "", area, figure), parts


def _sums_of_parts(cells: Mapping[_Place, int], people: Mapping[tuple[str, ...], str]) -> Iterator[Sum[_Place]]:
    dimensions = defaultdict(list)
    for period, unit, area, figure in cells:
        whole, mark, part = figure.partition("/")
        if mark and not unit:
            dimensions[period, area, whole, part.partition("=")[0]].append((period, "", area, figure))
    for (period, area, whole, _), parts in dimensions.items():
        yield (period, "", area, people.get((area, whole), whole)), parts


def _sums_of_periods(cells: Mapping[_Place, int]) -> Iterator[Sum[_Place]]:
    figures = defaultdict(set)
    for period, unit, area, figure in cells:
        if _RUNNING not in figure:
            figures[unit, area, figure].add(period)
    tiled: dict[frozenset[str], list[tuple[str, list[str]]]] = {}
    for (unit, area, figure), codes in figures.items():
        among = frozenset(codes)
        if among not in tiled:
            tiled[among] = list(_tilings(among))
        for whole, parts in tiled[among]:
            yield (whole, unit, area, figure), [(part, unit, area, figure) for part in parts]


def _tilings(codes: frozenset[str]) -> Iterator[tuple[str, list[str]]]:
    """Each period with the shorter ones of one length that make it up, for every length that is there whole."""
    periods = [Period.parse(code) for code in sorted(codes)]
    for whole in periods:
        for length in sorted({len(period) for period in periods if len(period) < len(whole)}):
            parts = [p for p in periods if len(p) == length and whole.first <= p.first and p.last <= whole.last]
            if len(parts) * length == len(whole):
                yield whole.code, [part.code for part in parts]
