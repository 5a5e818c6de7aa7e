"""The header in another order, with more columns, with fewer: in all three formats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from faults import material as m
from faults.judge import EXACT, REFUSE, Expect
from faults.variants import Variant, delivered, every
from faults.workplace import Files
from ingestion.contracts import CONTRACTS

FORMS = ("csv", "json", "xlsx")
ONLY_EXACT, ONLY_REFUSE = frozenset({EXACT}), frozenset({REFUSE})


def file_with(dataset: str, form: str, names: Sequence[str], rows: Sequence[m.Cells]) -> tuple[Files, int | None]:
    """The rows under these columns in this order; a name may be unknown to the contract. Lines for a CSV."""
    cells = m.table(dataset, rows, names)
    if form == "csv":
        text = m.csv_text(cells)
        return {"export.csv": text.encode()}, m.lines_of(text)
    if form == "xlsx":
        return {"export.xlsx": m.xlsx_bytes(cells)}, len(cells)
    objects = [dict(zip(names, row, strict=True)) for row in cells[1:]]
    return {"export.json": m.json_bytes(dataset, objects)}, None


def variants() -> Iterator[Variant]:
    """All variants of the row."""
    for dataset in m.DATASETS:
        for form in FORMS:
            yield from _reordered(dataset, form)
            yield from _added(dataset, form)
            yield from _missing(dataset, form)
        yield from _spelt(dataset)


def _reordered(dataset: str, form: str) -> Iterator[Variant]:
    for seed in range(8):

        def make(seed: int = seed) -> tuple[Files, Expect]:
            names = m.headers(dataset)
            names.reverse() if seed == 0 else m.rng(dataset, seed).shuffle(names)
            rows = m.generated(dataset)
            files, lines = file_with(dataset, form, names, rows)
            return files, Expect(m.wanted(dataset, rows), ONLY_EXACT, lines=lines, secrets=m.secrets(dataset))

        yield delivered(f"{dataset}/{form}/reordered{seed}", dataset, make)


def _added(dataset: str, form: str) -> Iterator[Variant]:
    for place in every(range(len(m.headers(dataset)) + 1), 4):
        for name in ("备注", "经办科室"):

            def make(place: int = place, name: str = name) -> tuple[Files, Expect]:
                names = m.headers(dataset)
                names.insert(place, name)
                rows = [row | {name: f"附{n}"} for n, row in enumerate(m.generated(dataset))]
                files, lines = file_with(dataset, form, names, rows)
                return files, Expect(
                    m.wanted(dataset, rows), ONLY_EXACT, lines=lines, findings=frozenset({"extra_column"}),
                    secrets=m.secrets(dataset),
                )  # fmt: skip

            yield delivered(f"{dataset}/{form}/added/{name}{place}", dataset, make)


def _missing(dataset: str, form: str) -> Iterator[Variant]:
    for column in CONTRACTS[dataset].columns:
        needed = {name for rule in CONTRACTS[dataset].required_any for name in rule.columns}

        def make(header: str = column.header, optional: bool = column.optional) -> tuple[Files, Expect]:
            names = [name for name in m.headers(dataset) if name != header]
            rows = [{**row, header: ""} for row in m.generated(dataset)]
            files, lines = file_with(dataset, form, names, rows)
            if not optional:
                return files, Expect(may=ONLY_REFUSE, says=header, secrets=m.secrets(dataset))
            found = frozenset({"missing_optional_column"})
            return files, Expect(
                m.wanted(dataset, rows), ONLY_EXACT, lines=lines, findings=found, secrets=m.secrets(dataset)
            )

        if column.name not in needed:  # without it other rows may lack their last limit: another matter
            yield delivered(f"{dataset}/{form}/missing/{column.name}", dataset, make)


def _spelt(dataset: str) -> Iterator[Variant]:
    """Headers with the spaces, widths and marks that people and tools leave in them."""
    spellings = {
        "spaces": lambda name: f"  {name} ",
        "ideographic_space": lambda name: f"\u3000{name}\u3000",
        "no_break_space": lambda name: f"\u00a0{name}",
        "tab_around": lambda name: f"{name}\t",
        "second_mark": lambda name: f"\ufeff{name}",
    }
    for kind, spelling in spellings.items():
        for form in FORMS:

            def make(form: str = form, spelling=spelling) -> tuple[Files, Expect]:  # type: ignore[no-untyped-def]
                rows = m.generated(dataset)
                renamed = [{spelling(name): cell for name, cell in row.items()} for row in rows]
                files, _ = file_with(dataset, form, [spelling(name) for name in m.headers(dataset)], renamed)
                return files, Expect(
                    m.wanted(dataset, rows), frozenset({EXACT, REFUSE}), secrets=m.secrets(dataset)
                )  # fmt: skip

            yield delivered(f"{dataset}/{form}/spelt/{kind}", dataset, make)
