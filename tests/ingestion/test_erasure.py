"""A person is erased: out of raw files of every format and out of tokens, with no row lost and nobody else touched."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from ingestion.cli import main
from ingestion.contracts import CONTRACTS
from ingestion.erasure import CannotErase, Erased, erase, read_person, record
from ingestion.erasure import texts as texts_module
from ingestion.errors import BadParameter, DeliveryRefused, Permanent
from ingestion.home import Home
from ingestion.ledger import Ledger
from ingestion.load import load, rebuild
from ingestion.personal import key_of
from tests.end_to_end.leaks import Finder, Secrets
from tests.ingestion.deliveries import Exports, Row, csv_bytes, good_row

TICKETS, CASES, POSTS, EXCLUSIONS = "hotline_tickets", "platform_cases", "cms_posts", "hotline_exclusions"
NAME, PHONE, ID = "赵琰玥", "13812345678", "652701199003071233"
WHO = f"姓名: {NAME}\n电话：138-1234-5678\n证件: {ID}\n"
ASKED = {"by": "县数字化发展局", "request": "2026-17"}


def ticket(number: int, caller: str, phone: str, content: str = "停水") -> Row:
    return good_row(TICKETS, number) | {"caller": caller, "caller_phone": phone, "content": content}


def json_bytes(dataset: str, month: str, rows: list[Row]) -> bytes:
    headers = {column.name: column.header for column in CONTRACTS[dataset].columns}
    named = [{headers[name]: value for name, value in row.items() if name in headers} for row in rows]
    return json.dumps({"dataset": dataset, "period": month, "rows": named}).encode()


def xlsx_bytes(dataset: str, rows: list[Row]) -> bytes:
    columns = CONTRACTS[dataset].columns
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append([column.header for column in columns])
    for row in rows:
        sheet.append([row.get(column.name, "") for column in columns])
    book.save(made := io.BytesIO())
    return made.getvalue()


def everywhere(exports: Exports) -> Exports:
    """The person in five accepted files of all formats, beside people with the same name or a similar number."""
    other = ticket(2, NAME, "13912345678", "同名的另一人")
    spelt = ticket(3, "匿名", "", f'本人{NAME}，电话１３８ １２３４ ５６７８，\n家中"停水",请回电 +86{PHONE}')
    mine, near = ticket(1, NAME, PHONE, f"身份证{ID}"), ticket(4, "王建国", "23812345678", "编号1381234567")
    text = csv_bytes(TICKETS, [mine, other, spelt, near]).decode()
    exports.put(TICKETS, text.encode("gb18030"), "a.csv")
    exports.put(
        TICKETS, gzip.compress(csv_bytes(TICKETS, [ticket(5, NAME, PHONE), ticket(6, "孙七", "1")])), "b.csv.gz"
    )
    exports.load(TICKETS)
    cases = [
        good_row(CASES, n) | {"applicant": NAME, "applicant_id": i} for n, i in ((1, ID), (2, "652701198001010011"))
    ]
    exports.put(CASES, json_bytes(CASES, "2022-07", cases), "page.json")
    exports.load(CASES)
    dropped = [
        good_row(EXCLUSIONS, n) | {"grounds": text} for n, text in ((1, f"{NAME}({PHONE})重复来电"), (2, "无关"))
    ]
    exports.put(EXCLUSIONS, xlsx_bytes(EXCLUSIONS, dropped), "c.xlsx")
    exports.load(EXCLUSIONS)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("d.csv", csv_bytes(TICKETS, [ticket(7, NAME, PHONE)]))
    exports.put(TICKETS, packed.getvalue(), "d.zip", month="2022-08")
    exports.load(TICKETS, "2022-08")
    return exports


@pytest.fixture
def held(exports: Exports) -> Exports:
    return everywhere(exports)


def staged(home: Home, dataset: str) -> list[dict]:
    files = [file.path for file in Ledger(home).accepted_files(dataset)]
    return sorted((row for path in files for row in pq.ParquetFile(path).read().to_pylist()), key=lambda r: r["_key"])


def in_raw(home: Home, *numbers: str) -> list[str]:
    """Which of the numbers can be read in any landed file, packed ones opened."""
    finder = Finder(Secrets(rng=None, numbers=set(numbers)))  # type: ignore[arg-type]
    found = []
    for path in home.raw.rglob("*"):
        if not path.is_file():
            continue
        parts = [path.read_bytes()]
        if parts[0].startswith(b"\x1f\x8b"):
            parts = [gzip.decompress(parts[0])]
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                parts = [archive.read(name) for name in archive.namelist()]
        found += [hit for part in parts if (hit := finder.in_bytes(part))]
    return found


def done(home: Home, who: str = WHO, **options: bool) -> Erased:
    person = read_person(who, name_alone=options.pop("name_alone", False))
    return erase(home, person, **ASKED, apply=True, **options)


def test_out_of_every_format_and_no_one_else(held: Exports) -> None:
    home = held.home
    before = {dataset: staged(home, dataset) for dataset in (TICKETS, CASES, EXCLUSIONS)}
    assert in_raw(home, PHONE, ID)
    trial = erase(home, read_person(WHO), **ASKED)
    assert trial.record is None and trial.rows == 6 and {place.action for place in trial.places} == {"changed"}
    assert in_raw(home, PHONE, ID) and not record.record_path(home).exists()

    found = done(home)
    assert (found.rows, len(found.places)) == (6, 5)
    assert in_raw(home, PHONE, ID) == []
    after = {dataset: staged(home, dataset) for dataset in before}
    gone = set(read_person(WHO).tokens(key_of(home)))
    assert gone & {value for rows in before.values() for row in rows for value in row.values()}
    # The person's rows keep everything but who it was, and go on being one person's.
    mine = [row for row in after[TICKETS] if row["ticket_no"] in ("ticket_no1", "ticket_no5", "ticket_no7")]
    assert len({row["caller"] for row in mine}) == len({row["caller_phone"] for row in mine}) == 1
    assert after[CASES][0]["applicant"] == mine[0]["caller"]
    assert not gone & {row[c] for row in mine for c in ("caller", "caller_phone")}
    same = [column.name for column in CONTRACTS[TICKETS].columns if not column.personal]
    assert [[row[n] for n in same] for row in after[TICKETS]] == [[row[n] for n in same] for row in before[TICKETS]]
    # Another person of the same name, a number one digit off: untouched.
    for number in (1, 3):
        assert after[TICKETS][number] == before[TICKETS][number]
    assert after[CASES][1] == before[CASES][1] and after[EXCLUSIONS][1] == before[EXCLUSIONS][1]
    # What is staged can be made again from what is kept, byte for byte.
    kept = {path: path.read_bytes() for path in home.staged.rglob("*.parquet")}
    rebuild(home)
    assert {path: path.read_bytes() for path in home.staged.rglob("*.parquet")} == kept


def test_the_record_says_who_when_and_what_but_not_whom(held: Exports) -> None:
    home = held.home
    first = done(home)
    text = record.record_path(home).read_text()
    assert not any(secret in text for secret in (NAME, PHONE, ID))
    (entry,) = record.entries(home)
    assert (entry["id"], entry["by"], entry["request"]) == (first.record, ASKED["by"], ASKED["request"])
    assert set(entry["tokens"]) == set(read_person(WHO).tokens(key_of(home)))
    assert len(entry["files"]) == 5 and all(file["can_be_rebuilt"] for file in entry["files"])
    assert record.record_path(home).stat().st_mode & 0o777 == 0o600
    # Once more: nothing is found, nothing is written.
    assert done(home) == Erased(())
    assert record.record_path(home).read_text() == text
    # A line changed by hand shows; a line torn by a kill does not hinder.
    with record.record_path(home).open("a") as file:
        file.write('{"id": "torn')
    held.put(TICKETS, [ticket(8, NAME, PHONE)], month="2022-09")
    held.load(TICKETS, "2022-09")
    done(home)
    assert len(record.entries(home)) == 2
    record.record_path(home).write_text(record.record_path(home).read_text().replace("2026-17", "2026-18", 1))
    with pytest.raises(Permanent, match="changed by hand"):
        record.entries(home)


def test_delivered_again_the_person_does_not_come_back(held: Exports) -> None:
    home = held.home
    done(home)
    assert held.pull(TICKETS).unchanged
    assert load(home, TICKETS, "2022-07").outcome == "unchanged"
    # The same bytes under another name land as what is kept of them.
    held.put(CASES, (held.root / "platform" / CASES / "2022-07" / "page.json").read_bytes(), "copy.json")
    assert held.load(CASES).outcome == "accepted"
    assert in_raw(home, PHONE, ID) == []
    assert not {row["applicant_id"] for row in staged(home, CASES)} & {key_of(home).token(ID)}


def test_refused_unsearchable_and_named_files(held: Exports) -> None:
    home = held.home
    held.put(TICKETS, f"没有表头,{PHONE}\n".encode() + b"\x81\xff", "bad.csv", month="2022-09")
    held.put(CASES, b"PK\x03\x04 encrypted", "locked.zip", month="2022-09")
    held.put(TICKETS, [ticket(9, "孙七", "1")], f"{PHONE}来电.csv", month="2022-10")
    for dataset, month in ((TICKETS, "2022-09"), (CASES, "2022-09")):
        with pytest.raises(DeliveryRefused):
            held.load(dataset, month)
    held.load(TICKETS, "2022-10")
    found = done(home)
    by_action = {place.action: place for place in found.places}
    assert by_action["removed"].deliveries == ("hotline_tickets 2022-09 bad.csv",) and not by_action["removed"].accepted
    assert by_action["unsearchable"].deliveries == ("platform_cases 2022-09 locked.zip",)
    assert found.names == 1 and in_raw(home, PHONE) == []
    with sqlite3.connect(home.ledger_path) as connection:
        assert PHONE not in str(connection.execute("SELECT * FROM attempts").fetchall())
    assert [place.action for place in done(home).places] == ["unsearchable"]
    assert [place.action for place in done(home, remove_unsearchable=True).places] == ["removed"]


def test_whole_files_removed_say_what_is_lost(held: Exports) -> None:
    home = held.home
    found = done(home, remove_files=True)
    assert {place.action for place in found.places} == {"removed"} and in_raw(home, PHONE, ID) == []
    assert not any(file["can_be_rebuilt"] for file in record.entries(home)[0]["files"])
    rows = staged(home, TICKETS)
    assert len(rows) == 7 and not {row["caller_phone"] for row in rows} & {key_of(home).token(PHONE)}
    assert rebuild(home) == 0
    (home.staged / CASES / "2022-07" / f"{Ledger(home).accepted_files(CASES)[0].landing_id}.parquet").unlink()
    with pytest.raises(Permanent, match="cannot be rebuilt: platform_cases"):
        rebuild(home)


def test_a_name_alone_is_a_whole_cell_and_only_on_demand(exports: Exports) -> None:
    posts = [
        good_row(POSTS, n) | {"author": author, "title": f"{NAME}专访"} for n, author in ((1, NAME), (2, NAME + "明"))
    ]
    exports.put(POSTS, posts)
    exports.load(POSTS)
    with pytest.raises(BadParameter, match="--name-alone"):
        read_person(f"姓名: {NAME}")
    before = staged(exports.home, POSTS)
    assert done(exports.home, f"姓名: {NAME}", name_alone=True).rows == 1
    after = staged(exports.home, POSTS)
    assert after[0]["author"] != before[0]["author"] and after[1] == before[1]


def test_a_change_that_would_lose_a_row_changes_nothing(held: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    home = held.home
    before = sorted(path.name for path in home.objects.iterdir())
    real = texts_module.csv_without
    monkeypatch.setattr(
        "ingestion.erasure.objects.csv_without", lambda *arguments: (real(*arguments)[0].replace("停水", "\n"), 1)
    )
    with pytest.raises(CannotErase, match="nothing was changed"):
        done(home)
    monkeypatch.undo()
    assert sorted(path.name for path in home.objects.iterdir()) == before
    assert not (home.raw / "erasing").exists() and done(home).rows == 6


_KILLED = """
import os, signal, sys
from pathlib import Path
import ingestion.ledger, ingestion.erasure.record
from ingestion.erasure import erase, read_person
from ingestion.home import Home
point, count = int(sys.argv[2]), 0
def at_each(function):
    def counted(*arguments, **named):
        global count
        count += 1
        if count == point:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return counted
