"""What is sent, and in which form; imported only where lineage is on (see the package)."""

from __future__ import annotations

import json
import logging
import os
import re
from pathlib import Path
from typing import Any

from openlineage.client import OpenLineageClient
from openlineage.client.serde import Serde
from openlineage.client.transport.file import FileConfig, FileTransport
from openlineage.client.transport.transform.transform import EventTransformer
from openlineage.common.provider.dbt.local import DbtLocalArtifactProcessor
from openlineage.common.provider.dbt.processor import ParentRunMetadata

import lineage
from ingestion.personal_numbers import masked

__all__ = ["FileConfig", "LineFile", "WithoutPeople", "tell_build"]

log = logging.getLogger("tongbao.lineage")

PRODUCER = "https://github.com/OpenLineage/OpenLineage/tree/main/integration/dbt"

#: Facets and fields that can hold what people type or what an error quotes, and paths of this machine.
_LEFT_OUT = {"conf", "stackTrace", "fileloc", "unmappedAttributes", "log_url", "note", "triggering_user_name"}
#: Digits that are no person's.
_KEPT = re.compile(r".*(?:runId|[Tt]ime|_producer|producer|[sS]chemaURL)")


class WithoutPeople(EventTransformer):
    """Leaves out what people typed, and masks the phones and ID numbers that stand anywhere else."""

    def transform(self, event: Any) -> Any:
        """The event as a dict, which every transport writes like the event itself."""
        return _clean(Serde.to_dict(event))


def _clean(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {masked(k): _clean(v, k) for k, v in value.items() if k not in _LEFT_OUT}
    if isinstance(value, list):
        return [_clean(each, key) for each in value]
    return masked(value) if isinstance(value, str) and not _KEPT.fullmatch(key) else value


class LineFile(FileTransport):
    """One event a line, each in one write: the tasks of two processes cannot get into each other's lines."""

    def emit(self, event: Any) -> None:
        line = json.dumps(Serde.to_dict(event), ensure_ascii=False, sort_keys=True, default=str).encode() + b"\n"
        path = Path(self.config.log_file_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            os.write(file, line)
        finally:
            os.close(file)


class _Build(DbtLocalArtifactProcessor):
    """The dbt integration, with a name for the warehouse that is not the path of this one build."""

    def extract_namespace(self, profile: dict[str, Any]) -> str:
        return lineage.namespace()


def tell_build(project: Path, target: Path) -> int:
    """Sends the events of the dbt run whose artifacts lie in ``target``, counts them, never raises."""
    sent = 0
    try:
        processor = _Build(
            project_dir=str(project),
            target_path=str(target),
            producer=PRODUCER,
            job_namespace=lineage.namespace(),
            skip_errors=True,
            logger=log,
        )
        if parent := os.environ.get(lineage.PARENT):
            space, job, run = parent.rsplit("/", 2)
            processor.dbt_run_metadata = ParentRunMetadata(run_id=run, job_name=job, job_namespace=space)
        client = OpenLineageClient(config={"transport": lineage.transport()})
        for event in processor.parse().events():
            client.emit(event)
            sent += 1
    except Exception as error:
        # Its text may quote the server's answer.
        log.warning("lineage: %d events of the build were sent, then %s", sent, type(error).__name__)
    return sent
