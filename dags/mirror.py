"""Bring the PostgreSQL mirror to the served release after each publication."""

from __future__ import annotations

from airflow.sdk import DAG, Connection, PartitionedAssetTimetable, task
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowSkipException

from dags.common import DEFAULT_ARGS, RELEASED, home
from dags.failures import without_values

CONNECTION = "tongbao_postgres"

DOC = """
### mirror: the PostgreSQL mirror follows the served release

After each publication (asset `released`), by hand after a step back. Loads the release into a schema of its own, then
turns the views to it in one transaction; docs/bi.md says what readers see. Where neither the connection
`tongbao_postgres` nor `TONGBAO_POSTGRES` names a database there is no mirror, and the task is skipped.

**When red** readers go on seeing the release that they saw. MirrorUnavailable after all tries: server down or full,
or one query has run for more than five minutes at every try. MirrorFailed: the server refused; the message says what.

**To repeat**: trigger it. Running again is safe: a release that is there is not loaded twice.
"""


def target() -> str | None:
    """Where the mirror is: the Airflow connection, else the setting; None where there is none."""
    from psycopg.conninfo import make_conninfo

    from publishing import settings

    try:
        c = Connection.get(CONNECTION)
    except AirflowNotFoundException:
        return settings.postgres()
    given = {"host": c.host, "port": c.port, "user": c.login, "password": c.password, "dbname": c.schema}
    given |= c.extra_dejson  # libpq's own, such as sslmode
    return make_conninfo("", **{name: value for name, value in given.items() if value})


@without_values
def follow(uri: str) -> int:
    """Brings the mirror at this address to the served release; its number."""
    from publishing.mirror import mirror as bring

    return bring(home(), uri).number


with DAG(
    dag_id="mirror",
    schedule=PartitionedAssetTimetable(assets=RELEASED),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    doc_md=DOC,
    tags=["tongbao", "publish"],
):

    @task
    def mirror() -> int:
        uri = target()
        if uri is None:
            raise AirflowSkipException("no mirror is set")
        return follow(uri)

    mirror()
