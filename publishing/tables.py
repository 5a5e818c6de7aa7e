"""The ranking tables that people open: one per period and area, as CSV, XLSX and Parquet, all from the served file."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ingestion import engine
from publishing import workbook
from publishing.labels import labels, period_name, reason_text
from publishing.small_cells import THRESHOLD, Withheld

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
SELECT s.period_code, 'overall', s.unit_code, NULL, a.name_zh, a.area_order, round(s.score, 2), 'score'
FROM marts.unit_scores s
JOIN core.dim_area a USING (rule_set, area)
WHERE $periods::VARCHAR[] IS NULL OR list_contains($periods::VARCHAR[], s.period_code)
"""

#: The newest revision of each released period.
_RELEASES = """
SELECT * FROM marts.releases
QUALIFY row_number() OVER (PARTITION BY period_code ORDER BY revision DESC) = 1
"""


@dataclass(frozen=True)
class RankingTable:
    """One table: a row per ranked unit of a period in an area, columns with Chinese headers.

    ``kinds`` says how a column is printed: share (0 to 1), score, count, change, text.
    """

    period_code: str
    area: str
    title: str
    frame: pd.DataFrame
    kinds: dict[str, str]
    notes: list[str] = field(default_factory=list)
    released_at: Any = None
    release: str = ""


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
        rankings = connection.execute(_RANKINGS, asked).df()
        values = connection.execute(_VALUES, asked).df()
        releases = connection.execute(_RELEASES).df().to_dict("records")
        withheld = withheld or Withheld.of(connection)
        names = dict(connection.execute("SELECT area, any_value(name_zh) FROM core.dim_area GROUP BY area").fetchall())
    names["overall"] = labels()["overall"]
    values["withheld"] = [
        withheld.metric(*place)
        for place in values[["period_code", "unit_code", "area", "metric"]].itertuples(index=False)
    ]
    values["value"] = values["value"].mask(values["withheld"])
    values_of = dict(list(values.groupby(["period_code", "area"])))
    released = {release["period_code"]: release for release in releases}
    for key, rows in rankings.groupby(["period_code", "area"]):
        period, area = str(rows["period_code"].iloc[0]), str(rows["area"].iloc[0])
        if period in released and (only is None or f"{period}/{area}" in only):
            yield _table(rows, values_of.get(key), names.get(area, area), released[period])


def write_tables(
    warehouse: Path, folder: Path, only: Collection[str] | None = None, withheld: Withheld | None = None
) -> list[Path]:
    """Writes ``<period>/<area>.csv|.xlsx|.parquet`` under ``folder``, of ``only`` these tables or all; returns the
    paths."""
    written = []
    for table in ranking_tables(warehouse, None, withheld, only):
        stem = folder / table.period_code / table.area
        stem.parent.mkdir(parents=True, exist_ok=True)
        table.frame.to_csv(stem.with_suffix(".csv"), index=False, encoding="utf-8-sig", lineterminator="\r\n")
        # Without pandas' own metadata: the same rows give the same bytes whatever wrote them.
        columns = pa.Table.from_pandas(table.frame, preserve_index=False).replace_schema_metadata()
        pq.write_table(columns, stem.with_suffix(".parquet"))
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
    for cell in sorted(withheld.metrics):
        cells[cell[0], cell[2]].append(cell)
    digests = {}
    for period, area, release in tables:
        digest = common.copy()
        digest.update(repr((release, cells[period, area])).encode())
        digests[f"{period}/{area}"] = digest.hexdigest()
    return digests


def _table(
    rows: pd.DataFrame, values: pd.DataFrame | None, area_name: str, release: dict[Hashable, Any]
) -> RankingTable:
    words, column = labels(), labels()["columns"]
    period, area = rows["period_code"].iloc[0], rows["area"].iloc[0]
    frame = pd.DataFrame(
        {
            column["unit_group"]: rows["unit_group"].map(lambda code: words["groups"].get(code, code)),
            column["rank"]: rows["rank"].astype("Int64"),
            column["unit_name"]: rows["unit_name"].map(guarded),
            column["score"]: rows["score"].astype("Float64"),
            column["interval"]: [
                _interval(best, worst) for best, worst in zip(rows["rank_best"], rows["rank_worst"], strict=True)
            ],
            column["rank_change"]: rows["rank_change"].astype("Int64"),
            column["list"]: [
                _lists(kind, improved) for kind, improved in zip(rows["list"], rows["most_improved"], strict=True)
            ],
        }
    )
    kinds = {column["rank"]: "count", column["score"]: "score", column["rank_change"]: "change"}
    frame.index = pd.Index(rows["unit_code"])
    if values is not None:
        order = values.drop_duplicates("label").sort_values("place")
        wide = values.pivot(index="unit_code", columns="label", values="value").reindex(frame.index)
        for label, kind in zip(order["label"], order["kind"], strict=True):
            frame[label] = wide[label].astype("Float64")
            kinds[label] = kind
    hidden = _hidden(values, frame.index)
    frame[column["remark"]] = [
        _remark(*cells) for cells in zip(rows["tied"], rows["veto_reason"], rows["null_reason"], hidden, strict=True)
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
        frame.reset_index(drop=True),
        kinds,
        notes,
        release["released_at"].to_pydatetime(),
        release["release"],
    )


def _interval(best: Any, worst: Any) -> str:
    if pd.isna(best) or pd.isna(worst):
        return ""
    return f"{int(best)}" if best == worst else f"{int(best)}—{int(worst)}"


def _lists(kind: Any, improved: Any) -> str:
    marks = labels()["lists"]
    shown = [marks[kind]] if isinstance(kind, str) and kind in marks else []
    if improved is not None and not pd.isna(improved) and improved:
        shown.append(marks["most_improved"])
    return "、".join(shown)


def _hidden(values: pd.DataFrame | None, units: pd.Index) -> list[str]:
    """What is withheld of each unit as too small to print, in words; the cells themselves are empty."""
    if values is None:
        return [""] * len(units)
    names = values[values["withheld"]].sort_values("place").groupby("unit_code")["label"].agg("、".join)
    shown = names.reindex(units)
    return ["" if pd.isna(text) else labels()["withheld"].format(metrics=text) for text in shown]


def _remark(tied: Any, veto: Any, null_reason: Any, hidden: str) -> str:
    shown = [labels()["tied"]] if tied is not None and not pd.isna(tied) and tied else []
    shown += [text for text in (reason_text(veto), reason_text(null_reason), hidden) if text]
    return guarded("；".join(shown))
