"""The same rows more than once: files sent again, copied, renamed, out of order; late rows, corrections, deletions.

What is current is computed here a second time, in pandas and from how the variant was made, and compared with the
warehouse's own staging rule, run as it stands over the staged files.
"""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import duckdb
import pandas as pd
from jinja2 import Template

from faults import material as m
from faults.judge import EXACT, QUARANTINE, WRONG, Expect, Observed, Row, Verdict, judge
from faults.variants import Variant
from faults.workplace import Workplace
from ingestion.contracts import CONTRACTS
from ingestion.home import PROJECT
from ingestion.ledger import Ledger
from publishing.inputs import parquet_select, staged_columns

RULE = PROJECT / "dbt_project" / "macros" / "staging.sql"
#: Datasets and formats: a text key, a key of two columns, and typed cells.
FORMS = (("hotline_tickets", "csv"), ("platform_cases", "json"), ("cms_posts", "xlsx"), ("hotline_dispatches", "csv"))
START = dt.datetime.fromisoformat("2022-08-01 08:00:00")
RANDOM = 24


@dataclass(frozen=True)
class Version:
    """One version of a row: which row, how new, inserted, updated or deleted, what it says, whether it is damaged."""

    row: int
    hour: int
    sync: str = "I"
    edition: int = 0
    damaged: bool = False


@dataclass(frozen=True)
class Delivered:
    """One file of one delivery."""

    month: str
    file: str
    versions: tuple[Version, ...]


#: Deliveries in the order of their pulls; the files of one delivery come together.
History = Sequence[Sequence[Delivered]]


def one(month: str, *versions: Version, file: str = "export") -> list[Delivered]:
    """A delivery of one file."""
    return [Delivered(month, file, versions)]


def _first(count: int = 10, hour: int = 0) -> tuple[Version, ...]:
    return tuple(Version(row, hour) for row in range(count))


def _histories() -> dict[str, History]:
    base, july, august, june = _first(), "2022-07", "2022-08", "2022-06"
    newer = tuple(replace(version, hour=5, edition=1, sync="U") for version in base[:4])
    rest = base[4:]
    gone, old_gone = Version(0, 5, "D"), Version(0, -5, "D")
    return {
        "same_file_twice": [one(july, *base), one(july, *base)],
        "same_file_three_times": [one(july, *base)] * 3,
        "same_rows_in_two_files": [[Delivered(july, "a", base), Delivered(july, "b", base)]],
        "same_rows_twice_in_a_file": [one(july, *base, *base)],
        "renamed_copy": [one(july, *base), one(july, *base, file="copy")],
        "renamed_copy_in_another_month": [one(july, *base), one(august, *base, file="copy")],
        "copy_beside_the_original": [one(july, *base), [*one(july, *base), *one(july, *base, file="copy")]],
        "overlapping_files": [[Delivered(july, "a", base[:7]), Delivered(july, "b", base[3:])]],
        "months_out_of_order": [one(august, *newer), one(july, *base), one(june, *_first(10, -9))],
        "months_in_order": [one(june, *_first(10, -9)), one(july, *base), one(august, *newer)],
        "a_tie_goes_to_the_later_month": [one(august, *_edited(base, 1)), one(july, *_edited(base, 2))],
        "a_tie_goes_to_the_later_pull": [one(july, *_edited(base, 1)), one(july, *_edited(base, 2))],
        "a_tie_goes_to_the_later_pull_of_an_earlier_name": [
            one(july, *_edited(base, 1), file="b"), one(july, *_edited(base, 2), file="a")],
        "a_tie_goes_to_the_later_name": [
            [Delivered(july, "a", _edited(base, 1)), Delivered(july, "b", _edited(base, 2))]],
        "a_tie_goes_to_the_later_row": [one(july, *_edited(base, 1), *_edited(base, 2))],
        "back_to_the_first_bytes": [one(july, *_edited(base, 1)), one(july, *_edited(base, 2)),
                                    one(july, *_edited(base, 1))],
        "late_rows": [one(july, *base), one(august, *(Version(row, 3) for row in range(10, 14)))],
        "late_rows_by_a_second_file": [one(july, *base), one(july, Version(10, 3), file="late")],
        "correction": [one(july, *base), one(july, *newer, file="correction")],
        "correction_in_the_next_month": [one(july, *base), one(august, *newer)],
        "correction_of_half_the_file": [one(july, *base), one(july, *newer, *rest)],
        "older_correction": [one(july, *newer, *rest), one(august, *base)],
        "correction_before_the_row": [one(july, *reversed([*base, *newer]))],
        "shorter_file_sent_again": [one(july, *base), one(july, *base[:5])],
        "deletion": [one(july, *base), one(august, gone)],
        "deletion_in_the_same_file": [one(july, *base, gone)],
        "deletion_before_the_row": [one(july, gone), one(august, *base)],
        "older_deletion": [one(july, *base), one(august, old_gone)],
        "older_deletion_first": [one(july, old_gone, *base)],
        "deletion_at_the_same_moment": [one(july, *base), one(august, Version(0, 0, "D"))],
        "row_at_the_moment_of_its_deletion": [one(july, Version(0, 0, "D")), one(august, *base)],
        "deletion_twice": [one(july, *base), one(august, gone), one(august, gone, file="again")],
        "deletion_of_what_never_was": [one(july, *base), one(august, Version(12, 5, "D"))],
        "brought_back": [one(july, *base), one(august, gone), one("2022-09", Version(0, 9, "I", 2))],
        "brought_back_by_a_correction": [one(july, *base, gone), one(august, Version(0, 9, "U", 2))],
        "brought_back_and_deleted": [
            one(july, *base, gone), one(august, Version(0, 9, "U", 2)), one("2022-09", Version(0, 11, "D"))],
        "all_deleted": [one(july, *base), one(august, *(replace(version, hour=5, sync="D") for version in base))],
        "damaged_correction": [one(july, *base), one(august, *newer[1:], Version(0, 7, "U", 3, damaged=True))],
        "damaged_row_mended": [one(july, *base[1:], replace(base[0], damaged=True)), one(july, *base)],
        "damaged_deletion_mended": [one(july, *base), one(august, replace(gone, damaged=True)), one(august, gone)],
    }  # fmt: skip


