"""Connection URIs: read strictly, printed without secrets, made from an Airflow connection's fields."""

from __future__ import annotations

from typing import Any

import pytest

from ingestion.errors import BadParameter
from ingestion.transports import connect, describe, uri_from_connection
from ingestion.transports.uri import parse


@pytest.mark.parametrize(
    "uri",
    [
        "ftp://host/x", "", "/exports", "file://server/share", "sftp:///root", "https://", "s3://", "http://h:port/",
        "http://h/?deadlin=3", "http://h/?deadline=soon", "http://h/?page_size=0", "http://h/?page_size=1.5",
        "http://h/?deadline=nan", "http://h/?deadline=-1", "sftp://h/#x", "http://[::1/", "http://h/?deadline",
    ],
)  # fmt: skip
def test_what_is_no_uri_is_refused(uri: str) -> None:
    with pytest.raises(BadParameter):
        connect(uri)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://:SECRET@127.0.0.1:8080/base", "http://127.0.0.1:8080/base"),
        ("sftp://tongbao:SECRET@h:22/root?host_key=x&passphrase=SECRET", "sftp://tongbao@h:22/root"),
        ("s3://SECRETKEY:SECRET@bucket/a%20b?session_token=SECRET", "s3://bucket/a%20b"),
        ("http://:SEC%40RET%3A@[::1]:8080/", "http://[::1]:8080/"),
        ("file:///exports/%E5%8E%BF", "file:///exports/%E5%8E%BF"),
    ],
)
def test_what_is_printed_holds_no_secret(uri: str, shown: str) -> None:
    assert describe(uri) == shown == connect(uri).describe() == repr(parse(uri))


def test_a_broken_uri_is_not_quoted_in_its_error() -> None:
    for uri in ("http://:SECRET@[bad/", "http://:SECRET@h:99999/", "sftp://u:SECRET@/", "http://:SECRET@h/?nope=1"):
        with pytest.raises(BadParameter) as caught:
            connect(uri)
        assert "SECRET" not in f"{caught.value!r}{caught.value.__cause__!r}"


EMPTY: dict[str, Any] = {"host": None, "port": None, "login": None, "password": None, "schema": None, "extra": {}}
NASTY = "p@ss/w:rd #1%?&="


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"conn_type": "http", "host": "127.0.0.1", "port": 8080, "password": NASTY, "extra": {"page_size": 500}},
            {"scheme": "http", "host": "127.0.0.1", "port": 8080, "password": NASTY, "path": ""},
        ),
        (
            {"conn_type": "http", "host": "https://platform.example/api/v1", "password": "t"},
            {"scheme": "https", "host": "platform.example", "port": None, "path": "/api/v1"},
        ),
        (
            {"conn_type": "http", "host": "platform.example", "schema": "https", "password": "t"},
            {"scheme": "https", "host": "platform.example"},
        ),
        (
            {"conn_type": "sftp", "host": "h", "port": 2222, "login": "u@x", "password": NASTY,
             "extra": {"host_key": "ssh-ed25519 AAAA+/=", "path": "/drop/县"}},
            {"scheme": "sftp", "host": "h", "port": 2222, "user": "u@x", "password": NASTY, "path": "/drop/县",
             "options": {"host_key": "ssh-ed25519 AAAA+/="}},
        ),
        (
            {"conn_type": "file", "extra": {"path": "/exports/a b#1"}},
            {"scheme": "file", "path": "/exports/a b#1"},
        ),
        ({"conn_type": "fs", "host": "/exports"}, {"scheme": "file", "path": "/exports"}),
        (
            {"conn_type": "aws", "login": "AK", "password": "s/k+", "extra": {
                "bucket": "exports", "prefix": "county/x", "endpoint_url": "http://127.0.0.1:9000",
                "region_name": "r"}},
            {"scheme": "s3", "host": "exports", "user": "AK", "password": "s/k+", "path": "/county/x",
             "options": {"endpoint_url": "http://127.0.0.1:9000", "region": "r"}},
        ),
        ({"conn_type": "http", "host": "::1", "port": 80}, {"host": "::1", "port": 80}),
    ],
)  # fmt: skip
def test_a_connection_comes_back_in_its_parts(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    parts = parse(uri_from_connection(**(EMPTY | fields)))
    assert {name: getattr(parts, name) for name in expected} == expected
    assert parts.limits.page_size == fields.get("extra", {}).get("page_size", 5000)


@pytest.mark.parametrize(
    "fields", [{"conn_type": "postgres", "host": "h"}, {"conn_type": "sftp"}, {"conn_type": "file", "host": "x"},
               {"conn_type": "http", "host": "h", "schema": "gopher"}],
)  # fmt: skip
def test_a_connection_that_is_none_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadParameter):
        uri_from_connection(**(EMPTY | fields))
