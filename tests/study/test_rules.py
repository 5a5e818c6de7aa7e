"""The study's arrays against the dbt models, on the same unit-month counts; and 2022.1 as it was before 2022.2."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from ingestion.period import Period
from publishing.seeds import overlaid
from study.county import County
from study.rules import GOOD, LAGGING, NONE, OVERALL, SEEDS, RuleSet, log_odds, rank, score
from tests.study import scoring

LISTS = {NONE: None, GOOD: "good", LAGGING: "lagging"}
COUNTY = County.read()


def expected(code: str, rules: RuleSet, counts: pd.DataFrame, vetoes: pd.DataFrame) -> pd.DataFrame:
    """Scores, places and lists of a period by the study's arrays; a row a unit and area."""
    months = [str(month) for month in Period.parse(code).months]
    clean = np.ones((len(COUNTY.codes), len(rules.area_names)))
    for unit, area, gone in (
        vetoes[vetoes["month_code"].isin(months)].groupby(["unit_code", "area"])["month_code"].nunique().reset_index()
    ).to_numpy():
        clean[COUNTY.codes.index(unit), rules.area_names.index(area)] = 1 - gone / len(months)
    num, den = _summed(counts[counts["month_code"].isin(months)], rules)
    scored = score(rules, num, den, COUNTY.groups, clean)
    reach = max(len(months), int(np.nan_to_num(rules["lagging_months"])))
    span = [str(Period.parse(code).months[-1].plus(-back)) for back in range(reach)]
    wide = _summed(counts[counts["month_code"].isin(span)], rules)
    rows = []
    for a, area in enumerate([*rules.area_names, OVERALL]):
        odds = log_odds(rules, *wide, COUNTY.groups, area) if area != OVERALL and rules.by_evidence(area) else None
        ranked = rank(rules, scored, area, COUNTY.groups, odds)
        rows.append(
            pd.DataFrame(
                {
                    "unit_code": COUNTY.codes, "area": area, "unrounded": scored.score[:, a],
                    "score_sd": scored.score_sd[:, a], "coverage": scored.coverage[:, a], "score": ranked.score,
                    "rank": ranked.rank, "rank_best": ranked.best, "rank_worst": ranked.worst,
                    "list": [LISTS[each] for each in ranked.listed],
                    "log_odds": np.nan if odds is None else odds,
                }
            )
        )  # fmt: skip
    return pd.concat(rows).set_index(["unit_code", "area"]).sort_index()


