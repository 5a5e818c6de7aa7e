"""The ranking DAGs: a month's periods when all systems have delivered it, and named periods again with a reason."""

from __future__ import annotations

from airflow.sdk import DAG, Param, PartitionedAssetTimetable, get_current_context, task

from dags.common import DEFAULT_ARGS, DELIVERED, MONTH_PARAM, WAREHOUSE_POOL, home, month_of, run_id_of
from ingestion.errors import BadParameter, DeliveryMissing
from ingestion.period import Period

MAX_REASON = 500
MAX_PERIODS = 60

RANK_DOC = """
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

REPLAY_DOC = """
### replay: named periods again, with a reason

Computes and publishes the periods in `periods` (and revisions of published ones that changed). `reason` is kept with
every release it makes. A period that is not complete is not published; the others are, and `confirm` is red and names
what is missing. When red elsewhere: as in `rank_month`.
"""


def asked_periods(periods: str | list[str]) -> list[str]:
    """The period codes asked for, each validated before anything else sees it; raises BadParameter."""
    words = periods.split() if isinstance(periods, str) else list(periods)
    if not 1 <= len(words) <= MAX_PERIODS:
        raise BadParameter(f"name 1 to {MAX_PERIODS} periods, for example: 2022-07 2022-07--2022-08")
    return list(dict.fromkeys(Period.parse(word).code for word in words))


def describe(waiting: dict[str, list[str]]) -> str:
    """The deliveries that each waiting period lacks, in one line."""
    return "; ".join(f"{period} lacks {', '.join(missing)}" for period, missing in waiting.items())


def ranking_tasks(*, replay: bool) -> None:
    """plan, build, audit, publish (and, for a replay, confirm) in the DAG being defined."""

    @task
    def plan() -> dict:
        import publishing

        context = get_current_context()
        if replay:
            planned = publishing.plan(home(), periods=asked_periods(context["params"]["periods"]))
        else:
            planned = publishing.plan(home(), month=month_of(context))
        waiting = {period: [f"{d} {m}" for d, m in missing] for period, missing in planned.waiting.items()}
        if not planned.publish:
            raise DeliveryMissing(f"nothing can be released: {describe(waiting)}")
        return {"publish": list(planned.publish), "waiting": waiting}

    @task(pool=WAREHOUSE_POOL)
    def build(planned: dict) -> str:
        import publishing

        context = get_current_context()
        run_id = run_id_of(context)
        publishing.build(home(), planned["publish"], run_id, reason=str(context["params"].get("reason") or ""))
        return run_id

    @task(pool=WAREHOUSE_POOL)
    def audit(run_id: str) -> str:
        import publishing

        publishing.audit(home(), run_id)
        return run_id

    @task(pool=WAREHOUSE_POOL)
    def publish(run_id: str) -> list[str]:
        import publishing

        return [str(release) for release in publishing.publish(home(), run_id).releases]

    @task
    def confirm(planned: dict) -> None:
        if planned["waiting"]:
            raise DeliveryMissing(f"not released: {describe(planned['waiting'])}")

    planned = plan()
    published = publish(audit(build(planned)))
    if replay:
        published >> confirm(planned)


with DAG(
    dag_id="rank_month",
    schedule=PartitionedAssetTimetable(
        assets=DELIVERED["platform"] & DELIVERED["hotline"] & DELIVERED["cms"],
    ),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    params={"month": MONTH_PARAM},
    doc_md=RANK_DOC,
    tags=["tongbao", "rank"],
):
    ranking_tasks(replay=False)

with DAG(
    dag_id="replay",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    params={
        "periods": Param(type=["string", "array"], items={"type": "string"}, title="考核期 periods", maxLength=1500),
        "reason": Param(type="string", minLength=1, maxLength=MAX_REASON, title="原因 reason"),
    },
    doc_md=REPLAY_DOC,
    tags=["tongbao", "rank"],
):
    ranking_tasks(replay=True)
