"""What the DAGs share: owner, retries, the failure hook, and what a run means (its month, its run id).

Nothing here touches a file, a database or the network at import; the heavy packages are imported inside the tasks.
"""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, Connection, ExceptionRetryPolicy, Param, RetryAction, RetryRule

from dags.failures import report_failure
from ingestion.errors import BadParameter
from ingestion.period import Month
from ingestion.personal_numbers import masked

if TYPE_CHECKING:
    from ingestion.home import Home

TIME_ZONE = "Asia/Shanghai"

#: One writer of the warehouse at a time, whichever DAG it belongs to (the pool has one slot; `python -m ops` makes it).
WAREHOUSE_POOL = "warehouse"

#: A month of one system is an event on its asset; its partition key is the month.
DELIVERED = {system: Asset(f"delivered_{system}") for system in ("platform", "hotline", "cms")}

#: A publication, by whichever DAG: its documents are to be written. Its partition key is the release's number, because
#: an event of a partitioned run starts partitioned DAGs only, and one without a key only the others.
RELEASED = Asset("released")

#: Runs are keyed by partition; a trigger that cannot give a key (`airflow dags trigger`, `dags test`) says `month`.
MONTH_PARAM = Param(
    None,
    type=["null", "string"],
    pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$",
    title="月份 month",
    description="YYYY-MM; only where the run has no partition key",
)


#: Retry or stop is the exception's type: what may improve by itself is retried with back-off; the rest, programming
#: errors among it, would be the same next time and stops at once. (A task killed from outside is always retried.)
DEFAULT_ARGS = {
    "owner": "county-data-office",
    "retries": 3,
    "retry_delay": timedelta(seconds=15),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule("ingestion.errors.Transient", action=RetryAction.RETRY),
            RetryRule("builtins.Exception", action=RetryAction.FAIL),
        ]
    ),
    "on_failure_callback": report_failure,
}


def home() -> Home:
    """The state of the county this Airflow works for (``TONGBAO_HOME``)."""
    from ingestion.home import Home

    return Home.from_env()


def month_of(context: Any) -> str:
    """The month this run is about: its partition key, else the param ``month``. Never a date of the run itself."""
    month = context["dag_run"].partition_key or context["params"].get("month")
    if not month:
        raise BadParameter("the run has neither a partition key nor the param month; trigger it with one, as YYYY-MM")
    return str(Month.parse(month))


def run_id_of(context: Any) -> str:
    """A name for this run's build that is safe as a folder, and the same for every try of the run."""
    run = context["dag_run"]
    digest = hashlib.sha256(f"{run.dag_id}/{run.run_id}".encode()).hexdigest()[:8]
    name = masked(f"{run.dag_id}-{run.run_id}")
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', name)[:80].strip('-')}-{digest}"


def source_uri(system: str) -> str:
    """Where a system's exports are, from the Airflow connection ``tongbao_<system>``."""
    from ingestion.transports import uri_from_connection

    c = Connection.get(f"tongbao_{system}")
    return uri_from_connection(c.conn_type, c.host, c.port, c.login, c.password, c.schema, c.extra_dejson)
