"""The published edge: a small sound warehouse passes; a planted fault fails exactly the expectation that is for it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from expectations import build_data_docs, results, validate_published
from expectations.judge import read_expectations
from expectations.measures import of_warehouse
from ingestion.errors import AuditFailed
from ingestion.home import Home

SOUND = """
create schema core; create schema marts; create schema staged; create schema audit; create schema previous;
create schema history;
create table core.dim_unit as select * from (values
    ('U01', '精河镇', 'township', true), ('U02', '大河沿子镇', 'township', true), ('U03', '托里镇', 'township', true),
    ('U28', '县行政服务中心', 'operator', false)) as t(unit_code, unit_name, unit_group, ranked);
create table core.dim_period as select '2022-07' as period_code, 'month' as period_type;
create table core.dim_metric as select '2022.1' as rule_set, 'platform' as area, 'online_rate' as metric,
    'share' as kind;
create table core.fct_case_reviews as select 'R1' as review_no, 'C1' as case_no, 1 as review_order, true as is_first,
    true as is_case_known;
create table core.fct_cases as select * from (values
    ('C1', true, false, timestamp '2022-07-05 23:59:59', timestamp '2022-07-04 10:00:00'),
    ('C2', true, null, timestamp '2022-07-05 23:59:59', timestamp '2022-07-09 10:00:00'))
    as t(case_no, is_counted, platform_overdue, due_at, closed_at);
create table core.fct_posts as select 'P1' as post_no, '关于召开会议的通知' as title;
create table marts.unit_scores as
    select '2022-07' as period_code, unit_code, area, score, 1.0::double as score_sd, 1.0::double as coverage,
        null::varchar as veto_reason, case when score is null then 'insufficient_volume' end as null_reason,
        '2022.1' as rule_set, '2022-07-r1' as release
    from (values ('U01', 90.004::double), ('U02', 90.001), ('U03', 70.5)) as u(unit_code, s)
    cross join (values ('website'), ('media'), ('reform'), ('governance'), ('platform'), ('hotline'), ('overall'))
        as a(area)
    cross join lateral (select case when area = 'hotline' and unit_code = 'U03' then null else s end as score);
create table marts.unit_rankings as
    select s.period_code, u.unit_group, s.unit_code, u.unit_name, s.area, round(s.score, 2) as score,
        case when s.score is not null then (case s.unit_code when 'U03' then 3 else 1 end)::int end as rank,
        s.unit_code <> 'U03' as tied,
        case when s.area = 'platform' then 1 end as rank_best, case when s.area = 'platform' then 3 end as rank_worst,
        s.null_reason, s.rule_set, s.release
    from marts.unit_scores as s join core.dim_unit as u using (unit_code);
create table marts.unit_metrics as
    select '2022-07' as period_code, unit_code, 'platform' as area, 'online_rate' as metric, 30::bigint as numerator,
        60::bigint as denominator, 0.5::double as value, 10.0::double as points, 15.0::double as weight,
        null::varchar as null_reason, '2022.1' as rule_set
    from core.dim_unit where ranked;
create table marts.period_totals as select '2022-07' as period_code, * from (values
    ('hotline', 'tickets_received', 10.0::double, 10::bigint, null::bigint),
    ('hotline', 'tickets_received/demand=咨询', 0.4, 4, 10),
    ('hotline', 'tickets_received/demand=投诉', 0.6, 6, 10),
    ('hotline', 'ticket_closure_rate', 0.9, 9, 10)) as t(area, figure, value, numerator, denominator);
create table marts.releases as select '2022-07-r1' as release, '2022-07' as period_code, 1 as revision,
    'aa' as input_digest, 'bb' as content_digest, '首次发布' as reason;
create table previous.releases as select * from marts.releases;
create table audit.deliveries as select 1 as attempt_id, 'platform_cases' as dataset, '2022-07' as month,
    'accepted' as outcome, 10 as rows_in, 9 as rows_loaded, 1 as rows_quarantined;
create table audit.reconciliation as select 'platform_cases' as dataset, 10 as rows_in, 9 as rows_loaded,
    1 as rows_quarantined, 9 as rows_staged, 7 as rows_current, 1 as rows_superseded, 1 as rows_deleted;
