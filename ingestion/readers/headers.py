"""Which line is the header, which columns it names, and which lines around the table are titles and totals."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ingestion.contracts import Contract
from ingestion.errors import DeliveryRefused
from ingestion.personal_numbers import masked
from ingestion.readers.cells import narrow

#: The header stands among the first so many lines, below titles.
HEADER_WITHIN = 10

#: A line above the header with more filled cells than this is no title.
TITLE_CELLS = 3

_TOTAL = re.compile(
    r"(本页|本月|本期|累计|全部)?(合计|总计|小计|共计)(数|行|\([^)]{1,6}\))?[::]?\s*(共?\d+(条|件|行|篇|个|次)?)?"
)


@dataclass(frozen=True)
class HeaderMap:
    """What the header line says: where each contract column stands, and what else there is."""

    row: int
    cells: tuple[str, ...]
    positions: dict[str, int]
    present: tuple[str, ...]
    extra: tuple[str, ...]
    missing_optional: tuple[str, ...]
    #: Positions of columns without any header text.
    unnamed: tuple[int, ...]

    @property
    def width(self) -> int:
        return len(self.cells)

    @property
    def probes(self) -> list[tuple[int, str]]:
        """Two columns by which a repeated header is noticed: position and header text."""
        found = [(position, self.cells[position]) for position in sorted(self.positions.values())]
        return found[:2]


def score(cells: Sequence[str], contract: Contract) -> int:
    """How many of the contract's headers these cells name."""
    return len({narrow(cell) for cell in cells} & _headers(contract).keys())


def find_header(records: Sequence[Sequence[str]], contract: Contract) -> tuple[int, int]:
    """Index and score of the record that names most of the contract's headers; the first of equals."""
    scores = [score(cells, contract) for cells in records[:HEADER_WITHIN]]
    best = max(scores, default=0)
    return (scores.index(best), best) if best else (0, 0)


def map_header(cells: Sequence[str], row: int, contract: Contract, file: str) -> HeaderMap:
    """The header of a table; raises DeliveryRefused with the difference when required columns are missing."""
    names = [narrow(cell) for cell in cells]
    known = _headers(contract)
    positions: dict[str, int] = {}
    for position, text in enumerate(names):
        if text not in known:
            continue
        if known[text] in positions:
            raise DeliveryRefused(
                f"{file}: column {text} stands twice in the header (row {row}); leave one of them out"
            )
        positions[known[text]] = position
    extra = tuple(text for text in names if text and text not in known)
    missing = [column for column in contract.columns if column.name not in positions]
    required = [column.header for column in missing if not column.optional]
    if required:
        raise DeliveryRefused(_difference(required, extra, row, len(positions), contract, file))
    return HeaderMap(
        row,
        tuple(names),
        positions,
        tuple(column.name for column in contract.columns if column.name in positions),
        extra,
        tuple(column.name for column in missing),
        tuple(position for position, text in enumerate(names) if not text),
    )


def with_width_of(rows: Sequence[Sequence[str]], header: HeaderMap) -> HeaderMap:
    """The header with as many empty columns behind its last name as its first rows have.

    Spreadsheets end the header with empty columns and not the rows, or the rows and not the header. One row alone, or
    rows that do not agree, prove nothing: a delimiter too many or too few makes a row of another width, too. Nor do
    rows wider than a header with an unknown name before a known one: two names without the delimiter between them are
    one unknown name, and all columns behind it would be read one too far to the left.
    """
    rows = [row for row in rows if not is_blank(row)]
    named = 1 + max(place for place, text in enumerate(header.cells) if text)
    widths = {len(row) for row in rows}
    if len(rows) < 2 or len(widths) > 1 or not all(is_blank(row[named:]) for row in rows):
        return header
    width = widths.pop()
    if width < named or width == header.width or (width > header.width and _unknown_before_known(header)):
        return header
    cells = header.cells[:named] + ("",) * (width - named)
    return replace(header, cells=cells, unnamed=tuple(place for place, text in enumerate(cells) if not text))


def _unknown_before_known(header: HeaderMap) -> bool:
    known = header.positions.values()
    return any(text and place not in known for place, text in enumerate(header.cells[: max(known)]))


def is_header_row(cells: Sequence[str], header: HeaderMap) -> bool:
    """Whether a row below the header is a header again: at least half of its filled cells are names of columns."""
    filled = [text for cell in cells if (text := narrow(cell))]
    named = sum(text in header.cells for text in filled)
    return named >= 2 and named * 2 >= len(filled)


def is_title(cells: Sequence[str]) -> bool:
    """Whether a line above the header is a title or blank: hardly any filled cells."""
    return sum(bool(narrow(cell)) for cell in cells) <= TITLE_CELLS


def is_blank(cells: Sequence[str]) -> bool:
    return not any(narrow(cell) for cell in cells)


def is_total(cells: Sequence[str], header: HeaderMap, contract: Contract) -> bool:
    """Whether a line below the last row is a total: labelled so in its first filled cell, a required cell empty."""
    first = next((text for cell in cells if (text := narrow(cell))), "")
    if not _TOTAL.fullmatch(first.replace(" ", "")):
        return False
    return any(
        header.positions[column.name] >= len(cells) or not narrow(cells[header.positions[column.name]])
        for column in contract.columns
        if not column.optional and column.name in header.positions
    )


def no_header(contract: Contract, file: str) -> DeliveryRefused:
    """The refusal of a file in whose first lines no header was found; shows what was looked for, none of the lines."""
    wanted = "、".join(column.header for column in contract.columns if not column.optional)
    return DeliveryRefused(
        f"{file}: no header line of {contract.title} in the first {HEADER_WITHIN} rows; "
        f"deliver {contract.dataset} with a header that holds {wanted}"
    )


def _headers(contract: Contract) -> dict[str, str]:
    return {narrow(column.header): column.name for column in contract.columns}


def _difference(
    required: list[str], extra: tuple[str, ...], row: int, found: int, contract: Contract, file: str
) -> str:
    """What is missing and what may be meant by the unknown headers.

    Unknown headers are shown only when at least half of the required ones are there: else the line may be data.
    """
    wanted = sum(not column.optional for column in contract.columns)
    text = f"{file}: header (row {row}) lacks {'、'.join(required)}"
    if extra and found * 2 >= wanted:
        near = []
        for name in map(masked, extra):
            meant = difflib.get_close_matches(name, required, n=1, cutoff=0.5)
            near.append(f"{name[:40]} (meant {meant[0]}?)" if meant else name[:40])
        text += f"; unknown: {'、'.join(near)}"
    return text + f"; add the missing columns, or name them in {contract.place}"
