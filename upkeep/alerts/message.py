"""The text of an alert: which DAG, task and month, why, and what to do. Bounded, and without personal data."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ingestion.errors import TongbaoError
from ingestion.personal_numbers import masked
from upkeep import runbook

#: Characters of each part; the whole stays below the 4,096 bytes that WeCom allows.
REASON_CHARACTERS = 260
NAME_CHARACTERS = 60


@dataclass(frozen=True)
class Alert:
    """What is told; ``kind`` is the error's class."""

    dag: str
    task: str
    month: str
    kind: str
    reason: str
    #: Name of the page to read: the error's class, or the nearest one above it that has a page.
    page: str = runbook.UNKNOWN

    @property
    def title(self) -> str:
        """One line: what failed, where."""
        return f"[通报 tongbao] {self.dag} {self.month} 失败: {self.kind}"

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Label and text, in the order in which they are read."""
        return [
            ("流程 DAG", self.dag),
            ("任务 task", self.task),
            ("月份 month", self.month),
            ("原因 reason", f"{self.kind}: {self.reason}" if self.reason else self.kind),
            ("处理 what to do", runbook.first_step(self.page)),
            ("手册 runbook", runbook_link(self.page)),
        ]

    @property
    def text(self) -> str:
        """All of it as plain text."""
        return "\n".join([self.title, *(f"{label}: {text}" for label, text in self.lines)])

    @property
    def markdown(self) -> str:
        """All of it as the Markdown that WeCom and DingTalk both show."""
        return "\n".join(
            [f"### {_quoted(self.title)}", *(f"> {label}: {_quoted(text)}\n" for label, text in self.lines)]
        )


def alert_of(*, dag: str, task: str, month: str, error: object) -> Alert:
    """The alert for an error; the text of one that the project did not raise is withheld: it could hold a row."""
    if isinstance(error, TongbaoError):
        reason = " ".join(masked(str(error)).split())
    else:
        reason = (
            "an unforeseen error; its text is only in the task's log" if error else "the task was ended from outside"
        )
    kind = type(error).__name__ if error else "Killed"
    return Alert(
        dag=_cut(dag, NAME_CHARACTERS),
        task=_cut(task, NAME_CHARACTERS),
        month=_cut(month, 20) or "—",
        kind=_cut(kind, NAME_CHARACTERS),
        reason=_cut(reason, REASON_CHARACTERS),
        page=runbook.page_of(*(each.__name__ for each in type(error).__mro__)) if error else kind,
    )


def runbook_link(page: str) -> str:
    """Where this page of the runbook is: under TONGBAO_RUNBOOK_URL, else its path in the project."""
    base = os.environ.get("TONGBAO_RUNBOOK_URL", "docs/runbook").rstrip("/")
    return f"{base}/{page}.md"


def _cut(text: str, length: int) -> str:
    plain = "".join(sign if sign.isprintable() else " " for sign in masked(str(text)))
    return plain if len(plain) <= length else plain[: length - 1] + "…"


def _quoted(text: str) -> str:
    """Text that neither becomes a link nor mentions people."""
    for sign in ("[", "]", "<", ">", "@", "`", "*"):
        text = text.replace(sign, {"[": "〔", "]": "〕", "<": "‹", ">": "›", "@": "＠", "`": "'", "*": "＊"}[sign])
    return text
