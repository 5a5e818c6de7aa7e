"""A real Superset over both back ends: the dashboards' figures, what SQL lab refuses, thirty publications, the pages.

Superset has an environment of its own: `make test-superset` installs it and runs this. Where it is not there a run of
all tests says so; with TONGBAO_SUPERSET=required that is a failure.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import httpx
import psycopg
import pytest
from playwright.sync_api import Browser

from ingestion.durable import sha256_of
from ingestion.home import Home
from ops import superset
from publishing.durable import swap_link
from publishing.mirror import mirror
from tests import dashboards, postgres
from tests.end_to_end.test_page_browser import browser  # noqa: F401 the same Chromium, opened the same way
from tests.mirror.test_mirror import FORBIDDEN as FORBIDDEN_IN_POSTGRES
from tests.publishing.test_bi import FORBIDDEN as FORBIDDEN_IN_DUCKDB
from tests.superset_client import Client

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

PUBLICATIONS = 30


class Running:
    """A Superset on one of the two back ends, and how the same is asked without it."""

    def __init__(self, backend: str, home: Home, uri: str, server: superset.Superset) -> None:
        self.backend, self.home, self.uri, self.url = backend, home, uri, server.url
        self.password = server.password_file.read_text()
        self.client = Client(self.url, self.password)
        (self.database,) = [each["id"] for each in self.client.listed("database")]
        self.datasets = {each["table_name"]: each["id"] for each in self.client.listed("dataset")}

    def directly(self, sql: str) -> list[tuple[Any, ...]]:
        if self.backend == "duckdb":
            with duckdb.connect(str(self.home.current / "warehouse.duckdb"), read_only=True) as connection:
                return connection.execute(sql).fetchall()
        with psycopg.connect(self.uri, user="tongbao_reader", autocommit=True) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def installed() -> None:
    if not superset.python().exists():
        reason = "Superset is not installed: its dashboards were NOT looked at (make test-superset)"
        if os.environ.get("TONGBAO_SUPERSET") == "required":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="module")
def county(notice_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The county's release in a home of its own, where releases can follow."""
    home = Home(tmp_path_factory.mktemp("superset") / "home")
    shutil.copytree(notice_home.current.resolve(), home.releases / "1")
    swap_link(home.current, "releases/1")
    return home


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres.running() as uri:
        yield uri


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def running(request: pytest.FixtureRequest, installed: None, county: Home, server: str) -> Iterator[Running]:
    """The same Superset, first over the file, then over the mirror: the address is the one thing that is changed."""
    os.environ["TONGBAO_POSTGRES"] = server
    swap_link(county.current, "releases/1")
    mirror(county, server)
    try:
        with superset.running(county, superset.warehouse(county, request.param)) as started:
            yield Running(request.param, county, server, started)
    finally:
        del os.environ["TONGBAO_POSTGRES"]


def test_three_dashboards_each_with_its_charts(running: Running) -> None:
    listed = {each["slug"]: each for each in running.client.listed("dashboard")}
    assert {slug: each["dashboard_title"] for slug, each in listed.items()} == {
        "ranking": "排名",
        "hotline": "热线",
        "quality": "数据质量",
    }
    for slug, each in listed.items():
        charts = running.client.one("dashboard", each["id"])["charts"]
        placed = [
            part["meta"]["sliceName"]
            for part in dashboards.files("dashboards")[slug]["position"].values()
            if isinstance(part, dict) and part["type"] == "CHART"
        ]
        assert sorted(charts) == sorted(placed)
    assert len(running.client.listed("chart")) == len(dashboards.files("charts"))


def test_every_chart_answers_what_the_marts_hold(running: Running) -> None:
    ids = {each["slice_name"]: each["id"] for each in running.client.listed("chart")}
    answers, seconds = 0, []
    for name, chart in dashboards.files("charts").items():
        started = time.perf_counter()
        answer = running.client.chart(ids[chart["slice_name"]])
        seconds.append(time.perf_counter() - started)
        assert answer["error"] is None and not answer["is_cached"], name
        query = dashboards.query_of(chart)
        shown = [*query["columns"], *query["metrics"]]
        times = {c["column_name"] for c in dashboards.dataset_of(chart)["columns"] if c["is_dttm"]}
        got = [tuple(_time(row[c]) if c in times else row[c] for c in shown) for row in answer["data"]]
        assert dashboards.rows(got) == dashboards.rows(running.directly(dashboards.sql_of(chart))), name
        answers += len(got)
    assert answers > 1000
    seconds.sort()
    print(f"{running.backend}: {len(seconds)} charts, {answers} rows, p95 {seconds[int(len(seconds) * 0.95)]:.3f} s")


