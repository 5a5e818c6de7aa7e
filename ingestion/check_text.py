"""The report of a check as lines of text, for a terminal or a file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from xlsxwriter.utility import xl_rowcol_to_cell

from ingestion.check import Problem, Report
from ingestion.explanations import EXPLANATIONS

#: Places of one kind of problem that are named, and kinds of problem that are shown one by one.
PLACES_SHOWN = 10
KINDS_SHOWN = 30

#: rich styles of the lines' first signs.
STYLES = {"✗": "bold red", "！": "bold yellow", "✓": "bold green", "·": "dim"}


def lines(report: Report) -> Iterator[str]:
    """What a person reads: what the file is, its problems by kind with places and cure, totals, notes."""
    if report.contract:
        title = f"“{report.contract.title}”（{report.contract.dataset}）"
        yield f"{report.file}：按{title}检查" + ("（根据表头判断，可用 --dataset 另行指定）" if report.guessed else "")
    else:
        yield report.file
    if not report.unreadable:
        yield f"共 {report.rows_in} 行：合格 {report.rows_in - report.rows_bad} 行，不合格 {report.rows_bad} 行"
    if report.is_clean:
        yield "✓ 没有发现问题"
    else:
        yield from _problems(report)
    for note in report.notes:
        yield f"· 提示：{note}"


def place(report: Report, problem: Problem) -> str:
    """Where a problem is, in the terms of the file: line, sheet row with its cell, or record."""
    if problem.row is None:
        return "整个文件"
    if report.table.header_row == 0 and report.table.cells:
        return f"第 {problem.row} 条记录"
    if report.table.is_sheet and problem.header in report.table.positions:
        column = report.table.first_column + report.table.positions[problem.header or ""]
        return f"第 {problem.row} 行（单元格 {xl_rowcol_to_cell(problem.row - 1, column)}）"
    return f"第 {problem.row} 行"


def _problems(report: Report) -> Iterator[str]:
    groups: dict[tuple[str, str | None, str, str], list[Problem]] = {}
    for problem in report.problems:
        groups.setdefault((problem.code, problem.header, problem.text, problem.remedy), []).append(problem)
    ordered = sorted(groups.values(), key=lambda group: (group[0].row is not None, group[0].level, -len(group)))
    for group in ordered[:KINDS_SHOWN]:
        yield from _group(report, group)
    if len(ordered) > KINDS_SHOWN:
        yield f"……另有 {len(ordered) - KINDS_SHOWN} 类问题没有列出；用 --out 生成的表格里有全部"
    totals = Counter(problem.code for problem in report.problems if problem.row is not None)
    if totals:
        names = {problem.code: _kind(problem) for problem in report.problems}
        yield "合计：" + "；".join(f"{names[code]} {count} 处" for code, count in totals.most_common())


def _group(report: Report, group: list[Problem]) -> Iterator[str]:
    first = group[0]
    sign = "✗" if first.level == "error" else "！"
    if first.row is None:
        yield f"{sign} 整个文件：{first.text}"
        yield f"    办法：{first.remedy}"
        return
    where = f"{_column(report, first.header)}列" if first.header else "整行"
    yield f"{sign} {where}：{first.text}，{len(group)} 行"
    yield f"    办法：{first.remedy}"
    for problem in group[:PLACES_SHOWN]:
        yield f"    {place(report, problem)}{_shown(problem)}"
    if len(group) > PLACES_SHOWN:
        yield f"    ……另有 {len(group) - PLACES_SHOWN} 行"


def _column(report: Report, header: str) -> str:
    """The column as the file calls it, ours behind it where a county's profile spells it otherwise."""
    position = report.table.positions.get(header)
    theirs = header if position is None else report.table.cells[position]
    return f"“{header}”" if theirs == header else f"“{theirs}”（{header}）"


def _shown(problem: Problem) -> str:
    if not problem.shown:
        return ""
    return f"：{problem.shown}" if problem.code == "duplicate_key" else f"，形如 {problem.shown}"


def _kind(problem: Problem) -> str:
    """The kind of a problem in a few words, without what is particular to one of them."""
    text = EXPLANATIONS[problem.code].text
    return text.rpartition("：")[2] if "{" in text else re.split("[：，（]", text)[0]
