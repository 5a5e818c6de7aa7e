"""Files cut at any byte, with and without a manifest, and manifests that are wrong themselves."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import Iterator
from functools import cache
from typing import Any

from faults import material as m
from faults.judge import EXACT, QUARANTINE, REFUSE, Expect
from faults.variants import Variant, delivered, every
from faults.workplace import Files, true_manifest

#: Cuts of one kind of file.
CUTS = 40
REFUSED = frozenset({REFUSE})


@cache
def _whole(dataset: str, kind: str) -> tuple[str, bytes]:
    """Name and bytes of the file before it is cut."""
    rows = m.generated(dataset)
    if kind in ("utf-8", "gb18030"):
        return "export.csv", m.csv_bytes(dataset, rows, kind)
    if kind == "gz":
        return "export.csv.gz", gzip.compress(m.csv_bytes(dataset, rows), mtime=0)
    if kind == "zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("export.csv"), m.csv_bytes(dataset, rows))
        return "export.zip", packed.getvalue()
    return m.file_of(dataset, kind, rows)


def variants() -> Iterator[Variant]:
    """All variants of the row."""
    for dataset in ("hotline_tickets", "platform_cases"):
        for kind in ("utf-8", "gb18030", "json", "xlsx", "gz", "zip"):
            _, content = _whole(dataset, kind)
            # Every k-th byte, and around the line ends, where a cut shows least.
            places = set(every(range(len(content)), CUTS))
            if kind in ("utf-8", "gb18030"):
                ends = [at for at, byte in enumerate(content) if byte == 0x0A]
                places |= {at + off for at in every(ends, 8) for off in (-1, 0, 1) if at + off < len(content)}
            for at in sorted(places):
                yield _with_manifest(dataset, kind, at)
                yield _without(dataset, kind, at)


def _with_manifest(dataset: str, kind: str, at: int) -> Variant:
    def make() -> tuple[Files, Expect]:
        name, content = _whole(dataset, kind)
        return {name: content[:at]}, Expect(may=REFUSED, says=name, secrets=m.secrets(dataset))

    def manifest(_: Files) -> Any:
        name, content = _whole(dataset, kind)
        return true_manifest({name: content})

    return delivered(f"{dataset}/{kind}/manifest/byte{at}", dataset, make, manifest=manifest)


def _without(dataset: str, kind: str, at: int) -> Variant:
    def make() -> tuple[Files, Expect]:
        name, content = _whole(dataset, kind)
        if kind not in ("utf-8", "gb18030"):
            return {name: content[:at]}, Expect(may=REFUSED, secrets=m.secrets(dataset))
        return {name: content[:at]}, _prefix(dataset, kind, content, at)

    return delivered(f"{dataset}/{kind}/bare/byte{at}", dataset, make)


def _prefix(dataset: str, codec: str, content: bytes, at: int) -> Expect:
    """A CSV cut in silence: its whole rows; of the last, cut one nothing, or what still stands there."""
    cut = content[:at]
    lines = cut.split(b"\r\n")
    count = len(lines) - 2  # without the header and the part behind the last line end
    rows = m.generated(dataset)
    if count < 0:
        # The header itself was cut: a file without rows, if what is left names every column that is needed.
        return Expect(may=frozenset({REFUSE, EXACT}), secrets=m.secrets(dataset))
    last = lines[-1].rstrip(b"\r")
    stands: list[m.Cells] = []
    damaged: frozenset[int] = frozenset()
    try:
        fields = next(csv.reader([last.decode(codec)])) if last else []
    except UnicodeDecodeError:
        return Expect(m.wanted(dataset, rows[:count]), REFUSED | {QUARANTINE}, spreads=True, secrets=m.secrets(dataset))
    if last:
        names = m.headers(dataset)
        whole = len(fields) == len(names)
        stood = dict(zip(names, fields, strict=False))
        if whole and stood == rows[count]:
            count += 1
        elif whole:
            stands = [stood]
        else:
            damaged = frozenset({count + 2})
    return Expect(
        m.wanted(dataset, rows[:count]),
        frozenset({EXACT, QUARANTINE}),
        damaged=damaged,
        as_they_stand=_readable(dataset, stands),
        # Half of a line end is left: the row may be taken as damaged.
        spreads=bool(stands) or cut.endswith(b"\r"),
        lines=m.lines_of(cut.decode(codec)),
        secrets=m.secrets(dataset),
    )


def _readable(dataset: str, rows: list[m.Cells]) -> Any:
    """The rows as they must be typed if they can be; a cut time may be none."""
    try:
        return m.wanted(dataset, rows)
    except ValueError:
        return m.wanted(dataset, [])


# -- manifests -------------------------------------------------------------------------------------------------------


def manifests() -> Iterator[Variant]:
    """All variants of the row *manifest*."""
    for dataset in m.DATASETS:
        for form in ("csv", "json", "xlsx"):
            yield from _manifests(dataset, form)


def _manifests(dataset: str, form: str) -> Iterator[Variant]:
    rows = m.generated(dataset)
    name, content = m.file_of(dataset, form, rows)
    files = {name: content}
    two = {name: content, "second." + form: m.file_of(dataset, form, rows[:5])[1]}
    true = true_manifest(files, {name: len(rows)})["files"][0]
    exact = Expect(m.wanted(dataset, rows), frozenset({EXACT}), secrets=m.secrets(dataset))
    refused = Expect(may=REFUSED, secrets=m.secrets(dataset))
    cases: dict[str, tuple[Files, Any, Expect]] = {
        "true": (files, {"files": [true]}, exact),
        "upper_case_hash": (files, {"files": [true | {"sha256": true["sha256"].upper()}]}, exact),
        "rows_less": (files, {"files": [true | {"rows": len(rows) - 1}]}, refused),
        "rows_more": (files, {"files": [true | {"rows": len(rows) + 1}]}, refused),
        "rows_none": (files, {"files": [true | {"rows": 0}]}, refused),
        "rows_negative": (files, {"files": [true | {"rows": -1}]}, refused),
        "rows_text": (files, {"files": [true | {"rows": "viele"}]}, refused),
        "hash_of_another": (files, {"files": [true | {"sha256": "0" * 64}]}, refused),
        "hash_short": (files, {"files": [true | {"sha256": true["sha256"][:20]}]}, refused),
        "file_not_listed": (two, {"files": [true]}, refused),
        "file_not_there": (files, {"files": [true, true | {"name": "lost." + form}]}, refused),
        "none_listed": (files, {"files": []}, refused),
        "listed_twice": (files, {"files": [true, true | {"rows": 1}]}, refused),
        "path_in_name": (files, {"files": [true | {"name": f"../{name}"}]}, refused),
        "not_json": (files, b"{files: ", refused),
        "a_list": (files, [true], refused),
        "null": (files, b"null", refused),
        "bad_bytes": (files, b'{"files": "\xff\xfe"}', refused),
        "deep": (files, b"[" * 100_000, refused),
        "other_case": (files, {"files": [true | {"name": name.upper()}]}, refused),
    }
    for kind, (delivery, manifest, expect) in cases.items():
        yield delivered(
            f"{dataset}/{form}/{kind}",
            dataset,
            lambda d=delivery, e=expect: (d, e),  # type: ignore[misc]
            manifest=manifest,
        )
