"""The SFTP drop against a real server on loopback: pinned host key, cut and short transfers, a drip."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import asyncssh
import pytest

from ingestion.errors import BadParameter, SourceInconsistent, SourceUnavailable
from ingestion.transports import AccessRefused, Source
from simulator.servers.hotline import HotlineServer, host_key_option

from .exports import QUICK, deliver

#: The SSH library reads ahead in a thread of its own, which complains when the connection it uses is cut.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

Connect = Callable[..., Source]
BIG = b"0123456789abcdef" * 20_000


@pytest.fixture
def hotline(exports: Path) -> Iterator[HotlineServer]:
    with HotlineServer(exports, "p@ss/w:rd#1") as server:
        yield server


def test_files_and_months(hotline: HotlineServer, source: Connect, into: Path) -> None:
    drop = source(hotline.uri)
    assert drop.months("hotline_calls") == ["2022-07", "2022-08"]
    (fetched,) = drop.fetch("hotline_calls", "2022-07", into)
    assert fetched.name == "话务.csv"
    assert fetched.path.read_bytes().decode("gb18030") == "日期,呼入量\r\n2022-07-01,3\r\n"
    assert "p@ss" not in drop.describe()


def test_names_are_data(hotline: HotlineServer, exports: Path, source: Connect, into: Path) -> None:
    names = ["export[1].csv", "export1.csv", "EXPORT1.csv", "a'b\"c;.csv", "*.csv", "长" * 80 + ".csv", "\\..\\x.csv"]
    for name in names:
        deliver(exports, "hotline_tickets", "2022-07", name, name.encode())
    fetched = source(hotline.uri).fetch("hotline_tickets", "2022-07", into)
    assert {one.name: one.path.read_bytes().decode() for one in fetched} == {name: name for name in names}


def test_a_key_instead_of_a_password(exports: Path, source: Connect, into: Path, tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    file = tmp_path / "key"
    key.write_private_key(str(file))
    with HotlineServer(exports, None, key=key) as server:
        assert source(f"{server.uri}&key_file={quote(str(file))}").fetch("hotline_calls", "2022-07", into)
        text = quote(file.read_text(), safe="")
        assert source(f"{server.uri}&private_key={text}").fetch("hotline_calls", "2022-07", into)
        other = asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh").decode()
        with pytest.raises(AccessRefused, match="not accepted"):
            source(f"{server.uri}&private_key={quote(other, safe='')}").fetch("hotline_calls", "2022-07", into)
        with pytest.raises(BadParameter, match="private key cannot be read") as caught:
            source(f"{server.uri}&private_key=secret-nonsense").fetch("hotline_calls", "2022-07", into)
        assert "nonsense" not in str(caught.value)


def test_an_unknown_host_is_refused_and_its_fingerprint_told(
    hotline: HotlineServer, source: Connect, into: Path
) -> None:
    with pytest.raises(AccessRefused, match="unknown host key ssh-ed25519 SHA256:") as caught:
        source(hotline.uri.partition("?")[0]).fetch("hotline_calls", "2022-07", into)
    match = re.search(r"SHA256:[A-Za-z0-9+/]+", str(caught.value))
    assert match
    pinned = f"{hotline.uri.partition('?')[0]}?host_key={quote(match[0], safe='')}"
    assert source(pinned).fetch("hotline_calls", "2022-07", into)


def test_another_host_key_is_refused_before_the_password_is_sent(
    hotline: HotlineServer, source: Connect, into: Path
) -> None:
    other = host_key_option(asyncssh.generate_private_key("ssh-ed25519"))
    with pytest.raises(AccessRefused, match="another host key"):
        source(f"{hotline.uri.partition('?')[0]}?host_key={other}").fetch("hotline_calls", "2022-07", into)


def test_a_wrong_password_is_not_tried_again(hotline: HotlineServer, source: Connect, into: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(AccessRefused, match="not accepted") as caught:
        source(hotline.uri.replace("p%40ss", "other")).fetch("hotline_calls", "2022-07", into)
    assert "rd#1" not in repr(caught.value)
    assert time.monotonic() - begun < 6


@pytest.mark.parametrize("kind", ["sftp_cut", "sftp_short"])
def test_a_cut_transfer_is_taken_up_again(
    hotline: HotlineServer, exports: Path, source: Connect, into: Path, kind: str
) -> None:
    deliver(exports, "hotline_tickets", "2022-07", "t.csv", BIG)
    hotline.faults.add(kind, times=2, after=100_000)
    (fetched,) = source(hotline.uri).fetch("hotline_tickets", "2022-07", into)
    assert hotline.faults.committed, "the server never failed: the test shows nothing"
    assert fetched.path.read_bytes() == BIG


def test_a_transfer_that_is_always_cut_is_given_up(
    hotline: HotlineServer, exports: Path, source: Connect, into: Path
) -> None:
    deliver(exports, "hotline_tickets", "2022-07", "t.csv", BIG)
    hotline.faults.add("sftp_cut", times=-1, after=0)
    with pytest.raises((SourceUnavailable, SourceInconsistent), match=r"'t\.csv'"):
        source(hotline.uri).fetch("hotline_tickets", "2022-07", into)


def test_a_drip_ends_at_the_deadline(hotline: HotlineServer, exports: Path, source: Connect, into: Path) -> None:
    deliver(exports, "hotline_tickets", "2022-07", "t.csv", BIG)
    hotline.faults.add("sftp_drip", times=-1, after=0, pause=0.7)
    begun = time.monotonic()
    with pytest.raises(SourceUnavailable, match="deadline"):
        source(hotline.uri, "deadline=2&timeout=1").fetch("hotline_tickets", "2022-07", into)
    assert time.monotonic() - begun < 4


def test_a_file_that_goes_on_growing_is_not_taken(
    hotline: HotlineServer, exports: Path, source: Connect, into: Path
) -> None:
    path = deliver(exports, "hotline_tickets", "2022-07", "t.csv", b"", age=0)
    over = threading.Event()

    def write() -> None:
        while not over.wait(0.02):
            with path.open("ab") as out:
                out.write(b"x")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(SourceInconsistent, match="still growing"):
            source(hotline.uri, QUICK + "&min_age=0.2").fetch("hotline_tickets", "2022-07", into)
    finally:
        over.set()
        writer.join()


def test_the_drop_is_read_only(hotline: HotlineServer, exports: Path) -> None:
    import paramiko  # type: ignore[import-untyped]

    with paramiko.SSHClient() as client:
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect("127.0.0.1", hotline.port, "tongbao", "p@ss/w:rd#1", allow_agent=False, look_for_keys=False)
        drop = client.open_sftp()
        for attempt in (
            lambda: drop.open("/x", "wb"),
            lambda: drop.remove("/hotline/hotline_calls/2022-08/b.csv"),
            lambda: drop.mkdir("/y"),
            lambda: drop.symlink("/etc/passwd", "/z"),
        ):
            with pytest.raises(OSError, match="read-only"):
                attempt()
        with pytest.raises(OSError, match="No such file"):
            drop.open("/../../../../etc/passwd")
    assert (exports / "hotline/hotline_calls/2022-08/b.csv").exists()


def test_nobody_there(hotline: HotlineServer, source: Connect, into: Path) -> None:
    with HotlineServer(Path("/nonexistent"), "x") as gone:
        uri = gone.uri
    with pytest.raises(SourceUnavailable, match="connection failed"):
        source(uri).fetch("hotline_calls", "2022-07", into)
