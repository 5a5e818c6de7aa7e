"""CSV: every dialect reads the same, damaged rows are set aside by line, what cannot be trusted is refused."""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.contracts import CONTRACTS
from ingestion.errors import DeliveryRefused
from ingestion.readers import encodings
from tests.readers.helpers import Read, contract_for, physical_lines, read_bytes

HEADERS = ["工单编号", "承办单位", "诉求内容", "来电人", "满意度", "办理方式", "更新时间"]
SAMPLE = contract_for(HEADERS, optional=("来电人", "满意度"), text=("诉求内容",))

GOOD = [
    ["GD001", "县发改委", "路灯不亮", "张三", "满意", "转办", "2022-07-01 08:30:00"],
    ["GD002", "教育局", "咨询入学", "李四", "", "转办", "2022-07-01 08:31:00"],
    ["GD003", "镇政府", "无", "", "不满意", "直接答复", "2022-07-01 08:32:00"],
]


def lines_of(rows: list[list[str]], delimiter: str = ",", end: str = "\n", quoting: int = csv.QUOTE_MINIMAL) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)
    return out.getvalue()


def shown(rows: list[list[str]]) -> list[tuple[str | None, ...]]:
    return [tuple(cell or None for cell in row) for row in rows]


def sample(folder: Path, text: str | bytes, name: str = "工单[1].csv") -> Read:
    content = text if isinstance(text, bytes) else text.encode()
    got = read_bytes(folder, name, content, SAMPLE)
    if name.endswith(".csv"):
        plain = content.decode("utf-16") if content[:2] in (b"\xff\xfe", b"\xfe\xff") else None
        assert got.rows_in + got.rows_other == physical_lines(plain.encode() if plain is not None else content)
    return got


# -- the same table in any dialect ---------------------------------------------------------------------------------

#: Any character that the three encodings can carry; blanks at the ends are trimmed, so they are left out there.
CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).map(str.strip)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.lists(st.lists(CELLS, min_size=7, max_size=7), max_size=8),
    delimiter=st.sampled_from([",", "\t", ";"]),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16"]),
    block=st.sampled_from([64, 1 << 20]),
)
def test_round_trip(rows: list[list[str]], delimiter: str, end: str, quoting: int, encoding: str, block: int) -> None:
    """A table written by Python's csv in any dialect and encoding is read back cell by cell, for any block size."""
    rows = [[f"K{number}", *row[1:6], "t"] for number, row in enumerate(rows)]
    if any("\r" in cell for row in rows for cell in row):
        quoting = csv.QUOTE_ALL  # Python's writer leaves a lone carriage return without quotes: a damaged row
    every_text = contract_for(HEADERS, optional=tuple(HEADERS[1:6]), text=tuple(HEADERS[1:]))
    content = lines_of([HEADERS, *rows], delimiter, end, quoting).encode(encoding)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(encodings, "BLOCK", block)
        got = read_bytes(Path(folder), "t.csv", content, every_text)
    assert got.rows == shown(rows)
    assert got.bad == []


@pytest.mark.parametrize("of_header", [0, 1, 3])
@pytest.mark.parametrize("of_rows", [0, 1, 3])
def test_empty_trailing_columns_of_header_and_rows(tmp_path: Path, of_header: int, of_rows: int) -> None:
    rows = [HEADERS + [""] * of_header, *(row + [""] * of_rows for row in GOOD)]
    got = sample(tmp_path, lines_of(rows) + "合计(件),3\n")
    assert got.rows == shown(GOOD)
    assert got.bad == []


def test_one_row_of_another_width_is_damaged(tmp_path: Path) -> None:
    """A delimiter too many or missing moves values: an empty end does not prove that none moved."""
    moved = [["GD002", "", *GOOD[1][1:3], *GOOD[1][4:], ""], GOOD[1][:3] + GOOD[1][4:]]
    for row in moved:
        got = sample(tmp_path, lines_of([HEADERS, GOOD[0], row, GOOD[2]]))
        assert got.rows == shown([GOOD[0], GOOD[2]])
        assert [bad.row for bad in got.bad] == [3]
    assert sample(tmp_path, lines_of([HEADERS, GOOD[0] + [""]])).rows == []


