"""When a task fails: the hook that tells it, and errors whose text must not be told."""

from __future__ import annotations

import functools
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

from ingestion.collector import collect_rarely
from ingestion.errors import Permanent, TongbaoError, Transient

P = ParamSpec("P")

log = logging.getLogger("tongbao.dags")


class Unforeseen(Permanent):
    """An error that no part of the project raises on purpose: a fault of the code, or of a library."""


def report_failure(context: Any) -> None:
    """The alert hook: says in the task's last log line what failed and why. A deployment adds its notifier here."""
    ti = context["ti"]
    which = f"{ti.dag_id}.{ti.task_id}" + (f"[{ti.map_index}]" if (ti.map_index or 0) >= 0 else "")
    log.error("FAILED %s in %s: %s", which, context["run_id"], context.get("exception") or "no reason given")


def without_values(step: Callable[P, None]) -> Callable[P, None]:
    """For tasks that handle raw rows: an error nobody foresaw is told by its type and place, never by its text.

    The text of a parser's or an engine's error can hold a row, and logs must hold no personal data. The project's own
    errors pass: their texts hold no values. A system call that failed becomes Transient.
    """

    @functools.wraps(step)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        collect_rarely()
        try:
            return step(*args, **kwargs)
        except (TongbaoError, ImportError):
            raise
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            places = " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames[-6:]))
            text = f"{type(error).__name__} at {places} (its text is withheld: it could hold a row)"
            told: TongbaoError = Transient(text) if isinstance(error, OSError) else Unforeseen(text)
        raise told  # outside the handler, so that the error carries no context with the text

    return guarded
