"""Units and their other names (单位与别名): which unit a delivered name means on a day, and editing the alias table.

The table is the county's seed: ``units.csv`` (unit_code, unit_name, ...) and ``unit_aliases.csv`` (alias, unit_code,
valid_from, valid_to; both ends inclusive, empty is open). A unit's own name is always valid. The warehouse decides by
the same files; here they serve those who mend names before the next run.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import os
import unicodedata
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rapidfuzz import fuzz, process

from ingestion.durable import locked, put
from ingestion.errors import BadParameter
from ingestion.home import PROJECT
from ingestion.personal_numbers import excerpt
from ingestion.profile import county

#: Nearest known names are shown from this likeness on (0 to 100).
NEAR_ENOUGH = 40.0

_LONGEST_NAME = 60
_FORMULA_SIGNS = "=+-@＝＋－＠−"
#: What people write between two units in one cell.
_BETWEEN = "、,，;；/和与及 "


@dataclass(frozen=True)
class Alias:
    """One name of a unit and the days on which it is valid; None is open. ``own``: the unit's own name."""

    name: str
    unit_code: str
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None
    own: bool = False

    def is_valid(self, day: dt.date) -> bool:
        return (self.valid_from or dt.date.min) <= day <= (self.valid_to or dt.date.max)

    def overlaps(self, other: Alias) -> bool:
        first = max(self.valid_from or dt.date.min, other.valid_from or dt.date.min)
        return first <= min(self.valid_to or dt.date.max, other.valid_to or dt.date.max)

    @property
    def span(self) -> str:
        """The validity as people read it."""
        if self.valid_from and self.valid_to:
            return f"有效期 {self.valid_from} 至 {self.valid_to}"
        if self.valid_to:
            return f"有效期至 {self.valid_to}"
        return f"自 {self.valid_from} 起有效" if self.valid_from else "长期有效"


@dataclass(frozen=True)
class Near:
    """A known name that resembles an unknown one, the unit it stands for, and how much (0 to 100)."""

    name: str
    unit_code: str
    unit_name: str
    likeness: float


def seed_path(name: str) -> Path:
    """The seed of this name in force, as the build finds it: the chosen county's own, else that of ``TONGBAO_SEEDS``,
    else the project's."""
    profile = county()
    own = profile.seeds / name if profile and profile.seeds else None
    if own and own.is_file():
        return own
    return (PROJECT / "dbt_project" / os.environ.get("TONGBAO_SEEDS", "seeds")).resolve() / name


def narrowed(name: str) -> str:
    """The name as the warehouse compares it: NFKC, without spaces around it."""
    return unicodedata.normalize("NFKC", name).strip()


