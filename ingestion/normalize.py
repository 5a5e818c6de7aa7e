"""Strings to types: one SQL statement per contract, run by DuckDB over the batches that a reader gives.

For each row it finds the typed values and the row's first fault, in the order that ``quarantine.REASONS`` lists. A row
that deletes its key (同步类型 D) needs only its key and 更新时间; what is unreadable elsewhere in it becomes null.
All times are Beijing wall time. Identifiers come from validated contracts; values are bound parameters or literals
quoted by ``_literal``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ingestion import engine
from ingestion.clean_typing import typed_if_clean
from ingestion.contracts import Column, Contract
from ingestion.personal import PseudonymKey
from ingestion.quarantine import mask_sql
from ingestion.redaction import MACROS as REDACTION_MACROS
from ingestion.redaction import redact
from ingestion.spelling import period_code
from ingestion.unmarked import UnmarkedStrings

_ARROW_TYPES = {
    "string": pa.string(),
    "code": pa.string(),
    "period": pa.string(),
    "integer": pa.int64(),
    "timestamp": pa.timestamp("us"),
    "date": pa.date32(),
    "boolean": pa.bool_(),
}

#: Joins the columns of a key: the unit separator, which no export holds.
KEY_SEPARATOR = "\x1f"

#: Limits and 注销日期 may be 9999-12-31: never.
_YEAR = r"(?:19|[2-9]\d)\d\d"
_CHINESE_DAY = rf"{_YEAR}年\d{{1,2}}月\d{{1,2}}日"
_DAY = rf"(?:{_YEAR}(?:-\d{{1,2}}-|/\d{{1,2}}/)\d{{1,2}}|{_CHINESE_DAY})"
#: 24:00 is no time of the clock here: whose day it belongs to is not said.
_CLOCK = r"(?:[01]?\d|2[0-3])(?::\d\d(?::\d\d)?|时\d{1,2}分(?:\d{1,2}秒)?)"
#: A number as Excel shows a long code that it has taken for one.
_E_NOTATION = r"\d(?:\.\d+)?[Ee]\+\d{1,3}|\d\.\d+[Ee]\d{1,3}"

#: Only the spellings of the export description are read; what a cast would guess beyond them stays unreadable. The
#: usual spelling is proved by casting back: strict, and several times faster than a regular expression. A macro names
#: its argument as often as it must and no more: macros within macros multiply.
_MACROS = f"""
CREATE MACRO is_date_alone(x) AS NOT (contains(x, ':') OR contains(x, '时'));
CREATE MACRO read_moment(x, plain, seconds_of_a_date_alone) AS CASE
    WHEN plain::VARCHAR = x AND strlen(x) = 19 AND x >= '1900' THEN plain
    WHEN regexp_full_match(x, '{_DAY}(?:(?: +|T){_CLOCK})?|{_CHINESE_DAY}{_CLOCK}')
    THEN TRY_CAST(rtrim(translate(x, '/年月日T时分秒', '---  ::'), ': ') AS TIMESTAMP)
        + INTERVAL 1 SECOND * CASE WHEN is_date_alone(x) THEN seconds_of_a_date_alone ELSE 0 END END;
CREATE MACRO read_integer(x) AS CASE
    WHEN strlen(x) <= 15 AND TRY_CAST(x AS BIGINT)::VARCHAR = x THEN TRY_CAST(x AS BIGINT)
    WHEN regexp_full_match(x, '[+-]?\\d{{1,15}}(?:\\.0+)?') THEN TRY_CAST(split_part(x, '.', 1) AS BIGINT) END;
CREATE MACRO is_lost(x) AS
    CASE WHEN contains(x, 'E') OR contains(x, 'e') THEN regexp_full_match(x, '{_E_NOTATION}') ELSE false END;
"""


@dataclass(frozen=True)
class Origin:
    """Where a batch comes from: what the load's own columns say of each of its rows."""

    month: str
    pulled_at: dt.datetime
    file: str
    landing_id: int


@dataclass(frozen=True)
class TypedBatch:
    """What one batch became: typed good rows, faulty rows, and personal values that Excel had destroyed.

    ``faults``: row, column_name, header, value_masked, reason. ``lost_values``: row, column_name.
    """

    good: pa.Table
    faults: pa.Table
    lost_values: pa.Table


def staged_schema(contract: Contract) -> pa.Schema:
    """Columns and types of a dataset's staged Parquet."""
    return pa.schema(
        [(column.name, _ARROW_TYPES[column.type]) for column in contract.columns]
        + [
            ("_key", pa.string()),
            ("_deleted", pa.bool_()),
            ("_month", pa.string()),
            ("_pulled_at", pa.timestamp("us")),
            ("_file", pa.string()),
            ("_row", pa.int64()),
            ("_landing_id", pa.int64()),
        ]
    )


