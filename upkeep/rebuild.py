"""A rebuild from raw alone (重建): from landed files and an empty home to a release, compared with the served one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from ingestion import load
from ingestion.errors import BadParameter
from ingestion.home import Home
from ingestion.ledger import Ledger
from publishing import audit, build, publish, releases
from publishing.build import input_digest

Show = Callable[[str], None]


@dataclass
class Rebuilt:
    """What a rebuild gave: seconds of each step, and per period the content digests served and rebuilt."""

    home: Home
    seconds: dict[str, float] = field(default_factory=dict)
    #: period -> (digest of its newest served revision, digest rebuilt or None)
    digests: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    #: Are files, models and rules those that the served release was made of?
    same_input: bool = True

    @property
    def agrees(self) -> bool:
        """Is every published period the same, digest for digest?"""
        return bool(self.digests) and all(old == new for old, new in self.digests.values())


def rebuild(home: Home, into: Path, show: Show = lambda _: None) -> Rebuilt:
    """Rebuilds everything that is served from the raw zone and the key alone, in the empty folder ``into``.

    ``home`` is only read. The expectations of the load edge are not asked again: they accepted these very files.
    Raises BadParameter where nothing is served or the folder is not empty, and what the steps raise.
    """
    served = releases.served(home)
    if served is None:
        raise BadParameter("nothing is published yet, so there is nothing to compare a rebuild with")
    if into.exists() and any(into.iterdir()):
        raise BadParameter(f"{into} is not empty; name an empty or a new folder for the rebuild")
    wanted = newest_digests(served.warehouse)
    done = Rebuilt(Home(into), same_input=served.manifest["input_digest"] == input_digest(home))
    into.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Raw files and key are used where they lie, the ledger is a copy: staging seals in it what it has made.
    done.home.raw.mkdir(mode=0o700)
    done.home.objects.symlink_to(home.objects)
    Ledger(home).copy_to(done.home)
    if home.keys.is_dir():
        done.home.keys.symlink_to(home.keys)
    periods = sorted(wanted)
    run_id = "rebuild"
    for name, step in (
        ("stage 入库", lambda: load.rebuild(done.home)),
        ("build 构建", lambda: build(done.home, periods, run_id, "rebuild")),
        ("audit 审核", lambda: audit(done.home, run_id)),
        ("publish 发布", lambda: publish(done.home, run_id)),
    ):
        show(name)
        with _timed(done, name):
            step()
    made = newest_digests(done.home.current / "warehouse.duckdb")
    done.digests = {period: (digest, made.get(period)) for period, digest in wanted.items()}
    return done


def newest_digests(warehouse: Path) -> dict[str, str]:
    """period -> content digest of its newest revision in a published file."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        rows = connection.execute(
            "SELECT period_code, arg_max(content_digest, revision) FROM marts.releases GROUP BY period_code ORDER BY 1"
        ).fetchall()
    return dict(rows)


@contextmanager
def _timed(done: Rebuilt, name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    done.seconds[name] = round(time.perf_counter() - started, 1)
