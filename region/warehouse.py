"""The warehouse of a region: the current releases of all its counties side by side, and the counties ranked like units.

Scoring, history and marts are the models of a county's build, by the same dbt project; only what they stand on is laid
in here: the counties as units, their months and vetoes as sums over their units (``marts.county_months``,
``marts.county_vetoes`` of each release). docs/decisions/0016-regions.md says what counts.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from ingestion import engine
from ingestion.contracts import CONTRACTS
from ingestion.durable import sha256_of
from ingestion.errors import BadParameter, TongbaoError
from ingestion.home import Home
from ingestion.period import Period
from publishing import inputs, releases, settings
from publishing.build import STATE_FILE, input_digest, run_folder
from publishing.dbt_run import DBT_PROJECT, dbt_build, with_environment
from publishing.durable import exclusive, fsync_path, write_text
from publishing.inputs import literal
from publishing.previous import copy_previous
from publishing.seeds import overlaid
from publishing.warehouse import writing
from region.config import County, Region

#: Schema of the published file that holds all counties' tables; beside those that a county's file has.
SCHEMA = "counties"
UNIT_GROUP = "county"

#: Models of a county's build in whose place something is laid in here, or that only a county has.
GIVEN = ("unit_month_metrics", "unit_month_vetoes", "county_totals", "new_exclusions", "county_months", "county_vetoes")
#: What dbt builds: the rules, the calendar, and all that is computed from sums.
BUILT = (
    *("resource_type:seed", "dim_unit", "dim_date", "dim_month", "dim_period", "dim_area", "dim_metric"),
    *("path:models/scoring", "path:models/history", "path:models/marts"),
    *("every_ranked_unit_has_every_metric", "explanations_add_up", "parts_add_up_to_their_whole"),
    *("releases_are_append_only", "rules_hold_together"),
)

#: Table of a county's release -> its name in the schema of all counties, or in that of the audit.
_SIDE_BY_SIDE = {
    "core.dim_unit": f"{SCHEMA}.units",
    "marts.unit_metrics": f"{SCHEMA}.unit_metrics",
    "marts.unit_scores": f"{SCHEMA}.unit_scores",
    "marts.unit_rankings": f"{SCHEMA}.unit_rankings",
    "marts.period_totals": f"{SCHEMA}.period_totals",
    "marts.releases": f"{SCHEMA}.releases",
    "audit.deliveries": "audit.deliveries",
    "audit.reconciliation": "audit.reconciliation",
}

#: What the county brings to the ranking of counties -> what stands there for units in a county's build.
_IN_PLACE_OF_UNITS = {
    "marts.county_months": ("metrics.unit_month_metrics", "*"),
    "marts.county_vetoes": (
        "metrics.unit_month_vetoes",
        "month_code, area, reason, vetoed_units::DOUBLE / ranked_units AS share",
    ),
}

_INPUTS = f"""
CREATE SCHEMA staged; CREATE SCHEMA audit; CREATE SCHEMA metrics; CREATE SCHEMA scoring; CREATE SCHEMA {SCHEMA};
CREATE TABLE metrics.unit_month_metrics (unit_code VARCHAR, month_code VARCHAR, known_month VARCHAR, area VARCHAR,
    metric VARCHAR, numerator BIGINT, denominator BIGINT);
CREATE TABLE metrics.unit_month_vetoes (unit_code VARCHAR, month_code VARCHAR, area VARCHAR, reason VARCHAR,
    share DOUBLE);
CREATE TABLE scoring.new_exclusions (release VARCHAR, period_code VARCHAR, ticket_no VARCHAR, unit_code VARCHAR,
    unit_name VARCHAR, ground VARCHAR, requested_at TIMESTAMP, approved_at TIMESTAMP, metrics_changed BIGINT);
"""

#: The region's totals: its counties' added up. Of a part (whole/dimension=part) the denominator is its whole; the days
#: of calls_per_day are the same days in each county; tickets are told by county and no longer by unit.
_TOTALS = f"""
CREATE TABLE scoring.county_totals AS
WITH figures AS (
    SELECT period_code, area, figure, numerator, denominator FROM {SCHEMA}.period_totals
    WHERE figure NOT LIKE 'dispatched/unit=%'
    UNION ALL
    SELECT period_code, area, 'dispatched/unit=' || county_code, numerator, numerator FROM {SCHEMA}.period_totals
    WHERE figure = 'dispatched'
),
summed AS (
    SELECT period_code, area, figure, sum(numerator) AS numerator,
        CASE
            WHEN figure = 'calls_per_day' THEN max(denominator)
            WHEN contains(figure, '=')
                THEN sum(sum(numerator)) OVER (PARTITION BY period_code, area, split_part(figure, '=', 1))
            ELSE sum(denominator)
        END AS denominator
    FROM figures GROUP BY period_code, area, figure
)
SELECT period_code, area, figure,
    CASE WHEN denominator IS NULL THEN numerator::DOUBLE WHEN denominator > 0 THEN numerator::DOUBLE / denominator
    END AS value,
    numerator::BIGINT AS numerator, denominator::BIGINT AS denominator
