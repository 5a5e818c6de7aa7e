"""A person out of a delivered XLSX workbook: the XML of the cells is changed in place, everything else stays.

A workbook written anew by a library would lose cached results of formulas, and with them rows. Only workbooks that the
reader has accepted come here: what is hostile was refused before.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from html import unescape
from xml.sax.saxutils import escape

from ingestion.erasure.person import Person, Replace

_P = r"(?:\w+:)?"
_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml")
_SHARED = "xl/sharedStrings.xml"
_ROW = re.compile(rf"<{_P}row\b.*?</{_P}row>", re.DOTALL)
_CELL = re.compile(rf"<({_P})c\b([^>]*?)(?:/>|>(.*?)</{_P}c>)", re.DOTALL)
_ITEM = re.compile(rf"<({_P})si\b[^>]*?(?:/>|>(.*?)</{_P}si>)", re.DOTALL)
_PHONETIC = re.compile(rf"<{_P}rPh\b.*?</{_P}rPh>", re.DOTALL)
_TEXT = re.compile(rf"<{_P}t\b[^>]*?>(.*?)</{_P}t>", re.DOTALL)
_VALUE = re.compile(rf"<{_P}v\b[^>]*?>(.*?)</{_P}v>", re.DOTALL)
_ATTRIBUTE = re.compile(r'\b(r|s|t)="([^"]*)"')


def workbook_without(content: bytes, person: Person, surrogate: Replace) -> tuple[bytes, int]:
    """The workbook with the person's rows changed, and how many those are; the very bytes when there are none."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {info: archive.read(info) for info in archive.infolist()}
    texts = {info.filename: part.decode() for info, part in parts.items() if info.filename.endswith((".xml", ".rels"))}
    shared = [_plain(match[2] or "") for match in _ITEM.finditer(texts.get(_SHARED, ""))]
    rows, used = 0, set[int]()
    for name in filter(_SHEET.fullmatch, texts):
        editor = _Rows(person, surrogate, shared)
        texts[name] = _ROW.sub(editor.row, texts[name])
        rows, used = rows + editor.rows, used | editor.used
    texts[_SHARED] = _blanked(texts.get(_SHARED, ""), lambda at: at not in used and person.named_in(shared[at]))
    for name, text in texts.items():
        # Comments, properties, names: whatever holds the number outside cells.
        if name != _SHARED and person.numbered_in(text):
            texts[name] = person.without(text, surrogate)
            rows += not _SHEET.fullmatch(name)
    if not rows:
        return content, 0
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, part in parts.items():
            kept = zipfile.ZipInfo(info.filename, info.date_time)
            kept.compress_type, kept.external_attr = zipfile.ZIP_DEFLATED, info.external_attr
            archive.writestr(kept, texts[info.filename].encode() if info.filename in texts else part)
    return packed.getvalue(), rows


class _Rows:
    """Changes the rows of a sheet; remembers which shared strings are still used."""

    def __init__(self, person: Person, surrogate: Replace, shared: list[str]) -> None:
        self._person, self._surrogate, self._shared = person, surrogate, shared
        self.rows, self.used = 0, set[int]()

    def row(self, match: re.Match[str]) -> str:
        cells = list(_CELL.finditer(match[0]))
        texts = [self._text(cell) for cell in cells]
        if not self._person.owns(texts):
            self.used |= {int(index) for cell in cells if (index := self._index(cell)) is not None}
            return match[0]
        self.rows += 1
        pieces, done = [], 0
        for cell, text in zip(cells, texts, strict=True):
            new = self._person.without(text, self._surrogate)
            if new == text:
                if (index := self._index(cell)) is not None:
                    self.used.add(int(index))
                continue
            kept = " ".join(f'{name}="{value}"' for name, value in _ATTRIBUTE.findall(cell[2]) if name in ("r", "s"))
            prefix = cell[1]
            inline = f'<{prefix}is><{prefix}t xml:space="preserve">{escape(new)}</{prefix}t></{prefix}is>'
            pieces += [match[0][done : cell.start()], f'<{prefix}c {kept} t="inlineStr">{inline}</{prefix}c>']
            done = cell.end()
        return "".join([*pieces, match[0][done:]])

    def _index(self, cell: re.Match[str]) -> str | None:
        value = _VALUE.search(cell[3] or "")
        return value[1] if value and dict(_ATTRIBUTE.findall(cell[2])).get("t") == "s" else None

    def _text(self, cell: re.Match[str]) -> str:
        if (index := self._index(cell)) is not None:
            return self._shared[int(index)]
        value = _VALUE.search(cell[3] or "")
        if not value:
            return _plain(cell[3] or "")
        text = unescape(value[1])
        return str(int(float(text))) if re.fullmatch(r"[0-9.]+E\+?[0-9]{1,2}", text) else text


def _plain(xml: str) -> str:
    return unescape("".join(_TEXT.findall(_PHONETIC.sub("", xml))))


def _blanked(xml: str, is_gone: Callable[[int], bool]) -> str:
    """The shared strings with those emptied that name the person and that no cell uses any more."""
    place = -1

    def item(match: re.Match[str]) -> str:
        nonlocal place
        place += 1
        return f"<{match[1]}si><{match[1]}t/></{match[1]}si>" if is_gone(place) else match[0]

    return _ITEM.sub(item, xml)