def _edited(versions: Sequence[Version], edition: int) -> tuple[Version, ...]:
    return tuple(replace(version, edition=edition) for version in versions)


def _random(chance: random.Random) -> History:
    """Deliveries of few rows in many versions, with ties in every part of the rule."""
    history: list[list[Delivered]] = []
    for _ in range(chance.randint(2, 5)):
        month = chance.choice(("2022-06", "2022-07", "2022-08"))
        files = chance.sample(("a", "b", "c"), chance.randint(1, 2))
        history.append([
            Delivered(month, name, tuple(
                Version(chance.randrange(8), chance.randrange(4), chance.choice("IIUUD"), chance.randrange(100))
                for _ in range(chance.randint(1, 12))
            )) for name in files
        ])  # fmt: skip
    return history


def variants() -> Iterator[Variant]:
    """All variants of the row."""
    for dataset, form in FORMS:
        for name, history in _histories().items():
            yield Variant(f"{dataset}/{name}", partial(_check, dataset=dataset, form=form, history=history))
        for number in range(RANDOM):
            history = _random(m.rng("repeats", dataset, number))
            yield Variant(f"{dataset}/random/{number}", partial(_check, dataset=dataset, form=form, history=history))


def _cells(dataset: str, version: Version) -> m.Cells:
    """The row as delivered; a deletion has its key and 更新时间 and nothing else."""
    contract = CONTRACTS[dataset]
    row = dict(m.generated(dataset)[version.row])
    moment = f"{START + dt.timedelta(hours=version.hour):%Y-%m-%d %H:%M:%S}"
    if version.sync == "D":
        keys = {contract.column(name).header for name in contract.key}
        row = {header: cell if header in keys else "" for header, cell in row.items()}
    else:
        row[_EDITED[dataset]] = f"第{version.edition}版"
    return row | {"更新时间": "不详" if version.damaged else moment, "同步类型": version.sync}


#: A text column that tells the versions apart.
_EDITED = {
    "hotline_tickets": "诉求分类",
    "platform_cases": "事项名称",
    "cms_posts": "标题",
    "hotline_dispatches": "承办单位",
}


def _bytes(dataset: str, form: str, each: Delivered) -> bytes:
    rows = [_cells(dataset, version) for version in each.versions]
    return m.json_bytes(dataset, rows, each.month) if form == "json" else m.file_of(dataset, form, rows)[1]


