"""The parts of a region by themselves: its file, and the pool of processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from ingestion.errors import BadParameter
from region.cli import main
from region.config import read_region
from region.pool import Died, Pool

GOOD = 'name: 州\ncounties: [{code: "652701", name: 甲县, profile: p/jia}, {code: "652702", name: 乙县}]\n'


def test_a_region_names_its_counties(tmp_path: Path) -> None:
    (tmp_path / "region.yaml").write_text(GOOD, "utf-8")
    region = read_region(tmp_path)
    jia, yi = region.counties
    assert region.home_of(yi).root == tmp_path / "counties" / "652702"
    assert region.profile_of(jia) == str(tmp_path / "p" / "jia") and region.profile_of(yi) is None
    assert region.chosen(("652702",)) == [yi]
    with pytest.raises(BadParameter, match="652709: no county"):
        region.chosen(("652709",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("652702", "652701"), "code 652701 stands there more than once"),
        (GOOD.replace("乙县", "甲县"), "name 甲县 stands there more than once"),
        (GOOD.replace("652702", "../etc"), "code"),
        (GOOD.replace("profile", "profil"), "profil"),
        (GOOD.replace("profile: p/jia", "sources: {fax: 'file:///x'}"), "fax is no system"),
        ("name: 州\ncounties: []\n", "counties"),
        ("- a\n", "region.yaml"),
        ("name: [\n", "region.yaml"),
    ],
)
def test_a_region_that_contradicts_itself_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "region.yaml").write_text(text, "utf-8")
    with pytest.raises(BadParameter, match=said):
        read_region(tmp_path)


def test_help_and_a_missing_file() -> None:
    assert "--exports" in CliRunner().invoke(main, ["run", "--help"]).output
    missing = CliRunner().invoke(main, ["status", "--region", "/nowhere"])
    assert missing.exit_code == 1


def double(task: int, told: Callable[[str], None]) -> tuple[int, int]:
    """Work for the pool: dies on 3, takes a little on others."""
    told(f"step {task}")
    if task == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.01)
    return 2 * task, os.getpid()


def nothing() -> None:
    pass


def test_a_process_that_dies_takes_its_task_alone() -> None:
    steps: list[str] = []
    with Pool[int, tuple[int, int]](2, double, nothing) as pool:
        ended = dict(pool.run(range(8), lambda task, step: steps.append(step)))
        died = ended.pop(3)
        assert isinstance(died, Died) and str(died) == "its process was ended by SIGKILL"
        results = {task: result for task, result in ended.items() if not isinstance(result, Died)}
        assert {task: result[0] for task, result in results.items()} == {n: 2 * n for n in (0, 1, 2, 4, 5, 6, 7)}
        # Warm ones are used again, one was made anew, and the pool serves a second round.
        assert len({pid for _, pid in results.values()}) <= 3
        assert dict(pool.run([10], lambda task, step: None))[10][0] == 20  # type: ignore[index]
    assert sorted(steps) == [f"step {n}" for n in range(8)]
