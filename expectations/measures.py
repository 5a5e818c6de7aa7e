"""What is measured at the two edges: one YAML file per dataset and one for the built warehouse, read strictly.

Great Expectations judges figures, not rows: DuckDB computes a small table of measures, and only that table becomes a
frame. So a delivery of two million rows costs one scan, and no value of a row can reach a result or a page.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ingestion.contracts import CONTRACTS, Identifier
from ingestion.errors import BadParameter
from ingestion.yaml_file import read_yaml

FOLDER = Path(__file__).parent / "measures"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class UnitColumn(_Strict):
    """The column that names the unit, and the day (SQL) on which the alias table is asked who that was."""

    column: Identifier
    day: str


class Share(_Strict):
    """A share: rows where ``part`` holds among rows where ``whole`` holds (both SQL over the typed columns)."""

    part: str
    whole: str


class DeliveryMeasures(_Strict):
    """What is measured of one dataset's deliveries beside what is measured of every delivery."""

    dataset: Identifier
    unit: UnitColumn | None = None
    #: Does every month bring rows of its own? Not so where rows are sent only when they change.
    monthly: bool = True
    #: measure -> predicate of a row that contradicts itself; the measure is the number of such rows.
    rows: dict[Identifier, str] = {}
    shares: dict[Identifier, Share] = {}


class Violations(_Strict):
    """A query whose rows are the violations; its columns are keys and figures, never text of a row."""

    sql: str
    #: Relations the query reads; where one of them is absent the measure is null, which no expectation lets pass.
    reads: tuple[str, ...] = Field(min_length=1)


class WarehouseMeasures(_Strict):
    """What is measured of a built warehouse: rows per relation that may not be empty, and violations."""

    filled: tuple[str, ...]
    violations: dict[Identifier, Violations]


@cache
def of_delivery(dataset: str) -> DeliveryMeasures:
    """The measures of this dataset's deliveries; raises BadParameter where the file contradicts the contract."""
    path = FOLDER / f"{dataset}.yaml"
    try:
        measures = DeliveryMeasures.model_validate(read_yaml(path))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise BadParameter(f"measures {path.name}: {error}") from error
    contract = CONTRACTS.get(measures.dataset)
    if measures.dataset != dataset or contract is None:
        raise BadParameter(f"measures {path.name} name the dataset {measures.dataset}")
    if measures.unit and measures.unit.column not in contract.by_name:
        raise BadParameter(f"measures {path.name}: the contract has no column {measures.unit.column}")
    return measures


@cache
def of_warehouse() -> WarehouseMeasures:
    """The measures of a built warehouse; raises BadParameter where the file is not what it must be."""
    path = FOLDER / "published.yaml"
    try:
        return WarehouseMeasures.model_validate(read_yaml(path))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise BadParameter(f"measures {path.name}: {error}") from error
