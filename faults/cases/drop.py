"""An SFTP drop that errs: transfers cut or short, servers that fall silent, files that are still being uploaded."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from faults import material as m
from faults.cases.api import GRACE, ONLY_EXACT, ONLY_REFUSE
from faults.judge import EXACT, REFUSE, WRONG, Expect, Verdict, judge
from faults.variants import Variant
from faults.workplace import Workplace

PASSWORD = "planted-password-0123"  # noqa: S105 - of a server that lives for one variant
PATIENT = {"deadline": 30, "timeout": 10, "attempts": 5, "backoff": 0.002, "backoff_max": 0.01, "min_age": 0}
HASTY = PATIENT | {"attempts": 2}
BRIEF = HASTY | {"deadline": 1.5, "timeout": 0.2}
#: Seconds a file must have been left alone in the variants that upload while the pull goes on.
SETTLED = 0.5

#: The reads of one kind of file and where they are cut, as shares of its size.
SHARES = (0.0, 0.3, 0.6, 0.999)
#: Done beside the pull: with the folder of the month, after the server has started.
Beside = Callable[[Any], None]


def variants() -> Iterator[Variant]:
    """All variants of the row *SFTP*."""
    for dataset, form in (("hotline_tickets", "csv"), ("hotline_dispatches", "xlsx"), ("platform_cases", "json")):
        yield dropped(f"{dataset}/well", dataset, form)
        for kind in ("sftp_cut", "sftp_short"):
            for share in SHARES:
                for times in (1, 2):
                    yield dropped(f"{dataset}/{kind}/{share}/{times}", dataset, form, fault=(kind, share, times, 0))
                yield dropped(f"{dataset}/{kind}/{share}/always", dataset, form, ONLY_REFUSE, HASTY,
                              fault=(kind, share, -1, 0))  # fmt: skip
        yield dropped(f"{dataset}/slow", dataset, form, fault=("sftp_drip", 0.0, -1, 0.05))
        yield dropped(f"{dataset}/silent", dataset, form, ONLY_REFUSE, BRIEF, fault=("sftp_drip", 0.0, -1, 3))
        yield dropped(f"{dataset}/growing", dataset, form, limits=PATIENT | {"min_age": SETTLED}, beside=_growing)
        for name in ("b.part", "b.csv.filepart", "b.tmp", "b.csv.uploading"):
            yield dropped(f"{dataset}/uploading/{name}", dataset, form, ONLY_REFUSE, HASTY, beside=_lies(name))
            yield dropped(f"{dataset}/renamed_in_time/{name}", dataset, form, beside=_renamed(name),
                          limits=PATIENT | {"attempts": 200, "backoff": 0.01, "backoff_max": 0.05})  # fmt: skip
        yield dropped(f"{dataset}/litter", dataset, form, beside=_lies(".DS_Store"))
        yield dropped(f"{dataset}/folder_inside", dataset, form, ONLY_REFUSE, HASTY, beside=_folder_inside)
    for what, change in {
        "another_password": lambda uri: uri.replace(PASSWORD, "another"),
        "no_host_key": lambda uri: uri.partition("?")[0] + "?x=",
        "unpinned": lambda uri: uri.partition("host_key=")[0] + "host_key=",
        "another_host_key": lambda uri: uri.partition("host_key=")[0] + "host_key=SHA256%3A" + "A" * 43,
        "nobody_listens": lambda uri: uri.replace(uri.partition("@127.0.0.1:")[2].partition("/")[0], "9"),
        "another_folder": lambda uri: uri.replace("/?", "/elsewhere?"),
    }.items():
        yield dropped(f"unreachable/{what}", "hotline_tickets", "csv", ONLY_REFUSE, HASTY, address=change)


def _growing(folder: Any) -> None:
    """The file's second half is written while the pull waits for it to settle."""
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])

    def finish() -> None:
        time.sleep(SETTLED / 5)
        with path.open("ab") as file:
            file.write(whole[len(whole) // 2 :])

    threading.Thread(target=finish, daemon=True).start()


def _lies(name: str) -> Beside:
    return lambda folder: (folder / name).write_bytes(b"x")


def _renamed(name: str) -> Beside:
    """The delivered file lies there under an upload's name and is renamed when it is whole."""

    def beside(folder: Any) -> None:
        (path,) = folder.iterdir()
        path.rename(folder / name)

        def finish() -> None:
            time.sleep(0.2)
            (folder / name).rename(path)

        threading.Thread(target=finish, daemon=True).start()

    return beside


def _folder_inside(folder: Any) -> None:
    (folder / "archive").mkdir()


@contextmanager
def _quiet() -> Iterator[None]:
    """The SSH libraries tell of every cut connection, one by a thread's traceback."""
    hook, threading.excepthook = threading.excepthook, lambda _: None
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        threading.excepthook = hook
        logging.disable(logging.NOTSET)


def dropped(
    name: str,
    dataset: str,
    form: str,
    may: frozenset[str] = ONLY_EXACT,
    limits: dict[str, float] = PATIENT,
    *,
    fault: tuple[str, float, int, float] | None = None,
    beside: Beside | None = None,
    address: Callable[[str], str] | None = None,
) -> Variant:
    """One pull from the drop; ``fault`` is kind, share of the file before it, times and pause.

    After a refusal the folder is put right and a second pull must be exact.
    """

    def check(place: Workplace) -> Verdict:
        from simulator.servers.hotline import HotlineServer

        rows = m.generated(dataset)
        file, content = m.file_of(dataset, form, rows)
        folder = place.put(dataset, {file: content})
        expect = Expect(m.wanted(dataset, rows), may, secrets=m.secrets(dataset) | {PASSWORD})
        with _quiet(), HotlineServer(place.exports, PASSWORD) as server:
            if fault:
                kind, share, times, pause = fault
                server.faults.add(kind, after=int(len(content) * share), times=times, pause=pause)
            if beside:
                beside(folder)
            started = time.monotonic()
            observed = place.deliver(dataset, uri=_with(address(server.uri) if address else server.uri, limits))
            took = time.monotonic() - started
            if took > limits["deadline"] + GRACE:
                observed.breaches.append(f"took {took:.1f} s with a deadline of {limits['deadline']} s")
            if fault and not server.faults.committed:
                observed.breaches.append("the server committed no fault")
            verdict = judge(expect, observed)
            if verdict.outcome != REFUSE:
                return verdict
            server.faults.pending.clear()
            place.put(dataset, {file: content})
            again = judge(Expect(expect.rows, ONLY_EXACT), place.deliver(dataset, uri=_with(server.uri, PATIENT)))
        return verdict if again.outcome == EXACT else Verdict(WRONG, f"the re-run did not mend it: {again.why}")

    return Variant(name, check)


def _with(uri: str, limits: dict[str, float]) -> str:
    return f"{uri}&" + "&".join(f"{option}={value}" for option, value in limits.items())
