"""Writes generated tables as exports: ``<root>/<system>/<dataset>/<YYYY-MM>/<file>``, as the three systems do."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xlsxwriter

from simulator import clock, faults
from simulator.catalog import DATASETS, FORMATS, SYSTEM_OF
from simulator.generate import Tables
from simulator.spelling import spell

PAGE_ROWS = 5_000
FILE_ROWS = 200_000
TITLES = {
    "platform_cases": "办件明细表",
    "platform_reviews": "好差评明细表",
    "hotline_tickets": "12345热线工单明细表",
    "hotline_dispatches": "12345热线派单明细表",
    "hotline_exclusions": "工单剔除审批表",
    "hotline_calls": "话务日报表",
    "cms_posts": "政府网站信息明细表",
    "cms_media_accounts": "政务新媒体账号表",
    "cms_media_posts": "政务新媒体发布明细表",
    "cms_submissions": "材料报送登记表",
}


@dataclass(frozen=True)
class Layout:
    """The habits of whoever made one file: what stands around the table, and in which order its columns are."""

    columns: tuple[str, ...]
    title: str | None = None
    total: bool = False
    blank_columns: int = 0
    blank_rows: int = 0

    @property
    def first_row(self) -> int:
        """The physical row of the first data row; rows count from one."""
        return 2 + (self.title is not None)


def write_exports(
    parts: Tables | Iterable[Tables],
    out: Path,
    *,
    seed: int = 1,
    form: str | None = None,
    habits: bool = True,
    plant: bool = False,
) -> list[dict[str, object]]:
    """Write tables (or parts of a large county, one after the other) under ``out``.

    ``form`` writes every dataset as csv, json or xlsx instead of each system's own. ``habits`` adds the ways of
    people and Excel; ``plant`` adds bad rows. Returns what was planted, one entry a row: dataset, month, file, row
    (physical; in JSON the place within the page), kind, header, key, outcome. The same arguments give the same bytes.
    """
    planted: list[dict[str, object]] = []
    written: dict[Path, list[dict[str, object]]] = {}
    totals: dict[tuple[str, str], int] = {}
    pages: dict[tuple[str, str], list[Path]] = {}
    for number, tables in enumerate([parts] if isinstance(parts, Mapping) else parts):
        for (dataset, month), frame in sorted(
            tables.items(), key=lambda item: (DATASETS.index(item[0][0]), item[0][1])
        ):
            kind = form or FORMATS[SYSTEM_OF[dataset]]
            rng = clock.rng_for(seed, "write", dataset, month, number)
            cells = spell(frame, dataset, kind, rng, habits)
            bad: list[faults.Planted] = []
            if plant:
                cells, bad = faults.plant(cells, dataset, month, rng, kind)
            folder = out / SYSTEM_OF[dataset] / dataset / month
            folder.mkdir(parents=True, exist_ok=True)
            layout = _layout(dataset, month, cells, kind, rng, habits)
            step = PAGE_ROWS if kind == "json" else FILE_ROWS
            for begin in range(0, max(1, len(cells)), step):
                chunk = cells.iloc[begin : begin + step]
                if kind == "json":
                    path = folder / f"page-{len(pages.setdefault((dataset, month), [])) + 1:05d}.json"
                    pages[dataset, month].append(path)
                    totals[dataset, month] = totals.get((dataset, month), 0) + len(chunk)
                    path.write_text(_rows_json(chunk), encoding="utf-8")
                    rows = np.arange(1, len(chunk) + 1)
                else:
                    part = "" if begin == 0 and number == 0 else f"-{number + 1:03d}-{begin // step + 1:03d}"
                    path = folder / f"{TITLES[dataset]}{month}{part}.{kind}"
                    rows = (_write_csv if kind == "csv" else _write_xlsx)(path, chunk, layout)
                    if kind == "csv" and habits and number > 0:
                        path = _compress(path)
                    written.setdefault(folder, []).append(
                        {"name": path.name, "rows": len(chunk), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
                    )
                planted += [
                    {
                        "dataset": dataset, "month": month, "file": path.name, "row": int(rows[p.position - begin]),
                        "kind": p.kind, "header": p.header, "key": list(p.key), "outcome": p.outcome,
                    }
                    for p in bad
                    if begin <= p.position < begin + step
                ]  # fmt: skip
    for (dataset, month), paths in pages.items():
        for page, path in enumerate(paths, start=1):
            head = {
                "dataset": dataset,
                "period": month,
                "page": page,
                "pages": len(paths),
                "total": totals[dataset, month],
            }
            path.write_text(
                json.dumps(head)[:-1] + ', "rows": ' + path.read_text(encoding="utf-8") + "}\n", encoding="utf-8"
            )
    for folder, files in written.items():
        if folder.parent.parent.name == "hotline":  # the hotline's operator sends a list of what was put there
            (folder / "manifest.json").write_text(
                json.dumps({"files": files}, ensure_ascii=False, indent=1), encoding="utf-8"
            )
    return planted


def _layout(dataset: str, month: str, cells: pd.DataFrame, kind: str, rng: np.random.Generator, habits: bool) -> Layout:
    columns = list(cells.columns)
    if not habits or kind == "json":
        return Layout(tuple(columns))
    shuffled, titled, total, wide, long = rng.random(5) < [0.3, 0.35, 0.35, 0.25, 0.25]
    if shuffled:
        columns = [columns[i] for i in rng.permutation(len(columns))]
    return Layout(
        tuple(columns),
        f"{TITLES[dataset]}（{int(month[:4])}年{int(month[5:])}月）" if titled else None,
        bool(total and len(cells)),
        2 * int(wide),
        2 * int(long),
    )


def _rows_json(chunk: pd.DataFrame) -> str:
    """The rows as an array of objects."""
    return chunk.to_json(orient="records", force_ascii=False) or "[]"


def _write_csv(path: Path, chunk: pd.DataFrame, layout: Layout) -> np.ndarray:
    """A CSV as the hotline's system makes it (GB18030, CRLF); gives the physical line of each row."""
    table = chunk[list(layout.columns)]
    width = len(layout.columns) + layout.blank_columns
    tail = "," * layout.blank_columns
    body = table.to_csv(index=False, lineterminator=tail + "\r\n")
    text = body
    if layout.title:
        text = layout.title + "," * (width - 1) + "\r\n" + text
    if layout.total:
        text += f"合计,{len(chunk)}" + "," * (width - 2) + "\r\n"
    text += ("," * (width - 1) + "\r\n") * layout.blank_rows
    path.write_bytes(text.encode("gb18030"))
    breaks = np.zeros(len(table), dtype=int)
    for column in table.columns:
        breaks += table[column].map(lambda value: value.count("\n") if isinstance(value, str) else 0).to_numpy(int)
    return (
        layout.first_row
        + np.arange(len(table))
        + np.concatenate([[0], np.cumsum(breaks)[:-1]]).astype(int)[: len(table)]
    )