def test_two_names_run_together_move_no_value(tmp_path: Path) -> None:
    """Of optional columns a name may be lacking; rows with an empty end are then as wide as before the loss."""
    for place in range(1, len(HEADERS) - 1):
        together = [*HEADERS[:place], HEADERS[place] + HEADERS[place + 1], *HEADERS[place + 2 :]]
        contract = contract_for(HEADERS, optional=tuple(HEADERS[1:]))
        got = read_bytes(tmp_path, "t.csv", lines_of([together, *([*row[:-1], ""] for row in GOOD)]).encode(), contract)
        last = place + 1 == len(HEADERS) - 1  # nothing stands behind: nothing can move
        assert got.rows == ([(*row[:place], None, None) for row in shown(GOOD)] if last else []), place
        assert len(got.bad) == (0 if last else len(GOOD))


def test_narrowing(tmp_path: Path) -> None:
    row = [" ＧＤ００１　", "发改委\u3000", "  １２３　好 ", "", "", "转办", "ｔ"]
    got = sample(tmp_path, lines_of([HEADERS, row]))
    assert got.rows == [("GD001", "发改委", "１２３　好", None, None, "转办", "t")]


def test_control_zero_width_emoji_and_long_cells_are_exact(tmp_path: Path) -> None:
    row = ["GD1", "a\x00b\x07c", "1\r2\n3\r\n4" + "长" * 400_000, "\u200b张\ufeff三", "😀👨‍👩‍👧", "x\ty", "t"]
    got = sample(tmp_path, lines_of([HEADERS, row, GOOD[0]]))
    assert got.rows == [tuple(row), tuple(GOOD[0])]
    assert got.numbers == [2, 5]


def test_header_order_titles_totals_and_empty_ends(tmp_path: Path) -> None:
    order = [6, 0, 3, 2, 5, 1, 4]
    body = [["2022年7月工单", *[""] * 8], [""] * 9, [*(HEADERS[i] for i in order), "", ""]]
    body += [[*(row[i] for i in order), "", ""] for row in GOOD]
    body += [[""] * 9, ["合计", "3", *[""] * 7], [""] * 9]
    got = sample(tmp_path, "\ufeff" + lines_of(body, end="\r\n") + "\r\n\r\n")
    assert got.rows == shown(GOOD)
    assert got.numbers == [4, 5, 6]
    assert [(finding.kind, finding.row) for finding in got.findings] == [("title_line", 1), ("total_line", 8)]


def test_a_last_row_whose_cells_are_all_filled_is_no_total(tmp_path: Path) -> None:
    got = sample(tmp_path, lines_of([HEADERS, *GOOD, ["合计", "a", "b", "c", "d", "e", "f"]]))
    assert len(got.rows) == 4


def test_extra_and_missing_columns(tmp_path: Path) -> None:
    rows = [[*row[:3], *row[4:], "备注"] for row in GOOD]
    got = sample(tmp_path, lines_of([[*HEADERS[:3], *HEADERS[4:], "坐席"], *rows]))
    assert got.rows == shown([[*row[:3], "", *row[4:]] for row in GOOD])
    assert got.extra == ("坐席",)
    assert got.missing == ("c3",)
    assert {finding.kind for finding in got.findings} == {"extra_column", "missing_optional_column"}


def test_header_only_is_a_month_with_nothing(tmp_path: Path) -> None:
    for text in (lines_of([HEADERS]), lines_of([HEADERS]).rstrip("\n")):
        got = sample(tmp_path, text)
        assert (got.rows, got.rows_in, got.rows_other) == ([], 0, 1)


