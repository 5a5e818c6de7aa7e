"""Superset over REST, as any client of it: log in, ask charts, run SQL in SQL lab."""

from __future__ import annotations

from typing import Any

import httpx

from ops.superset import USER


class Client:
    """One logged-in user; use it from one thread."""

    def __init__(self, url: str, password: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=300)
        login = {"username": USER, "password": password, "provider": "db", "refresh": True}
        token = self.http.post("/api/v1/security/login", json=login).raise_for_status().json()["access_token"]
        self.http.headers["Authorization"] = f"Bearer {token}"
        csrf = self.http.get("/api/v1/security/csrf_token/").raise_for_status().json()["result"]
        self.http.headers.update({"X-CSRFToken": csrf, "Referer": url})

    def listed(self, kind: str) -> list[dict[str, Any]]:
        """Everything of a kind: dashboard, chart, dataset, database."""
        return self.http.get(f"/api/v1/{kind}/?q=(page_size:100)").raise_for_status().json()["result"]

    def one(self, kind: str, identifier: int) -> dict[str, Any]:
        return self.http.get(f"/api/v1/{kind}/{identifier}").raise_for_status().json()["result"]

    def chart(self, identifier: int) -> dict[str, Any]:
        """What a saved chart's data endpoint answers."""
        return self.http.get(f"/api/v1/chart/{identifier}/data/").raise_for_status().json()["result"][0]

    def ask(self, dataset: int, **query: Any) -> dict[str, Any]:
        """A query of one's own to a dataset."""
        body = {
            "datasource": {"id": dataset, "type": "table"},
            "queries": [query],
            "result_format": "json",
            "result_type": "full",
        }
        return self.http.post("/api/v1/chart/data", json=body).raise_for_status().json()["result"][0]

    def sql(self, database: int, statement: str) -> httpx.Response:
        """A statement in SQL lab."""
        body = {"database_id": database, "sql": statement, "runAsync": False, "queryLimit": 10}
        return self.http.post("/api/v1/sqllab/execute/", json=body)
