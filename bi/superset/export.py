"""assets/: the database, datasets, charts and dashboards in Superset's import format, made from what is declared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bi.superset.charts import chart
from bi.superset.declared import columns, declared, identity, label, labelled, words
from publishing.dictionary import dictionary

FOLDER = Path(__file__).with_name("assets")

#: The one database of all datasets. The back end is its address alone; prepare.py puts in the one that is served.
DATABASE = "tongbao"
WAREHOUSE = "duckdb:////srv/tongbao/current/warehouse.duckdb"


def assets() -> dict[str, dict[str, Any]]:
    """Every file of assets/ by its path. Raises BadParameter on a relation, column or chart that is not declared."""
    found = {
        # The importer wants a time; a fixed one, so that the files change when the dashboards do.
        "metadata.yaml": {"version": "1.0.0", "type": "assets", "timestamp": "2022-09-08T00:00:00+00:00"},
        f"databases/{DATABASE}.yaml": _database(),
    }
    found |= {f"datasets/{DATABASE}/{name}.yaml": _dataset(name) for name in declared()["datasets"]}
    found |= {f"charts/{name}.yaml": chart(name) for name in declared()["charts"]}
    return found | {f"dashboards/{name}.yaml": _dashboard(name) for name in declared()["dashboards"]}


def write(folder: Path = FOLDER) -> None:
    """Makes the folder hold exactly these assets."""
    wanted = {folder / name: _text(content) for name, content in assets().items()}
    for path in folder.rglob("*.yaml"):
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def stale(folder: Path = FOLDER) -> list[str]:
    """The files that are not what is declared, or are missing, or are left over."""
    wanted = {name: _text(content) for name, content in assets().items()}
    there = {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*.yaml")}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


class _Dumper(yaml.SafeDumper):
    """SQL of several lines stays readable."""


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _string)


def _text(content: dict[str, Any]) -> str:
    return yaml.dump(content, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=120)


def _database() -> dict[str, Any]:
    return {
        "database_name": "通报 published figures",
        "sqlalchemy_uri": WAREHOUSE,
        "cache_timeout": None,
        "expose_in_sqllab": True,
        "allow_run_async": False,
        "allow_ctas": False,
        "allow_cvas": False,
        "allow_dml": False,
        "allow_file_upload": False,
        "extra": {"allows_virtual_table_explore": True, "metadata_params": {}, "engine_params": {}},
        "uuid": identity("database", DATABASE),
        "version": "1.0.0",
    }


def _dataset(name: str) -> dict[str, Any]:
    entry = declared()["datasets"][name]
    schema, _, table = entry.get("table", f"marts.{name}").partition(".")
    return {
        "table_name": table,
        "main_dttm_col": entry.get("time"),
        "description": entry.get("about") or dictionary()[schema, table].description,
        "schema": schema,
        "catalog": None,
        "sql": words(entry["sql"]).strip() if "sql" in entry else None,
        "filter_select_enabled": True,
        "uuid": identity("dataset", name),
        "metrics": [
            {
                "metric_name": metric,
                "verbose_name": label(said.label),
                "expression": said.sql,
                "description": said.label,
                "d3format": said.format,
            }
            for metric, said in _metrics(name).items()
        ],
        "columns": [
            *(_column(column, kind, text) for column, kind, text in columns(name)),
            *(
                _column(column, "VARCHAR", said["label"], labelled(said["of"], said["by"]))
                for column, said in entry.get("labelled", {}).items()
            ),
        ],
        "version": "1.0.0",
        "database_uuid": identity("database", DATABASE),
    }


@dataclass(frozen=True)
class Metric:
    """A declared metric; a key of another name (a comma of SQL that YAML took for its own) is an error."""

    sql: str
    label: str
    format: str


def _metrics(name: str) -> dict[str, Metric]:
    entry = declared()["datasets"][name]
    # What a filter offers first: the newest cut-off, and of its periods the one over several months.
    newest = "MAX(CAST(cut_off AS VARCHAR) || CASE WHEN period_code LIKE '%--%' THEN 1 ELSE 0 END || period_code)"
    offered = {"newest": {"sql": newest, "label": "最近 newest first", "format": ""}} if name == "publication" else {}
    return {metric: Metric(**said) for metric, said in (offered | entry.get("metrics", {})).items()}


def _column(name: str, kind: str, text: str, expression: str | None = None) -> dict[str, Any]:
    return {
        "column_name": name,
        "verbose_name": label(text),
        "is_dttm": kind in ("TIMESTAMP", "DATE"),
        "is_active": True,
        "type": kind,
        "groupby": True,
        "filterable": True,
        "expression": expression,
        "description": text,
    }


def _dashboard(name: str) -> dict[str, Any]:
    entry = declared()["dashboards"][name]
    shown = [chart_name for row in entry["rows"] for chart_name in row]
    numbers = {chart_name: number for number, chart_name in enumerate(shown, 1)}
    return {
        "dashboard_title": entry["title"],
        "description": entry["about"],
        "css": "",
        "slug": name,
        "uuid": identity("dashboard", name),
        "published": True,
        "position": _position(entry, numbers),
        "metadata": {
            "native_filter_configuration": [
                _native(f"NATIVE_FILTER-{name}-{key}", said, numbers) for key, said in entry.get("filters", {}).items()
            ],
            "filter_bar_orientation": "HORIZONTAL",
            "cross_filters_enabled": False,
            "color_scheme": "supersetColors",
            "refresh_frequency": 0,
            "expanded_slices": {},
            "timed_refresh_immune_slices": [],
        },
        "version": "1.0.0",
    }


def _position(entry: dict[str, Any], numbers: dict[str, int]) -> dict[str, Any]:
    rows = [f"ROW-{place}" for place in range(1, len(entry["rows"]) + 1)]
    found: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": rows, "parents": ["ROOT_ID"]},
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": entry["title"]}},
    }
    for row, charts in zip(rows, entry["rows"], strict=True):
        found[row] = {
            "type": "ROW",
            "id": row,
            "children": [f"CHART-{chart_name}" for chart_name in charts],
            "parents": ["ROOT_ID", "GRID_ID"],
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
        }
        for chart_name, (width, height) in charts.items():
            found[f"CHART-{chart_name}"] = {
                "type": "CHART",
                "id": f"CHART-{chart_name}",
                "children": [],
                "parents": ["ROOT_ID", "GRID_ID", row],
                "meta": {
                    "chartId": numbers[chart_name],
                    "uuid": identity("chart", chart_name),
                    "sliceName": declared()["charts"][chart_name]["title"],
                    "width": width,
                    "height": height,
                },
            }
    return found


def _native(identifier: str, said: dict[str, Any], numbers: dict[str, int]) -> dict[str, Any]:
    """A filter above the dashboard: one value of a column; the first on offer, or a default, where it says so."""
    mask: dict[str, Any] = {"extraFormData": {}, "filterState": {}, "ownState": {}}
    if "default" in said:
        value = [words(said["default"])]
        mask["extraFormData"] = {"filters": [{"col": said["column"], "op": "IN", "val": value}]}
        mask["filterState"] = {"value": value, "label": value[0]}
    newest = bool(said.get("newest"))
    return {
        "id": identifier,
        "name": said["label"],
        "type": "NATIVE_FILTER",
        "filterType": "filter_select",
        "targets": [{"datasetUuid": identity("dataset", said["dataset"]), "column": {"name": said["column"]}}],
        "defaultDataMask": mask,
        "cascadeParentIds": [],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": [numbers[chart_name] for chart_name in said.get("spares", [])]},
        "controlValues": {
            "multiSelect": False,
            "enableEmptyFilter": newest,
            "defaultToFirstItem": newest,
            "inverseSelection": False,
            "searchAllOptions": False,
            "sortAscending": not newest,
        },
        "sortMetric": "newest" if newest else None,
        # Charts wait for it, so that no figure of all periods together is ever shown.
        "requiredFirst": newest,
        "description": "",
        "chartsInScope": [],
        "tabsInScope": [],
    }
