"""Times as people and programs write them: read as what they say, or set aside; never another moment."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from faults import material as m
from faults.cases.headers import FORMS, file_with
from faults.judge import EXACT, QUARANTINE, Expect
from faults.variants import Variant, delivered
from faults.workplace import Files
from ingestion.contracts import CONTRACTS

#: What is written -> what it means; None: cannot be read, set aside.
WRITTEN: dict[str, str | None] = {
    "2022-07-31 23:59:59": "2022-07-31 23:59:59", "2022-05-31 00:00:00": "2022-05-31 00:00:00",
    "2020-02-29 12:00:00": "2020-02-29 12:00:00", "2000-02-29 01:02:03": "2000-02-29 01:02:03",
    "2022-07-01T08:30:00": "2022-07-01 08:30:00", "2022/7/1 8:30": "2022-07-01 08:30:00",
    "2022年7月1日 8时30分": "2022-07-01 08:30:00", "２０２２-０７-０１ ０８：３０：００": "2022-07-01 08:30:00",
    "2022-06-31 08:00:00": None, "2022-02-29 08:00:00": None, "1900-02-29 08:00:00": None, "2100-02-29": None,
    "2022-07-32 08:00:00": None, "2022-13-01 08:00:00": None, "2022-00-10 08:00:00": None, "2022-07-00": None,
    "2022-07-01 24:00:00": None, "2022-07-01 24:00": None, "2022-07-01 25:00:00": None, "2022-07-01 08:60:00": None,
    "2022-07-01 08:30:60": None, "2022-07-01 08:30:61": None, "2022-07-01 -1:00:00": None,
    "07/01/2022 08:30": None, "1/7/2022": None, "01-07-2022": None, "20220701": None, "22-07-01": None,
    "2022-07-01 08:30:00 PM": None, "2022-07-01 上午8:30": None, "2022.7.1": None, "2022年7月": None, "7月1日": None,
    "2022-07-01 08:30:00+09:00": None, "2022-07-01T08:30:00Z": None, "2022-07-01 08:30:00 UTC": None,
    "44743.354166": None, "1656635400": None, "1656635400000": None, "今天": None, "待定": None, "0000-00-00": None,
    "9999-12-31 23:59:59": None, "2999-01-01 00:00:00": None, "2031-01-01 08:00:00": None, "NaT": None, "null": None,
    "infinity": None, "epoch": None, "now": None, "-infinity": None, "2022-W27": None, "2022-7-1-8-30": None,
}  # fmt: skip


def variants() -> Iterator[Variant]:
    """All variants of the row: each spelling in a required and in an optional column that holds an event."""
    for dataset in m.DATASETS:
        events = [column for column in CONTRACTS[dataset].columns if column.type == "timestamp" and column.is_event]
        # Ordered pairs could set a row aside for another reason.
        ordered = {name for pair in CONTRACTS[dataset].ordered for name in pair}
        events = [column for column in events if column.name not in ordered]
        for column in events[-1:]:
            for form in FORMS:
                for written, meant in WRITTEN.items():
                    yield _one(dataset, column.header, column.name, form, written, meant)
        for form in FORMS:
            yield _two_formats(dataset, events[-1].header, form)


def _one(dataset: str, header: str, name: str, form: str, written: str, meant: str | None) -> Variant:
    def make() -> tuple[Files, Expect]:
        rows = list(m.generated(dataset))
        files, lines = file_with(
            dataset, form, m.headers(dataset), [*rows[:11], rows[11] | {header: written}, *rows[12:]]
        )
        if meant is None:
            first = 1 if form == "json" else 2
            return files, Expect(
                m.wanted(dataset, [*rows[:11], *rows[12:]]), frozenset({QUARANTINE}), damaged=frozenset({11 + first}),
                lines=lines, secrets=m.secrets(dataset),
            )  # fmt: skip
        rows[11] = rows[11] | {header: meant}
        return files, Expect(m.wanted(dataset, rows), frozenset({EXACT}), lines=lines, secrets=m.secrets(dataset))

    return delivered(f"{dataset}/{form}/{name}/{written}", dataset, make)


def _two_formats(dataset: str, header: str, form: str) -> Variant:
    """One column in two formats, as when two clerks kept it."""

    def make() -> tuple[Files, Expect]:
        rows = m.generated(dataset)
        written = []
        for number, row in enumerate(rows):
            text = row[header]
            if number % 2 and text:
                at = dt.datetime.fromisoformat(text)
                text = f"{at.year}年{at.month}月{at.day}日 {at.hour}时{at.minute:02d}分{at.second:02d}秒"
            written.append(row | {header: text})
        files, lines = file_with(dataset, form, m.headers(dataset), written)
        return files, Expect(m.wanted(dataset, rows), frozenset({EXACT}), lines=lines, secrets=m.secrets(dataset))

    return delivered(f"{dataset}/{form}/two_formats", dataset, make)
