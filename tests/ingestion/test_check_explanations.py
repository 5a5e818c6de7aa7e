"""Every reason of a reader has a Chinese sentence and a cure: the sources are walked, so none can be forgotten."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion.explanations import EXPLANATIONS, explain_refusal, explain_row
from ingestion.home import PROJECT
from ingestion.quarantine import REASONS

#: Name of the call -> place of the English text among its arguments, and whether it is a row's reason.
CALLS = {
    "_refusal": (0, False),
    "DeliveryRefused": (0, False),
    "Refused": (0, False),
    "NotAPage": (0, False),
    "_set_aside": (1, True),
    "_damaged": (2, True),
    "Fault": (2, True),
}
SOURCES = [*sorted((PROJECT / "ingestion" / "readers").glob("*.py")), PROJECT / "ingestion" / "mapping.py"]


def literal(node: ast.expr, constants: dict[str, str]) -> str | None:
    """The text of a string or f-string, 7 in each placeholder that is no constant; None where it is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = []
        for part in node.values:
            if isinstance(part, ast.Constant):
                parts.append(str(part.value))
            elif isinstance(part, ast.FormattedValue):
                name = part.value.id if isinstance(part.value, ast.Name) else ""
                parts.append(constants.get(name, "7"))
        return "".join(parts)
    return None


def texts_of(path: Path) -> Iterator[tuple[str, bool]]:
    """English texts that the source gives as reasons, and whether each is a row's."""
    tree = ast.parse(path.read_text("utf-8"))
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple) and len(node.elts) == 3 and literal(node.elts[0], {}) == "refuse":
            what = literal(node.elts[1], constants)
            yield from [(what, False)] if what else []
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in CALLS and len(node.args) > CALLS[name][0]:
            text = literal(node.args[CALLS[name][0]], constants)
            if text:
                yield text, CALLS[name][1]


REASONS_GIVEN = sorted({(text, is_row) for path in SOURCES if path.is_file() for text, is_row in texts_of(path)})


def test_the_walk_finds_the_reasons() -> None:
    assert sum(is_row for _, is_row in REASONS_GIVEN) >= 9
    assert sum(not is_row for _, is_row in REASONS_GIVEN) >= 40


@pytest.mark.parametrize(("text", "is_row"), REASONS_GIVEN)
def test_every_reason_of_the_readers_is_explained(text: str, is_row: bool) -> None:
    found = explain_row(text) if is_row else explain_refusal(text)
    assert found.code not in ("damaged_row", "unexplained"), f"no entry in ingestion/explanations.py for {text!r}"
    assert re.search("[一-鿿]", found.text) and re.search("[一-鿿]", found.remedy)
    assert "{" not in found.text.replace('{"', "").replace("{列名", "")


def test_a_reason_without_an_entry_is_noticed_and_still_told() -> None:
    """The guard above can fail: an unknown text falls through, and its English is kept."""
    assert explain_refusal("a.csv: the moon is full").code == "unexplained"
    assert "the moon is full" in explain_refusal("a.csv: the moon is full").text
    assert explain_row("the moon is full").code == "damaged_row"


@pytest.mark.parametrize("code", sorted({*REASONS, *EXPLANATIONS}))
def test_every_code_has_a_sentence_and_a_cure(code: str) -> None:
    found = EXPLANATIONS[code]
    assert len(found.text) >= 4 and len(found.remedy) >= 4
    assert not re.search("[,;(]", re.sub(r'[{"].*', "", found.text)), "narrow punctuation between Chinese words"


def test_a_changed_header_says_what_may_be_meant() -> None:
    english = (
        "a.csv: header (row 2) lacks 办件编号; unknown: 办件号 (meant 办件编号?)、备注; add the missing columns, or x"
    )
    found = explain_refusal(english)
    assert found.code == "missing_columns"
    assert "第 2 行" in found.text and "办件编号" in found.text
    assert "“办件号”是否应为“办件编号”" in found.remedy and "“备注”" in found.remedy
