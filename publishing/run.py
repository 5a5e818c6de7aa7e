"""Build, audit and publish as one step, for the command line and for whoever needs no task boundary between them."""

from __future__ import annotations

from collections.abc import Callable

from ingestion import engine
from ingestion.home import Home
from publishing.audit import audit
from publishing.build import build
from publishing.publish import Published, StaleBuild, publish

#: Builds at most, when other runs publish in between.
_ATTEMPTS = 3


def run(
    home: Home,
    periods: list[str],
    run_id: str,
    reason: str = "",
    *,
    full: bool | None = None,
    progress: Callable[[str], None] | None = None,
) -> Published:
    """Builds, audits and publishes the periods; builds again where another run was published meanwhile.

    Raises what build, audit and publish raise; whatever fails, the old release goes on being served.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        warehouse = build(home, periods, run_id, reason, full=full, progress=progress)
        try:
            with engine.at_hand(warehouse):
                audit(home, run_id)
                return publish(home, run_id)
        except StaleBuild:
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("unreachable")