create table staged.requested_periods as select '2022-07' as period_code, false as provisional;
create table staged.platform_cases as select 'C1' as case_no, false as _deleted, 'f' as _file, 2 as _row;
create table staged.delivered_months as
    select * from (values ('platform_cases', '2022-07'), ('hotline_tickets', '2022-07')) as t(dataset, month);
create table staged.platform_reviews as
    select 'R1' as review_no, 'C1' as case_no, timestamp '2022-07-08 09:00:00' as reviewed_at,
        false as _deleted, 'f' as _file, 2 as _row;
create table staged.hotline_tickets as select 'T1' as ticket_no, false as _deleted, 'f' as _file, 2 as _row;
create table staged.hotline_dispatches as
    select 'T1' as ticket_no, 1 as dispatch_no, timestamp '2022-07-08 09:00:00' as dispatched_at,
        false as _deleted, 'f' as _file, 2 as _row;
create table staged.hotline_exclusions as select 'T1' as ticket_no, false as _deleted, 'f' as _file, 2 as _row;
create table staged.cms_media_accounts as select '微信' as platform, '精河发布' as account_name;
create table staged.cms_media_posts as
    select 'M1' as media_post_no, '微信' as platform, '精河发布' as account_name, false as _deleted,
        'f' as _file, 2 as _row;
