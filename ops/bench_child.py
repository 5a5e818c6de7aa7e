"""One side of the bench in a process of its own: ``python -m ops.bench_child empty|county|history MONTH…``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ops import bench_peak


def main(what: str, months: list[str]) -> None:
    """Run the DAGs in this process; ends with code 1 when one of them does not succeed."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk import DAG

    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])

    def run(dag_id: str, month: str) -> None:
        dag: DAG = bag.dags[dag_id]
        state = dag.test(logical_date=None, run_conf={"month": month} if month else None).state
        if state != "success":
            sys.exit(f"{dag_id} {month}: {state}")

    if what == "empty":
        run("empty", "")
    else:
        for month in months:
            for system in ("platform", "hotline", "cms"):
                run(f"pull_{system}", month)
        run("rank_month", months[-1])
    Path(os.environ["TONGBAO_HOME"], "peak_rss_mib").write_text(str(bench_peak.with_children_mib()))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
