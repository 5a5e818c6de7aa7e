"""The state of a county in one place (状态): landed, validated, published; ages, freshness, space. It only reads."""

from __future__ import annotations

import datetime as dt
import shutil
from collections import Counter
from dataclasses import asdict
from typing import Any

import duckdb

from expectations import store
from ingestion.erasure.journal import journal_path
from ingestion.errors import TongbaoError
from ingestion.home import Home
from ingestion.ledger import Attempt, Ledger, now
from ingestion.rotation import key_of_staged, unfinished
from publishing import releases
from publishing.plan import plan
from upkeep.freshness import freshness


def status(home: Home, at: dt.datetime | None = None) -> dict[str, Any]:
    """Everything as values that JSON knows; times are Beijing, ages are days, sizes are bytes. ``at`` instead of now.

    sources: one object per dataset (see Freshness) with ``late``. deliveries: the newest delivery of each dataset and
    month, its outcome and what the expectations said. published: the served release and its periods. waiting: period
    -> what it waits for.
    """
    moment = at or now()
    return {
        "at": _time(moment),
        "home": str(home.root),
        "sources": [asdict(each) | {"late": each.late} for each in freshness(home, moment)],
        "deliveries": _deliveries(home, moment),
        "published": _published(home, moment),
        "waiting": _waiting(home),
        "pseudonym_key": _key(home),
        "unfinished_rotation": _rotation_unfinished(home),
        "unfinished_erasure": journal_path(home).exists(),
        "disk_free_bytes": shutil.disk_usage(home.root if home.root.exists() else "/").free,
        "raw_bytes": sum(path.stat().st_size for path in home.objects.glob("*")) if home.objects.is_dir() else 0,
    }


def _deliveries(home: Home, moment: dt.datetime) -> list[dict[str, Any]]:
    newest: dict[tuple[str, str], list[Attempt]] = {}
    ledger = Ledger(home)
    for attempt in ledger.attempts():
        delivery = newest.setdefault((attempt.month, attempt.dataset), [])
        if delivery and delivery[0].delivery_id != attempt.delivery_id:
            delivery.clear()
        delivery.append(attempt)
    accepted = {each.landing_id: each for each in ledger.accepted_files()}
    validated = {(result["month"], result["dataset"]): result for result in store.results(home, "load")}
    found = []
    for (month, dataset), attempts in sorted(newest.items()):
        files = [accepted[each.landing_id] for each in attempts if each.landing_id in accepted]
        result = validated.get((month, dataset), {})
        found.append(
            {
                "month": month,
                "dataset": dataset,
                "landed_at": _time(attempts[0].pulled_at),
                "age_days": _age(attempts[0].pulled_at, moment),
                "outcome": dict(Counter(each.outcome for each in attempts)),
                "reasons": list(dict.fromkeys(each.reason for each in attempts if each.reason)),
                "files": sum(each.file is not None for each in attempts),
                "rows_in": sum(each.rows_in for each in files),
                "rows_quarantined": sum(each.rows_quarantined for each in files),
                "validated": result.get("outcome"),
                "validated_at": result.get("validated_at"),
            }
        )
    return found


def _published(home: Home, moment: dt.datetime) -> dict[str, Any] | None:
    served = releases.served(home)
    if served is None:
        return None
    newest = releases.newest(home)
    with duckdb.connect(str(served.warehouse), read_only=True) as connection:
        rows = connection.execute(
            "SELECT period_code, release, revision, released_at, reason FROM marts.releases"
            " QUALIFY revision = max(revision) OVER (PARTITION BY period_code) ORDER BY period_code"
        ).fetchall()
    periods = [
        {"period": code, "release": release, "revision": revision, "released_at": _time(at), "reason": reason}
        | {"age_days": _age(at, moment)}
        for code, release, revision, at, reason in rows
    ]
    return {
        "number": served.number,
        "run_id": served.manifest["run_id"],
        "rolled_back_from": newest.number if newest and newest.number != served.number else None,
        "periods": periods,
    }


def _waiting(home: Home) -> dict[str, list[str]]:
    """Of the periods that end with a delivered month: what those wait for that cannot be released."""
    months = {month for _, month in Ledger(home).delivered_months()}
    waiting: dict[str, list[str]] = {}
    for month in sorted(months):
        found = plan(home, month=month)
        # A quarter of which one month is there is nothing that anybody waits for.
        waiting |= {
            period: reasons
            for period, reasons in found.reasons().items()
            if all(lacking in months for _, lacking in found.waiting.get(period, ()))
        }
    return waiting


def _key(home: Home) -> str | None:
    try:
        mark = key_of_staged(home)
    except TongbaoError as error:
        return f"{type(error).__name__}: {error}"
    return mark.partition(":")[0] if mark else None


def _rotation_unfinished(home: Home) -> bool:
    try:
        return unfinished(home)
    except TongbaoError:  # a key that is none: ``_key`` tells of it
        return False


def _time(moment: dt.datetime) -> str:
    return moment.isoformat(sep=" ", timespec="seconds")


def _age(then: dt.datetime, moment: dt.datetime) -> float:
    return round((moment - then).total_seconds() / 86_400, 2)
