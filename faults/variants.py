"""A variant: one damaged delivery with what must come of it, made only when it is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from faults.judge import Expect, Verdict, judge
from faults.material import MONTH
from faults.workplace import Files, Workplace

#: Runs in a workplace of its own and gives the verdict.
Check = Callable[[Workplace], Verdict]


@dataclass(frozen=True)
class Variant:
    """One damaged delivery: its name is unique in its case."""

    name: str
    check: Check


@dataclass(frozen=True)
class Case:
    """A row of the card: what is done to the deliveries, and the variants of it."""

    name: str
    title: str
    variants: Callable[[], Iterator[Variant]]


Make = Callable[[], tuple[Files, Expect]]


def delivered(name: str, dataset: str, make: Make, *, month: str = MONTH, manifest: Any = None) -> Variant:
    """A variant that is one delivery of files into an empty home; ``make`` gives files and expectation."""

    def check(place: Workplace) -> Verdict:
        files, expect = make()
        said = manifest(files) if callable(manifest) else manifest
        return judge(expect, place.deliver(dataset, files, month, manifest=said))

    return Variant(name, check)


def every(items: Sequence[Any], count: int) -> list[Any]:
    """At most ``count`` of the items, evenly spread, the first and the last among them."""
    if count == 1:
        return list(items[len(items) // 2 :][:1])
    if len(items) <= count:
        return list(items)
    step = (len(items) - 1) / (count - 1)
    return [items[round(step * index)] for index in range(count)]
