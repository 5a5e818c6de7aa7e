"""The check of an export: what is wrong, where and how to mend it, in Chinese, as the person who made it reads it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter
from click.testing import CliRunner, Result

from ingestion.check import Problem, Report, check_file
from ingestion.check_text import KINDS_SHOWN, PLACES_SHOWN, lines
from ingestion.cli import main
from ingestion.contracts import CONTRACTS
from ingestion.quarantine import DAMAGED, REASONS
from tests.ingestion.deliveries import Exports, Row, csv_bytes, good_row

CASES, UNIT = "platform_cases", "县公安局"


def row(dataset: str = CASES, n: int = 1, **changes: str) -> Row:
    """A row without anything to mend."""
    known = {"unit_name": UNIT} if "unit_name" in CONTRACTS[dataset].by_name else {}
    return good_row(dataset, n) | known | changes


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def text_of(report: Report) -> str:
    return "\n".join(lines(report))


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def sheet(rows: list[list[object]], *, first: tuple[int, int] = (0, 0), merge: str = "") -> bytes:
    """A workbook of these cells, from this row and column (from 0) on."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        page = book.add_worksheet()
        for number, cells in enumerate(rows):
            page.write_row(first[0] + number, first[1], cells)
        if merge:
            page.merge_range(merge, "x")
    return out.getvalue()


def table(dataset: str, rows: list[Row]) -> list[list[object]]:
    columns = CONTRACTS[dataset].columns
    return [[column.header for column in columns], *([each[column.name] for column in columns] for each in rows)]


# -- rows ------------------------------------------------------------------------------------------------------

ROW_FAULTS: list[tuple[str, str, dict[str, str], str, str]] = [
    ("missing_key", CASES, {"case_no": ""}, "办件编号", "补填主键"),
    ("lost_key", CASES, {"case_no": "6.527E+17"}, "办件编号", "“文本”格式"),
    ("required_empty", CASES, {"item_name": ""}, "事项名称", "补填"),
    ("unreadable_time", CASES, {"applied_at": "上周三"}, "申请时间", "2022-07-01 08:30:00"),
    ("unreadable_number", CASES, {"promised_days": "五天"}, "承诺时限", "改为整数"),
    ("unknown_code", CASES, {"channel": "电话"}, "申请来源", "改为：窗口登记、政务服务APP、政务服务网、自助终端"),
    ("unreadable_period", "cms_submissions", {"obligation_period": "第七期"}, "所属期", "2022-W27"),
    ("end_before_start", CASES, {"closed_at": "2022-07-01 08:00:00"}, "办结时间", "核对两个时间"),
    ("future_event", CASES, {"closed_at": "2222-07-01 08:00:00"}, "办结时间", "核对时间"),
]


def test_every_row_fault_is_tried_here() -> None:
    assert {code for code, *_ in ROW_FAULTS} | {DAMAGED} == set(REASONS)


@pytest.mark.parametrize(("code", "dataset", "changes", "header", "remedy"), ROW_FAULTS)
def test_a_row_that_does_not_fit(
    tmp_path: Path, code: str, dataset: str, changes: dict[str, str], header: str, remedy: str
) -> None:
    rows = [row(dataset, n) for n in range(1, 31)]
    rows[4] |= changes
    path = write(tmp_path, "x.csv", csv_bytes(dataset, rows))
    report = check_file(path)
    (problem,) = report.problems
    assert (problem.code, problem.level, problem.row, problem.header) == (code, "error", 6, header)
    assert (report.contract and report.contract.dataset, report.rows_in, report.rows_bad) == (dataset, 30, 1)
    shown = text_of(report)
    assert f"✗ “{header}”列：" in shown and "第 6 行" in shown
    assert remedy in shown.partition("办法：")[2]
    assert report.exit_code == 1


def damaged_line(change: Callable[[str], str]) -> bytes:
    """Eight good rows, the third of them (line 4) changed."""
    text = csv_bytes(CASES, [row(n=n) for n in range(1, 9)]).decode().split("\n")
    text[3] = change(text[3])
    return "\n".join(text).encode()


@pytest.mark.parametrize(
    ("code", "change", "remedy"),
    [
        ("wrong_width", lambda line: line + ",多", "逗号"),
        ("wrong_width", lambda line: line.replace(",即办件", "即办件", 1), "逗号"),
        ("quote_in_field", lambda line: line.replace("item_name3", 'item"name3'), "引号"),
        ("text_after_quote", lambda line: line.replace("item_name3", '"item"name3'), "引号"),
        ("return_in_field", lambda line: line.replace("item_name3", "item\rname3"), "换行"),
    ],
)
def test_a_damaged_line(tmp_path: Path, code: str, change: Callable[[str], str], remedy: str) -> None:
    report = check_file(write(tmp_path, "x.csv", damaged_line(change)), CASES)
    (problem,) = report.problems
    assert (problem.code, problem.row) == (code, 4)
    assert remedy in problem.remedy and "第 4 行" in text_of(report)
    assert report.rows_in == 8


