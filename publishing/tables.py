"""The ranking tables that people open: one per period and area, as CSV, XLSX and Parquet, all from the served file."""

from __future__ import annotations

import csv
import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion import engine
from publishing import workbook
from publishing.labels import labels, period_name, reason_text
from publishing.small_cells import THRESHOLD, Withheld

if TYPE_CHECKING:
    import pandas as pd

#: What would make Excel read a text as a formula: also behind blanks, also the full-width twins.
_FORMULA = re.compile(r"^\s*[=+\-−@\t\r\n＝＋－＠]|^[\t\r\n]")

_RANKINGS = """
SELECT r.period_code, r.area, r.unit_group, r.unit_code, r.unit_name, r.score::DOUBLE AS score, r.rank, r.tied,
       r.rank_best, r.rank_worst, r.rank_change, r.list, r.most_improved, r.null_reason, s.veto_reason
FROM marts.unit_rankings r
LEFT JOIN marts.unit_scores s USING (period_code, area, unit_code)
WHERE $periods::VARCHAR[] IS NULL OR list_contains($periods::VARCHAR[], r.period_code)
ORDER BY r.period_code, r.area, r.unit_group DESC, r.rank NULLS LAST, r.unit_code
"""

#: Values beside the score: an area's scored metrics, or for the overall ranking the areas' scores.
_VALUES = """
SELECT m.period_code, m.area, m.unit_code, m.metric, d.name_zh AS label, d.metric_order AS place, m.value,
    d.kind AS kind
FROM marts.unit_metrics m
JOIN core.dim_metric d USING (rule_set, area, metric)
WHERE d.weight IS NOT NULL
    AND ($periods::VARCHAR[] IS NULL OR list_contains($periods::VARCHAR[], m.period_code))
UNION ALL
SELECT s.period_code, 'overall', s.unit_code, NULL, a.name_zh, a.area_order, round(s.score, 2)::DOUBLE, 'score'
FROM marts.unit_scores s
JOIN core.dim_area a USING (rule_set, area)
WHERE $periods::VARCHAR[] IS NULL OR list_contains($periods::VARCHAR[], s.period_code)
"""

#: The newest revision of each released period.
_RELEASES = """
SELECT * FROM marts.releases
QUALIFY row_number() OVER (PARTITION BY period_code ORDER BY revision DESC) = 1
"""


#: Columns that hold whole numbers; other numbers are doubles.
_WHOLE = ("rank", "rank_change")


@dataclass(frozen=True)
class RankingTable:
    """One table: a row per ranked unit of a period in an area, columns with Chinese headers; an empty cell is None or,
    of a text, empty.

    ``kinds`` says how a column is printed: share (0 to 1), score, count, change; any other is text.
    """

    period_code: str
    area: str
    title: str
    columns: dict[str, list[Any]]
    kinds: dict[str, str]
    notes: list[str]
    released_at: Any
    release: str

    def arrow(self) -> pa.Table:
        """The table, typed; without metadata, so that the same rows give the same bytes whatever wrote them."""
        whole = {labels()["columns"][name] for name in _WHOLE}
        types = {
            name: pa.large_string() if name not in self.kinds else pa.int64() if name in whole else pa.float64()
            for name in self.columns
        }
        return pa.table({name: pa.array(cells, types[name]) for name, cells in self.columns.items()})

    @property
    def frame(self) -> pd.DataFrame:
        """The table as a frame, whose whole numbers stay whole."""
        import pandas as pd  # for readers of single tables

        return self.arrow().to_pandas(
            types_mapper={pa.int64(): pd.Int64Dtype(), pa.float64(): pd.Float64Dtype()}.get  # type: ignore[arg-type]
        )