# -- damaged rows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        ("GD9,县发改委,路灯,张三,满意,转办,x,", "8 fields"),
        ("GD9,县发改委,路灯,张三,满意,转办", "6 fields"),
        ("GD9;县发改委;路灯;张三;满意;转办;t", "1 fields"),
        ('GD9,县发"改委,路灯,张三,满意,转办,t', "a quote inside"),
        ('GD9,"县发"改委,路灯,张三,满意,转办,t', "text after the closing quote"),
        ("GD9,县发\r改委,路灯,张三,满意,转办,t", "carriage return"),
        ('GD9,"两行\n三行",路灯,张三,满意,转办', "6 fields"),
    ],
)
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_damaged_row_is_set_aside_alone(tmp_path: Path, damaged: str, reason: str, quoting: int, place: int) -> None:
    good = [lines_of([row], quoting=quoting) for row in GOOD]
    text = lines_of([HEADERS]) + "".join([*good[:place], damaged + "\n", *good[place:]])
    got = sample(tmp_path, text)
    assert got.rows == shown(GOOD)
    assert [bad.row for bad in got.bad] == [place + 2]
    assert reason in got.bad[0].reason
    assert "县" not in got.bad[0].value_masked
    assert "GD" not in got.bad[0].value_masked


def test_a_quote_that_swallows_rows_costs_its_own_row_only(tmp_path: Path) -> None:
    text = lines_of([HEADERS]) + 'GD9,"县发改委,路灯,张三,满意,转办,t\n' + lines_of(GOOD, quoting=csv.QUOTE_ALL)
    got = sample(tmp_path, text)
    assert got.rows == shown(GOOD)
    assert [(bad.row, bad.column) for bad in got.bad] == [(2, "c1")]


def test_two_stray_quotes_in_the_same_column_do_not_merge_rows(tmp_path: Path) -> None:
    """Row 2 opens a quote, row 5 closes one in the same field: together they are one row of the right width."""
    text = lines_of([HEADERS]) + 'G1,"a,c,d,e,f,t\n' + lines_of(GOOD) + 'G5,b",c,d,e,f,t\n' + lines_of(GOOD)
    got = sample(tmp_path, text)
    assert got.rows == shown(GOOD)
    assert [bad.row for bad in got.bad] == [2]


def test_an_unclosed_quote_in_the_last_line(tmp_path: Path) -> None:
    got = sample(tmp_path, lines_of([HEADERS, *GOOD]) + 'GD9,"县发改委,路灯')
    assert got.rows == shown(GOOD)
    assert [(bad.row, bad.reason) for bad in got.bad] == [(5, "a quoted field that is never closed")]


def test_a_value_under_no_header_is_set_aside(tmp_path: Path) -> None:
    rows = [[*GOOD[0], ""], [*GOOD[1], "x"], [*GOOD[2], ""]]
    got = sample(tmp_path, lines_of([[*HEADERS, ""], *rows]))
    assert [row[0] for row in got.rows] == ["GD001", "GD003"]
    assert [bad.row for bad in got.bad] == [3]


def test_one_row_in_another_encoding_is_set_aside(tmp_path: Path) -> None:
    head, *rows = [lines_of([row]) for row in [HEADERS, *GOOD, *GOOD]]
    content = head.encode("gb18030") + b"".join(row.encode("gb18030") for row in rows[:4])
    content += lines_of([["GD9", "县发改委", "路灯坏了", "王五", "", "转办", "t"]]).encode("utf-8")
    got = sample(tmp_path, content + rows[4].encode("gb18030"))
    assert len(got.rows) == 5
    assert [(bad.row, bad.reason) for bad in got.bad] == [(6, "characters in another encoding than the file's")]


# -- refused -------------------------------------------------------------------------------------------------------

