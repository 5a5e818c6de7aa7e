"""The page: every number of it is found in the published file, its links lead somewhere, nothing small is printed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import pytest

from ingestion.contracts import CONTRACTS
from ingestion.home import Home
from publishing import releases
from publishing.labels import labels, period_name
from publishing.page import site_pages
from publishing.page.cells import At
from publishing.page.names import Names, unit_file
from publishing.page.ranking import add_up
from publishing.page.source import Source
from publishing.page.unit import Units
from publishing.page.withheld import Hidden
from publishing.small_cells import MARK, THRESHOLD, Withheld
from tests.end_to_end.page_figures import Finder, Node, Printed, agrees, parse, printed

#: Words of the templates that hold a digit; they are no figures.
_WORDS = ("derived.sql",)


@pytest.fixture(scope="module")
def source(notice_home: Home) -> Iterator[Source]:
    release = releases.served(notice_home)
    assert release
    with Source(release.warehouse) as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(page_folder: Path) -> dict[str, Node]:
    return {
        path.relative_to(page_folder).as_posix(): parse(path.read_text(encoding="utf-8"))
        for path in page_folder.rglob("*.html")
        if "data_docs" not in path.parts
    }


def unfound(page: Node, finder: Finder) -> list[Printed]:
    """Figures that the published file does not have as they are printed; withheld ones are looked at elsewhere."""
    return [
        figure
        for figure in printed(page)
        if figure.text != MARK and not ((values := finder.values(figure)) and agrees(figure, values))
    ]


@pytest.fixture(scope="module")
def finder(source: Source) -> Finder:
    return Finder(source.connection)


def test_every_number_is_found_in_the_published_file(pages: dict[str, Node], finder: Finder) -> None:
    wrong = {name: found[:3] for name, page in pages.items() if (found := unfound(page, finder))}
    assert not wrong
    counts = {name: sum(1 for _ in printed(page)) for name, page in pages.items()}
    assert sum(counts.values()) > 30_000
    assert all(counts[name] > 100 for name in counts if "/" in name or name == "index.html")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"<td>(\d)(\d)\.(\d\d)</td>", r"<td>\2\1.\g<3>1</td>"),
        (r"<td>\d+/(\d+)</td>", r"<td>999/\1</td>"),
        (r"<td>—</td>", "<td>1</td>"),
        (r'data-is="website/', 'data-is="media/'),
        (r"<td>2022-(\d\d)-\d\d ", r"<td>2021-\1-01 "),
    ],
)
def test_a_number_that_was_changed_is_noticed(page_folder: Path, finder: Finder, old: str, new: str) -> None:
    text = (page_folder / "2022-07" / "unit-U04.html").read_text(encoding="utf-8")
    changed, count = re.subn(old, new, text, count=1)
    assert count
    assert not unfound(parse(text), finder)
    assert unfound(parse(changed), finder)


def test_no_digit_stands_outside_the_figures_names_and_keys(pages: dict[str, Node], source: Source) -> None:
    names = Names(source)
    known = {*_WORDS, *(contract.title for contract in CONTRACTS.values())}
    known |= {unit["unit_name"] for unit in names.units}
    known |= {area["name_zh"] for areas in names.areas.values() for area in areas}
    known |= {metric["name_zh"] for metrics in names.metrics.values() for metric in metrics}
    known |= {period_name(period["period_code"]) for period in names.periods}
    known |= {f"{labels()['small_cells'].format(threshold=THRESHOLD)}"}
    for release in source.records("FROM marts.releases"):
        known |= {note.format(**release) for note in labels()["notes"]}
        known |= {release[name] for name in ("release", "reason", "rule_set", "period_code")}
    known |= {row["month"] for row in source.records("SELECT DISTINCT month FROM audit.deliveries")}
    known |= {row["unit_name"] for row in source.records("FROM audit.unmapped_units")}
    for name, page in pages.items():
        mine = known | {
            unquote(part) for row in page.all("tr") for part in row.attributes.get("data-is", "").split("/")
        }
        text = _outside_figures(page)
        for word in sorted(mine, key=len, reverse=True):
            text = text.replace(word, "") if word else text
        assert not re.findall(r".{0,20}\d+.{0,20}", text), name


def _outside_figures(node: Node) -> str:
    """The text of a page less its figures: data elements, and the cells of columns that name a field."""
    if node.tag in ("data", "script", "style"):
        return ""
    if node.tag == "td" and node.attributes.get("class") != "t":
        return ""
    return "".join(child if isinstance(child, str) else _outside_figures(child) for child in node.children) + "\n"


def test_parts_add_up_to_the_printed_score(pages: dict[str, Node]) -> None:
    rows = 0
    for name, page in pages.items():
        for table in page.all("table"):
            if not table.attributes["id"].startswith("parts-"):
                continue
            for row in next(table.all("tbody")).all("tr"):
                cells = [cell.text.replace("−", "-") for cell in row.all("td")]
                if "—" in cells or MARK in cells:
                    continue
                assert round(sum(map(float, cells[:-1])), 2) == float(cells[-1]), (name, row.text)
                rows += 1
    assert rows > 300


def test_parts_are_rounded_by_the_largest_remainder() -> None:
    assert add_up([1.004, 1.004, 1.004], 3.01) == [1.01, 1.0, 1.0]
    assert add_up([10.0, -2.5049], 7.5) == [10.0, -2.5]
    assert add_up([1.0, None], 1.0) == [1.0, None]


def test_ids_are_unique_and_links_lead_somewhere(page_folder: Path, pages: dict[str, Node]) -> None:
    ids = {
        name: [node.attributes["id"] for node in page.all() if "id" in node.attributes] for name, page in pages.items()
    }
    for name, page in pages.items():
        assert [each for each, count in Counter(ids[name]).items() if count > 1] == [], name
        here = (page_folder / name).parent
        for node in page.all("a", "link", "script"):
            target = node.attributes.get("href") or node.attributes.get("src", "")
            if target == "data:,":
                continue
            assert not re.match(r"[a-z]+:|//", target), f"{name} names {target}"
            path, _, fragment = target.partition("#")
            found = (here / unquote(path)).resolve() if path else page_folder / name
            assert found.is_file(), f"{name} leads to {target}"
            if fragment:
                assert fragment in ids[found.relative_to(page_folder.resolve() if path else page_folder).as_posix()]
        for node in page.all():
            for attribute in ("aria-labelledby", "data-table"):
                assert node.attributes.get(attribute, ids[name][0]) in ids[name], (name, attribute)


def test_each_plot_has_its_table_and_a_name(pages: dict[str, Node]) -> None:
    plots = [node for page in pages.values() for node in page.all("div") if "data-chart" in node.attributes]
    assert Counter(plot.attributes["data-chart"] for plot in plots).keys() == {
        "intervals", "parts", "heat", "places", "trend", "metrics", "change",
    }  # fmt: skip
    assert all(plot.attributes["role"] == "img" and plot.attributes["aria-label"] for plot in plots)


def test_nothing_asks_the_network(page_folder: Path) -> None:
    for path in page_folder.rglob("*"):
        if path.suffix in (".html", ".css", ".js") and path.name != "plotly.min.js":
            assert not re.search(r"https?://|fetch\(|XMLHttpRequest|@import", path.read_text(encoding="utf-8")), path


def test_rows_that_fell_short_are_as_many_as_the_marts_say(source: Source) -> None:
    """Independent of the metrics' models: the page's own reading of the facts gives their numerators."""
    differing = source.records(
        """
        SELECT losses.period_code, losses.unit_code, losses.area, losses.metric, losses.missed, coalesce(found.rows, 0)
        FROM metric_losses AS losses
        LEFT JOIN (
            SELECT period_code, unit_code, area, metric, count(*) AS rows FROM every_missed_row GROUP BY ALL
        ) AS found USING (period_code, unit_code, area, metric)
        WHERE losses.missed <> coalesce(found.rows, 0) AND losses.metric <> 'post_quota_rate'
        """
    )
    assert differing == []
    (checked,) = source.records("SELECT count(*) AS n, sum(missed) AS missed FROM metric_losses")
    assert checked["n"] > 1000 and checked["missed"] > 1000


def test_the_points_that_an_area_needs_reach_the_place_above(source: Source) -> None:
    lifts = source.records(
        """
        SELECT lifts.*, parts.above_unit_code, above.score AS above_score
        FROM overall_lifts AS lifts
        JOIN marts.rank_explanations AS parts ON parts.period_code = lifts.period_code
            AND parts.unit_code = lifts.unit_code AND parts.area = 'overall' AND parts.component = lifts.area
        JOIN marts.unit_scores AS above ON above.period_code = lifts.period_code
            AND above.unit_code = parts.above_unit_code AND above.area = 'overall'
        WHERE points_needed IS NOT NULL
        """
    )
    scores = source.by(
        "SELECT * FROM marts.unit_scores JOIN core.dim_area USING (rule_set, area) WHERE score IS NOT NULL",
        "period_code",
        "unit_code",
    )
    assert len(lifts) > 50
    for lift in lifts:
        areas = scores[lift["period_code"], lift["unit_code"]]
        gained = [
            area["weight"] * (area["score"] + (lift["points_needed"] if area["area"] == lift["area"] else 0))
            for area in areas
        ]
        reached = sum(gained) / sum(area["weight"] for area in areas)
        assert reached == pytest.approx(lift["above_score"], abs=1e-6)


def leaks(context: dict[str, Any], at: At, withheld: Withheld) -> list[tuple[str, str]]:
    """Withheld metrics of a unit that its page would print something of."""
    mine = {(area, metric) for period, unit, area, metric in withheld.metrics if (period, unit) == at.key}
    found = []
    for table in filter(None, (context["metrics"], context["losses"], context["moves"], context["steps"])):
        for row in table.rows:
            of = tuple(map(unquote, row.key.split("/")))
            printed = {column.name: cell for column, cell in zip(table.columns, row.cells, strict=True)}
            shown = {
                printed.get(name, "") for name in ("value", "fraction", "chance", "earned", "lost_points", "missed")
            }
            if of in mine and (table.id != "metrics" or shown - {MARK, "—", ""}):
                found.append(of)
    return found


class _Nothing(Hidden):
    """The guard switched off."""

    def __init__(self) -> None:
        self.metrics, self._groups, self._components = frozenset(), set(), {}
        self.areas, self.units = set(), set()


def test_figures_about_too_few_people_are_not_printed(source: Source, pages: dict[str, Node]) -> None:
    names, hidden = Names(source), Hidden(source)
    withheld = Withheld.of(source.connection)
    guarded, open_ = Units(source, names, hidden), Units(source, names, _Nothing())
    period = names.periods[0]
    leaked = {
        unit["unit_code"]: leaks(guarded.context(period, unit), At(period["period_code"], unit["unit_code"]), withheld)
        for unit in names.units
    }
    assert not any(leaked.values()), leaked
    unit = next(u for u in names.units if (period["period_code"], u["unit_code"]) in hidden.units)
    assert leaks(open_.context(period, unit), At(period["period_code"], unit["unit_code"]), withheld)
    # ... and the ranking pages say the same of the same cells.
    marked = 0
    for area in {area for code, _, area, _ in withheld.metrics if code == period["period_code"]}:
        for figure in printed(pages[f"{period['period_code']}/{area}.html"]):
            metric = figure.where.get("metric") or figure.where.get("component")
            if metric and withheld.metric(period["period_code"], figure.where["unit_code"], area, metric):
                assert figure.text in (MARK, "—"), figure
                marked += figure.text == MARK
    assert marked > 50


def test_one_withheld_part_is_not_the_score_less_the_others(source: Source) -> None:
    hidden = Hidden(source)
    parts = [
        {"component": name, "weight": weight, "score_part": 1.0, "null_reason": None}
        for name, weight in (("a", 30.0), ("b", 10.0), ("coverage", None))
    ]
    hidden._components[("p", "u", "hotline")] = {"a"}
    assert hidden.components("p", "u", "hotline", parts) == {"a", "b"}
    hidden._components[("p", "u", "hotline")] = set()
    assert hidden.components("p", "u", "hotline", parts) == set()


def test_a_revision_stands_beside_what_it_changed(notice_home: Home, tmp_path: Path) -> None:
    release = releases.served(notice_home)
    assert release
    copy = tmp_path / "warehouse.duckdb"
    copy.write_bytes(release.warehouse.read_bytes())
    with duckdb.connect(str(copy)) as connection:
        connection.execute(
            "INSERT INTO marts.releases "
            "SELECT * REPLACE ('2022-07-r2' AS release, 2 AS revision, '剔除获批' AS reason) "
            "FROM marts.releases WHERE release = '2022-07-r1'"
        )
        connection.execute(
            "INSERT INTO marts.release_differences BY NAME SELECT '2022-07-r2' AS release, '2022-07-r1' AS "
            "previous_release, '2022-07' AS period_code, 'U03' AS unit_code, '托里镇' AS unit_name, 'hotline' AS area, "
            "71.5 AS old_score, 80.25 AS new_score, 6 AS old_rank, 2 AS new_rank, 'good' AS new_list, "
            "'hotline' AS top_area, 'close_on_time_rate' AS top_metric, 8.75 AS top_points_change, 1 AS exclusions"
        )
        connection.execute(
            "INSERT INTO marts.release_exclusions BY NAME SELECT '2022-07-r2' AS release, '2022-07' AS period_code, "
            "'GD-1' AS ticket_no, 'U03' AS unit_code, '托里镇' AS unit_name, '非职责范围' AS ground, "
            "TIMESTAMP '2022-08-10 09:00:00' AS requested_at, TIMESTAMP '2022-08-12 17:30:00' AS approved_at, "
            "3 AS metrics_changed"
        )
    with Source(copy) as opened:
        context = site_pages.revisions(opened, Names(opened), _Nothing())
        withheld = site_pages.revisions(opened, Names(opened), Hidden(opened))
    (difference,) = context["differences"]
    assert difference["release"]["reason"] == "剔除获批"
    (row,) = difference["table"].rows
    assert row.cells == ["托里镇", "12345热线办理", "71.50", "80.25", "6", "2", "", "良好", "按时办结率", "+8.75", "1"]
    assert row.links["unit_name"] == unit_file("2022-07", "U03")
    (excluded,) = difference["exclusions"].rows
    assert excluded.cells == ["GD-1", "托里镇", "非职责范围", "2022-08-10 09:00", "2022-08-12 17:30", "3"]
    assert withheld["differences"][0]["table"].rows[0].cells[-2] in (MARK, "+8.75")
