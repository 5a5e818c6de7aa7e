"""From a failed task to an alert by the channels that the deployment has named."""

from __future__ import annotations

import logging
import os
from typing import Any

log = logging.getLogger("tongbao.dags")


def alert(context: Any) -> None:
    """Tells the configured channels which task failed and why; never raises, so that it fails nothing itself."""
    try:
        from upkeep import alerts

        to = alerts.channels(_settings(alerts.SETTINGS.values()))
        if to:
            alerts.send(_alert(context), to)
    except Exception as error:
        log.error("ALERT could not be made: %s", type(error).__name__)


def _alert(context: Any) -> Any:
    from upkeep import alerts

    ti, run = context["ti"], context.get("dag_run")
    what = context.get("dataset") or context.get("system") or ""
    return alerts.alert_of(
        dag=ti.dag_id,
        task=f"{ti.task_id} {what}".strip(),
        month=str(getattr(run, "partition_key", None) or (context.get("params") or {}).get("month") or ""),
        error=context.get("exception"),
    )


def _settings(names: Any) -> dict[str, str]:
    """The addresses: from the environment, else from the Airflow connection of that name (its password field)."""
    found = {}
    for name in names:
        if not (uri := os.environ.get(name, "")):
            try:
                from airflow.sdk import Connection

                uri = Connection.get(name.lower()).password or ""
            except Exception as error:  # no such connection, which is the ordinary case
                log.debug("no connection %s (%s)", name.lower(), type(error).__name__)
        found[name] = uri
    return found
