"""Cells that hold odd characters, and numbers where text was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from faults import material as m
from faults.cases.headers import FORMS
from faults.judge import EXACT, QUARANTINE, REFUSE, Expect
from faults.variants import Variant, delivered
from faults.workplace import Files
from ingestion.contracts import CONTRACTS, Column

#: A text column of each kind: redacted free text, and a narrowed title or name.
TEXTS = {"hotline_tickets": ("诉求内容", "诉求分类"), "cms_posts": ("标题", "链接"), "platform_cases": ("事项名称",)}

ODD = {
    **{f"control_{code:02x}": chr(code) for code in (*range(1, 9), 11, 12, *range(14, 32), 127)},
    **{f"c1_{code:02x}": chr(code) for code in (0x80, 0x85, 0x9F)},
    "zero_width_space": "\u200b",
    "zero_width_joiner": "\u200d",
    "word_joiner": "\u2060",
    "mark": "\ufeff",
    "right_to_left": "\u202e",
    "no_break_space": "\u00a0",
    "line_separator": "\u2028",
    "emoji": "😀👨‍👩‍👧🇨🇳",
    "extension_b": "𠮷𪚥",
    "combining": "e\u0301",
    "private_use": "\ue000",
    "replacement": "\ufffd",
    "tab": "\t",
    "quotes": '"a""b"',
    "delimiters": ",;\t|",
    "lf": "\n",
    "crlf": "\r\n",
    "cr": "\r",
    "three_lines": "\n一\r\n\r\n二\n",
    "backslash": "\\\"\\n\\",
    "formula": "=1+1",
    "html": "<b>&amp;</b>",
    "jinja": "{{ 1 }}{% x %}",
    "sql": "'; DROP TABLE x; --",
    "nul_text": "\\N",
}  # fmt: skip


def odd() -> Iterator[Variant]:
    """All variants of the row *odd cells*."""
    for dataset, names in TEXTS.items():
        for header in names:
            for form in FORMS:
                for kind, text in ODD.items():
                    yield _with_text(dataset, header, form, kind, f"甲{text}乙")
                for size in (40_000, 1_000_000):
                    yield _with_text(dataset, header, form, f"{size}_characters", "长文" * (size // 2))
                yield _with_text(dataset, header, form, "a_million_in_lines", "长文字,“多行”\n" * 100_000)


def _with_text(dataset: str, header: str, form: str, kind: str, text: str) -> Variant:
    def make() -> tuple[Files, Expect]:
        rows = list(m.generated(dataset))
        rows[7] = rows[7] | {header: text}
        name, content = m.file_of(dataset, form, rows)
        if form == "xlsx":  # a sheet's cell holds no more: the writer cuts it there
            rows[7] = rows[7] | {header: text[:32_767]}
        lines = m.lines_of(content.decode()) if form == "csv" else None
        # XML has no way to write some control characters; a workbook that does all the same may be refused.
        may = {EXACT, REFUSE} if form == "xlsx" and kind.startswith(("control", "c1")) else {EXACT}
        expect = Expect(m.wanted(dataset, rows), frozenset(may), lines=lines, secrets=m.secrets(dataset))
        if kind in ("cr", "crlf", "three_lines") and form == "xlsx":
            # XML reads a line break of any kind as LF unless it is escaped: both are the cell.
            changed = rows[7] | {header: text.replace("\r\n", "\n").replace("\r", "\n")}
            same = m.wanted(dataset, [*rows[:7], changed, *rows[8:]])
            expect = replace(expect, rows=expect.rows & same, as_they_stand=(expect.rows | same) - (expect.rows & same))
        return {name: content}, expect

    return delivered(f"{dataset}/{form}/{_column(dataset, header).name}/{kind}", dataset, make)


def _column(dataset: str, header: str) -> Column:
    return CONTRACTS[dataset].by_header[header]


# -- numbers -----------------------------------------------------------------------------------------------------------

LOST = {
    "csv": ("6.527E+17", "6.52722E+17", "1.5E+20"),
    "json": ("6.527E+17", 6.527e17),
    "xlsx": (6.527e17, "6.527E+17", 1e15),
}


def numbers() -> Iterator[Variant]:
    """All variants of the row *numbers*: a lost key is set aside, a lost phone or id is emptied and reported."""
    for dataset in m.DATASETS:
        for column in CONTRACTS[dataset].columns:
            if column.code_number or column.personal == "token":
                for form in FORMS:
                    for value in LOST[form]:
                        for places in ((0,), (5, 6), (3, 20, 59)):
                            yield _lost(dataset, column, form, value, places)
        for form in FORMS:
            yield _small_numbers(dataset, form)


def _lost(dataset: str, column: Column, form: str, value: object, places: tuple[int, ...]) -> Variant:
    def make() -> tuple[Files, Expect]:
        rows = list(m.generated(dataset))
        written: list[dict[str, object]] = [dict(row) for row in rows]
        for place in places:
            written[place][column.header] = value
        name, content = _file(dataset, form, written)
        first = 1 if form == "json" else 2
        if column.code_number:
            good = [row for n, row in enumerate(rows) if n not in places]
            return {name: content}, Expect(
                m.wanted(dataset, good), frozenset({QUARANTINE}), damaged=frozenset(n + first for n in places),
                reasons=frozenset({"lost_key"}), secrets=m.secrets(dataset),
            )  # fmt: skip
        emptied = [row | {column.header: ""} if n in places else row for n, row in enumerate(rows)]
        return {name: content}, Expect(
            m.wanted(dataset, emptied), frozenset({EXACT}), findings=frozenset({"lost_personal_value"})
        )

    return delivered(f"{dataset}/{form}/{column.name}/{value!r}/{len(places)}_rows", dataset, make)


def _file(dataset: str, form: str, rows: list[dict[str, object]]) -> tuple[str, bytes]:
    if form == "xlsx":
        names = m.headers(dataset)
        return "export.xlsx", m.xlsx_bytes([names, *([row.get(name) for name in names] for row in rows)])
    if form == "json":
        return "export.json", m.json_bytes(dataset, rows)
    return m.file_of(dataset, "csv", rows)  # type: ignore[arg-type]


def _small_numbers(dataset: str, form: str) -> Variant:
    """Numbers of a few digits are whole in a numeric cell: the text they show is the value."""

    def make() -> tuple[Files, Expect]:
        rows = list(m.generated(dataset))
        key = m.headers(dataset)[0]
        number = 1234567 if form != "csv" else "1234567"
        written: list[dict[str, object]] = [dict(row) for row in rows]
        written[4][key] = number
        rows[4] = rows[4] | {key: "1234567"}
        name, content = _file(dataset, form, written)
        return {name: content}, Expect(m.wanted(dataset, rows), frozenset({EXACT}), secrets=m.secrets(dataset))

    return delivered(f"{dataset}/{form}/small_number_as_key", dataset, make)