def _time(value: Any) -> Any:
    """Superset tells times in milliseconds."""
    if isinstance(value, int | float):
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(value / 1000)).replace("T00:00:00", "")
    return value


def test_figures_that_the_notice_prints(running: Running) -> None:
    """By hand, not by the charts' own SQL: three figures of the period and the first three places."""
    ask, period = running.client.ask, {"col": "period_code", "op": "==", "val": "2022-07--2022-08"}

    def share(figure: str) -> float:
        query = {
            "metrics": ["share"],
            "columns": [],
            "filters": [
                period,
                {"col": "figure", "op": "==", "val": figure},
                {"col": "area", "op": "==", "val": "hotline"},
            ],
        }
        return round(ask(running.datasets["county_figures"], **query)["data"][0]["share"], 4)

    wanted = (
        "SELECT value FROM marts.period_totals "
        "WHERE period_code = '2022-07--2022-08' AND area = 'hotline' AND figure = '{}'"
    )
    for figure in ("ticket_solved_rate", "ticket_satisfied_rate", "call_answer_15s_rate"):
        assert share(figure) == round(running.directly(wanted.format(figure))[0][0], 4)
    first = {
        "columns": ["rank", "unit_name", "score"],
        "filters": [
            period,
            {"col": "area", "op": "==", "val": "overall"},
            {"col": "unit_group", "op": "==", "val": "township"},
        ],
        "orderby": [["rank", True]],
        "row_limit": 3,
    }
    got = [tuple(row.values()) for row in ask(running.datasets["rankings"], **first)["data"]]
    sql = (
        "SELECT rank, unit_name, score FROM marts.unit_rankings WHERE period_code = '2022-07--2022-08' "
        "AND area = 'overall' AND unit_group = 'township' ORDER BY rank LIMIT 3"
    )
    assert got == running.directly(sql) and got[0][1] == "托里镇"


