"""Planted rows: each is where the list says, has the fault the list names, and leaves every figure alone."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from simulator import faults, generate, write
from simulator.catalog import DATASETS
from tests.reference_calc import calculate

#: What an independent reader calls each kind.
REASONS = {
    "missing_key": "missing key",
    "lost_key": "lost key",
    "required_empty": "required",
    "unreadable_time": "unreadable",
    "unreadable_number": "unreadable",
    "unknown_code": "code outside its list",
    "end_before_start": "an end before its start",
    "future_event": "after the moment of the pull",
}


@pytest.mark.parametrize("form", [None, "csv", "xlsx"])
def test_an_independent_reader_sets_aside_exactly_what_was_planted(
    small_county: generate.Tables, tmp_path: Path, form: str | None
) -> None:
    planted = pd.DataFrame(write.write_exports(small_county, tmp_path / "bad", seed=2, form=form, plant=True))
    write.write_exports(small_county, tmp_path / "good", seed=2, form=form)
    bad, good = calculate(tmp_path / "bad", ["2022-07"]), calculate(tmp_path / "good", ["2022-07"])
    assert len(bad.refused) == len(good.quarantine) == 0
    place = ["dataset", "month", "file", "row"]
    aside = planted[planted["outcome"] == "quarantined"]
    both = aside.merge(bad.quarantine.astype({"row": int}), on=place, how="outer", indicator=True)
    assert set(both["_merge"]) == {"both"}, both[both["_merge"] != "both"]
    assert (both["header"] == both["column"]).all(), both[both["header"] != both["column"]]
    assert (both["kind"].map(REASONS) == both["reason"]).all()
    for table in ("unit_metrics", "unit_scores", "unit_rankings", "period_totals"):
        pd.testing.assert_frame_equal(getattr(bad, table), getattr(good, table))


def test_every_kind_is_planted_in_every_dataset_that_can_have_it(small_county: generate.Tables, tmp_path: Path) -> None:
    planted = pd.DataFrame(write.write_exports(small_county, tmp_path / "x", plant=True))
    seen = set(zip(planted["dataset"], planted["kind"], planted["header"], strict=True))
    for dataset in ("platform_cases", "platform_reviews", "cms_submissions", "cms_media_posts"):
        assert {(dataset, *pair) for pair in faults.kinds(dataset)} <= seen
    assert set(planted["dataset"]) == set(DATASETS)
    assert set(planted["kind"]) == {*REASONS, "lost_personal"}


def test_no_delivery_is_spoilt_beyond_its_limit(small_county: generate.Tables, tmp_path: Path) -> None:
    planted = pd.DataFrame(write.write_exports(small_county, tmp_path / "x", plant=True))
    aside = planted[planted["outcome"] == "quarantined"].value_counts(["dataset", "month"])
    for (dataset, month), frame in small_county.items():
        count = int(aside.get((dataset, month), 0))
        assert count <= 3 or count / (len(frame) + count) <= 0.05, (dataset, month, count)


def test_spoilt_ids_stand_in_rows_that_load(small_county: generate.Tables, tmp_path: Path) -> None:
    planted = write.write_exports(small_county, tmp_path / "x", plant=True)
    emptied = [p for p in planted if p["kind"] == "lost_personal" and p["dataset"] == "platform_cases"]
    assert emptied
    for entry in emptied:
        page = tmp_path / "x/platform/platform_cases" / str(entry["month"]) / str(entry["file"])
        row = json.loads(page.read_text("utf-8"))["rows"][int(str(entry["row"])) - 1]
        assert [row["办件编号"]] == entry["key"]
        assert row["证件号码"] == "6.52722E+17"
