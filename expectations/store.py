"""Where results are kept: one JSON file per validated delivery or run under ``$TONGBAO_HOME/validation``."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ingestion.durable import temporary_beside
from ingestion.errors import BadParameter
from ingestion.home import Home
from ingestion.personal_numbers import excerpt

#: The failing rows or things that are written beside an expectation, at most.
MAX_ITEMS = 20

_BEIJING = ZoneInfo("Asia/Shanghai")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,120}")


def folder(home: Home) -> Path:
    """The zone of validation results; it holds figures and keys, never personal data."""
    return home.root / "validation"


def now() -> str:
    """Beijing wall time to the second, as ISO 8601 without an offset."""
    return dt.datetime.now(_BEIJING).replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")


def write_json(path: Path, content: object) -> None:
    """Write under a temporary name, fsync and rename: a reader sees the old file or the new one, nothing between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def keep(home: Home, edge: str, parts: Sequence[str], result: dict[str, Any]) -> Path:
    """Keep a result under ``validation/<edge>/<parts...>.json`` and return its path."""
    if bad := [part for part in (edge, *parts) if not _NAME.fullmatch(part) or part.startswith(".")]:
        raise BadParameter(f"not a name of a result: {excerpt(bad[0])}")
    path = folder(home).joinpath(edge, *parts[:-1], f"{parts[-1]}.json")
    write_json(path, result)
    return path


def results(home: Home, edge: str | None = None, dataset: str | None = None) -> list[dict[str, Any]]:
    """The kept results, oldest first; of one edge (``load``, ``published``) or one dataset where it is given.

    A result: edge, subject, suite, validated_at (Beijing), outcome (``passed``, ``warning``, ``refused``), seconds and
    one object per expectation with its status (``passed``, ``failed``, ``baseline``), severity, observed figure,
    bounds, texts in Chinese and English, and the business keys of at most 20 failing rows.
    """
    found = []
    for path in sorted(folder(home).glob(f"{edge or '*'}/**/*.json")):
        if path.relative_to(folder(home)).parts[0] == "profiles":
            continue
        result = json.loads(path.read_text(encoding="utf-8"))
        if dataset is None or result.get("dataset") == dataset:
            found.append(result)
    return sorted(found, key=lambda result: (result["validated_at"], result["edge"], result["subject"]))


def outcome_of(expectations: Sequence[dict[str, Any]]) -> str:
    """``refused`` where a critical expectation failed, ``warning`` where another one did, else ``passed``.

    Expectations of the severity *info* are findings and change nothing.
    """
    failed = {e["severity"] for e in expectations if e["status"] == "failed"}
    return "refused" if "critical" in failed else "warning" if "warning" in failed else "passed"


def figure(value: float | int | None) -> str:
    """A figure as people write it: no trailing zeros, a dash for none."""
    if value is None:
        return "—"
    return f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def bounds(expectation: dict[str, Any]) -> str:
    """What was expected, in signs that need no translation: ``= 0``, ``≤ 3``, ``0.4 … 3``."""
    low, high = expectation["min"], expectation["max"]
    if low == high:
        return f"= {figure(low)}"
    if low is None or high is None:
        return f"≤ {figure(high)}" if low is None else f"≥ {figure(low)}"
    return f"{figure(low)} … {figure(high)}"


def refusal_text(result: dict[str, Any]) -> str:
    """The failed critical expectations in Chinese and English with their figures; what an exception says."""
    lines = [
        f"{e['title_zh']} / {e['title_en']}: {figure(e['observed'])} (须 {bounds(e)})"
        for e in result["expectations"]
        if e["status"] == "failed" and e["severity"] == "critical"
    ]
    return f"{result['subject']} 未通过校验 / did not pass validation: " + "; ".join(lines)
