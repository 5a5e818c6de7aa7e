"""Stands for dbt's `adapter` where sqlfluff renders the models: what a dispatched macro gives is its first argument."""

from collections.abc import Callable


def dispatch(_macro: str) -> Callable[..., str]:
    """What the macro gives is not looked at: its own file is not linted."""
    return lambda first, *rest: first
