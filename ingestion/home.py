"""Where one county's state lies on disk: the folders under ``$TONGBAO_HOME``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Home:
    """The folders of one county. docs/architecture.md says what lies in each and who writes it."""

    root: Path

    @classmethod
    def from_env(cls) -> Home:
        """The home named by ``TONGBAO_HOME``, or ``var/`` in the checkout."""
        return cls(Path(os.environ.get("TONGBAO_HOME") or PROJECT / "var").expanduser().absolute())

    @property
    def raw(self) -> Path:
        """The only zone that holds personal data in clear; mode 0700."""
        return self.root / "raw"

    @property
    def objects(self) -> Path:
        return self.raw / "objects"

    @property
    def ledger_path(self) -> Path:
        return self.raw / "ledger.sqlite"

    @property
    def staged(self) -> Path:
        return self.root / "staged"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def published(self) -> Path:
        return self.root / "published"

    @property
    def releases(self) -> Path:
        return self.published / "releases"

    @property
    def current(self) -> Path:
        """Link to the folder of the release that is served; absent before the first."""
        return self.published / "current"

    @property
    def trial(self) -> Path:
        """Where a rebuild on trial is made, where no other folder is named for it."""
        return self.root / "rebuild"

    @property
    def keys(self) -> Path:
        return self.root / "keys"
