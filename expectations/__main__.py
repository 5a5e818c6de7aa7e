"""``python -m expectations``: the suites and what they expect; ``--write`` rewrites them as Great Expectations does."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.table import Table

from expectations.judge import read_expectations, suite_files, suite_text
from expectations.store import bounds


def main(arguments: list[str] | None = None) -> int:
    """List the expectations of every suite; 1 where a kept suite is not byte for byte what the library writes."""
    parser = argparse.ArgumentParser(prog="python -m expectations", description=__doc__)
    parser.add_argument("--write", action="store_true", help="rewrite the suites in the library's own form")
    options = parser.parse_args(arguments)
    console, differing = Console(), []
    table = Table(title="数据校验规则 expectation suites")
    for heading in ("suite", "severity", "expectation", "measure", "must be"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "suite")
    for path in suite_files():
        for expectation in read_expectations(path.stem):
            kwargs = expectation["kwargs"]
            limits = {"min": kwargs.get("min_value"), "max": kwargs.get("max_value")}
            table.add_row(
                path.stem,
                expectation["severity"],
                f"{expectation['meta']['title_zh']}\n[dim]{expectation['meta']['title_en']}[/]",
                kwargs["column"],
                bounds(limits),
            )
        text = suite_text(path)
        if options.write:
            path.write_text(text, encoding="utf-8")
        elif text != path.read_text(encoding="utf-8"):
            differing.append(path.name)
    console.print(table)
    for name in differing:
        console.print(f"{name} differs from what the library writes: run python -m expectations --write")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
