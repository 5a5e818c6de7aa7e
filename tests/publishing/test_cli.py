"""The command line: help for every command, exit code 1 and one line for an error made by people."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from ingestion.home import Home
from publishing import publish
from publishing.cli import main
from tests.publishing.warehouses import hand_made_run


@pytest.fixture
def command(home: Home, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("TONGBAO_HOME", str(home.root))
    return CliRunner()


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_explains_itself(command: CliRunner, name: str) -> None:
    result = command.invoke(main, [name, "--help"])
    assert result.exit_code == 0 and len(result.output.splitlines()) > 4


def test_releases_and_rollback(command: CliRunner, home: Home) -> None:
    for version in (1, 2):
        hand_made_run(home, f"run{version}", ["2022-07"], version=version)
        publish(home, f"run{version}")
    assert "2022-07-r2" in command.invoke(main, ["releases"]).output
    result = command.invoke(main, ["rollback", "--reason", "更正 [x]"])
    assert result.exit_code == 0 and "release 1 is served" in result.output
    assert "went back from 2 to 1 更正 [x]" in command.invoke(main, ["releases"]).output
    assert command.invoke(main, ["summary", "2022-07"]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "2022-99"], "BadParameter: not a month"),
        (["publish", "--run-id", "none"], "BadParameter: run none has no finished build"),
        (["rollback"], "BadParameter: nothing is published yet"),
        (["build", "--run-id", "../x", "2022-07"], "BadParameter: a run id"),
        (["run", "2022-07"], "nothing was published"),
    ],
)
def test_errors_of_people_are_one_line(command: CliRunner, arguments: list[str], said: str) -> None:
    result = command.invoke(main, arguments)
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output


def test_a_step_back_takes_the_documents_along(command: CliRunner, home: Home) -> None:
    for version in (1, 2):
        hand_made_run(home, f"run{version}", ["2022-07"], version=version)
        publish(home, f"run{version}")
    documents = home.published / "documents"
    for number in (1, 2):
        (documents / str(number)).mkdir(parents=True)
    (documents / "current").symlink_to("2")
    assert "not written yet" not in command.invoke(main, ["rollback"]).output
    assert (documents / "current").readlink().name == "1"
    (documents / "2").rmdir()
    assert "not written yet: python -m publishing documents" in command.invoke(main, ["rollback", "--to", "2"]).output
    assert not (documents / "current").is_symlink(), "none rather than another release's"