FROM summed
"""

#: Period × area × county that is not in the county's release: all of a period that it has not released, or an area
#: whose datasets it did not deliver. Asked of the periods that are computed, the ones before them included.
_UNDELIVERED = f"""
SELECT period_code, area, county_code AS unit_code
FROM (SELECT unnest($periods::VARCHAR[]) AS period_code)
CROSS JOIN (SELECT unnest($areas::VARCHAR[]) AS area)
CROSS JOIN (SELECT unnest($counties::VARCHAR[]) AS county_code)
ANTI JOIN (
    SELECT DISTINCT period_code, area, county_code FROM {SCHEMA}.unit_scores
    WHERE coalesce(null_reason, '') <> 'not_delivered'
) USING (period_code, area, county_code)
ORDER BY ALL
"""


@dataclass(frozen=True)
class Contribution:
    """The release that a county serves, whole as its manifest says."""

    county: County
    release: releases.Release

    @property
    def digest(self) -> str:
        """Hex SHA-256 of its file."""
        return str(self.release.manifest["files"]["warehouse.duckdb"]["sha256"])


def contributions(region: Region) -> tuple[list[Contribution], list[str]]:
    """What the counties serve, and of those whose release cannot be used, why: they count as not delivered."""
    found, problems = [], []
    for county in region.counties:
        try:
            release = releases.served(region.home_of(county))
            if release is None:
                continue
            releases.verify_warehouse(release)
            _check_version(release)
            found.append(Contribution(county, release))
        except (TongbaoError, OSError) as error:
            told = error if isinstance(error, TongbaoError) else error.strerror
            problems.append(f"{county.code} {county.name}: {told}")
    return found, problems


@contextmanager
def _attached(connection: duckdb.DuckDBPyConnection, release: releases.Release) -> Iterator[None]:
    """The release's database is ``county`` in SQL inside."""
    connection.execute(f"ATTACH {literal(str(inputs.checked_path(release.warehouse)))} AS county (READ_ONLY)")
    try:
        yield
    finally:
        connection.execute("DETACH county")


def _check_version(release: releases.Release) -> None:
    # One engine for all counties: to start one takes longer than to ask it.
    with engine.shared() as connection, _attached(connection, release):
        tables = connection.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = 'county'"
        ).fetchall()
    if not _IN_PLACE_OF_UNITS.keys() <= {name for (name,) in tables}:
        raise BadParameter(
            f"release {release.number} was built by an earlier version; run the county again with --full"
        )


def region_digest(region: Region, found: Sequence[Contribution], seeds: Path) -> str:
    """Hex SHA-256 of what the region's release is made of: the counties, their files, the models and rules."""
    digest = hashlib.sha256()
    served = {each.county.code: each.digest for each in found}
    counties = [(county.code, county.name, served.get(county.code)) for county in region.counties]
    digest.update(json.dumps(counties, ensure_ascii=False).encode())
    with with_environment({"TONGBAO_SEEDS": str(seeds)}):
        digest.update(input_digest(region.home).encode())
    digest.update(Path(__file__).read_bytes())
    return digest.hexdigest()


def lay_seeds(region: Region) -> Path:
    """The rules by which counties are ranked: the project's or the region's, with the counties in place of units."""
    home = region.home
    base = DBT_PROJECT / "seeds"
    if region.seeds:
        base = overlaid(base, region.seeds, home.runs / ".seeds")
    own = home.runs / ".counties"
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(parents=True)
    lines = [f'{county.code},"{county.name}",{UNIT_GROUP},true'.replace("\n", " ") for county in region.counties]
    (own / "units.csv").write_text("\n".join(["unit_code,unit_name,unit_group,ranked", *lines, ""]), encoding="utf-8")
    (own / "unit_aliases.csv").write_text("alias,unit_code,valid_from,valid_to\n", encoding="utf-8")
    return overlaid(base, own, home.runs / ".seeds")


