"""What the published tables and columns mean, and their keys, read from the dbt project where they are declared.

Descriptions become comments in the served file, so that every client shows them; keys become keys of the mirror.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from ingestion.yaml_file import read_yaml
from publishing.dbt_run import DBT_PROJECT

#: Models of `history` carry it in their name; their tables do not (`alias`).
_REVISIONS = "_revisions"


@dataclass(frozen=True)
class Described:
    """One published relation: its description, its columns' descriptions and types, its keys (the first: primary)."""

    description: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    keys: list[list[str]] = field(default_factory=list)


@cache
def dictionary(project: Path = DBT_PROJECT) -> dict[tuple[str, str], Described]:
    """(schema, table) -> what the project says of it, for every model and source that has a description."""
    declared: dict[str, list[list[str]]] = {}
    for model, columns in _load(project / "dbt_project.yml").get("vars", {}).get("grains", []):
        declared.setdefault(model, []).append(columns)
    found = {}
    for schema, name, entry in _entries(project):
        columns = {column["name"]: column.get("description", "") for column in entry.get("columns", [])}
        types = {column["name"]: column["data_type"] for column in entry.get("columns", []) if "data_type" in column}
        found[schema, name.removesuffix(_REVISIONS)] = Described(
            entry.get("description", ""), columns, types, declared.get(name, [])
        )
    return found


def _entries(project: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Schema, name and YAML entry of each model and source; a model's schema is its folder."""
    for path in sorted((project / "models").glob("*/_*.yml")):
        if path.stem.endswith("_unit_tests"):
            continue
        content = _load(path)
        for entry in content.get("models") or []:
            yield path.parent.name, entry["name"], entry
        for source in content.get("sources") or []:
            for entry in source["tables"]:
                yield source.get("schema", source["name"]), entry["name"], entry


def _load(path: Path) -> dict[str, Any]:
    return read_yaml(path) or {}
