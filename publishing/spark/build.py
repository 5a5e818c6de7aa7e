"""The models built by Spark from the inputs of a build: tables as Parquet, a folder a schema and table.

Either as a build's own engine (``TONGBAO_ENGINE=spark``): what is published of the tables is then brought into the
build's file, to be audited and published like any other. Or beside a build of DuckDB's, to compare the two.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.dataset as pads

from ingestion import engine
from ingestion.durable import naming_storage_faults
from ingestion.errors import BadParameter, BuildFailed
from ingestion.home import Home
from ingestion.ledger import Ledger
from publishing import settings
from publishing.build import STATE_FILE, input_digest, read_state, run_folder
from publishing.dbt_run import DBT_PROJECT, Summary, dbt_build
from publishing.durable import PublisherBusy, exclusive
from publishing.inputs import quoted
from publishing.spark.inputs import Place, declare, lay_delivered, lay_small_tables
from publishing.spark.session import session
from publishing.warehouse import writing

#: Schemas that dbt fills with tables, each a database of Spark in a folder of its own. `audit` holds inputs as well.
_BUILT_SCHEMAS = ("rules", "core", "metrics", "scoring", "history", "marts")


@dataclass(frozen=True)
class SparkBuild:
    """Where the tables of a run lie (``<schema>/<table>/*.parquet``), and what dbt said."""

    place: Place
    summary: Summary


def newest_run(home: Home) -> str:
    """Id of the build that ended last; raises BadParameter where there is none."""
    states = [path for path in home.runs.glob(f"[!.]*/{STATE_FILE}") if (path.parent / "warehouse.duckdb").exists()]
    if not states:
        raise BadParameter("nothing is built yet: `make run`, or python -m publishing build")
    return max(states, key=lambda path: path.stat().st_mtime).parent.name


@naming_storage_faults("spark")
def repeat(
    home: Home, run_id: str, *, project: Path = DBT_PROJECT, progress: Callable[[str], None] | None = None
) -> SparkBuild:
    """Builds with Spark what was built as ``run_id``: the same models, periods, deliveries and rules; the run's file
    stays as it is.

    Raises BadParameter where that run has no finished build, BuildFailed where models or integrity tests fail,
    PublisherBusy where deliveries or rules have changed since.
    """
    run_dir = run_folder(home, run_id)
    read_state(run_dir)
    with exclusive(run_dir, f"run {run_id}"):
        return _make(home, run_dir, project, progress)


def models_on_spark(
    home: Home, run_dir: Path, *, project: Path = DBT_PROJECT, progress: Callable[[str], None] | None = None
) -> Summary:
    """In a build, in place of dbt on DuckDB: the models by Spark, the published schemas copied into the run's file."""
    built = _make(home, run_dir, project, progress)
    with writing(run_dir / "warehouse.duckdb") as connection:
        for schema in settings.PUBLISHED_SCHEMAS:
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            for table in built.place.folders(schema):
                files = built.place.files(schema, table, ending=".parquet")
                connection.register("_rows", pads.dataset(files, filesystem=built.place.system, format="parquet"))
                connection.execute(f"CREATE TABLE {schema}.{quoted(table)} AS SELECT * FROM _rows").fetchall()
                connection.unregister("_rows")
    return built.summary


def _make(home: Home, run_dir: Path, project: Path, progress: Callable[[str], None] | None) -> SparkBuild:
    folder = run_dir / "spark"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shared = settings.spark_folder()
    place = Place(f"{shared}/{run_dir.name}" if shared else str(folder / "tables"))
    # What an earlier try has left would be taken for a table of this one.
    for schema in (*_BUILT_SCHEMAS, "audit"):
        place.system.delete_dir_contents(place.path(schema), missing_dir_ok=True)
    warehouse = run_dir / "warehouse.duckdb"
    with Ledger(home).at_one_moment() as ledger:
        if input_digest(home, project, ledger) != _digest_of(warehouse):
            raise PublisherBusy(f"deliveries or rules have changed since run {run_dir.name} began: build again")
        lay_delivered(place, ledger.accepted_files())
    tables = lay_small_tables(place, warehouse)
    with session(folder, place.uri("default")) as spark:
        declare(spark, place, tables)
        for schema in _BUILT_SCHEMAS:
            spark.sql(f"CREATE DATABASE {schema} LOCATION '{place.uri(schema)}'")
        summary = dbt_build(home, folder, project=project, progress=progress, engine="spark")
    if not summary.counts:
        raise BuildFailed("dbt ran no model on Spark")
    return SparkBuild(place, summary)


def _digest_of(warehouse: Path) -> str:
    with engine.connect(warehouse, read_only=True) as connection:
        return str(connection.execute("SELECT input_digest FROM staged.run").fetchall()[0][0])
