"""The notice as DOCX in the layout of official documents, GB/T 9704-2012.

A4, margins 37 (top), 35 (bottom), 28 (left), 26 mm (right): a type area of 156 × 225 mm with 22 lines of 28 characters.
Title 2号小标宋, body 3号仿宋 with lines of 28 pt, headings 黑体 and 楷体, page number — 1 — in 4号宋体 on the outer
side.
A font that a computer lacks is replaced by the next of its family: word processors take it from the font table.
"""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from docx import Document
from docx.document import Document as Documented
from docx.enum.section import WD_ORIENT
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_BREAK, WD_LINE_SPACING
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls, qn
from docx.shared import Mm, Pt
from docx.styles.style import ParagraphStyle
from docx.text.paragraph import Paragraph
from docx.text.run import Run

from publishing.notice.blocks import LINE_BREAK, Block
from publishing.notice.figures import Ledger

#: Family -> name as the standard's users know it, and the fonts that may stand in for it, nearest first.
FONTS = {
    "title": ("方正小标宋简体", "方正小标宋_GBK,华文中宋,STZhongsong,思源宋体,Noto Serif CJK SC,宋体"),
    "body": ("仿宋_GB2312", "仿宋,FangSong,华文仿宋,STFangsong,AR PL UMing CN,宋体"),
    "heading_1": ("黑体", "SimHei,思源黑体,Noto Sans CJK SC,文泉驿正黑,WenQuanYi Zen Hei"),
    "heading_2": ("楷体_GB2312", "楷体,KaiTi,华文楷体,STKaiti,AR PL UKai CN"),
    "number": ("宋体", "SimSun,思源宋体,Noto Serif CJK SC,AR PL UMing CN"),
}
#: Chinese sizes in points.
NO_2, NO_3, NO_4, SMALL_4 = 22, 16, 14, 12
LINE = 28
_CHARACTERS_A_LINE, _TYPE_WIDTH_MM = 28, 156


def write_docx(blocks: Iterable[Block], ledger: Ledger, path: Path, title: str, made: dt.datetime) -> None:
    """Writes the blocks as a DOCX; each figure is followed by its reference ([f12]) as hidden text.

    ``made`` becomes the document's time, so that the same release gives the same document.
    """
    document = Document()
    _page(document)
    _set_font(cast(ParagraphStyle, document.styles["Normal"]), "body", NO_3)
    styles = {kind: _style(document, kind) for kind in _STYLES}
    for block in blocks:
        if block.kind == "table":
            _table(document, block, ledger)
            continue
        paragraph = document.add_paragraph(style=styles[block.kind])
        if block.kind == "annex":
            paragraph.add_run().add_break(WD_BREAK.PAGE)
        for place, line in enumerate(block.text.split(LINE_BREAK)):
            if place:
                paragraph.add_run().add_break()
            _write(paragraph, line, ledger)
    properties = document.core_properties
    properties.title, properties.author, properties.language = title, "", "zh-CN"
    properties.created = properties.modified = made
    properties.last_modified_by = properties.comments = ""
    _font_table(document)
    _save(document, path, made)


def _save(document: Documented, path: Path, made: dt.datetime) -> None:
    """Writes the document with the release's moment in every part: of one release and wording the bytes are the same
    whenever it is written."""
    document.save(written := io.BytesIO())
    with zipfile.ZipFile(written) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for part in source.infolist():
            entry = zipfile.ZipInfo(part.filename, made.timetuple()[:6])
            target.writestr(entry, source.read(part), zipfile.ZIP_DEFLATED)


#: kind -> (family, points, alignment, first-line indent in characters, kept with the next paragraph)
_STYLES = {
    "title": ("title", NO_2, WD_ALIGN_PARAGRAPH.CENTER, 0, True),
    "addressee": ("body", NO_3, WD_ALIGN_PARAGRAPH.JUSTIFY, 0, False),
    "paragraph": ("body", NO_3, WD_ALIGN_PARAGRAPH.JUSTIFY, 2, False),
    "heading_1": ("heading_1", NO_3, WD_ALIGN_PARAGRAPH.LEFT, 2, True),
    "heading_2": ("heading_2", NO_3, WD_ALIGN_PARAGRAPH.LEFT, 2, True),
    "signature": ("body", NO_3, WD_ALIGN_PARAGRAPH.RIGHT, 0, False),
    "annex": ("heading_1", NO_3, WD_ALIGN_PARAGRAPH.LEFT, 0, True),
    "note": ("body", SMALL_4, WD_ALIGN_PARAGRAPH.JUSTIFY, 2, False),
    "cell": ("body", NO_4, WD_ALIGN_PARAGRAPH.CENTER, 0, False),
    "cell_head": ("heading_1", NO_4, WD_ALIGN_PARAGRAPH.CENTER, 0, False),
}