def _check(place: Workplace, dataset: str, form: str, history: History) -> Verdict:
    observed = Observed()
    records: list[dict[str, object]] = []
    accepted: dict[tuple[str, str], tuple[Version, ...]] = {}
    made: dict[tuple[str, tuple[Version, ...]], bytes] = {}
    aside = 0
    for pull, files in enumerate(history):
        content = {}
        for each in files:
            if (each.month, each.versions) not in made:
                # Made once: a workbook says when it was written.
                made[each.month, each.versions] = _bytes(dataset, form, each)
            content[f"{each.file}.{form}"] = made[each.month, each.versions]
            if accepted.get((each.month, each.file)) == each.versions:
                continue  # unchanged since it was last accepted: nothing lands
            accepted[each.month, each.file] = each.versions
            aside += sum(version.damaged for version in each.versions)
            records += [
                {"row": v.row, "hour": v.hour, "month": each.month, "pull": pull, "file": each.file, "place": number,
                 "deleted": v.sync == "D", "version": v}
                for number, v in enumerate(each.versions) if not v.damaged
            ]  # fmt: skip
        seen = place.deliver(dataset, content, files[0].month)
        if seen.refusal or seen.crash:
            return Verdict(WRONG, f"delivery {pull + 1}: {seen.refusal or seen.crash}")
        observed.rows_in += seen.rows_in
        observed.rows_loaded += seen.rows_loaded
        observed.quarantined += seen.quarantined
        observed.leftovers += seen.leftovers
        observed.text += seen.text
    frame = pd.DataFrame(records)
    winners = frame.sort_values(["hour", "month", "pull", "file", "place"]).drop_duplicates("row", keep="last")
    current = winners.loc[~winners["deleted"], "version"]
    expect = Expect(m.wanted(dataset, [_cells(dataset, version) for version in current]), secrets=m.secrets(dataset))
    observed.rows, states = _by_the_rule(place, dataset)
    wanted = {"current": len(current), "deleted": len(winners) - len(current), "superseded": len(frame) - len(winners)}
    return _judged(expect, observed, states, wanted, aside)


def _judged(expect: Expect, observed: Observed, states: dict[str, int], wanted: dict[str, int], aside: int) -> Verdict:
    """Both accounting identities, the states, then the current rows themselves."""
    breaches = observed.breaches
    if observed.rows_in != observed.rows_loaded + len(observed.quarantined):
        breaches.append(f"{observed.rows_in} rows in, {observed.rows_loaded} loaded, {len(observed.quarantined)} aside")
    if observed.rows_loaded != sum(states.values()):
        breaches.append(f"{observed.rows_loaded} rows loaded, {states} in all")
    if len(observed.quarantined) != aside:
        breaches.append(f"{len(observed.quarantined)} rows in quarantine, {aside} were damaged")
    if {state: states.get(state, 0) for state in wanted} != wanted:
        breaches.append(f"states {states}, where {wanted} is right")
    # The judge's own account is of one delivery's rows; this one is of the rows that are current in the end.
    outcome = QUARANTINE if aside else EXACT
    whole = replace(observed, quarantined=[], rows_in=observed.rows.total(), rows_loaded=observed.rows.total())
    verdict = judge(replace(expect, may=frozenset({EXACT})), whole)
    return replace(verdict, outcome=outcome) if verdict.outcome == EXACT else verdict


@cache
def _rule() -> Callable[[str], str]:
    """The warehouse's macro as a function of the relation."""
    macro = Template(RULE.read_text("utf-8")).module.upsert_states  # type: ignore[attr-defined]
    return lambda relation: str(macro(relation))


def _by_the_rule(place: Workplace, dataset: str) -> tuple[Counter[Row], dict[str, int]]:
    """Current rows and rows by state, by the staging rule over the files as accepted."""
    contract = CONTRACTS[dataset]
    paths = [file.path for file in Ledger(place.home).accepted_files(dataset)]
    names = ", ".join(f'"{column.name}"' for column in contract.columns)
    with duckdb.connect() as connection:
        connection.execute(f"create view delivered_rows as {parquet_select(paths, staged_columns(contract))}")
        connection.execute(f"create table states as {_rule()('delivered_rows')}")
        rows = connection.execute(f"select {names} from states where row_state = 'current'").fetchall()
        states = connection.execute("select row_state, count(*) from states group by all").fetchall()
    return Counter(rows), dict(states)
