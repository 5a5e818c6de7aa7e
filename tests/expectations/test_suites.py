"""The kept suites: as the library writes them, whole, and about figures that are measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from expectations import measures
from expectations.judge import _suite, judge, read_expectations, suite_files, suite_text
from ingestion.contracts import CONTRACTS
from ingestion.errors import BadParameter

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("path", suite_files(), ids=lambda path: path.stem)
def test_a_suite_is_byte_for_byte_what_the_library_writes(path: Path) -> None:
    assert suite_text(path) == path.read_text(encoding="utf-8")


def test_there_are_suites() -> None:
    stems = {path.stem for path in suite_files()}
    assert {"load", "published"} <= stems
    assert stems - {"load", "published"} <= {f"load_{dataset}" for dataset in CONTRACTS}
    assert all(read_expectations(stem) for stem in stems)


@pytest.mark.parametrize("dataset", CONTRACTS)
def test_what_is_declared_for_a_dataset_is_measured_and_judged(dataset: str) -> None:
    declared = measures.of_delivery(dataset)
    named = {*declared.rows, *declared.shares, *(f"{name}_change" for name in declared.shares)}
    assert {e["kwargs"]["column"] for e in read_expectations(f"load_{dataset}")} == named


def test_what_is_declared_for_the_warehouse_is_measured_and_judged() -> None:
    judged = {e["kwargs"]["column"] for e in read_expectations("published")}
    assert judged == {*measures.of_warehouse().violations, "empty_relations", "personal_text"}


def test_every_expectation_says_what_it_means_and_since_when() -> None:
    for path in suite_files():
        for expectation in read_expectations(path.stem):
            assert expectation["severity"] in ("critical", "warning", "info")
            assert pd.Timestamp(expectation["meta"]["threshold_reason"][:10]) >= pd.Timestamp("2026-11-01")


EXPECTATION = {
    "type": "expect_column_max_to_be_between",
    "kwargs": {"column": "rows", "min_value": 0.0, "max_value": 3.0},
    "meta": dict.fromkeys(("name", "title_zh", "title_en", "unit", "threshold_reason"), "x"),
    "severity": "critical",
}
COMPARING = {**EXPECTATION, "meta": {**EXPECTATION["meta"], "against_history": True}}


@pytest.mark.parametrize(
    ("figures", "plain", "comparing"),
    [
        ({"rows": 3}, "passed", "passed"),
        ({"rows": 3.5}, "failed", "failed"),
        ({"rows": None}, "failed", "baseline"),
        ({"other": 1}, "failed", "baseline"),
        ({}, "failed", "baseline"),
        ({"rows": float("nan")}, "failed", "failed"),
    ],
)
def test_nothing_passes_for_want_of_a_figure(figures: dict[str, float], plain: str, comparing: str) -> None:
    for expectation, status in ((EXPECTATION, plain), (COMPARING, comparing)):
        (outcome,), _ = judge("test", [expectation], figures)
        assert outcome["status"] == status


def test_an_expectation_without_its_texts_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = {**EXPECTATION, "meta": {"name": "x"}}
    (tmp_path / "bare.json").write_text(json.dumps({"name": "bare", "expectations": [bare]}), encoding="utf-8")
    monkeypatch.setattr("expectations.judge.SUITES", tmp_path)
    with pytest.raises(BadParameter, match="title_zh"):
        read_expectations("bare")


def test_importing_the_package_does_not_import_the_library() -> None:
    """DAG files and command lines name this package; the library costs seconds and is for the task that judges."""
    code = "import expectations, sys; sys.exit('great_expectations' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0


def test_the_command_lists_the_suites() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "expectations"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "load_platform_reviews" in done.stdout


def test_judging_speaks_to_nobody() -> None:
    """Earlier versions of the library reported their use to its makers; whatever a version does, nothing is sent."""
    code = (
        "import os, socket, sys\n"
        "def refuse(*_): os._exit(3)  # also from a thread\n"
        "socket.socket.connect = socket.socket.connect_ex = refuse\n"
        "socket.getaddrinfo = refuse\n"
        "from expectations.judge import judge, read_expectations\n"
        "outcomes, _ = judge('load', read_expectations('load'), {'rows_unaccounted': 0})\n"
        "import time; time.sleep(1)  # what is sent is sent by a thread\n"
        "sys.exit(outcomes[0]['status'] != 'passed')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_modules_that_no_suite_uses_are_bound_and_not_run() -> None:
    """Until somebody uses them; that every loaded module is asked where it lies, as dbt does it, is no use."""
    script = """
