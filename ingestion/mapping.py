"""A delivered table under a county's own headers, codes and times, read as if it were spelled like the contract.

Stands between a reader and typing: the reader looks for the county's headers, one SQL statement a batch states our
columns from theirs, and rows keep their physical numbers. Identifiers are made here; headers and values of a profile
reach SQL as quoted literals, data only as columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts import Column, Contract
from ingestion.errors import BadParameter
from ingestion.normalize import connect
from ingestion.profile import PATH_SEPARATOR, Mapping, Profile, Value, column_of
from ingestion.readers.cells import narrow
from ingestion.readers.table import BATCH_ROWS, Chunk, Finding, TableReader

_DIGEST_SEPARATOR = "\x1f"


class DeliveredContract(Contract):
    """What a county's file holds, for the reader: their headers, all cells strings. Made by ``delivered_contract``."""

    described_in: str = ""

    @property
    def place(self) -> str:
        return self.described_in


def _mappings(profile: Profile, contract: Contract) -> dict[str, Mapping]:
    """English name -> where the column comes from; what the profile does not name comes under our own header."""
    described = {
        column_of(contract, ours).name: mapping for ours, mapping in profile.datasets[contract.dataset].columns.items()
    }
    return {
        column.name: described.get(column.name) or Mapping(choose=(Value(header=(column.header,)),))
        for column in contract.columns
    }


def delivered_contract(profile: Profile, contract: Contract) -> DeliveredContract:
    """The headers to look for: a column a header, required where a required column of ours has no other source."""
    mappings = _mappings(profile, contract)
    required, texts, headers = set(), set(), dict[str, None]()
    for column in contract.columns:
        mapping = mappings[column.name]
        headers |= dict.fromkeys(narrow(header) for header in mapping.headers)
        if column.personal == "text":
            texts |= {narrow(header) for header in mapping.headers}
        for value in mapping.choose:
            required |= {narrow(header) for header in (*value.path, *value.digest, *value.when)}
            # Of alternatives one must be there: looked at when the header is known.
            if len(value.header) == 1 and not column.optional:
                required.add(narrow(value.header[0]))
    known = dict.fromkeys(narrow(header) for header in profile.datasets[contract.dataset].ignored_headers)
    columns = tuple(
        Column.model_construct(
            name=f"delivered_{number}",
            header=header,
            type="string",
            optional=header not in required,
            personal="text" if header in texts else None,
        )
        for number, header in enumerate(headers | known)
    )
    # Blank rows are known by a column that every file has.
    first = next((column for column in columns if not column.optional), None)
    if first is None:
        raise BadParameter(f"{profile.place(contract.dataset)}: every header has alternatives or may be missing")
    return DeliveredContract.model_construct(
        dataset=contract.dataset,
        title=contract.title,
        system=contract.system,
        key=(first.name,),
        columns=columns,
        described_in=profile.place(contract.dataset),
    )


