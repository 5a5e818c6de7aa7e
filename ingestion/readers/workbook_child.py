"""Reads one workbook in a process of its own: run as a script, with limits, never imported by the rest.

A damaged or hostile workbook can ask for any amount of memory and time; here it can only end this process. The
workbook comes as an open file descriptor; after its imports the process opens no other file. What it finds goes to
standard output as marshalled frames: ``("refuse", what, to_do)``, ``("sheet", merged, marks)``, any number of
``("rows", first_row, columns)`` with each column a list of strings, and ``("end",)``. No end means it was stopped.
"""

from __future__ import annotations

import datetime
import marshal
import os
import resource
import sys
import xml.parsers.expat
from collections.abc import Iterator

#: Starting is most of what a small workbook costs. ``zipfile`` imports these two for what is not used here (files to
#: write, paths), and they bring as much again with them: it finds them empty. What is only annotated is not imported.
for _unused in ("pathlib", "shutil"):
    sys.modules.setdefault(_unused, type(sys)(_unused))
import zipfile  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any

ROWS_PER_FRAME = 16_384

#: Past the free part a workbook may unpack to so many times its size. Real ones are at 5 to 30.
UNPACKED_RATIO = 60
UNPACKED_FREE = 32 << 20
UNPACKED_MOST = 4 << 30
ENTRIES_MOST = 10_000

#: Address space beyond what the process has at the start, and processor time: for small files, and per byte of file.
MEMORY_BASE = 400 << 20
MEMORY_PER_BYTE = 24
SECONDS_BASE = 4
SECONDS_PER_MIB = 2

LOSSY_FROM = 1e15
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


class Refused(Exception):
    """The workbook cannot be trusted: what is wrong, and what to do."""


def main() -> int:
    """Argument: the folder that holds the calamine package. Standard input: the workbook."""
    sys.path.append(sys.argv[1])
    import python_calamine

    file = os.fdopen(0, "rb")
    out = os.fdopen(1, "wb")
    try:
        size = os.fstat(0).st_size
        _limit(size)
        try:
            for frame in _frames(file, size, python_calamine):
                _send(out, frame)
        except Refused as refused:
            _send(out, ("refuse", *refused.args))
        except python_calamine.PasswordError:
            _send(out, ("refuse", "an encrypted workbook", "save it without a password"))
        except Exception as error:
            # Whatever a damaged workbook makes fail; the text of the error may hold values, its name does not.
            what = f"a damaged workbook ({type(error).__name__})"
            _send(out, ("refuse", what, "save it again as .xlsx and deliver it again"))
    finally:
        out.flush()
    return 0


def _limit(size: int) -> None:
    with open("/proc/self/statm") as statm:  # noqa: PTH123 - pathlib would be one more import
        base = int(statm.read().split()[0]) * resource.getpagesize()
    memory = base + MEMORY_BASE + MEMORY_PER_BYTE * max(0, size - (4 << 20))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    seconds = SECONDS_BASE + SECONDS_PER_MIB * (size >> 20)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _send(out: IO[bytes], frame: tuple[Any, ...]) -> None:
    data = marshal.dumps(frame)
    out.write(len(data).to_bytes(8, "little"))
    out.write(data)


def _frames(file: IO[bytes], size: int, calamine: Any) -> Iterator[tuple[Any, ...]]:
    with zipfile.ZipFile(file) as archive:
        _check_directory(archive, size)
        sheet, part = _first_visible_sheet(archive)
        marks = _cells_without_value(archive, part)
    file.seek(0)
    book = calamine.load_workbook(file)
    table = book.get_sheet_by_name(sheet)
    start = table.start
    if start is None:
        raise Refused("the first visible sheet is empty", "a month with nothing is a header row only")
    merged = [(*first, *last) for first, last in table.merged_cell_ranges or ()]
    yield "sheet", start[1], merged, marks
    block: list[list[Any]] = []
    row = 0  # iter_rows starts at the sheet's first row, and at its first filled column
    for cells in table.iter_rows():
        block.append(cells)
        if len(block) == ROWS_PER_FRAME:
            yield "rows", row, _texts(block)
            row += len(block)
            block = []
    if block:
        yield "rows", row, _texts(block)
    if row + len(block) != table.end[0] + 1:
        raise Refused("its rows could not be counted", "save it again as .xlsx")
    yield ("end",)


