"""One warehouse and one run of the scoring models that several tests look at."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from study.county import County
from study.rules import RuleSet
from tests.study import scoring

#: 2022: counts by plain arithmetic. 2027: a simulated year under the proposed rules, with months of 2026 before it.
EARLY, BEFORE, SEASON = (
    [f"2022-{m:02d}" for m in range(5, 9)],
    ["2026-11", "2026-12"],
    [f"2027-{m:02d}" for m in range(1, 13)],
)
PERIODS = (
    "2022-07", "2022-08", "2022-07--2022-08", "2026-12", "2026-11--2026-12",
    "2027-01", "2027-06", "2027-01--2027-03", "2027-01--2027-12",
)  # fmt: skip


@pytest.fixture(scope="session")
def scoring_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scoring.empty_warehouse(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def counts() -> pd.DataFrame:
    season = scoring.simulated_counts(County.read(), RuleSet.read("2022.2"), SEASON, seed=7)
    return pd.concat([scoring.regular_counts(EARLY), scoring.regular_counts(BEFORE), season], ignore_index=True)


@pytest.fixture(scope="session")
def vetoes() -> pd.DataFrame:
    return pd.concat([scoring.regular_vetoes(EARLY), scoring.regular_vetoes(SEASON[:6])], ignore_index=True)


@pytest.fixture(scope="session")
def computed(
    scoring_warehouse: Path, counts: pd.DataFrame, vetoes: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, pd.DataFrame]:
    """What dbt makes of the counts, under the project's own seeds."""
    return scoring.run_models(scoring_warehouse, counts, vetoes, PERIODS, tmp_path_factory.mktemp("target"))