class MappedReader(TableReader):
    """A reader's table in the contract's columns. Rows in, other rows, bad rows and findings are the inner reader's."""

    def __init__(
        self, opened: Callable[[Contract], TableReader], name: str, contract: Contract, profile: Profile
    ) -> None:
        super().__init__(name, contract)
        self._profile = profile
        self._delivered = delivered_contract(profile, contract)
        self._mappings = _mappings(profile, contract)
        self._inner = opened(self._delivered)
        self._closing.append(self._inner.close)
        self._unknown: dict[str, tuple[int, int]] = {}

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of our columns that the file feeds."""
        present = self._present()
        return tuple(name for name, mapping in self._mappings.items() if _is_fed(mapping, present))

    @property
    def extra_columns(self) -> tuple[str, ...]:
        return self._inner.extra_columns

    @property
    def missing_optional(self) -> tuple[str, ...]:
        fed = set(self.columns)
        return tuple(column.name for column in self.contract.columns if column.name not in fed)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """As ``TableReader.batches``: the contract's columns as strings, then ``_row``."""
        with connect() as connection:
            connection.execute("CREATE TEMP TABLE seen (digest VARCHAR, rows BIGINT)")
            sql = None
            for batch in self._inner.batches():
                if sql is None:
                    self._refuse_missing_alternatives()
                    sql = self._sql()
                mapped = self._mapped(connection, sql, batch)
                for part in mapped.to_batches(max_chunksize=BATCH_ROWS):
                    self.rows_in += part.num_rows
                    yield part
        self._refuse_missing_alternatives()
        self.rows_in += len(self._inner.bad_rows)
        self.rows_other, self.period = self._inner.rows_other, self._inner.period
        # The names of the reader's columns mean nothing outside: their headers do.
        self.bad_rows = [replace(bad, column=None) for bad in self._inner.bad_rows]
        self.findings = [*self._inner_findings(), *self._unknown_codes()]

    def _chunks(self) -> Iterator[Chunk]:
        raise AssertionError("a mapped table is read by its inner reader")

    # -- headers -----------------------------------------------------------------------------------------------

    def _present(self) -> dict[str, str]:
        """Header of theirs that the file has -> column of the reader."""
        there = set(self._inner.columns)
        return {column.header: column.name for column in self._delivered.columns if column.name in there}

    def _refuse_missing_alternatives(self) -> None:
        present = self._present()
        for column in self.contract.columns:
            for value in self._mappings[column.name].choose:
                found = [header for header in value.header if narrow(header) in present]
                if len(found) > 1:
                    raise self._refusal(f"{'、'.join(found)} both stand for {column.header}", "leave one of them out")
                if not found and len(value.header) > 1 and not column.optional:
                    wanted = " or ".join(value.header)
                    raise self._refusal(
                        f"the header lacks {wanted} (our {column.header})",
                        f"name what the file calls it in {self._profile.place(self.contract.dataset, column.header)}",
                    )

    def _inner_findings(self) -> Iterator[Finding]:
        """The reader's findings: one for each column of ours that nothing feeds, not for each alternative header."""
        for finding in self._inner.findings:
            if finding.kind != "missing_optional_column":
                yield replace(finding, column=None)
        described = {
            column_of(self.contract, ours).name for ours in self._profile.datasets[self.contract.dataset].columns
        }
        for name in self.missing_optional:
            if name in described:
                yield Finding(None, name, "missing_optional_column", self.contract.column(name).header)

    # -- values ------------------------------------------------------------------------------------------------

    def _mapped(self, connection: duckdb.DuckDBPyConnection, sql: str, batch: pa.RecordBatch) -> pa.Table:
        connection.register("delivered", pa.Table.from_batches([batch]))
        mapped = connection.sql(sql).to_arrow_table()
        if "_digest" in mapped.column_names:
            connection.register("mapped", mapped)
            connection.execute("INSERT INTO seen SELECT _digest, count(*) FROM mapped GROUP BY ALL")
            connection.unregister("mapped")
            mapped = mapped.drop_columns(["_digest"])
        connection.unregister("delivered")
        for column in self.contract.columns:
            if column.type == "code":
                self._count_unknown(column, mapped)
        names = [pa.field(column.name, pa.string()) for column in self.contract.columns]
        return mapped.cast(pa.schema([*names, pa.field("_row", pa.int64(), nullable=False)]))

    def _count_unknown(self, column: Column, mapped: pa.Table) -> None:
        values = mapped[column.name]
        odd = pc.and_(values.is_valid(), pc.invert(pc.is_in(values, pa.array([str(v) for v in column.values]))))
        count = pc.sum(odd).as_py() or 0
        if count:
            before, first = self._unknown.get(column.name, (0, mapped["_row"][pc.index(odd, True).as_py()].as_py()))
            self._unknown[column.name] = before + count, first

    def _unknown_codes(self) -> Iterator[Finding]:
        """New codes, with the list and the place to map them; the codes themselves stay in the file."""
        for name, (count, first) in self._unknown.items():
            column = self.contract.column(name)
            place = self._profile.place(self.contract.dataset, column.header)
            theirs = "、".join(dict.fromkeys(self._mappings[name].headers))
            listed = "、".join(map(str, column.values))
            detail = f"{theirs}: {count} rows hold a code that is not in the list {listed}; map it in {place} → codes"
            yield Finding(first, name, "unmapped_code", detail)

    def _sql(self) -> str:
        """Our columns from theirs. ``theirs`` holds their cells with the null markers gone, under their headers."""
        present = self._present()
        markers = ", ".join(map(_literal, self._profile.null_markers))
        cells = [
            f"CASE WHEN {name} IN ({markers}) THEN NULL ELSE {name} END AS {_quoted(header)}"
            if markers
            else f"{name} AS {_quoted(header)}"
            for header, name in present.items()
        ]
        headers = next((v.digest for m in self._mappings.values() for v in m.choose if v.digest), ())
        selected = [f"{self._column(column, present)} AS {_quoted(column.name)}" for column in self.contract.columns]
        if not headers:
            theirs = f"SELECT {', '.join(cells)}, _row FROM delivered"
            return f"SELECT {', '.join(selected)}, _row FROM ({theirs}) ORDER BY _row"
        joined = ", ".join(f"coalesce({_quoted(narrow(header))}, '')" for header in headers)
        # Letters only: a run of digits in it could be taken for a telephone number further on.
        digest = f"translate(md5(concat_ws('{_DIGEST_SEPARATOR}', {joined})), '0123456789', 'ghijklmnop')"
        return f"""
            SELECT {", ".join(selected)}, _row, _digest
            FROM (SELECT theirs.*,
                      row_number() OVER (PARTITION BY _digest ORDER BY _row) + coalesce(before.rows, 0) AS _nth
                  FROM (SELECT {", ".join(cells)}, _row,
                            {digest} AS _digest
                        FROM delivered) AS theirs
                  LEFT JOIN (SELECT digest, sum(rows) AS rows FROM seen GROUP BY digest) AS before
                      ON before.digest = theirs._digest)
            ORDER BY _row
        """

    def _column(self, column: Column, present: dict[str, str]) -> str:
        mapping = self._mappings[column.name]
        cases = ""
        for value in mapping.choose:
            condition = " AND ".join(
                f"coalesce({_cell(header, present)}, '') = {_literal(expected)}"
                for header, expected in value.when.items()
            )
            cases += f" WHEN {condition or 'true'} THEN {self._value(column, value, present)}"
        sql = f"CASE{cases} END"
        if mapping.letters:
            sql = f"{mapping.letters}({sql})"
        if mapping.codes:
            pairs = " ".join(f"WHEN {_literal(theirs)} THEN {_literal(ours)}" for theirs, ours in mapping.codes.items())
            sql = f"CASE {sql} {pairs} ELSE {sql} END"
        if mapping.when_empty is not None:
            sql = f"coalesce({sql}, {_literal(mapping.when_empty)})"
        return f"nullif(({sql})::VARCHAR, '')"

    def _value(self, column: Column, value: Value, present: dict[str, str]) -> str:
        if value.constant is not None:
            return _literal(value.constant)
        if value.digest:
            return "_digest || CASE WHEN _nth > 1 THEN '-' || _nth ELSE '' END"
        if value.path:
            cells = ", ".join(_cell(header, present) for header in value.path)
            return f"nullif(concat_ws({_literal(PATH_SEPARATOR)}, {cells}), '')"
        found = next((header for header in value.header if narrow(header) in present), None)
        sql = _cell(found, present) if found else "NULL::VARCHAR"
        if column.type in ("timestamp", "date"):
            for spelled in self._profile.time_formats:
                # A date alone stays one: what it means is the contract's to say.
                ours = "%Y-%m-%d %H:%M:%S" if "%H" in spelled or "%I" in spelled else "%Y-%m-%d"
                sql = f"coalesce(strftime(try_strptime({sql}, {_literal(spelled)}), '{ours}'), {sql})"
        if value.plus_seconds:
            # What cannot be read goes on as it is: typing sets the row aside and says so.
            moment = f"read_moment({sql}, TRY_CAST({sql} AS TIMESTAMP), 0)"
            shifted = f"{moment} + to_seconds({value.plus_seconds})"
            sql = f"coalesce(strftime({shifted}, '%Y-%m-%d %H:%M:%S'), {sql})"
        return sql


def _is_fed(mapping: Mapping, present: dict[str, Any]) -> bool:
    """Does anything of the file, or the profile itself, fill the column?"""
    return any(
        value.constant is not None
        or any(narrow(header) in present for header in (*value.header, *value.path, *value.digest))
        for value in mapping.choose
    )


def _cell(header: str, present: dict[str, str]) -> str:
    return _quoted(narrow(header)) if narrow(header) in present else "NULL::VARCHAR"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
