"""``airflow scheduler`` with the libraries of the tasks already imported.

The local executor forks its tasks from the scheduler. What is imported here once is not imported again by each of some
hundred tasks (Great Expectations alone takes seconds). Only modules are loaded: nothing is opened.
"""

from __future__ import annotations

import gc
import importlib

#: Imported in the tasks of the pull and ranking DAGs.
LIBRARIES = (
    "expectations.delivery",
    "expectations.judge",
    "great_expectations",
    "ingestion.landing",
    "ingestion.load",
    "ingestion.transports.api",
    "ingestion.transports.filetree",
    "publishing",
    "dbt.cli.main",
)


def take_over() -> None:
    """Says that an earlier scheduler is gone: a home, and a deployment, has one. Its tasks are taken up at once.

    A scheduler that was killed says nothing; Airflow would look for its tasks after five minutes.
    """
    from airflow.jobs.job import Job, JobState
    from airflow.utils.session import create_session
    from sqlalchemy import update

    gone = update(Job).where(Job.job_type == "SchedulerJob", Job.state == JobState.RUNNING)
    with create_session() as session:
        session.execute(gone.values(state=JobState.FAILED))


def main() -> None:
    """Import, then be the scheduler; the arguments are Airflow's."""
    take_over()
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()

    from airflow.__main__ import main as airflow

    airflow()


if __name__ == "__main__":
    main()
