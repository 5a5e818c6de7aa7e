"""What the models read (docs/architecture.md, What dbt reads), as Parquet where every machine of a cluster finds it.

The delivered rows are the staged files themselves, linked or copied once, a folder a dataset and month; the small
tables (``staged.run``, ``audit.*``, ``previous.*``) are copied from the DuckDB file that holds the inputs of the same
build.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.fs as pafs
import pyarrow.parquet as pq

from ingestion import engine
from ingestion.contracts import CONTRACTS
from ingestion.errors import BadParameter
from ingestion.ledger import AcceptedFile
from publishing.durable import link_or_copy
from publishing.inputs import quoted, staged_columns

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: Schemas that are laid in before dbt runs; the views of delivered rows in `staged` are made apart.
INPUT_SCHEMAS = ("staged", "audit", "previous")

#: Spark's name of a type; a VARCHAR of DuckDB has no greatest length.
_SPARK_TYPES = {"VARCHAR": "string"}


class Place:
    """A folder for tables: of this machine or of an object store, by its URI."""

    def __init__(self, where: str) -> None:
        self.where = where if "://" in where else Path(where).absolute().as_uri()
        scheme, _, rest = self.where.partition("://")
        if scheme in ("s3", "s3a"):
            self.system, self.root = _object_store(), rest
        else:
            self.system, self.root = pafs.FileSystem.from_uri(self.where)
        if any(character in self.root for character in "*?[{\\'`"):
            raise BadParameter("the folder of Spark's tables holds one of * ? [ { \\ ' ` : choose another")

    def uri(self, *parts: str) -> str:
        """URI of what lies below, as Spark takes it."""
        return "/".join([self.where, *parts])

    def path(self, *parts: str) -> str:
        """The same for Arrow."""
        return "/".join([self.root, *parts])

    def files(self, *parts: str, ending: str = "") -> list[str]:
        """Paths of the files below, sorted; none where there is no such folder."""
        found = self.system.get_file_info(pafs.FileSelector(self.path(*parts), recursive=True, allow_not_found=True))
        return sorted(each.path for each in found if each.type == pafs.FileType.File and each.path.endswith(ending))

    def folders(self, *parts: str) -> list[str]:
        """Names of the folders below, sorted."""
        found = self.system.get_file_info(pafs.FileSelector(self.path(*parts), allow_not_found=True))
        return sorted(each.base_name for each in found if each.type == pafs.FileType.Directory)


def _object_store() -> pafs.S3FileSystem:
    # As the tools of the store have it: endpoint, region and credentials from the environment or the machine's role.
    scheme, mark, host = os.environ.get("AWS_ENDPOINT_URL", "").rstrip("/").partition("://")
    return pafs.S3FileSystem(endpoint_override=host, scheme=scheme) if mark else pafs.S3FileSystem()


def lay_delivered(place: Place, files: Iterable[AcceptedFile]) -> dict[str, int]:
    """Brings ``staged/<dataset>/month=<month>/`` to hold exactly these files; dataset -> number of files.

    A file's name holds the hash of its content: one that is there is not copied again, one that was erased from or
    staged anew has another name, and what is no longer accepted is taken away.
    """
    wanted: dict[str, Path] = {}
    counts: dict[str, int] = defaultdict(int)
    for file in files:
        with file.path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()[:16]
        name = place.path("staged", file.dataset, f"month={file.month}", f"{file.landing_id}-{digest}.parquet")
        wanted[name] = file.path
        counts[file.dataset] += 1
    present = set(place.files("staged"))
    for gone in present - wanted.keys():
        place.system.delete_file(gone)
    local = isinstance(place.system, pafs.LocalFileSystem)
    for name in sorted(wanted.keys() - present):
        place.system.create_dir(name.rsplit("/", 1)[0], recursive=True)
        if local:
            link_or_copy(wanted[name], name)
        else:
            pafs.copy_files(str(wanted[name]), name, pafs.LocalFileSystem(), place.system)
    for dataset in CONTRACTS:
        place.system.create_dir(place.path("staged", dataset), recursive=True)
    return counts


def lay_small_tables(place: Place, warehouse: Path) -> list[tuple[str, str]]:
    """Writes every table of the input schemas of a DuckDB file as Parquet, ``<schema>/<table>/``; their names."""
    with engine.connect(warehouse, read_only=True) as connection:
        listed = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() "
            "WHERE database_name = current_database() AND list_contains(?, schema_name) ORDER BY ALL",
            [list(INPUT_SCHEMAS)],
        ).fetchall()
        names = [(schema, table) for schema, table in listed if not _is_model(schema, table)]
        for schema, table in names:
            place.system.create_dir(place.path("inputs", schema, table), recursive=True)
            content = connection.sql(f"SELECT * FROM {schema}.{quoted(table)}").to_arrow_table()
            pq.write_table(content, place.path("inputs", schema, table, "0.parquet"), filesystem=place.system)
    return names


def _is_model(schema: str, table: str) -> bool:
    # The schema audit holds models too, in a file that dbt has been through.
    return schema == "audit" and table not in ("deliveries", "quarantine", "findings")


def declare(spark: SparkSession, place: Place, tables: Iterable[tuple[str, str]]) -> None:
    """Makes the input schemas known to Spark: tables over the Parquet files, nothing is read or copied."""
    for schema in INPUT_SCHEMAS:
        spark.sql(f"CREATE DATABASE {schema} LOCATION '{place.uri(schema)}'")
    for dataset, contract in CONTRACTS.items():
        columns = ", ".join(
            f"`{name}` {_SPARK_TYPES.get(kind, kind)}" for name, kind in staged_columns(contract).items()
        )
        spark.sql(
            f"CREATE TABLE staged.{dataset} ({columns}) USING parquet "
            f"OPTIONS (path '{place.uri('staged', dataset)}', recursiveFileLookup 'true')"
        )
    for schema, table in tables:
        spark.sql(f"CREATE TABLE {schema}.`{table}` USING parquet LOCATION '{place.uri('inputs', schema, table)}'")
