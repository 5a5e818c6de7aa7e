"""Great Expectations itself: a suite judges one row of measures. The library is imported only when it is used.

``expect_column_max_to_be_between`` on a frame of one row is chosen on purpose: it fails on a null, on a missing column
and on an empty frame, where the row-wise expectations of the library pass.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from ingestion.collector import collector_paused
from ingestion.errors import BadParameter

SUITES = Path(__file__).parent / "suites"

#: What each expectation must say of itself, so that whoever reads a failed check knows what it means and why so.
REQUIRED_META = ("name", "title_zh", "title_en", "unit", "threshold_reason")

Measure = int | float | None


def suite_files() -> list[Path]:
    """The suites that are kept, by name."""
    return sorted(SUITES.glob("*.json"))


def read_expectations(*names: str) -> list[dict[str, Any]]:
    """The expectations of these suites in order, as JSON objects; a later one replaces an earlier of the same name.

    They are one process's own: read once as long as a file stays as it is, and not to be changed.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        path = SUITES / f"{name}.json"
        if path.exists():
            written = path.stat()
            found |= _read(path, written.st_mtime_ns, written.st_size)
    return list(found.values())


@cache
def _read(path: Path, _time: int, _size: int) -> dict[str, dict[str, Any]]:
    """name -> expectation, of a suite's file."""
    found: dict[str, dict[str, Any]] = {}
    for expectation in json.loads(path.read_text(encoding="utf-8"))["expectations"]:
        meta = expectation.get("meta") or {}
        if missing := [key for key in REQUIRED_META if not meta.get(key)]:
            raise BadParameter(f"suite {path.name}: an expectation lacks {', '.join(missing)} in its meta")
        found[meta["name"]] = expectation
    return found


def suite_text(path: Path) -> str:
    """The suite in this file as Great Expectations writes it; the kept files are byte for byte this."""
    gx = _gx()
    suite = gx.ExpectationSuite(**json.loads(path.read_text(encoding="utf-8")))
    return json.dumps(suite.to_json_dict(), ensure_ascii=False, indent=2) + "\n"


def prepare() -> None:
    """Begin to import Great Expectations beside what the caller does next; for whoever will judge in a moment.

    The import takes seconds of one core; reading and typing a delivery leave the other to it.
    """
    if "great_expectations" not in sys.modules:
        threading.Thread(target=_gx, name="great_expectations", daemon=True).start()


@cache
def _gx() -> Any:
    # Earlier versions of the library report their use to its makers; a county's validation is nobody else's business.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    # At INFO it writes a line for each of hundreds of methods that it leaves out of its documentation.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    with collector_paused():
        for name in ("scipy.stats", "altair", "boto3"):
            _postpone(name)
        import great_expectations

        _configured_once()
    return great_expectations


def _configured_once() -> None:
    """Put in the place of the one expectation that the suites use one that keeps its configuration and what it needs.

    The library makes them anew some dozen times for each expectation that it judges, which is half of a judgement's
    time. Nothing of an expectation changes here once it is made.
    """
    from great_expectations.compatibility.pydantic import PrivateAttr
    from great_expectations.expectations.core import ExpectColumnMaxToBeBetween as FromTheLibrary

    # Made is enough: the library registers an expectation under the name of its class, and warns of what it replaces.
    registry = logging.getLogger("great_expectations.expectations.registry")
    registry.setLevel(logging.ERROR)

    class ExpectColumnMaxToBeBetween(FromTheLibrary):
        _configuration: Any = PrivateAttr(default=None)
        _dependencies: Any = PrivateAttr(default=None)

        @property
        def configuration(self) -> Any:
            if self._configuration is None:
                self._configuration = super().configuration
            return self._configuration

        def get_validation_dependencies(self, *engine: Any, **runtime: Any) -> Any:
            if self._dependencies is None:
                self._dependencies = super().get_validation_dependencies(*engine, **runtime)
            return self._dependencies

    registry.setLevel(logging.NOTSET)


