"""Data Docs: the kept results as pages that open without a network, Chinese first.

The library's own pages load styles and scripts from the network and speak of columns and batches; these speak of
deliveries and figures. They are made from the same results and hold no script at all.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jinja2

from expectations import store
from ingestion.home import Home

TEMPLATES = Path(__file__).parent / "templates"

#: Runs whose results are shown, newest first: a year of monthly runs and some repeats.
SHOWN_RUNS = 24

WORDS = {
    "passed": "通过",
    "failed": "未通过",
    "baseline": "建立基线",
    "warning": "有警告",
    "refused": "拒收",
    "critical": "严重",
    "info": "提示",
    "load": "入库前校验",
    "published": "发布前校验",
    "rows": "行",
    "columns": "列",
    "units": "个单位",
    "periods": "期",
    "relations": "张表",
    "ratio": "倍",
    "share": "比例",
    "flag": "是 1 否 0",
    "key": "主键",
    "file": "文件",
    "row": "行号",
    "reason": "原因",
    "detail": "说明",
    "column": "列",
    "header": "表头",
    "unit_code": "单位代码",
    "unit_name": "单位",
    "period_code": "考核期",
    "area": "领域",
    "metric": "指标",
    "table": "表",
    "relation": "表",
    "dataset": "数据集",
}


def build_data_docs(
    home: Home, out_dir: Path, take_over: Callable[[str, str], bool] = lambda name, made_of: False
) -> Path:
    """Write the pages of the newest result of every dataset and month and of the newest runs; returns ``index.html``.

    ``out_dir`` is made where it is absent. Nothing in a page names a resource of the network, and nothing holds more
    than the results do: figures, and business keys of failing rows. ``take_over`` is called with a result's page and
    the hex SHA-256 of all that it is made of; where it has put a page made of the same there, none is written.
    """
    out_dir = Path(out_dir)
    (out_dir / "results").mkdir(parents=True, exist_ok=True)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"word": lambda name: WORDS.get(name, name), "figure": store.figure, "bounds": store.bounds}
    pages = [_page(result) for result in _shown(store.results(home))]
    template, code = environment.get_template("result.html.j2"), _code()
    for page in pages:
        made_of = code.copy()
        made_of.update(json.dumps(page["result"], sort_keys=True).encode())
        if not take_over(page["href"], made_of.hexdigest()):
            _write(out_dir / page["href"], template.render(page=page))
    index = out_dir / "index.html"
    by_edge = {edge: [page for page in pages if page["result"]["edge"] == edge] for edge in ("published", "load")}
    _write(index, environment.get_template("index.html.j2").render(by_edge=by_edge))
    return index


def _code() -> Any:
    """The digest of what makes a page out of a result."""
    digest = hashlib.sha256(jinja2.__version__.encode())
    for path in (Path(__file__), Path(store.__file__), *sorted(TEMPLATES.iterdir())):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest


def _shown(results: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest result of each subject, runs from the newest, deliveries by dataset and from the newest month."""
    newest = {(result["edge"], result["subject"]): result for result in results}  # oldest first, so the newest stays
    runs = [result for (edge, _), result in newest.items() if edge == "published"]
    loads = [result for (edge, _), result in newest.items() if edge == "load"]
    runs.sort(key=lambda result: (result["validated_at"], result["run_id"]), reverse=True)
    loads.sort(key=lambda result: result["month"], reverse=True)
    loads.sort(key=lambda result: result["dataset"])
    return [*runs[:SHOWN_RUNS], *loads]


def _page(result: dict[str, Any]) -> dict[str, Any]:
    order = {"critical": 0, "warning": 1, "info": 2}
    status = {"failed": 0, "baseline": 1, "passed": 2}
    expectations = sorted(result["expectations"], key=lambda e: (status[e["status"]], order[e["severity"]]))
    name = f"{result['dataset']}-{result['month']}" if result["edge"] == "load" else f"run-{result['run_id']}"
    return {
        "result": result,
        "href": f"results/{name}.html",
        "counts": Counter(e["status"] for e in expectations),
        "expectations": expectations,
    }


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
