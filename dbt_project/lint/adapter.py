"""Stands for dbt's `adapter` where sqlfluff renders the models: a dispatched macro gives its first argument, if any."""

from collections.abc import Callable
from typing import Any


def dispatch(macro: str) -> Callable[..., Any]:
    """What the macro gives is not looked at: its own file is not linted. Models are linted as a full build has them."""
    return (lambda *_: False) if macro == "keeps" else (lambda first="", *_: first)
