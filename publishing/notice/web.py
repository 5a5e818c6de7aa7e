"""The notice as one HTML file: no script, no network; each figure links to where it came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from publishing.notice.blocks import LINE_BREAK, Block
from publishing.notice.figures import Ledger, queries


def write_html(
    blocks: Sequence[Block], ledger: Ledger, figures: Sequence[dict[str, Any]], path: Path, title: str
) -> None:
    """Writes the blocks as HTML, with the figures' sources at the end."""

    linked: set[str] = set()

    def pieces(text: str) -> Markup:
        out = Markup()
        for piece in ledger.split(text):
            reference = piece.reference
            if not reference:
                out += escape(piece.text)
                continue
            where = "、".join(f"{name}={cell}" for name, cell in piece.source["row"].items())
            told = f"{reference} {queries()[piece.source['query']]['title']}：{where}"
            name = "" if reference in linked else Markup(' id="r{}"').format(reference)
            linked.add(reference)
            out += Markup('<a class="f"{} href="#{}" title="{}">{}</a>').format(name, reference, told, piece.text)
        return out

    behind = dict.fromkeys(figure["rows"]["sql"] for figure in figures if figure["rows"])
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template("page.html.j2").render(
        title=title,
        blocks=blocks,
        pieces=pieces,
        line_break=LINE_BREAK,
        figures=figures,
        queries=queries(),
        used=list(dict.fromkeys(figure["query"] for figure in figures)),
        statements={sql: number for number, sql in enumerate(behind, 1)},
    )
    path.write_text(page, encoding="utf-8")
