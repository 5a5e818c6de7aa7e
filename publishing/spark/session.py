"""One Spark application for one build: this process is its driver; nothing of it stays behind.

In local mode (the default) everything runs in one Java process beside this one. A cluster is a setting
(``TONGBAO_SPARK_MASTER``); what it needs besides comes from Spark's own ``spark-defaults.conf`` (docs/region.md).
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.errors import BuildFailed
from publishing import settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: What the figures rest on, here and on a cluster: times are Beijing wall time without a zone, as in DuckDB; columns
#: are found by name whatever the session before has set.
_MEANING = {
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.caseSensitive": "false",
    # Tables and databases of a build are known to this application alone: no metastore, no Derby, no Hive.
    "spark.sql.catalogImplementation": "in-memory",
    "spark.sql.sources.default": "parquet",
    "spark.log.level": "ERROR",
}

#: One county on one machine: queries of milliseconds, whose planning is what takes time.
_LOCAL = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.default.parallelism": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.autoBroadcastJoinThreshold": "64MB",
    # Every model is one query that runs once: generated and compiled code would cost more than it saves.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.constraintPropagation.enabled": "false",
    "spark.sql.ui.retainedExecutions": "1",
    "spark.ui.retainedJobs": "1",
    "spark.ui.retainedStages": "1",
    "spark.driver.host": "localhost",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "2g",
    "spark.driver.extraJavaOptions": (
        "-XX:+UseSerialGC -Xms1g -Xmn512m -Xss8m -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
    ),
}


def java() -> str | None:
    """The Java that Spark would start, from ``JAVA_HOME`` or the path; None where there is none."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=str(Path(home, "bin"))) if home else shutil.which("java")


@contextmanager
def session(folder: Path, default_database: str) -> Iterator[SparkSession]:
    """A Spark session of its own, ended when the block is left; ``folder`` takes what Spark puts on a local disk.

    ``default_database`` is the URI of the database that Spark always has and nothing is put into: it would be in the
    working folder else.

    Raises BuildFailed where pyspark or Java is missing, and says what to install.
    """
    # It does not support pandas 3 everywhere, and no frame of pandas is given to it.
    warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise BuildFailed(
            "Apache Spark is not in this environment: `make spark` makes one (requirements/spark.txt)"
        ) from None
    if java() is None:
        raise BuildFailed("Apache Spark needs Java 17 or later: install default-jre-headless, or set JAVA_HOME")
    master = settings.spark_master()
    scratch = folder / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    builder = SparkSession.builder.appName(f"tongbao {folder.parent.name}").master(master)
    chosen = _MEANING | {"spark.sql.warehouse.dir": default_database}
    if master.startswith("local"):
        chosen |= _LOCAL | {"spark.local.dir": str(scratch)}
    for name, value in chosen.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    try:
        yield spark
    finally:
        spark.stop()
        shutil.rmtree(scratch, ignore_errors=True)
