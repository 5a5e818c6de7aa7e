"""Deliveries in a local folder: names are data, manifests are read, nothing unfinished is taken."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ingestion.errors import BadParameter, DeliveryMissing, DeliveryRefused, SourceInconsistent, SourceUnavailable
from ingestion.transports import Fetched, Source

from .exports import QUICK, deliver

Connect = Callable[..., Source]


def contents(fetched: list[Fetched]) -> dict[str, bytes]:
    return {one.name: one.path.read_bytes() for one in fetched}


def test_files_of_a_month_come_in_the_order_of_their_names(exports: Path, source: Connect, into: Path) -> None:
    cms = source(f"file://{exports}")
    assert cms.months("cms_posts") == ["2022-07"]
    fetched = cms.fetch("cms_posts", "2022-07", into)
    assert contents(fetched) == {"a.xlsx": b"PK-a", "b.xlsx": b"PK-b"}
    assert [one.name for one in fetched] == ["a.xlsx", "b.xlsx"]
    assert not any(one.has_manifest for one in fetched)


def test_the_root_may_be_the_systems_own_folder(exports: Path, source: Connect, into: Path) -> None:
    assert len(source(f"file://{exports}/cms").fetch("cms_posts", "2022-07", into)) == 2


def test_names_are_data(exports: Path, source: Connect, into: Path) -> None:
    """Each of these has been a path, a pattern or an option to some tool; each file comes as itself."""
    names = ["export[1].csv", "export1.csv", "EXPORT1.csv", "a'b\"c;--.csv", "*.csv", "$(id).csv", "-rf.csv"]
    names += ["长" * 80 + ".csv", "new\nline.csv", " lead.csv", "%2e%2e.csv", "#x?y=z.csv", "a..csv", "\\..\\x.csv"]
    for number, name in enumerate(names):
        deliver(exports, "cms_submissions", "2022-07", name, f"content {number}".encode())
    fetched = source(f"file://{exports}").fetch("cms_submissions", "2022-07", into)
    assert contents(fetched) == {name: f"content {number}".encode() for number, name in enumerate(names)}
    assert {one.path.parent for one in fetched} == {into}
    assert all(re.fullmatch(r"[0-9a-f]{8}-\d{5}\.fetched", one.path.name) for one in fetched)


def test_a_name_that_is_not_utf8_is_decoded_as_a_chinese_windows_wrote_it(
    exports: Path, source: Connect, into: Path
) -> None:
    folder = deliver(exports, "cms_submissions", "2022-07", "x.csv", b"1").parent
    (folder / "x.csv").rename(folder / os.fsdecode("七月.csv".encode("gb18030")))
    assert contents(source(f"file://{exports}").fetch("cms_submissions", "2022-07", into)) == {"七月.csv": b"1"}


def test_litter_is_left_out(exports: Path, source: Connect, into: Path) -> None:
    for name in (".DS_Store", "~$a.xlsx", "Thumbs.db", ".nfs001"):
        deliver(exports, "cms_posts", "2022-07", name, b"litter")
    assert sorted(contents(source(f"file://{exports}").fetch("cms_posts", "2022-07", into))) == ["a.xlsx", "b.xlsx"]


def test_a_folder_inside_a_month_is_refused(exports: Path, source: Connect, into: Path) -> None:
    (exports / "cms/cms_posts/2022-07/更正").mkdir()
    with pytest.raises(DeliveryRefused, match="更正"):
        source(f"file://{exports}").fetch("cms_posts", "2022-07", into)


def test_a_link_is_followed_and_one_that_leads_nowhere_is_refused(
    exports: Path, source: Connect, into: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere.xlsx").write_bytes(b"PK-linked")
    (exports / "cms/cms_posts/2022-07/c.xlsx").symlink_to(tmp_path / "elsewhere.xlsx")
    folder = source(f"file://{exports}", QUICK + "&min_age=0")
    assert contents(folder.fetch("cms_posts", "2022-07", into))["c.xlsx"] == b"PK-linked"
    (exports / "cms/cms_posts/2022-07/d.xlsx").symlink_to(tmp_path / "nowhere.xlsx")
    with pytest.raises(DeliveryRefused, match=r"d\.xlsx"):
        folder.fetch("cms_posts", "2022-07", into)


def test_two_months_may_share_a_folder(exports: Path, source: Connect, into: Path) -> None:
    folder = source(f"file://{exports}")
    first = folder.fetch("hotline_calls", "2022-07", into)
    second = folder.fetch("hotline_calls", "2022-08", into)
    assert first[0].path.stat().st_size != second[0].path.stat().st_size == 300_000


@pytest.mark.parametrize("month", ["2022-09", "1999-01"])
def test_nothing_delivered(exports: Path, source: Connect, into: Path, month: str) -> None:
    (exports / "cms/cms_posts/2022-09").mkdir()
    cms = source(f"file://{exports}")
    assert cms.months("cms_posts") == ["2022-07"]
    assert cms.months("cms_media_posts") == []
    with pytest.raises(DeliveryMissing, match=f"cms_posts {month}"):
        cms.fetch("cms_posts", month, into)


def test_a_root_that_is_not_there_is_no_empty_delivery(exports: Path, source: Connect, into: Path) -> None:
    with pytest.raises(SourceUnavailable, match="root folder"):
        source(f"file://{exports}/not-mounted").fetch("cms_posts", "2022-07", into)


@pytest.mark.parametrize("bad", ["../../etc", "2022-13", "2022-7", "2022-07/../2022-08", "2022-07'; --"])
def test_months_are_checked_before_they_are_paths(exports: Path, source: Connect, into: Path, bad: str) -> None:
    with pytest.raises(BadParameter):
        source(f"file://{exports}").fetch("cms_posts", bad, into)


def manifest(exports: Path, *files: dict[str, object]) -> None:
    deliver(exports, "cms_posts", "2022-07", "manifest.json", json.dumps({"files": files}).encode())


def test_the_manifest_is_passed_on(exports: Path, source: Connect, into: Path) -> None:
    digest = hashlib.sha256(b"PK-a").hexdigest()
    manifest(exports, {"name": "a.xlsx", "rows": 12, "sha256": digest.upper()})
    a, b = source(f"file://{exports}").fetch("cms_posts", "2022-07", into)
    assert a.manifest == {"name": "a.xlsx", "rows": 12, "sha256": digest}
    assert a.has_manifest
    assert b.manifest is None
    assert b.has_manifest  # so the file misses the manifest


def test_a_file_that_the_manifest_names_and_that_is_not_there(exports: Path, source: Connect, into: Path) -> None:
    manifest(exports, {"name": "a.xlsx"}, {"name": "b.xlsx"}, {"name": "c.xlsx"})
    with pytest.raises(DeliveryRefused, match=r"names 3 files, 2 of them.*missing: 'c\.xlsx'"):
        source(f"file://{exports}").fetch("cms_posts", "2022-07", into)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"files": [{"rows": 1}]}', b'{"files": [{"name": "a", "rows": -1}]}', b'{"files": 3}', b"\xff\xfe{",
     b'{"files": [{"name": "a", "sha256": "x"}]}', b'{"files": [{"name": "a"}, {"name": "a"}]}', b"[" * 100_000],
)  # fmt: skip
def test_a_manifest_that_is_none_is_refused(exports: Path, source: Connect, into: Path, content: bytes) -> None:
    deliver(exports, "cms_posts", "2022-07", "manifest.json", content)
    with pytest.raises(DeliveryRefused, match=r"manifest\.json"):
        source(f"file://{exports}").fetch("cms_posts", "2022-07", into)


def test_a_growing_file_is_waited_for_and_then_whole(exports: Path, source: Connect, into: Path) -> None:
    path = deliver(exports, "cms_posts", "2022-07", "c.xlsx", b"", age=0)

    def write() -> None:
        for _ in range(8):
            with path.open("ab") as out:
                out.write(b"x" * 1000)
            time.sleep(0.1)

    writer = threading.Thread(target=write)
    writer.start()
    fetched = source(f"file://{exports}", QUICK.replace("attempts=4", "attempts=20") + "&min_age=0.3").fetch(
        "cms_posts", "2022-07", into
    )
    assert not writer.is_alive()
    assert contents(fetched)["c.xlsx"] == b"x" * 8000
    writer.join()


def test_a_file_that_goes_on_growing_is_not_taken(exports: Path, source: Connect, into: Path) -> None:
    path = deliver(exports, "cms_posts", "2022-07", "c.xlsx", b"", age=0)
    over = threading.Event()

    def write() -> None:
        while not over.wait(0.02):
            with path.open("ab") as out:
                out.write(b"x")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(SourceInconsistent, match="still growing"):
            source(f"file://{exports}", QUICK + "&min_age=0.1").fetch("cms_posts", "2022-07", into)
    finally:
        over.set()
        writer.join()


def test_an_upload_under_a_temporary_name_is_waited_for(exports: Path, source: Connect, into: Path) -> None:
    path = deliver(exports, "cms_posts", "2022-07", "c.xlsx.filepart", b"half")
    with pytest.raises(SourceInconsistent, match="upload"):
        source(f"file://{exports}").fetch("cms_posts", "2022-07", into)
    path.rename(path.with_suffix(""))
    assert contents(source(f"file://{exports}").fetch("cms_posts", "2022-07", into))["c.xlsx"] == b"half"


def test_an_unfilled_disk_here_is_not_blamed_on_the_source(exports: Path, source: Connect, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        source(f"file://{exports}").fetch("cms_posts", "2022-07", tmp_path / "absent")
