"""Peaks of memory for ``make bench``."""

from __future__ import annotations

import re
import resource
from pathlib import Path


def own_mib() -> float:
    """The most memory that this process has had, MiB: since it became this program, unlike ``ru_maxrss``, which begins
    with what the process had that started it."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    kib = int(found[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kib / 1024


def with_children_mib() -> float:
    """An upper bound, MiB: the process itself and its largest child (a reader in its sandbox) need not peak together,
    and a child's begins with its parent's."""
    return own_mib() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
