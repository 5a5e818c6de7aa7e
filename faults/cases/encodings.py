"""Encodings: what the grammar of a delivery allows comes through exact, anything else is refused; never mojibake."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from faults import material as m
from faults.judge import EXACT, QUARANTINE, REFUSE, Expect
from faults.variants import Variant, delivered, every
from faults.workplace import Files

DATASETS = ("hotline_tickets", "platform_cases", "hotline_dispatches")
#: Name -> (codec, byte order mark, may it be refused?)
READ = {
    "utf8": ("utf-8", b"", False),
    "utf8_mark": ("utf-8", codecs.BOM_UTF8, False),
    "gb18030": ("gb18030", b"", False),
    "gbk": ("gbk", b"", False),
    "gb2312": ("gb2312", b"", True),
    "utf16le_mark": ("utf-16-le", codecs.BOM_UTF16_LE, True),
    "utf16be_mark": ("utf-16-be", codecs.BOM_UTF16_BE, True),
}
REFUSED = {
    "utf16le_bare": ("utf-16-le", b""),
    "utf16be_bare": ("utf-16-be", b""),
    "utf32le_mark": ("utf-32-le", codecs.BOM_UTF32_LE),
    "utf32be_mark": ("utf-32-be", codecs.BOM_UTF32_BE),
    "utf7": ("utf-7", b""),
    "big5": ("big5hkscs", b""),
    "shift_jis": ("shift_jis", b""),
    "euc_kr": ("euc_kr", b""),
    "double_utf8": ("double", b""),
    "gb18030_read_as_latin": ("latin", b""),
}
EXTENSIONS = "𠮷㐀䶮𪚥〇龘镕喆"


def _encoded(text: str, codec: str) -> bytes:
    if codec == "double":
        return text.encode().decode("latin-1").encode()
    if codec == "latin":
        return text.encode("gb18030").decode("latin-1").encode()
    return text.encode(codec, "replace")


def variants() -> Iterator[Variant]:
    """All variants of the row."""
    for dataset in DATASETS:
        for delimiter, mark in ((",", "comma"), ("\t", "tab"), (";", "semicolon")):
            for end, called in (("\r\n", "crlf"), ("\n", "lf")):
                for name, (codec, bom, refusable) in READ.items():
                    yield _whole(dataset, f"{mark}/{called}/{name}", delimiter, end, codec, bom, refusable)
        for name, (codec, bom) in REFUSED.items():

            def none(codec: str = codec, bom: bytes = bom, dataset: str = dataset) -> tuple[Files, Expect]:
                text = m.csv_text(m.table(dataset, m.generated(dataset)))
                return {"export.csv": bom + _encoded(text, codec)}, Expect(
                    may=frozenset({REFUSE}), secrets=m.secrets(dataset)
                )

            yield delivered(f"{dataset}/none/{name}", dataset, none)
        yield from _spoilt(dataset)
        yield from _mixed(dataset)
    for name in ("pingshan", "ottawa:Jan"):
        dataset = m.real(name)[0]
        for codec, bom in (
            ("utf-8", b""),
            ("gb18030", b""),
            ("utf-8", codecs.BOM_UTF8),
            ("utf-16-le", codecs.BOM_UTF16_LE),
        ):

            def real(name: str = name, codec: str = codec, bom: bytes = bom) -> tuple[Files, Expect]:
                dataset, rows = m.real(name)
                text = m.csv_text(m.table(dataset, rows, list(rows[0])))
                return {"export.csv": bom + text.encode(codec)}, Expect(
                    m.wanted(dataset, rows), frozenset({EXACT}), lines=m.lines_of(text)
                )

            yield delivered(f"{name}/{codec}{'_mark' if bom else ''}", dataset, real)


def _whole(dataset: str, name: str, delimiter: str, end: str, codec: str, bom: bytes, refusable: bool) -> Variant:
    def make() -> tuple[Files, Expect]:
        rows = list(m.generated(dataset))
        if codec in ("gb18030", "utf-8", "utf-16-le", "utf-16-be"):
            unit = next(header for header in ("办理单位", "承办单位", "诉求分类") if header in rows[0])
            rows[5] = rows[5] | {unit: EXTENSIONS}
        text = m.csv_text(m.table(dataset, rows), delimiter, end)
        content = bom + text.encode(codec, "strict" if codec != "gb2312" else "ignore")
        if codec == "gb2312" and content.decode("gb2312") != text:
            return {"export.csv": text.encode("gbk")}, Expect(m.wanted(dataset, rows), frozenset({EXACT}))
        return {"export.csv": content}, Expect(
            m.wanted(dataset, rows),
            frozenset({EXACT, REFUSE}) if refusable else frozenset({EXACT}),
            lines=m.lines_of(text),
            secrets=m.secrets(dataset),
        )

    return delivered(f"{dataset}/{name}", dataset, make)


def _spoilt(dataset: str) -> Iterator[Variant]:
    """A byte that is in no encoding, at places all over the file."""
    for codec in ("utf-8", "gb18030"):
        for byte in (b"\xff", b"\x80"):
            for share in every(range(2, 99), 8):

                def make(codec: str = codec, byte: bytes = byte, share: int = share) -> tuple[Files, Expect]:
                    lines = m.csv_bytes(dataset, m.generated(dataset), codec).split(b"\r\n")
                    place = max(1, len(lines) * share // 100)
                    # At the end of a line: in GB18030 a lone byte may else join its neighbour into a character.
                    lines[place - 1] += byte
                    return {"export.csv": b"\r\n".join(lines)}, Expect(
                        may=frozenset({REFUSE}), secrets=m.secrets(dataset)
                    )

                yield delivered(f"{dataset}/spoilt/{codec}/{byte.hex()}/at{share}", dataset, make)


def _mixed(dataset: str) -> Iterator[Variant]:
    """Some rows in another encoding than the rest, as when files were joined."""
    for codec, other in (("utf-8", "gb18030"), ("gb18030", "utf-8"), ("utf-8", "utf-16-le")):
        last = len(m.generated(dataset))
        for first, count in ((1, 1), (1, 3), (last // 2, 1), (last // 2, 2), (last - 1, 2)):

            def make(
                codec: str = codec, other: str = other, first: int = first, count: int = count
            ) -> tuple[Files, Expect]:
                rows = m.generated(dataset)
                cells = m.table(dataset, rows)
                parts = [m.csv_text([row]).encode(codec) for row in cells]
                for index in range(first, min(first + count, len(parts))):
                    parts[index] = m.csv_text([cells[index]]).encode(other)
                good = [row for index, row in enumerate(rows, start=1) if not first <= index < first + count]
                bad = [row for index, row in enumerate(rows, start=1) if first <= index < first + count]
                readable = all(_plain(row) for row in bad)  # ASCII alone is the same in both
                return {"export.csv": b"".join(parts)}, Expect(
                    m.wanted(dataset, good + (bad if readable else [])), frozenset({REFUSE, QUARANTINE}),
                    spreads=True, secrets=m.secrets(dataset),
                )  # fmt: skip

            yield delivered(f"{dataset}/mixed/{codec}+{other}/{first}+{count}", dataset, make)


def _plain(row: m.Cells) -> bool:
    return all(cell.isascii() for cell in row.values())
