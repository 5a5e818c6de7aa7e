"""Write the notice and the page of what was just published."""

from __future__ import annotations

from airflow.sdk import DAG, PartitionedAssetTimetable, task

from dags.common import DEFAULT_ARGS, RELEASED, home
from dags.failures import without_values

DOC = """
### documents: the notice and the page of the served release

Runs when `rank_month` or `replay` has published. `write` drafts the notice (通报, DOCX and HTML) of every released
period and the page (网页) from the published file, into `$TONGBAO_HOME/published/documents/<release>/`; they are
swapped in as a whole. Publishing does not wait for it.

**When red** the release is served and its documents are the earlier ones. The last line of the task's log names the
reason: most likely the office's template (its line is named). Mend it, then clear the task or run
`python -m publishing documents`.

**To repeat**: trigger it; writing again changes nothing but the documents.
"""

with DAG(
    dag_id="documents",
    schedule=PartitionedAssetTimetable(assets=RELEASED),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    doc_md=DOC,
    tags=["tongbao", "documents"],
):

    @task
    @without_values
    def write() -> None:
        from publishing.documents import write_documents

        write_documents(home())

    write()
