"""Stands for dbt's `adapter` where sqlfluff renders the models: a dispatched macro gives its first argument, if any."""

from collections.abc import Callable


def dispatch(_macro: str) -> Callable[..., str]:
    """What the macro gives is not looked at: its own file is not linted."""
    return lambda first="", *rest: first
