"""A delivery from folder to Parquet: accepted or refused as a whole, repeatable, rebuilt to the byte, safe to kill."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.contracts import CONTRACTS
from ingestion.durable import naming_storage_faults
from ingestion.errors import BadParameter, DeliveryMissing, DeliveryRefused, Permanent, StorageFailed
from ingestion.home import Home
from ingestion.landing import object_path, raw_zone
from ingestion.ledger import DELIVERIES_SCHEMA, Ledger
from ingestion.load import StagedDelivery, load, rebuild, restore
from ingestion.normalize import staged_schema
from ingestion.quarantine import QUARANTINE_SCHEMA, REASONS
from tests.ingestion.deliveries import MONTH, Exports, Row, good_row

CASES = "platform_cases"


def cases(count: int, first: int = 1) -> list[Row]:
    return [good_row(CASES, n) for n in range(first, first + count)]


def staged(exports: Exports, dataset: str = CASES) -> list[dict[str, object]]:
    files = Ledger(exports.home).accepted_files(dataset)
    return [row for file in files for row in pq.ParquetFile(file.path).read().to_pylist()]


def everything_under(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("dataset", sorted(CONTRACTS))
def test_every_dataset_comes_through(exports: Exports, dataset: str) -> None:
    exports.put(dataset, [good_row(dataset, n) for n in range(1, 6)])
    result = exports.load(dataset)
    assert (result.outcome, result.rows_in, result.rows_loaded, result.rows_quarantined) == ("accepted", 5, 5, 0)
    (file,) = Ledger(exports.home).accepted_files(dataset)
    assert pq.ParquetFile(file.path).schema_arrow == staged_schema(CONTRACTS[dataset])
    assert Ledger(exports.home).delivered_months() == [(dataset, MONTH)]


def test_an_upsert_carries_what_decides_which_row_wins(exports: Exports) -> None:
    exports.put(CASES, cases(2))
    exports.load(CASES)
    later = good_row(CASES, 1) | {"updated_at": "2022-08-02 09:00:00", "sync_type": "D"}
    exports.put(CASES, [later], "2022-08.csv", month="2022-08")
    exports.load(CASES, "2022-08")
    rows = [(row["_key"], row["_month"], row["_file"], row["_row"], row["_deleted"]) for row in staged(exports)]
    assert rows == [
        ("case_no1", "2022-07", "export.csv", 2, False),
        ("case_no2", "2022-07", "export.csv", 3, False),
        ("case_no1", "2022-08", "2022-08.csv", 2, True),
    ]
    pulled = [row["_pulled_at"] for row in staged(exports)]
    assert pulled[0] == pulled[1] < pulled[2]  # type: ignore[operator]
    landings = [row["_landing_id"] for row in staged(exports)]
    assert landings[0] == landings[1] != landings[2]


def test_a_file_sent_again_is_unchanged_and_a_changed_one_is_added(exports: Exports) -> None:
    exports.put(CASES, cases(2))
    exports.load(CASES)
    assert exports.pull(CASES).unchanged
    assert load(exports.home, CASES, MONTH).outcome == "unchanged"
    exports.put(CASES, cases(3))
    assert exports.load(CASES).outcome == "accepted"
    assert load(exports.home, CASES, MONTH).outcome == "unchanged"
    assert len(staged(exports)) == 5
    ledger = Ledger(exports.home)
    assert [attempt.outcome for attempt in ledger.attempts()] == ["accepted", "unchanged", "accepted"]
    assert ledger.attempts_table().schema == DELIVERIES_SCHEMA
    # Back to the first bytes: what was accepted last had others, so they come in again, with a later pull.
    exports.put(CASES, cases(2))
    assert exports.load(CASES).outcome == "accepted"


def test_bad_rows_are_set_aside_with_place_and_reason(exports: Exports) -> None:
    bad = good_row(CASES, 500) | {"accepted_at": "昨天 13812345678"}
    exports.put(CASES, [*cases(30), bad])
    result = exports.load(CASES)
    assert (result.rows_in, result.rows_loaded, result.rows_quarantined) == (31, 30, 1)
    table = Ledger(exports.home).quarantine_table()
    assert table.schema == QUARANTINE_SCHEMA
    (row,) = table.to_pylist()
    assert (row["file"], row["row"], row["column_name"], row["header"]) == ("export.csv", 32, "accepted_at", "受理时间")
    assert (row["reason"], row["value_masked"]) == ("unreadable_time", "汉汉 99999999999")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_quarantined_and_loaded_are_what_was_delivered(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    exports = Exports(tmp_path_factory.mktemp("p"))
    cells = st.sampled_from(["", "x", "6.5E+17", "2022-07-05", "2022-07-05 10:00:00", "2099-01-01", "是", "D", "1"])
    dataset = data.draw(st.sampled_from(sorted(CONTRACTS)))
    names = [column.name for column in CONTRACTS[dataset].columns]
    damage = data.draw(st.lists(st.dictionaries(st.sampled_from(names), cells, max_size=3), max_size=3))
    rows = [good_row(dataset, n + 1) | change for n, change in enumerate(damage)] + [good_row(dataset, 20)]
    exports.put(dataset, rows)
    result = exports.load(dataset)
    quarantine = Ledger(exports.home).quarantine_table()
    assert result.rows_in == len(rows) == result.rows_loaded + result.rows_quarantined
    assert quarantine.num_rows == result.rows_quarantined
    assert set(quarantine["reason"].to_pylist()) <= set(REASONS)
    assert sorted([row["_row"] for row in staged(exports, dataset)] + quarantine["row"].to_pylist()) == list(  # type: ignore[operator]
        range(2, len(rows) + 2)
    )


def refused(exports: Exports, dataset: str = CASES, month: str = MONTH) -> str:
    """The reason of the refusal; what was there before is still there, nothing new is."""
    before = Ledger(exports.home).accepted_files()
    files = everything_under(exports.home.staged) if exports.home.staged.exists() else {}
    with pytest.raises(DeliveryRefused) as error:
        exports.load(dataset, month)
    assert Ledger(exports.home).accepted_files() == before
    assert everything_under(exports.home.staged) == files
    last = Ledger(exports.home).attempts()[-1]
    assert (last.outcome, last.reason) == ("refused", str(error.value))
    assert (last.rows_in, last.rows_loaded, last.rows_quarantined) == (0, 0, 0)
    return str(error.value)


def test_more_than_a_twentieth_and_more_than_three_refuse_the_file(exports: Exports) -> None:
    bad = [good_row(CASES, 900 + n) | {"channel": "电话"} for n in range(4)]
    exports.put(CASES, [*cases(5), *bad[:3]])
    assert exports.load(CASES).rows_quarantined == 3
    exports.put(CASES, [*cases(76), *bad])
    assert exports.load(CASES).rows_quarantined == 4
    exports.put(CASES, [*cases(75), *bad])
    reason = refused(exports)
    assert "export.csv: 4 of 79 rows do not fit" in reason and "4 × unknown_code" in reason


def test_one_refused_file_refuses_the_delivery(exports: Exports) -> None:
    exports.put(CASES, cases(5), "a.csv")
    exports.put(CASES, b"not,a\nheader,1\n", "b.csv")
    assert "b.csv" in refused(exports)
    assert Ledger(exports.home).delivered_months() == []
    exports.put(CASES, cases(2, 100), "b.csv")
    assert exports.load(CASES).rows_loaded == 7


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rows": 6}, ["gives 6 rows", "has 5"]),
        ({"sha256": "0" * 64}, ["sha256 000000000000", "cut or changed"]),
        ({"name": "other.csv"}, ["other.csv"]),
    ],
)
def test_a_manifest_that_says_otherwise(exports: Exports, changes: dict[str, object], said: list[str]) -> None:
    path = exports.put(CASES, cases(5))
    exports.manifest(path, rows=5)
    assert exports.load(CASES).outcome == "accepted"
    exports.put(CASES, cases(5, 50))
    exports.manifest(path, **({"rows": 5} | changes))
    with pytest.raises(DeliveryRefused) as error:
        exports.load(CASES)
    assert all(text in str(error.value) for text in said)
    assert len(staged(exports)) == 5


def test_a_manifest_is_checked_for_unchanged_files_too(exports: Exports) -> None:
    path = exports.put(CASES, cases(5), "a.csv")
    exports.load(CASES)
    exports.put(CASES, cases(2, 50), "b.csv")
    exports.manifest(path, path.with_name("b.csv"), rows=2)
    assert "a.csv: manifest.json gives 2 rows, the file has 5" in refused(exports)


def test_a_month_with_nothing_is_ordinary_until_history_says_otherwise(exports: Exports) -> None:
    exports.put(CASES, [])
    assert exports.load(CASES).rows_in == 0
    assert Ledger(exports.home).delivered_months() == [(CASES, MONTH)]
    for month in ("2022-08", "2022-09"):
        exports.put(CASES, cases(120), month=month)
        exports.load(CASES, month)
    exports.put(CASES, [], month="2022-10")
    assert "0 rows, where a month of platform_cases has 120 rows" in refused(exports, CASES, "2022-10")
    exports.put("hotline_exclusions", [good_row("hotline_exclusions", n) for n in range(200)])
    exports.load("hotline_exclusions")
    exports.put("hotline_exclusions", [], month="2022-08")
    assert exports.load("hotline_exclusions", "2022-08").outcome == "accepted"


def test_validation_sees_what_is_staged_and_can_refuse(exports: Exports) -> None:
    exports.put(CASES, cases(5))
    exports.pull(CASES)
    seen: list[StagedDelivery] = []

    def refuse(home: object, delivery: StagedDelivery) -> None:
        seen.append(delivery)
        assert all(pq.ParquetFile(file.path).metadata.num_rows == 5 for file in delivery.files)
        raise DeliveryRefused("expectation failed")

    with pytest.raises(DeliveryRefused, match="expectation failed"):
        load(exports.home, CASES, MONTH, validate=refuse)
    assert [(each.dataset, each.month, [file.rows_in for file in each.files]) for each in seen] == [(CASES, MONTH, [5])]
    assert everything_under(exports.home.staged) == {}
    # What was refused may be accepted once the reason is gone: nothing has to be pulled again.
    assert load(exports.home, CASES, MONTH).outcome == "accepted"


def test_rebuilding_gives_the_same_bytes(exports: Exports) -> None:
    bad = good_row(CASES, 99) | {"channel": "电话"}
    exports.put(CASES, [*cases(30), bad, good_row(CASES, 77) | {"applicant_phone": "1.38E+15"}])
    exports.load(CASES)
    zones = [exports.home.staged, exports.home.quarantine, exports.home.root / "findings"]
    before = [everything_under(zone) for zone in zones]
    assert all(before)
    for zone in zones:
        for name in everything_under(zone):
            (zone / name).unlink()
    assert rebuild(exports.home) == 1
    assert [everything_under(zone) for zone in zones] == before


def test_a_flipped_byte_in_the_raw_zone_is_noticed(exports: Exports) -> None:
    exports.put(CASES, cases(5))
    (attempt,) = exports.pull(CASES).attempts
    path = object_path(exports.home, attempt.sha256 or "")
    path.write_bytes(path.read_bytes().replace(b"case_no3", b"case_no4"))
    with pytest.raises(DeliveryRefused, match="gone or damaged; pull the delivery again"):
        load(exports.home, CASES, MONTH)
    assert exports.load(CASES).rows_loaded == 5


def test_a_flipped_byte_in_staged_parquet_is_mended_from_the_raw_zone(exports: Exports) -> None:
    exports.put(CASES, cases(30))
    exports.load(CASES)
    (file,) = Ledger(exports.home).accepted_files(CASES)
    good = file.path.read_bytes()
    rows = staged(exports)
    assert restore(exports.home) == []
    # Columns of moments lie uncompressed and without a checksum: read as it is, the byte is another moment.
    moment = (1_656_986_400 + 8 * 3600) * 1_000_000  # accepted_at, in the account of a wall clock
    at = good.index(moment.to_bytes(8, "little") * 3)
    file.path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    assert staged(exports) != rows
    assert restore(exports.home) == [f"{CASES} {MONTH} export.csv"]
    assert file.path.read_bytes() == good
    file.path.unlink()
    assert restore(exports.home) == [f"{CASES} {MONTH} export.csv"]
    (attempt,) = Ledger(exports.home).attempts()
    object_path(exports.home, attempt.sha256 or "").unlink()
    file.path.write_bytes(good[:-1])
    with pytest.raises(Permanent, match="its raw bytes are gone"):
        restore(exports.home)


def test_a_full_disk_is_no_fault_of_the_delivery(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "13812345678")

    exports.put(CASES, cases(5))
    exports.pull(CASES)
    with monkeypatch.context() as patched:
        patched.setattr("ingestion.staging.pq.ParquetWriter.write_table", full)
        with pytest.raises(StorageFailed, match=r"load: No space left on device\. .* run this again") as raised:
            load(exports.home, CASES, MONTH)
        assert "1381234" not in str(raised.value)
    (attempt,) = Ledger(exports.home).attempts()
    assert attempt.outcome == "landed", "it was not refused"
    assert load(exports.home, CASES, MONTH).outcome == "accepted"


def test_a_ledger_of_an_older_version_gets_seals(exports: Exports) -> None:
    exports.put(CASES, cases(5))
    exports.load(CASES)
    with sqlite3.connect(exports.home.ledger_path) as connection:
        connection.execute("DROP TABLE seals")
    assert restore(exports.home) == []
    assert Ledger(exports.home).seals() == {}
    rebuild(exports.home)
    assert len(Ledger(exports.home).seals()) == 1


def test_a_failed_pull_is_on_record(exports: Exports) -> None:
    exports.put(CASES, cases(1))
    with pytest.raises(DeliveryMissing):
        exports.pull(CASES, "2022-09")
    (attempt,) = Ledger(exports.home).attempts()
    assert (attempt.outcome, attempt.file, attempt.month) == ("failed", None, "2022-09") and attempt.reason
    with pytest.raises(DeliveryMissing, match="nothing has been pulled"):
        load(exports.home, CASES, "2022-09")


@pytest.mark.parametrize("month", ["2022-7", "2022-13", "../2022-07", "2022-07'; DROP TABLE attempts"])
def test_months_are_validated_before_anything_is_touched(exports: Exports, month: str) -> None:
    with pytest.raises(BadParameter):
        load(exports.home, CASES, month)
    assert not exports.home.root.exists()


def test_a_raw_zone_that_others_can_read_is_closed_at_the_next_pull(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.objects.mkdir(parents=True)
    for folder in (home.raw, home.objects):
        folder.chmod(0o755)
    raw_zone(home)
    assert {folder.stat().st_mode & 0o777 for folder in (home.raw, home.objects)} == {0o700}


def test_the_raw_zone_is_private_and_personal_data_stays_in_it(exports: Exports) -> None:
    secrets = ["艾力江", "13899112233", "652701199003071233"]
    text = f"本人{secrets[0]},电话{secrets[1]},身份证{secrets[2]}"
    good = good_row("hotline_tickets", 1) | {"caller": secrets[0], "caller_phone": secrets[1], "content": text}
    bad = [good | {"ticket_no": "2", "called_at": secrets[1]}, good | {"ticket_no": "3", "handling": secrets[0]}]
    exports.put("hotline_tickets", [good, *bad])
    exports.load("hotline_tickets")
    exports.put("hotline_tickets", b"\xff\xfe" + text.encode("utf-8"), "broken.csv")
    with pytest.raises(DeliveryRefused) as error:
        exports.load("hotline_tickets")
    assert not any(secret in str(error.value) for secret in secrets)
    assert {path.stat().st_mode & 0o777 for path in (exports.home.raw, exports.home.objects)} == {0o700}
    assert exports.home.ledger_path.stat().st_mode & 0o777 == 0o600
    outside = [
        path for path in exports.home.root.rglob("*") if path.is_file() and exports.home.objects not in path.parents
    ]
    assert outside
    for path in outside:
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += str(pq.ParquetFile(path).read().to_pylist()).encode()
        assert not [secret for secret in secrets if secret.encode() in content], path


_KILLED = """
import os, signal, sys
from pathlib import Path
from tests.ingestion.deliveries import Exports
from ingestion.home import Home
import ingestion.durable, ingestion.landing, ingestion.staging, ingestion.ledger, ingestion.load
root, point = Path(sys.argv[1]), int(sys.argv[2])
count = 0
def at_each(function):
    def counted(*arguments, **named):
        global count
        count += 1
        if count == point:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return counted
