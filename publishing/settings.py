"""Settings of publishing, each from an environment variable with a default; read when used, not at import."""

from __future__ import annotations

import os
import re

from ingestion.errors import BadParameter

#: Published schemas: facts, marts, every revision, the audit trail. What is not named here stays behind.
PUBLISHED_SCHEMAS = ("core", "marts", "history", "audit")

#: Oldest storage format that the published file can be read with: DuckDB 1.4, the long-term release.
STORAGE_VERSION = "v1.4.0"

#: How readers open the published file: with these settings (and read-only) it opens nothing else on the host.
READER_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "lock_configuration": True,
}

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,119}")
#: A run's id names folders and stands in manifests.
_PERSONAL = re.compile(r"(?<![0-9])(?:1[3-9][0-9]{9}|[0-9]{17}[0-9Xx])(?![0-9])")


def _whole_number(name: str, default: int) -> int:
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise BadParameter(f"{name} must be a whole number of at least 1")
    return int(text)


def full_build() -> bool:
    """Whether a build computes every fact anew (``TONGBAO_FULL_BUILD``: 1; default 0)."""
    text = os.environ.get("TONGBAO_FULL_BUILD", "").strip()
    if text not in ("", "0", "1"):
        raise BadParameter("TONGBAO_FULL_BUILD must be 0 or 1")
    return text == "1"


def releases_kept() -> int:
    """How many release folders stay on disk (``TONGBAO_RELEASES_KEPT``, default 24)."""
    return _whole_number("TONGBAO_RELEASES_KEPT", 24)


def runs_kept() -> int:
    """How many build folders stay on disk (``TONGBAO_RUNS_KEPT``, default 5)."""
    return _whole_number("TONGBAO_RUNS_KEPT", 5)


def postgres() -> str | None:
    """Where the PostgreSQL mirror is (``TONGBAO_POSTGRES``, a libpq URI or keywords); None: there is no mirror.

    A password belongs in a file that libpq reads (``PGPASSFILE``) or in an Airflow connection, not in the URI.
    """
    return os.environ.get("TONGBAO_POSTGRES", "").strip() or None


def mirror_kept() -> int:
    """How many releases stay in the mirror (``TONGBAO_MIRROR_KEPT``, default 3)."""
    return _whole_number("TONGBAO_MIRROR_KEPT", 3)


def mirror_reader() -> str:
    """The role that may read the mirror and nothing else (``TONGBAO_MIRROR_READER``, default tongbao_reader)."""
    name = os.environ.get("TONGBAO_MIRROR_READER", "").strip() or "tongbao_reader"
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name):
        raise BadParameter("TONGBAO_MIRROR_READER must be a plain lower-case role name")
    return name


def engine() -> str:
    """What builds the models (``TONGBAO_ENGINE``): ``duckdb`` in this process, or ``spark`` (docs/region.md)."""
    name = os.environ.get("TONGBAO_ENGINE", "").strip() or "duckdb"
    if name not in ("duckdb", "spark"):
        raise BadParameter("TONGBAO_ENGINE must be duckdb or spark")
    return name


def spark_master() -> str:
    """Where Spark runs (``TONGBAO_SPARK_MASTER``): ``local[2]``, this machine, unless a cluster is named."""
    return os.environ.get("TONGBAO_SPARK_MASTER", "").strip() or "local[2]"


def spark_folder() -> str | None:
    """Where Spark's tables lie (``TONGBAO_SPARK_FOLDER``, a folder or an object store's URI that every machine of the
    cluster reaches); None: in the run's own folder."""
    return os.environ.get("TONGBAO_SPARK_FOLDER", "").strip().rstrip("/") or None


def checked_run_id(run_id: str) -> str:
    """The run id, where it is fit to name a folder; raises BadParameter otherwise."""
    if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id):
        raise BadParameter("a run id holds at most 120 letters, digits and . _ - and starts with a letter or digit")
    if _PERSONAL.search(run_id):
        raise BadParameter("a run id holds no phone and no ID number: it names folders and stands in manifests")
    return run_id
