"""Hand-made warehouses for the tests of what comes after the models: small enough to check by eye.

Every number that a reader sees is the warehouse's ``version``, so that two versions can never be mixed unnoticed.
"""

from __future__ import annotations

import json
from pathlib import Path

import duckdb

from ingestion.durable import sha256_of
from ingestion.home import Home
from publishing import releases, settings
from publishing.audit import AUDIT_FILE
from publishing.build import STATE_FILE
from publishing.previous import TABLES, copy_previous

#: unit_code, unit_name, unit_group; the last name is what a formula would look like in Excel.
UNITS = [
    ("U01", "精河镇", "township"),
    ("U02", "托里镇", "township"),
    ("U11", "县公安局", "department"),
    ("U12", '=HYPERLINK("http://x")', "department"),
]

_DIMENSIONS = """
CREATE SCHEMA core; CREATE SCHEMA marts; CREATE SCHEMA history; CREATE SCHEMA staging; CREATE SCHEMA staged;
CREATE TABLE staging.stg_platform_cases AS SELECT 'A1' AS case_no, 'token' AS applicant_phone;
CREATE VIEW staged.platform_cases AS SELECT 'A1' AS case_no, 'token' AS applicant_phone;
CREATE TABLE core.dim_area AS SELECT * FROM (VALUES
    ('2022.1', 'website', 1, '网站', 20.0), ('2022.1', 'platform', 5, '一体化平台', 20.0)
) AS t(rule_set, area, area_order, name_zh, weight);
CREATE TABLE core.dim_metric AS SELECT * FROM (VALUES
    ('2022.1', 'website', 'post_quota_rate', 1, '发布任务完成率', 'share', 35.0),
    ('2022.1', 'platform', 'online_rate', 2, '网办率', 'share', 15.0),
    ('2022.1', 'platform', 'cases_accepted', 6, '受理办件量', 'count', NULL)
) AS t(rule_set, area, metric, metric_order, name_zh, kind, weight);
CREATE TABLE audit.reconciliation AS SELECT 'platform_cases' AS dataset, true AS is_balanced;
CREATE TABLE audit.unmapped_units AS SELECT 'cms_posts' AS dataset, '托里镇八家户' AS unit_name, 3 AS rows_unmapped,
    '八家户农场' AS nearest_1, '托里镇' AS nearest_2, NULL::VARCHAR AS nearest_3;
CREATE TABLE audit.quarantine AS SELECT * FROM (VALUES
    ('platform_cases', '2022-07', 'a.csv', 3, 'missing_key'), ('platform_cases', '2022-07', 'a.csv', 4, 'missing_key')
) AS t(dataset, month, file, row, reason);
CREATE TABLE audit.deliveries AS SELECT 'platform_cases' AS dataset, '2022-07' AS month, 'accepted' AS outcome,
    NULL::VARCHAR AS reason, 9 AS rows_in, 7 AS rows_loaded, 2 AS rows_quarantined,
    TIMESTAMP '2022-08-06 06:00:00' AS pulled_at;
CREATE TABLE audit.findings AS SELECT 'platform_cases' AS dataset, '2022-07' AS month, 'extra_column' AS kind;
CREATE TABLE marts.release_differences AS SELECT '2022-07-r2' AS release, '<b>托里镇</b>' AS unit_name,
    'overall' AS area, 1.0 AS old_score, 2.0 AS new_score, 2 AS old_rank, 1 AS new_rank, 'platform' AS top_area,
    'online_rate' AS top_metric;
"""

