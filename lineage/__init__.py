"""OpenLineage events (数据血缘): which task and which model made what out of what. Off until a setting names a target.

``TONGBAO_LINEAGE`` is the absolute path of a file (one JSON event a line) or the http(s) address of a server that takes
OpenLineage events (``OPENLINEAGE_API_KEY``: its key). Airflow's tasks are told by Airflow's own provider
(``lineage.tasks`` names their data sets), the models by OpenLineage's dbt integration (``lineage.events``).
Nothing of either is imported while the setting is empty.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ingestion.errors import BadParameter

#: The one setting.
SETTING = "TONGBAO_LINEAGE"

#: Set around a build by whoever runs it as part of something larger: ``namespace/job/run id``, OpenLineage's own form.
PARENT = "OPENLINEAGE_PARENT_ID"

#: Seconds and tries for a server that does not answer: lineage never holds a run up for long, and never fails it.
_TIMEOUT, _RETRIES = 3, 1


def transport() -> dict[str, Any] | None:
    """The configuration of OpenLineage's client, None where lineage is off; raises BadParameter on another target."""
    target = os.environ.get(SETTING, "").strip()
    if not target:
        return None
    inner: dict[str, Any]
    if target.startswith(("http://", "https://")):
        inner = {"type": "http", "url": target, "timeout": _TIMEOUT, "retry": {"total": _RETRIES}}
        if key := os.environ.get("OPENLINEAGE_API_KEY", "").strip():
            inner["auth"] = {"type": "api_key", "apiKey": key}
    elif Path(target).is_absolute():
        inner = {"type": "lineage.events.LineFile", "log_file_path": target, "append": True}
    else:
        raise BadParameter(f"{SETTING} must be the absolute path of a file or an http(s) address")
    return {
        "type": "transform",
        "transport": inner,
        "transformer_class": "lineage.events.WithoutPeople",
    }


def namespace() -> str:
    """Namespace of jobs and data sets: the same on every machine, one for each county."""
    county = Path(os.environ.get("TONGBAO_COUNTY", "").strip()).name
    return f"tongbao/{county}" if county else "tongbao"


def export(dataset: str) -> str:
    """Name of what a source system delivers."""
    return f"exports.{dataset}"


def relation(schema: str, table: str) -> str:
    """Name of a relation of the warehouse, as the dbt integration spells it."""
    return f"warehouse.{schema}.{table}"


@contextmanager
def child_of(task_instance: Any) -> Iterator[None]:
    """What is built inside is told as a part of this Airflow task's run; nothing happens where lineage is off."""
    if transport() is None:
        yield
        return
    from airflow.providers.openlineage.plugins.macros import lineage_parent_id

    os.environ[PARENT] = lineage_parent_id(task_instance)
    try:
        yield
    finally:
        del os.environ[PARENT]
