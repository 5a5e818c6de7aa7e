"""Every morning: has each source delivered what must be here by now?"""

from __future__ import annotations

from airflow.sdk import DAG, CronTriggerTimetable, get_current_context, task

from dags.common import DEFAULT_ARGS, TIME_ZONE, home
from ingestion.contracts import SYSTEMS

DOC = """
### freshness: is a source late?

Every day at 09:00 (Asia/Shanghai), one task per system. It is green when every month that must be here by now has been
accepted; `upkeep/freshness.yaml` declares by when. It reads the ledger and writes nothing.

**When red** — SourceLate names the datasets and months. Look at the newest `pull_<system>` runs: a pull that failed
says why; where none failed the system has not exported yet, so ask for it. The next morning's run is green once the
delivery has been accepted; nothing has to be cleared. `make status` shows the same for all sources.
"""

with DAG(
    dag_id="freshness",
    schedule=CronTriggerTimetable("0 9 * * *", timezone=TIME_ZONE),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    doc_md=DOC,
    tags=["tongbao", "upkeep"],
):

    @task(map_index_template="{{ system }}")
    def on_time(system: str) -> None:
        from upkeep.freshness import check

        context = get_current_context()
        context["system"] = system  # type: ignore[typeddict-unknown-key]
        check(home(), system)

    on_time.expand(system=list(SYSTEMS))
