"""``make dbt ARGS="…"``: dbt on a copy of the newest build (草稿库). Nothing that is built or served is touched.

The copy is made once and kept, so that a model can be run again and again; ``--fresh`` takes the newest build anew.
With ``TONGBAO_COUNTY`` the rules and the data sets are that county's, as in its builds.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import yaml
from rich.console import Console

from ingestion.durable import temporary_beside
from ingestion.home import Home
from publishing.dbt_run import DBT_PROJECT, of_county, with_environment


def newest_build(home: Home) -> Path | None:
    """The warehouse of the build that ended last; None where nothing was built."""
    built = [path for path in home.runs.glob("[!.]*/warehouse.duckdb") if (path.parent / "build.json").exists()]
    return max(built, key=lambda path: path.stat().st_mtime, default=None)


def prepare(home: Home, *, fresh: bool = False) -> Path | None:
    """``runs/.scratch/warehouse.duckdb``, copied from the newest build where it is not there yet."""
    scratch = home.runs / ".scratch" / "warehouse.duckdb"
    source = newest_build(home)
    if source is None or (scratch.exists() and not fresh):
        return scratch if scratch.exists() else None
    scratch.parent.mkdir(parents=True, exist_ok=True)
    made = temporary_beside(scratch)
    shutil.copyfile(source, made)
    # What a killed dbt has left of the copy before is not of this one.
    scratch.with_name(scratch.name + ".wal").unlink(missing_ok=True)
    made.replace(scratch)
    return scratch


def main(arguments: list[str]) -> int:
    """Runs dbt with these arguments on the scratch copy; its exit code."""
    home, console = Home.from_env(), Console()
    fresh = "--fresh" in arguments
    scratch = prepare(home, fresh=fresh)
    if scratch is None:
        console.print("nothing is built yet: `make run` first")
        return 1
    _, variables, dbt_vars = of_county(home)
    from dbt.cli.main import dbtRunner

    folder = str(scratch.parent / "target")
    options = [
        "--project-dir",
        str(DBT_PROJECT),
        "--profiles-dir",
        str(DBT_PROJECT),
        "--target-path",
        folder,
        "--log-path",
        folder,
    ]
    given = [word for word in arguments if word != "--fresh"] or ["build"]
    if dbt_vars:
        # One --vars is all that dbt takes: those that were typed go over the county's.
        typed = given[given.index("--vars") + 1 :][:1] if "--vars" in given else []
        options += ["--vars", json.dumps(dbt_vars | (yaml.safe_load(typed[0]) if typed else {}))]
    with with_environment(variables | {"TONGBAO_WAREHOUSE": str(scratch)}):
        return 0 if dbtRunner().invoke([*given, *options]).success else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
