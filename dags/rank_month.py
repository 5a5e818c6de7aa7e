"""Rank a month's periods when all three systems have delivered the month."""

from __future__ import annotations

from airflow.sdk import DAG, PartitionedAssetTimetable

from dags.common import DEFAULT_ARGS, DELIVERED, MONTH_PARAM
from dags.ranking import ranking_tasks

DOC = """
### rank_month: the rankings that a month completes

One run per month (its **partition key**), when `delivered_platform`, `delivered_hotline` and `delivered_cms` have the
month. `plan` names the periods that ended with the month and are complete, `build` makes a new warehouse beside the
served one (dbt), `audit` checks it (Great Expectations, reconciliation), `publish` swaps it in: revision 1 of the new
periods, and a revision of every published period whose figures changed.

**When red** nothing was published and the old release goes on being served. The last line of the task's log names the
reason: `build` the failing models or tests, `audit` the failing expectation or identity. Look at
`$TONGBAO_HOME/runs/<run>/`, mend the data or the model, clear the failed task and those below.

**To repeat**: trigger with the month as partition key, or use `replay`. A run on unchanged input publishes nothing new.
"""

with DAG(
    dag_id="rank_month",
    schedule=PartitionedAssetTimetable(
        assets=DELIVERED["platform"] & DELIVERED["hotline"] & DELIVERED["cms"],
    ),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    params={"month": MONTH_PARAM},
    doc_md=DOC,
    tags=["tongbao", "rank"],
):
    ranking_tasks(replay=False)
