"""The object store against an S3 API on loopback: paged listings, refused keys, cut and dripping objects."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingestion.errors import BadParameter, DeliveryMissing, DeliveryRefused, SourceUnavailable, Transient
from ingestion.transports import AccessRefused, Source
from simulator.servers.objectstore import ObjectStoreServer

from .exports import QUICK, deliver

Connect = Callable[..., Source]


@pytest.fixture
def store(exports: Path) -> Iterator[ObjectStoreServer]:
    with ObjectStoreServer(list_page=10) as server:
        server.upload(exports, "county/")
        yield server


def test_files_and_months(store: ObjectStoreServer, source: Connect, into: Path) -> None:
    bucket = source(store.uri("county"))
    assert bucket.months("hotline_calls") == ["2022-07", "2022-08"]
    fetched = bucket.fetch("cms_posts", "2022-07", into)
    assert {one.name: one.path.read_bytes() for one in fetched} == {"a.xlsx": b"PK-a", "b.xlsx": b"PK-b"}
    assert source(store.uri("county/hotline")).fetch("hotline_calls", "2022-08", into)[0].size == 300_000


def test_listings_longer_than_a_page_are_read_to_their_end(
    store: ObjectStoreServer, tmp_path: Path, source: Connect, into: Path
) -> None:
    for number in range(35):
        deliver(tmp_path / "many", "cms_posts", "2022-07", f"{number:03d}[1].csv", f"content {number}".encode())
    store.upload(tmp_path / "many", "many/")
    store.listings = 0
    fetched = source(store.uri("many")).fetch("cms_posts", "2022-07", into)
    assert store.listings > 6, "the listing was never cut: the test shows nothing"
    assert [one.path.read_bytes() for one in fetched] == [f"content {number}".encode() for number in range(35)]


def test_a_bucket_as_root(exports: Path, source: Connect, into: Path) -> None:
    with ObjectStoreServer() as server:
        server.upload(exports)
        assert len(source(server.uri()).fetch("cms_posts", "2022-07", into)) == 2


def test_nothing_delivered(store: ObjectStoreServer, source: Connect, into: Path) -> None:
    with pytest.raises(DeliveryMissing, match="cms_posts 2022-09"):
        source(store.uri("county")).fetch("cms_posts", "2022-09", into)
    with pytest.raises(SourceUnavailable, match="root folder"):
        source(store.uri("elsewhere")).fetch("cms_posts", "2022-07", into)
    with pytest.raises((BadParameter, SourceUnavailable), match=r"no such bucket|root folder"):
        source(store.uri("county").replace(store.bucket, "no-such-bucket")).fetch("cms_posts", "2022-07", into)


def test_a_key_that_climbs_is_not_followed(store: ObjectStoreServer, source: Connect, into: Path) -> None:
    store.client().put_object(Bucket=store.bucket, Key="county/cms/cms_posts/2022-07/../x.csv", Body=b"other")
    with pytest.raises(DeliveryRefused, match=r"'\.\.' is not a file"):
        source(store.uri("county")).fetch("cms_posts", "2022-07", into)


@pytest.mark.parametrize(
    "fault", [{"kind": "s3_cut", "after": 1000, "times": 1}, {"kind": "s3_status", "times": 2}], ids=lambda f: f["kind"]
)
def test_a_passing_fault_ends_in_the_exact_bytes(
    store: ObjectStoreServer, source: Connect, into: Path, fault: dict[str, object]
) -> None:
    store.faults.add(**fault)  # type: ignore[arg-type]
    (fetched,) = source(store.uri("county")).fetch("hotline_calls", "2022-08", into)
    assert store.faults.committed, "the server never failed: the test shows nothing"
    assert fetched.path.read_bytes() == b"x" * 300_000


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("s3_cut", Transient),
        ("s3_status", SourceUnavailable),
        ("s3_denied", AccessRefused),
    ],
)
def test_a_lasting_fault_is_named_and_nothing_secret_is(
    store: ObjectStoreServer, source: Connect, into: Path, kind: str, error: type[Exception]
) -> None:
    store.faults.add(kind, times=-1)
    begun = time.monotonic()
    with pytest.raises(error, match=r"'b\.csv'") as caught:
        source(store.uri("county")).fetch("hotline_calls", "2022-08", into)
    assert time.monotonic() - begun < 9
    secret = store.uri("county").partition("://")[2].partition("@")[0]
    assert not any(part in repr(caught.value) for part in secret.split(":"))


def test_a_drip_ends_at_the_deadline(store: ObjectStoreServer, source: Connect, into: Path) -> None:
    store.faults.add("s3_drip", times=-1, pause=0.0005)  # 300,000 bytes: minutes
    begun = time.monotonic()
    with pytest.raises(SourceUnavailable, match="deadline"):
        source(store.uri("county"), "deadline=1.5&timeout=1").fetch("hotline_calls", "2022-08", into)
    assert time.monotonic() - begun < 3


def test_a_process_that_gave_up_on_a_drip_can_end(exports: Path, tmp_path: Path) -> None:
    """The S3 client's own read went on after the deadline and kept the process alive for as long as bytes came."""
    program = (
        "import sys, pathlib\n"
        "from ingestion.transports import connect\n"
        "try: connect(sys.argv[1]).fetch('hotline_calls', '2022-08', pathlib.Path(sys.argv[2]))\n"
        "except Exception as error: print(error)"
    )
    with ObjectStoreServer() as server:
        server.upload(exports)
        server.faults.add("s3_drip", times=-1, pause=0.01)
        ended = subprocess.run(
            [sys.executable, "-c", program, f"{server.uri()}&deadline=1&timeout=30", str(tmp_path)],
            capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
    assert "deadline" in ended.stdout, ended.stderr


def test_nobody_there(store: ObjectStoreServer, source: Connect, into: Path) -> None:
    dead = source(store.uri("county").replace(str(store.endpoint.rpartition(":")[2]), "1"), QUICK)
    with pytest.raises(SourceUnavailable):
        dead.fetch("cms_posts", "2022-07", into)
