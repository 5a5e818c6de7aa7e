"""A new pseudonymisation key: the same people stay the same people, and a rotation cut short falsifies nothing."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from ingestion import rotation
from ingestion.errors import BadParameter
from ingestion.home import Home
from ingestion.landing import object_path
from ingestion.ledger import Ledger
from ingestion.load import load, rebuild
from ingestion.personal import home_key_path, key_of, previous_key_path
from tests.ingestion.deliveries import Exports, good_row

POSTS, TICKETS = "cms_posts", "hotline_tickets"


@pytest.fixture
def delivered(exports: Exports) -> Exports:
    """Posts of which one has the same reviewer twice, and two months of one caller's tickets."""
    names = {f"reviewer_{n}": name for n, name in ((1, "艾力江"), (2, "古丽娜"), (3, "王建国"))}
    exports.put(POSTS, [good_row(POSTS, 1) | names, good_row(POSTS, 2) | names | {"reviewer_3": "艾力江"}])
    exports.load(POSTS)
    for month, number in (("2022-07", 1), ("2022-08", 2)):
        exports.put(TICKETS, [good_row(TICKETS, number) | {"caller_phone": "13899112233"}], month=month)
        exports.load(TICKETS, month)
    return exports


def tokens(home: Home) -> dict[str, list[str]]:
    """What is compared: reviewers of each post, and the caller of each ticket."""
    paths = {name: str(home.staged / name / "*" / "*.parquet") for name in (POSTS, TICKETS)}
    with duckdb.connect() as connection:
        posts = connection.execute(f"SELECT reviewer_1, reviewer_2, reviewer_3 FROM '{paths[POSTS]}' ORDER BY _key")
        reviewers = [name for row in posts.fetchall() for name in row]
        tickets = connection.execute(f"SELECT caller_phone FROM '{paths[TICKETS]}' ORDER BY _key").fetchall()
    return {"reviewers": reviewers, "callers": [phone for (phone,) in tickets]}


def pattern(values: list[str]) -> list[int]:
    """Which of the values are equal."""
    return [values.index(value) for value in values]


def test_all_tokens_change_and_compare_as_before(delivered: Exports) -> None:
    home = delivered.home
    before, old = tokens(home), key_of(home)
    done = rotation.rotate(home)
    after = tokens(home)
    assert done.files == 3 and done.key_id != old.key_id and key_of(home) != old
    assert not {*before["reviewers"], *before["callers"]} & {*after["reviewers"], *after["callers"]}
    assert {name: pattern(values) for name, values in after.items()} == {
        "reviewers": [0, 1, 2, 0, 1, 0],
        "callers": [0, 0],
    }
    assert not previous_key_path(home).exists() and old.secret.decode() not in home_key_path(home).read_text()
    assert rotation.key_of_staged(home) == key_of(home).mark
    # What is delivered later is compared with what was there, and all of it can be made again.
    delivered.put(TICKETS, [good_row(TICKETS, 3) | {"caller_phone": "13899112233"}], month="2022-09")
    delivered.load(TICKETS, "2022-09")
    assert len(set(tokens(home)["callers"])) == 1
    rebuild(home)
    assert len(set(tokens(home)["callers"])) == 1


def test_a_key_from_outside_is_rotated_by_changing_it(delivered: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    home = delivered.home
    monkeypatch.setenv("TONGBAO_PII_KEY", "2026a:" + "x" * 32)
    with pytest.raises(rotation.KeysMixed, match="rotate-key"):
        delivered.put(TICKETS, [good_row(TICKETS, 3)], month="2022-09")
        delivered.load(TICKETS, "2022-09")
        rotation.key_of_staged(home)
    assert rotation.rotate(home).files == 3
    assert {value.partition(":")[0] for value in tokens(home)["callers"]} == {"2026a"}
    with pytest.raises(BadParameter, match="set it to the new key"):
        rotation.rotate(home)
    # The same id with another secret is another key all the same.
    monkeypatch.setenv("TONGBAO_PII_KEY", "2026a:" + "y" * 32)
    assert rotation.rotate(home).files == 4


def test_cut_short_a_build_refuses_and_the_next_rotation_finishes(
    delivered: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = delivered.home

    def killed(*arguments: object, **_: object) -> None:
        load_one = arguments[1][:1]  # type: ignore[index]
        real(home, load_one)
        raise KeyboardInterrupt

    real = rotation.restage
    monkeypatch.setattr(rotation, "restage", killed)
    with pytest.raises(KeyboardInterrupt):
        rotation.rotate(home)
    new = key_of(home)
    with pytest.raises(rotation.KeysMixed, match="2 files"):
        rotation.key_of_staged(home)
    monkeypatch.setattr(rotation, "restage", real)
    assert rotation.rotate(home).files == 2
    assert key_of(home) == new and rotation.key_of_staged(home) == new.mark
    assert not previous_key_path(home).exists()
    assert pattern(tokens(home)["callers"]) == [0, 0]


def test_killed_between_the_new_key_and_the_first_file(delivered: Exports) -> None:
    home = delivered.home
    rotation.renew_home_key(home)
    new = key_of(home)
    assert rotation.rotate(home).files == 3
    assert key_of(home) == new


def test_files_without_their_raw_bytes_are_rekeyed_only_when_told(delivered: Exports) -> None:
    home = delivered.home
    (posts,) = Ledger(home).accepted_files(POSTS)
    object_path(home, posts.sha256).unlink()
    before = key_of(home)
    with pytest.raises(BadParameter, match=r"cms_posts 2022-07 export\.csv"):
        rotation.rotate(home)
    assert key_of(home) == before
    done = rotation.rotate(home, rekey_expired=True)
    assert done.files == 2 and done.rekeyed == ("cms_posts 2022-07 export.csv",)
    assert pattern(tokens(home)["reviewers"]) == [0, 1, 2, 0, 1, 0]
    assert {value.partition(":")[0] for value in tokens(home)["reviewers"]} == {done.key_id}
    assert rotation.key_of_staged(home) == key_of(home).mark
    assert pq.read_metadata(posts.path).num_rows == 2


def test_a_refused_rotation_leaves_a_damaged_file_named(delivered: Exports, tmp_path: Path) -> None:
    home = delivered.home
    file = Ledger(home).accepted_files(TICKETS)[0]
    path = object_path(home, file.sha256)
    kept = path.read_bytes()
    path.write_bytes(kept + b"x")
    with pytest.raises(Exception, match="gone or damaged"):
        rotation.rotate(home)
    assert previous_key_path(home).exists()
    path.write_bytes(kept)
    rotation.rotate(home)
    assert rotation.key_of_staged(home) == key_of(home).mark
    assert load(home, TICKETS, "2022-08").outcome == "unchanged"