"""


@pytest.fixture
def run_dir(home: Home) -> Path:
    """A run whose warehouse is sound."""
    folder = home.runs / "20220806-1"
    folder.mkdir(parents=True)
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        connection.execute(SOUND)
    return folder


def plant(run_dir: Path, sql: str) -> None:
    with duckdb.connect(str(run_dir / "warehouse.duckdb")) as connection:
        connection.execute(sql)


def failed(home: Home) -> list[str]:
    return sorted(e["name"] for e in results(home, "published")[-1]["expectations"] if e["status"] == "failed")


def test_a_sound_warehouse_passes_everything(home: Home, run_dir: Path) -> None:
    validate_published(home, run_dir / "warehouse.duckdb", run_dir)
    (result,) = results(home)
    assert {e["status"] for e in result["expectations"]} == {"passed"}
    assert len(result["expectations"]) == len(of_warehouse().violations) + 2
    assert (run_dir / "validation.json").exists()


#: What is done to the sound warehouse, and the critical expectations that must fail for it, no other.
CRITICAL: dict[str, tuple[str, set[str]]] = {
    "a relation is empty": ("delete from core.dim_period", {"empty_relations"}),
    "a period was not computed": ("insert into staged.requested_periods values ('2022-08', false)", {"period_missing"}),
    "a unit lacks an area": (
        "delete from marts.unit_rankings where unit_code = 'U03' and area = 'media'",
        {"ranking_spine", "score_spine"},
    ),
    "a unit stands twice": (
        "insert into marts.unit_rankings by name select * replace (null::int as rank, null::double as score, "
        "'x' as null_reason, false as tied) from marts.unit_rankings where unit_code = 'U03' and area = 'hotline'",
        {"ranking_spine"},
    ),
    "an unranked unit is ranked": (
        "insert into marts.unit_rankings by name select * replace ('U28' as unit_code) from marts.unit_rankings "
        "where unit_code = 'U03' and area = 'hotline'",
        {"ranking_spine", "score_spine"},
    ),
    "a score is another": (
        "update marts.unit_rankings set score = 70.6 where unit_code = 'U03' and area = 'website'",
        {"score_spine"},
    ),
    "a gap in the ranks": (
        "update marts.unit_rankings set rank = 2 where unit_code = 'U03' and area = 'media'",
        {"rank_order"},
    ),
    "ranks of the wrong direction": (
        "update marts.unit_rankings set rank = case rank when 1 then 2 else 1 end where area = 'media'",
        {"rank_order"},
    ),
    "a tie is not marked": (
        "update marts.unit_rankings set tied = false where unit_code = 'U01' and area = 'media'",
        {"rank_order"},
    ),
    "no reason": (
        "update marts.unit_rankings set null_reason = null where unit_code = 'U03' and area = 'hotline'",
        {"rank_without_reason"},
    ),
    "a rank outside its interval": (
        "update marts.unit_rankings set rank_worst = 2 where unit_code = 'U03'",
        {"rank_interval"},
    ),
    "a score above 100": (
        "update marts.unit_scores set score = 101 where unit_code = 'U01' and area = 'media';"
        "update marts.unit_rankings set score = 101, tied = false where unit_code = 'U01' and area = 'media';"
        "update marts.unit_rankings set tied = false, rank = 2 where unit_code = 'U02' and area = 'media'",
        {"score_range"},
    ),
    "a score that is no number": (
        "update marts.unit_scores set score_sd = 'nan' where unit_code = 'U01' and area = 'media'",
        {"score_range"},
    ),
    "coverage above 1": ("update marts.unit_scores set coverage = 1.2 where unit_code = 'U01'", {"coverage_range"}),
    "no coverage": ("update marts.unit_scores set coverage = null where unit_code = 'U01'", {"coverage_range"}),
    "points above the weight": (
        "update marts.unit_metrics set points = 15.5 where unit_code = 'U01'",
        {"points_range"},
    ),
    "negative points": ("update marts.unit_metrics set points = -0.1 where unit_code = 'U01'", {"points_range"}),
    "a part above its whole": (
        "update marts.unit_metrics set numerator = 61, value = 61.0 / 60 where unit_code = 'U01'",
        {"share_range"},
    ),
    "a value of its own": ("update marts.unit_metrics set value = 0.51 where unit_code = 'U01'", {"value_is_quotient"}),
    "a value from nothing": (
        "update marts.unit_metrics set numerator = 0, denominator = 0, value = 1 where unit_code = 'U01'",
        {"value_is_quotient"},
    ),
    "a wrong total": (
        "update marts.period_totals set value = 0.91 where figure = 'ticket_closure_rate'",
        {"totals_quotient"},
    ),
    "a part is missing": ("delete from marts.period_totals where figure like '%投诉'", {"totals_parts"}),
    "a whole is missing": ("delete from marts.period_totals where figure = 'tickets_received'", {"totals_parts"}),
    "a row of a file is nowhere": ("update audit.deliveries set rows_in = 11", {"delivery_identity"}),
    "a row of a dataset is nowhere": ("update audit.reconciliation set rows_current = 6", {"dataset_identity"}),
    "a file did not reach the build": (
        "update audit.reconciliation set rows_in = 20, rows_loaded = 19, rows_current = 17",
        {"dataset_identity"},
    ),
    "a release is lost": (
        "insert into previous.releases values ('2022-06-r1', '2022-06', 1, 'aa', 'cc', '首次发布')",
        {"releases_append_only"},
    ),
    "a release was changed": ("update marts.releases set content_digest = 'other'", {"releases_append_only"}),
    "a revision is left out": (
        "insert into marts.releases values ('2022-07-r3', '2022-07', 3, 'aa', 'dd', '更正')",
        {"release_revisions"},
    ),
    "a phone in a title": ("update core.fct_posts set title = '联系１３９ １２３４ ５６７８'", {"personal_text"}),
    "a phone in numerals": ("update core.fct_posts set title = '电话一三九一二三四五六七八'", {"personal_text"}),
    "an identity number": ("update core.fct_posts set title = '证11010519491231002X号'", {"personal_text"}),
}


@pytest.mark.parametrize("fault", CRITICAL)
def test_a_planted_fault_refuses_the_warehouse(home: Home, run_dir: Path, fault: str) -> None:
    sql, names = CRITICAL[fault]
    plant(run_dir, sql)
    with pytest.raises(AuditFailed) as refused:
        validate_published(home, run_dir / "warehouse.duckdb", run_dir)
    assert set(failed(home)) == names
    titles = {e["meta"]["name"]: e["meta"]["title_zh"] for e in read_expectations("published")}
    assert all(titles[name] in str(refused.value) for name in names)
    for value in ("１２３４", "一三九", "11010519491231002X"):
        assert value not in str(refused.value)


WARNINGS = {
    "review_without_case": "update staged.platform_reviews set case_no = 'C9'; "
    "update core.fct_case_reviews set case_no = 'C9', is_case_known = false",
    "dispatch_without_ticket": "insert into staged.hotline_dispatches values ('T9', 1, '2022-07-09', false, 'f', 3)",
    "exclusion_without_dispatch": "update staged.hotline_exclusions set ticket_no = 'T9'",
    "media_post_without_account": "update staged.cms_media_posts set account_name = '无'",
    "first_review_again": "insert into core.fct_case_reviews values ('R2', 'C1', 1, false, true)",
    "platform_flag_disagrees": "update core.fct_cases set platform_overdue = false where case_no = 'C2'",
}


@pytest.mark.parametrize("name", WARNINGS)
def test_a_warning_is_reported_and_stops_nothing(home: Home, run_dir: Path, name: str) -> None:
    plant(run_dir, WARNINGS[name])
    validate_published(home, run_dir / "warehouse.duckdb", run_dir)
    assert failed(home) == [name]
    (found,) = [e for e in results(home)[-1]["expectations"] if e["name"] == name]
    assert (found["severity"], found["items_total"], len(found["items"])) == ("warning", 1, 1)


def test_every_expectation_of_this_edge_was_shown_to_fail() -> None:
    shown = set(WARNINGS) | set.union(*(names for _, names in CRITICAL.values()))
    assert shown == {e["meta"]["name"] for e in read_expectations("published")}


def test_numbers_that_are_no_personal_data_pass(home: Home, run_dir: Path) -> None:
    """Digests, dates, long codes and an 18-digit number without a check digit are not taken for people."""
    plant(
        run_dir,
        "insert into core.fct_posts values ('13912345678', '2022年7月13日第13912345678901号'), "
        "('P3', repeat('a13912345678b', 4)), ('P4', '110105194912310021'), ('P5', null), ('P6', '')",
    )
    plant(run_dir, "create table core.digests as select sha256(n::varchar) as digest from range(20000) as t(n)")
    validate_published(home, run_dir / "warehouse.duckdb", run_dir)
    assert failed(home) == []


def test_a_review_of_a_case_from_before_the_first_delivery_is_no_gap(home: Home, run_dir: Path) -> None:
    """The demo's first delivery of reviews holds years of them, and no cases that old were ever asked for."""
    plant(run_dir, "update staged.platform_reviews set case_no = 'C9', reviewed_at = '2022-06-30 23:59:59'")
    validate_published(home, run_dir / "warehouse.duckdb", run_dir)
    assert failed(home) == []


