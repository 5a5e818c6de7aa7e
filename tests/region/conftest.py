"""A region of four counties through its troubles: a good month, then garbage of one and a killed process of another."""

from __future__ import annotations

import csv
import multiprocessing
import random
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from ingestion.contracts import CONTRACTS
from ingestion.home import PROJECT
from region.cli import main
from region.config import County, Region, read_region
from region.run import Report, run

#: 甲 and 丙 by the project's rules, 乙 by a profile of its own, 丁 delivers garbage in the second month. One process
#: builds 丙 by dbt, then 乙 by what dbt did for 丙.
JIA, YI, BING, DING = "652701", "652702", "652703", "652704"
FIRST, SECOND = "2022-06", "2022-07"
PHONE = "13912345678"


@dataclass
class Story:
    """The region, the exports of its counties, and what each run came to."""

    region: Region
    exports: Path
    reports: list[Report] = field(default_factory=list)
    #: Release that each county served after the run.
    served: list[dict[str, int | None]] = field(default_factory=list)
    #: The last run, by the command line.
    again: Result | None = None


def own_seeds(folder: Path) -> Path:
    """A county's seeds: the units' codes are others, one unit is not ranked."""
    folder.mkdir(parents=True)
    for name in ("units.csv", "unit_aliases.csv"):
        with (PROJECT / "dbt_project" / "seeds" / name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            if row["unit_code"] != "U05":
                row["unit_code"] = row["unit_code"].replace("U", "K")
            elif "ranked" in row:
                row |= {"ranked": "false"}
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    return folder


def _generate(out: Path, seed: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "simulator", "generate", "--out", str(out), "--seed", str(seed), "--format", "csv"]
    command += ["--months", f"{FIRST}..{SECOND}", "--factor", "0.03"]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL)


def _served(region: Region) -> dict[str, int | None]:
    from publishing.releases import served_number

    return {county.code: served_number(region.home_of(county)) for county in region.counties}


def _garble(folder: Path) -> None:
    """Every file of the month is noise; one is named by a phone number."""
    for number, path in enumerate(sorted(folder.glob(f"*/*/{SECOND}/*.csv"))):
        path.write_bytes(random.Random(number).randbytes(2_000))
        if number == 0:
            path.rename(path.with_name(f"{PHONE}.csv"))


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Three runs: 甲 and 丁, one month; all, both months, 丁 garbled and 甲 killed; the same by the command line."""
    root = tmp_path_factory.mktemp("region")
    own_seeds(root / "region" / "yi" / "seeds")
    profile = {"title": "乙县", "datasets": {name: {} for name in CONTRACTS}}
    (root / "region" / "yi" / "profile.yaml").write_text(yaml.safe_dump(profile, allow_unicode=True), "utf-8")
    said = {
        "name": "示范州",
        "counties": [
            {"code": JIA, "name": "甲县"},
            {"code": BING, "name": "丙县"},
            {"code": YI, "name": "乙县", "profile": "./yi"},
            {"code": DING, "name": "丁县"},
        ],
    }
    (root / "region" / "region.yaml").write_text(yaml.safe_dump(said, allow_unicode=True), "utf-8")
    region = read_region(root / "region")
    story = Story(region, root / "exports")
    making = [_generate(story.exports / county.code, seed) for seed, county in enumerate(region.counties, 31)]
    assert [each.wait() for each in making] == [0, 0, 0, 0]
    second = root / "second"
    for code in (JIA, DING):
        for month in (story.exports / code).glob(f"*/*/{SECOND}"):
            target = second / month.relative_to(story.exports)
            target.parent.mkdir(parents=True, exist_ok=True)
            month.rename(target)

    def progress(county: County | None, step: str) -> None:
        if county and county.code == JIA and step == "build" and len(story.reports) == 1:
            (process,) = multiprocessing.active_children()
            process.kill()

    def go(**options: object) -> None:
        story.reports.append(run(region, story.exports, progress=progress, workers=1, **options))  # type: ignore[arg-type]
        story.served.append(_served(region))

    go(counties=(JIA, DING))
    shutil.copytree(second, story.exports, dirs_exist_ok=True)
    _garble(story.exports / DING)
    go()
    story.again = CliRunner().invoke(
        main, ["run", "--region", str(region.root), "--exports", str(story.exports), "--workers", "1"]
    )
    story.served.append(_served(region))
    return story
