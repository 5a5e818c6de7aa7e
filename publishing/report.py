"""The report of one period for a manager (运行报告): delivered, set aside, unmapped, checked, published, changed.

One HTML page in Chinese without anything from outside; every figure is read from the published file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from ingestion.contracts import CONTRACTS
from ingestion.errors import BadParameter
from ingestion.home import Home
from ingestion.period import Period
from ingestion.profile import delivered_datasets
from ingestion.quarantine import FINDING_KINDS, reason_text
from publishing import releases
from publishing.durable import write_text
from publishing.labels import labels, period_name
from publishing.pages import page

#: Rows of a table that can be long; the rest is counted and is in the published file.
SHOWN = 40


def report_path(home: Home, release: str) -> Path:
    """Where the report of a release (``2022-07-r1``) lies."""
    return home.root / "reports" / f"{release}.html"


def write_report(home: Home, period: str) -> Path:
    """Writes ``reports/<release>.html`` of the period's newest revision in the served release, and returns its path.

    Raises BadParameter where nothing, or not this period, is published.
    """
    code = Period.parse(period).code
    served = releases.served(home)
    if served is None:
        raise BadParameter("nothing is published yet")
    with duckdb.connect(str(served.warehouse), read_only=True) as connection:
        content = _content(connection, code)
    if content is None:
        raise BadParameter(f"period {code} is not published in release {served.number}")
    text = page("report.html.j2", **content, number=served.number, run_id=served.manifest["run_id"])
    path = report_path(home, content["release"]["release"])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
    return path


def _content(connection: duckdb.DuckDBPyConnection, code: str) -> dict[str, Any] | None:
    """What the page says, by section; None where the period is not published."""
    revisions = _rows(connection, "SELECT * FROM marts.releases WHERE period_code = ? ORDER BY revision DESC", code)
    if not revisions:
        return None
    months = [str(month) for month in Period.parse(code).months]
    deliveries = _rows(connection, _DELIVERIES, months)
    outcomes = labels()["page"]["outcomes"]
    for each in deliveries:
        each |= {"title": _title(each["dataset"]), "outcome": outcomes.get(each["outcome"], each["outcome"])}
    there = {(each["dataset"], each["month"]) for each in deliveries}
    missing = [(_title(name), month) for name in delivered_datasets() for month in months if (name, month) not in there]
    quarantine = _rows(connection, _QUARANTINE, months)
    for each in quarantine:
        each |= {"title": _title(each["dataset"]), "reason": reason_text(each["reason"])}
    findings = _rows(connection, _FINDINGS, months)
    for each in findings:
        each |= {"title": _title(each["dataset"]), "kind": FINDING_KINDS.get(each["kind"], each["kind"])}
    differences = _rows(connection, _DIFFERENCES, revisions[0]["release"])
    return {
        "name": period_name(code),
        "code": code,
        "release": revisions[0],
        "revisions": revisions,
        "deliveries": deliveries,
        "missing": missing,
        "quarantine": quarantine,
        "findings": findings,
        "unmapped": _rows(connection, _UNMAPPED),
        "unbalanced": _rows(
            connection, "SELECT dataset FROM audit.reconciliation WHERE NOT coalesce(is_balanced, false)"
        ),
        "lists": _lists(connection, code),
        "differences": differences[:SHOWN],
        "differences_more": max(0, len(differences) - SHOWN),
        "shown": SHOWN,
    }


_DELIVERIES = """
SELECT dataset, month, outcome, count(*) AS files, sum(rows_in) AS rows_in, sum(rows_loaded) AS rows_loaded,
    sum(rows_quarantined) AS rows_quarantined, max(pulled_at) AS pulled_at,
    string_agg(DISTINCT reason, '；') FILTER (reason IS NOT NULL) AS reason
FROM audit.deliveries WHERE list_contains(?, month) GROUP BY ALL ORDER BY month, dataset, max(pulled_at)
"""

_QUARANTINE = """
SELECT dataset, month, reason, count(*) AS rows FROM audit.quarantine WHERE list_contains(?, month)
GROUP BY ALL ORDER BY rows DESC, month, dataset, reason
"""

_FINDINGS = """
SELECT dataset, kind, count(*) AS rows FROM audit.findings WHERE list_contains(?, month)
GROUP BY ALL ORDER BY rows DESC, dataset, kind
"""

_UNMAPPED = """
SELECT unit_name, sum(rows_unmapped)::BIGINT AS rows, any_value(nearest_1) AS nearest FROM audit.unmapped_units
GROUP BY unit_name ORDER BY rows DESC, unit_name
"""

_DIFFERENCES = """
SELECT d.unit_name, coalesce(a.name_zh, d.area) AS area, d.old_score, d.new_score, d.old_rank, d.new_rank,
    m.name_zh AS metric
FROM marts.release_differences d
LEFT JOIN (SELECT DISTINCT area, name_zh FROM core.dim_area) a ON d.area = a.area
LEFT JOIN (SELECT DISTINCT area, metric, name_zh FROM core.dim_metric) m
    ON d.top_area = m.area AND d.top_metric = m.metric
WHERE d.release = ? ORDER BY d.area = 'overall' DESC, abs(d.new_score - d.old_score) DESC NULLS LAST, d.unit_name
"""

_LISTS = """
SELECT unit_group, list, most_improved, unit_name, rank FROM marts.unit_rankings
WHERE period_code = ? AND area = 'overall' ORDER BY unit_group, rank NULLS LAST, unit_name
"""


def _lists(connection: duckdb.DuckDBPyConnection, code: str) -> list[dict[str, Any]]:
    """Per group: units ranked, and the names on each list in order of rank."""
    found: dict[str, dict[str, Any]] = {}
    names = labels()["lists"]
    for row in _rows(connection, _LISTS, code):
        group = found.setdefault(
            row["unit_group"],
            {"name": labels()["groups"].get(row["unit_group"], row["unit_group"]), "ranked": 0, "lists": {}},
        )
        group["ranked"] += row["rank"] is not None
        for key in filter(None, (row["list"], "most_improved" if row["most_improved"] else None)):
            group["lists"].setdefault(names.get(key, key), []).append(row["unit_name"])
    return list(found.values())


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, *parameters: Any) -> list[dict[str, Any]]:
    cursor = connection.execute(sql, list(parameters))
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _title(dataset: str) -> str:
    return CONTRACTS[dataset].title if dataset in CONTRACTS else dataset
