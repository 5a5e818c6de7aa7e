"""A declared chart as Superset has it: the settings of its page (params) and its query for REST (query_context)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from bi.superset.declared import declared, identity

#: Rows that a chart asks for where it declares no limit of its own.
ROWS = 5_000

#: Declared kind -> Superset's name of the chart.
KINDS = {
    "table": "table",
    "number": "big_number_total",
    "pie": "pie",
    "bars": "echarts_timeseries_bar",
    "columns": "echarts_timeseries_bar",
    "line": "echarts_timeseries_line",
    "pivot": "pivot_table_v2",
}


def chart(name: str) -> dict[str, Any]:
    """The chart's file in Superset's import format."""
    entry = declared()["charts"][name]
    params = {
        "viz_type": KINDS[entry["kind"]],
        "adhoc_filters": [_filter(column, value) for column, value in entry.get("where", {}).items()],
        "row_limit": entry.get("limit", ROWS),
        "extra_form_data": {},
        **_PARAMS[entry["kind"]](entry),
    }
    return {
        "slice_name": entry["title"],
        "description": entry["about"],
        "certified_by": None,
        "viz_type": KINDS[entry["kind"]],
        "params": params,
        "query_context": json.dumps(query_context(name), ensure_ascii=False),
        "cache_timeout": None,
        "uuid": identity("chart", name),
        "version": "1.0.0",
        "dataset_uuid": identity("dataset", entry["dataset"]),
    }


def query_context(name: str) -> dict[str, Any]:
    """What ``/api/v1/chart/data`` is asked for the chart; rows as the database gives them, nothing worked on after."""
    entry = declared()["charts"][name]
    query = {
        "columns": dimensions(entry),
        "filters": [_query_filter(column, value) for column, value in entry.get("where", {}).items()],
        "orderby": _order(entry),
        "row_limit": entry.get("limit", ROWS),
        "extras": {},
    }
    # With metrics, even none of them, Superset groups.
    if "metrics" in entry:
        query["metrics"] = entry["metrics"]
    # Superset's importer puts the number of the dataset in.
    return {
        "datasource": {"id": 0, "type": "table"},
        "queries": [query],
        "result_format": "json",
        "result_type": "full",
    }


def dimensions(entry: dict[str, Any]) -> list[str]:
    """The columns that a chart's rows are told apart by; of a plain table, its columns."""
    by = entry.get("by", [])
    across = [entry["across"]] if "across" in entry else []
    return [*entry.get("columns", []), *entry.get("rows", []), *across, *([by] if isinstance(by, str) else by)]


def _order(entry: dict[str, Any]) -> list[list[Any]]:
    if "order" in entry:
        return [[column.lstrip("-"), not column.startswith("-")] for column in entry["order"]]
    if entry["kind"] in ("line", "pivot", "columns"):
        return []
    return [[metric, False] for metric in entry["metrics"]]


def _query_filter(column: str, value: Any) -> dict[str, Any]:
    return {"col": column, "op": "IN" if isinstance(value, list) else "==", "val": value}


def _filter(column: str, value: Any) -> dict[str, Any]:
    many = isinstance(value, list)
    return {
        "clause": "WHERE",
        "expressionType": "SIMPLE",
        "subject": column,
        "operator": "IN" if many else "==",
        "operatorId": "IN" if many else "EQUALS",
        "comparator": value,
        "filterOptionName": f"filter_{column}",
        "isExtra": False,
    }


def _format(entry: dict[str, Any]) -> str:
    return declared()["datasets"][entry["dataset"]]["metrics"][entry["metrics"][0]]["format"]


def _table(entry: dict[str, Any]) -> dict[str, Any]:
    common = {
        "table_timestamp_format": "%Y-%m-%d %H:%M:%S",
        "include_search": entry.get("search", False),
        "page_length": 25 if entry.get("search") else 0,
        "show_cell_bars": False,
        "color_pn": False,
        "column_config": {
            column: {"d3NumberFormat": format, "d3SmallNumberFormat": format}
            for column, format in entry.get("formats", {}).items()
        },
    }
    if "by" in entry:
        sort = {"timeseries_limit_metric": entry["metrics"][0], "order_desc": True}
        return common | sort | {"query_mode": "aggregate", "groupby": entry["by"], "metrics": entry["metrics"]}
    order = [json.dumps(pair) for pair in _order(entry)]
    return common | {"query_mode": "raw", "all_columns": entry["columns"], "order_by_cols": order}


def _number(entry: dict[str, Any]) -> dict[str, Any]:
    return {"metric": entry["metrics"][0], "y_axis_format": _format(entry), "header_font_size": 0.4, "subtitle": ""}


def _pie(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "groupby": [entry["by"]],
        "metric": entry["metrics"][0],
        "sort_by_metric": True,
        "number_format": _format(entry),
        "label_type": "key_value_percent",
        "show_labels": True,
        "label_line": True,
        "labels_outside": True,
        "show_legend": False,
        "donut": True,
        "innerRadius": 35,
        "outerRadius": 60,
        "color_scheme": "supersetColors",
    }


def _series(entry: dict[str, Any], **more: Any) -> dict[str, Any]:
    by = [entry["by"]] if "by" in entry else []
    return {
        "x_axis": entry["across"],
        "metrics": entry["metrics"],
        "groupby": by,
        "y_axis_format": _format(entry),
        "show_legend": bool(by) or len(entry["metrics"]) > 1,
        "legendType": "scroll",
        "legendOrientation": "top",
        "rich_tooltip": True,
        "order_desc": True,
        "color_scheme": "supersetColors",
        "truncate_metric": True,
        **more,
    }


def _bars(entry: dict[str, Any]) -> dict[str, Any]:
    """Bars that lie, the longest on top; with ``by``, stacked."""
    return _series(
        entry,
        orientation="horizontal",
        xAxisForceCategorical=True,
        x_axis_sort=entry["metrics"][0] if "by" not in entry else None,
        x_axis_sort_series="sum" if "by" in entry else "name",
        x_axis_sort_series_ascending=True,
        x_axis_sort_asc=True,
        stack="Stack" if "by" in entry else None,
        show_value="by" not in entry,
    )


def _columns(entry: dict[str, Any]) -> dict[str, Any]:
    return _series(entry, orientation="vertical", xAxisForceCategorical=True, stack="Stack")


def _line(entry: dict[str, Any]) -> dict[str, Any]:
    return _series(entry, x_axis_time_format="%m-%d", time_grain_sqla="P1D", seriesType="line", markerEnabled=False)


def _pivot(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "groupbyRows": entry["rows"],
        "groupbyColumns": [entry["across"]],
        "metrics": entry["metrics"],
        "metricsLayout": "COLUMNS",
        "aggregateFunction": "Sum",
        "valueFormat": _format(entry),
        "rowOrder": "key_a_to_z",
        "colOrder": "key_a_to_z",
        "rowTotals": False,
        "colTotals": False,
        "rowSubTotals": False,
        "colSubTotals": False,
    }


_PARAMS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "table": _table,
    "number": _number,
    "pie": _pie,
    "bars": _bars,
    "columns": _columns,
    "line": _line,
    "pivot": _pivot,
}
