"""Rows that Arrow decodes: it gives what the standard decoder gives, and declines where that one would refuse."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.errors import DeliveryRefused
from ingestion.readers import json_pages, json_quick, json_reader
from tests.readers.helpers import contract_for

HEADERS = ["办件编号", "办理单位", "承诺时限", "是否超期", "更新时间"]
SAMPLE = contract_for(HEADERS, optional=tuple(HEADERS[1:4]), text=tuple(HEADERS[1:4]))

#: Cells of real pages and of hostile ones, as they stand in JSON.
CELLS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5).map(lambda text: json.dumps(text)),
    st.text("汉é😀\x7f\u2028﻿", max_size=3).map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.integers(-(10**16), 10**16).map(str),
    st.sampled_from(["null", "true", "false", "-0", "1.0", "1e3", "12.50", "007", "NaN", "1e400", "[]", '{"a":1}', ""]),
    st.sampled_from(['"\\ud800"', '"\\u0000"', '"},{"', '"}, {"', '"\\/"', '"a\tb"']),
    st.sampled_from(["999999999999999", "1000000000000000", "9" * 30]),
)


def _read(page: bytes, *, quick: bool) -> Any:
    """Rows, their numbers and findings, or that the page is refused; and how many runs Arrow decoded."""
    decoded = []

    class Watched(json_quick.QuickRows):
        def table(self, rows: bytes, between: bytes) -> Any:
            found = super().table(rows, between) if quick else None
            decoded.append(found is not None)
            return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_reader, "QuickRows", Watched)
        patch.setattr(json_quick, "_PATIENCE", 10**6)
        for name, size in (("FIRST_WINDOW", 150), ("WINDOW", 300), ("BLOCK", 64)):
            patch.setattr(json_pages, name, size)
        try:
            with json_reader.JsonReader(io.BytesIO(page), "page.json", SAMPLE) as reader:
                batches = [batch.to_pydict() for batch in reader.batches()]
                rows = [row for batch in batches for row in zip(*batch.values(), strict=True)]
                seen = (rows, reader.rows_in, reader.columns, reader.extra_columns, set(map(str, reader.findings)))
        except DeliveryRefused:
            seen = "refused"
    return seen, sum(decoded)


def _page(rows: list[str], between: str = ", ") -> bytes:
    return ('{"dataset": "sample", "rows": [' + between.join(rows) + '], "page": 1}').encode()


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.lists(CELLS, min_size=5, max_size=5), min_size=2, max_size=6),
    st.integers(1, 4),
    st.sampled_from([", ", ",", ",\n  ", " , "]),
    st.sampled_from([*HEADERS, "多"]),
)
def test_arrow_says_what_the_standard_decoder_says(odd: list[list[str]], times: int, between: str, other: str) -> None:
    """Usual rows first, from which the kinds are learnt, then odd ones among usual ones."""
    usual = [
        f'{{"办件编号":"K{n}","办理单位":"教育局","承诺时限":{n},"是否超期":true,"更新时间":"t"}}' for n in range(6)
    ]
    keys = [*HEADERS[:4], other]
    odd_rows = ["{" + ",".join(f'"{key}":{cell}' for key, cell in zip(keys, row, strict=True)) + "}" for row in odd]
    page = _page([*usual, *odd_rows, *usual * times], between)
    assert _read(page, quick=True)[0] == _read(page, quick=False)[0]


def test_usual_rows_are_decoded_by_arrow() -> None:
    """The guard of the test above: there is something to compare."""
    rows = [
        json.dumps(
            {"办件编号": f"K{n}", "办理单位": " 教育局　", "承诺时限": n, "是否超期": n % 2 == 0, "更新时间": None}
        )
        for n in range(200)
    ]
    (quick, decoded), (slow, _) = _read(_page(rows), quick=True), _read(_page(rows), quick=False)
    assert decoded > 20
    assert quick == slow
    assert quick[1] == 200


@pytest.mark.parametrize(
    "rows",
    [
        b'{"a":"x"}{"a":"y"}',  # a comma is missing
        b'{"a":"x"}\n{"a":"y"}',
        b'{"a":"x"},{"a":"y","a":"z"}',
        b'{"a":"x"},{"a":5}',
        b'{"a":"x"},{"b":"y"}',
        b'{"a":"x"},{"a":"\xff"}',
        b'{"a":"x"},{"a":"\xed\xa0\x80"}',
        b'{"a":"x"},{"a":"\\ud800"}',
        b'{"a":"x"},{"a":"},{"}',
        b'{"a":"x"},{"a":"y"}]',
        b'{"a":"x"},{"a":"y"',
        b'{"a":"x","n":1000000000000000},{"a":"y"}',
        b'{"a":"x","n":1.0},{"a":"y"}',
    ],
)
def test_what_is_not_proved_is_left_to_the_standard_decoder(rows: bytes) -> None:
    quick = json_quick.QuickRows()
    quick.learn([{"a": "x", "n": 1}])
    assert quick.table(b'{"a":"x","n":2},{"n":null}', b"},").to_pylist() == [  # type: ignore[union-attr]
        {"a": "x", "n": "2"},
        {"a": "", "n": ""},
    ]
    assert quick.table(rows, b"},") is None
    assert quick.table(rows, b"}, ") is None
