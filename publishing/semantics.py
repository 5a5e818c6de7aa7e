"""The definitions as one file that BI tools import (语义模型): tables, keys, joins and metrics of the served release.

An Open Semantic Interchange document, made on demand. Nothing is declared here: tables and columns with their
descriptions and keys come from the dbt project, names, directions, targets and weights of the metrics from
``core.dim_metric`` of the release. Why not semantic models in dbt: docs/decisions/0014-metric-definitions.md.
"""

from __future__ import annotations

import json
from typing import Any

import duckdb
import yaml

from publishing.dictionary import Described, dictionary
from publishing.releases import Release

#: Version of the Open Semantic Interchange specification that the document follows.
OSI_VERSION = "0.1.1"

#: Where the metrics' parts stand, per period, unit and metric.
FACTS = ("marts", "unit_metrics")

_DIMENSIONS = ("dim_unit", "dim_period", "dim_area", "dim_metric")


def semantic_model(release: Release) -> dict[str, Any]:
    """The document for this release, its metrics by the newest rule set that a released period was ranked by."""
    with duckdb.connect(str(release.warehouse), read_only=True) as connection:
        found = connection.execute(
            "SELECT schema_name, table_name, list(column_name ORDER BY column_index) FROM duckdb_columns() WHERE "
            "schema_name = 'marts' OR schema_name = 'core' AND list_contains(?, table_name) GROUP BY ALL ORDER BY ALL",
            [list(_DIMENSIONS)],
        ).fetchall()
        metrics = connection.sql(
            "SELECT area, areas.name_zh AS area_name, metric, m.name_zh, kind, better, target, floor, m.weight, "
            "rule_set FROM core.dim_metric AS m JOIN core.dim_area AS areas USING (rule_set, area) "
            "WHERE rule_set = (SELECT max(rule_set) FROM marts.publication) ORDER BY area_order, metric_order"
        )
        rows = [dict(zip(metrics.columns, row, strict=True)) for row in metrics.fetchall()]
    known = dictionary()
    tables = {table: (schema, columns, known.get((schema, table), Described())) for schema, table, columns in found}
    return {
        "version": OSI_VERSION,
        "semantic_model": [
            {
                "name": "tongbao",
                "description": f"政务服务通报 service-performance notice, release {release.number}",
                "datasets": [_dataset(name, *table) for name, table in tables.items()],
                "relationships": list(_relationships({name: (c, e) for name, (_, c, e) in tables.items()})),
                "metrics": [_metric(row) for row in rows],
            }
        ],
    }


def as_yaml(document: dict[str, Any]) -> str:
    """The document as people and tools read it."""
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=120)


def expression(area: str, metric: str, kind: str) -> str:
    """ANSI SQL of a metric over any group of rows of ``unit_metrics``: parts are summed, then divided."""

    def part(column: str) -> str:
        which = f"unit_metrics.area = '{area}' AND unit_metrics.metric = '{metric}'"
        return f"SUM(CASE WHEN {which} THEN unit_metrics.{column} END)"

    if kind == "count":
        return part("numerator")
    return f"CAST({part('numerator')} AS DOUBLE PRECISION) / NULLIF({part('denominator')}, 0)"


def _ansi(sql: str) -> dict[str, Any]:
    return {"dialects": [{"dialect": "ANSI_SQL", "expression": sql}]}


def _dataset(name: str, schema: str, columns: list[str], entry: Described) -> dict[str, Any]:
    keys = [key for key in entry.keys if set(key) <= set(columns)]
    made: dict[str, Any] = {"name": name, "source": f"warehouse.{schema}.{name}", "description": entry.description}
    if keys:
        made["primary_key"] = keys[0]
    if len(keys) > 1:
        made["unique_keys"] = keys[1:]
    made["fields"] = [
        {"name": column, "expression": _ansi(column), "description": entry.columns.get(column, "")}
        for column in columns
    ]
    return made


def _relationships(tables: dict[str, tuple[list[str], Described]]) -> Any:
    """A table that has all columns of a dimension's key joins it by them."""
    for dimension in _DIMENSIONS:
        if dimension not in tables or not tables[dimension][1].keys:
            continue
        key = tables[dimension][1].keys[0]
        for name, (columns, _) in tables.items():
            if name != dimension and set(key) <= set(columns):
                yield {
                    "name": f"{name}_to_{dimension}",
                    "from": name,
                    "to": dimension,
                    "from_columns": key,
                    "to_columns": key,
                }


def _metric(row: dict[str, Any]) -> dict[str, Any]:
    told = [f"{row['name_zh']} ({row['area_name']}), {row['better']} is better"]
    told += [f"{what} {row[what]:g}" for what in ("target", "floor", "weight") if row[what] is not None]
    facts = {name: row[name] for name in ("rule_set", "kind", "better", "target", "floor", "weight")}
    return {
        "name": f"{row['area']}_{row['metric']}",
        "expression": _ansi(expression(row["area"], row["metric"], row["kind"])),
        "description": "; ".join(told),
        "ai_context": {"synonyms": [row["name_zh"], row["metric"]]},
        "custom_extensions": [{"vendor_name": "COMMON", "data": json.dumps(facts, default=float, sort_keys=True)}],
    }
