"""A folder of exports, and sources with limits that let a failing one fail within seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingestion.transports import Source, connect

from .exports import CASES, QUICK, deliver, page_object


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """Two months of the hotline, one of the platform and the CMS."""
    root = tmp_path / "exports"
    deliver(root, "platform_cases", "2022-07", "a.json", page_object(CASES))
    deliver(root, "hotline_calls", "2022-07", "话务.csv", "日期,呼入量\r\n2022-07-01,3\r\n".encode("gb18030"))
    deliver(root, "hotline_calls", "2022-08", "b.csv", b"x" * 300_000)
    deliver(root, "cms_posts", "2022-07", "a.xlsx", b"PK-a")
    deliver(root, "cms_posts", "2022-07", "b.xlsx", b"PK-b")
    return root


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


@pytest.fixture
def source() -> Iterator[Callable[..., Source]]:
    """Connect to a URI with quick limits (or those given); closed at the test's end."""
    opened: list[Source] = []

    def make(uri: str, limits: str = QUICK) -> Source:
        opened.append(connect(f"{uri}{'&' if '?' in uri else '?'}{limits}"))
        return opened[-1]

    yield make
    for one in opened:
        one.close()
