"""How people and old systems write what is meant: time formats, full-width digits, stray spaces, dates alone."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from simulator.catalog import COLUMNS

UNIT_COLUMNS = frozenset({"办理单位", "被评价单位", "承办单位", "发布单位", "主办单位", "报送单位"})
_WIDE = str.maketrans("0123456789-", "０１２３４５６７８９－")


def spell(frame: pd.DataFrame, dataset: str, form: str, rng: np.random.Generator, habits: bool = True) -> pd.DataFrame:
    """The frame as cells: text and None, in ``xlsx`` also dates and integers, in ``json`` also integers.

    With ``habits`` a few values in a hundred are written in another of the ways that EXPORTS.md lists; what is meant
    never changes. Vectorised but for those few.
    """
    cells = {}
    excel_dates = form == "xlsx" and habits and rng.random() < 0.5
    for column, kind in COLUMNS[dataset].items():
        values = frame[column]
        if kind in "ted":
            cells[column] = _times(values.to_numpy("datetime64[s]"), kind, rng, habits, excel_dates)
        elif kind == "i":
            cells[column] = _integers(values, form, rng, habits)
        else:
            cells[column] = _texts(values, column, form, rng, habits)
    return pd.DataFrame(cells, dtype=object)


def _few(rng: np.random.Generator, candidates: np.ndarray, share: float) -> np.ndarray:
    rows = np.flatnonzero(candidates)
    return rows[rng.random(len(rows)) < share]


def _times(times: np.ndarray, kind: str, rng: np.random.Generator, habits: bool, excel: bool) -> np.ndarray:
    known = ~np.isnat(times)
    if kind == "d":
        out = times.astype("datetime64[D]").astype(str).astype(object)
        if habits:
            for row in _few(rng, known, 0.05):
                out[row] = out[row].replace("-0", "/").replace("-", "/")
            if excel:
                out[known] = times[known].astype(dt.datetime)
    elif excel:
        out = np.empty(len(times), dtype=object)
        out[known] = times[known].astype(dt.datetime)
    else:
        separator = "T" if habits and rng.random() < 0.25 else " "
        stamps = np.datetime_as_string(times, unit="s").astype("U19")
        stamps.view("U1").reshape(len(times), 19)[:, 10] = separator
        out = stamps.astype(object)
        if habits:
            seconds = (times - times.astype("datetime64[D]").astype("datetime64[s]")).astype(int)
            for row in _few(rng, known & (seconds % 60 == 0), 0.7):  # these two leave the seconds out
                moment = times[row].item()
                out[row] = (
                    f"{moment.year}/{moment.month}/{moment.day} {moment.hour}:{moment.minute:02d}"
                    if row % 2
                    else f"{moment.year}年{moment.month}月{moment.day}日 {moment.hour}时{moment.minute}分"
                )
            for row in _few(rng, known, 0.003):
                if isinstance(out[row], str) and out[row][4] == "-":
                    out[row] = out[row].translate(_WIDE)
            bare = 86399 if kind == "e" else 0  # the second that a date alone stands for here
            for row in _few(rng, known & (seconds == bare), 0.3):
                out[row] = str(times[row].astype("datetime64[D]"))
    out[~known] = None
    return out


def _integers(values: pd.Series, form: str, rng: np.random.Generator, habits: bool) -> np.ndarray:
    known = values.notna().to_numpy()
    numbers = values.fillna(0).to_numpy("int64")
    out = numbers.astype(str).astype(object) if form == "csv" else numbers.astype(object)
    if habits:
        for row in _few(rng, known, 0.004):
            out[row] = f"{numbers[row]}.0" if row % 2 else str(numbers[row]).translate(_WIDE)
    out[~known] = None
    return out


def _texts(values: pd.Series, column: str, form: str, rng: np.random.Generator, habits: bool) -> np.ndarray:
    known = values.notna().to_numpy()
    out = values.to_numpy(object).copy()
    if habits and column in UNIT_COLUMNS:
        for row in _few(rng, known, 0.006):
            out[row] = f" {out[row]}" if row % 2 else f"{out[row]}\u3000"
    if habits and column == "所属期":
        for row in _few(rng, known, 0.15):
            out[row] = _period(out[row], form, int(rng.integers(0, 4)))
    out[~known] = None
    return out


def _period(code: str, form: str, style: int) -> object:
    """Another way to write a month or a week."""
    year, _, rest = code.partition("-")
    if rest.startswith("W"):
        return f"{year}-W{int(rest[1:])}"
    month = int(rest)
    if style == 0 and form == "xlsx":
        return dt.datetime(int(year), month, 1)  # noqa: DTZ001 - wall time, as Excel has it
    return (f"{year}年{month}月", f"{year}-{month}", f"{year}年{month}月", code.translate(_WIDE))[style]
