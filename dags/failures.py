"""When a task fails: the hook that tells it, and errors whose text must not be told."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from dags.alerts import alert
from ingestion.collector import collect_rarely
from ingestion.errors import TongbaoError, Unforeseen, without_text

__all__ = ["Unforeseen", "report_failure", "without_values"]

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("tongbao.dags")


def report_failure(context: Any) -> None:
    """The alert hook: says in the task's last log line what failed and why, and tells the channels that are named."""
    ti = context["ti"]
    which = f"{ti.dag_id}.{ti.task_id}" + (f"[{ti.map_index}]" if (ti.map_index or 0) >= 0 else "")
    log.error("FAILED %s in %s: %s", which, context["run_id"], context.get("exception") or "no reason given")
    alert(context)


def without_values(step: Callable[P, R]) -> Callable[P, R]:
    """For tasks that handle rows: an error nobody foresaw is told by its type and place, never by its text.

    Logs must hold no personal data. The project's own errors pass: their texts hold no values.
    """

    @functools.wraps(step)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        collect_rarely()
        try:
            return step(*args, **kwargs)
        except (TongbaoError, ImportError):
            raise
        except Exception as error:
            told = without_text(error)
        raise told  # outside the handler, so that the error carries no context with the text

    return guarded
