"""The drafted notice of July-August 2022: every number in it is in the published file, every part adds up to its whole.

Fails on: a typed figure, one that its query does not give, rows behind it that do not count up to it, shares that do
not make 100 %, a document that differs from the other, a layout that is not GB/T 9704-2012.
Who mends it: publishing/notice, publishing/evidence.yaml.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal
from html.parser import HTMLParser
from pathlib import Path

import docx
import duckdb
import pytest
from docx.shared import Mm, Pt

from ingestion.errors import BadParameter
from ingestion.home import Home
from ingestion.period import Period
from publishing import releases
from publishing.documents import documents_folder, write_documents
from publishing.evidence import is_counted_otherwise, metrics_with_rows, rows_behind
from publishing.notice import TEMPLATE_FILE, write_notices
from publishing.notice import __file__ as notice_module
from publishing.notice.figures import largest_remainders
from publishing.small_cells import Withheld

PERIODS = ["2022-07", "2022-07--2022-08"]
#: The only digits that the wording itself may hold: the hotline's name.
NAMES = "12345"
REFERENCE = re.compile(r"\[(f\d+)\]")


@pytest.fixture(scope="module")
def written(notice_home: Home) -> Path:
    return write_documents(notice_home) / "notice"


@pytest.fixture(scope="module")
def connection(notice_home: Home):
    with duckdb.connect(str(notice_home.current / "warehouse.duckdb"), read_only=True) as opened:
        yield opened


def figures(folder: Path, period: str) -> dict:
    return json.loads((folder / f"{period}.figures.json").read_text(encoding="utf-8"))


class Page(HTMLParser):
    """Text of the notice's page: that of figures by reference, and all other text (the list of sources left out)."""

    def __init__(self) -> None:
        super().__init__()
        self.figures: list[tuple[str, str]] = []
        self.other: list[str] = []
        self._inside: str | None = None
        self._skipped = 0

    def handle_starttag(self, tag: str, attrs: list) -> None:
        given = dict(attrs)
        self._skipped += tag in ("style", "details", "title")
        assert tag not in ("script", "img", "link", "iframe")
        assert not any(name in ("src", "onclick") for name, _ in attrs)
        if tag == "a" and given.get("class") == "f":
            self._inside = given["href"].removeprefix("#")
            assert given["title"].startswith(self._inside)

    def handle_endtag(self, tag: str) -> None:
        self._skipped -= tag in ("style", "details", "title")
        if tag == "a":
            self._inside = None

    def handle_data(self, data: str) -> None:
        if self._skipped:
            return
        if self._inside:
            self.figures.append((self._inside, data))
        else:
            self.other.append(data)


def of_document(path: Path) -> tuple[list[tuple[str, str]], str]:
    """The same of a DOCX: a figure is the run before its hidden reference."""
    document = docx.Document(str(path))
    paragraphs = [*document.paragraphs]
    for table in document.tables:
        paragraphs += [paragraph for row in table.rows for cell in row.cells for paragraph in cell.paragraphs]
    found, other = [], []
    for paragraph in paragraphs:
        runs = list(paragraph.runs)
        for run, after in zip(runs, [*runs[1:], None], strict=True):
            reference = REFERENCE.fullmatch(after.text) if after is not None and after.font.hidden else None
            if reference:
                found.append((reference[1], run.text))
            elif not run.font.hidden:
                other.append(run.text)
    return found, "".join(other)


@pytest.mark.slow
@pytest.mark.parametrize("period", PERIODS)
def test_every_number_printed_is_a_figure_with_a_reference(written: Path, period: str) -> None:
    page = Page()
    page.feed((written / f"{period}.html").read_text(encoding="utf-8"))
    in_document, other = of_document(written / f"{period}.docx")
    assert not re.search(r"\d", "".join(page.other).replace(NAMES, ""))
    assert not re.search(r"\d", other.replace(NAMES, ""))
    told = {each["id"]: each["text"] for each in figures(written, period)["figures"]}
    assert len(told) > 300
    assert page.figures and all(told[reference] == text for reference, text in page.figures)
    assert all(told[reference] == text for reference, text in in_document)
    assert {reference for reference, _ in page.figures} == {reference for reference, _ in in_document} == set(told)


def as_printed(value: object, form: str) -> str:
    """A second reading of the forms, from the value that the warehouse gives."""

    def rounded(number: object) -> str:
        return f"{Decimal(str(number)).quantize(Decimal('0.01'), ROUND_HALF_UP)}"

    match form:
        case "percent":
            return rounded(Decimal(str(value)) * 100) + "%"
        case "score" | "mean":
            return rounded(value)
        case "places":
            return str(value).lstrip("-")
        case "change":
            return f"{'↑' if value > 0 else '↓' if value < 0 else ''}{abs(value)}"
        case "short_day" | "day":
            return (f"{value.year}年" if form == "day" else "") + f"{value.month}月{value.day}日"
        case "period":
            span = Period.parse(value)
            months = f"{span.first.month}月" if len(span) == 1 else f"{span.first.month}—{span.last.month}月"
            return f"{span.first.year}年{months}"
    return str(value)