def connect() -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that reads nothing from outside and knows the macros of this module."""
    return engine.shared("SET GLOBAL enable_external_access = false;" + _MACROS + REDACTION_MACROS, memory_limit="1GB")


class Normalizer:
    """Types the batches of one dataset. The SQL is made once; a connection serves one thread."""

    def __init__(self, contract: Contract, key: PseudonymKey, connection: duckdb.DuckDBPyConnection) -> None:
        self.contract = contract
        self.schema = staged_schema(contract)
        #: Sign of the key that the tokens are made with.
        self.key_mark = key.mark
        self._key = key
        self._connection = connection
        self._faults = _faults(contract)
        self._sql = _typing_sql(contract, self._faults)
        self._untyped = [column.name for column in contract.columns if _is_untyped(column)]
        self._tokens = [column.name for column in contract.columns if column.personal == "token"]
        self._texts = [column.name for column in contract.columns if column.personal == "text"]
        self._unmarked = UnmarkedStrings(contract, key, connection)

    def normalise(self, raw: pa.Table, origin: Origin) -> TypedBatch:
        """Types rows that hold a string for each of the contract's columns, and ``_row``; see TypedBatch."""
        raw = self._unmarked.without_numbers(raw)
        if (clean := typed_if_clean(self.contract, raw, origin.pulled_at, _E_NOTATION)) is not None:
            good, faults, lost = pa.table(clean | {"_row": raw["_row"]}), _NO_FAULTS, _NO_LOST
        else:
            good, faults, lost = self._judged(raw, origin)
        good = _with_origin(self._protect(good), origin)
        return TypedBatch(good.select(self.schema.names).cast(self.schema), faults, lost)

    def _judged(self, raw: pa.Table, origin: Origin) -> tuple[pa.Table, pa.Table, pa.Table]:
        """Good rows typed, faults and lost values, as the SQL finds them row by row."""
        self._connection.register("raw", _with_periods(self.contract, raw))
        typed = self._connection.sql(self._sql, params={"pulled_at": origin.pulled_at}).to_arrow_table()
        typed = _in_the_order(raw["_row"], typed)
        fault = typed["_fault"]
        lost = self._lost_values(raw, typed)
        # Text that is only carried along does not pass through SQL.
        good = typed.drop_columns(["_fault"])
        for name in self._untyped:
            good = good.append_column(name, raw[name])
        faults = _NO_FAULTS
        if fault.null_count < len(fault):
            is_bad = fault.is_valid()
            faults = self._describe(raw.filter(is_bad), fault.filter(is_bad))
            good = good.filter(fault.is_null())
            lost = lost.filter(pc.invert(pc.is_in(lost["row"], faults["row"])))
        return good, faults, lost

    def _protect(self, good: pa.Table) -> pa.Table:
        for name in self._texts:
            values = redact(self._connection, good[name], [good[other] for other in self._tokens])
            good = good.set_column(good.schema.get_field_index(name), name, values)
        for name in self._tokens:
            values = self._key.tokenise(good[name])
            good = good.set_column(good.schema.get_field_index(name), name, values)
        return good

    def _lost_values(self, raw: pa.Table, typed: pa.Table) -> pa.Table:
        """Personal values that Excel stored as numbers: emptied in the typed rows, reported here."""
        names = [name for name in self._tokens + self._texts if typed[name].null_count > raw[name].null_count]
        if not names:
            return _NO_LOST
        parts = [f"SELECT _row AS row, '{name}' AS column_name FROM raw WHERE is_lost({_raw(name)})" for name in names]
        return self._connection.sql(" UNION ALL ".join(parts) + " ORDER BY 1, 2").to_arrow_table().cast(_LOST_SCHEMA)

    def _describe(self, raw: pa.Table, fault: pa.ChunkedArray) -> pa.Table:
        self._connection.register("bad", raw.append_column("_fault", fault))
        catalogue = pa.table(
            {
                "_fault": pa.array(range(len(self._faults)), pa.int32()),
                "column_name": [each.column.name for each in self._faults],
                "header": [each.column.header for each in self._faults],
                "reason": [each.reason for each in self._faults],
            }
        )
        self._connection.register("catalogue", catalogue)
        value = " ".join(f"WHEN '{column.name}' THEN bad.{_raw(column.name)}" for column in self.contract.columns)
        described = self._connection.sql(
            f"SELECT bad._row AS row, catalogue.column_name, catalogue.header,"
            f" {mask_sql(f'CASE catalogue.column_name {value} END')} AS value_masked, catalogue.reason"
            " FROM bad JOIN catalogue USING (_fault) ORDER BY bad._row"
        ).to_arrow_table()
        self._connection.unregister("bad")
        self._connection.unregister("catalogue")
        return described.cast(_NO_FAULTS.schema)