def _style(document: Documented, kind: str) -> ParagraphStyle:
    family, points, alignment, indent, kept = _STYLES[kind]
    style = cast(ParagraphStyle, document.styles.add_style(f"notice {kind}", WD_STYLE_TYPE.PARAGRAPH))
    _set_font(style, family, points)
    layout = style.paragraph_format
    layout.alignment, layout.keep_with_next = alignment, kept
    layout.space_before = layout.space_after = Pt(0)
    layout.line_spacing_rule = WD_LINE_SPACING.EXACTLY
    layout.line_spacing = Pt(35 if kind == "title" else LINE if points >= NO_3 else 20)
    if kind == "title":
        layout.space_after = Pt(LINE)
    if indent:
        element = style.element.get_or_add_pPr().get_or_add_ind()
        element.set(qn("w:firstLineChars"), str(indent * 100))
        element.set(qn("w:firstLine"), str(indent * points * 20))
    return style


def _set_font(style: ParagraphStyle, family: str, points: int) -> None:
    name = FONTS[family][0]
    style.font.name, style.font.size = name, Pt(points)
    fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
    for script in ("ascii", "hAnsi", "eastAsia", "cs"):
        fonts.set(qn(f"w:{script}"), name)
    if points == NO_3:
        spacing = OxmlElement("w:spacing")
        spacing.set(qn("w:val"), str(round((_TYPE_WIDTH_MM / 25.4 * 72 / _CHARACTERS_A_LINE - NO_3) * 20)))
        fonts.addnext(spacing)


def _page(document: Documented) -> None:
    section = document.sections[0]
    section.orientation = WD_ORIENT.PORTRAIT
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.top_margin, section.bottom_margin = Mm(37), Mm(35)
    section.left_margin, section.right_margin = Mm(28), Mm(26)
    # The page number's upper edge lies 7 mm below the type area.
    section.footer_distance = Mm(35 - 7 - 7)
    for grid in section._sectPr.findall(qn("w:docGrid")):
        section._sectPr.remove(grid)
    # Lines alone: every word processor draws a grid of characters otherwise. 28 characters fit by their spacing.
    section._sectPr.append(parse_xml(f'<w:docGrid {nsdecls("w")} w:type="lines" w:linePitch="{LINE * 20}"/>'))
    document.settings.odd_and_even_pages_header_footer = True
    for footer, alignment in (
        (section.footer, WD_ALIGN_PARAGRAPH.RIGHT),
        (section.even_page_footer, WD_ALIGN_PARAGRAPH.LEFT),
    ):
        footer.is_linked_to_previous = False
        _page_number(footer.paragraphs[0], alignment)


def _page_number(paragraph: Paragraph, alignment: WD_ALIGN_PARAGRAPH) -> None:
    paragraph.alignment = alignment
    indent = paragraph._p.get_or_add_pPr().get_or_add_ind()
    side = "right" if alignment == WD_ALIGN_PARAGRAPH.RIGHT else "left"
    indent.set(qn(f"w:{side}Chars"), "100")
    indent.set(qn(f"w:{side}"), str(NO_4 * 20))
    _plain_run(paragraph, "— ")
    for kind, text in (("begin", None), (None, "PAGE"), ("separate", None), (None, None), ("end", None)):
        run = _plain_run(paragraph, "")
        if kind:
            mark = OxmlElement("w:fldChar")
            mark.set(qn("w:fldCharType"), kind)
            run._r.append(mark)
        elif text:
            instruction = OxmlElement("w:instrText")
            instruction.text = text
            run._r.append(instruction)
        else:
            run.text = "1"
    _plain_run(paragraph, " —")


def _plain_run(paragraph: Paragraph, text: str) -> Run:
    run = paragraph.add_run(text)
    name = FONTS["number"][0]
    run.font.name, run.font.size = name, Pt(NO_4)
    run._r.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), name)
    return run


def _write(paragraph: Paragraph, text: str, ledger: Ledger) -> None:
    for piece in ledger.split(text):
        paragraph.add_run(piece.text)
        if piece.reference:
            paragraph.add_run(f"[{piece.reference}]").font.hidden = True


def _table(document: Documented, block: Block, ledger: Ledger) -> None:
    widths = [16, 48, 20, 24, 20, 28]
    table = document.add_table(rows=0, cols=len(block.rows[0]), style="Table Grid")
    table.alignment = WD_TABLE_ALIGNMENT.CENTER
    table.autofit = False
    if len(table.columns) == len(widths):
        for column, width in zip(table.columns, widths, strict=True):
            column.width = Mm(width)
    for number, cells in enumerate(block.rows):
        row = table.add_row()
        properties = row._tr.get_or_add_trPr()
        properties.append(OxmlElement("w:cantSplit"))
        if number == 0:
            properties.append(OxmlElement("w:tblHeader"))
        for place, (cell, text) in enumerate(zip(row.cells, cells, strict=True)):
            if len(cells) == len(widths):
                cell.width = Mm(widths[place])
            paragraph = cell.paragraphs[0]
            paragraph.style = document.styles["notice cell_head" if number == 0 else "notice cell"]
            _write(paragraph, text, ledger)


def _font_table(document: Documented) -> None:
    """Puts the families with their stand-ins into the font table of the package."""
    entries = "".join(
        f'<w:font w:name="{name}"><w:altName w:val="{others}"/><w:charset w:val="86"/></w:font>'
        for name, others in FONTS.values()
    )
    blob = f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><w:fonts {nsdecls("w")}>{entries}</w:fonts>'
    for relation in document.part.rels.values():
        if relation.reltype.endswith("/fontTable"):
            relation.target_part._blob = blob.encode("utf-8")
