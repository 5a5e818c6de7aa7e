"""Which page of docs/runbook an alarm has, and the first step that it says: a page's name is the alarm's."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ingestion.home import PROJECT

PAGES = PROJECT / "docs" / "runbook"

#: Alarms without a class of the project: what any other error is.
UNKNOWN = "Unforeseen"

#: The heading under which each page says what to do; its first numbered line goes into the alert.
TO_DO = "## What to do 处理"


def page_of(*kinds: str) -> str:
    """Name of the first page that there is for these alarms: an error's class, then those above it."""
    return next((kind for kind in kinds if (PAGES / f"{kind}.md").is_file()), UNKNOWN)


@cache
def first_step(page: str) -> str:
    """The first step of the page, in one line."""
    path: Path = PAGES / f"{page}.md"
    if not path.is_file():
        return "read the task's log"
    steps = path.read_text(encoding="utf-8").partition(TO_DO)[2]
    return next((line[3:].strip() for line in steps.splitlines() if line.startswith("1. ")), "read the page")


def expectation_pages() -> dict[str, str]:
    """File name -> text of the page of each critical expectation, and of their index; made from the suites."""
    from expectations.judge import read_expectations, suite_files
    from expectations.store import bounds

    pages: dict[str, str] = {}
    rows = []
    for path in suite_files():
        edge = "published" if path.stem == "published" else "load"
        for expectation in read_expectations(path.stem):
            if expectation["severity"] != "critical":
                continue
            meta, kwargs = expectation["meta"], expectation["kwargs"]
            must = bounds({"min": kwargs.get("min_value"), "max": kwargs.get("max_value")})
            name = f"{path.stem}.{meta['name']}.md"
            pages[name] = _EXPECTATION.format(
                name=meta["name"],
                title_zh=meta["title_zh"],
                title_en=meta["title_en"],
                bound=f"{must} {meta['unit']}",
                reason=meta["threshold_reason"],
                measure=kwargs["column"],
                suite=path.name,
                **_EDGES[edge],
            )
            rows.append(f"| {meta['title_zh']} {meta['title_en']} | {must} | [{name}]({name}) |")
    pages["README.md"] = "\n".join([_INDEX, *rows, ""])
    return pages


def write_expectation_pages() -> list[Path]:
    """Writes the pages of the critical expectations; those of expectations that are gone are removed."""
    folder = PAGES / "expectations"
    folder.mkdir(parents=True, exist_ok=True)
    pages = expectation_pages()
    for path in folder.glob("*.md"):
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in sorted(pages)]


_INDEX = """# Critical expectations 严重校验项

Made by `python -m upkeep runbook` from `expectations/suites`. One that fails at the load edge refuses the delivery
([DeliveryRefused](../DeliveryRefused.md)), one at the published edge the release ([AuditFailed](../AuditFailed.md)).

| expectation 校验项 | must be 须 | page |
|---|---|---|"""

_EXPECTATION = """# {name}: {title_zh}

## What it means 含义

{title_en}: must be {bound}. Why this bound: {reason}. {what}

## What to look at 查看

- {where}: the observed figure, the bound, and up to twenty failing rows by business key, file and row
- the measure `{measure}` in `expectations/measures`, and `expectations/suites/{suite}`

## What to do 处理

{steps}

## To undo 撤销

Nothing to undo: nothing was changed. A bound that is wrong is changed in the suite with a dated reason, then
`python -m expectations --write`.
"""

_EDGES = {
    "load": {
        "what": "The delivery was refused as a whole; the dataset keeps its last good state.",
        "where": "`$TONGBAO_HOME/validation/load/<dataset>/<month>/`",
        "steps": "1. send the failing rows to whoever made the export and ask for a corrected delivery of the month.\n"
        "2. `python -m ingestion check FILE` shows in the file itself what is wrong.\n"
        "3. When it is delivered, trigger `pull_<system>` with the month as partition key.",
    },
    "published": {
        "what": "Nothing was published; the last release goes on being served.",
        "where": "`$TONGBAO_HOME/validation/published/`",
        "steps": "1. compare the figure with the last release's (`published/current/data_docs/index.html`): is it the "
        "data, a rule, or the code?\n"
        "2. Data: have the delivery corrected and pull it again; a rule or code: mend it.\n"
        "3. Trigger `replay` for the period with a reason, or `python -m publishing run --reason … 2022-07`.",
    },
}
