"""A small client of Airflow's REST API (v2): what the demo needs to trigger, watch and explain runs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import httpx

from ops.settings import USER

FINISHED = {"success", "failed"}
#: How Airflow tells of an error of its database, and the seconds to wait after each such answer.
DATABASE_ERROR = '"reason":"Database error"'
LOCKED = (0.2, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True)
class Run:
    """A DAG run as the API tells it; `state` is queued, running, success or failed."""

    dag_id: str
    run_id: str
    state: str
    partition_key: str | None

    @property
    def finished(self) -> bool:
        return self.state in FINISHED


class AirflowClient:
    """Speaks to one Airflow; logs in again when the token has expired. Raises httpx errors."""

    def __init__(self, url: str, password: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)
        self._password = password

    def close(self) -> None:
        self._http.close()

    def healthy(self) -> bool:
        """Whether database, scheduler and dag-processor report themselves healthy."""
        health = self._http.get("/api/v2/monitor/health").raise_for_status().json()
        return all(health[part]["status"] == "healthy" for part in ("metadatabase", "scheduler", "dag_processor"))

    def call(self, method: str, path: str, **kwargs: Any) -> Any:
        """One request to ``/api/v2``; returns the decoded answer. Asks again while Airflow's database is locked."""
        response = self._ask(method, path, **kwargs)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            login = self._http.post("/auth/token", json={"username": USER, "password": self._password})
            self._http.headers["Authorization"] = f"Bearer {login.raise_for_status().json()['access_token']}"
            response = self._ask(method, path, **kwargs)
        if response.is_error:
            raise httpx.HTTPStatusError(
                f"{method} {path}: {response.status_code} {response.text[:500]}",
                request=response.request,
                response=response,
            )
        return response.json() if response.content else None

    def _ask(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """SQLite refuses a transaction beside the scheduler's and rolls it back whole: the request may be repeated."""
        for seconds in LOCKED:
            response = self._http.request(method, f"/api/v2{path}", **kwargs)
            if response.status_code != httpx.codes.INTERNAL_SERVER_ERROR or DATABASE_ERROR not in response.text:
                return response
            time.sleep(seconds)
        return response

    def ensure_pool(self, name: str, *, slots: int) -> None:
        """Make the pool, or give it this many slots."""
        body = {"slots": slots, "description": "one writer of the warehouse", "include_deferred": False}
        if name in {pool["name"] for pool in self.call("GET", "/pools")["pools"]}:
            self.call("PATCH", f"/pools/{name}", json={"pool": name, **body})
        else:
            self.call("POST", "/pools", json={"name": name, **body})

    def wait_for_dags(self, dag_ids: set[str], *, seconds: float = 60) -> None:
        """Return when all DAGs are there; raises TimeoutError naming the missing ones and any import error."""
        deadline = time.monotonic() + seconds
        while True:
            there = {dag["dag_id"] for dag in self.call("GET", "/dags", params={"limit": 100})["dags"]}
            if dag_ids <= there:
                return
            if time.monotonic() > deadline:
                errors = [e["stack_trace"][-300:] for e in self.call("GET", "/importErrors")["import_errors"]]
                raise TimeoutError(f"Airflow did not find {sorted(dag_ids - there)}; import errors: {errors}")
            time.sleep(0.3)

    def pause(self, dag_id: str, paused: bool) -> None:
        self.call("PATCH", f"/dags/{dag_id}", json={"is_paused": paused})

    def trigger(self, dag_id: str, *, partition_key: str | None = None, conf: dict | None = None) -> Run:
        """Start a run now; its meaning is the partition key or the params in `conf`, never a date."""
        body: dict[str, Any] = {"logical_date": None, "conf": conf or {}}
        if partition_key is not None:
            body["partition_key"] = partition_key
        return _run(self.call("POST", f"/dags/{dag_id}/dagRuns", json=body))

    def run(self, dag_id: str, run_id: str) -> Run:
        return _run(self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}"))

    def runs(self, dag_id: str) -> list[Run]:
        """The newest hundred runs, newest first."""
        answer = self.call("GET", f"/dags/{dag_id}/dagRuns", params={"limit": 100, "order_by": "-id"})
        return [_run(row) for row in answer["dag_runs"]]

    def tasks(self, run: Run) -> list[dict[str, Any]]:
        """The run's task instances: task_id, map_index, state, try_number, rendered_map_index."""
        path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances"
        return self.call("GET", path, params={"limit": 100})["task_instances"]

    def failures(self, run: Run) -> list[str]:
        """One line per failed task of the run: which, and the last error line of its log."""
        failed = [task for task in self.tasks(run) if task["state"] == "failed"]
        return [f"{label(run, task)}: {self._reason(run, task)}" for task in failed]

    def log(self, run: Run, task: dict[str, Any]) -> list[str]:
        """The lines of the last try of a task instance (as :meth:`tasks` gives it), oldest first."""
        path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task['task_id']}/logs/{task['try_number']}"
        answer = self.call("GET", path, params={"map_index": task["map_index"]}, headers={"Accept": "application/json"})
        return [event["event"] if isinstance(event, dict) else str(event) for event in answer["content"]]

    def _reason(self, run: Run, task: dict[str, Any]) -> str:
        lines = self.log(run, task)
        told = [line for line in lines if line.startswith("FAILED ")]
        return told[-1].partition(": ")[2] if told else (lines[-1] if lines else "no log")


def label(run: Run, task: dict[str, Any]) -> str:
    """How a task instance is called where people read it: DAG, month, task and what it is mapped over."""
    which = f" {task['rendered_map_index'] or task['map_index']}" if task["map_index"] >= 0 else ""
    return f"{run.dag_id} {run.partition_key or ''} {task['task_id']}{which}".replace("  ", " ")


def _run(row: dict[str, Any]) -> Run:
    return Run(row["dag_id"], row["dag_run_id"], row["state"], row.get("partition_key"))