#: The new rows of each history table for one period; parameters are the period, its release and the version.
_NEW_ROWS = {
    "unit_metrics": """
        SELECT $period AS period_code, unit_code, area, metric, 10.0 AS numerator, 20.0 AS denominator, 0.5 AS value,
            0.5 AS adjusted, 0.1 AS ci_low, 0.9 AS ci_high, $version::DOUBLE AS points, weight, NULL AS null_reason,
            rule_set, $release AS release
        FROM units CROSS JOIN core.dim_metric""",
    "unit_scores": """
        SELECT $period AS period_code, unit_code, area, $version::DOUBLE AS score, 1.0 AS score_sd, 1.0 AS coverage,
            CASE WHEN unit_code = 'U02' THEN 'serious_error' END AS veto_reason, NULL AS null_reason,
            '2022.1' AS rule_set, $release AS release
        FROM units CROSS JOIN (SELECT area FROM core.dim_area UNION ALL SELECT 'overall')""",
    "unit_rankings": """
        SELECT $period AS period_code, unit_group, unit_code, unit_name, area,
            CASE WHEN place = 2 THEN NULL ELSE $version END::DECIMAL(9, 2) AS score,
            CASE WHEN place = 2 THEN NULL ELSE place END AS rank, false AS tied,
            CASE WHEN place = 1 AND area = 'overall' THEN 1 END AS rank_best,
            CASE WHEN place = 1 AND area = 'overall' THEN 2 END AS rank_worst,
            CASE WHEN place = 1 THEN -2 END AS rank_change,
            CASE WHEN place = 1 THEN 'good' ELSE 'lagging' END AS list, place = 1 AS most_improved,
            CASE WHEN place = 2 THEN 'insufficient_volume' END AS null_reason, '2022.1' AS rule_set,
            $release AS release
        FROM (SELECT *, row_number() OVER (PARTITION BY unit_group ORDER BY unit_code) AS place FROM units)
        CROSS JOIN (SELECT area FROM core.dim_area UNION ALL SELECT 'overall')""",
    "period_totals": """
        SELECT $period AS period_code, 'platform' AS area, 'cases_accepted' AS figure, $version::DOUBLE AS value,
            NULL AS numerator, NULL AS denominator, $release AS release""",
    "release_exclusions": "SELECT $release AS release, $period AS period_code, 'T1' AS ticket_no, 'U01' AS unit_code",
    "releases": """
        SELECT $release AS release, $period AS period_code, $revision::INTEGER AS revision,
            TIMESTAMP '2022-09-05 23:59:59' AS cut_off, TIMESTAMP '2022-09-06 02:00:00' AS released_at,
            '2022.1' AS rule_set, $digest AS input_digest, $content AS content_digest, '更正' AS reason""",
}


def hand_made_run(home: Home, run_id: str, periods: list[str], version: int, *, input_digest: str = "") -> Path:
    """A run folder as build and audit leave it: the periods whose version changed get a new revision."""
    base = releases.newest(home)
    digest = input_digest or f"digest-{version}"
    folder = home.runs / run_id
    folder.mkdir(parents=True)
    warehouse = folder / "warehouse.duckdb"
    config: dict[str, str | bool | int | float | list[str]] = {
        "storage_compatibility_version": settings.STORAGE_VERSION
    }
    with duckdb.connect(str(warehouse), config=config) as connection:
        copy_previous(connection, base.warehouse if base else None)
        connection.execute("CREATE SCHEMA audit")
        connection.execute(_DIMENSIONS)
        connection.execute("CREATE TABLE units (unit_code VARCHAR, unit_name VARCHAR, unit_group VARCHAR)")
        connection.executemany("INSERT INTO units VALUES (?, ?, ?)", UNITS)
        for table, (source, _) in TABLES.items():
            connection.execute(f"CREATE TABLE {source} AS FROM previous.{table}")
        for period in periods:
            known = connection.execute(
                "SELECT max(revision), arg_max(content_digest, revision) FROM previous.releases WHERE period_code = ?",
                [period],
            ).fetchone() or (None, None)
            if known[1] == str(version):
                continue
            revision = (known[0] or 0) + 1
            values = {
                "period": period,
                "release": f"{period}-r{revision}",
                "revision": revision,
                "version": version,
                "digest": digest,
                "content": str(version),
            }
            for table, (source, _) in TABLES.items():
                sql = _NEW_ROWS[table]
                used = {name: value for name, value in values.items() if f"${name}" in sql}
                connection.execute(f"INSERT INTO {source} BY NAME {sql}", used)
        for table in ("unit_metrics", "unit_scores", "unit_rankings", "period_totals"):
            connection.execute(
                f"CREATE TABLE marts.{table} AS SELECT h.* FROM history.{table} h JOIN marts.releases r USING (release)"
                " QUALIFY r.revision = max(r.revision) OVER (PARTITION BY h.period_code)"
            )
        number = releases.next_number(base)
        connection.execute(
            f"CREATE TABLE marts.publication AS SELECT {number} AS number, period_code, release, revision, cut_off, "
            "rule_set, released_at FROM marts.releases "
            "QUALIFY revision = max(revision) OVER (PARTITION BY period_code)"
        )
    state = {"run_id": run_id, "periods": periods, "base": base.number if base else None, "input_digest": digest}
    (folder / STATE_FILE).write_text(json.dumps(state))
    (folder / AUDIT_FILE).write_text(json.dumps({"warehouse_sha256": sha256_of(warehouse)}))
    return folder
