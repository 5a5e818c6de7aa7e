"""The tasks of a ranking, the same for a month's own run and for a replay."""

from __future__ import annotations

from typing import Any

from airflow.sdk import get_current_context, task

from dags.common import RELEASED, WAREHOUSE_POOL, home, month_of, run_id_of
from dags.failures import without_values
from ingestion.errors import BadParameter, DeliveryMissing
from ingestion.period import Period

MAX_PERIODS = 60


def asked_periods(periods: str | list[str]) -> list[str]:
    """The period codes asked for, each validated before anything else sees it; raises BadParameter."""
    words = periods.split() if isinstance(periods, str) else list(periods)
    if not 1 <= len(words) <= MAX_PERIODS:
        raise BadParameter(f"name 1 to {MAX_PERIODS} periods, for example: 2022-07 2022-07--2022-08")
    return list(dict.fromkeys(Period.parse(word).code for word in words))


def reason_of(context: Any) -> str:
    """Why the run was asked for: the replay's param; a month's own run needs none."""
    return str(context["params"].get("reason") or "")


def describe(waiting: dict[str, list[str]]) -> str:
    """What each waiting period waits for, in one line."""
    return "; ".join(f"{period} waits for {', '.join(missing)}" for period, missing in waiting.items())


def ranking_tasks(*, replay: bool) -> None:
    """plan, build, audit, publish in the DAG being defined; for a replay then confirm that nothing asked is missing."""

    @task
    def plan() -> dict:
        import publishing

        context = get_current_context()
        if replay:
            planned = publishing.plan(home(), periods=asked_periods(context["params"]["periods"]))
        else:
            planned = publishing.plan(home(), month=month_of(context))
        waiting = planned.reasons()
        if not planned.publish:
            raise DeliveryMissing(f"nothing can be released: {describe(waiting)}")
        return {"publish": list(planned.publish), "waiting": waiting}

    @task(pool=WAREHOUSE_POOL)
    @without_values
    def build(planned: dict) -> str:
        import lineage
        import publishing

        context = get_current_context()
        run_id = run_id_of(context)
        with lineage.child_of(context["ti"]):
            publishing.build(home(), planned["publish"], run_id, reason=reason_of(context))
        return run_id

    @task(pool=WAREHOUSE_POOL)
    @without_values
    def audit(built: str) -> str:
        import publishing

        publishing.audit(home(), built)
        return built

    @task(pool=WAREHOUSE_POOL, outlets=[RELEASED])
    @without_values
    def publish(planned: dict, audited: str, outlet_events=None) -> list[str]:
        import publishing

        try:
            done = publishing.publish(home(), audited)
        except publishing.StaleBuild:
            # Another run published since the build; this task holds the writer's slot, so once more is enough.
            done = publishing.run(home(), planned["publish"], audited, reason_of(get_current_context()))
        if done.number is not None:  # None: nothing has ever been published, and this run brought nothing either
            outlet_events[RELEASED].add_partitions(str(done.number))
        return done.releases

    @task
    def confirm(planned: dict) -> None:
        if planned["waiting"]:
            raise DeliveryMissing(f"not released: {describe(planned['waiting'])}")

    planned = plan()
    published = publish(planned, audit(build(planned)))  # type: ignore[arg-type]
    if replay:
        published >> confirm(planned)  # type: ignore[arg-type]