Path.replace, Path.unlink = at_each(Path.replace), at_each(Path.unlink)
os.write, os.ftruncate = at_each(os.write), at_each(os.ftruncate)
for name in ("record_replacement", "rename_file"):
    setattr(ingestion.ledger.Ledger, name, at_each(getattr(ingestion.ledger.Ledger, name)))
erase(Home(Path(sys.argv[1])), read_person(sys.stdin.read()), by="b", request="r", apply=True)
print(count)
"""


@pytest.mark.slow
def test_killed_at_any_step_a_second_run_finishes(tmp_path: Path) -> None:
    """The n-th rename, removal, ledger write or write of the record is the last thing that the process does."""
    point, finished = 0, False
    while not finished:
        point += 1
        root = tmp_path / str(point)
        root.mkdir()
        exports = Exports(root)
        exports.put(TICKETS, [ticket(1, NAME, PHONE), ticket(2, "孙七", "1")], f"{PHONE}.csv")
        exports.load(TICKETS)
        run = subprocess.run(
            [sys.executable, "-c", _KILLED, str(exports.home.root), str(point)],
            input=WHO,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=False,
        )
        finished = run.returncode == 0
        assert finished or run.returncode == -signal.SIGKILL, run.stderr
        done(exports.home)
        (entry,) = record.entries(exports.home)
        assert [file["action"] for file in entry["files"]] == ["changed"] and entry["files"][0]["rows"] == 1
        assert in_raw(exports.home, PHONE) == [] and len(list(exports.home.objects.iterdir())) == 1
        rows = staged(exports.home, TICKETS)
        assert len(rows) == 2 and key_of(exports.home).token(PHONE) not in {row["caller_phone"] for row in rows}
        left = [path for path in exports.home.root.rglob("*") if path.name.startswith(".") or path.name == "erasing"]
        assert left == []
    assert point > 8


def test_on_the_command_line_the_person_comes_by_standard_input(held: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAO_HOME", str(held.home.root))
    arguments = ["erase", "--by", "县局", "--request", "17"]
    shown = CliRunner().invoke(main, arguments, input=WHO)
    assert shown.exit_code == 0 and "--apply" in shown.output and "hotline_tickets" in shown.output
    applied = CliRunner().invoke(main, [*arguments, "--apply"], input=WHO)
    assert "records/erasures.jsonl" in applied.output and in_raw(held.home, PHONE, ID) == []
    assert "未发现" in CliRunner().invoke(main, [*arguments, "--apply"], input=WHO).output
    assert not any(secret in shown.output + applied.output for secret in (NAME, PHONE, ID))
    wrong = CliRunner().invoke(main, arguments, input=f"电话号 {PHONE}")
    assert wrong.exit_code == 2 and PHONE not in wrong.output


@pytest.mark.parametrize(
    ("text", "is_hers"),
    [
        ("13812345678", True),
        ("+86 138 1234 5678", True),
        ("008613812345678", True),
        ("幺三八 一二三四 五六七八", True),
        ("１３８-１２３４-５６７８;13912345678", True),
        ("138\u200b12345678", True),
        ("1381234567890", False),
        ("20213812345678", False),
        ("13812345679", False),
        (ID[:17] + "x", False),
        (f"证件{ID[:6]} {ID[6:14]} {ID[14:]}", True),
    ],
)
def test_a_number_in_every_spelling_and_never_a_part_of_a_longer_one(text: str, is_hers: bool) -> None:
    person = read_person(WHO)
    assert person.numbered_in(text) == is_hers
    assert person.numbered_in(person.without(text, lambda value: "某")) is False
