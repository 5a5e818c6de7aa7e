"""Phones, ids and names planted wherever a person can put them are nowhere outside the raw zone.

A small county goes from its exports to its published release by the command line; then everything under its home but
``raw/`` and ``keys/``, and all that the commands printed, is searched. Names are planted where the export description
expects names: in starred columns, in free text that names the row's own person or uses a cue, and anywhere in rows that
are set aside or crash.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import click
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from ingestion.cli import main as ingestion
from ingestion.contracts import CONTRACTS, Column
from ingestion.home import PROJECT, Home
from ingestion.ledger import Ledger
from publishing.cli import main as publishing
from tests import loopback
from tests.end_to_end.conftest import generate
from tests.end_to_end.leaks import Finder, Secrets

Row = dict[str, str]
MONTH = "2022-07"
#: Rows of each dataset in which every column of people holds secrets.
TAINTED = 12
AS_JSON, AS_WORKBOOK, IN_GB = "platform_reviews", "cms_posts", ("hotline_tickets", "hotline_dispatches")


def read(path: Path) -> list[Row]:
    """Rows of a generated CSV, by header."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("gb18030")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def taint(dataset: str, rows: list[Row], secrets: Secrets) -> None:
    """Secrets in every column of good rows in which a person types."""
    contract = CONTRACTS[dataset]
    for number, row in enumerate(rows[:TAINTED]):
        # A row's own name is known where a column holds it; reviews have none.
        own = secrets.name() if any(column.personal == "token" for column in contract.columns) else ""
        for column in contract.columns:
            if column.personal == "token":
                row[column.header] = own if number % 2 else secrets.rng.choice((secrets.phone, secrets.id))("plain")
            elif column.personal == "text":
                row[column.header] = (
                    f"{own if number % 2 else ''}来电，电话{secrets.phone()}，身份证{secrets.id()}，"
                    f"联系人：{secrets.name()}，我叫{secrets.name()}。另{secrets.phone()}"
                )
            elif is_typed_by_people(column, dataset) and number % 3 == 0:
                row[column.header] = f"{row[column.header]}（{secrets.phone()}，{secrets.id()}）"


def is_typed_by_people(column: Column, dataset: str) -> bool:
    """A string that is neither marked personal nor a code; the calls have none."""
    return column.type == "string" and not column.personal and not column.code_number and dataset != "hotline_calls"


def bad_rows(dataset: str, row: Row, secrets: Secrets) -> list[Row]:
    """Three rows that are set aside: no key, an unreadable time, an unknown code or number; secrets all over."""
    contract = CONTRACTS[dataset]

    def secret() -> str:
        return f"{secrets.name()}{secrets.phone()} {secrets.id()}"

    filled = row | {column.header: secret() for column in contract.columns if column.type == "string"}
    time = next(column.header for column in contract.columns if column.type == "timestamp")
    coded = [column.header for column in contract.columns if column.type in ("code", "integer") and not column.optional]
    return [
        filled | {contract.column(contract.key[0]).header: ""},
        filled | {time: secret()},
        filled | ({coded[0]: secret()} if coded else {time: f"2022-13-45 {secrets.phone('plain')}"}),
    ]


def as_csv(rows: list[Row], secrets: Secrets, *, damaged: bool) -> str:
    """A title line, an unknown column, and on demand a row with a field too many: secrets in all of them."""
    unknown = f"备注{secrets.phone('plain')}"
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([f"联系人{secrets.name()} {secrets.phone()}"])
    headers = [*rows[0]]
    writer.writerow([*headers, unknown])
    writer.writerows([*(row[header] for header in headers), secrets.name()] for row in rows)
    if damaged:
        # In the place of the third bad row: more would refuse the file.
        writer.writerow([*(secrets.name() for _ in headers), secrets.id("plain"), secrets.phone("plain")])
    return text.getvalue()


