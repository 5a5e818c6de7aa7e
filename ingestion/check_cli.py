"""``ingestion check``: what is wrong with an export file, as text and as a marked copy."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from ingestion.contracts import CONTRACTS


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dataset", type=click.Choice(sorted(CONTRACTS)), help="Default: what the file's headers say.")
@click.option("--month", help="Month of delivery, YYYY-MM. Default: what the file's folder says.")
@click.option(
    "--out",
    is_flag=False,
    flag_value="",
    help="Write a marked copy (.xlsx) there; without a name beside the file as FILE.检查.xlsx. "
    "It holds the file's rows, personal data included.",
)
def check(file: Path, dataset: str | None, month: str | None, out: str | None) -> None:
    """Say what is wrong in an export file, where, and how to mend it (检查导出文件).

    Exit code 0: nothing to mend. 1: something. 2: the file cannot be read at all, or the question was wrong.
    """
    from ingestion import check_copy, check_text
    from ingestion.check import check_file

    report = check_file(file, dataset, month, keep_rows=out is not None)
    console = Console(highlight=False, markup=False)
    for line in check_text.lines(report):
        console.print(line, style=check_text.STYLES.get(line[0]), soft_wrap=True)
    if out is not None:
        target = Path(out) if out else check_copy.default_target(file)
        check_copy.write_copy(report, file, target)
        console.print(f"已写出标注副本：{target}", soft_wrap=True)
        console.print("  副本含有原文件的数据（包括个人信息），只供制表人改正用：不要转发，用完请删除", soft_wrap=True)
        if report.rows_in > check_copy.ROWS_COPIED_MOST:
            console.print("  文件较大，副本里只有有问题的行", soft_wrap=True)
    raise SystemExit(report.exit_code)
