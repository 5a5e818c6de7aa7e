"""Deliveries that are whole in themselves and yet not what the dataset's months were: too few, too many, flat, unknown.

Each is loaded against three accepted months with the load-edge expectations, which must refuse it or load it and keep
the warning that their suites declare; a delivery like the months before it must give none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from faults import material as m
from faults.judge import EXACT, QUARANTINE, REFUSE, WRONG, Expect, Verdict, judge
from faults.variants import Variant
from faults.workplace import Workplace
from ingestion.contracts import CONTRACTS

HISTORY = ("2022-04", "2022-05", "2022-06")
#: Rows of a month of the history. A contract may refuse an empty month only where the usual one has 100 rows.
SMALL, LARGE = 60, 120
#: The datasets, and the header that names the unit, None where there is none.
UNIT_HEADERS = {
    "platform_cases": "办理单位", "platform_reviews": "被评价单位", "hotline_tickets": None,
    "hotline_dispatches": "承办单位", "cms_posts": "发布单位", "cms_media_posts": None, "cms_submissions": "报送单位",
}  # fmt: skip
UNITS = ("精河镇", "大河沿子镇", "县公安局", "县教育局")
#: Coded columns that vary in these rows, the value they all get, and what the suites then say besides.
FLAT: dict[str, dict[str, tuple[str, frozenset[str]]]] = {
    "platform_cases": {"申请来源": ("窗口登记", frozenset()), "申请人类型": ("自然人", frozenset())},
    "platform_reviews": {
        "评价渠道": ("系统默认", frozenset({"default_review_share", "default_review_share_change"})),
        "评价等级": ("非常满意", frozenset()),
    },
    "hotline_tickets": {
        "诉求类型": ("其他", frozenset()), "办理方式": ("转办", frozenset()), "满意度": ("满意", frozenset()),
    },
    "hotline_dispatches": {"承办角色": ("主办", frozenset())},
    "cms_posts": {"栏目类型": ("其他", frozenset()), "来源类型": ("转载", frozenset())},
    "cms_submissions": {"审核状态": ("未采用", frozenset())},
}  # fmt: skip
#: Optional columns that these rows fill, emptied throughout.
EMPTIED = {
    "platform_cases": ("联系电话", "申请人", "证件号码"), "platform_reviews": ("评价内容",),
    "hotline_tickets": ("来电人", "来电号码", "诉求分类", "诉求内容"), "hotline_dispatches": ("签收时间", "签收期限"),
    "cms_posts": ("链接", "字数"),
}  # fmt: skip
#: A coded header, for a code that no one knows.
CODED = {
    "platform_cases": "申请来源", "platform_reviews": "评价渠道", "hotline_tickets": "诉求类型",
    "hotline_dispatches": "承办角色", "cms_posts": "栏目类型", "cms_submissions": "审核状态",
}  # fmt: skip
FEW = frozenset({"columns_flattened", "columns_emptied", "units_absent"})
#: Findings: they say nothing about the volume and may stand beside any of the warnings.
FINDINGS = frozenset({"rows_quarantined", "extra_columns"})


@dataclass(frozen=True)
class Delivery:
    """The month under test and what the expectations must say of it."""

    dataset: str
    rows: tuple[m.Cells, ...]
    usual: int = SMALL
    may: frozenset[str] = frozenset({EXACT})
    #: Warnings that must stand in the stored result, and no others but ``perhaps``.
    warnings: frozenset[str] = frozenset()
    #: Warnings that may stand there too: few rows may well hold one unit and one code only.
    perhaps: frozenset[str] = frozenset()
    #: Warning -> part of one of its items.
    item: tuple[str, str] | None = None
    #: Rows that must be set aside: those with this text in them.
    unknown: str = ""
    says: str = ""
    months: tuple[str, ...] = HISTORY


def variants() -> Iterator[Variant]:
    """All variants of the row *volume*."""
    for dataset in UNIT_HEADERS:
        for name, delivery in _deliveries(dataset):
            yield Variant(f"{dataset}/{name}", partial(_check, delivery=delivery))


def _deliveries(dataset: str) -> Iterator[tuple[str, Delivery]]:
    rows = _rows(dataset, SMALL)
    like = partial(Delivery, dataset)
    volume = frozenset({"volume_ratio"})
    yield "as_usual", like(rows)
    yield "as_usual_large", like(_rows(dataset, LARGE), LARGE)
    yield "first_month", like(rows, months=())
    yield "first_month_empty", like((), months=())
    yield "zero_rows", like((), warnings=volume, perhaps=FEW)
    yield "zero_rows_of_many", like((), LARGE, frozenset({REFUSE}), says="0 rows")
    # Sixty per cent lost, or threefold, are the first that count: 24 and 180 of 60.
    for count in (1, 6, 12, 20, 23, 24):
        yield f"rows_{count}", like(_rows(dataset, count), warnings=volume, perhaps=FEW)
    for count in (25, 30, 45):
        yield f"rows_{count}", like(_rows(dataset, count), perhaps=FEW)
    for count in (90, 150, 179):
        yield f"rows_{count}", like(_rows(dataset, count))
    for count in (180, 181, 300, 600):
        yield f"rows_{count}", like(_rows(dataset, count), warnings=volume)
    if header := UNIT_HEADERS[dataset]:
        for unit in UNITS:
            others = [name for name in UNITS if name != unit]
            moved = tuple(row | {header: others[n % 3]} if row[header] == unit else row for n, row in enumerate(rows))
            absent = frozenset({"units_absent"})
            yield f"unit_missing/{unit}", like(moved, warnings=absent, item=("units_absent", unit))
            yield f"unit_unknown/{unit}", like(
                (rows[0] | {header: f"{unit}分理处"}, *rows[1:]), warnings=frozenset({"unknown_unit_rows"}),
                item=("unknown_unit_rows", ""),
            )  # fmt: skip
    for header, (value, more) in FLAT.get(dataset, {}).items():
        name = _name(dataset, header)
        flat = tuple(row | {header: value} if row[header] else row for row in rows)
        yield f"flat/{header}", like(flat, warnings=more | {"columns_flattened"}, item=("columns_flattened", name))
        nearly = (*flat[:-1], rows[0] | {key: rows[-1][key] for key in _keys(dataset)})
        if rows[0][header] not in ("", value) and not more:
            yield f"nearly_flat/{header}", like(nearly)
    for header in EMPTIED.get(dataset, ()):
        empty = tuple(row | {header: ""} for row in rows)
        warned = frozenset({"columns_emptied"})
        yield f"emptied/{header}", like(empty, warnings=warned, item=("columns_emptied", _name(dataset, header)))
    if header := CODED.get(dataset):
        for count in (1, 3, 4, 30):
            coded = tuple(row | {header: "新码"} if n < count else row for n, row in enumerate(rows))
            if count > 3:
                yield f"new_code/{count}", like(coded, may=frozenset({REFUSE}), says="rows do not fit")
            else:
                yield f"new_code/{count}", like(coded, may=frozenset({QUARANTINE}), unknown="新码")


def _rows(dataset: str, count: int) -> tuple[m.Cells, ...]:
    """As many rows as wanted, each with a key of its own, the four units in turn."""
    made, first = m.generated(dataset), _keys(dataset)[0]
    header = UNIT_HEADERS[dataset]
    found = []
    for number in range(count):
        row = dict(made[number % len(made)])
        row[first] = f"{row[first]}-{number // len(made)}"
        if header:
            row[header] = UNITS[number % len(UNITS)]
        found.append(row)
    return tuple(found)


def _keys(dataset: str) -> list[str]:
    return [CONTRACTS[dataset].column(name).header for name in CONTRACTS[dataset].key]


def _name(dataset: str, header: str) -> str:
    return next(column.name for column in CONTRACTS[dataset].columns if column.header == header)


def _check(place: Workplace, delivery: Delivery) -> Verdict:
    from expectations import results, validate_load

    dataset = delivery.dataset
    before = _rows(dataset, delivery.usual)
    for month in delivery.months:
        seen = place.deliver(dataset, {"export.csv": m.csv_bytes(dataset, before)}, month)
        if seen.refusal or seen.crash or seen.quarantined:
            return Verdict(WRONG, f"the history itself: {seen.refusal or seen.crash or 'rows set aside'}")
    content = m.csv_bytes(dataset, delivery.rows)
    observed = place.deliver(dataset, {"export.csv": content}, validate=validate_load)
    good = [row for row in delivery.rows if not delivery.unknown or delivery.unknown not in row.values()]
    bad = [n for n, row in enumerate(delivery.rows, start=2) if delivery.unknown and delivery.unknown in row.values()]
    expect = Expect(
        m.wanted(dataset, good), delivery.may, frozenset(bad), lines=len(delivery.rows) + 1, says=delivery.says,
        reasons=frozenset({"unknown_code"} if bad else ()), secrets=m.secrets(dataset),
    )  # fmt: skip
    if observed.refusal is None and observed.crash is None:
        observed.breaches += _stored(results(place.home, "load", dataset), delivery, len(bad))
    observed.text += "\n".join(path.read_text("utf-8") for path in (place.home.root / "validation").rglob("*.json"))
    return judge(expect, observed)


def _stored(found: Sequence[dict[str, Any]], delivery: Delivery, aside: int) -> list[str]:
    """What is wrong with the stored result of a delivery that was loaded."""
    if len(found) != 1:
        return [f"{len(found)} results are stored"]
    failed = {each["name"]: each for each in found[0]["expectations"] if each["status"] == "failed"}
    warned = failed.keys() - FINDINGS
    breaches = []
    if not delivery.warnings <= warned <= delivery.warnings | delivery.perhaps:
        breaches.append(f"warned of {sorted(warned)}, where {sorted(delivery.warnings)} is right")
    if any(failed[name]["severity"] != "warning" for name in warned):
        breaches.append("what was loaded has failed a critical expectation")
    if found[0]["outcome"] != ("warning" if warned else "passed"):
        breaches.append(f"the result says {found[0]['outcome']}")
    if aside and failed.get("rows_quarantined", {}).get("observed") != aside:
        breaches.append("the rows set aside are not in the result")
    if delivery.item and not breaches:
        name, part = delivery.item
        if part not in str(failed[name]["items"]) or not failed[name]["items"]:
            breaches.append(f"{name} does not name what it found")
    return breaches