_NO_FAULTS = pa.schema(
    [
        ("row", pa.int64()),
        ("column_name", pa.string()),
        ("header", pa.string()),
        ("value_masked", pa.string()),
        ("reason", pa.string()),
    ]
).empty_table()
_LOST_SCHEMA = pa.schema([("row", pa.int64()), ("column_name", pa.string())])
_NO_LOST = _LOST_SCHEMA.empty_table()


@dataclass(frozen=True)
class _Fault:
    """A check of one column: SQL that is true where a row has this fault."""

    column: Column
    reason: str
    condition: str
    #: Does it hold for a row that only deletes its key, too?
    also_deletions: bool = False


def _with_origin(good: pa.Table, origin: Origin) -> pa.Table:
    rows = good.num_rows
    return (
        good.append_column("_month", pa.repeat(origin.month, rows))
        .append_column("_pulled_at", pa.repeat(pa.scalar(origin.pulled_at, pa.timestamp("us")), rows))
        .append_column("_file", pa.repeat(origin.file, rows))
        .append_column("_landing_id", pa.repeat(pa.scalar(origin.landing_id, pa.int64()), rows))
    )


def _is_untyped(column: Column) -> bool:
    """Is the typed value the delivered string itself?"""
    return column.type == "string" and not column.personal and not column.code_number


def _literal(value: str | int) -> str:
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


def _literals(values: Sequence[str | int]) -> str:
    return ", ".join(_literal(value) for value in values)


def _raw(name: str) -> str:
    """The delivered cell; names are validated identifiers, quoted because some are SQL words."""
    return f'"{name}"'


def _typed(name: str) -> str:
    """The typed value; no column's name can start with the sign."""
    return f'"={name}"'


def _plain(name: str) -> str:
    """A moment as DuckDB reads it, before it is proved to be in the usual spelling."""
    return f'"~{name}"'


def _reading(column: Column) -> str:
    """SQL for the typed value of a raw column: null where it cannot be read."""
    x = _raw(column.name)
    if column.type == "integer":
        return f"read_integer({x})"
    if column.type == "timestamp":
        # A date alone is the day's last second in limits and ends.
        return f"read_moment({x}, {_plain(column.name)}, {0 if column.time == 'start' else 86399})"
    if column.type == "date":
        return f"read_moment({x}, {_plain(column.name)}, 0)::DATE"
    if column.type == "boolean":
        return f"CASE {x} WHEN '是' THEN true WHEN '否' THEN false END"
    if column.type == "code":
        return f"CASE WHEN {x} IN ({_literals(column.values)}) THEN {x} END"
    if column.type == "period":
        kinds = " ".join(f"WHEN {_literal(value)} THEN {_kind(column, kind)}" for value, kind in column.kinds.items())
        return f"CASE {_raw(column.by or '')} {kinds} END"
    if column.personal or column.code_number:
        return f"CASE WHEN NOT is_lost({x}) THEN {x} END"
    return x


def _kind(column: Column, kind: str) -> str:
    """The raw column with a period's code when it is read as this kind (``_with_periods`` adds it)."""
    return f'"{column.name}:{kind}"'


def _with_periods(contract: Contract, raw: pa.Table) -> pa.Table:
    """Adds to the raw rows each period column read as each of its kinds; few values differ, so each is read once."""
    for column in contract.columns:
        if column.type == "period":
            encoded = raw[column.name].combine_chunks().dictionary_encode()
            values = encoded.dictionary.to_pylist()
            for kind in sorted(set(column.kinds.values())):
                codes = pa.array([period_code(value, kind) for value in values], pa.string())
                raw = raw.append_column(_kind(column, kind).strip('"'), codes.take(encoded.indices))
    return raw


_UNREADABLE = {
    "timestamp": "unreadable_time",
    "date": "unreadable_time",
    "integer": "unreadable_number",
    "boolean": "unknown_code",
    "code": "unknown_code",
    "period": "unreadable_period",
}