class _Postponed(ModuleType):
    """A module whose code runs when the first of its names is asked for; what it is and where it lies is known before.

    (``importlib.util.LazyLoader`` runs it for these, too, and dbt asks every loaded module where it lies.)
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        with _POSTPONED:
            if type(self) is _Postponed:
                self.__class__ = ModuleType  # type: ignore[assignment]
                self.__spec__.loader.exec_module(self)  # type: ignore[union-attr]
        return getattr(self, name)


#: Held while the code of a postponed module runs.
_POSTPONED = threading.RLock()


def _postpone(name: str) -> None:
    """Let ``import`` bind a module without running its code.

    These take half of the import of Great Expectations: two for expectations about distributions that no suite here
    has, one for stores of its results that are not used; whoever used them would get them.
    """
    spec = None if name in sys.modules else importlib.util.find_spec(name)
    if spec is None:
        return
    module = importlib.util.module_from_spec(spec)
    module.__class__ = _Postponed
    sys.modules[name] = module
    package, _, child = name.rpartition(".")
    if package:
        setattr(sys.modules[package], child, module)


def judge(
    name: str, expectations: Iterable[Mapping[str, Any]], measures: Mapping[str, Measure]
) -> tuple[list[dict[str, Any]], float]:
    """Let Great Expectations judge these measures by these expectations, and say what came out of each.

    Returns one object per expectation (name, severity, status, observed, min, max and the texts of its meta) and the
    seconds it took. Status: ``passed``, ``failed`` or ``baseline`` (an expectation that compares with the past, whose
    measure is null because there is too little of it: never a pass).
    """
    started = time.perf_counter()
    expectations = list(expectations)
    baseline = [
        e for e in expectations if e["meta"].get("against_history") and measures.get(e["kwargs"]["column"]) is None
    ]
    passed = _passed(name, [e for e in expectations if e not in baseline], measures)
    outcomes = []
    for one in expectations:
        # What the library gave no answer to has not passed.
        status = "baseline" if one in baseline else "passed" if one["meta"]["name"] in passed else "failed"
        outcomes.append(_outcome(one, status, measures))
    return outcomes, time.perf_counter() - started


#: The validation results that are asked for: of these only the verdict is used, the figures are the measures.
_RESULT_FORMAT = {"result_format": "BOOLEAN_ONLY"}


def _passed(name: str, judged: Sequence[Mapping[str, Any]], measures: Mapping[str, Measure]) -> set[str]:
    """The names of the expectations that Great Expectations says are met.

    These are the steps of its ``Batch.validate(suite)``: every metric that the suite needs is computed once, and each
    expectation judges by them. Around them a batch hashes the frame twice and copies the suite three times, which is
    two thirds of its time and gives nothing that is kept.
    """
    import pandas as pd

    _gx()
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.validator.validation_graph import ValidationGraph

    # The texts of a suite are for whoever reads a result; the library only copies them.
    named = [{**each, "meta": {"name": each["meta"]["name"]}} for each in judged]
    expectations, edges = _suite(name, json.dumps(named))
    asked = [each["kwargs"]["column"] for each in judged]
    frame = pd.DataFrame([{column: measures[column] for column in asked if column in measures}])
    engine = PandasExecutionEngine(batch_data_dict={"measures": frame})
    metrics, _ = ValidationGraph(engine, list(edges)).resolve(_RESULT_FORMAT, show_progress_bars=False)

    def is_met(expectation: Any) -> bool:
        try:
            return bool(expectation.metrics_validate(metrics, dict(_RESULT_FORMAT), engine).success)
        except Exception:  # a metric that could not be computed is missing here
            return False

    return {each.meta["name"] for each in expectations if is_met(each)}


@lru_cache(256)
def _suite(name: str, judged: str) -> tuple[Sequence[Any], Sequence[Any]]:
    """The expectations of a suite (JSON), and what of each metric that they need is computed of which other.

    Neither holds a figure. They are made once: a process that judges one county after the other needs few of them.
    """
    gx = _gx()
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.validator.metrics_calculator import MetricsCalculator

    engine = PandasExecutionEngine()
    expectations = gx.ExpectationSuite(name=name, expectations=json.loads(judged)).expectations
    needed = [each.get_validation_dependencies(engine, _RESULT_FORMAT) for each in expectations]
    graph = MetricsCalculator(engine, show_progress_bars=False).build_metric_dependency_graph(
        [metric for each in needed for metric in each.get_metric_configurations()], _RESULT_FORMAT
    )
    return expectations, graph.edges


def _outcome(expectation: Mapping[str, Any], status: str, measures: Mapping[str, Measure]) -> dict[str, Any]:
    kwargs, meta = expectation["kwargs"], expectation["meta"]
    return {
        "name": meta["name"],
        "severity": expectation["severity"],
        "status": status,
        "expectation": expectation["type"],
        "measure": kwargs["column"],
        "observed": measures.get(kwargs["column"]),
        "min": kwargs.get("min_value"),
        "max": kwargs.get("max_value"),
        "unit": meta["unit"],
        "title_zh": meta["title_zh"],
        "title_en": meta["title_en"],
        "threshold_reason": meta["threshold_reason"],
        "items": [],
        "items_total": 0,
    }
