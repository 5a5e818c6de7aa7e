"""What every DAG must be, read from the real DAG bag; fails on an empty one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ingestion.contracts import SYSTEMS
from ingestion.errors import BadParameter, DeliveryRefused, Transient
from ingestion.home import PROJECT

DAGS = PROJECT / "dags"
EXPECTED = {"pull_platform", "pull_hotline", "pull_cms", "rank_month", "replay"} | {"freshness", "documents", "mirror"}
HEAVY = {"great_expectations", "dbt", "duckdb", "pandas", "pyarrow", "publishing", "expectations", "numpy"}


@pytest.fixture(scope="session")
def bag(airflow_env):
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(DAGS))


def test_exactly_the_expected_dags_and_no_import_error(bag):
    assert bag.import_errors == {}
    assert set(bag.dags) == EXPECTED


@pytest.mark.parametrize("dag_id", sorted(EXPECTED))
def test_owner_note_hook_and_limits(bag, dag_id):
    from dags.failures import report_failure

    dag = bag.dags[dag_id]
    assert "When red" in dag.doc_md and len(dag.doc_md) > 300
    assert dag.max_active_runs == 1
    assert dag.catchup is False
    assert dag.tasks
    for task in dag.tasks:
        # A mapped task keeps its arguments apart.
        given = getattr(task, "partial_kwargs", None) or {}
        assert (given.get("owner") or task.owner) == "county-data-office", task.task_id
        hooks = given.get("on_failure_callback") or task.on_failure_callback
        assert report_failure in (hooks if isinstance(hooks, list | tuple) else [hooks]), task.task_id


def test_what_is_mapped_is_what_the_contracts_know():
    from dags.pull import DATASETS

    assert {system: set(datasets) for system, datasets in DATASETS.items()} == {s: set(d) for s, d in SYSTEMS.items()}


def test_the_single_writer_has_one_pool(bag):
    for dag_id in ("rank_month", "replay"):
        pools = {task.task_id: task.pool for task in bag.dags[dag_id].tasks}
        assert {pools[task] for task in ("build", "audit", "publish")} == {"warehouse"}


def test_a_run_of_the_sixth_is_keyed_by_the_month_that_ended(bag):
    import pendulum
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    timetable = coerce_to_core_timetable(bag.dags["pull_cms"].timetable)
    restriction = TimeRestriction(earliest=pendulum.datetime(2023, 1, 1, tz="UTC"), latest=None, catchup=True)
    info = timetable.next_dagrun_info_v2(last_dagrun_info=None, restriction=restriction)
    assert info.partition_key == "2022-12"
    assert info.run_after == pendulum.datetime(2023, 1, 6, 6, tz="Asia/Shanghai")
    assert info.data_interval is None


def test_a_year_of_partitions_is_its_twelve_months(bag):
    import pendulum
    from airflow.serialization.encoders import coerce_to_core_timetable

    timetable = coerce_to_core_timetable(bag.dags["pull_cms"].timetable)
    infos = timetable.iter_partition_dagrun_infos(
        earliest=pendulum.datetime(2022, 1, 1, tz="UTC"), latest=pendulum.datetime(2022, 12, 31, tz="UTC")
    )
    assert [info.partition_key for info in infos] == [f"2022-{month:02d}" for month in range(1, 13)]


@pytest.mark.parametrize("file", ["pull.py", "rank_month.py", "replay.py", "freshness.py", "documents.py", "mirror.py"])
def test_parsing_imports_nothing_heavy(file, airflow_env):
    """A DAG file is parsed again and again: what it imports beyond Airflow's own is paid every time."""
    code = (
        "import sys, airflow.sdk\nbefore = set(sys.modules)\n"
        f"sys.path.insert(0, {str(DAGS)!r})\nimport runpy\nrunpy.run_path({str(DAGS / file)!r})\n"
        f"print(*sorted({{m.partition('.')[0] for m in set(sys.modules) - before}} & set({sorted(HEAVY)!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert done.stdout.split() == []


def test_each_dag_file_stays_short():
    for file in DAGS.glob("*.py"):
        assert len(file.read_text().splitlines()) <= 95, file.name


HOSTILE = [
    "2022-07'; drop table marts.releases; --",
    "{{ conn.tongbao_platform.password }}",
    "2022-07 $(id)",
    "2022-07;id",
    "../../etc/passwd",
    "2022-7",
    "２０２２-０７",
    "2022-08--2022-09",
    "",
    "2022-07\n2022-13",
    ["2022-07", "{{ 1 }}"],
    ["2022-01"] * 61,
]


@pytest.mark.parametrize("periods", HOSTILE, ids=[repr(h)[:30] for h in HOSTILE])
def test_periods_that_are_none_are_refused_before_anything_sees_them(periods):
    from dags.ranking import asked_periods

    with pytest.raises(BadParameter):
        asked_periods(periods)


def test_periods_may_be_a_string_or_a_list():
    from dags.ranking import asked_periods

    assert asked_periods("2022-07  2022-07--2022-08 2022-07") == ["2022-07", "2022-07--2022-08"]
    assert asked_periods(["2022-01"]) == ["2022-01"]


class _Run:
    def __init__(self, key):
        self.partition_key, self.dag_id, self.run_id = key, "pull_cms", "manual__2026-01-01T00:00:00+00:00/../x"


def test_a_run_means_its_partition_key_and_nothing_else():
    from dags.common import month_of

    assert month_of({"dag_run": _Run("2022-07"), "params": {"month": "2021-01"}}) == "2022-07"
    assert month_of({"dag_run": _Run(None), "params": {"month": "2021-01"}}) == "2021-01"
    for key in (None, "2022-7", "{{ ds }}", "2022-07-01"):
        with pytest.raises(BadParameter):
            month_of({"dag_run": _Run(key), "params": {"month": None}})


def test_run_ids_are_safe_as_folders_and_stable():
    from dags.common import run_id_of
    from publishing.settings import checked_run_id

    one = run_id_of({"dag_run": _Run("2022-07")})
    assert one == run_id_of({"dag_run": _Run("2022-07")}) == checked_run_id(one)
    assert "/" not in one and ".." not in one


def test_an_unforeseen_error_is_told_without_its_text():
    from dags.failures import Unforeseen, without_values

    def step():
        raise ValueError("row 7: 张三 13800138000")

    with pytest.raises(Unforeseen) as caught:
        without_values(step)()
    assert "13800138000" not in str(caught.value) and "ValueError" in str(caught.value)
    assert caught.value.__context__ is None and caught.value.__cause__ is None


def test_errors_of_the_project_pass_and_a_failed_system_call_may_be_retried():
    from dags.failures import without_values

    def refuse():
        raise DeliveryRefused("named")

    def disk():
        raise OSError(28, "No space left on device")

    with pytest.raises(DeliveryRefused, match="named"):
        without_values(refuse)()
    with pytest.raises(Transient, match="OSError"):
        without_values(disk)()


def test_retry_or_stop_is_the_exceptions_type():
    from airflow.sdk import RetryAction

    from dags.common import DEFAULT_ARGS

    policy = DEFAULT_ARGS["retry_policy"]
    assert policy.evaluate(Transient("x"), 1, 3).action == RetryAction.RETRY
    for error in (DeliveryRefused("x"), BadParameter("x"), ValueError("x")):
        assert policy.evaluate(error, 1, 3).action == RetryAction.FAIL