def test_a_line_in_another_encoding_and_swallowed_rows(tmp_path: Path) -> None:
    posts, title = "cms_media_posts", "居民身份证换领补领业务办"
    whole = csv_bytes(posts, [row(posts, n, title=title) for n in range(1, 9)]).decode().split("\n")
    mixed = b"\n".join(line.encode("utf-8" if number == 3 else "gb18030") for number, line in enumerate(whole))
    (problem,) = check_file(write(tmp_path, "x.csv", mixed), posts).problems
    assert (problem.code, problem.row) == ("other_encoding", 4)
    whole[2] = whole[2].replace(f",{title}", f',"{title}')
    whole[5] = whole[5].replace(f"{title},", f'{title}",')
    report = check_file(write(tmp_path, "y.csv", "\n".join(whole).encode()), posts)
    assert ("swallowed_rows", 3) in {(each.code, each.row) for each in report.problems}


def test_a_value_without_header_and_an_error_of_excel(tmp_path: Path) -> None:
    text = csv_bytes(CASES, [row(n=n) for n in range(1, 5)]).decode().split("\n")
    text = [line + ("," if number != 2 else ",错位") if line else line for number, line in enumerate(text)]
    (problem,) = check_file(write(tmp_path, "x.csv", "\n".join(text).encode()), CASES).problems
    assert (problem.code, problem.row) == ("value_without_header_row", 3)

    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        page = book.add_worksheet()
        for number, cells in enumerate(table(CASES, [row(n=n) for n in range(1, 5)])):
            page.write_row(number, 0, cells)
        page.write_formula(2, 2, "=NA()", None, "#N/A")
    report = check_file(write(tmp_path, "x.xlsx", out.getvalue()), CASES)
    (problem,) = report.problems
    assert (problem.code, problem.row, problem.header) == ("excel_error", 3, "事项名称")
    assert "单元格 C3" in text_of(report)


# -- files -----------------------------------------------------------------------------------------------------

