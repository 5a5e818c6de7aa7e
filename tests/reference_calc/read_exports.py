"""An exports folder to current rows: typed, quarantined, refused where the rules refuse, and upserted.

The result keeps the Chinese headers of the contract. Times are Beijing wall time (datetime64[s]); integers are floats
with NaN for empty; codes and text are str with None for empty; booleans are True, False or None.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.reference_calc import cells
from tests.reference_calc.read_files import Refused, check_manifest, delivered_files, months_delivered, read_table
from tests.reference_calc.schema import (
    DATASETS,
    ENDS,
    LIMITS,
    MAY_LIE_AHEAD,
    NUMBER_CODES,
    ORDERED,
    SCHEMA,
    SYSTEMS,
    Column,
    keys,
)
from tests.reference_calc.units import UnitNames

#: A file is refused when more than both of these of its rows are quarantined.
REFUSE_SHARE, REFUSE_ROWS = 0.05, 3

#: Header of the unit's name and of the days on which the name is resolved, the first that is not empty.
UNIT_DAYS = {
    "platform_cases": ("办理单位", ["受理时间", "申请时间"]),
    "platform_reviews": ("被评价单位", ["评价时间"]),
    "hotline_dispatches": ("承办单位", ["派单时间"]),
    "hotline_exclusions": ("承办单位", ["申请时间", "更新时间"]),
    "cms_posts": ("发布单位", ["发布时间", "更新时间"]),
    "cms_submissions": ("报送单位", ["报送时间"]),
}


@dataclass
class Exports:
    """What the folder holds. ``loaded`` has every good row, ``current`` the one that counts for each key."""

    current: dict[str, pd.DataFrame] = field(default_factory=dict)
    loaded: dict[str, pd.DataFrame] = field(default_factory=dict)
    quarantine: pd.DataFrame = field(default_factory=pd.DataFrame)
    refused: pd.DataFrame = field(default_factory=pd.DataFrame)
    files: pd.DataFrame = field(default_factory=pd.DataFrame)
    accepted: dict[str, list[str]] = field(default_factory=dict)


def read_exports(exports: Path, pulled_at: dt.datetime, units: UnitNames) -> Exports:
    """Read every delivery of every dataset under the folder. ``pulled_at`` is Beijing wall time."""
    result = Exports()
    quarantined, refused, files = [], [], []
    for dataset in DATASETS:
        system = next(name for name, datasets in SYSTEMS.items() if dataset in datasets)
        good: list[pd.DataFrame] = [_type_rows(_no_rows(dataset), dataset, pulled_at)]
        result.accepted[dataset] = []
        for month in months_delivered(exports, dataset):
            try:
                rows, counts = _read_delivery(exports / system / dataset / month, dataset, pulled_at)
            except Refused as reason:
                refused.append({"dataset": dataset, "month": month, "reason": str(reason)})
                continue
            rows["_month"] = month
            result.accepted[dataset].append(month)
            files += [{"dataset": dataset, "month": month} | count for count in counts]
            bad = rows["_column"].notna()
            quarantined.append(rows[bad].assign(dataset=dataset))
            good.append(rows[~bad])
        loaded = pd.concat(good, ignore_index=True)
        _add_unit(loaded, dataset, units)
        result.loaded[dataset] = loaded
        result.current[dataset] = upsert(loaded, key_of(dataset))
    result.quarantine = _quarantine_table(quarantined)
    result.refused = pd.DataFrame(refused, columns=["dataset", "month", "reason"])
    result.files = pd.DataFrame(files, columns=["dataset", "month", "file", "rows_in", "rows_loaded"])
    return result


def key_of(dataset: str) -> list[str]:
    """The key's columns in the typed rows: a unit name inside a key is its resolved unit."""
    return ["_unit_key" if header == "承办单位" else header for header in keys(dataset)]


