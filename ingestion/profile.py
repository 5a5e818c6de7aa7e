"""County profiles: what a county's exports are called, said as data. ``counties/<name>/profile.yaml``.

A profile is chosen by ``TONGBAO_COUNTY`` (a name under ``counties/`` or the path of a folder); without it the exports
are as the contracts describe them. It says which datasets there are, how their headers, codes and times are spelled,
and which of our columns are stated from theirs. Beside it ``seeds/`` may hold the county's own rules; a seed that is
not there is the project's. docs/bring-your-own-county.md is the walk-through.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import permutations
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ingestion.contracts import CONTRACTS, Column, Contract
from ingestion.errors import BadParameter
from ingestion.home import PROJECT
from ingestion.period import Month
from ingestion.yaml_file import read_yaml

#: Where profiles lie that are chosen by name.
COUNTIES = PROJECT / "counties"
SEEDS = PROJECT / "dbt_project" / "seeds"
PROFILE_FILE = "profile.yaml"

#: Joins the parts of a path (诉求分类).
PATH_SEPARATOR = "->"

_ENGLISH_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: Moments by which two time formats are compared: day and month differ, and swapping them gives another day.
_PROBES = tuple(map(dt.datetime.fromisoformat, ("2014-03-04 15:16:17", "2011-10-12 01:02:03", "2009-08-07")))


class _Strict(BaseModel):
    """An unknown key is a typing error of whoever wrote the profile, so it is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Value(_Strict):
    """Where a cell of ours comes from: exactly one of ``header``, ``path``, ``constant`` and ``digest``."""

    #: Their header; several are alternatives, of which a file has one.
    header: tuple[str, ...] = ()
    #: Their headers, joined by ``->`` into one path.
    path: tuple[str, ...] = ()
    #: A text for every row.
    constant: str | None = None
    #: A key for exports without one: a digest of these headers' cells; the n-th like row of a file gets ``-n``.
    digest: tuple[str, ...] = ()
    #: Seconds to add to a time.
    plus_seconds: int = 0
    #: Only in rows where their headers hold these values.
    when: dict[str, str] = {}

    @field_validator("header", "path", "digest", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @property
    def headers(self) -> tuple[str, ...]:
        """Every header of theirs that is read."""
        return (*self.header, *self.path, *self.digest, *self.when)

    @model_validator(mode="after")
    def _one_source(self) -> Value:
        given = [bool(self.header), bool(self.path), self.constant is not None, bool(self.digest)]
        if sum(given) != 1:
            raise ValueError("give exactly one of header, path, constant and digest")
        if any(not text.strip() for text in self.headers):
            raise ValueError("a header is empty")
        if self.plus_seconds and not self.header:
            raise ValueError("plus_seconds needs a header that holds a time")
        return self


class Mapping(_Strict):
    """One column of ours: the first of ``choose`` that applies to the row, then respelled."""

    choose: tuple[Value, ...] = Field(min_length=1)
    #: Their code -> ours.
    codes: dict[str, str] = {}
    #: What an empty cell stands for.
    when_empty: str | None = None
    #: Letters are made all upper or all lower case, before ``codes`` are looked up.
    letters: Literal["upper", "lower"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: object) -> object:
        """``our: THEIRS`` and a mapping with the keys of one Value are short for a ``choose`` of one."""
        if isinstance(value, str | list):
            return {"choose": [{"header": value}]}
        if isinstance(value, dict) and "choose" not in value:
            of_value = {key: each for key, each in value.items() if key in Value.model_fields}
            rest = {key: each for key, each in value.items() if key not in Value.model_fields}
            return {"choose": [of_value], **rest}
        return value

    @property
    def headers(self) -> tuple[str, ...]:
        return tuple(header for value in self.choose for header in value.headers)


class Dataset(_Strict):
    """How one dataset of ours is delivered."""

    #: The dataset under whose name its files lie: one delivered file can feed several datasets.
    delivered_as: str | None = None
    #: How many months, ending with the month of delivery, one delivery holds: 12 for a file a year.
    covers_months: int = Field(default=1, ge=1, le=120)
    #: Our column (Chinese header or English name) -> where it comes from. Others are looked for under our header.
    columns: dict[str, Mapping] = {}
    #: Required columns of ours that this county cannot fill; what needs them then counts nothing.
    may_be_empty: tuple[str, ...] = ()
    #: Headers of theirs that are known and not needed, so that they are not reported as unknown.
    ignored_headers: tuple[str, ...] = ()


class Files(_Strict):
    """Files that lie side by side in one folder instead of the delivery layout: which belong to which month."""

    #: Regular expression of the whole file name; may hold the groups ``year`` and ``month`` (7, 07 or Jul).
    pattern: str
    #: The month of delivery, where the name does not say it.
    delivery: str | None = None
    dataset: str

    @model_validator(mode="after")
    def _names_a_month(self) -> Files:
        try:
            groups = set(re.compile(self.pattern).groupindex)
        except re.error as error:
            raise ValueError(f"pattern is no regular expression: {error}") from None
        if self.delivery is None and groups != {"year", "month"}:
            raise ValueError("give the month as 'delivery', or name the groups year and month in the pattern")
        if self.delivery is not None:
            Month.parse(self.delivery)
        return self

    def month_of(self, name: str) -> str | None:
        """The month of delivery of a file with this name; None where it is none of these files."""
        match = re.fullmatch(self.pattern, name)
        if not match:
            return None
        if self.delivery is not None:
            return self.delivery
        text = match["month"].lower()
        number = _ENGLISH_MONTHS.index(text[:3]) + 1 if text[:3] in _ENGLISH_MONTHS else text
        try:
            return str(Month.parse(f"{int(match['year']):04d}-{int(number):02d}"))
        except (ValueError, BadParameter):
            return None


class Profile(_Strict):
    """A county: its datasets and how they are spelled. ``folder`` is where it was read from."""

    title: str = Field(min_length=1)
    #: Cells that mean empty, in every column.
    null_markers: tuple[str, ...] = ()
    #: Spellings of times beyond those of the export description, in the terms of strptime; Beijing wall time.
    time_formats: tuple[str, ...] = ()
    files: tuple[Files, ...] = ()
    #: What the county delivers; the others are ``not_delivered``, and no period waits for them.
    datasets: dict[str, Dataset] = Field(min_length=1)
    folder: Path = Path()

    @field_validator("datasets", mode="before")
    @classmethod
    def _plain(cls, value: object) -> object:
        """A dataset without anything to say of it is delivered as its contract describes."""
        return {name: each or {} for name, each in value.items()} if isinstance(value, dict) else value

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def seeds(self) -> Path | None:
        """The folder of the county's own seeds, where it has one."""
        folder = self.folder / "seeds"
        return folder if folder.is_dir() else None

    def place(self, dataset: str, column: str | None = None) -> str:
        """Where in the profile something is said, for messages."""
        text = f"counties/{self.name}/{PROFILE_FILE} under datasets → {dataset} → columns"
        return f"{text} → {column}" if column else text

    def is_mapped(self, dataset: str) -> bool:
        """Does the profile change how files of the dataset are read?"""
        described = self.datasets.get(dataset)
        if described is None:
            return False
        return bool(described.columns or described.ignored_headers or self.null_markers or self.time_formats)

    def contract(self, contract: Contract) -> Contract:
        """The contract with the columns optional that the county cannot fill."""
        described = self.datasets.get(contract.dataset)
        if described is None or not described.may_be_empty:
            return contract
        freed = {column_of(contract, name).name for name in described.may_be_empty}
        columns = tuple(
            each.model_copy(update={"optional": True}) if each.name in freed else each for each in contract.columns
        )
        return Contract.model_validate(contract.model_dump() | {"columns": [each.model_dump() for each in columns]})

    def delivered_as(self, dataset: str) -> str:
        """The name under which the files of a dataset lie."""
        described = self.datasets.get(dataset)
        return (described and described.delivered_as) or dataset

    def months_covered(self, dataset: str, month: str) -> list[str]:
        """The months that a delivery of this month stands for, in order."""
        described = self.datasets.get(dataset)
        count = described.covers_months if described else 1
        last = Month.parse(month)
        return [str(last.plus(offset)) for offset in range(1 - count, 1)]

    @model_validator(mode="after")
    def _agrees_with_the_contracts(self) -> Profile:
        for problem in _problems(self):
            raise ValueError(problem)
        return self


def column_of(contract: Contract, name: str) -> Column:
    """The column with this Chinese header or English name; KeyError when there is none."""
    return contract.by_header.get(name) or contract.by_name[name]


def _problems(profile: Profile) -> Iterator[str]:
    """What the profile says that the contracts do not know."""
    for one, other in permutations(profile.time_formats, 2):
        if _misread(one, other):
            yield f"time_formats {one!r} and {other!r} can read one text as two moments; keep the one that is meant"
    for name, described in profile.datasets.items():
        contract = CONTRACTS.get(name)
        if contract is None:
            yield f"datasets: {name!r} is none; known are {', '.join(CONTRACTS)}"
            continue
        if described.delivered_as and described.delivered_as not in CONTRACTS:
            yield f"datasets → {name}: delivered_as {described.delivered_as!r} is no dataset"
        for ours in (*described.columns, *described.may_be_empty):
            if ours not in contract.by_header and ours not in contract.by_name:
                known = "、".join(contract.by_header)
                yield f"datasets → {name}: {ours!r} is no column of {contract.title}; it has {known}"
        if len({column_of(contract, ours).name for ours in described.columns}) < len(described.columns):
            yield f"datasets → {name}: a column stands there twice, by header and by name"
        for ours in described.may_be_empty:
            if column_of(contract, ours).name in (*contract.key, "updated_at"):
                yield f"datasets → {name}: {ours} cannot be empty, rows are told apart and ordered by it"
        for ours, mapping in described.columns.items():
            yield from _problems_of_codes(name, column_of(contract, ours), mapping)
    for files in profile.files:
        if files.dataset not in profile.datasets:
            yield f"files: dataset {files.dataset!r} is not among the datasets of this profile"


def _problems_of_codes(dataset: str, column: Column, mapping: Mapping) -> Iterator[str]:
    where = f"datasets → {dataset} → {column.header}"
    if column.type in ("code", "boolean"):
        listed = {str(value) for value in column.values} or {"是", "否"}
        given = {*mapping.codes.values(), *(value.constant for value in mapping.choose if value.constant is not None)}
        given |= {mapping.when_empty} if mapping.when_empty is not None else set()
        # A constant may itself be looked up in the codes.
        if unknown := sorted(given - listed - set(mapping.codes)):
            yield f"{where}: {'、'.join(unknown)} not in its code list {'、'.join(sorted(listed))}"
    if any(value.plus_seconds for value in mapping.choose) and column.type != "timestamp":
        yield f"{where}: plus_seconds is for times"


def _misread(one: str, other: str) -> bool:
    """Can a text written in one format be read as another moment by the other?"""
    for moment in _PROBES:
        text = moment.strftime(one)
        try:
            if dt.datetime.strptime(text, other) != dt.datetime.strptime(text, one):  # noqa: DTZ007 - wall time
                return True
        except ValueError:
            continue
    return False


def read_profile(folder: Path) -> Profile:
    """The profile in this folder; raises BadParameter that names the file and what is wrong in it."""
    path = folder / PROFILE_FILE
    try:
        described = read_yaml(path)
        return Profile.model_validate({**described, "folder": folder.absolute()})
    except FileNotFoundError:
        raise BadParameter(f"no county profile at {path}; set TONGBAO_COUNTY to a folder that has one") from None
    except TypeError:
        raise BadParameter(f"county profile {path}: not a mapping") from None
    except ValidationError as error:
        told = "; ".join(f"{' → '.join(map(str, each['loc']))}: {each['msg']}".lstrip(": ") for each in error.errors())
        raise BadParameter(f"county profile {path}: {told}") from None
    except yaml.YAMLError as error:
        raise BadParameter(f"county profile {path}: {error}") from None


_read_once = lru_cache(maxsize=8)(read_profile)


def county() -> Profile | None:
    """The profile that ``TONGBAO_COUNTY`` chooses (a name under counties/, or a folder); None without one."""
    chosen = os.environ.get("TONGBAO_COUNTY", "").strip()
    if not chosen:
        return None
    named = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", chosen)
    return _read_once(COUNTIES / chosen if named else Path(chosen).expanduser().absolute())


def delivered_datasets() -> tuple[str, ...]:
    """The datasets that the chosen county delivers; without a profile all of them."""
    profile = county()
    return tuple(CONTRACTS) if profile is None else tuple(name for name in CONTRACTS if name in profile.datasets)


def seed_file(name: str) -> Path:
    """The seed of this name (``units.csv``): the chosen county's, else the project's."""
    profile = county()
    own = profile.seeds / name if profile and profile.seeds else None
    return own if own and own.is_file() else SEEDS / name