def build(region: Region, found: Sequence[Contribution], run_id: str, reason: str, seeds: Path, digest: str) -> Path:
    """Builds ``runs/<run_id>/warehouse.duckdb`` of the region over these releases and returns its path.

    Every period that one of them holds is computed. Raises what a county's build raises.
    """
    home = region.home
    run_dir = run_folder(home, run_id)
    with exclusive(run_dir, f"run {run_id}"):
        warehouse = run_dir / "warehouse.duckdb"
        base = releases.newest(home)
        if base is not None:
            releases.verify_warehouse(base)
        with writing(warehouse) as connection:
            copy_previous(connection, base.warehouse if base else None)
            connection.execute(_INPUTS)
            for each in found:
                _take(connection, each)
            periods = _lay_periods(connection, region, seeds)
            connection.execute(_TOTALS)
            number = releases.next_number(base)
            inputs.run_row(connection, run_id, reason, releases.beijing_now(), digest, number)
        with with_environment({"TONGBAO_SEEDS": str(seeds)}):
            summary = dbt_build(home, run_dir, select=BUILT, exclude=GIVEN)
        fsync_path(warehouse)
        state = {
            "run_id": run_id,
            "periods": periods,
            "base": base.number if base else None,
            "input_digest": digest,
            "warehouse_sha256": sha256_of(warehouse),
            "dbt": asdict(summary),
            "schemas": [*settings.PUBLISHED_SCHEMAS, SCHEMA],
            "counties": {each.county.code: each.release.number for each in found},
        }
        write_text(run_dir / STATE_FILE, json.dumps(state, ensure_ascii=False, indent=1))
    return warehouse


def _take(connection: duckdb.DuckDBPyConnection, each: Contribution) -> None:
    """One county's tables, each row under its county; a unit's key holds both codes, for codes are the county's own."""
    code = literal(each.county.code)
    with _attached(connection, each.release):
        for source, target in _SIDE_BY_SIDE.items():
            names = [column[0] for column in connection.execute(f"FROM county.{source} LIMIT 0").description]
            key = f", {code} || '/' || unit_code AS unit_key" if "unit_code" in names else ""
            select = f"SELECT {code} AS county_code{key}, * FROM county.{source}"
            connection.execute(f"CREATE TABLE IF NOT EXISTS {target} AS {select} LIMIT 0")
            connection.execute(f"INSERT INTO {target} BY NAME {select}")
        for source, (target, columns) in _IN_PLACE_OF_UNITS.items():
            select = f"SELECT {code} AS unit_code, {columns} FROM county.{source}"
            connection.execute(f"INSERT INTO {target} BY NAME {select}")


def _lay_periods(connection: duckdb.DuckDBPyConnection, region: Region, seeds: Path) -> list[str]:
    """``staged``: the periods to compute, their months, and what of them each county has not delivered."""
    rows = connection.execute(f"SELECT DISTINCT period_code FROM {SCHEMA}.releases ORDER BY ALL").fetchall()
    periods = [Period.parse(code) for (code,) in rows]
    wanted = inputs.records(
        {"period_code": "VARCHAR", "provisional": "BOOLEAN"},
        [{"period_code": period.code, "provisional": False} for period in periods],
    )
    inputs.create_table(connection, "staged.requested_periods", wanted)
    months = sorted({str(month) for period in periods for month in period.months})
    delivered = inputs.records(
        {"dataset": "VARCHAR", "month": "VARCHAR"},
        [{"dataset": dataset, "month": month} for dataset in CONTRACTS for month in months],
    )
    inputs.create_table(connection, "staged.delivered_months", delivered)
    areas = connection.execute("SELECT DISTINCT area FROM read_csv(?)", [str(seeds / "areas.csv")]).fetchall()
    asked = {
        "periods": sorted({each.code for period in periods for each in (period, period.previous())}),
        "areas": [area for (area,) in areas],
        "counties": [county.code for county in region.counties],
    }
    undelivered = connection.execute(_UNDELIVERED, asked).fetchall()
    names = ("period_code", "area", "unit_code")
    inputs.undelivered_areas(connection, [dict(zip(names, row, strict=True)) for row in undelivered])
    return [period.code for period in periods]


def publish(region: Region, reason: str = "") -> tuple[releases.Release | None, list[str] | None, list[str]]:
    """Builds, audits and publishes the region's warehouse where a county serves another release than last time.

    Returns the served release, the periods' new releases (None: nothing was new) and what is the matter with counties
    whose release could not be used. Raises what build, audit and publish raise.
    """
    import publishing

    home: Home = region.home
    found, problems = contributions(region)
    if not found:
        return None, None, problems
    seeds = lay_seeds(region)
    digest = region_digest(region, found, seeds)
    base = releases.newest(home)
    if base and base.manifest["input_digest"] == digest:
        return releases.served(home), None, problems
    run_id = f"region-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S.%fZ}"
    with engine.at_hand(build(region, found, run_id, reason, seeds, digest)):
        publishing.audit(home, run_id, facts=False)
        published = publishing.publish(home, run_id)
    return releases.served(home), None if published.unchanged else published.releases, problems