def _compress(path: Path) -> Path:
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    path.unlink()
    return packed


def _write_xlsx(path: Path, chunk: pd.DataFrame, layout: Layout) -> np.ndarray:
    """A workbook of one sheet; gives the sheet row of each row. Its properties carry no clock."""
    book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "strings_to_numbers": False})
    book.set_properties({"created": dt.datetime(2022, 1, 1)})  # noqa: DTZ001 - a fixed wall time
    stamp, day = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}), book.add_format({"num_format": "yyyy-mm-dd"})
    sheet = book.add_worksheet("Sheet1")
    top = 0
    if layout.title:
        sheet.write_string(0, 0, layout.title)
        top = 1
    for column, header in enumerate(layout.columns):
        sheet.write_string(top, column, header)
    for row, values in enumerate(chunk[list(layout.columns)].itertuples(index=False, name=None), start=top + 1):
        for column, value in enumerate(values):
            if value is None:
                continue
            if isinstance(value, str):
                sheet.write_string(row, column, value)
            elif isinstance(value, dt.datetime):
                sheet.write_datetime(row, column, value, day if value.time() == dt.time(0) else stamp)
            else:
                sheet.write_number(row, column, value)
    if layout.total:
        sheet.write_string(top + 1 + len(chunk), 0, "合计")
        sheet.write_number(top + 1 + len(chunk), 1, len(chunk))
    book.close()
    return np.arange(len(chunk)) + layout.first_row
