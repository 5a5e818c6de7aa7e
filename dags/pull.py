"""Pull DAGs: one per source system. Land and load every dataset of a month, then say that the month is delivered."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, CronPartitionTimetable, get_current_context, task

from dags.common import DEFAULT_ARGS, DELIVERED, MONTH_PARAM, TIME_ZONE, home, month_of, source_uri
from dags.failures import without_values

#: The platform, the hotline and the CMS, with their datasets (ingestion.contracts says the same; a test compares).
DATASETS = {
    "platform": ["platform_cases", "platform_reviews"],
    "hotline": ["hotline_tickets", "hotline_dispatches", "hotline_exclusions", "hotline_calls"],
    "cms": ["cms_posts", "cms_media_accounts", "cms_media_posts", "cms_submissions"],
}

DOC = """
### pull_{system}: one month of {system}'s exports

On the 6th at 06:00 (Asia/Shanghai), when the cut-off of the month just ended has passed. The run's **partition key is
that month** (`YYYY-MM`). Per dataset `ingest` lands the delivered bytes in the raw zone, types them, sets bad rows
aside and checks the load-edge expectations. When all datasets are accepted, `deliver` emits `delivered_{system}`
for the month; when all three systems have, `rank_month` starts.

**When `ingest` is red** the last line of its log names the reason.
- DeliveryMissing: the system has not delivered that month. Ask for it; a month with nothing is a file with a
  header only.
- SourceUnavailable or SourceInconsistent after all tries: the system is down, or the connection
  `tongbao_{system}` is wrong.
- DeliveryRefused: the file cannot be trusted; the dataset keeps its last good state. `python -m ingestion check
  FILE` says what to mend; then the system delivers again.

**To repeat**: clear the failed tasks, or trigger with the month as partition key. Running again is safe: unchanged
files are not loaded twice. A year: `make backfill YEAR=2022`.
"""


def pull_dag(system: str, datasets: list[str]) -> DAG:
    """The DAG that pulls one month of one system."""
    with DAG(
        dag_id=f"pull_{system}",
        # The run date is the 6th; one tick back is the 6th of the month just ended, whose key is that month.
        schedule=CronPartitionTimetable("0 6 6 * *", timezone=TIME_ZONE, run_offset=-1, key_format="%Y-%m"),
        catchup=False,
        max_active_runs=1,  # months in order: history checks compare with what came before
        default_args=DEFAULT_ARGS,
        params={"month": MONTH_PARAM},
        doc_md=DOC.format(system=system),
        tags=["tongbao", "pull"],
    ) as dag:

        @task(map_index_template="{{ dataset }}")
        @without_values
        def ingest(dataset: str) -> None:
            import expectations
            from ingestion import landing, load, transports

            expectations.prepare()
            context: Any = get_current_context()
            context["dataset"] = dataset  # what the task is mapped over is how people find it
            month = month_of(context)
            source = transports.connect(source_uri(system))
            landing.pull(home(), source, system, dataset, month)
            load.load(home(), dataset, month, validate=expectations.validate_load)

        @task(outlets=[DELIVERED[system]])
        def deliver(outlet_events=None) -> None:
            outlet_events[DELIVERED[system]].add_partitions(month_of(get_current_context()))

        ingest.expand(dataset=datasets) >> deliver()
    return dag


for _system, _datasets in DATASETS.items():
    globals()[f"pull_{_system}"] = pull_dag(_system, _datasets)