@pytest.mark.slow
@pytest.mark.parametrize("period", PERIODS)
def test_every_figure_is_what_its_query_gives(
    written: Path, connection: duckdb.DuckDBPyConnection, period: str
) -> None:
    told = figures(written, period)
    answers = {}
    for name, query in told["queries"].items():
        answers[name] = connection.execute(query["sql"], query["parameters"]).df().astype(object)
    for each in told["figures"]:
        rows = answers[each["query"]]
        if each["form"] == "sum":
            added = rows[rows["figure"].isin(each["row"]["figure"])]
            assert len(added) == len(each["row"]["figure"]) and int(each["text"]) == added[each["column"]].sum()
            continue
        for name, cell in each["row"].items():
            if isinstance(cell, list):
                rows = rows[rows[name].isin(cell)].iloc[:1]
                continue
            rows = rows[rows[name].map(lambda found: str(found).removesuffix(" 00:00:00")) == str(cell)]
        assert len(rows) == 1, each
        value = rows[each["column"]].iloc[0]
        if each["form"] != "share_of_parts":
            assert each["text"] == as_printed(value, each["form"]), each


@pytest.mark.slow
@pytest.mark.parametrize("period", PERIODS)
def test_printed_parts_add_up_to_their_printed_whole(written: Path, period: str) -> None:
    told = figures(written, period)["figures"]
    wholes = {each["row"].get("figure"): each for each in told if each["query"] == "totals" and each["form"] == "count"}
    parts = defaultdict(list)
    for each in told:
        if each["query"] == "parts":
            name = each["row"]["figure"]
            form = "count" if each["form"] == "sum" else each["form"]
            parts[(name if isinstance(name, str) else name[0]).split("=")[0], form].append(each)
    counted = {dimension for dimension, form in parts if form == "count"}
    assert {"cases_accepted/channel", "tickets_received/demand", "dispatched/unit"} <= counted
    assert "good_reviews_to_date/channel" in counted
    for (dimension, form), found in parts.items():
        if form == "count":
            printed = int(wholes[dimension.split("/")[0]]["text"])
            assert sum(int(each["text"]) for each in found) == printed, dimension
        else:
            shares = sum(Decimal(each["text"].rstrip("%")) for each in found)
            assert shares == 100, dimension
    owed = {each["column"]: int(each["text"]) for each in told if each["query"] == "obligations"}
    assert {"owed", "on_time", "late", "missing"} <= set(owed)
    for area in ("reform", "governance"):
        own = {e["column"]: int(e["text"]) for e in told if e["query"] == "obligations" and e["row"]["area"] == area}
        assert own["on_time"] + own["late"] + own["missing"] == own["owed"]


@pytest.mark.slow
def test_no_figure_about_too_few_people_is_printed(written: Path, connection: duckdb.DuckDBPyConnection) -> None:
    withheld = Withheld.of(connection)
    for period in PERIODS:
        assert any(of == period for of, *_ in withheld.totals) and any(of == period for of, *_ in withheld.metrics)
        for each in figures(written, period)["figures"]:
            row = each["row"]
            if each["query"] == "totals" or (each["query"] == "parts" and isinstance(row["figure"], str)):
                assert not withheld.total(period, row["area"], row["figure"]), each
            if each["query"] == "explanations" and each["column"] == "value":
                assert not withheld.metric(period, row["unit_code"], row["area"], row["component"]), each


@pytest.mark.slow
@pytest.mark.parametrize("area,metric", metrics_with_rows())
def test_the_rows_behind_a_metric_count_up_to_it(connection: duckdb.DuckDBPyConnection, area: str, metric: str) -> None:
    sql = rows_behind(area, metric)
    found = connection.execute(
        f"WITH found AS (SELECT unit_code, count(*) AS n, count(*) FILTER (counts) AS k FROM ({sql}) GROUP BY 1) "
        "SELECT coalesce(n, 0), coalesce(k, 0), numerator, coalesce(denominator, numerator) FROM marts.unit_metrics "
        "LEFT JOIN found USING (unit_code) WHERE period_code = $period AND area = $area AND metric = $metric",
        {"period": PERIODS[1], "unit": None, "area": area, "metric": metric},
    ).fetchall()
    assert len(found) == 27 and any(rows for rows, *_ in found)
    if not is_counted_otherwise(area, metric):
        assert [(rows, counts) for rows, counts, _, _ in found] == [(whole, part) for _, _, part, whole in found]


