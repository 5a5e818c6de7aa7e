"""What Airflow's tasks read and make, told to Airflow's OpenLineage provider where lineage is on.

The provider sends START and COMPLETE or FAIL for each task and each run; the data sets come from here. The models
inside ``build`` are told by dbt itself, with their columns, as children of that task's run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.providers.openlineage.extractors.base import BaseExtractor, OperatorLineage
from openlineage.client.event_v2 import Dataset

from ingestion.contracts import CONTRACTS
from lineage import export, namespace, relation
from publishing.dictionary import dictionary
from publishing.settings import PUBLISHED_SCHEMAS

Names = list[str]


def _published() -> Names:
    return [relation(*name) for name in sorted(dictionary()) if name[0] in PUBLISHED_SCHEMAS]


def _ingest(dataset: str) -> tuple[Names, Names]:
    return [export(dataset)], [relation("staged", dataset)]


#: Task -> what it reads and what it makes, from its arguments.
TASKS: dict[str, Callable[[dict[str, Any]], tuple[Names, Names]]] = {
    "ingest": lambda given: _ingest(given["dataset"]),
    "build": lambda given: ([relation("staged", dataset) for dataset in sorted(CONTRACTS)], _published()),
    "audit": lambda given: (_published(), []),
    "publish": lambda given: (_published(), ["published.warehouse"]),
    "write": lambda given: (["published.warehouse"], ["published.notice", "published.page"]),
    "mirror": lambda given: (["published.warehouse"], [name.replace("warehouse", "mirror") for name in _published()]),
}


class Tasks(BaseExtractor):
    """The provider calls it at the start and at the end of each ``@task``."""

    @classmethod
    def get_operator_classnames(cls) -> list[str]:
        return ["_PythonDecoratedOperator"]

    def _execute_extraction(self) -> OperatorLineage[Any, Any]:
        named = TASKS.get(self.operator.task_id)
        if named is None:
            return OperatorLineage()
        reads, makes = named(self.operator.op_kwargs or {})
        return OperatorLineage(
            inputs=[Dataset(namespace=namespace(), name=name) for name in reads],
            outputs=[Dataset(namespace=namespace(), name=name) for name in makes],
        )
