"""Every alarm has its page, every page is of an alarm, and the commands that pages name exist."""

from __future__ import annotations

import importlib
import pkgutil
import re

import click
import pytest

import publishing.cli
from ingestion import cli as ingestion_cli
from ingestion.errors import TongbaoError
from ingestion.home import PROJECT
from upkeep import cli as upkeep_cli
from upkeep import runbook

#: Alarms that are no exception of the project.
OTHERS = {"Killed", "RunFailed", "disk-full"}
#: Pages that are no alarm.
GUIDES = {"README", "alerts", "operations"}
PACKAGES = ("ingestion", "publishing", "expectations", "upkeep", "dags")
CLIS: dict[str, click.Group] = {
    "ingestion": ingestion_cli.main,
    "publishing": publishing.cli.main,
    "upkeep": upkeep_cli.main,
}
PAGES = sorted(runbook.PAGES.rglob("*.md"))


def error_classes() -> dict[str, type[TongbaoError]]:
    """Every error that the project raises on purpose, from all its modules."""
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith(("__main__", "workbook_child")) and not module.name.startswith("dags."):
                importlib.import_module(module.name)
    importlib.import_module("dags.failures")
    found: dict[str, type[TongbaoError]] = {}
    todo: list[type[TongbaoError]] = [TongbaoError]
    while todo:
        for each in todo.pop().__subclasses__():
            if each.__module__.partition(".")[0] in PACKAGES:
                found[each.__name__] = each
                todo.append(each)
    return found


def has_page(kind: type[TongbaoError]) -> bool:
    """A page of its own, or that of a class above it which says more than whether to try again."""
    page = runbook.page_of(*(each.__name__ for each in kind.__mro__))
    return page == kind.__name__ or page not in ("Transient", "Permanent", runbook.UNKNOWN)


def test_every_error_class_has_a_page_and_every_page_an_alarm() -> None:
    classes = error_classes()
    pages = {path.stem for path in runbook.PAGES.glob("*.md")}
    missing = {name for name, each in classes.items() if not has_page(each)} | (OTHERS - pages)
    assert missing == set(), "write a page for each"
    assert pages - set(classes) - OTHERS - GUIDES == set(), "pages of alarms that are gone"


def test_a_class_without_a_page_is_noticed() -> None:
    class NewAlarm(TongbaoError):
        """Of this test."""

    NewAlarm.__module__ = "ingestion.errors"
    assert "NewAlarm" in error_classes() and not has_page(NewAlarm)
    assert runbook.page_of("NewAlarm") == "Unforeseen"
    NewAlarm.__module__ = "tests"


@pytest.mark.parametrize("path", [p for p in PAGES if p.stem not in GUIDES], ids=lambda path: path.stem)
def test_a_page_says_what_to_look_at_what_to_do_and_how_to_undo(path) -> None:
    text = path.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["What it means 含义", "What to look at 查看", "What to do 处理", "To undo 撤销"]
    assert text.startswith(f"# {path.stem.rpartition('.')[2]}: ")
    assert re.search(r"^1\. \S", text.partition(runbook.TO_DO)[2], re.MULTILINE)


def test_the_index_lists_every_page_once_and_every_link_leads_somewhere() -> None:
    index = (runbook.PAGES / "README.md").read_text(encoding="utf-8")
    for page in runbook.PAGES.glob("*.md"):
        if page.stem != "README":
            assert index.count(f"]({page.name})") == 1, page.name
    for path in PAGES:
        for link in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_pages_of_expectations_are_those_of_the_suites() -> None:
    kept = {path.name: path.read_text(encoding="utf-8") for path in (runbook.PAGES / "expectations").glob("*.md")}
    assert kept == runbook.expectation_pages(), "python -m upkeep runbook writes them"
    assert len(kept) > 20


def commands(text: str) -> list[tuple[str, str]]:
    return re.findall(r"python -m ([a-z_]+)((?: [a-z-]+)?(?: (?:--[a-z-]+|[^\s`|]+))*)", text)


def test_the_commands_and_options_of_the_pages_exist() -> None:
    seen = 0
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for module, rest in commands(text):
            words = rest.split()
            if module in CLIS and words:
                command = CLIS[module].commands.get(words[0])
                assert command, f"{path.name}: python -m {module} {words[0]}"
                known = {option for each in command.params for option in each.opts}
                options = {word.rstrip(".,;:") for word in words[1:] if word.startswith("--")}
                assert options <= known, f"{path.name}: {module} {words[0]} {options - known}"
                seen += 1
            else:
                assert (PROJECT / module / "__main__.py").is_file(), f"{path.name}: {module}"
        for target in re.findall(r"`make ([a-z]+)", text):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{path.name}: make {target}"
        for place in re.findall(r"`((?:upkeep|expectations|dbt_project|docs)/[\w./-]+)`", text):
            assert (PROJECT / place).exists(), f"{path.name}: {place}"
    assert seen > 30


def test_the_first_step_goes_into_the_alert() -> None:
    for path in runbook.PAGES.glob("*.md"):
        if path.stem not in GUIDES:
            assert 20 < len(runbook.first_step(path.stem)) < 300, path.name
