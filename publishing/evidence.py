"""From a figure to the rows behind it (数据溯源): SQL over the published file, for the notice and whoever asks."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from ingestion.yaml_file import read_yaml

_SPAN = "WITH span AS (SELECT first_month, last_month, cut_off FROM core.dim_period WHERE period_code = $period) "
_UNIT = "SELECT * FROM ({rows}) WHERE $unit IS NULL OR unit_code = $unit"


@cache
def _declared() -> dict[str, Any]:
    return read_yaml(Path(__file__).with_name("evidence.yaml"))


def metrics_with_rows() -> list[tuple[str, str]]:
    """Every (area, metric) whose rows can be shown."""
    return [(area, metric) for area, _, metric in (name.partition(".") for name in _declared()["metrics"])]


def is_counted_otherwise(area: str, metric: str) -> bool:
    """Is the metric no plain count of its rows (a quota, weeks, days)?"""
    return "note" in _declared()["metrics"][f"{area}.{metric}"]


def rows_behind(area: str, metric: str) -> str | None:
    """SQL that gives the rows of a metric, a row of the denominator each, with ``counts``: is it in the numerator.

    Parameters ``$period`` and ``$unit`` (null: every unit). None where no rows are declared.
    """
    found = _declared()["metrics"].get(f"{area}.{metric}")
    if found is None:
        return None
    parts = {"area": area, "counts": "true", "among": "true"} | {key: found[key] for key in found if key != "base"}
    return _SPAN + _UNIT.format(rows=" ".join(found["base"].format(**parts).split()))
