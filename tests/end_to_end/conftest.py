"""Counties that several tests look at: generated once, loaded through ingestion, built and published."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import publishing
from ingestion import landing, load
from ingestion.contracts import SYSTEMS
from ingestion.home import PROJECT, Home
from ingestion.transports import connect
from publishing.page import write_page

NOTICE_PERIODS = ["2022-07", "2022-08", "2022-07--2022-08"]


def generate(out: Path, *arguments: str) -> Path:
    """An exports folder of the simulator."""
    command = [sys.executable, "-m", "simulator", "generate", "--out", str(out), *arguments]
    subprocess.run(command, check=True, cwd=PROJECT, capture_output=True)
    return out


def ingest(home: Home, exports: Path) -> None:
    """Pulls and loads everything that lies in an exports folder, month by month as deliveries come."""
    source = connect(exports.absolute().as_uri())
    datasets = [(system, dataset) for system, names in SYSTEMS.items() for dataset in names]
    months = sorted({month for _, dataset in datasets for month in source.months(dataset)})
    for month in months:
        for system, dataset in datasets:
            if month in source.months(dataset):
                landing.pull(home, source, system, dataset, month)
                load.load(home, dataset, month)


def release(home: Home, periods: list[str], run_id: str, reason: str = "") -> publishing.Published:
    """Builds, audits and publishes the periods."""
    publishing.build(home, periods, run_id, reason)
    publishing.audit(home, run_id)
    return publishing.publish(home, run_id)


@pytest.fixture(scope="session")
def notice_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The county of the July-August 2022 notice, published."""
    root = tmp_path_factory.mktemp("notice")
    home = Home(root / "home")
    arguments = ["--scenario", "notice", "--months", "2022-05..2022-08", "--seed", "20220708"]
    ingest(home, generate(root / "exports", *arguments))
    release(home, NOTICE_PERIODS, "notice")
    return home


@pytest.fixture(scope="session")
def page_folder(notice_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of that county's release."""
    release = publishing.releases.served(notice_home)
    assert release
    folder = tmp_path_factory.mktemp("page") / "page"
    write_page(notice_home, release, folder)
    return folder