def found(code: str, computed: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The same from the models' tables."""
    key = ["unit_code", "area"]
    of = {
        name: table[table["period_code"] == code].set_index(key) for name, table in computed.items() if key[0] in table
    }
    areas, ranks = of["scored_areas"], of["ranked_units"]
    joined = areas[["score_sd", "coverage"]].assign(unrounded=areas["score"])
    joined = joined.join(ranks[["score", "rank", "rank_best", "rank_worst", "list"]])
    return joined.join(of["lagging_evidence"]["log_odds"]).sort_index()


def assert_equal(mine: pd.DataFrame, theirs: pd.DataFrame) -> None:
    assert list(mine.index) == list(theirs.index)
    for column in mine.columns.drop("list"):
        np.testing.assert_allclose(
            mine[column].to_numpy(float), theirs[column].to_numpy(float), rtol=0, atol=1e-9, err_msg=column
        )
    assert list(mine["list"].fillna("")) == list(theirs["list"].fillna(""))


def _summed(counts: pd.DataFrame, rules: RuleSet) -> tuple[np.ndarray, np.ndarray]:
    sums = counts.groupby(["unit_code", "area", "metric"])[["numerator", "denominator"]].sum()
    index = pd.MultiIndex.from_tuples([(unit, *key) for unit in COUNTY.codes for key in rules.keys])
    table = sums.reindex(index, fill_value=0).to_numpy(float).reshape(len(COUNTY.codes), len(rules.keys), 2)
    return table[..., 0], table[..., 1]


def test_arrays_and_models_agree(computed: dict[str, pd.DataFrame], counts: pd.DataFrame, vetoes: pd.DataFrame) -> None:
    periods = computed["scored_periods"].set_index("period_code")["rule_set"].to_dict()
    assert sorted(set(periods.values())) == ["2022.1", "2022.2"]
    lists: set[tuple[str, str]] = set()
    for code, name in periods.items():
        theirs = found(code, computed)
        assert_equal(expected(code, RuleSet.read(name), counts, vetoes), theirs)
        lists |= {(name, each) for each in theirs["list"] if isinstance(each, str)}
    assert {list_ for _, list_ in lists} == {"good", "lagging"}
    # Evidence listed somebody, and not only vetoes and census areas did.
    evidence = computed["lagging_evidence"]
    assert (evidence["log_odds"] >= np.log(10)).any()
    assert set(evidence["period_code"]) == {code for code, name in periods.items() if name == "2022.2"}


def test_a_rule_read_differently_would_be_seen(
    computed: dict[str, pd.DataFrame], counts: pd.DataFrame, vetoes: pd.DataFrame
) -> None:
    rules = RuleSet.read("2022.2")
    for constant, value in (("rank_z", 1.0), ("lagging_odds", 1000), ("lagging_months", 3), ("prior_rows", 11)):
        other = RuleSet(rules.name, rules.constants.copy(), rules.areas, rules.metrics)
        other.constants[constant] = value
        with pytest.raises(AssertionError):
            assert_equal(expected("2027-06", other, counts, vetoes), found("2027-06", computed))


def test_2022_1_is_what_it_was_before_2022_2(computed: dict[str, pd.DataFrame]) -> None:
    """Content digests of these counts by the models as they stood when 2022.1 was the only rule set."""
    digests = computed["content_digests"].set_index("period_code")["content_digest"].to_dict()
    before = {
        "2022-06": "b295f2ef2529cbe7a2ba926c2aa7ac0a",
        "2022-07": "6c4e52e67ccde3aaaf9be6ad07e8daf5",
        "2022-08": "bc4f0e4159adf05862f5f4f9bb6000f0",
        "2022-05--2022-06": "99ec188c11672c03a979d03e7ecdd8a1",
        "2022-07--2022-08": "283c3d8f5d643677a18164b63c4c9be7",
    }
    assert {code: digests[code] for code in before} == before


def test_the_proposal_is_in_force_nowhere_before_2027() -> None:
    rows = {row["rule_set"]: row for row in csv.DictReader((SEEDS / "rule_sets.csv").open(encoding="utf-8"))}
    assert rows["2022.1"]["effective_from"] == ""
    assert (rows["2022.1"]["effective_to"], rows["2022.2"]["effective_from"]) == ("2026-12-31", "2027-01-01")


def test_a_county_puts_the_proposal_in_force_by_its_dates(
    scoring_warehouse: Path,
    counts: pd.DataFrame,
    vetoes: pd.DataFrame,
    computed: dict[str, pd.DataFrame],
    tmp_path: Path,
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    text = (SEEDS / "rule_sets.csv").read_text("utf-8")
    text = text.replace("2026-12-31", "2022-06-30").replace("2027-01-01", "2022-07-01")
    (own / "rule_sets.csv").write_text(text, "utf-8")
    seeds = overlaid(SEEDS, own, tmp_path / "seeds")
    tables = scoring.run_models(scoring_warehouse, counts, vetoes, ["2022-08"], tmp_path / "target", seeds)
    assert set(tables["ranked_units"].query("period_code == '2022-08'")["rule_set"]) == {"2022.2"}
    mine = expected("2022-08", RuleSet.read("2022.2"), counts, vetoes)
    assert_equal(mine, found("2022-08", tables))
    with pytest.raises(AssertionError):  # under 2022.1 the same counts gave other lists and intervals
        assert_equal(mine, found("2022-08", computed))


@pytest.mark.parametrize(
    ("table", "change", "fault"),
    [
        ("rule_sets", "lagging_odds = 1", "look-back without odds, or the other way round"),
        ("rule_sets", "lagging_months = null", "look-back without odds, or the other way round"),
        ("rule_sets", "rank_z = null", "no interval of ranks"),
        ("rule_sets", "effective_from = null", "two rule sets in force"),
        ("metrics", "floor = 0", "evidence without a floor inside 0 and 1"),
        ("metrics", "lagging_share = 1", "evidence without a floor inside 0 and 1"),
        ("metrics", "kind = 'mean'", "evidence without a floor inside 0 and 1"),
    ],
)
def test_rules_that_contradict_themselves_stop_the_build(table: str, change: str, fault: str) -> None:
    sql = (scoring.DBT / "tests" / "integrity" / "rules_hold_together.sql").read_text("utf-8")
    sql = re.sub(r"\{\{ ref\('(\w+)'\) \}\}", r"\1", sql)
    with duckdb.connect() as connection:
        for seed in ("rule_sets", "metrics", "areas", "requirements"):
            types = ", types={'rule_set': 'VARCHAR'}" if seed != "requirements" else ""
            connection.execute(f"create table {seed} as from read_csv('{SEEDS / seed}.csv'{types})")
        assert connection.execute(sql).fetchall() == []
        connection.execute(
            f"update {table} set {change} where rule_set = '2022.2'"
            + (" and lagging_share is not null" if table == "metrics" else "")
        )
        assert {row[0] for row in connection.execute(sql).fetchall()} == {fault}
