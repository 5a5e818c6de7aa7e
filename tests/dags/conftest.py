"""Airflow for the tests: a home of its own, set before Airflow is first imported; real servers where runs are made."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session")
def airflow_env(tmp_path_factory):
    """An Airflow home of its own, without examples; Airflow reads it at its first import."""
    home = tmp_path_factory.mktemp("airflow")
    settings = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    yield settings
    for name, value in before.items():
        os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
