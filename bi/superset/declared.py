"""What dashboards.yaml declares, completed from where the rest is declared: dbt's YAML, and the words of the county."""

from __future__ import annotations

import re
import uuid
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from ingestion import quarantine
from ingestion.contracts import CONTRACTS
from ingestion.errors import BadParameter
from ingestion.yaml_file import read_yaml
from publishing.dictionary import dictionary
from publishing.labels import labels

FILE = Path(__file__).with_name("dashboards.yaml")


@cache
def declared() -> dict[str, Any]:
    """The content of dashboards.yaml."""
    return read_yaml(FILE)


def identity(kind: str, name: str) -> str:
    """The same UUID for the same asset for ever: what Superset knows it by when it is imported again."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://tongbao.invalid/superset/{kind}/{name}"))


def words(text: str) -> str:
    """``text`` with the county's words in the place of their names."""
    return text.replace("{overall}", labels()["overall"])


def label(description: str) -> str:
    """The Chinese that a description begins with: 考核期 of ``考核期 period``."""
    return description.split(" ", 1)[0]


def codes(kind: str) -> dict[str, str]:
    """Chinese for every code of a kind (groups, lists, reasons, outcomes, datasets …)."""
    match kind:
        case "datasets":
            return {name: contract.title for name, contract in CONTRACTS.items()}
        case "quarantine":
            return {code: text for code, (text, _) in quarantine.REASONS.items()}
        case "findings":
            return quarantine.FINDING_KINDS
        case "outcomes":
            return labels()["page"]["outcomes"]
        case _:
            return labels()[kind]


def labelled(column: str, kind: str) -> str:
    """SQL of a column's codes in Chinese, empty for none; a code without words stays, several are joined by ``；``."""
    if kind == "balanced":
        words_for = labels()["page"]["balanced"]
        return f"CASE WHEN {column} THEN '{words_for[True]}' ELSE '{words_for[False]}' END"
    if kind == "reasons":
        found = f"REPLACE({column}, ';', '；')"
        for code, text in codes(kind).items():
            found = f"REPLACE({found}, '{code}', '{text}')"
        return f"COALESCE({found}, '')"
    cases = " ".join(f"WHEN '{code}' THEN '{text}'" for code, text in codes(kind).items())
    return f"COALESCE(CASE {column} {cases} ELSE {column} END, '')"


def columns(name: str) -> list[tuple[str, str, str]]:
    """Name, SQL type and description of each column of a dataset, as the published relations are declared.

    Raises BadParameter where the dataset names a relation or a column that is not declared.
    """
    entry = declared()["datasets"][name]
    with _empty() as connection:
        try:
            shape = connection.sql(
                f"SELECT * FROM ({words(entry['sql'])})" if "sql" in entry else f"FROM {entry['table']}"
            )
        except duckdb.Error as error:
            raise BadParameter(f"{FILE.name}: dataset {name}: {error}") from None
        found = list(zip(shape.columns, map(str, shape.types), strict=True))
    texts: dict[str, str] = {}
    for table in reversed(entry.get("tables", [entry.get("table")])):
        texts |= dictionary()[tuple(table.split("."))].columns
    texts |= entry.get("columns", {})
    if missing := [column for column, _ in found if not texts.get(column)]:
        raise BadParameter(f"{FILE.name}: dataset {name}: no description of {', '.join(missing)}")
    return [(column, kind, texts[column]) for column, kind in found]


def _empty() -> duckdb.DuckDBPyConnection:
    """Every published relation with the columns and types that dbt's YAML declares, and no row."""
    connection = duckdb.connect()
    for (schema, table), entry in dictionary().items():
        if schema in ("core", "marts", "audit") and set(entry.types) == set(entry.columns) != set():
            shape = ", ".join(f'"{column}" {kind}' for column, kind in entry.types.items())
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS {schema}; CREATE TABLE {schema}."{table}" ({shape})')
    return connection


def slug(name: str) -> str:
    """A file name for an asset."""
    return re.sub(r"[^a-z0-9_]", "_", name)
