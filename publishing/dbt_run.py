"""One ``dbt build`` in this process, on one new DuckDB file; its results as a readable summary, without row values."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lineage
from ingestion.collector import collector_paused
from ingestion.durable import REMEDY, storage_reason, storage_reason_in, temporary_beside
from ingestion.errors import BuildFailed, StorageFailed
from ingestion.home import PROJECT, Home
from ingestion.profile import county, delivered_datasets
from publishing.seeds import overlaid

#: The models.
DBT_PROJECT = PROJECT / "dbt_project"
#: The profile of builds: the run's own file, and nothing else within reach of SQL.
PROFILES = Path(__file__).parent / "dbt_profile"

_PARSE_CACHE = "partial_parse.msgpack"
_FAILED = {"error", "fail", "runtime error", "partial success"}
#: Nodes named in a failure; a broken model fails everything below it and the first ones tell why.
_SHOWN = 15
_MESSAGE_CHARACTERS = 600


@dataclass
class Summary:
    """What became of the nodes of one dbt build: counts by status, and the lines that a person needs."""

    counts: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def seeds_folder(home: Home, project: Path = DBT_PROJECT) -> Path:
    """The folder of the rules for dbt: the project's, or the one that ``TONGBAO_SEEDS`` names, with the county's own
    over it; a copy where it is not the project's (see ``overlaid``)."""
    folder = (project / os.environ.get("TONGBAO_SEEDS", "seeds")).resolve()
    profile = county()
    own = profile.seeds if profile else None
    if own is None and folder.is_relative_to(project.resolve()):
        return folder
    return overlaid(folder, own, home.runs / ".seeds")


def of_county(home: Home, project: Path = DBT_PROJECT) -> tuple[Path, dict[str, str], dict[str, Any]]:
    """What makes dbt work for the county (``TONGBAO_COUNTY``): its seeds' folder, environment variables, dbt's vars."""
    seeds = seeds_folder(home, project)
    variables = {} if seeds.is_relative_to(project.resolve()) else {"TONGBAO_SEEDS": str(seeds)}
    return seeds, variables, {"datasets": list(delivered_datasets())} if county() else {}


def dbt_build(
    home: Home,
    run_dir: Path,
    *,
    project: Path = DBT_PROJECT,
    seeds: bool = True,
    select: Sequence[str] = (),
    exclude: Sequence[str] = (),
    progress: Callable[[str], None] | None = None,
    engine: str = "duckdb",
) -> Summary:
    """Builds every model, seed and test of ``project`` (unit tests are of the code): in ``run_dir/warehouse.duckdb``,
    or with the engine ``spark`` in the Spark session of this process.

    ``seeds``: False where the file has them already. ``select``: only what these selectors of dbt name, without what
    those of ``exclude`` do. ``progress`` is called with the name of each finished node.
    Raises BuildFailed that names what failed and why.
    """
    with collector_paused():
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # dbt takes a second to import
        from dbt.cli.main import dbtRunner

    def report(event: Any) -> None:
        if progress and event.info.name == "NodeFinished":
            progress(event.data.node_info.node_name)

    from publishing.sandbox import FOLDERS_VARIABLE, WAREHOUSE_VARIABLE
    from publishing.warehouse import DATABASE

    target = run_dir / "dbt"
    target.mkdir()
    _take_cache(home, project, engine, target)
    rules, of_the_county, dbt_vars = of_county(home, project)
    folders = [home.staged, run_dir, rules]
    variables = of_the_county | {
        WAREHOUSE_VARIABLE: str(run_dir / "warehouse.duckdb"),
        FOLDERS_VARIABLE: os.pathsep.join(map(str, folders)),
    }
    arguments = [
        *("--no-use-colors", "--no-use-colors-file", "--log-level", "none", "--log-level-file", "info"),
        *("--log-path", str(target), "--no-send-anonymous-usage-stats", "--no-version-check", "--no-print"),
        # The manifest is half a second of every run and read by nobody here but lineage, where it is on.
        *(() if lineage.transport() else ("--no-write-json",)),
        *("build", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "exposure"),
        *("--project-dir", str(project)),
        *("--profiles-dir", str(PROFILES), "--profile", "tongbao", "--target-path", str(target)),
        *("--target", engine),
    ]
    if not seeds:
        arguments += ["--exclude-resource-type", "seed"]
    if select:
        arguments += ["--select", *select, "--indirect-selection", "empty"]
    if exclude:
        arguments += ["--exclude", *exclude]
    if dbt_vars:
        arguments += ["--vars", json.dumps(dbt_vars)]
    _told_only_what_is_kept()
    # In a thread of its own: dbt walks its callers' frames, their sources included, and an Airflow task has many.
    with with_environment(variables), collector_paused(), ThreadPoolExecutor(1, "dbt") as thread:
        try:
            outcome = thread.submit(dbtRunner(callbacks=[report]).invoke, arguments).result()
            if outcome.success and engine == "duckdb" and (environment := DuckDBConnectionManager._ENV):
                # There is no log, and closing tells of no error: what is not on disk now would be gone unnoticed.
                environment.conn.execute(f"CHECKPOINT {DATABASE}")
        finally:
            # The adapter would hold the file, and with it the write lock, until the process ends.
            if environment := DuckDBConnectionManager._ENV:
                environment.close()
            DuckDBConnectionManager.close_all_connections()
        if lineage.transport():
            from lineage.events import tell_build

            tell_build(project, target)
    results = getattr(outcome.result, "results", None)
    if results is None:
        if outcome.exception and (reason := storage_reason(outcome.exception)):
            raise StorageFailed(f"dbt did not start: {reason}. {REMEDY}")
        raise BuildFailed(f"dbt did not start: {without_values(str(outcome.exception or 'no result'))}")
    summary = summarise(results)
    if summary.failures or not outcome.success:
        counts = ", ".join(f"{number} {status}" for status, number in sorted(summary.counts.items()))
        shown = summary.failures[:_SHOWN]
        if more := len(summary.failures) - len(shown):
            shown.append(f"… and {more} more, see {target / 'dbt.log'}")
        told = "\n  ".join([f"dbt: {counts}", *shown])
        # A full disk is no fault of a model, and may have room at the next try.
        if reason := storage_reason_in(told):
            raise StorageFailed(f"{told}\n  {reason}. {REMEDY}")
        raise BuildFailed(told)
    _keep_cache(home, project, engine, target)
    return summary


