"""Figures of the study as data, and as the table that people read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from study.county import County
from study.measure import Tally, classes, figures

#: The area with the fewest rows decides; the others stand beside it.
HEADLINE = "hotline"
#: Markers of the page between which the tables stand.
START, END = "<!-- figures: python -m study --docs docs -->", "<!-- end of figures -->"
#: What a fair rule keeps, of the headline's figures.
TARGETS = {"average_listed_lagging": 0.01, "bad_missed": 0.10, "rank_coverage": 0.95}
BY_CLASS = (
    "average_listed_lagging",
    "bad_missed",
    "bad_missed_in_every_month",
    "rank_coverage_year",
    "rank_width_year",
)
#: figure -> (heading, as a share)
COLUMNS = {
    "average_listed_lagging": ("average listed, a notice", True),
    "average_listed_in_the_year": ("… in the year's", True),
    "average_listed_ever": ("… in any of 12", True),
    "bad_missed": ("bad missed, 12 months", True),
    "bad_missed_in_every_month": ("… by all 12 notices", True),
    "bad_missed_in_first_month": ("… in one month", True),
    "rank_coverage": ("true rank inside, month", True),
    "rank_coverage_year": ("… year", True),
    "rank_width": ("places wide, month", False),
    "rank_width_year": ("… year", False),
    "rank_error": ("places off, month", False),
    "rank_error_year": ("… year", False),
}


def figures_of(tallies: dict[str, dict[str, Tally]], county: County) -> dict[str, Any]:
    """``{"rules": {rule: {figure: …, "areas": {…}, "by_dispatches_a_year": {…}}}, "targets": …}``, to 5 decimals.

    A rule's own figures are those of the hotline; ``<figure>_error`` is the simulation's standard error.
    """
    rules: dict[str, Any] = {}
    for name, areas in tallies.items():
        by_class = {}
        for label, at in classes(county):
            found = figures(areas[HEADLINE], at)
            by_class[label] = {"units": len(at)} | {key: _plain(found[key]) for key in BY_CLASS}
        rules[name] = _rounded(figures(areas[HEADLINE])) | {
            "areas": {area: _rounded(figures(tally)) for area, tally in areas.items()},
            "by_dispatches_a_year": by_class,
        }
    return {"rules": rules, "headline_area": HEADLINE, "targets": TARGETS}


def headline_of(tallies: dict[str, dict[str, Tally]]) -> dict[str, Any]:
    """The headline's figures by rule, of another county."""
    return {name: _rounded(figures(areas[HEADLINE])) for name, areas in tallies.items()}


def show(found: dict[str, Any], console: Console) -> None:
    """Prints a table an area, the classes of units, and the county whose lateness is linked."""
    rules = found["rules"]
    for area in rules["2022.1"]["areas"]:
        held = {name: rule["areas"][area] for name, rule in rules.items() if area in rule["areas"]}
        console.print(_table(f"{area}: {found['seasons']} years", held))
    for name, held in found["other_counties"].items():
        console.print(_table(f"{HEADLINE}, {name.replace('_', ' ')}", held))
    table = Table(title=f"{HEADLINE} by dispatches a year", title_justify="left")
    for heading in ("rule", "dispatches", "units", *(COLUMNS[name][0] for name in BY_CLASS)):
        table.add_column(heading, justify="right")
    for name, rule in rules.items():
        for label, row in rule["by_dispatches_a_year"].items():
            table.add_row(name, label, str(row["units"]), *(_text(row[key], key) for key in BY_CLASS))
    console.print(table)


def write_page(found: dict[str, Any], page: Path) -> None:
    """Puts the tables between the markers of the page; raises ValueError where it has none."""
    before, start, rest = page.read_text("utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"{page} lacks the lines {START} and {END}")
    text = f"{found['seasons']} simulated years, seed {found['seed']}; ± one standard error of the simulation.\n"
    rules = found["rules"]
    for area in rules["2022.1"]["areas"]:
        text += _markdown(f"### Area {area}", {name: rule["areas"].get(area) for name, rule in rules.items()})
    for name, held in found["other_counties"].items():
        text += _markdown(f"### Area {HEADLINE}, {name.replace('_', ' ')}", held)
    text += f"\n### Area {HEADLINE}, by dispatches a year\n\n"
    text += _row(["rule", "dispatches a year", "units", *(COLUMNS[key][0] for key in BY_CLASS)]) + _row(["---"] * 8)
    for name, rule in rules.items():
        for label, row in rule["by_dispatches_a_year"].items():
            text += _row([name, label, str(row["units"]), *(_text(row[key], key) for key in BY_CLASS)])
    page.write_text(f"{before}{START}\n\n{text}\n{END}{after}", "utf-8")


def _markdown(heading: str, held: dict[str, Any]) -> str:
    held = {name: row for name, row in held.items() if row}
    lines = [_row(["figure", *held]), _row(["---", *("---:" for _ in held)])]
    for key, (told, _) in COLUMNS.items():
        lines.append(_row([told, *(_with_error(row, key) for row in held.values())]))
    return f"\n{heading}\n\n{''.join(lines)}"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _table(title: str, held: dict[str, Any]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("figure")
    for name in held:
        table.add_column(name, justify="right")
    for key, (heading, _) in COLUMNS.items():
        table.add_row(heading, *(_with_error(row, key) for row in held.values()))
    return table


def _with_error(row: dict[str, Any], key: str) -> str:
    return "–" if row[key] is None else f"{_text(row[key], key)} ±{_text(row[f'{key}_error'], key)}"


def _text(value: float | None, key: str) -> str:
    if value is None:
        return "–"
    return f"{value:.2%}" if COLUMNS[key][1] else f"{value:.2f}"


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 5)


def _rounded(found: dict[str, float]) -> dict[str, float | None]:
    return {key: _plain(value) for key, value in found.items()}