def as_json(dataset: str, rows: list[Row], secrets: Secrets) -> bytes:
    """The API's page object, with keys nobody asked for."""
    extra = secrets.phone("plain")
    page = {"dataset": dataset, "period": MONTH, "page": 1, "pages": 1, "total": len(rows)}
    page |= {"operator": secrets.name(), f"电话{secrets.phone()}": secrets.id()}
    page["rows"] = [row | {f"经办{extra}": secrets.name()} for row in rows]
    return json.dumps(page, ensure_ascii=False).encode()


def as_workbook(rows: list[Row], secrets: Secrets, path: Path) -> None:
    """A workbook whose sheet, properties, hidden sheet and unknown column hold secrets."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = f"{secrets.name()}{secrets.phone('plain')}"
    sheet.append([*rows[0], f"电话{secrets.phone('plain')}"])
    for row in rows:
        sheet.append([*(value or None for value in row.values()), secrets.name()])
    hidden = book.create_sheet(f"隐藏{secrets.phone('plain')}")
    hidden.sheet_state = "hidden"
    hidden.append([secrets.id()])
    book.properties.creator = f"{secrets.name()} {secrets.phone()}"
    book.save(path)


def plant(exports: Path, secrets: Secrets) -> None:
    """Secrets into every file of the exports, and into the files' names and manifests."""
    for path in sorted(exports.rglob("*.csv")):
        dataset = path.parent.parent.name
        rows = read(path)
        (path.parent / "manifest.json").unlink(missing_ok=True)
        name = f"{path.stem}_{secrets.phone()}_{secrets.id('plain')}"
        target = path.with_name(f"{name}.csv")
        path.unlink()
        if not rows:
            row = {column.header: "" for column in CONTRACTS[dataset].columns}
            target.write_text(",".join(row) + "\n", encoding="utf-8")
            continue
        taint(dataset, rows, secrets)
        if dataset == "platform_cases":
            # A case whose number is a citizen's id, and its review.
            rows[0]["办件编号"] = secrets.id("plain")
        bad = bad_rows(dataset, rows[0], secrets)
        if dataset == AS_JSON:
            target = target.with_suffix(".json")
            target.write_bytes(as_json(dataset, rows + bad, secrets))
        elif dataset == AS_WORKBOOK:
            target = target.with_suffix(".xlsx")
            as_workbook(rows + bad, secrets, target)
        else:
            text = as_csv(rows + bad[:2], secrets, damaged=True)
            target.write_bytes(text.encode("gb18030" if dataset in IN_GB else "utf-8"))
        entry = {"name": target.name, "rows": len(rows) + 3, "sha256": hashlib.sha256(target.read_bytes()).hexdigest()}
        manifest = {"files": [entry], "contact": f"{secrets.name()} {secrets.phone()}"}
        (path.parent / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False), encoding="utf-8")


def plant_crashes(exports: Path, secrets: Secrets, month: str = "2022-08") -> None:
    """Deliveries of a month that are refused, one way each."""
    header = ",".join(column.header for column in CONTRACTS["hotline_calls"].columns)
    cases = ",".join(column.header for column in CONTRACTS["platform_cases"].columns)
    tickets = [column.header for column in CONTRACTS["hotline_tickets"].columns]
    said = f"{secrets.name()},{secrets.phone('plain')},{secrets.id('plain')}"
    lacking = ",".join([*tickets[1:], f"{tickets[0]}{secrets.phone('plain')}", secrets.id("full-width")])
    page = '{"dataset": "platform_reviews", "rows": [{"联系%s": 1, "联系%s": {"a": "%s"}}]'
    twin = secrets.phone("plain")
    broken = {
        "hotline/hotline_calls": f'{header}\n{month}-01,"{said}\n' + f"{month}-02,1,{said}\n" * 3,
        "platform/platform_cases": f"{cases}\n{cases}\n{said}\n",
        "hotline/hotline_tickets": f"{lacking}\n" + f"{said}\n" * 5,
        "platform/platform_reviews": page % (twin, twin, said),
        "hotline/hotline_dispatches": f"{said}\n{said}\n",
        "hotline/hotline_exclusions": ",".join(c.header for c in CONTRACTS["hotline_exclusions"].columns)
        + "\n" + f"{said}\n" * 9,
    }  # fmt: skip
    for place, text in broken.items():
        folder = exports / place / month
        folder.mkdir(parents=True)
        ending = "json" if text.startswith("{") else "csv"
        name = f"{secrets.id('plain')} {secrets.phone('zero-width')}.{ending}"
        (folder / name).write_text(text, encoding="utf-8")
    folder = exports / "cms" / "cms_submissions" / month
    folder.mkdir(parents=True)
    (folder / f"{secrets.phone()}.xlsx").write_bytes(b"PK\x03\x04" + said.encode() * 20)
    folder = exports / "cms" / "cms_media_posts" / month
    folder.mkdir(parents=True)
    missing = [{"name": f"{secrets.phone()}.csv", "rows": 3, "sha256": None}]
    (folder / "manifest.json").write_text(json.dumps({"files": missing}), encoding="utf-8")
    # A folder where files are expected, as a drop may hold one.
    (exports / "cms" / "cms_media_accounts" / month / f"{secrets.phone()} {secrets.id()}").mkdir(parents=True)