def test_sql_lab_reads_the_figures_and_refuses_the_rest(running: Running, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    read = running.client.sql(running.database, "SELECT number FROM marts.publication")
    assert read.status_code == 200 and {row["number"] for row in read.json()["data"]} == {1}
    if running.backend == "duckdb":
        statements = {
            name: sql.format(secret=tmp_path / "secret.csv", folder=tmp_path)
            for name, sql in FORBIDDEN_IN_DUCKDB.items()
        }
        statements |= {
            "passwords": "SELECT * FROM read_csv('/etc/passwd')",
            "list a folder": "SELECT * FROM glob('/etc/*')",
            "its own database": f"SELECT * FROM read_blob('{running.home.root}/superset/superset.db')",
            "load": "LOAD httpfs",
            "copy the file": f"COPY FROM DATABASE warehouse TO '{tmp_path}/copy.duckdb'",
        }
    else:
        statements = FORBIDDEN_IN_POSTGRES
    allowed = {}
    # As Superset guards it, and with its own guard against writing open: then the engine's is the one that holds.
    for is_open in (False, True):
        body = {"allow_dml": is_open, "allow_ctas": is_open, "allow_cvas": is_open}
        running.client.http.put(f"/api/v1/database/{running.database}", json=body).raise_for_status()
        for name, statement in statements.items():
            answer = running.client.sql(running.database, statement)
            if answer.status_code < 400:
                allowed[name, is_open] = answer.text[:200]
    running.client.http.put(
        f"/api/v1/database/{running.database}", json={"allow_dml": False, "allow_ctas": False, "allow_cvas": False}
    )
    print(f"{running.backend}: {2 * len(statements)} statements, {len(allowed)} not refused")
    assert allowed == {}
    assert {path.name for path in tmp_path.iterdir()} == {"secret.csv"}


def test_a_connection_of_ones_own_is_locked_too(running: Running, tmp_path: Path) -> None:
    """An administrator may connect to more; what is a file stays locked, what is no warehouse is refused."""
    (tmp_path / "secret.csv").write_text("a\n1\n")
    file = running.home.current / "warehouse.duckdb"
    made = running.client.http.post(
        "/api/v1/database/",
        json={
            "database_name": f"mine {running.backend}",
            "sqlalchemy_uri": f"duckdb:///{file}",
            "expose_in_sqllab": True,
        },
    )
    assert made.status_code == 201, made.text
    identifier = made.json()["id"]
    assert running.client.sql(identifier, "SELECT count(*) FROM marts.releases").status_code == 200
    refused = running.client.sql(identifier, f"SELECT * FROM read_csv('{tmp_path}/secret.csv')")
    assert refused.status_code >= 400 and "disabled" in refused.text
    # What it is worth: the same address opened without the lock that deploy/superset adds reads the file.
    unlocked = (
        f"from sqlalchemy import create_engine; e = create_engine('duckdb:///{file}?access_mode=read_only'); "
        f"print(e.execute(\"SELECT a FROM read_csv('{tmp_path}/secret.csv')\").scalar())"
    )
    read = subprocess.run([str(superset.python()), "-c", unlocked], capture_output=True, text=True, check=True)
    assert read.stdout.strip() == "1"
    running.client.http.delete(f"/api/v1/database/{identifier}").raise_for_status()
    for uri in (f"sqlite:///{running.home.root}/superset/superset.db", "shillelagh://"):
        made = running.client.http.post("/api/v1/database/", json={"database_name": "other", "sqlalchemy_uri": uri})
        assert made.status_code >= 400, uri


def test_nobody_comes_in_without_the_password(running: Running) -> None:
    assert httpx.get(f"{running.url}/api/v1/chart/", timeout=60).status_code == 401
    for user, password in {"admin": "admin", "tongbao": "tongbao"}.items():
        login = {"username": user, "password": password, "provider": "db"}
        assert httpx.post(f"{running.url}/api/v1/security/login", json=login, timeout=60).status_code == 401
    key = running.home.keys / "superset" / "superset_secret_key"
    assert key.stat().st_mode & 0o777 == 0o600 and len(key.read_text()) > 40
    stored = (running.home.root / "superset" / "superset.db").read_bytes()
    assert running.password.encode() not in stored and key.read_text().encode() not in stored


def test_thirty_publications_under_readers(running: Running, tmp_path: Path) -> None:
    """Every answer is of one release: its number and the scores in it are the same."""
    slim = tmp_path / "slim.duckdb"
    _slim(running.home.releases / "1" / "warehouse.duckdb", slim)
    _serve(running, slim, 2)
    answers, wrong, errors, stop = [], [], [], threading.Event()
    columns = ["number", "score", "release"]
    query = {"columns": columns, "filters": [{"col": "area", "op": "==", "val": "overall"}], "row_limit": 1000}

    def read() -> None:
        client = Client(running.url, running.password)
        while not stop.is_set():
            started = time.perf_counter()
            try:
                found = client.ask(running.datasets["rankings"], **query)
            except httpx.HTTPError as error:
                errors.append(str(error))
                continue
            seen = {(row["number"], row["score"]) for row in found["data"]}
            answers.append((time.perf_counter() - started, max(number for number, _ in seen)))
            if len(seen) != 1 or any(number != score for number, score in seen):
                wrong.append(seen)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for number in range(3, PUBLICATIONS + 2):
            _serve(running, slim, number)
            # Two more answers a reader: the second was asked for after the switch, so that each release is seen.
            wanted, deadline = len(answers) + 2 * len(readers), time.monotonic() + 120
            while len(answers) < wanted and not errors and time.monotonic() < deadline:
                time.sleep(0.02)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    seconds = sorted(each for each, _ in answers)
    seen = len({number for _, number in answers})
    print(
        f"{running.backend}: {len(answers)} answers of {seen} releases, {len(wrong)} mixed, {len(errors)} errors, "
        f"p95 {seconds[int(len(seconds) * 0.95)]:.3f} s"
    )
    assert (wrong, errors) == ([], []) and len(answers) > 5 * PUBLICATIONS and seen >= PUBLICATIONS - 1
    # The one that is served last is what the next query sees.
    last = running.client.ask(running.datasets["publication"], columns=["number"], row_limit=10)["data"]
    assert {row["number"] for row in last} == {PUBLICATIONS + 1}


def _slim(source: Path, target: Path) -> None:
    """The county's file without its large facts: quick to copy and to load."""
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{source}' AS old (READ_ONLY); ATTACH '{target}' AS new (STORAGE_VERSION 'v1.4.0')")
        connection.execute("COPY FROM DATABASE old TO new")
        connection.execute("DELETE FROM new.core.fct_case_reviews; DELETE FROM new.core.fct_cases; CHECKPOINT new")


def _serve(running: Running, slim: Path, number: int) -> None:
    """The next release, every score its number; then the mirror, where that is what Superset reads."""
    folder = running.home.releases / str(number)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    file = folder / "warehouse.duckdb"
    shutil.copyfile(slim, file)
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            f"UPDATE marts.publication SET number = {number}; UPDATE marts.unit_rankings SET score = {number}"
        )
    files = {"warehouse.duckdb": {"sha256": sha256_of(file)}}
    (folder / "manifest.json").write_text(json.dumps({"number": number, "files": files}))
    swap_link(running.home.current, f"releases/{number}")
    if running.backend == "postgres":
        mirror(running.home, running.uri)


