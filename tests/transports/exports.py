"""Exports small enough to check by hand, laid where the systems deliver them."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

#: Appended to connection URIs: short waits, so that giving up takes a second and not minutes.
QUICK = "deadline=8&timeout=2&attempts=4&backoff=0.02&backoff_max=0.1"

CASES = [{"办件编号": f"A{i:04d}", "更新时间": f"2022-07-01 08:{i % 60:02d}:00"} for i in range(95)]


def deliver(root: Path, dataset: str, month: str, name: str, content: bytes, *, age: float = 3600) -> Path:
    """Lay a file where the system delivers it, last changed ``age`` seconds ago."""
    path = root / dataset.partition("_")[0] / dataset / month / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (time.time() - age,) * 2)
    return path


def page_object(rows: list[dict[str, str]], dataset: str = "platform_cases", month: str = "2022-07") -> bytes:
    page = {"dataset": dataset, "period": month, "page": 1, "pages": 1, "total": len(rows), "rows": rows}
    return json.dumps(page, ensure_ascii=False).encode()