class Rude(loopback.Quiet):
    """An API that fails and quotes what it has: in the reason, the headers and the body."""

    answer: ClassVar[tuple[int, str]] = (500, "")

    def do_GET(self) -> None:
        status, said = self.answer
        content = said.encode()
        number = "".join(character for character in said if character.isascii() and character.isdecimal())[:11]
        self.send_response(status, f"caller {number}")
        self.send_header("Retry-After", number)
        self.send_header("X-Caller", number)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def rude_api() -> Iterator[str]:
    with loopback.served(Rude) as place:
        yield f"http://:token@{place}?attempts=1&deadline=10"


class County:
    """A home driven by the command line; everything that is printed is kept."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root / "home")
        self.printed = b""

    def run(self, *arguments: str, code: int = 0, or_code: int | None = None) -> None:
        environment = os.environ | {"TONGBAO_HOME": str(self.home.root), "PYTHONPATH": ".", "COLUMNS": "400"}
        environment.pop("TONGBAO_PII_KEY", None)
        done = subprocess.run([sys.executable, "-m", *arguments], cwd=PROJECT, env=environment, capture_output=True)
        self.printed += done.stdout + done.stderr
        assert done.returncode in (code, or_code), (done.stdout + done.stderr).decode()[-3000:]

    def typed(self, main: click.Group, *arguments: str, code: int) -> None:
        """The same in this process, for commands that end at what is typed."""
        done = CliRunner().invoke(main, arguments, env={"TONGBAO_HOME": str(self.home.root), "TONGBAO_PII_KEY": None})
        self.printed += f"{done.output} {done.exception}".encode()
        assert done.exit_code == code, done.output


def plant_parameters(county: County, root: Path, secrets: Secrets) -> None:
    """Secrets in everything that is typed behind a command: each is refused, and repeated by nothing."""
    pull = (ingestion, "pull", "hotline_calls", "--month", MONTH, "--from")
    county.typed(*pull, f"{(root / f'drop {secrets.phone()}').as_uri()}?attempts=1", code=75)
    county.typed(*pull, f"sftp://{secrets.phone('plain')}:x@127.0.0.1:9/{secrets.id('plain')}?attempts=1", code=75)
    county.typed(*pull, f"file:///exports?{secrets.phone('plain')}=1", code=2)
    county.typed(*pull, f"file:///exports?deadline={secrets.phone('plain')}-", code=2)
    county.typed(ingestion, "pull", "--from", root.as_uri(), "--month", f"for {secrets.phone('plain')}", code=2)
    county.typed(publishing, "plan", f"2022-07 and some more words {secrets.phone('plain')}", code=1)
    county.typed(publishing, "run", MONTH, "--run-id", f"for-{secrets.phone('plain')}", code=1)
    county.typed(publishing, "rollback", "--reason", f"{secrets.phone()}来电", code=1)


@pytest.mark.slow
def test_nothing_that_was_planted_is_outside_the_raw_zone(tmp_path: Path, rude_api: str) -> None:
    secrets = Secrets(random.Random(20220708))
    exports = generate(
        tmp_path / "exports", "--months", MONTH, "--factor", "0.03", "--seed", "11", "--plain", "--format", "csv"
    )
    plant(exports, secrets)
    county = County(tmp_path)
    county.run("ingestion", "pull", "--from", exports.as_uri(), "--month", MONTH)
    county.run("ingestion", "load")
    accepted = Ledger(county.home).accepted_files()
    assert {file.dataset for file in accepted} == set(CONTRACTS)
    assert sum(file.rows_quarantined for file in accepted) >= 3 * 7

    plant_crashes(exports, secrets)
    county.run("ingestion", "pull", "--from", exports.as_uri(), "--month", "2022-08", code=2)
    county.run("ingestion", "load", "--month", "2022-08", code=2)
    outcomes = {attempt.outcome for attempt in Ledger(county.home).attempts() if attempt.month == "2022-08"}
    assert outcomes == {"refused", "failed"}
    said = f"{secrets.name()} {secrets.phone('plain')} {secrets.id('plain')}"
    for Rude.answer in (
        (500, json.dumps({"error": said})),
        (403, said),
        (200, json.dumps({"dataset": said, "period": said, "page": said, "pages": 1, "total": 1, "rows": [said]})),
        (200, said),
    ):
        code = 2 if Rude.answer[0] == 403 else 75
        county.run("ingestion", "pull", "platform_cases", "--from", rude_api, "--month", "2022-08", code=code)
    plant_parameters(county, tmp_path, secrets)

    county.run("publishing", "run", "--month", MONTH, "--reason", f"应{secrets.phone()}、{secrets.id()}的要求重算")
    for dataset, month in (
        ("platform_cases", MONTH),
        (AS_WORKBOOK, MONTH),
        (AS_JSON, "2022-08"),
        ("hotline_tickets", "2022-08"),
    ):
        (file,) = (path for path in exports.glob(f"*/{dataset}/{month}/*") if path.name != "manifest.json")
        county.run("ingestion", "check", str(file), "--dataset", dataset, code=1, or_code=2)
    county.run("ingestion", "status")
    county.run("ingestion", "rebuild")

    assert len(secrets.planted) > 400
    finder = Finder(secrets)
    # The finder sees what is there: the raw zone holds it all.
    assert any(finder.in_bytes(path.read_bytes()) for path in county.home.objects.iterdir())
    assert finder.in_home(county.home) == []
    assert finder.in_bytes(county.printed) is None, finder.in_bytes(county.printed)
    # A case that is numbered by a person's id is still a case.
    staged = pq.ParquetFile(next(file.path for file in accepted if file.dataset == "platform_cases")).read()
    assert staged["case_no"].to_pylist()[0].startswith("home-")
    assert staged["_key"].to_pylist()[0] == staged["case_no"].to_pylist()[0]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16-le", "utf-16"])
def test_the_finder_finds_what_is_put_into_a_file(tmp_path: Path, encoding: str) -> None:
    secrets = Secrets(random.Random(1))
    planted = [secrets.phone(), secrets.id(), secrets.name(), secrets.phone("Chinese numerals")]
    finder = Finder(secrets)
    for number, secret in enumerate(planted):
        home = Home(tmp_path / f"home{number}")
        (home.root / "runs").mkdir(parents=True)
        (home.root / "raw").mkdir()
        (home.root / "raw" / "a").write_text(secret, encoding=encoding)
        assert finder.in_home(home) == []
        (home.root / "runs" / "log").write_bytes(f"一行日志：{secret}。".encode(encoding))
        assert len(finder.in_home(home)) == 1


def test_the_finder_reads_columns_and_names(tmp_path: Path) -> None:
    secrets = Secrets(random.Random(2))
    home = Home(tmp_path)
    (home.root / "staged").mkdir()
    pq.write_table(
        pa.table({"a": ["x"], "b": [f"见{secrets.phone('spaced 3-4-4')}"]}), home.root / "staged" / "1.parquet"
    )
    (home.root / f"{secrets.phone('plain')}.txt").touch()
    found = Finder(secrets).in_home(home)
    assert any("1.parquet b" in hit for hit in found)
    assert any("(name)" in hit for hit in found)
