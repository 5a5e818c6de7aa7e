"""Compute and publish named periods again, with a reason."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from dags.common import DEFAULT_ARGS
from dags.ranking import ranking_tasks

DOC = """
### replay: named periods again, with a reason

Computes and publishes the periods in `periods` (and revisions of published ones that changed). `reason` is kept with
every release it makes. A period that is not complete is not published; the others are, and `confirm` is red and names
what is missing. When red elsewhere: as in `rank_month`.
"""

with DAG(
    dag_id="replay",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    params={
        "periods": Param(
            type=["string", "array"],
            items={"type": "string"},
            maxLength=1500,
            title="考核期 periods",
            description="2022-07 2022-07--2022-08",
        ),
        "reason": Param(type="string", minLength=1, maxLength=500, title="原因 reason"),
    },
    doc_md=DOC,
    tags=["tongbao", "rank"],
):
    ranking_tasks(replay=True)