def _check_directory(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse by the directory alone what would be dangerous or useless to read."""
    entries = archive.infolist()
    names = {entry.filename.lower() for entry in entries}
    if len(entries) > ENTRIES_MOST or len(names) != len(entries):
        raise Refused("a damaged workbook (its directory)", "save it again as .xlsx")
    if any(entry.flag_bits & 0x1 for entry in entries) or "encryptedpackage" in names:
        raise Refused("an encrypted workbook", "save it without a password")
    if any(name.endswith("vbaproject.bin") or name.startswith("xl/macrosheets/") for name in names):
        raise Refused("a workbook with macros", "save it as .xlsx without macros")
    if "xl/workbook.xml" not in names:
        raise Refused("not an XLSX workbook", "save it as .xlsx")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > min(UNPACKED_MOST, max(UNPACKED_FREE, UNPACKED_RATIO * size)):
        raise Refused("it unpacks to far more than a workbook does", "save it again as .xlsx")


def _first_visible_sheet(archive: zipfile.ZipFile) -> tuple[str, str]:
    """Name and part of the first sheet that is a visible worksheet."""
    sheets: list[tuple[str, str]] = []
    targets: dict[str, tuple[str, str]] = {}

    def sheet(tag: str, attributes: dict[str, str]) -> None:
        if tag.rpartition("}")[2] == "sheet" and attributes.get("state", "visible") == "visible":
            relation = next((value for key, value in attributes.items() if key.endswith("}id")), "")
            sheets.append((attributes.get("name", ""), relation))

    def relationship(tag: str, attributes: dict[str, str]) -> None:
        if tag.rpartition("}")[2] == "Relationship":
            targets[attributes.get("Id", "")] = (attributes.get("Target", ""), attributes.get("Type", ""))

    _parse(archive, "xl/workbook.xml", sheet)
    _parse(archive, "xl/_rels/workbook.xml.rels", relationship)
    for name, relation in sheets:
        target, kind = targets.get(relation, ("", ""))
        if kind.endswith("/worksheet"):
            return name, target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    raise Refused("no visible worksheet", "put the table on the first visible sheet")


def _parse(archive: zipfile.ZipFile, part: str, start: Any, end: Any = None, text: Any = None) -> None:
    """Run expat over a part; document types and entities are refused, so nothing can expand or be fetched."""
    parser = xml.parsers.expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _doctype
    parser.StartElementHandler = start
    if end:
        parser.EndElementHandler = end
    if text:
        parser.CharacterDataHandler = text
    with archive.open(part) as stream:
        parser.ParseFile(stream)


def _doctype(*_: object) -> None:
    raise Refused("a workbook with a document type declaration", "save it again as .xlsx")


def _cells_without_value(archive: zipfile.ZipFile, part: str) -> list[tuple[int, int, str]]:
    """Row, column (from 0) and kind (error, formula) of the cells whose value calamine would give as empty.

    The parts are scanned as bytes first: most workbooks have neither formulas nor errors.
    """
    suspicious = False
    for name in {"xl/sharedStrings.xml", "xl/styles.xml", part} & set(archive.namelist()):
        tail = b""
        with archive.open(name) as stream:
            while block := stream.read(1 << 20):
                data = tail + block
                if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
                    _doctype()
                if name == part and not suspicious:
                    suspicious = b'="e"' in data or b"='e'" in data or b"<f" in data or b":f>" in data or b":f " in data
                tail = data[-16:]
    if not suspicious:
        return []
    return _Cells(archive, part).marks


class _Cells:
    """Walks the cells of a sheet for formulas without a cached value and for error values."""

    def __init__(self, archive: zipfile.ZipFile, part: str) -> None:
        self.marks: list[tuple[int, int, str]] = []
        self._row, self._column = -1, -1
        self._kind = ""
        self._formula = self._value = self._inside = False
        _parse(archive, part, self._start, self._end, self._text)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition("}")[2]
        if tag == "row":
            self._row = int(attributes["r"]) - 1 if "r" in attributes else self._row + 1
            self._column = -1
        elif tag == "c":
            self._column = _column_of(attributes["r"]) if "r" in attributes else self._column + 1
            self._kind = attributes.get("t", "n")
            self._formula = self._value = False
        elif tag == "f":
            self._formula = True
        elif tag in ("v", "is"):
            self._inside = True

    def _text(self, text: str) -> None:
        self._value = self._value or self._inside

    def _end(self, tag: str) -> None:
        tag = tag.rpartition("}")[2]
        if tag in ("v", "is"):
            self._inside = False
            # Excel writes an empty text result as <v></v> of a cell of type str.
            self._value = self._value or self._kind == "str"
        elif tag == "c":
            if self._kind == "e":
                self.marks.append((self._row, self._column, "error"))
            elif self._formula and not self._value:
                self.marks.append((self._row, self._column, "formula"))
            if len(self.marks) > 1_000_000:
                raise Refused(
                    "a workbook full of errors and formulas without values",
                    "open it in Excel, save it, deliver it again",
                )


def _column_of(reference: str) -> int:
    number = 0
    for char in reference:
        if not char.isalpha():
            break
        number = number * 26 + ord(char.upper()) - 64
    return number - 1


def _texts(rows: list[list[Any]]) -> list[list[str]]:
    """The columns of a block of rows as text. Each distinct value of a column is turned into text once."""
    columns = []
    for column in zip(*rows):  # noqa: B905 - calamine's rows have one width
        if set(map(type, column)) <= {str}:
            columns.append(list(column))
            continue
        # With the type, since 1, 1.0 and True are equal.
        typed = list(zip(map(type, column), column))  # noqa: B905
        text = {pair: _text(pair[1]) for pair in set(typed)}
        columns.append(list(map(text.__getitem__, typed)))
    return columns


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, datetime.datetime):
        value = (value + datetime.timedelta(microseconds=500_000)).replace(microsecond=0)
        return value.strftime("%Y-%m-%d") if value.time() == datetime.time() else value.isoformat(" ")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, (int, float)):
        return _number(value)
    return str(value)


def _number(value: float) -> str:
    """As ``ingestion.readers.cells.number_text``, which this process does not import."""
    if abs(value) >= LOSSY_FROM:
        mantissa, _, exponent = f"{float(value):.15E}".partition("E")
        return f"{mantissa.rstrip('0').rstrip('.')}E{exponent}"
    if isinstance(value, int) or value.is_integer():
        return str(int(value))
    return repr(value)


if __name__ == "__main__":
    os._exit(main())  # all is flushed: taking the interpreter down would be a sixth of the time