os.fsync = at_each(os.fsync)
Path.replace = at_each(Path.replace)
ingestion.ledger.Ledger.record_pull = at_each(ingestion.ledger.Ledger.record_pull)
ingestion.ledger.Ledger.decide = at_each(ingestion.ledger.Ledger.decide)
exports = object.__new__(Exports)
exports.root, exports.home = root / "exports", Home(root / "home")
exports.load("platform_cases", "2022-08")
print(count)
"""


@pytest.mark.slow
def test_killed_at_any_step_the_old_state_stays_and_a_plain_rerun_converges(tmp_path: Path) -> None:
    """The n-th rename, sync or ledger write is the last thing that the process does, for every n."""
    finished = False
    point = 0
    while not finished:
        point += 1
        root = tmp_path / str(point)
        root.mkdir()
        exports = Exports(root)
        exports.put(CASES, cases(3))
        exports.load(CASES)
        before = staged(exports)
        bad = good_row(CASES, 99) | {"channel": "电话"}
        exports.put(CASES, [*cases(2, 50), bad], "b.csv", month="2022-08")
        run = subprocess.run(
            [sys.executable, "-c", _KILLED, str(root), str(point)],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=False,
        )
        finished = run.returncode == 0
        if not finished:
            assert run.returncode == -signal.SIGKILL, run.stderr
            assert staged(exports) == before
        exports.load(CASES, "2022-08")
        assert [row["_key"] for row in staged(exports)] == [f"case_no{n}" for n in (1, 2, 3, 50, 51)]
        assert Ledger(exports.home).quarantine_table().num_rows == 1
        left = [path for path in exports.home.root.rglob("*") if path.name.startswith(".") or path.suffix == ".tmp"]
        assert left == [] and list((exports.home.raw / "incoming" / CASES).iterdir()) == []
        with sqlite3.connect(exports.home.ledger_path) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert point > 12


def test_a_panic_for_want_of_threads_is_a_storage_fault_and_an_interruption_is_not() -> None:
    panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})

    @naming_storage_faults("load")
    def work(error: BaseException) -> None:
        raise error

    with pytest.raises(StorageFailed, match="no more threads"):
        work(panic("could not spawn threads: Resource temporarily unavailable"))
    with pytest.raises(KeyboardInterrupt):
        work(KeyboardInterrupt())
    with pytest.raises(panic):
        work(panic("called unwrap on a None"))