@dataclass(frozen=True)
class UnitNames:
    """The units of a county by code, and every name of theirs."""

    #: The file that holds the aliases.
    table: Path
    units: dict[str, str]
    names: tuple[Alias, ...]

    @classmethod
    def read(cls) -> UnitNames:
        """The county's in force; raises BadParameter where its seeds cannot be read."""
        table, path = seed_path("unit_aliases.csv"), seed_path("units.csv")
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                units = {row["unit_code"]: row["unit_name"] for row in csv.DictReader(file)}
            path = table
            with path.open(encoding="utf-8-sig", newline="") as file:
                aliases = [_alias(row) for row in csv.DictReader(file)]
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise BadParameter(
                f"{path.parent.name}/{path.name} cannot be read ({type(error).__name__}); TONGBAO_COUNTY or "
                "TONGBAO_SEEDS names the county's rules"
            ) from None
        own = (Alias(narrowed(name), code, own=True) for code, name in units.items())
        return cls(table, units, (*own, *aliases))

    @cached_property
    def _by_name(self) -> dict[str, list[Alias]]:
        found: dict[str, list[Alias]] = {}
        for alias in self.names:
            found.setdefault(alias.name, []).append(alias)
        return found

    def bearing(self, name: str) -> list[Alias]:
        """Every entry of this name, valid or not, in the table's order."""
        return list(self._by_name.get(narrowed(name), ()))

    def resolve(self, name: str, day: dt.date) -> str | None:
        """The code of the unit that the name means on the day; None where none bears it then."""
        return next((alias.unit_code for alias in self.bearing(name) if alias.is_valid(day)), None)

    def joined(self, name: str) -> tuple[str, ...]:
        """The names of which the text is put together, when they are those of several units; else empty.

        ``托里镇八家户`` is 托里镇 and 八家户: two units in one cell, which nobody may take for either.
        """
        text = narrowed(name)
        if text in self._by_name:
            return ()
        parts = self._parts(text)
        codes = {self._by_name[part][0].unit_code for part in parts}
        return parts if len(codes) > 1 else ()

    def _parts(self, text: str) -> tuple[str, ...]:
        """Splits the text into known names, the longest first; empty where something is left over."""
        text = text.strip(_BETWEEN)
        if text in self._by_name:
            return (text,)
        for end in range(len(text) - 1, 1, -1):
            if text[:end].strip(_BETWEEN) in self._by_name and (rest := self._parts(text[end:])):
                return (text[:end].strip(_BETWEEN), *rest)
        return ()

    def nearest(self, name: str, day: dt.date | None = None, count: int = 3) -> list[Near]:
        """Known names (valid on the day) that resemble this one, the most alike first, one a unit."""
        known = [alias for alias in self.names if day is None or alias.is_valid(day)]
        # Of equal likeness the unit's own name comes first: it stands first in the table.
        found = process.extract(
            narrowed(name), [alias.name for alias in known], scorer=fuzz.ratio, limit=20, score_cutoff=NEAR_ENOUGH
        )
        best: dict[str, Near] = {}
        for _, likeness, index in found:
            code = known[index].unit_code
            best.setdefault(code, Near(known[index].name, code, self.units[code], likeness))
        return list(best.values())[:count]

    def why_unknown(self, name: str, day: dt.date) -> tuple[str, str]:
        """Code of ``explanations`` and the sentence, of a name that means no unit on the day."""
        shown = f"“{narrowed(name)[:_LONGEST_NAME]}”"
        if spans := self.bearing(name):
            told = "；".join(f"{self.units.get(each.unit_code, each.unit_code)}曾用名，{each.span}" for each in spans)
            return "expired_unit", f"{shown}在业务发生日不是任何单位的名称（{told}）"
        if parts := self.joined(name):
            units = [self.units[self._by_name[part][0].unit_code] for part in parts]
            return "joined_units", f"{shown}像是两个单位写在了一起：{' + '.join(units)}；不作猜测，按未识别单位处理"
        near = [
            each.unit_name if each.name == narrowed(each.unit_name) else f"{each.name}（{each.unit_name}）"
            for each in self.nearest(name, day)
        ]
        return "unknown_unit", f"{shown}不在单位别名表" + (f"；相近的有：{'、'.join(near)}" if near else "")

    # -- editing -----------------------------------------------------------------------------------------------

    def checked_addition(self, new: Alias, *, one_unit: bool = False) -> Alias:
        """The alias to add, its name narrowed; raises BadParameter where it would be wrong or ambiguous.

        ``one_unit``: the person says that a name which reads like two units is one.
        """
        name = narrowed(new.name)
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise BadParameter(f"别名应为 1 至 {_LONGEST_NAME} 个可见字符（name must be 1-{_LONGEST_NAME} printable）")
        if name[0] in _FORMULA_SIGNS:
            raise BadParameter("别名不能以 = + - @ 开头：在 Excel 里会成为公式（a name may not start a formula）")
        alias = Alias(name, new.unit_code, new.valid_from, new.valid_to)
        if alias.unit_code not in self.units:
            near = process.extract(alias.unit_code, list(self.units), limit=3, scorer=fuzz.ratio)
            listed = "、".join(f"{code} {self.units[code]}" for code, _, _ in near)
            raise BadParameter(f"没有单位代码 {excerpt(alias.unit_code, 20)}（unknown unit code）；相近的有 {listed}")
        if alias.valid_from and alias.valid_to and alias.valid_from > alias.valid_to:
            raise BadParameter(f"起始日 {alias.valid_from} 晚于截止日 {alias.valid_to}（--from is after --to）")
        for other in self.bearing(name):
            unit = f"{other.unit_code} {self.units.get(other.unit_code, '')}"
            if other.own:
                raise BadParameter(f"“{name}”是 {unit} 的正式名称，一直有效，不必也不能另作别名（a unit's own name）")
            if other.overlaps(alias):
                raise BadParameter(
                    f"“{name}”已是 {unit} 的别名（{other.span}），有效期重叠；"
                    "先 aliases remove，或用 --from/--to 错开（validity overlaps）"
                )
        if not one_unit and (parts := self.joined(name)):
            units = " + ".join(self.units[self._by_name[part][0].unit_code] for part in parts)
            raise BadParameter(
                f"“{name}”像是两个单位写在了一起（{units}），别名只能对应一个单位；"
                "确是一个单位的名称时加 --one-unit（reads like two units）"
            )
        return alias

    def add(self, alias: Alias) -> None:
        """Writes a checked alias into the table, behind the last one of its unit; the other lines stay as they are."""
        with self._edited():
            lines = self._lines()
            header = next(csv.reader(lines[:1]))
            codes = [row.get("unit_code") or "" for row in csv.DictReader(lines)]
            same = [number for number, code in enumerate(codes, 1) if code == alias.unit_code]
            later = [number for number, code in enumerate(codes, 1) if code > alias.unit_code]
            place = same[-1] + 1 if same else later[0] if later else len(lines)
            ending = "\r\n" if lines[0].endswith("\r\n") else "\n"
            if not lines[place - 1].endswith("\n"):
                lines[place - 1] += ending
            cells = {
                "alias": alias.name,
                "unit_code": alias.unit_code,
                "valid_from": str(alias.valid_from or ""),
                "valid_to": str(alias.valid_to or ""),
            }
            lines.insert(place, _line([cells.get(column, "") for column in header], ending))
            self._write(lines)

    def remove(self, alias: Alias) -> None:
        """Takes the alias out of the table; the other lines stay as they are."""
        with self._edited():
            lines = self._lines()
            kept = [line for number, line in enumerate(lines) if not number or not _is(line, lines[0], alias)]
            if len(kept) != len(lines) - 1:
                raise BadParameter(f"“{alias.name}”已不在别名表（no such alias any more）")
            self._write(kept)

    def to_remove(self, name: str, unit_code: str | None = None, valid_from: dt.date | None = None) -> Alias:
        """The one alias meant; raises BadParameter where there is none, or several."""
        found = [
            alias
            for alias in self.bearing(name)
            if not alias.own
            and (unit_code is None or alias.unit_code == unit_code)
            and (valid_from is None or alias.valid_from == valid_from)
        ]
        if not found:
            own = any(alias.own for alias in self.bearing(name))
            why = "是单位的正式名称，不是别名" if own else "不在别名表"
            raise BadParameter(f"“{narrowed(name)}”{why}（no such alias）")
        if len(found) > 1:
            listed = "；".join(f"{alias.unit_code} {alias.span}" for alias in found)
            raise BadParameter(f"“{narrowed(name)}”有多条：{listed}；用 --unit 或 --from 指明（several aliases）")
        return found[0]

    def _edited(self) -> AbstractContextManager[None]:
        profile = county()
        if profile and profile.seeds and self.table.parent != profile.seeds:
            raise BadParameter(
                f"counties/{profile.name}/seeds/ 里没有 unit_aliases.csv：先放一个只有表头的文件，"
                "否则会改到别县共用的别名表（the county has no alias table of its own）"
            )
        return locked(self.table.parent, "edit of unit_aliases.csv", 10)

    def _lines(self) -> list[str]:
        """The table's lines as they are, ends of line included (a byte order mark would be dropped)."""
        with self.table.open(encoding="utf-8-sig", newline="") as file:
            return list(file)

    def _write(self, lines: Iterable[str]) -> None:
        target = self.table
        made = target.with_name(".unit_aliases.tmp")
        try:
            with made.open("w", encoding="utf-8", newline="") as file:
                file.writelines(lines)
            made.chmod(target.stat().st_mode & 0o777)
            put(made, target)
        finally:
            made.unlink(missing_ok=True)


def _alias(row: dict[str, str]) -> Alias:
    first, last = (dt.date.fromisoformat(row[name]) if row[name] else None for name in ("valid_from", "valid_to"))
    return Alias(narrowed(row["alias"]), row["unit_code"], first, last)


def _is(line: str, header: str, alias: Alias) -> bool:
    rows = list(csv.DictReader(io.StringIO(header + line)))
    return len(rows) == 1 and _alias(rows[0]) == alias


def _line(cells: list[str], ending: str) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator=ending).writerow(cells)
    return text.getvalue()
