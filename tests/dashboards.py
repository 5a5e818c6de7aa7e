"""The files of bi/superset/assets as tests read them, and a chart's query as plain SQL: Superset is not asked how."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import yaml

from bi.superset.export import FOLDER


@cache
def files(kind: str) -> dict[str, dict[str, Any]]:
    """The assets of a kind (datasets, charts, dashboards) by the name of their file."""
    return {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted((FOLDER / kind).rglob("*.yaml"))}


def dataset_of(chart: dict[str, Any]) -> dict[str, Any]:
    return next(each for each in files("datasets").values() if each["uuid"] == chart["dataset_uuid"])


def relation(dataset: dict[str, Any]) -> str:
    return f"({dataset['sql']})" if dataset["sql"] else f"{dataset['schema']}.{dataset['table_name']}"


def query_of(chart: dict[str, Any]) -> dict[str, Any]:
    return {"metrics": []} | json.loads(chart["query_context"])["queries"][0]


def sql_of(chart: dict[str, Any], where: str = "") -> str:
    """The chart's query, with a further condition where a filter of the dashboard would set one."""
    dataset, query = dataset_of(chart), query_of(chart)
    columns = {each["column_name"]: each["expression"] or f'"{each["column_name"]}"' for each in dataset["columns"]}
    metrics = {each["metric_name"]: each["expression"] for each in dataset["metrics"]}
    shown = [f'{columns[name]} AS "{name}"' for name in query["columns"]]
    shown += [f'{metrics[name]} AS "{name}"' for name in query["metrics"]]
    conditions = [where] if where else []
    for each in query["filters"]:
        values = each["val"] if isinstance(each["val"], list) else [each["val"]]
        conditions.append(f"{columns[each['col']]} IN ({', '.join(repr(value) for value in values)})")
    sql = f"SELECT {', '.join(shown)} FROM {relation(dataset)} AS dataset"
    if conditions:
        sql += f" WHERE {' AND '.join(conditions)}"
    if query["metrics"] and query["columns"]:
        sql += f" GROUP BY {', '.join(str(place) for place in range(1, len(query['columns']) + 1))}"
    if query["orderby"]:
        known = columns | metrics
        sql += " ORDER BY " + ", ".join(f"{known[name]} {'ASC' if up else 'DESC'}" for name, up in query["orderby"])
    return f"{sql} LIMIT {query['row_limit']}"


def plain(value: Any) -> Any:
    """A value as both engines and JSON agree on it."""
    if value is None or isinstance(value, bool | str):
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()[:19].replace("T00:00:00", "")
    return round(float(value), 6)


def rows(found: list[tuple[Any, ...]]) -> list[str]:
    """Rows to compare, in an order of their own: what an engine does with ties and nulls is not the matter."""
    return sorted(repr([plain(value) for value in row]) for row in found)
