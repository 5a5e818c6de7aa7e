"""Every reason for which a file, row or value is set aside or reported: one code, one Chinese sentence, one cure.

Readers say in English what is wrong (for logs and the ledger); ``explain`` finds the entry of this table that such a
text belongs to. ``tests/ingestion/test_check_explanations.py`` walks the sources: a reason without an entry fails it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ingestion.quarantine import REASONS


@dataclass(frozen=True)
class Explanation:
    """A reason: what people read, and how to mend it."""

    code: str
    text: str
    remedy: str


@dataclass(frozen=True)
class _Entry:
    """``pattern`` finds the English text of a reader; the sentences may name its groups as ``{name}``."""

    code: str
    pattern: str
    text: str
    remedy: str


_AGAIN = "从系统重新导出一次，再交付"
_SAVE_XLSX = "用 Excel 打开，另存为“Excel 工作簿（.xlsx）”后再交付"

#: A row that a reader could not take apart. The first entry that fits counts.
_ROWS = (
    _Entry(
        "wrong_width",
        r"^(?P<found>\d+) fields where the header has (?P<wanted>\d+)$",
        "本行有 {found} 个字段，表头有 {wanted} 个：多了或少了分隔符",
        "找出本行多出或缺少的逗号；内容里本来就有逗号的，用英文双引号把整个单元格括起来",
    ),
    _Entry(
        "swallowed_rows",
        r"^a quoted field that holds whole rows",
        "一个带引号的单元格吞掉了后面整行整行的内容：前后各有一个多余的引号",
        "删去本行多余的英文双引号（内容里要用引号时写成两个），或从系统重新导出",
    ),
    _Entry(
        "other_encoding",
        r"^characters in another encoding than the file's$",
        "本行的文字编码与文件其余部分不同，会变成乱码",
        "不要把两个文件的内容直接拼在一起；统一另存为 UTF-8 后再交付",
    ),
    _Entry(
        "text_after_quote",
        r"^text after the closing quote of a field$",
        "引号结束之后还有文字：单元格里有没有写成两个的引号",
        '内容里的英文双引号要写成两个（""），或改用中文引号“”',
    ),
    _Entry(
        "return_in_field",
        r"^a carriage return inside a field without quotes$",
        "单元格中间有回车符，而单元格没有用引号括起来",
        "删去单元格里的换行，或用英文双引号把整个单元格括起来",
    ),
    _Entry(
        "quote_in_field",
        r"^a quote inside a field without quotes$",
        "单元格中间出现了英文双引号，而单元格没有用引号括起来",
        "删去这个引号，或改用中文引号“”",
    ),
    _Entry(
        "unclosed_quote_row",
        r"^a quoted field that is never closed$",
        "单元格开头的引号一直没有结束",
        "补上结尾的英文双引号，或删去开头的引号",
    ),
    _Entry(
        "value_without_header_row",
        r"^value in column (?P<column>\d+), which has no header$",
        "第 {column} 列没有表头，本行在该列却有内容：本行可能整体错位",
        "核对本行各列是否右移了一格；确是多余内容的，清空该列",
    ),
    _Entry(
        "excel_error",
        r"^an error value of Excel",
        "单元格是 Excel 的错误值（#N/A、#REF! 等）",
        "改正或删去出错的公式，粘贴为数值",
    ),
)

#: A file that cannot be used as a whole.
_FILES = (
    _Entry(
        "old_or_encrypted",
        r"an encrypted or old \(\.xls\) workbook",
        "文件是加了密码的工作簿，或是旧格式的 .xls",
        "去掉打开密码，" + _SAVE_XLSX,
    ),
    _Entry("encrypted_workbook", r"an encrypted workbook", "工作簿加了密码", "去掉打开密码后再交付"),
    _Entry(
        "web_page",
        r"a web page or XML, not a table",
        "文件其实是网页或 XML，不是表格（常见于改名为 .xls 的网页）",
        "从系统导出为 .csv、.xlsx 或 .json",
    ),
    _Entry(
        "unknown_ending",
        r"unknown ending",
        "不认识文件的后缀",
        "交付 .csv、.xlsx 或 .json，或它们各自的 .zip、.gz 压缩包",
    ),
    _Entry("not_xlsx", r"not an XLSX workbook", "文件名是 .xlsx，内容却不是 Excel 工作簿", _SAVE_XLSX),
    _Entry(
        "packed_under_other_name",
        r"packed content under the name",
        "文件内容是压缩包或工作簿，后缀却不是",
        "把后缀改成真实的格式（.xlsx、.zip、.gz）",
    ),
    _Entry("damaged_archive", r"a damaged or cut \.(?P<kind>gz|zip)", ".{kind} 压缩包损坏或不完整", "重新压缩后再交付"),
    _Entry(
        "archive_members",
        r"(?P<count>\d+) files in the \.zip where one is expected",
        "压缩包里有 {count} 个文件，只能有一个",
        "一个压缩包只放一张表",
    ),
    _Entry("encrypted_archive", r"the \.zip is encrypted", "压缩包加了密码", "去掉压缩密码后再交付"),
    _Entry(
        "unpacks_too_large",
        r"unpacks to (?:more than|far more)",
        "解压后的大小远超正常范围",
        "不压缩直接交付，或分成几个文件",
    ),
    _Entry(
        "empty_file",
        r"the file is empty|the first visible sheet is empty",
        "文件是空的",
        "当月没有业务时，也要交付一个只有表头的文件",
    ),
    _Entry(
        "lone_returns", r"lines end in CR alone", "行尾只有回车符（CR），没有换行符", "另存为 CRLF 或 LF 换行的 CSV"
    ),
    _Entry(
        "above_header",
        r"(?:line|row) (?P<row>\d+) above the header is neither a title nor blank",
        "表头上方第 {row} 行既不是标题也不是空行：可能有两行表头",
        "只保留一行表头，删去上方多余的行",
    ),
    _Entry(
        "unclosed_quote",
        r"a quoted field that starts in line (?P<row>\d+) is never closed",
        "从第 {row} 行开始的一个引号一直没有结束，后面的内容都分不清",
        "在该行补上或删去英文双引号；拿不准时" + _AGAIN,
    ),
    _Entry("utf32", r"UTF-32 is not supported", "文件编码是 UTF-32", "另存为 UTF-8"),
    _Entry(
        "undecodable",
        r"near line (?P<row>\d+): neither UTF-8 nor",
        "第 {row} 行附近的文字既不是 UTF-8，也不是 GB18030 编码",
        "另存为 UTF-8 编码的 CSV 后再交付",
    ),
    _Entry(
        "damaged_utf8",
        r"byte (?P<byte>\d+) \(line (?P<row>\d+)\) is not UTF-8, though the file is",
        "文件是 UTF-8 编码，但第 {row} 行（第 {byte} 字节）已损坏",
        _AGAIN,
    ),
    _Entry(
        "column_twice",
        r"column (?P<column>.+) stands twice in (?:the header|a row)",
        "“{column}”列出现了两次",
        "删去其中一列",
    ),
    _Entry(
        "missing_columns",
        r"header \(row (?P<row>\d+)\) lacks (?P<missing>.+?)(?:; unknown: (?P<unknown>.+?))?; add the missing",
        "表头（第 {row} 行）缺少必需的列：{missing}",
        "补上缺少的列{renamed}",
    ),
    _Entry(
        "missing_columns",
        r"the header lacks (?P<missing>.+?) \(our (?P<column>.+?)\)",
        "表头缺少必需的列：{missing}（对应“{column}”）",
        "补上缺少的列；改了列名的，请数据管理员更新本县的字段对照",
    ),
    _Entry(
        "two_for_one",
        r"(?P<found>\S+) both stand for (?P<column>[^;]+)",
        "{found} 都对应“{column}”，只能有一列",
        "删去其中一列",
    ),
    _Entry("missing_columns", r"no row has (?P<missing>.+?)(?:;|$)", "每一行都缺少必需的列：{missing}", "补上缺少的列"),
    _Entry(
        "no_header",
        r"no header line of (?P<title>.+) in the first (?P<rows>\d+) rows",
        "前 {rows} 行里找不到“{title}”的表头",
        "第一行写表头，列名与导出说明一致；数据类别选错时用 --dataset 指明",
    ),
    _Entry("json_row_no_object", r"a row that is no object", "rows 里有一条记录不是 {{列名: 值}} 的形式", _AGAIN),
    _Entry("json_not_utf8", r"not UTF-8 ", "JSON 文件不是 UTF-8 编码", "另存为 UTF-8"),
    _Entry(
        "json_nested",
        r"nested too deeply, or a number with thousands of digits",
        "JSON 嵌套过深，或有位数过多的数字",
        _AGAIN,
    ),
    _Entry(
        "json_no_page",
        r"no JSON page object|no list of rows",
        'JSON 不是约定的形式 {{"dataset": …, "rows": […]}}',
        "按接口的分页对象导出；当月没有业务时 rows 写成 []",
    ),
    _Entry("json_key_twice", r"a key that stands twice in one object", "JSON 的同一个对象里有两个相同的键", _AGAIN),
    _Entry("json_rest", r"something follows the page object", "JSON 对象结束之后还有内容", "一个文件只放一个对象"),
    _Entry("json_endless_row", r"no end of a row", "有一条记录过长，找不到结尾", _AGAIN),
    _Entry("json_nan", r"NaN or Infinity", "JSON 里有 NaN 或 Infinity", "没有值时写 null"),
    _Entry("json_cut", r"no JSON", "不是完整的 JSON，文件可能被截断", _AGAIN),
    _Entry(
        "other_dataset",
        r"the page is of another dataset",
        "文件里写明的数据类别（dataset）与要检查的不同",
        "放到对应类别的文件夹，或用 --dataset 指明",
    ),
    _Entry(
        "json_period",
        r"the page's period is no text",
        "JSON 里的月份（period）不是文字",
        '写成 "period": "2022-07" 的形式',
    ),
    _Entry(
        "nested_cell",
        r"a list or object in column (?P<column>.+?)(?:;|$)",
        "“{column}”列的值是列表或对象",
        "单元格只能是文字、数字或 null",
    ),
    _Entry(
        "half_character",
        r"half a surrogate pair in column (?P<column>.+?)(?:;|$)",
        "“{column}”列有半个字符（残缺的 \\u 转义）",
        _AGAIN,
    ),
    _Entry(
        "too_many_damaged",
        r"more than (?P<count>\d+) damaged rows, the first in row (?P<row>\d+)",
        "结构损坏的行超过 {count} 行，第一处在第 {row} 行",
        _AGAIN,
    ),
    _Entry(
        "second_header",
        r"a second header in row (?P<row>\d+)",
        "第 {row} 行又出现了表头：两行表头，或一个文件里放了两张表",
        "一个文件只放一张表、一行表头",
    ),
    _Entry(
        "beyond_limits",
        r"it could not be read within the limits",
        "在规定的内存和时间内读不完这个工作簿",
        _SAVE_XLSX + "；很大时分成几个文件",
    ),
    _Entry(
        "formula_without_value",
        r"a formula without a stored value in row (?P<row>\d+), column (?P<column>.+?)(?:;|$)",
        "第 {row} 行“{column}”列是没有保存结果的公式",
        "用 Excel 打开后保存一次（或粘贴为数值），再交付",
    ),
    _Entry(
        "merged_cells",
        r"merged cells in row (?P<row>\d+)",
        "第 {row} 行有合并单元格，分不清值属于哪几行",
        "取消合并，每个单元格都填上值",
    ),
    _Entry("macros", r"a workbook with macros", "工作簿带有宏", "另存为不带宏的 .xlsx"),
    _Entry("no_sheet", r"no visible worksheet", "没有可见的工作表", "把数据放在第一个可见的工作表"),
    _Entry(
        "full_of_errors",
        r"a workbook full of errors and formulas",
        "工作簿里满是错误值和没有结果的公式",
        "用 Excel 打开并保存，粘贴为数值后再交付",
    ),
    _Entry(
        "damaged_workbook",
        r"a damaged workbook|its rows could not be counted|document type declaration",
        "工作簿已损坏或结构异常",
        _SAVE_XLSX,
    ),
    _Entry(
        "manifest_unreadable",
        r"manifest\.json is not",
        "清单 manifest.json 的写法不对",
        '写成 {{"files": [{{"name", "rows", "sha256"}}]}}',
    ),
    _Entry(
        "manifest_twice",
        r"manifest\.json names a file twice",
        "清单 manifest.json 里同一个文件写了两次",
        "每个文件只写一条",
    ),
)

#: What only a check says; the sentences are completed where they are used.
_CHECKS = {
    "too_many_bad_rows": ("不合格的行过多，整个文件会被退回", "按清单逐条改正后再交付"),
    "unknown_unit": ("单位名称不在单位别名表", "核对单位名称；确是新叫法的，请数据管理员执行 aliases add 登记"),
    "expired_unit": ("单位名称在业务发生日已停用", "改为现用名称；确应沿用的，请数据管理员调整别名的有效期"),
    "joined_units": ("两个单位写在了一起", "一行只写一个单位；属于两个单位的，分成两行"),
    "duplicate_key": ("主键在文件内重复", "只保留正确的一行；更正旧数据时保留更新时间最晚的一行即可"),
    "lost_personal_value": (
        "个人信息被 Excel 存成了数字，已失真，载入时将置空",
        "将该列设为“文本”格式，从系统重新导出",
    ),
    "manifest_unlisted": ("清单 manifest.json 没有列出本文件", "把本文件补进清单，或重新生成清单"),
    "manifest_hash": ("文件内容与清单的 sha256 不一致：交付途中被截断或改动过", "用原文件重新交付，或重新生成清单"),
    "manifest_rows": ("文件行数与清单不一致", "用完整的文件重新交付，或重新生成清单"),
    "manifest_missing_file": ("清单列出的文件不在同一文件夹", "补齐文件，或重新生成清单"),
    "wrong_folder": ("文件放错了文件夹", "移到对应类别的文件夹"),
    "wrong_month": ("文件里写明的月份与所在月份不同", "移到对应月份的文件夹，或重新导出"),
    "not_typed": ("数据无法识别", _AGAIN),
    "unexplained": ("文件不能使用", _AGAIN),
}

#: The signs that the texts of ``quarantine.REASONS`` write narrow.
_WIDE = str.maketrans(",;()", "，；（）")

#: code -> sentence and cure, of rows that do not fit, damaged rows, refused files and what only a check says. Those of
#: readers may hold the names of a pattern's groups; ``explain`` fills them in.
EXPLANATIONS: dict[str, Explanation] = {
    **{code: Explanation(code, text.translate(_WIDE), cure.translate(_WIDE)) for code, (text, cure) in REASONS.items()},
    **{entry.code: Explanation(entry.code, entry.text, entry.remedy) for entry in _ROWS + _FILES},
    **{code: Explanation(code, text, cure) for code, (text, cure) in _CHECKS.items()},
}


def explain_row(reason: str) -> Explanation:
    """Why a row is set aside: of a code of ``quarantine.REASONS`` or of a reader's English text."""
    return EXPLANATIONS[reason] if reason in REASONS else _explained(_ROWS, reason, "damaged_row")


def explain_refusal(message: str) -> Explanation:
    """Why a file is refused, of the English text of the refusal (with or without the file's name before it)."""
    return _explained(_FILES, message, "unexplained")


def _explained(entries: tuple[_Entry, ...], english: str, otherwise: str) -> Explanation:
    for entry in entries:
        if match := re.search(entry.pattern, english):
            groups = {name: value or "" for name, value in match.groupdict().items()}
            groups["renamed"] = _renamed(groups.get("unknown", ""))
            return Explanation(entry.code, entry.text.format(**groups), entry.remedy.format(**groups))
    found = EXPLANATIONS[otherwise]
    # Better an English sentence than none; a test keeps this from happening with the readers' own reasons.
    return Explanation(found.code, f"{found.text}（{english}）", found.remedy)


def _renamed(unknown: str) -> str:
    """What the unknown headers of a file may be meant for."""
    if not unknown:
        return ""
    shown = []
    for name in unknown.split("、"):
        meant = re.fullmatch(r"(.+) \(meant (.+)\?\)", name)
        shown.append(f"“{meant[1]}”是否应为“{meant[2]}”" if meant else f"“{name}”不在约定的列里")
    return "；文件里的" + "，".join(shown)
