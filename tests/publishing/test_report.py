"""The report of a period: every section from the published file, texts of others escaped, linked from the summary."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ingestion.errors import BadParameter
from ingestion.home import Home
from publishing import publish
from publishing.cli import main
from publishing.report import write_report
from tests.publishing.warehouses import hand_made_run


def test_each_section_says_what_is_published(home: Home) -> None:
    with pytest.raises(BadParameter, match="nothing is published"):
        write_report(home, "2022-07")
    for version in (1, 2):
        hand_made_run(home, f"run{version}", ["2022-07"], version=version)
        publish(home, f"run{version}")
    path = write_report(home, "2022-07")
    text = path.read_text(encoding="utf-8")
    assert path == home.root / "reports" / "2022-07-r2.html"
    assert '<td class="n">9</td><td class="n">7</td><td class="n">2</td>' in text, "delivered, loaded, quarantined"
    assert "主键为空" in text and "多出的列" in text and "托里镇八家户" in text and "八家户农场" in text
    assert "缺报 9 项" in text and "工单明细 2022-07" in text
    assert "2022-07-r1" in text and '1.00</td><td class="n">2.00' in text and "网办率" in text
    assert "&lt;b&gt;托里镇&lt;/b&gt;" in text and "<b>" not in text
    with pytest.raises(BadParameter, match="not published"):
        write_report(home, "2022-08")


def test_an_identity_that_does_not_hold_and_a_first_revision(home: Home) -> None:
    import duckdb

    from publishing.report import _content

    folder = hand_made_run(home, "run1", ["2022-07"], version=1)
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        connection.execute("INSERT INTO audit.reconciliation VALUES ('cms_posts', false)")
        content = _content(connection, "2022-07")
    assert content and content["unbalanced"] == [{"dataset": "cms_posts"}] and content["differences"] == []


def test_the_summary_writes_it_and_says_where(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAO_HOME", str(home.root))
    hand_made_run(home, "run1", ["2022-07"], version=1)
    publish(home, "run1")
    shown = CliRunner().invoke(main, ["summary", "2022-07"])
    assert shown.exit_code == 0 and "运行报告" in shown.output
    assert Path(home.root / "reports" / "2022-07-r1.html").is_file()
    printed = CliRunner().invoke(main, ["report", "2022-07"]).output
    assert printed.strip() == str(home.root / "reports" / "2022-07-r1.html")
