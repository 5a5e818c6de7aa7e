"""What each delivered dataset must look like: one declarative YAML file per dataset, checked when it is read.

The contracts are the only place that names a source column. A new source column is one line of a contract.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ingestion.errors import BadParameter
from ingestion.personal_numbers import excerpt
from ingestion.yaml_file import read_yaml

#: English names that reach SQL and paths; validated here so that they can be written into SQL as identifiers.
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]

PeriodKind = Literal["week", "month", "period"]


class _Strict(BaseModel):
    """An unknown key is a typing error of whoever wrote the contract, so it is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Strict):
    """One delivered column: its Chinese header, its English name and what a cell of it may hold."""

    name: Identifier
    header: str = Field(min_length=1)
    type: Literal["string", "integer", "timestamp", "date", "boolean", "code", "period"]
    #: May the cell be empty and the header absent? (the ``?`` of the export description)
    optional: bool = False
    #: Closed list of what a cell may hold (codes, or the integers of a closed list).
    values: tuple[str | int, ...] = ()
    #: ``token``: becomes a keyed token; ``text``: free text, redacted.
    personal: Literal["token", "text"] | None = None
    #: A long code of digits that Excel may have stored as a number, which loses its last digits.
    code_number: bool = False
    #: What a date without a time of day means: the day's first second (start), or its last (limit, end).
    time: Literal["start", "limit", "end"] = "start"
    #: May the moment lie after the pull? Limits always may.
    may_lie_ahead: bool = False
    #: For periods: the code column that decides the kind, and the kind for each of its values.
    by: str | None = None
    kinds: dict[str, PeriodKind] = {}

    @property
    def is_event(self) -> bool:
        """Does the column hold something that happened, so that it cannot lie after the pull?"""
        return self.type in ("timestamp", "date") and self.time != "limit" and not self.may_lie_ahead

    @model_validator(mode="after")
    def _consistent(self) -> Column:
        if self.type == "code" and not self.values:
            raise ValueError(f"{self.name}: a code needs its values")
        if self.values and self.type not in ("code", "integer"):
            raise ValueError(f"{self.name}: only codes and integers have a closed list of values")
        if self.values and any(isinstance(value, int) != (self.type == "integer") for value in self.values):
            raise ValueError(f"{self.name}: values are not of the column's type")
        if self.type == "period" and not (self.by and self.kinds):
            raise ValueError(f"{self.name}: a period needs 'by' and 'kinds'")
        if (self.personal or self.code_number) and self.type != "string":
            raise ValueError(f"{self.name}: personal data and code numbers are strings")
        return self


class RequiredAny(_Strict):
    """Of ``columns`` at least one must be filled in rows where the columns of ``when`` hold these values."""

    when: dict[str, str] = Field(min_length=1)
    columns: tuple[str, ...] = Field(min_length=2)


class Refusal(_Strict):
    """When a delivery is refused whole: too much of a file in quarantine, or nothing where there always was much."""

    #: Share of a file's rows (0 to 1) and number of rows: the file is refused when both are exceeded.
    quarantined_share_above: float = Field(default=0.05, ge=0, le=1)
    quarantined_rows_above: int = Field(default=3, ge=0)
    #: A delivery without any row contradicts the history when the median accepted month holds at least so many
    #: rows; null where a month with nothing is ordinary.
    empty_when_history_at_least: int | None = Field(default=100, ge=1)

    def is_exceeded(self, rows: int, quarantined: int) -> bool:
        """Is a file with so many rows, so many of them set aside, to be refused?"""
        return quarantined > self.quarantined_rows_above and quarantined > self.quarantined_share_above * rows


class Contract(_Strict):
    """One dataset: grain (its key), columns and the rules that its rows keep."""

    dataset: Identifier
    title: str = Field(min_length=1)
    system: Identifier
    key: tuple[str, ...] = Field(min_length=1)
    columns: tuple[Column, ...] = Field(min_length=1)
    required_any: tuple[RequiredAny, ...] = ()
    #: Pairs of columns of which the second may not lie before the first.
    ordered: tuple[tuple[str, str], ...] = ()
    refusal: Refusal = Refusal()

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """English name -> column, in the contract's order."""
        return {column.name: column for column in self.columns}

    @cached_property
    def by_header(self) -> dict[str, Column]:
        """Chinese header -> column, in the contract's order."""
        return {column.header: column for column in self.columns}

    def column(self, name: str) -> Column:
        """The column with this English name; KeyError when there is none."""
        return self.by_name[name]

    @property
    def place(self) -> str:
        """Where the headers are said, for messages."""
        return f"the contract of {self.dataset}"

    @property
    def has_deletions(self) -> bool:
        """Does the dataset carry 同步类型, so that a row can remove its key?"""
        return "sync_type" in self.by_name

    @model_validator(mode="after")
    def _consistent(self) -> Contract:
        names = [column.name for column in self.columns]
        for what, found in (("names", names), ("headers", [column.header for column in self.columns])):
            if len(set(found)) != len(found):
                raise ValueError(f"{self.dataset}: two columns share one of the {what}")
        used = {*self.key, "updated_at", *(name for pair in self.ordered for name in pair)}
        used |= {name for rule in self.required_any for name in (*rule.when, *rule.columns)}
        used |= {column.by for column in self.columns if column.by}
        if unknown := sorted(used - set(names)):
            raise ValueError(f"{self.dataset}: rules name unknown columns {unknown}")
        for column in self.columns:
            if column.by and set(column.kinds) != {str(value) for value in self.by_name[column.by].values}:
                raise ValueError(f"{self.dataset}: {column.name} needs a kind for each value of {column.by}")
            if column.name in self.key and (column.optional or column.personal):
                raise ValueError(f"{self.dataset}: key column {column.name} can be neither optional nor personal")
        return self


def read_contract(path: Path) -> Contract:
    """The contract in this YAML file; raises BadParameter that names the file and what is wrong in it."""
    try:
        return Contract.model_validate(read_yaml(path))
    except (ValidationError, yaml.YAMLError) as error:
        raise BadParameter(f"contract {path.name}: {error}") from error


def _read_all(folder: Path) -> dict[str, Contract]:
    contracts = {}
    for path in sorted(folder.glob("*.yaml")):
        contract = read_contract(path)
        if contract.dataset != path.stem:
            raise BadParameter(f"contract {path.name} describes {contract.dataset}; name the file after its dataset")
        contracts[contract.dataset] = contract
    return contracts


#: dataset -> contract, by name.
CONTRACTS: dict[str, Contract] = _read_all(Path(__file__).parent)

#: system -> its datasets.
SYSTEMS: dict[str, tuple[str, ...]] = {
    system: tuple(name for name, contract in CONTRACTS.items() if contract.system == system)
    for system in ("platform", "hotline", "cms")
}

if unplaced := set(CONTRACTS) - {name for names in SYSTEMS.values() for name in names}:
    raise BadParameter(f"contracts of an unknown system: {sorted(unplaced)}")


def contract_of(dataset: str) -> Contract:
    """The dataset's contract in the chosen county (``ingestion.profile``); BadParameter on a name that is none."""
    from ingestion.profile import county  # a profile is checked against the contracts

    try:
        contract = CONTRACTS[dataset]
    except KeyError:
        raise BadParameter(f"not a dataset: {excerpt(dataset)}; known are {', '.join(CONTRACTS)}") from None
    profile = county()
    return profile.contract(contract) if profile else contract
