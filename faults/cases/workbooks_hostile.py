"""Workbooks made to do harm: refused within five seconds and 512 MB, no connection opened, no file read."""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from faults import material as m
from faults.cases.workbooks import SHEET, plain, rewritten
from faults.judge import EXACT, REFUSE, Expect, Verdict, judge
from faults.variants import Variant
from faults.workplace import Workplace

DATASET = "cms_posts"
SECONDS, MEGABYTES = 5.0, 512
PARTS = (SHEET, "xl/workbook.xml", "xl/sharedStrings.xml", "xl/styles.xml", "xl/_rels/workbook.xml.rels")
FUZZED = 300


def _packed(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def _parts() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(plain(DATASET))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _bomb(part: str, megabytes: int, text: bytes) -> Callable[[str], bytes]:
    def make(_: str) -> bytes:
        filler = text * ((megabytes << 20) // len(text))
        content = _parts()[part]
        cut = content.rfind(b"</")
        return _packed(_parts() | {part: content[:cut] + filler + content[cut:]})

    return make


def _lying_sizes(_: str) -> bytes:
    """A bomb whose directory says that it is small."""
    content = bytearray(_bomb(SHEET, 200, b" ")(""))
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        if struct.unpack_from("<I", content, at + 24)[0] > 1 << 20:
            struct.pack_into("<I", content, at + 24, 1000)
        at = content.find(b"PK\x01\x02", at + 4)
    return bytes(content)


def _doctype(part: str, declaration: str, use: str = "") -> Callable[[str], bytes]:
    """A document type declaration in a part; ``URL`` in it is the address of a listener."""

    def make(url: str) -> bytes:
        def change(text: str) -> str:
            head, _, rest = text.partition("?>")
            changed = f"{head}?>{declaration.replace('URL', url)}{rest}"
            return changed.replace("</", f"{use}</", 1) if use else changed

        return rewritten(plain(DATASET), part, change)

    return make


_LAUGHS = "<!DOCTYPE x [<!ENTITY a0 'ha'>" + "".join(
    f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12)
) + "]>"  # fmt: skip

HOSTILE: dict[str, Callable[[str], bytes]] = {
    **{f"zip_bomb_{size}mb_{name.rpartition('/')[2]}": _bomb(name, size, b" ")
       for size in (64, 300) for name in PARTS},
    "row_bomb": _bomb(SHEET, 120, b"<row/>"),
    "string_bomb": _bomb("xl/sharedStrings.xml", 120, b"<si/>"),
    "lying_sizes": _lying_sizes,
    "many_entries": lambda _: _packed(_parts() | {f"x/{n}": b"" for n in range(12_000)}),
    "nested_zip": lambda _: _packed(_parts() | {"xl/inner.zip": _bomb(SHEET, 64, b" ")("")}),
    "deep_elements": lambda _: _packed(_parts() | {SHEET: b"<a>" * 400_000}),
    "huge_row": lambda _: rewritten(plain(DATASET), SHEET, lambda t: t.replace('r="7"', 'r="1048576"')),
    "row_beyond": lambda _: rewritten(plain(DATASET), SHEET, lambda t: t.replace('r="A7"', 'r="A4294967295"')),
    "column_beyond": lambda _: rewritten(plain(DATASET), SHEET, lambda t: t.replace('r="A7"', 'r="ZZZZZZZ7"')),
    "string_beyond": lambda _: rewritten(
        plain(DATASET), SHEET, lambda t: t.replace("<v>3</v>", "<v>4294967295</v>", 1)),
    "absolute_target": lambda _: rewritten(
        plain(DATASET), "xl/_rels/workbook.xml.rels", lambda t: t.replace("worksheets/sheet1.xml", "/etc/passwd")),
    "target_above": lambda _: rewritten(
        plain(DATASET), "xl/_rels/workbook.xml.rels",
        lambda t: t.replace("worksheets/sheet1.xml", "../../../etc/passwd")),
    **{f"laughs_{part.rpartition('/')[2]}": _doctype(part, _LAUGHS, "&a11;") for part in PARTS},
    **{f"{kind}_{part.rpartition('/')[2]}": _doctype(part, f"<!DOCTYPE x [<!ENTITY e SYSTEM '{target}'>]>", "&e;")
       for part in PARTS for kind, target in (("xxe_file", "file:///etc/passwd"), ("xxe_network", "URL"))},
    **{f"external_dtd_{part.rpartition('/')[2]}": _doctype(part, "<!DOCTYPE x SYSTEM 'URL'>") for part in PARTS},
    **{f"parameter_entity_{part.rpartition('/')[2]}":
       _doctype(part, "<!DOCTYPE x [<!ENTITY % e SYSTEM 'URL'>%e;]>") for part in PARTS},
}  # fmt: skip
#: These may still be read: what is odd about them is outside the table, or the cell is what it says it is.
READABLE = {"many_entries", "nested_zip", "huge_row", "column_beyond", "row_beyond"}


def variants() -> Iterator[Variant]:
    """All variants of the row."""
    for kind, build in HOSTILE.items():
        may = frozenset({REFUSE, EXACT}) if kind in READABLE else frozenset({REFUSE})
        yield Variant(kind, lambda place, b=build, may=may: _check(place, b, may))  # type: ignore[misc]
    for seed in range(FUZZED):
        yield Variant(
            f"fuzzed/{seed}",
            lambda place, seed=seed: _check(place, lambda _: _fuzz(seed), frozenset({REFUSE, EXACT})),  # type: ignore[misc]
        )


def _fuzz(seed: int) -> bytes:
    """Bytes flipped, overwritten, cut out or doubled, in the packed workbook; one in three spares the file's ends."""
    draw = m.rng("fuzz", seed)
    content = bytearray(plain(DATASET))
    for _ in range(draw.choice((1, 1, 2, 8, 40))):
        at = draw.randrange(len(content))
        what = draw.randrange(4)
        if what == 0:
            content[at] ^= 1 << draw.randrange(8)
        elif what == 1:
            content[at] = draw.randrange(256)
        elif what == 2:
            del content[at : at + draw.randrange(1, 30)]
        else:
            content[at:at] = content[at : at + draw.randrange(1, 30)]
    return bytes(content)


def _check(place: Workplace, build: Callable[[str], bytes], may: frozenset[str]) -> Verdict:
    """Delivers the workbook with a listener open, and measures time and the largest child."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        content = build(f"http://127.0.0.1:{listener.getsockname()[1]}/x.dtd")
        begun = time.monotonic()
        with _Children() as children:
            observed = place.deliver(DATASET, {"export.xlsx": content})
        seconds, peak = time.monotonic() - begun, children.peak_megabytes
        if seconds > SECONDS:
            observed.breaches.append(f"took {seconds:.1f} s")
        if peak > MEGABYTES:
            observed.breaches.append(f"a child took {peak} MB")
        if _connected(listener):
            observed.breaches.append("opened a connection")
    if "root:" in observed.text:
        observed.breaches.append("read a file of the machine")
    rows = m.generated(DATASET)
    return judge(Expect(m.wanted(DATASET, rows), may, secrets=m.secrets(DATASET)), observed)


class _Children:
    """The largest resident size (MB) of this process's children while it is open, looked at every few milliseconds.

    ``getrusage`` will not do: what it says of a child includes the parent's size at the fork.
    """

    def __init__(self) -> None:
        self.peak_megabytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _Children:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.003):
            for listed in Path("/proc/self/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    for child in listed.read_text().split():
                        self._note(Path("/proc", child))

    def _note(self, process: Path) -> None:
        with contextlib.suppress(OSError):
            # Between fork and exec a child still is its parent.
            if "workbook_child" in (process / "cmdline").read_text():
                status = (process / "status").read_text()
                peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
                self.peak_megabytes = max(self.peak_megabytes, int(peak) >> 10)


def _connected(listener: Any) -> bool:
    try:
        listener.accept()[0].close()
    except OSError:
        return False
    return True