def test_an_empty_warehouse_fails_everything(home: Home) -> None:
    folder = home.runs / "empty"
    folder.mkdir(parents=True)
    duckdb.connect(str(folder / "warehouse.duckdb")).close()
    with pytest.raises(AuditFailed, match="不为空"):
        validate_published(home, folder / "warehouse.duckdb", folder)
    statuses = {e["name"]: e["status"] for e in results(home)[-1]["expectations"]}
    assert {name for name, status in statuses.items() if status == "passed"} == {"personal_text"}


def test_the_warehouse_is_left_as_it_was(home: Home, run_dir: Path) -> None:
    before = (run_dir / "warehouse.duckdb").read_bytes()
    validate_published(home, run_dir / "warehouse.duckdb", run_dir)
    assert (run_dir / "warehouse.duckdb").read_bytes() == before


def test_the_pages_open_without_a_network(home: Home, run_dir: Path, tmp_path: Path) -> None:
    plant(run_dir, "update marts.unit_scores set coverage = 1.2 where unit_code = 'U01'")
    with pytest.raises(AuditFailed):
        validate_published(home, run_dir / "warehouse.duckdb", run_dir)
    index = build_data_docs(home, tmp_path / "docs")
    pages = list((tmp_path / "docs").rglob("*.html"))
    assert len(pages) == 2
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not any(mark in text for mark in ("http://", "https://", "//cdn", "<script", "@import", "url("))
    assert 'href="results/run-20220806-1.html"' in index.read_text(encoding="utf-8")
    page = (tmp_path / "docs/results/run-20220806-1.html").read_text(encoding="utf-8")
    assert "覆盖率在 0 至 1 之间" in page and "U01" in page and "拒收" in page
