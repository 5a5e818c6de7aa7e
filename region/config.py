"""What ``region.yaml`` says: which counties there are, by which rules each is read and by which they are ranked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ingestion.contracts import SYSTEMS
from ingestion.errors import BadParameter
from ingestion.home import Home
from ingestion.yaml_file import read_yaml

REGION_FILE = "region.yaml"

#: 行政区划代码 (GB/T 2260, GB/T 10114): a county has six digits, a town nine, a village twelve.
Code = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}(?:[0-9]{3}){0,2}$")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class County(_Strict):
    """One county: its code and name, and what is its own."""

    code: Code
    name: Name
    #: Its profile (docs/bring-your-own-county.md): a name under counties/, or a folder, from the region's.
    profile: str | None = None
    #: system -> URI of the source, where its exports do not lie in the folder that the run is given.
    sources: dict[str, str] = {}


class _File(_Strict):
    name: Name
    counties: tuple[County, ...] = Field(min_length=1)
    #: Folder of seeds by which the counties are ranked, laid over the project's; from the region's folder.
    seeds: str | None = None

    @model_validator(mode="after")
    def _one_county_once(self) -> _File:
        for what in ("code", "name"):
            seen = [getattr(county, what) for county in self.counties]
            if twice := sorted({each for each in seen if seen.count(each) > 1}):
                raise ValueError(f"counties: the {what} {', '.join(twice)} stands there more than once")
        for county in self.counties:
            if unknown := sorted(set(county.sources) - set(SYSTEMS)):
                raise ValueError(f"county {county.code}: {', '.join(unknown)} is no system; {', '.join(SYSTEMS)} are")
        return self


@dataclass(frozen=True)
class Region:
    """A region's folder. It is itself a home: of the warehouse of all counties, in which a county is a unit."""

    root: Path
    name: str
    counties: tuple[County, ...]
    seeds: Path | None = None

    @property
    def home(self) -> Home:
        """Where the warehouse of the region is built and published."""
        return Home(self.root)

    def home_of(self, county: County) -> Home:
        """The county's own home: every command works on it with ``TONGBAO_HOME``."""
        return Home(self.root / "counties" / county.code)

    def profile_of(self, county: County) -> str | None:
        """What ``TONGBAO_COUNTY`` is for it: a name under counties/ or a folder's path; None without a profile."""
        if county.profile is None or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", county.profile):
            return county.profile
        return str((self.root / county.profile).absolute())

    def chosen(self, codes: tuple[str, ...]) -> list[County]:
        """The counties of these codes, all without any; raises BadParameter on a code that is none of the region."""
        if unknown := sorted(set(codes) - {county.code for county in self.counties}):
            raise BadParameter(f"{', '.join(unknown)}: no county of this region; see {REGION_FILE}")
        return [county for county in self.counties if not codes or county.code in codes]


def read_region(folder: Path) -> Region:
    """The region in this folder; raises BadParameter that names what is wrong in its file."""
    path = folder.expanduser().absolute() / REGION_FILE
    try:
        said = _File.model_validate(read_yaml(path))
    except FileNotFoundError:
        raise BadParameter(f"no {REGION_FILE} in {path.parent}; docs/region.md shows one") from None
    except ValidationError as error:
        raise BadParameter(f"{path}: {'; '.join(_told(error))}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadParameter(f"{path}: {error}") from None
    return Region(path.parent, said.name, said.counties, path.parent / said.seeds if said.seeds else None)


def _told(error: ValidationError) -> Iterator[str]:
    for each in error.errors(include_input=False):
        yield f"{' → '.join(map(str, each['loc']))}: {each['msg']}".lstrip(": ")
