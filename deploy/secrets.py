"""Makes the secrets of docker-compose.yml that are missing; needs nothing but Python. Never changes one that is there.

The folder is its owner's alone (0700). The files in it can be read by every user (0444), because each container's own
user reads its own ones, mounted one by one.
"""

from __future__ import annotations

import re
import secrets
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


def names(compose: Path) -> list[str]:
    """The secrets that the compose file mounts from secrets/."""
    return re.findall(r"^  (\w+): \{file: secrets/\1\}$", compose.read_text(encoding="utf-8"), re.MULTILINE)


def make(folder: Path, wanted: list[str]) -> list[str]:
    """Writes a random value for each that is missing (an empty file for ``sources``) and returns their names."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    made = []
    for name in wanted:
        path = folder / name
        if path.exists():
            continue
        path.write_text("" if name == "sources" else secrets.token_urlsafe(32), encoding="utf-8")
        path.chmod(0o444)
        made.append(name)
    return made


if __name__ == "__main__":
    fresh = make(PROJECT / "secrets", names(PROJECT / "docker-compose.yml"))
    sys.stdout.write(f"secrets/: made {', '.join(fresh)}\n" if fresh else "")
