"""A source's URI survives the way through an Airflow connection."""

from __future__ import annotations

import json

import pytest

from ingestion.transports import uri_from_connection
from ingestion.transports.uri import parse
from ops.connections import connection_json

URIS = [
    "file:///exports/county%20a",
    "http://:to%2Fken%40x@127.0.0.1:8080",
    "https://:t@platform.example/base",
    "sftp://hotline:p%40ss%3Aword@127.0.0.1:2222/drop?host_key=ssh-ed25519%20AAAA%2Bb%2F%3D",
    "s3://key:se%2Fcret@bucket/prefix?endpoint_url=http%3A%2F%2F127.0.0.1%3A5000&region=cn-north-1",
]


@pytest.mark.parametrize("uri", URIS)
def test_round_trip(uri):
    c = json.loads(connection_json(uri))
    again = uri_from_connection(
        c["conn_type"], c.get("host"), c.get("port"), c.get("login"), c.get("password"), None, c["extra"]
    )
    one, other = parse(uri), parse(again)
    for part in ("scheme", "host", "port", "password", "options"):
        assert getattr(one, part) == getattr(other, part), part
    assert one.path.rstrip("/") == other.path.rstrip("/")
    assert one.user == other.user


def test_the_mirror_is_where_its_connection_or_the_setting_says(airflow_env, monkeypatch):
    from psycopg.conninfo import conninfo_to_dict

    from dags.mirror import target

    told = {"conn_type": "postgres", "host": "db", "port": 5433, "login": "tongbao", "password": "p w'x", "schema": "w"}
    monkeypatch.setenv("AIRFLOW_CONN_TONGBAO_POSTGRES", json.dumps(told))
    assert conninfo_to_dict(target()) == {
        "host": "db",
        "port": "5433",
        "user": "tongbao",
        "password": "p w'x",
        "dbname": "w",
    }
