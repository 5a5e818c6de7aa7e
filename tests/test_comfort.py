"""What a new data engineer finds on the first day works as the pages say: hooks, container, commands."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import yaml

from ingestion.home import PROJECT

MAKEFILE = (PROJECT / "Makefile").read_text("utf-8")
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


def test_the_hooks_are_what_lint_checks_by_tools_that_are_installed() -> None:
    (repository,) = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert repository["repo"] == "local"  # nothing is fetched from elsewhere
    lint = MAKEFILE.partition("\nlint:")[2].partition("\n\n")[0]
    checked = {tuple(words.split()[:2]) for words in re.findall(r"\$\(BIN\)/(.*)", lint)}
    hooked = set()
    for hook in repository["hooks"]:
        program, *words = hook["entry"].split()
        assert hook["language"] == "system" and program.startswith(".venv/bin/")
        assert (Path(sys.executable).parent / Path(program).name).exists(), program
        hooked.add(tuple([Path(program).name, *words][:2]))
    assert {name[:1] for name in hooked} == {name[:1] for name in checked}
    assert {("ruff", "check"), ("ruff", "format"), ("sqlfluff", "lint")} <= hooked


def test_the_container_has_what_the_two_commands_need() -> None:
    text = (PROJECT / ".devcontainer" / "devcontainer.json").read_text("utf-8")
    settings = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    assert re.fullmatch(r"mcr\.microsoft\.com/devcontainers/python:\d+-3\.11-[a-z]+", settings["image"])
    command, target = settings["postCreateCommand"].split()
    assert command == "make" and target in TARGETS
    assert settings["remoteEnv"]["TONGBAO_HOME"].endswith("/var")


def test_every_command_of_the_pages_is_one_of_the_makefile() -> None:
    pages = [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")]
    named = {word for page in pages for word in re.findall(r"`make ([a-z]+)", page.read_text("utf-8"))}
    assert named - TARGETS == set()
    assert {"run", "test", "dbt", "clients"} <= named
    # Each is in the overview that `make` prints.
    assert {line.partition(":")[0] for line in MAKEFILE.splitlines() if re.match(r"[a-z]+:.*## ", line)} == TARGETS
