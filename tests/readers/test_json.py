"""JSON: the page object and nothing else; numbers and booleans as the contract's types expect them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ingestion.errors import DeliveryRefused
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


def test_nothing_extra_and_missing(tmp_path: Path) -> None:
    assert sample(tmp_path, {"rows": []}).rows_in == 0
    rows = [{"办件编号": "A1", "办理单位": "x", "更新时间": "t", "多": 1}]
    got = sample(tmp_path, {"rows": rows})
    assert (got.extra, got.missing) == (("多",), ("c2",))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([], "not a page object"),
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
        (b'{"rows": [{"a": 1}', "no JSON at line 1"),
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
