"""The command line: what it prints, and that its exit codes say what happened."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ingestion.cli import main
from tests.ingestion.deliveries import Exports, good_row

CASES = "platform_cases"


@pytest.fixture
def run(exports: Exports, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("TONGBAO_HOME", str(exports.home.root))
    for system in ("PLATFORM", "HOTLINE", "CMS"):
        monkeypatch.setenv(f"TONGBAO_{system}_URI", exports.root.as_uri())

    def command(*arguments: str | Path) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return command


def test_pull_load_status_rebuild(exports: Exports, run) -> None:  # type: ignore[no-untyped-def]
    exports.put(CASES, [good_row(CASES, 1), good_row(CASES, 2) | {"channel": "电话"}])
    exports.put("hotline_calls", [good_row("hotline_calls", 1)], month="2022-08")
    pulled = run("pull")
    assert pulled.exit_code == 0, pulled.output
    assert "2022-07 platform_cases: 1 files, landed" in pulled.output and "2022-08 hotline_calls" in pulled.output
    loaded = run("load", "--no-validate")
    assert loaded.exit_code == 0, loaded.output
    assert "2022-07 platform_cases: accepted: 2 rows in, 1 loaded, 1 quarantined" in loaded.output
    assert run("load", "--no-validate").output == ""
    assert "unchanged" in run("load", CASES, "--no-validate").output
    status = run("status")
    assert "platform_cases" in status.output and "accepted" in status.output
    assert run("rebuild").output.strip() == "2 files rebuilt"


def test_failures_are_told_and_the_rest_goes_on(exports: Exports, run) -> None:  # type: ignore[no-untyped-def]
    exports.put(CASES, b"nonsense")
    exports.put("hotline_calls", [good_row("hotline_calls", 1)])
    assert run("pull").exit_code == 0
    loaded = run("load", "--no-validate")
    assert loaded.exit_code == 2
    assert "platform_cases: DeliveryRefused: export.csv" in loaded.output
    assert "hotline_calls: accepted" in loaded.output
    assert "refused" in run("status").output


def test_parameters_that_are_none(run, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    assert run("pull", CASES, "--month", "2022-7").exit_code == 2
    assert run("pull", "no_such_dataset").exit_code == 2
    monkeypatch.delenv("TONGBAO_PLATFORM_URI")
    missing = run("pull", CASES)
    assert missing.exit_code == 2 and "TONGBAO_PLATFORM_URI" in missing.output
    secret = run("pull", CASES, "--month", "2022-07", "--from", "ftp://user:hunter2@host/x")
    assert secret.exit_code == 2 and "hunter2" not in secret.output


@pytest.mark.parametrize("command", [[], ["pull"], ["load"], ["check"], ["status"], ["rebuild"], ["aliases"]])
def test_help_everywhere(run, command: list[str]) -> None:  # type: ignore[no-untyped-def]
    shown = run(*command, "--help")
    assert shown.exit_code == 0 and "Usage:" in shown.output