def upsert(rows: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """The row that counts for each key: greatest 更新时间, then month, file name, row; a D there removes the key."""
    newest = rows.sort_values(["更新时间", "_month", "_file", "_row"], kind="stable").drop_duplicates(key, keep="last")
    return newest[~newest["_deleted"]].sort_values(key).reset_index(drop=True)


def _no_rows(dataset: str) -> pd.DataFrame:
    table = pd.DataFrame({column.header: pd.Series(dtype=object) for column in SCHEMA[dataset]})
    return table.assign(_row=pd.Series(dtype=int), _width_ok=pd.Series(dtype=bool), _file="", _month="")


def _read_delivery(folder: Path, dataset: str, pulled_at: dt.datetime) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """All files of one delivery; ``_column`` names the fault of a quarantined row. Raises Refused."""
    raw = {path.name: read_table(path, dataset) for path in delivered_files(folder)}
    check_manifest(folder, {name: len(table) for name, table in raw.items()})
    typed, counts = [], []
    for name, table in raw.items():
        rows = _type_rows(table, dataset, pulled_at)
        rows["_file"] = name
        bad = int(rows["_column"].notna().sum())
        if bad > REFUSE_ROWS and bad > REFUSE_SHARE * len(rows):
            raise Refused(f"{name}: {bad} of {len(rows)} rows quarantined")
        counts.append({"file": name, "rows_in": len(rows), "rows_loaded": len(rows) - bad})
        typed.append(rows)
    return pd.concat(typed, ignore_index=True), counts


def _each(values: pd.Series, parse: Callable[[Any], Any]) -> list[Any]:
    """The parsed cells; Unreadable where one could not be read. Equal cells are parsed once."""
    known: dict[tuple[type, Any], Any] = {}
    out = []
    for raw in values:
        mark = (type(raw), raw)
        if mark not in known:
            try:
                known[mark] = parse(raw)
            except cells.Unreadable:
                known[mark] = cells.Unreadable
        out.append(known[mark])
    return out


@dataclass
class _Faults:
    """The first fault of each row, in the order of the rules."""

    rows: int

    def __post_init__(self) -> None:
        self.column = np.full(self.rows, None, dtype=object)
        self.reason = np.full(self.rows, None, dtype=object)

    def add(self, bad: Any, column: str, reason: str) -> None:
        first = np.asarray(bad, dtype=bool) & np.array([c is None for c in self.column], dtype=bool)
        self.column[first] = column
        self.reason[first] = reason


def _type_rows(raw: pd.DataFrame, dataset: str, pulled_at: dt.datetime) -> pd.DataFrame:
    """Typed rows of one file with ``_column`` and ``_reason`` of the first fault (None: good) and ``_deleted``."""
    schema = SCHEMA[dataset]
    texts = {column.header: pd.Series(_each(raw[column.header], cells.text), dtype=object) for column in schema}
    empty = {header: np.array([value == "" for value in values], dtype=bool) for header, values in texts.items()}
    deleted = (texts["同步类型"] == "D").to_numpy(dtype=bool) if "同步类型" in texts else np.zeros(len(raw), dtype=bool)
    faults = _Faults(len(raw))
    faults.add(~raw["_width_ok"].to_numpy(dtype=bool), "", "wrong number of cells")

    for column in schema:
        if column.key:
            faults.add(empty[column.header], column.header, "missing key")
    for column in schema:
        if column.header in NUMBER_CODES:
            lost = np.array(_each(raw[column.header], cells.is_lost_number), dtype=bool)
            faults.add(lost & (~deleted | column.key), column.header, "lost key")
    for column in schema:
        if not column.optional:
            faults.add(empty[column.header] & (~deleted | (column.header == "更新时间")), column.header, "required")
    if dataset == "platform_cases":
        neither = (texts["办件类型"] == "承诺件").to_numpy(dtype=bool) & empty["承诺时限"] & empty["法定时限"]
        faults.add(neither & ~deleted, "承诺时限", "required")

    needed = {column.header: (~deleted | column.key | (column.header == "更新时间")) for column in schema}
    out: dict[str, Any] = {}
    alone: dict[str, np.ndarray] = {}
    coded: list[tuple[Column, np.ndarray]] = []
    for column in schema:
        values, unreadable, dates_alone = _type_column(raw, texts, column)
        out[column.header] = values
        alone[column.header] = dates_alone
        if column.kind in "itd":
            faults.add(unreadable & needed[column.header], column.header, "unreadable")
        else:
            coded.append((column, unreadable))
    for column, unreadable in coded:
        faults.add(unreadable & needed[column.header], column.header, "code outside its list")

    typed = pd.DataFrame(out)
    if dataset in ORDERED:
        start, end = ORDERED[dataset]
        faults.add((typed[end] < typed[start]).to_numpy() & ~deleted, end, "an end before its start")
    for column in schema:
        if column.kind in "td" and column.header not in MAY_LIE_AHEAD:
            ahead = _after_pull(typed[column.header], alone[column.header], pulled_at)
            faults.add(ahead & needed[column.header], column.header, "after the moment of the pull")
    typed["_deleted"] = deleted
    typed["_row"] = raw["_row"].to_numpy()
    typed["_column"] = faults.column
    typed["_reason"] = faults.reason
    if "_file" in raw:
        typed[["_file", "_month"]] = raw[["_file", "_month"]]
    return typed


def _after_pull(times: pd.Series, date_alone: np.ndarray, pulled_at: dt.datetime) -> np.ndarray:
    """Whether the time lies after the pull; for a date alone the day is compared."""
    later = (times > pd.Timestamp(pulled_at)).to_numpy()
    later_day = (times.dt.normalize() > pd.Timestamp(pulled_at).normalize()).to_numpy()
    return np.where(date_alone, later_day, later)


def _type_column(
    raw: pd.DataFrame, texts: dict[str, pd.Series], column: Column
) -> tuple[pd.Series, np.ndarray, np.ndarray]:
    """(typed values, which cells could not be read, which held a date alone)."""
    header = column.header
    text = texts[header]
    empty = (text == "").to_numpy(dtype=bool)
    nothing = np.zeros(len(raw), dtype=bool)
    if header == "所属期":
        return _obligation_period(raw[header], texts["材料类型"], empty)
    if column.kind == "s":
        lost = np.array(_each(raw[header], cells.is_lost_number), dtype=bool) & column.personal
        return text.where(~(empty | lost), None), nothing, nothing
    if column.kind == "code":
        if all(code.isdigit() for code in column.codes):
            text = pd.Series([_integer_text(value) for value in text], dtype=object)
        bad = ~text.isin(column.codes).to_numpy(dtype=bool) & ~empty
        return text.where(~(empty | bad), None), bad, nothing
    parse = {"i": cells.integer, "b": cells.boolean, "t": cells.moment, "d": cells.moment}[column.kind]
    parsed = _each(raw[header], parse)
    bad = np.array([value is cells.Unreadable for value in parsed], dtype=bool) & ~empty
    values = [None if e or b else value for value, e, b in zip(parsed, empty, bad, strict=True)]
    if column.kind == "b":
        return pd.Series(values, dtype=object), bad, nothing
    if column.kind == "i":
        return pd.Series(values, dtype="float64"), bad, nothing
    date_alone = np.array([value is not None and value.date_alone for value in values], dtype=bool)
    times = pd.Series([None if value is None else value.at for value in values], dtype="datetime64[s]")
    if column.kind == "d":
        times = times.dt.normalize()
        date_alone = times.notna().to_numpy()
    elif header in LIMITS | ENDS:
        times = times.where(~date_alone, times + pd.Timedelta(hours=23, minutes=59, seconds=59))
    return times.astype("datetime64[s]"), bad, date_alone


def _integer_text(value: str) -> str:
    try:
        return str(cells.integer(value))
    except cells.Unreadable:
        return value


_PERIOD_KINDS = {"动态信息": cells.week_code, "月小结": cells.month_code, "整改报告": cells.period_code}


def _obligation_period(
    raw: pd.Series, material: pd.Series, empty: np.ndarray
) -> tuple[pd.Series, np.ndarray, np.ndarray]:
    """所属期 in its normal spelling; what does not fit the row's 材料类型 is a fault."""
    values, bad = [], []
    for cell, kind, is_empty in zip(raw, material, empty, strict=True):
        try:
            values.append(None if is_empty else _PERIOD_KINDS.get(kind, cells.text)(cell))
            bad.append(False)
        except cells.Unreadable:
            values.append(None)
            bad.append(True)
    return pd.Series(values, dtype=object), np.array(bad, dtype=bool), np.zeros(len(raw), dtype=bool)


def _add_unit(rows: pd.DataFrame, dataset: str, units: UnitNames) -> None:
    """Add ``unit_code`` (UNMAPPED where the name is not known) and ``_unit_key``, which keeps such names apart."""
    if dataset not in UNIT_DAYS:
        return
    name, days = UNIT_DAYS[dataset]
    day = rows[days[0]]
    for other in days[1:]:
        day = day.fillna(rows[other])
    rows["unit_code"] = units.resolve(rows[name], day)
    rows["_unit_key"] = rows["unit_code"].where(rows["unit_code"] != "UNMAPPED", "name:" + rows[name].fillna(""))


def _quarantine_table(parts: list[pd.DataFrame]) -> pd.DataFrame:
    names = {"_month": "month", "_file": "file", "_row": "row", "_column": "column", "_reason": "reason"}
    columns = ["dataset", *names.values()]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat([part.rename(columns=names)[columns] for part in parts], ignore_index=True)