def guarded(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would take it for a formula."""
    return "'" + text if _FORMULA.match(text) else text


def ranking_tables(
    warehouse: Path,
    periods: Collection[str] | None = None,
    withheld: Withheld | None = None,
    only: Collection[str] | None = None,
) -> Iterator[RankingTable]:
    """The tables of the served file: released periods in order (only ``periods`` where given), ``overall`` and each
    area of their rule set; ``only`` names the tables wanted (``<period>/<area>``); ``withheld`` is what the file's
    figures withhold, where the caller knows it already."""
    if only is not None:
        periods = {name.partition("/")[0] for name in only}
    with engine.connect(warehouse, read_only=True) as connection:
        asked = {"periods": None if periods is None else sorted(periods)}
        rankings = _records(connection, _RANKINGS, asked)
        values = _records(connection, _VALUES, asked)
        released = {release["period_code"]: release for release in _records(connection, _RELEASES)}
        withheld = withheld or Withheld.of(connection)
        names = dict(connection.execute("SELECT area, any_value(name_zh) FROM core.dim_area GROUP BY area").fetchall())
    names["overall"] = labels()["overall"]
    values_of = defaultdict(list)
    for value in values:
        values_of[value["period_code"], value["area"]].append(value)
    for (period, area), rows in groupby(rankings, itemgetter("period_code", "area")):
        if period in released and (only is None or f"{period}/{area}" in only):
            measured = _measured(values_of[period, area], withheld)
            yield _table(list(rows), measured, names.get(area, area), released[period])


def _records(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    result = connection.execute(query, parameters)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def write_tables(
    warehouse: Path, folder: Path, only: Collection[str] | None = None, withheld: Withheld | None = None
) -> list[Path]:
    """Writes ``<period>/<area>.csv|.xlsx|.parquet`` under ``folder``, of ``only`` these tables or all; returns the
    paths."""
    written = []
    for table in ranking_tables(warehouse, None, withheld, only):
        stem = folder / table.period_code / table.area
        stem.parent.mkdir(parents=True, exist_ok=True)
        with stem.with_suffix(".csv").open("w", encoding="utf-8-sig", newline="") as file:
            rows = csv.writer(file, lineterminator="\r\n")
            rows.writerow(table.columns)
            rows.writerows(zip(*table.columns.values(), strict=True))
        pq.write_table(table.arrow(), stem.with_suffix(".parquet"))
        workbook.write(table, stem.with_suffix(".xlsx"))
        written += [stem.with_suffix(suffix) for suffix in (".csv", ".parquet", ".xlsx")]
    return written


def made_of(warehouse: Path, withheld: Withheld) -> dict[str, str]:
    """Table (``<period>/<area>``) -> hex SHA-256 of what it is made of: the period's release, what is withheld of it,
    names and order of metrics, labels, this code. Where two files give the same, the table has the same bytes."""
    common = hashlib.sha256()
    for path in (Path(__file__), Path(workbook.__file__), Path(__file__).with_name("labels.yaml")):
        common.update(path.read_bytes())
    with engine.connect(warehouse, read_only=True) as connection:
        for table in ("dim_metric", "dim_area"):
            common.update(repr(connection.execute(f"SELECT * FROM core.{table} ORDER BY ALL").fetchall()).encode())
        tables = connection.execute(
            "SELECT DISTINCT period_code, area, release FROM marts.unit_rankings ORDER BY ALL"
        ).fetchall()
    cells = defaultdict(list)
    for cell in withheld.metrics:
        cells[cell[0], cell[2]].append(cell)
    digests = {}
    for period, area, release in tables:
        digest = common.copy()
        digest.update(repr((release, sorted(cells[period, area]))).encode())
        digests[f"{period}/{area}"] = digest.hexdigest()
    return digests


@dataclass
class _Measured:
    """A column of values: unit -> value, None where it is withheld."""

    kind: str
    place: int
    values: dict[str, float | None] = field(default_factory=dict)
    withheld: set[str] = field(default_factory=set)


def _measured(values: Sequence[dict[str, Any]], withheld: Withheld) -> dict[str, _Measured]:
    """Values of one table by their column's header, in the order of the columns."""
    found: dict[str, _Measured] = {}
    for each in values:
        column = found.setdefault(each["label"], _Measured(each["kind"], each["place"]))
        unit = each["unit_code"]
        if withheld.metric(each["period_code"], unit, each["area"], each["metric"]):
            column.withheld.add(unit)
        else:
            column.values[unit] = each["value"]
    return dict(sorted(found.items(), key=lambda item: item[1].place))


def _table(
    rows: Sequence[dict[str, Any]], measured: dict[str, _Measured], area_name: str, release: dict[str, Any]
) -> RankingTable:
    words, column = labels(), labels()["columns"]
    period, area = rows[0]["period_code"], rows[0]["area"]
    units = [row["unit_code"] for row in rows]
    columns: dict[str, list[Any]] = {
        column["unit_group"]: [words["groups"].get(row["unit_group"], row["unit_group"]) for row in rows],
        column["rank"]: [row["rank"] for row in rows],
        column["unit_name"]: [guarded(row["unit_name"]) for row in rows],
        column["score"]: [row["score"] for row in rows],
        column["interval"]: [_interval(row["rank_best"], row["rank_worst"]) for row in rows],
        column["rank_change"]: [row["rank_change"] for row in rows],
        column["list"]: [_lists(row["list"], row["most_improved"]) for row in rows],
    }
    kinds = {column["rank"]: "count", column["score"]: "score", column["rank_change"]: "change"}
    for label, each in measured.items():
        columns[label] = [each.values.get(unit) for unit in units]
        kinds[label] = each.kind
    hidden = [_hidden([label for label, each in measured.items() if unit in each.withheld]) for unit in units]
    columns[column["remark"]] = [
        _remark(row["tied"], row["veto_reason"], row["null_reason"], text)
        for row, text in zip(rows, hidden, strict=True)
    ]
    notes = [
        note.format(
            rule_set=release["rule_set"],
            cut_off=release["cut_off"],
            revision=release["revision"],
            release=release["release"],
            released_at=release["released_at"],
        )
        for note in words["notes"]
    ]
    if any(hidden):
        notes.append(words["small_cells"].format(threshold=THRESHOLD))
    if release["revision"] > 1 and release["reason"]:
        notes.append(guarded(words["revised"].format(reason=release["reason"])))
    title = words["title"].format(period=period_name(period), area=area_name)
    return RankingTable(
        period,
        area,
        title,
        columns,
        kinds,
        notes,
        release["released_at"],
        release["release"],
    )


def _interval(best: int | None, worst: int | None) -> str:
    if best is None or worst is None:
        return ""
    return f"{best}" if best == worst else f"{best}—{worst}"


def _lists(kind: str | None, improved: bool | None) -> str:
    marks = labels()["lists"]
    shown = [marks[kind]] if kind in marks else []
    if improved:
        shown.append(marks["most_improved"])
    return "、".join(shown)


def _hidden(names: Sequence[str]) -> str:
    """What is withheld of a unit as too small to print, in words; the cells themselves are empty."""
    return labels()["withheld"].format(metrics="、".join(names)) if names else ""


def _remark(tied: bool | None, veto: str | None, null_reason: str | None, hidden: str) -> str:
    shown = [labels()["tied"]] if tied else []
    shown += [text for text in (reason_text(veto), reason_text(null_reason), hidden) if text]
    return guarded("；".join(shown))
