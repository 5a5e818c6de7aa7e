"""Bytes in: how the exports of a source system reach this machine.

``connect(uri)`` chooses by the URI's scheme: a folder, an SFTP server or an object store (``filetree``), or the paged
API of a platform (``api``). A transport's module is imported when it is first needed: a folder needs no SSH client.
"""

from __future__ import annotations

from ingestion.transports.base import AccessRefused, Fetched, Limits, ManifestEntry, Source
from ingestion.transports.uri import parse, uri_from_connection

__all__ = [
    "AccessRefused",
    "Fetched",
    "Limits",
    "ManifestEntry",
    "Source",
    "connect",
    "describe",
    "uri_from_connection",
]


def connect(uri: str) -> Source:
    """The source at this URI; nothing is opened yet. Raises BadParameter for a URI that is none."""
    parts = parse(uri)
    if parts.scheme in ("http", "https"):
        from ingestion.transports.api import ApiSource

        return ApiSource(parts)
    from ingestion.transports.filetree import TreeSource

    return TreeSource(parts)


def describe(uri: str) -> str:
    """The URI for logs and messages: without password, token or options."""
    return str(parse(uri))
