"""Reading the project's YAML: contracts, labels, profiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

#: The parser in C where PyYAML has one: ten times faster, and every process reads the ten contracts.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Any:
    """The content of a YAML file, plain values only; raises yaml.YAMLError that names file and line."""
    with path.open("rb") as file:
        return yaml.load(file, Loader=_LOADER)  # noqa: S506 - both are safe loaders
