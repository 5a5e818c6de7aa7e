"""The pages about the whole release: quality of the data, revisions, the rules, what can be downloaded."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from ingestion.contracts import CONTRACTS
from ingestion.quarantine import reason_text as quarantine_reason
from publishing.durable import link_or_copy
from publishing.labels import labels
from publishing.page.cells import WITHHELD, Column, Table, table
from publishing.page.names import Names, ranking_file, unit_file
from publishing.page.source import Source
from publishing.page.withheld import Hidden

#: Names and attempts listed at most; the tables named under each list hold all of them.
LISTED = 50


def _dataset(name: str) -> str:
    return CONTRACTS[name].title if name in CONTRACTS else name


def _titled(identifier: str, source: str, columns: list[Column], records: Any, key: list[str], **more: Any) -> Table:
    return table(identifier, labels()["page"]["titles"][identifier], source, columns, records, key, **more)


def quality(source: Source) -> dict[str, Any]:
    """What was delivered, set aside and not understood; row counts only, never a delivered value."""
    words = labels()["page"]["columns"]
    dataset = Column("title", words["dataset"], head=True)

    def named(sql: str) -> list[dict[str, Any]]:
        return [record | {"title": _dataset(record["dataset"])} for record in source.records(sql)]

    counts = ("rows_in", "rows_loaded", "rows_quarantined", "rows_current", "rows_superseded", "rows_deleted")
    reconciliation = [
        record | {"balanced": labels()["page"]["balanced"][bool(record["is_balanced"])]}
        for record in named("FROM audit.reconciliation ORDER BY dataset")
    ]
    quarantine = [
        record | {"text": quarantine_reason(record["reason"])}
        for record in named("FROM quarantine_reasons ORDER BY rows_quarantined DESC, dataset, reason")
    ]
    refusals = [
        record | {"said": labels()["page"]["outcomes"].get(record["outcome"], record["outcome"])}
        for record in named(f"FROM refused_deliveries ORDER BY attempt_id DESC LIMIT {LISTED}")
    ]
    unmapped = [
        record | {"near": "、".join(dict.fromkeys(filter(None, (record[f"nearest_{place}"] for place in (1, 2, 3)))))}
        for record in named(f"FROM audit.unmapped_units ORDER BY rows_unmapped DESC, unit_name, dataset LIMIT {LISTED}")
    ]
    return {
        "reconciliation": _titled(
            "reconciliation",
            "audit.reconciliation",
            [dataset, *(Column(name, words[name], "count") for name in counts), Column("balanced", words["balanced"])],
            reconciliation,
            ["dataset"],
        ),
        "deliveries": _titled(
            "deliveries",
            "dataset_deliveries",
            [
                dataset,
                Column("month", words["month"], "key"),
                Column("files", words["files"], "count"),
                *(Column(name, words[name], "count") for name in counts[:3]),
            ],
            named(
                "FROM dataset_deliveries WHERE month >= (SELECT min(first_month) FROM shown_periods) "
                "ORDER BY month DESC, dataset"
            ),
            ["dataset", "month"],
        ),
        "refusals": _titled(
            "refusals",
            "refused_deliveries",
            [
                dataset,
                Column("month", words["month"], "key"),
                Column("said", words["outcome"]),
                Column("reason", words["reason"], "key"),
            ],
            refusals,
            ["attempt_id"],
        ),
        "quarantine": _titled(
            "quarantine",
            "quarantine_reasons",
            [
                dataset,
                Column("text", words["reason"], "key"),
                Column("rows_quarantined", words["rows_quarantined"], "count"),
            ],
            quarantine,
            ["dataset", "reason"],
        ),
        "unmapped": _titled(
            "unmapped",
            "audit.unmapped_units",
            [
                Column("unit_name", words["unit_name"], "key", head=True),
                Column("title", words["dataset"]),
                Column("rows_unmapped", words["rows_unmapped"], "count"),
                Column("near", words["nearest"]),
            ],
            unmapped,
            ["dataset", "unit_name"],
        ),
    }


def revisions(source: Source, names: Names, hidden: Hidden) -> dict[str, Any]:
    """Every release, newest first, what each revision changed, and the exclusions that were approved meanwhile."""
    words = labels()["page"]["columns"]
    marks = labels()["lists"]
    shown = {period["period_code"] for period in names.periods}
    releases = [
        record
        | {"name": names.period(record["period_code"])}
        | (
            {"_links": {"name": ranking_file(record["period_code"], "overall")}}
            if record["period_code"] in shown
            else {}
        )
        for record in source.records("FROM marts.releases ORDER BY released_at DESC, period_code DESC, revision DESC")
    ]
    differences: dict[str, list[dict[str, Any]]] = {}
    for record in source.records("FROM marts.release_differences ORDER BY release DESC, unit_code, area"):
        rule_set = next(each["rule_set"] for each in releases if each["release"] == record["release"])
        top = record["top_metric"]
        differences.setdefault(record["release"], []).append(
            record
            | {
                "area_name": names.area(rule_set, record["area"]),
                "old": marks.get(record["old_list"], ""),
                "new": marks.get(record["new_list"], ""),
                "top_points_change": WITHHELD
                if top and hidden.told(record["period_code"], record["unit_code"], record["top_area"], top)
                else record["top_points_change"],
                "top": names.component(rule_set, record["top_area"], top) if top else "",
                "_links": {"unit_name": unit_file(record["period_code"], record["unit_code"])}
                if record["period_code"] in shown
                else {},
            }
        )
    columns = [
        Column("unit_name", labels()["columns"]["unit_name"], head=True),
        Column("area_name", words["area"]),
        Column("old_score", words["old_score"], "score"),
        Column("new_score", words["new_score"], "score"),
        Column("old_rank", words["old_rank"], "count"),
        Column("new_rank", words["new_rank"], "count"),
        Column("old", words["old_list"]),
        Column("new", words["new_list"]),
        Column("top", words["top_metric"]),
        Column("top_points_change", words["top_points_change"], "signed"),
        Column("exclusions", words["exclusions"], "count"),
    ]
    approved = [
        Column("ticket_no", words["row_key"], "key", head=True),
        Column("unit_name", labels()["columns"]["unit_name"]),
        Column("ground", words["ground"], "key"),
        Column("requested_at", words["requested_at"], "time"),
        Column("approved_at", words["approved_at"], "time"),
        Column("metrics_changed", words["metrics_changed"], "count"),
    ]
    exclusions = source.by("FROM marts.release_exclusions ORDER BY unit_code, ticket_no", "release")
    return {
        "releases": _titled(
            "releases",
            "marts.releases",
            [
                Column("name", words["period"], head=True),
                Column("revision", words["revision"], "count"),
                Column("release", words["release"], "key"),
                Column("released_at", words["released_at"], "time"),
                Column("cut_off", words["cut_off"], "time"),
                Column("rule_set", words["rule_set"], "key"),
                Column("reason", words["reason"], "key"),
            ],
            releases,
            ["release"],
        ),
        "differences": [
            {
                "release": record,
                "table": table(
                    f"differences-{record['release']}",
                    labels()["page"]["titles"]["differences"],
                    "marts.release_differences",
                    columns,
                    differences.get(record["release"], []),
                    ["unit_code", "area"],
                    {"release": record["release"]},
                ),
                "exclusions": table(
                    f"exclusions-{record['release']}",
                    labels()["page"]["titles"]["exclusions"],
                    "marts.release_exclusions",
                    approved,
                    exclusions.get(record["release"], []),
                    ["ticket_no", "unit_code"],
                    {"release": record["release"]},
                ),
            }
            for record in releases
            if record["revision"] > 1
        ],
    }


def rules(names: Names) -> dict[str, Any]:
    """The rule sets of the shown periods: areas and metrics with their weights, targets and floors."""
    words = labels()["page"]["columns"]
    found = []
    for rule_set in sorted({period["rule_set"] for period in names.periods}, reverse=True):
        records = [
            metric | {"area_name": area["name_zh"], "direction": labels()["page"]["better"][metric["better"]]}
            for area in names.areas[rule_set]
            for metric in names.metrics[rule_set, area["area"]]
        ]
        columns = [
            Column("name_zh", words["metric"], head=True),
            Column("area_name", words["area"]),
            Column("weight", words["weight"], "number"),
            Column("target", words["target"], "row"),
            Column("floor", words["floor"], "row"),
            Column("direction", words["better"]),
        ]
        areas = table(
            f"areas-{rule_set}",
            labels()["page"]["titles"]["areas"],
            "core.dim_area",
            [Column("name_zh", words["area"], head=True), Column("weight", words["weight"], "number")],
            names.areas[rule_set],
            ["area"],
            {"rule_set": rule_set},
        )
        metrics = table(
            f"rules-{rule_set}",
            labels()["page"]["titles"]["rules"],
            "core.dim_metric",
            columns,
            records,
            ["area", "metric"],
            {"rule_set": rule_set},
        )
        found.append({"rule_set": rule_set, "areas": areas, "metrics": metrics})
    return {"rule_sets": found}


def downloads(names: Names, source: Source, release: Path, folder: Path) -> list[dict[str, Any]]:
    """Lays the release's ranking tables and validation pages beside the page; returns the tables by period and area.

    Hard links where the file system allows them (a release never changes), else copies.
    """
    for part in ("tables", "data_docs"):
        if (release / part).is_dir():
            shutil.copytree(release / part, folder / part, copy_function=link_or_copy)
    found = []
    for record in source.records(
        "FROM marts.newest_releases JOIN core.dim_period USING (period_code) ORDER BY last_day DESC, months DESC"
    ):
        code, rule_set = record["period_code"], record["rule_set"]
        areas = ["overall", *(area["area"] for area in names.areas[rule_set])]
        files = [
            {
                "area": names.area(rule_set, area),
                "links": [
                    (suffix, f"tables/{code}/{area}.{suffix}")
                    for suffix in ("xlsx", "csv", "parquet")
                    if (folder / "tables" / code / f"{area}.{suffix}").is_file()
                ],
            }
            for area in areas
        ]
        found.append({"code": code, "name": names.period(code), "files": [each for each in files if each["links"]]})
    return found
