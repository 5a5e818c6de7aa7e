"""The comparison as a picture: who is listed and missed, and how often and how widely intervals hold the true rank."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

PANELS = (
    ("average_listed_lagging", "Truly average, listed as lagging\n(share of monthly notices)"),
    ("bad_missed", "Truly bad, missed\n(over twelve months)"),
    ("rank_coverage", "True rank inside its interval\n(monthly notices)"),
)
CLASS_FIGURE = "bad_missed"


def draw(found: dict[str, Any], path: Path) -> None:
    """Writes an SVG: three bars panels with the targets, and the missed by volume."""
    # The same figures give the same file.
    plt.rcParams.update({"svg.hashsalt": "tongbao", "svg.fonttype": "path", "font.size": 9})
    rules = found["rules"]
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.4), layout="constrained")
    colours = dict(zip(rules, ("#4c78a8", "#2a9d5c", "#b0b0b0", "#d0a24c"), strict=False))
    for axis, (key, title) in zip(axes, PANELS, strict=False):
        values = [_percent(rule[key]) for rule in rules.values()]
        errors = [1.96 * _percent(rule[f"{key}_error"]) for rule in rules.values()]
        bars = axis.bar(list(rules), values, yerr=errors, color=list(colours.values()), capsize=2)
        axis.bar_label(bars, fmt="%.1f", padding=3)
        axis.axhline(100 * found["targets"][key], color="#c0392b", linestyle="--", linewidth=1)
        axis.set_title(title, fontsize=9)
        axis.set_ylabel("%")
        axis.margins(y=0.15)
        axis.tick_params(axis="x", rotation=20)
    for name, rule in rules.items():
        classes = rule["by_dispatches_a_year"]
        axes[3].plot(list(classes), [_percent(row[CLASS_FIGURE]) for row in classes.values()], marker="o", label=name,
                     color=colours[name])  # fmt: skip
    axes[3].axhline(100 * found["targets"][CLASS_FIGURE], color="#c0392b", linestyle="--", linewidth=1)
    axes[3].set_title("Truly bad, missed over twelve months,\nby dispatches a year", fontsize=9)
    axes[3].set_ylabel("%")
    axes[3].legend(fontsize=7)
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)


def _percent(share: float | None) -> float:
    """Of nothing there is no share, and no mark."""
    return math.nan if share is None else 100 * share