@pytest.mark.slow
def test_the_layout_is_that_of_official_documents(written: Path) -> None:
    document = docx.Document(str(written / f"{PERIODS[1]}.docx"))
    section = document.sections[0]
    margins = (section.top_margin, section.bottom_margin, section.left_margin, section.right_margin)
    assert [round(margin / Mm(1)) for margin in margins] == [37, 35, 28, 26]
    assert (round(section.page_width / Mm(1)), round(section.page_height / Mm(1))) == (210, 297)
    styles = {style.name: style for style in document.styles}
    title, body = styles["notice title"], styles["notice paragraph"]
    assert (title.font.name, title.font.size) == ("方正小标宋简体", Pt(22))
    assert (body.font.name, body.font.size, body.paragraph_format.line_spacing) == ("仿宋_GB2312", Pt(16), Pt(28))
    assert styles["notice heading_1"].font.name == "黑体" and styles["notice heading_2"].font.name == "楷体_GB2312"
    text = [paragraph.text for paragraph in document.paragraphs]
    assert [line[:2] for line in text if re.match("[一二三]、", line)] == ["一、", "二、", "三、"]
    assert any(line.startswith("㈥“12345”") for line in text)
    assert "PAGE" in section.footer._element.xml and section.footer.paragraphs[0].text == "— 1 —"
    fonts = next(part for part in document.part.package.iter_parts() if "fontTable" in str(part.partname))
    assert "华文中宋" in fonts.blob.decode()


@pytest.mark.slow
def test_the_office_may_change_the_wording_without_a_new_release(notice_home: Home, written: Path, tmp_path) -> None:
    number = releases.served_number(notice_home)
    before = (written / "2022-07.html").read_bytes()
    # What a killed writer left, and documents of a release that is gone.
    (documents_folder(notice_home) / ".99-dead").mkdir()
    (documents_folder(notice_home) / "99").symlink_to(".99-dead")
    own = tmp_path / "own.txt.j2"
    own.write_text(
        "# {{ n.period() }}<b>通报</b>\n受理{{ n.total('hotline', 'tickets_received') }}件\n", encoding="utf-8"
    )
    write_documents(notice_home, periods=["2022-07--2022-08"], template=own)
    page = (written / "2022-07--2022-08.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;通报&lt;/b&gt;" in page and "受理" in page
    assert (written / "2022-07.html").read_bytes() == before
    assert releases.served_number(notice_home) == number
    # A faulty wording, or a period that is not released, is named and changes nothing.
    for wrong, named in (("{{ n.total('hotline', }}", "line 1"), ("{{ n.nothing() }}", "nothing"), ("{{", "line 1")):
        own.write_text(wrong, encoding="utf-8")
        with pytest.raises(BadParameter, match=named):
            write_documents(notice_home, template=own)
    with pytest.raises(BadParameter, match="2021-01"):
        write_documents(notice_home, periods=["2021-01"])
    assert (written / "2022-07--2022-08.html").read_text(encoding="utf-8") == page
    assert [entry.name for entry in documents_folder(notice_home).iterdir() if not entry.is_symlink()] == [
        (documents_folder(notice_home) / str(number)).readlink().name
    ]


@pytest.mark.slow
def test_a_county_with_fewer_areas_has_a_shorter_notice(notice_home: Home, tmp_path: Path) -> None:
    shutil.copyfile(notice_home.current / "warehouse.duckdb", tmp_path / "warehouse.duckdb")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        for table in ("unit_rankings", "unit_scores", "unit_metrics", "rank_explanations", "period_totals"):
            connection.execute(f"DELETE FROM marts.{table} WHERE area NOT IN ('hotline', 'overall')")
        connection.execute("DELETE FROM core.fct_submission_obligations")
        connection.execute("DELETE FROM core.fct_cases")
    write_notices(notice_home, releases.Release(1, tmp_path, {}), tmp_path / "out", periods=["2022-07"])
    page = (tmp_path / "out" / "2022-07.html").read_text(encoding="utf-8").split("<details")[0]
    assert "㈠“12345”便民服务热线开展情况" in page and "下期报送要求另行通知" in page
    assert not any(word in page for word in ("门户网站共", "政务服务平台本期", "停更账号：", "应报材料"))


def test_the_wording_types_no_figure() -> None:
    wording = Path(notice_module).with_name(TEMPLATE_FILE).read_text(encoding="utf-8")
    literal = re.sub(r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}", "", wording, flags=re.DOTALL)
    assert not re.search(r"\d", literal.replace(NAMES, ""))


def test_shares_by_largest_remainders() -> None:
    assert largest_remainders([1, 1, 1]) == ["33.34%", "33.33%", "33.33%"]
    assert largest_remainders([0, 0]) == ["0.00%", "0.00%"]
    assert largest_remainders([2, 0, 1]) == ["66.67%", "0.00%", "33.33%"]