GOOD = csv_bytes(CASES, [row()])
HEADERS = GOOD.decode().split("\n")[0]


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("empty.csv", b"", "empty_file", "只有表头的文件"),
        ("no_header.csv", b"a,b,c\n1,2,3\n", "no_header", "找不到"),
        ("cr.csv", GOOD.replace(b"\n", b"\r"), "lone_returns", "换行"),
        (
            "lacks.csv",
            GOOD.replace("事项名称".encode(), "事项名".encode()),
            "missing_columns",
            "“事项名”是否应为“事项名称”",
        ),
        ("twice.csv", GOOD.replace("事项编码".encode(), "事项名称".encode()), "column_twice", "“事项名称”列出现了两次"),
        ("two.csv", GOOD + f"{HEADERS}\n".encode(), "second_header", "第 3 行"),
        ("open.csv", GOOD + b'x,"y\n' + GOOD, "unclosed_quote", "引号"),
        ("page.csv", b"<html><body>login</body></html>", "web_page", "网页"),
        ("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512, "old_or_encrypted", ".xls"),
        ("fake.xlsx", GOOD, "not_xlsx", "不是 Excel 工作簿"),
        ("cut.csv.gz", gzip.compress(GOOD)[:-9], "damaged_archive", ".gz 压缩包"),
        ("utf32.csv", GOOD.decode().encode("utf-32"), "utf32", "UTF-32"),
        ("bytes.csv", GOOD + b"\xff\xff\xff\n", "damaged_utf8", "第 3 行"),
        ("x.pdf", GOOD, "unknown_ending", "后缀"),
        ("cut.json", b'{"dataset": "platform_cases", "rows": [{"a": 1}', "json_cut", "截断"),
        ("list.json", b"[]", "json_no_page", "rows"),
        ("nan.json", b'{"rows": [{"a": NaN}]}', "json_nan", "null"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, content: bytes, code: str, words: str) -> None:
    path = write(tmp_path, name, content)
    (problem,) = (report := check_file(path, CASES)).problems
    assert (problem.code, problem.row, report.unreadable) == (code, None, True)
    shown = text_of(report)
    assert "✗ 整个文件：" in shown and "办法：" in shown and words in shown
    assert run("check", path, "--dataset", CASES).exit_code == 2


def test_merged_cells_and_formulas(tmp_path: Path) -> None:
    good = table(CASES, [row(n=n) for n in range(1, 5)])
    (merged,) = check_file(write(tmp_path, "m.xlsx", sheet(good, merge="B3:B4")), CASES).problems
    assert merged.code == "merged_cells" and "第 3 行" in merged.text
    book = openpyxl.Workbook()
    for cells in good:
        book.active.append(cells)
    book.active["C3"] = "=1+1"  # openpyxl stores no result
    book.save(tmp_path / "f.xlsx")
    (formula,) = check_file(tmp_path / "f.xlsx", CASES).problems
    assert formula.code == "formula_without_value" and "第 3 行“事项名称”列" in formula.text


def test_too_many_bad_rows(tmp_path: Path) -> None:
    rows = [row(n=n, channel="电话" if n < 5 else "窗口登记") for n in range(1, 9)]
    report = check_file(write(tmp_path, "x.csv", csv_bytes(CASES, rows)))
    assert [each.code for each in report.problems if each.row is None] == ["too_many_bad_rows"]
    assert "整个文件会被退回" in text_of(report) and report.exit_code == 1


# -- what the file is ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", sorted(CONTRACTS))
@pytest.mark.parametrize("ending", ["csv", "xlsx", "json"])
def test_the_dataset_is_told_by_the_headers(tmp_path: Path, dataset: str, ending: str) -> None:
    rows = [row(dataset, n) for n in range(1, 4)]
    if ending == "csv":
        content = csv_bytes(dataset, rows)
    elif ending == "xlsx":
        content = sheet(table(dataset, rows))
    else:
        head, *body = table(dataset, rows)
        page = {"rows": [dict(zip(map(str, head), cells, strict=True)) for cells in body]}
        content = json.dumps(page, ensure_ascii=False).encode()
    report = check_file(write(tmp_path, f"export.{ending}", content))
    assert report.contract is not None and report.contract.dataset == dataset
    assert report.problems == [] and report.exit_code == 0
    assert "根据表头判断" in text_of(report) and "✓ 没有发现问题" in text_of(report)


def test_what_cannot_be_told_is_asked_for(tmp_path: Path) -> None:
    unknown = write(tmp_path, "x.csv", "姓名,更新时间,备注\n张三,2022-07-01,无\n".encode())
    result = run("check", unknown)
    assert result.exit_code == 2 and "--dataset" in result.output
    assert run("check", unknown, "--month", "2022-7", "--dataset", CASES).exit_code == 2


def test_a_file_in_the_wrong_folder(exports: Exports) -> None:
    path = exports.put("platform_reviews", csv_bytes(CASES, [row()]))
    report = check_file(path)
    assert [each.code for each in report.problems] == ["wrong_folder"]
    assert "“办件明细”（platform_cases）" in report.problems[0].text


def test_a_page_of_another_month(tmp_path: Path) -> None:
    head, body = table(CASES, [row()])
    page = {"period": "2022-06", "rows": [dict(zip(map(str, head), body, strict=True))]}
    path = write(tmp_path, "x.json", json.dumps(page).encode())
    assert [each.code for each in check_file(path, month="2022-07").problems] == ["wrong_month"]
    assert check_file(path, month="2022-06").is_clean


# -- what the warehouse would know -----------------------------------------------------------------------------


def test_unit_names(tmp_path: Path) -> None:
    rows = [row(n=n) for n in range(1, 41)]
    early = {"accepted_at": "2018-12-31 10:00:00", "applied_at": "2018-12-30 10:00:00"}
    late = {"accepted_at": "2019-01-01 00:00:00", "applied_at": "2018-12-30 10:00:00"}
    rows[0] |= {"unit_name": "县工商局"} | early
    rows[1] |= {"unit_name": "县工商局"} | late
    rows[2] |= {"unit_name": "托里镇八家户"}
    rows[3] |= {"unit_name": "县市场监督局"}
    rows[4] |= {"unit_name": "　县公安局 "}
    rows[5] |= {"unit_name": "不存在的名称", "sync_type": "D"}
    report = check_file(write(tmp_path, "x.csv", csv_bytes(CASES, rows)))
    assert [(each.code, each.row, each.header, each.level) for each in report.problems] == [
        ("expired_unit", 3, "办理单位", "warning"),
        ("joined_units", 4, "办理单位", "warning"),
        ("unknown_unit", 5, "办理单位", "warning"),
    ]
    expired, joined, unknown = (each.text for each in report.problems)
    assert "曾用名，有效期至 2018-12-31" in expired and "县市场监督管理局" in expired
    assert "托里镇 + 八家户农场" in joined and "不作猜测" in joined
    assert "相近的有：县市场监督管理局" in unknown
    assert report.exit_code == 1 and report.rows_bad == 0


def test_an_account_goes_by_the_month(tmp_path: Path) -> None:
    path = write(tmp_path, "x.csv", csv_bytes("cms_media_accounts", [row("cms_media_accounts", unit_name="县工商局")]))
    assert check_file(path, month="2018-12").is_clean
    assert [each.code for each in check_file(path, month="2019-01").problems] == ["expired_unit"]


def test_a_key_that_stands_twice(tmp_path: Path) -> None:
    rows = [row(n=n) for n in (1, 2, 1, 3, 2)]
    rows[0] |= {"updated_at": "2022-07-07 00:00:00"}
    rows[4] |= {"sync_type": "D"}
    report = check_file(write(tmp_path, "x.csv", csv_bytes(CASES, rows)))
    assert [(each.code, each.row) for each in report.problems] == [("duplicate_key", 3), ("duplicate_key", 4)]
    assert "与第 6 行重复；更新时间相同，以靠后的一行为准（同步类型 D，删除此主键）" in text_of(report)
    assert "与第 2 行重复；该行更新时间较晚，以该行为准" in text_of(report)


def test_the_unit_in_a_key_is_the_unit_meant(tmp_path: Path) -> None:
    dataset = "hotline_exclusions"
    rows = [row(dataset, 1, unit_name=name) for name in ("县公安局", "公安局", "县水利局")]
    report = check_file(write(tmp_path, "x.csv", csv_bytes(dataset, rows)))
    assert [(each.code, each.row) for each in report.problems] == [("duplicate_key", 2)]


def test_personal_values_that_excel_destroyed(tmp_path: Path) -> None:
    report = check_file(write(tmp_path, "x.csv", csv_bytes(CASES, [row(applicant_id="6.5E+17")])))
    (problem,) = report.problems
    assert (problem.code, problem.row, problem.header) == ("lost_personal_value", 2, "证件号码")


def test_manifest(exports: Exports) -> None:
    path = exports.put(CASES, [row(n=n) for n in range(1, 4)])

    def codes(**changes: object) -> list[str]:
        exports.manifest(path, **changes)
        return [each.code for each in check_file(path).problems]

    assert codes(rows=3) == []
    assert codes(rows=4) == ["manifest_rows"]
    assert codes(sha256=hashlib.sha256(b"other").hexdigest()) == ["manifest_hash"]
    assert codes(name="other.csv") == ["manifest_missing_file", "manifest_unlisted"]
    (path.parent / "manifest.json").write_text("[]")
    assert [each.code for each in check_file(path).problems] == ["manifest_unreadable"]
    assert "清单" in text_of(check_file(path))


# -- the report ------------------------------------------------------------------------------------------------


def test_the_list_is_capped_and_has_totals(tmp_path: Path) -> None:
    rows = [row(n=n, channel="电话", unit_name=f"第{n}号单位") for n in range(1, 61)]
    rows += [row(n=n, unit_name=f"第{n}号单位") for n in range(61, 121)]
    report = check_file(write(tmp_path, "x.csv", csv_bytes(CASES, rows)))
    shown = text_of(report)
    assert f"……另有 {60 - PLACES_SHOWN} 行" in shown
    assert "类问题没有列出" in shown
    assert "合计：取值不在代码表内 60 处；单位名称不在单位别名表 60 处" in shown
    assert len(shown.splitlines()) < 3 * KINDS_SHOWN + PLACES_SHOWN + 20


def test_plain_text_without_values(tmp_path: Path) -> None:
    rows = [row(n=1), row(n=2, channel="13812345678", applicant="张小明", closed_at="110101199003078515")]
    result = run("check", write(tmp_path, "x.csv", csv_bytes(CASES, rows)))
    assert result.exit_code == 1
    assert not re.search("13812345678|张小明|110101199003078515|\x1b", result.output)


def test_notes_do_not_fail_a_file(tmp_path: Path) -> None:
    text = "七月办件明细\n" + csv_bytes(CASES, [row()]).decode().replace("办结结果", "备注二") + "合计,,,,\n"
    report = check_file(write(tmp_path, "x.csv", text.encode()))
    assert report.is_clean
    notes = " ".join(report.notes)
    assert all(words in notes for words in ("标题行", "合计行", "备注二", "办结结果"))
    empty = check_file(write(tmp_path, "y.csv", csv_bytes(CASES, [])))
    assert empty.is_clean and "没有数据行" in " ".join(empty.notes)


def test_nothing_is_written(exports: Exports) -> None:
    path = exports.put(CASES, [row(), row(n=2, channel="电话")])
    before = sorted(exports.root.rglob("*"))
    assert run("check", path).exit_code == 1
    assert sorted(exports.root.rglob("*")) == before and not exports.home.root.exists()


def test_a_problem_without_a_place_is_of_the_whole_file() -> None:
    report = Report("x.csv", problems=[Problem("manifest_hash", "error", "不一致", "重新交付")])
    assert "✗ 整个文件：不一致" in text_of(report)