def _told_only_what_is_kept() -> None:
    """Lets dbt make no message of its debugging (two thousand of a build, a tenth of its time): the log is at INFO.

    The finished node is one of them, and is what progress is told by.
    """
    from dbt_common.events import event_manager, event_manager_client
    from dbt_common.events.base_types import BaseEvent, EventLevel

    class InfoManager(event_manager.EventManager):
        def fire_event(self, e: BaseEvent, level: EventLevel | None = None, *rest: Any, **more: Any) -> None:
            if (level or e.level_tag()) != EventLevel.DEBUG or type(e).__name__ == "NodeFinished":
                super().fire_event(e, level, *rest, **more)

    event_manager_client.ctx_set_event_manager(InfoManager())


def summarise(results: Any) -> Summary:
    """Counts, failures and warnings of dbt's node results."""
    summary = Summary()
    for result in results:
        status = str(getattr(result.status, "value", result.status))
        summary.counts[status] = summary.counts.get(status, 0) + 1
        line = f"{result.node.resource_type} {result.node.name}: {without_values(result.message or status)}"
        if status in _FAILED:
            summary.failures.append(line)
        elif status == "warn":
            summary.warnings.append(line)
    return summary


def without_values(message: str) -> str:
    """An error text without what it quotes from rows: literals, keys, the SQL line it points into."""
    message = re.split(r"\n\s*(?:LINE \d+:|compiled code at)", message)[0]
    message = re.sub(r"'(?:[^']|'')*'", "'…'", message)
    message = re.sub(r'\bkey "([^":]*):[^"]*"', r'key "\1"', message)
    # Double quotes hold names of columns and models, but also values: only what looks like a name stays.
    message = re.sub(r'"(?![a-z_][a-z0-9_.]*")[^"]*"', '"…"', message)
    message = re.sub(r"\d{5,}", "…", message)
    message = re.sub(r"\s*\n\s*", " / ", message.strip())
    return message if len(message) <= _MESSAGE_CHARACTERS else message[:_MESSAGE_CHARACTERS] + " …"


@contextmanager
def with_environment(values: dict[str, str]) -> Iterator[None]:
    """These environment variables inside, what was there before outside."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _cache(home: Home, project: Path, engine: str) -> Path:
    # dbt keeps absolute paths and the engine in it: a project that lies elsewhere has a cache of its own.
    place = hashlib.sha256(f"{engine}\0{project.resolve()}".encode()).hexdigest()[:16]
    return home.runs / ".dbt" / f"{place}.msgpack"


def _take_cache(home: Home, project: Path, engine: str, target: Path) -> None:
    cached = _cache(home, project, engine)
    if cached.exists():
        shutil.copyfile(cached, target / _PARSE_CACHE)


def _keep_cache(home: Home, project: Path, engine: str, target: Path) -> None:
    if not (target / _PARSE_CACHE).exists():
        return
    cached = _cache(home, project, engine)
    cached.parent.mkdir(exist_ok=True)
    temporary = temporary_beside(cached)
    shutil.copyfile(target / _PARSE_CACHE, temporary)
    temporary.replace(cached)
