"""The generated county: the same bytes every time, the layout, the size, and the ways of people in it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from stdnum.cn import ric

from simulator import clock, generate, people, write
from simulator.__main__ import main
from simulator.catalog import COLUMNS, DATASETS, KEYS, SYNC, SYSTEM_OF, UNKNOWN_NAMES, UPDATED, units

MONTHS = ("2022-05", "2022-06", "2022-07")


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    seen = []
    for name, seed in (("a", 4), ("b", 4), ("c", 5)):
        words = ["generate", "--out", str(tmp_path / name), "--seed", str(seed), "--months", "2022-06..2022-07"]
        result = CliRunner().invoke(main, [*words, "--factor", "0.02", "--faults", "rows"])
        assert result.exit_code == 0, result.output
        seen.append((digests(tmp_path / name), (tmp_path / f"{name}.planted.json").read_bytes()))
    assert seen[0] == seen[1]
    assert seen[0][0] != seen[2][0]
    assert seen[0][1] != seen[2][1]


def test_layout_is_that_of_the_exports(small_county: generate.Tables, tmp_path: Path) -> None:
    write.write_exports(small_county, tmp_path / "x")
    suffix = {"platform": ".json", "hotline": ".csv", "cms": ".xlsx"}
    for dataset in DATASETS:
        system = SYSTEM_OF[dataset]
        for month in MONTHS:
            files = [p for p in (tmp_path / "x" / system / dataset / month).iterdir() if p.name != "manifest.json"]
            assert files, f"{dataset} {month} is a missing folder"
            assert {p.suffix for p in files} == {suffix[system]}
    page = json.loads((tmp_path / "x/platform/platform_cases/2022-05/page-00001.json").read_text("utf-8"))
    assert {"dataset", "period", "page", "pages", "total", "rows"} == set(page)
    assert page["total"] == len(small_county["platform_cases", "2022-05"])
    manifest = tmp_path / "x/hotline/hotline_tickets/2022-06/manifest.json"
    for entry in json.loads(manifest.read_text("utf-8"))["files"]:
        body = (manifest.parent / entry["name"]).read_bytes()
        assert hashlib.sha256(body).hexdigest() == entry["sha256"]
        assert entry["rows"] == len(small_county["hotline_tickets", "2022-06"])


def test_headers_and_keys(small_county: generate.Tables) -> None:
    for (dataset, month), frame in small_county.items():
        assert list(frame.columns) == list(COLUMNS[dataset]), (dataset, month)
        if SYNC in frame:  # a key comes once in a delivery, but for corrections and deletions of it
            first = frame[frame[SYNC] == "I"]
            assert not first.duplicated(list(KEYS[dataset])).any(), (dataset, month)


@pytest.mark.parametrize("factor", [0.1, 0.5])
def test_size_follows_the_factor(factor: float) -> None:
    tables = generate.county(2, ("2022-07",), factor)
    assert len(tables["platform_cases", "2022-07"]) == pytest.approx(21_400 * factor, rel=0.06)
    assert len(tables["hotline_tickets", "2022-07"]) == pytest.approx(386 * factor, rel=0.2)


def test_a_large_county_comes_in_parts_with_keys_of_their_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(generate, "BLOCK_FACTOR", 0.04)
    parts = list(generate.blocks(3, ("2022-07",), 0.1))
    assert len(parts) == 3
    keys = pd.concat([part["platform_cases", "2022-07"]["办件编号"] for part in parts]).drop_duplicates()
    assert len(keys) == sum(part["platform_cases", "2022-07"]["办件编号"].nunique() for part in parts)
    write.write_exports(parts, tmp_path / "x")
    assert len(list((tmp_path / "x/hotline/hotline_tickets/2022-07").glob("*.csv*"))) == 3
    pages = sorted((tmp_path / "x/platform/platform_cases/2022-07").iterdir())
    assert [json.loads(p.read_text("utf-8"))["pages"] for p in pages] == [3, 3, 3]


def test_nothing_shown_happened_after_the_pull(small_county: generate.Tables) -> None:
    ahead = {"签收期限", "办理期限", "延期期限", "注销日期", "页面显示日期", "开设日期"}
    for (dataset, month), frame in small_county.items():
        for column, kind in COLUMNS[dataset].items():
            if kind in "te" and column not in ahead:
                times = frame[column].to_numpy("datetime64[s]")
                assert not (times > clock.pulled(month)).any(), (dataset, month, column)


def test_no_end_before_its_start(small_county: generate.Tables) -> None:
    orders = {
        "platform_cases": [("申请时间", "受理时间"), ("受理时间", "办结时间")],
        "platform_reviews": [("评价时间", "整改完成时间")],
        "hotline_tickets": [("来电时间", "办结时间"), ("来电时间", "回访时间")],
        "hotline_dispatches": [("派单时间", "签收时间"), ("派单时间", "办复时间")],
    }
    for (dataset, month), frame in small_county.items():
        for start, end in orders.get(dataset, []):
            assert not (frame[end] < frame[start]).any(), (dataset, month, end)


def test_the_ways_of_a_county_are_in_it(small_county: generate.Tables) -> None:
    def all_of(dataset: str) -> pd.DataFrame:
        return pd.concat([small_county[dataset, month].assign(月=month) for month in MONTHS], ignore_index=True)

    cases, reviews, tickets = all_of("platform_cases"), all_of("platform_reviews"), all_of("hotline_tickets")
    dispatches, posts, submissions = all_of("hotline_dispatches"), all_of("cms_posts"), all_of("cms_submissions")
    names = set(cases["办理单位"].dropna())
    assert names > set(units().names), "every unit has cases"
    assert len(names - set(units().names) - set(UNKNOWN_NAMES)) > 20, "aliases"
    assert names & set(UNKNOWN_NAMES)
    assert {"作废", "删除", "转报", "退回", "补正不来"} <= set(cases["办结结果"].dropna())
    assert cases["受理时间"].isna().any() and cases["特别程序天数"].notna().any()
    accepted = cases["受理时间"].dropna().to_numpy("datetime64[s]")
    assert (~clock.is_workday(accepted)).any(), "accepted on a day off"
    closed = cases["办结时间"].dropna()
    assert (closed.dt.strftime("%H:%M:%S") == "23:59:59").any(), "closed in the last second"
    for frame, key in ((cases, "办件编号"), (reviews, "评价编号"), (tickets, "工单编号")):
        gone = frame[frame[SYNC] == "D"]
        newest = frame[frame[SYNC] != "D"].groupby(key)[UPDATED].max()
        oldest = frame[frame[SYNC] != "D"].groupby(key)[UPDATED].min()
        at = gone.groupby(key)[UPDATED].max()
        assert (at > newest.reindex(at.index)).any(), "deleted"
        assert (at < oldest.reindex(at.index)).any(), "an older D removes nothing"
        assert ((at > oldest.reindex(at.index)) & (at < newest.reindex(at.index))).any(), "a key brought back"
    again = cases[(cases[SYNC] == "U")].merge(cases[cases[SYNC] == "I"], on="办件编号")
    assert (again["申请来源_x"] != again["申请来源_y"]).any(), "corrected in what counts"
    assert (again["办结时间_x"].notna() & again["办结时间_y"].isna()).any(), "closed after the first delivery"
    assert "系统默认" in set(reviews["评价渠道"].dropna()) and 2 in set(reviews["评价次序"].dropna())
    assert reviews.loc[reviews["评价等级"] == "不满意", "整改完成时间"].isna().any()
    assert set(dispatches["承办角色"].dropna()) == {"主办", "协办"}
    assert {"是", "否"} <= set(dispatches["退单是否成立"].dropna())
    assert (dispatches["退单时间"].notna() & dispatches["退单是否成立"].isna()).any(), "an undecided return"
    assert (dispatches["派单序号"] >= 2).any() and dispatches["延期期限"].notna().any()
    assert tickets["关联工单"].notna().any() and {"作废", "办理中", "已回访"} <= set(tickets["工单状态"].dropna())
    assert (posts["初审人"] == posts["复审人"]).any() and posts["二校人"].isna().any()
    assert {"草稿", "待审", "退回", "已撤回"} & set(posts["状态"].dropna())
    assert {"整改报告", "月小结", "动态信息"} == set(submissions["材料类型"].dropna())
    assert len(small_county["cms_media_accounts", "2022-06"]) == 0, "a month with nothing is a header only"


def test_people_look_like_people() -> None:
    rng = np.random.default_rng(1)
    assert all(ric.is_valid(number) for number in people.resident_ids(rng, 500))
    assert all(len(phone) == 11 and phone.startswith("1") for phone in people.phones(rng, 500))
    assert len(set(people.staff(rng, 200))) == 200


def test_free_text_holds_the_personal_data_of_its_row(small_county: generate.Tables) -> None:
    tickets = small_county["hotline_tickets", "2022-07"].dropna(subset=["诉求内容", "来电号码"])
    inside = [phone in text for phone, text in zip(tickets["来电号码"], tickets["诉求内容"], strict=True)]
    assert len(inside) > 20 and all(inside)


def test_spellings_mean_what_was_generated(small_county: generate.Tables, tmp_path: Path) -> None:
    """Read back by an independent reader, the odd spellings and the plain ones are the same data."""
    from tests.reference_calc import calculate

    write.write_exports(small_county, tmp_path / "odd", seed=3)
    write.write_exports(small_county, tmp_path / "plain", seed=3, habits=False)
    odd, plain = calculate(tmp_path / "odd", ["2022-07"]), calculate(tmp_path / "plain", ["2022-07"])
    assert len(odd.quarantine) == len(odd.refused) == 0
    assert len(odd.unit_metrics) > 500
    pd.testing.assert_frame_equal(odd.unit_metrics, plain.unit_metrics)
    raw = b"".join(p.read_bytes() for p in (tmp_path / "odd").rglob("*.json")).decode("utf-8")
    assert "年" in raw and "．" not in raw and any(c in raw for c in "０１２３")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--months", "2022-13"], "not a month"),
        (["--months", "2022-05..2022-04"], "no months"),
        (["--scenario", "notice", "--factor", "2"], "factor 1"),
        (["--factor", "0"], "0"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, words: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["generate", "--out", str(tmp_path / "x"), *words])
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "x").exists()


def test_a_folder_with_files_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    result = CliRunner().invoke(main, ["generate", "--out", str(tmp_path), "--factor", "0.02"])
    assert result.exit_code == 2
    assert [p.name for p in tmp_path.iterdir()] == ["kept.txt"]