import sys
from expectations.judge import _gx
_gx()
assert all(getattr(module, "__file__", "") != 0 for module in list(sys.modules.values()))
unused = {"scipy.stats._stats_py", "altair.vegalite", "boto3.session"}
assert not unused & set(sys.modules), unused & set(sys.modules)
import altair, boto3
from scipy import stats
assert stats.norm.ppf(0.5) == 0 and altair.Chart and boto3.client
assert unused <= set(sys.modules), unused - set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_librarys_expectation_gives_the_same_judgement(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that keeps its configuration is in the registry, and judges as the library's own does."""
    from great_expectations.expectations import registry
    from great_expectations.expectations.core import ExpectColumnMaxToBeBetween

    expectations = read_expectations("published")
    measures = {each["kwargs"]["column"]: number % 3 for number, each in enumerate(expectations)}
    ours, _ = judge("published", expectations, measures)
    assert {each["status"] for each in ours} == {"passed", "failed"}
    kept = registry.get_expectation_impl("expect_column_max_to_be_between")
    assert kept is not ExpectColumnMaxToBeBetween and issubclass(kept, ExpectColumnMaxToBeBetween)
    monkeypatch.setitem(
        registry._registered_expectations, "expect_column_max_to_be_between", ExpectColumnMaxToBeBetween
    )
    _suite.cache_clear()
    assert judge("published", expectations, measures)[0] == ours
    _suite.cache_clear()


def test_a_suite_that_was_judged_before_judges_other_figures_as_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    expectations = read_expectations("load", "load_hotline_tickets")
    names = {each["kwargs"]["column"] for each in expectations}
    figures: list[dict[str, float | None]] = [dict.fromkeys(names, value) for value in (0, 1, None, 10**6)]
    figures += [{}, *figures[::-1]]
    again = [judge("load", expectations, each)[0] for each in figures]
    monkeypatch.setattr("expectations.judge._suite", _suite.__wrapped__)
    assert again == [judge("load", expectations, each)[0] for each in figures]
    assert len({tuple(each["status"] for each in outcomes) for outcomes in again}) >= 3


@pytest.mark.parametrize("suite", ["load_hotline_tickets", "published"])
def test_a_batch_of_the_library_gives_the_same_judgement(suite: str) -> None:
    """The steps taken here are those of ``Batch.validate``: for figures that are met, missed, null or absent."""
    import great_expectations as gx
    import pandas

    expectations = read_expectations("load", suite)
    names = list(dict.fromkeys(each["kwargs"]["column"] for each in expectations))
    measures = {name: (0, 1, None, 0.5, 10**6)[number % 5] for number, name in enumerate(names) if number % 7}
    asset = gx.get_context(mode="ephemeral").data_sources.add_pandas("m").add_dataframe_asset("m")
    batch = asset.add_batch_definition_whole_dataframe("m").get_batch({"dataframe": pandas.DataFrame([measures])})
    result = batch.validate(gx.ExpectationSuite(name=suite, expectations=expectations))
    theirs = {one.expectation_config.meta["name"]: one.success and bool(one.result) for one in result.results}
    ours = {each["name"]: each["status"] for each in judge(suite, expectations, measures)[0]}
    assert ours.keys() == theirs.keys() and {"passed", "failed"} <= set(ours.values())
    for name, status in ours.items():
        assert theirs[name] == (status == "passed"), name