TEXT = lines_of([HEADERS, *GOOD])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"\r\n,,,\r\n", "empty"),
        (lines_of(GOOD).encode(), "no header"),
        (lines_of([HEADERS, HEADERS, *GOOD]).encode(), "second header in row 2"),
        (lines_of([HEADERS, HEADERS, HEADERS, *GOOD]).encode(), "second header in row 2"),
        (lines_of([HEADERS, *GOOD, [], HEADERS, *GOOD]).encode(), "second header in row 6"),
        (lines_of([HEADERS, *GOOD, HEADERS[:4], ["1", "2", "3", "4"]]).encode(), "second header in row 5"),
        (lines_of([["a", "b", "c", "d", "e"], HEADERS, *GOOD]).encode(), "neither a title nor blank"),
        (lines_of([["编号", *HEADERS[1:]], *GOOD]).encode(), "lacks 工单编号; unknown: 编号 (meant 工单编号?)"),
        (lines_of([[*HEADERS, "工单编号"], *[[*row, "x"] for row in GOOD]]).encode(), "twice"),
        (TEXT.replace("GD002", '"GD002').encode(), "never closed"),
        (TEXT.encode()[:-40] + b"\xff" + TEXT.encode()[-40:], "is not UTF-8, though the file is"),
        (TEXT.encode("gb18030") + b"\xff\xff", "neither UTF-8 nor GB18030"),
        (TEXT.encode("utf-16")[:-1], "neither UTF-8 nor UTF-16"),
        (TEXT.encode("utf-32"), "UTF-32"),
        (TEXT.encode("utf-16-le"), ""),
        (TEXT.replace("\n", "\r").encode(), "CR alone"),
        (b"<html><body>login</body></html>", "web page"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "encrypted or old"),
        (b"PK\x03\x04" + b"\0" * 100, "packed content"),
    ],
)
def test_refused(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(DeliveryRefused) as refusal:
        sample(tmp_path, content)
    assert "工单[1].csv" in str(refusal.value)
    assert why in str(refusal.value)
    assert not any(value in str(refusal.value) for value in ("GD00", "张三", "路灯"))


def test_cut_at_any_byte_gives_a_prefix_or_is_refused(tmp_path: Path) -> None:
    """A cut file can only lose its end: each delivered row is a row of the whole file, but for the last line."""
    rows = [[f"GD{n:03}", "县发改委", '第一行\n第二行,"引"', "张三", "满意", "转办", "2022-07-01"] for n in range(5)]
    whole = lines_of([HEADERS, *rows])
    for encoding in ("utf-8", "gb18030"):
        content = whole.encode(encoding)
        for cut in range(len(content)):
            try:
                got = sample(tmp_path, content[:cut])
            except DeliveryRefused:
                continue
            assert got.rows[:-1] == shown(rows)[: max(len(got.rows) - 1, 0)]
            assert not got.rows or got.rows[-1][:6] == shown(rows)[len(got.rows) - 1][:6]


# -- packed --------------------------------------------------------------------------------------------------------


def zipped(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def test_zip_and_gz(tmp_path: Path) -> None:
    assert sample(tmp_path, gzip.compress(TEXT.encode()), "t.csv.gz").rows == shown(GOOD)
    # The packed name need not repeat the ending.
    assert sample(tmp_path, gzip.compress(TEXT.encode()), "2022.07.gz").rows == shown(GOOD)
    for inner in ("t.csv", "../../etc/t.csv", "/abs/t.CSV"):
        assert sample(tmp_path, zipped((inner, TEXT.encode())), "t.zip").rows == shown(GOOD)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0123456789abcdef"]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("t.zip", zipped(("a.csv", b"1"), ("b.csv", b"2")), "2 files"),
        ("t.zip", zipped(), "0 files"),
        ("t.zip", zipped(("a.csv", TEXT.encode() * 50))[:-30], "damaged or cut"),
        ("t.zip", b"PK\x03\x04nonsense", "damaged or cut"),
        ("t.zip", zipped(("a.exe", b"MZ")), "unknown ending"),
        ("t.zip", zipped(("a.zip", zipped(("a.csv", b"1")))), "unknown ending"),
        ("t.csv.gz", gzip.compress(TEXT.encode())[:-9], "damaged or cut"),
        ("t.csv.gz", TEXT.encode(), "damaged or cut"),
        ("t.csv.gz", gzip.compress(b"0" * (80 << 20)), "unpacks to more than"),
        ("t.zip", zipped(("a.csv", b"0" * (80 << 20))), "unpacks to more than"),
        ("t.exe", TEXT.encode(), "unknown ending"),
    ],
)
def test_packed_refused(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    with pytest.raises(DeliveryRefused, match=why):
        sample(tmp_path, content, name)


def test_every_contract_reads_its_own_header(tmp_path: Path) -> None:
    for dataset, contract in CONTRACTS.items():
        text = ",".join(column.header for column in contract.columns) + "\r\n"
        got = read_bytes(tmp_path, f"{dataset}.csv", text.encode("gb18030"), contract)
        assert (got.rows_in, got.missing, got.extra) == (0, (), ())
