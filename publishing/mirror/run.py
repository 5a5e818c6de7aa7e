"""Bring the mirror to the served release: load it where it is not there yet, switch the views, drop old releases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from ingestion.durable import naming_storage_faults
from ingestion.errors import BadParameter, Permanent, Transient
from ingestion.home import Home
from publishing import releases, settings
from publishing.mirror import load, switch

#: Seconds that a second mirror run waits for the first, and a connection attempt for the server.
LOCK_SECONDS, CONNECT_SECONDS = 600, 10

#: Any number, the same for every process that writes this mirror.
_ADVISORY_LOCK = 8_124_719_001

#: PostgreSQL's error classes that may pass by themselves: connection, rolled back, resources, operator, not available.
_PASSING = ("08", "40", "53", "57", "55")


class MirrorUnavailable(Transient):
    """The mirror's server does not answer, is busy or full; the views show what they showed before."""


class MirrorFailed(Permanent):
    """The mirror cannot take the release; the views show what they showed before."""


@dataclass(frozen=True)
class Mirrored:
    """The release that the views show now, and whether its tables had to be loaded."""

    number: int
    loaded: bool


@naming_storage_faults("mirror")
def mirror(home: Home, uri: str | None = None) -> Mirrored:
    """Makes the views of the mirror at ``uri`` (default: the setting) show the served release; safe to repeat.

    Raises BadParameter where nothing is published or no mirror is set, AuditFailed where the release is damaged,
    MirrorUnavailable (may be retried), MirrorFailed.
    """
    uri = uri or settings.postgres()
    if uri is None:
        raise BadParameter("no mirror is set; TONGBAO_POSTGRES names its database, e.g. postgresql://host/warehouse")
    with _connected(uri) as connection:
        loaded = False
        while True:
            release = releases.served(home)
            if release is None:
                raise BadParameter("nothing is published yet")
            if not load.is_loaded(connection, release):
                releases.verify_warehouse(release)
                load.load(connection, release)
                loaded = True
            switch.switch(connection, release.number, settings.mirror_reader())
            # A release that was published, or a step back, while this one was loading.
            if releases.served_number(home) == release.number:
                break
        switch.prune(connection, release.number, settings.mirror_kept())
    return Mirrored(release.number, loaded)


@contextmanager
def _connected(uri: str) -> Iterator[psycopg.Connection]:
    """The one writing connection, autocommit outside of explicit transactions; errors as the project's own."""
    try:
        with psycopg.connect(
            uri, autocommit=True, connect_timeout=CONNECT_SECONDS, application_name="tongbao mirror"
        ) as connection:
            connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
            connection.execute("SELECT pg_advisory_lock(%s)", [_ADVISORY_LOCK])
            # Times in the warehouse are Beijing wall time without zone: nothing may shift or re-order them.
            connection.execute("SET lock_timeout = '30s'; SET timezone = 'Asia/Shanghai'; SET datestyle = 'ISO, YMD'")
            load.prepare(connection)
            yield connection
    except psycopg.Error as error:
        # Neither detail nor context: they can quote a row.
        said = error.diag.message_primary or type(error).__name__
        if error.sqlstate is None or error.sqlstate.startswith(_PASSING):
            raise MirrorUnavailable(
                f"the PostgreSQL mirror cannot be used now: {said}; see that the server of TONGBAO_POSTGRES (or of the "
                "connection tongbao_postgres) answers, has room and takes this user's password"
            ) from None
        raise MirrorFailed(f"the PostgreSQL mirror refused: {said} ({error.sqlstate})") from None