def _faults(contract: Contract) -> list[_Fault]:
    """Every check of the contract, in the order in which a row's first fault is looked for."""
    columns = contract.columns
    # A row that deletes its key is held to these columns alone.
    needed = {*contract.key, "updated_at"}

    def check(chosen: Iterable[Column], reason: str, condition: Callable[[Column], str]) -> list[_Fault]:
        return [_Fault(column, reason, condition(column), column.name in needed) for column in chosen]

    def is_empty(column: Column) -> str:
        return f"{_raw(column.name)} IS NULL"

    def is_unreadable(column: Column) -> str:
        return f"{_raw(column.name)} IS NOT NULL AND {_typed(column.name)} IS NULL"

    def is_lost(column: Column) -> str:
        # A code number that is lost is not read; other keys are looked at here alone.
        return is_unreadable(column) if column.code_number else f"is_lost({_raw(column.name)})"

    def is_unlisted(column: Column) -> str:
        return f"{_typed(column.name)} NOT IN ({_literals(column.values)})"

    key = [column for column in columns if column.name in contract.key]
    faults = check(key, "missing_key", is_empty)
    faults += check(
        (column for column in columns if column.code_number or column in key),
        "lost_key",
        is_lost,
    )
    faults += check((column for column in columns if not column.optional), "required_empty", is_empty)
    for rule in contract.required_any:
        when = [f"{_raw(name)} = {_literal(value)}" for name, value in rule.when.items()]
        empty = [is_empty(contract.column(name)) for name in rule.columns]
        faults.append(_Fault(contract.column(rule.columns[0]), "required_empty", " AND ".join(when + empty)))
    for column in columns:
        if column.type in ("timestamp", "date"):
            faults += check([column], "unreadable_time", is_unreadable)
        elif column.type == "integer":
            faults += check([column], "unreadable_number", is_unreadable)
    for column in columns:
        if column.type in ("code", "boolean"):
            faults += check([column], "unknown_code", is_unreadable)
        elif column.type == "integer" and column.values:
            faults += check([column], "unknown_code", is_unlisted)
        elif column.type == "period":
            faults += check([column], "unreadable_period", is_unreadable)
    faults += [
        _Fault(contract.column(end), "end_before_start", f"{_typed(end)} < {_typed(start)}")
        for start, end in contract.ordered
    ]
    return faults + check((column for column in columns if column.is_event), "future_event", _after_pull)


def _after_pull(column: Column) -> str:
    value = _typed(column.name)
    if column.type == "date":
        return f"{value} > $pulled_at::DATE"
    # Of a date alone the day is compared: its 23:59:59 may well lie ahead on the day of the pull.
    return (
        f"CASE WHEN {value} > $pulled_at::TIMESTAMP"
        f" THEN NOT is_date_alone({_raw(column.name)}) OR {value}::DATE > $pulled_at::DATE ELSE false END"
    )


def _in_the_order(rows: pa.ChunkedArray, typed: pa.Table) -> pa.Table:
    """The typed rows as the delivered ones stand: the threads of the engine give batches back as they end."""
    if typed["_row"].equals(rows):
        return typed
    return typed.take(pc.index_in(rows, value_set=typed["_row"].combine_chunks()))


def _typing_sql(contract: Contract, faults: list[_Fault]) -> str:
    def first_of(chosen: list[tuple[int, _Fault]]) -> str:
        return "CASE " + " ".join(f"WHEN {fault.condition} THEN {number}" for number, fault in chosen) + " END"

    numbered = list(enumerate(faults))
    fault, deleted = first_of(numbered), "false"
    if contract.has_deletions:
        # The delivered cell, not the typed one: an unknown 同步类型 makes a row faulty, never a deletion.
        deleted = "coalesce(sync_type = 'D', false)"
        of_deletion = first_of([each for each in numbered if each[1].also_deletions])
        fault = f"CASE WHEN {deleted} THEN {of_deletion} ELSE {fault} END"
    names = [column.name for column in contract.columns if not _is_untyped(column)]
    moments = [column.name for column in contract.columns if column.type in ("timestamp", "date")]
    plain = "".join(f", TRY_CAST({_raw(name)} AS TIMESTAMP) AS {_plain(name)}" for name in moments)
    return f"""
        SELECT {", ".join(f"{_typed(name)} AS {_raw(name)}" for name in names)},
            concat_ws('{KEY_SEPARATOR}', {", ".join(f"{_typed(name)}::VARCHAR" for name in contract.key)}) AS _key,
            {deleted} AS _deleted, ({fault})::INTEGER AS _fault, _row
        FROM (SELECT *, {", ".join(f"{_reading(column)} AS {_typed(column.name)}" for column in contract.columns)}
              FROM (SELECT *{plain} FROM raw))
    """
