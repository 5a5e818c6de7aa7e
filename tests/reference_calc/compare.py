"""Put the warehouse's published tables beside the reference: every row of both, every figure, none left out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from tests.reference_calc import Result

#: Table → its key, the columns that must be equal, the columns that are numbers.
TABLES: dict[str, tuple[list[str], list[str], list[str]]] = {
    "unit_metrics": (
        ["period_code", "unit_code", "area", "metric"],
        ["null_reason", "rule_set"],
        ["numerator", "denominator", "value", "adjusted", "ci_low", "ci_high", "points", "weight"],
    ),
    "unit_scores": (
        ["period_code", "unit_code", "area"],
        ["veto_reason", "null_reason", "rule_set"],
        ["score", "score_sd", "coverage"],
    ),
    "unit_rankings": (
        ["period_code", "unit_code", "area"],
        ["unit_group", "unit_name", "tied", "list", "most_improved", "null_reason", "rule_set"],
        ["score", "rank", "rank_best", "rank_worst", "rank_change"],
    ),
    "period_totals": (["period_code", "area", "figure"], [], ["value", "numerator", "denominator"]),
}
#: Figures are sums of at most some thousand terms: what is left is the order of additions.
TOLERANCE = 1e-9


def differences(published: dict[str, pd.DataFrame], reference: Result, periods: Sequence[str]) -> list[str]:
    """One line for each figure that differs and each row that only one side has; empty when all agree."""
    found = []
    for name, (key, texts, numbers) in TABLES.items():
        ours = _rows(_said(published[name], name), key, periods)
        theirs = _rows(_said(getattr(reference, name), name), key, periods)
        found += [f"{name} {row}: only in the warehouse" for row in ours.keys() - theirs.keys()]
        found += [f"{name} {row}: only in the reference" for row in theirs.keys() - ours.keys()]
        for row in sorted(ours.keys() & theirs.keys()):
            for column in texts + numbers:
                one, other = ours[row][column], theirs[row][column]
                if not (_same_number(one, other) if column in numbers else _same(one, other)):
                    found.append(f"{name} {row} {column}: {one} published, {other} by the reference")
    return found


def _said(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows that say something: a total without a single case (0 or 0 of 0) may stand there or not."""
    return table[table["numerator"].fillna(0) != 0] if name == "period_totals" else table


def _rows(table: pd.DataFrame, key: list[str], periods: Sequence[str]) -> dict[tuple[str, ...], dict[str, object]]:
    rows = table[table["period_code"].isin(periods)].to_dict("records")
    by_key = {tuple(str(row[name]) for name in key): {str(k): v for k, v in row.items()} for row in rows}
    if len(by_key) != len(rows):
        raise AssertionError(f"{len(rows) - len(by_key)} rows share a key {key}")
    return by_key


def _same(one: object, other: object) -> bool:
    if _is_null(one) or _is_null(other):
        return _is_null(one) and _is_null(other)
    return one == other


def _same_number(one: object, other: object) -> bool:
    if _is_null(one) or _is_null(other):
        return _is_null(one) and _is_null(other)
    return math.isclose(float(str(one)), float(str(other)), rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _is_null(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