#: Boxes of the page that lie on one another, and charts that say they failed or are empty without a reason.
_LOOK = """
() => {
  const charts = [...document.querySelectorAll('[data-test-chart-id]')];
  const boxes = charts.map(c => [c.getAttribute('data-test-chart-name'), c.getBoundingClientRect()]);
  const over = [];
  boxes.forEach(([a, x], i) => boxes.slice(i + 1).forEach(([b, y]) => {
    if (x.left < y.right - 1 && y.left < x.right - 1 && x.top < y.bottom - 1 && y.top < x.bottom - 1) over.push([a, b]);
  }));
  const failed = [...document.querySelectorAll('.ant-alert-error, [data-test=chart-error]')].map(e => e.innerText);
  const loading = document.querySelectorAll('[data-test=loading-indicator], .chart-container .loading').length;
  return {charts: charts.length, over, failed, loading, wide: document.documentElement.scrollWidth - innerWidth};
}
"""


def test_the_dashboards_in_a_browser(running: Running, browser: Browser, tmp_path: Path) -> None:  # noqa: F811
    swap_link(running.home.current, "releases/1")
    if running.backend == "postgres":
        mirror(running.home, running.uri)
    shots = Path(os.environ.get("TONGBAO_SCREENSHOTS") or tmp_path)
    context = browser.new_context(viewport={"width": 1440, "height": 3000}, locale="zh-CN")
    context.set_default_timeout(300_000)
    page = context.new_page()
    asked, blocked, failed, answered = set(), set(), [], []
    page.on("request", lambda request: asked.add(httpx.URL(request.url).host or "data"))
    # Superset's pages ask for a usage pixel; the policy that they come with keeps the browser from sending it.
    page.on(
        "requestfailed", lambda request: blocked.add(httpx.URL(request.url).host) if request.failure == "csp" else None
    )
    page.on("response", lambda response: failed.append(response.url) if response.status >= 400 else None)
    page.on("response", lambda response: answered.append(response.url) if "/chart/data" in response.url else None)
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.goto(f"{running.url}/login/")
    page.fill("input[name=username], #username", superset.USER)
    page.fill("input[name=password], #password", running.password)
    page.press("input[name=password], #password", "Enter")
    page.wait_for_url("**/superset/welcome/**")
    for slug, dashboard in dashboards.files("dashboards").items():
        placed = sum(isinstance(each, dict) and each["type"] == "CHART" for each in dashboard["position"].values())
        answered.clear()
        page.goto(f"{running.url}/superset/dashboard/{slug}/")
        page.wait_for_function(
            f"() => document.querySelectorAll('[data-test-chart-id]').length === {placed} "
            "&& !document.querySelector('[data-test=loading-indicator]')"
        )
        deadline = time.monotonic() + 300
        # A chart's answer each, and one for what each filter offers.
        while len(answered) < placed + len(dashboard["metadata"]["native_filter_configuration"]):
            assert time.monotonic() < deadline, (slug, answered)
            page.wait_for_timeout(200)
        page.wait_for_load_state("networkidle")
        page.wait_for_function("() => !document.querySelector('[data-test=loading-indicator]')")
        page.wait_for_timeout(1500)
        look = page.evaluate(_LOOK)
        page.screenshot(path=shots / f"{running.backend}-{slug}.png", full_page=True)
        assert (look["over"], look["failed"], look["loading"]) == ([], [], 0), (slug, look)
        assert look["charts"] == placed and look["wide"] <= 0
        assert "2022.1" in page.inner_text("body") and "2022-09-05" in page.inner_text("body")
    outside = asked - blocked - {"127.0.0.1", "data"}
    assert (failed, outside) == ([], set()), (failed, outside)
    context.close()
