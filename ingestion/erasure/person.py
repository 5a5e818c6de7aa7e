"""Who is to be erased, as given on standard input or in a file, and where in a text that person stands.

One line a thing that is known: ``姓名: 艾力江``, ``电话: 138…``, ``证件: 6527…`` (name, phone, id), each as often as
needed. Numbers find the person's rows, names are then looked for inside those rows: two people can share a name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from ingestion.errors import BadParameter
from ingestion.personal import PseudonymKey
from ingestion.personal_numbers import GAP, NUMERALS

_LABELS = {"姓名": "name", "name": "name", "电话": "number", "手机": "number", "phone": "number"}
_LABELS |= {"证件": "number", "身份证": "number", "id": "number"}

#: A shorter number would be found in dates, counts and codes.
SHORTEST_NUMBER = 7

_FULL_WIDTH = "０１２３４５６７８９"
#: What stands between the digits of a number, full width and zero width included.
_GAP = GAP.replace("]{0,3}", "\u3000\uff0d\u00ad\u200b-\u200f\u2060\ufeff]{0,3}")
#: What people put between the characters of a name.
_SPACES = r"[\s.·•・‧･_*\u200b-\u200f\ufeff-]{0,3}"

Replace = Callable[[str], str]


@dataclass(frozen=True)
class Person:
    """What is known of the person: names, and numbers as bare digits (a final X is a capital)."""

    names: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    #: Erase every cell that is exactly the name, with or without a number beside it.
    name_alone: bool = field(default=False, compare=False)

    @cached_property
    def number(self) -> re.Pattern[str] | None:
        """Finds the person's numbers in every spelling; never a part of a longer number. None without numbers."""
        spelt = [_GAP.join(map(_digit, number)) for number in sorted(self.numbers, key=len, reverse=True)]
        if not spelt:
            return None
        any_digit = f"[0-9{_FULL_WIDTH}]"
        country = f"(?:[+＋]|00)?{_digit('8')}{_GAP}{_digit('6')}{_GAP}"
        return re.compile(f"(?<!{any_digit})(?:{country})?(?P<number>{'|'.join(spelt)})(?!{any_digit})")

    @cached_property
    def name(self) -> re.Pattern[str] | None:
        """Finds the person's names, their characters spaced or not; to be used inside the person's rows."""
        spelt = [_SPACES.join(map(re.escape, name)) for name in sorted(self.names, key=len, reverse=True)]
        return re.compile("|".join(spelt)) if spelt else None

    def owns(self, cells: list[str]) -> bool:
        """Is this row the person's: does it hold one of the numbers (or, if so asked, the name as a whole cell)?"""
        if any(map(self.numbered_in, cells)):
            return True
        return self.name_alone and any(unicodedata.normalize("NFKC", cell).strip() in self.names for cell in cells)

    def without(self, text: str, surrogate: Replace) -> str:
        """A text of the person's rows with numbers and names replaced by their surrogates."""
        if self.number:
            text = self.number.sub(
                lambda match: match[0][: match.start("number") - match.start()] + surrogate(bare(match["number"])), text
            )
        if self.name:
            text = self.name.sub(lambda match: surrogate(_bare_name(match[0], self.names)), text)
        return text

    def numbered_in(self, text: str) -> bool:
        """Does one of the numbers stand in this text?"""
        return bool(self.number and self.number.search(text))

    def named_in(self, text: str) -> bool:
        """Does one of the names, or of the numbers, stand in this text?"""
        return self.numbered_in(text) or bool(self.name and self.name.search(text))

    def tokens(self, key: PseudonymKey) -> list[str]:
        """The tokens of all that is known of the person under this key: what a record may hold."""
        return sorted(key.token(value) for value in (*self.names, *self.numbers))


def read_person(text: str, *, name_alone: bool = False) -> Person:
    """The person described by these lines; raises BadParameter, which quotes nothing of what was given."""
    names, numbers = [], []
    for place, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        label, mark, value = unicodedata.normalize("NFKC", line).partition(":")
        kind = _LABELS.get(label.strip().lower())
        if not (mark and kind):
            raise BadParameter(f"line {place} is none of 姓名: … 电话: … 证件: … (name, phone, id)")
        if kind == "name":
            if len(value.strip()) < 2:
                raise BadParameter(f"line {place}: a name has at least two characters")
            names.append(value.strip())
        else:
            digits = bare(value)
            if len(digits) < SHORTEST_NUMBER:
                raise BadParameter(f"line {place}: a number has at least {SHORTEST_NUMBER} digits")
            numbers.append(re.sub("^(00)?86(?=1[3-9][0-9]{9}$)", "", digits))
    if not names and not numbers:
        raise BadParameter("nobody is named: give lines 姓名: … 电话: … 证件: …")
    if not numbers and not name_alone:
        raise BadParameter(
            "a name alone can be several people's: give a phone or id too, or say --name-alone to erase every cell "
            "that is exactly this name"
        )
    return Person(tuple(dict.fromkeys(names)), tuple(dict.fromkeys(numbers)), name_alone)


def bare(text: str) -> str:
    """The digits of a number however it is spelled; X in capitals."""
    plain = unicodedata.normalize("NFKC", text).upper()
    digits = {sign: digit for digit, signs in _NUMERALS.items() for sign in signs}
    return "".join(digits.get(sign, sign) for sign in plain if sign.isdigit() or sign in digits or sign == "X")


def _bare_name(found: str, names: tuple[str, ...]) -> str:
    plain = re.sub(_SPACES.replace("{0,3}", "+"), "", found)
    return next((name for name in names if re.sub(_SPACES.replace("{0,3}", "+"), "", name) == plain), found)


#: digit -> its Chinese numerals.
_NUMERALS: dict[str, str] = {}
for _sign, _value in zip(NUMERALS, "00011122233445566778899", strict=True):
    _NUMERALS[_value] = _NUMERALS.get(_value, "") + _sign


def _digit(digit: str) -> str:
    if digit == "X":
        return "[XxＸｘ]"
    return f"[{digit}{_FULL_WIDTH[int(digit)]}{_NUMERALS[digit]}]"
