"""JSON: the page object and nothing else; numbers and booleans as the contract's types expect them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.contracts import CONTRACTS
from ingestion.errors import DeliveryRefused
from ingestion.readers import json_pages
from tests.readers.helpers import Read, contract_for, read_bytes

HEADERS = ["办件编号", "办理单位", "承诺时限", "更新时间"]
SAMPLE = contract_for(HEADERS, optional=("承诺时限",))
ROW = {"办件编号": "A1", "办理单位": " 教育局　", "承诺时限": "１２", "更新时间": "t"}


def sample(folder: Path, content: Any, name: str = "page-1.json") -> Read:
    data = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
    return read_bytes(folder, name, data, SAMPLE)


def test_page(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [ROW, {"办件编号": 12, "办理单位": True, "承诺时限": 12.0, "更新时间": 0.5}]
    rows += [{"更新时间": "t", "办理单位": False, "办件编号": 6527e14, "承诺时限": None}]
    rows += [{"更新时间": "t", "办理单位": "x", "办件编号": 652701199001011234}]
    got = sample(tmp_path, {"dataset": "sample", "page": 1, "rows": rows})
    assert got.rows == [
        ("A1", "教育局", "12", "t"),
        ("12", "是", "12", "0.5"),
        ("6.527E+17", "否", None, "t"),
        ("6.527011990010112E+17", "x", None, "t"),
    ]
    assert (got.numbers, got.rows_in, got.rows_other) == ([1, 2, 3, 4], 4, 0)


def test_a_page_of_deletions_needs_keys_and_update_times_alone(tmp_path: Path) -> None:
    contract = CONTRACTS["hotline_dispatches"]
    bare = {"工单编号": "T1", "派单序号": 1, "更新时间": "2022-08-01", "同步类型": "Ｄ"}

    def page(*rows: dict[str, Any]) -> Read:
        return read_bytes(tmp_path, "p.json", json.dumps({"rows": rows}).encode(), contract)

    assert page(bare).rows_in == 1
    with pytest.raises(DeliveryRefused, match="承办单位"):
        page(bare, bare | {"同步类型": "U"})
    with pytest.raises(DeliveryRefused, match="派单序号"):
        page({name: cell for name, cell in bare.items() if name != "派单序号"})


def test_large_pages_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cuts between rows are found wherever the pieces end, also where a text looks like one."""
    rows = [{**ROW, "办件编号": f"A{n}", "办理单位": '},{"办件编号": "' * (n % 3) + "x" * (n % 40)} for n in range(400)]
    rows[300]["晚到"] = 1
    content = {"rows": rows, "page": 1, "note": "},{", "dataset": "sample", "period": "2022-07"}
    whole = sample(tmp_path, content)
    assert len(whole.rows) == 400
    for window in (100, 1000, 7777):
        monkeypatch.setattr(json_pages, "WINDOW", window)
        monkeypatch.setattr(json_pages, "BLOCK", window)
        assert sample(tmp_path, content) == whole


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.fixed_dictionaries(
            {header: st.text(st.characters(exclude_categories=["Cs"]), max_size=6) for header in HEADERS}
        ),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([None, 1]),
    st.integers(10, 400),
)
def test_round_trip(rows: list[dict[str, str]], indent: int | None, window: int) -> None:
    every_text = contract_for(HEADERS, optional=tuple(HEADERS[1:3]), text=tuple(HEADERS[1:3]))
    rows = [{**row, "办件编号": f"K{n}", "更新时间": "t"} for n, row in enumerate(rows)]
    want = [tuple(pc.utf8_trim_whitespace(row[header]).as_py() or None for header in HEADERS) for row in rows]
    content = json.dumps({"rows": rows}, indent=indent).encode()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_pages, "WINDOW", window)
        patch.setattr(json_pages, "BLOCK", window)
        got = read_bytes(Path(folder), "page.json", content, every_text)
    assert got.rows == want


def test_nothing_extra_and_missing(tmp_path: Path) -> None:
    assert sample(tmp_path, {"rows": []}).rows_in == 0
    rows = [{"办件编号": "A1", "办理单位": "x", "更新时间": "t", "多": 1}]
    got = sample(tmp_path, {"rows": rows})
    assert (got.extra, got.missing) == (("多",), ("c2",))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([], "no JSON page object"),
        ({"dataset": "other", "rows": []}, "another dataset"),
        ({"dataset": "sample"}, "no list of rows"),
        ({"rows": {"a": 1}}, "no list of rows"),
        ({"rows": [ROW, ["A1"]]}, "no object"),
        ({"rows": [{**ROW, "办理单位": ["a"]}]}, "list or object in column 办理单位"),
        ({"rows": [{**ROW, "办理单位": {"a": 1}}]}, "list or object in column 办理单位"),
        ({"rows": [{"办件编号": "A1"}]}, "no row has 办理单位、更新时间"),
        (b'{"rows": [{"a": NaN}]}', "NaN"),
        (b'{"rows": [{"a": 1, "a": 2}]}', "twice"),
        (json.dumps({"rows": [{**ROW, " 办件编号": "x"}]}).encode(), "twice"),
        (b'{"rows": [{"a": 1}', "no JSON before the first"),
        (json.dumps({"rows": [ROW]}).encode() + b"x", "no JSON"),
        (b'{"rows": [' + b"[" * 100_000, "nested"),
        (b'{"rows": [{"a": ' + b"9" * 5000 + b"}]}", "digits"),
        (json.dumps({"rows": [ROW]}, ensure_ascii=False).encode("gb18030"), "not UTF-8"),
        (json.dumps({"rows": [{**ROW, "办理单位": "\ud800"}]}).encode(), "surrogate"),
        (b"<!DOCTYPE html><html>login</html>", "web page"),
        (b"", "no JSON"),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, content: Any, why: str) -> None:
    with pytest.raises(DeliveryRefused) as refusal:
        sample(tmp_path, content)
    assert why in str(refusal.value)
    assert "A1" not in str(refusal.value)
