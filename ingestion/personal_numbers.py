"""What a phone and a citizen's id (身份证) look like, and the mask of both in a single text.

The patterns serve two users: ``ingestion.redaction`` runs them over columns (RE2), ``masked`` over one text: a file's
name, a header, an error's message. They use only what both engines read alike. A text is looked at in its NFKC form
without zero-width characters; digits may be spaced, hyphenated or Chinese numerals (一三八…, 幺).
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

PHONE, IDENTITY = "【电话】", "【证件】"

ZERO_WIDTH = (
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)

NUMERALS = "〇零○一壹幺二贰两三叁四肆五伍六陆七柒八捌九玖"
AS_DIGITS = "00011122233445566778899"
_D = f"[0-9{NUMERALS}]"
_ONE = "[1一壹幺]"
_THREE_UP = "[3-9三叁四肆五伍六陆七柒八捌九玖]"
GAP = "[ \\t.·_\u2010-\u2015-]{0,3}"
_COUNTRY = f"(?:(?:\\+|00)?{GAP}[8八捌]{GAP}[6六陆]{GAP})?"

#: Left and right of a number: no digit. Numbers that hold Chinese numerals are bounded by those too.
_ASCII_PHONE = rf"(^|[^0-9])({_COUNTRY}1{GAP}[3-9](?:{GAP}[0-9]){{9}})(?:$|[^0-9])"
_MIXED_PHONE = rf"(^|[^0-9{NUMERALS}])({_COUNTRY}{_ONE}{GAP}{_THREE_UP}(?:{GAP}{_D}){{9}})(?:$|[^0-9{NUMERALS}])"
_LANDLINE = r"(^|[^0-9])(0[1-9][0-9]{1,2}[ -]{0,2}[2-9][0-9]{6,7})(?:$|[^0-9])"
_ASCII_ID = rf"(^|[^0-9])([1-9](?:{GAP}[0-9]){{16}}{GAP}[0-9Xx])(?:$|[^0-9])"
_MIXED_ID = rf"(^|[^0-9{NUMERALS}])({_D}(?:{GAP}{_D}){{16}}{GAP}[0-9Xx{NUMERALS}])(?:$|[^0-9{NUMERALS}])"
#: What is called an id number is one, whatever its check digit: people mistype.
_CALLED_ID = rf"((?:身份证|证件)[^0-9]{{0,6}})([1-9](?:{GAP}[0-9]){{16}}{GAP}[0-9Xx])(?:$|[^0-9])"
_OLD_ID = (
    r"(^|[^0-9])((?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5])[0-9]{6}"
    r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3})(?:$|[^0-9])"
)

#: A date or an internet address may hold the digits of a phone.
DATE = "(?:19|20)[0-9]{2}[-. ](?:0?[1-9]|1[0-2])[-. ](?:0?[1-9]|[12][0-9]|3[01])"
ADDRESS = "[0-9]{1,3}(?:[.][0-9]{1,3}){3}"

#: Three months side by side have 18 digits, and one in eleven has the right check digit; no id begins like a year.
PERIODS = "(?:(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])[ -]{0,2}){3}"

#: How people part digits: at two places at most, in groups of two to eight, or each from the next. Else the digits are
#: several numbers side by side.
_SIGNS = "[ \\t.·_\u2010-\u2015-]"
_PART = "[^ \\t.·_\u2010-\u2015-]"
GROUPED = (
    rf"{_PART}+(?:{_SIGNS}+{_PART}+){{0,2}}|{_PART}{{2,8}}(?:{_SIGNS}+{_PART}{{2,8}})+"
    rf"|(?:\+?{_PART}+{_SIGNS}+)?{_PART}(?:{_SIGNS}+{_PART}){{10,17}}"
)

#: Enough digits for the shortest of these numbers (a landline of ten); what has fewer need not be looked at.
ENOUGH_DIGITS = rf"(?s){_D}(?:.{{0,8}}?{_D}){{9}}"

#: A citizen's id within a code: any person who can be a party was born before the systems that number cases. Later
#: dates in an 18-digit code are its day of registration (docs/decisions/0008).
IDENTITY_IN_CODE = (
    r"(^|[^0-9])([1-8][0-9]{5}(?:19[0-9]{2}|200[0-9])(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx])"
    r"(?:$|[^0-9])"
)

_HIDDEN = "\u00ad\u200b-\u200f\u2060\ufeff"
_ANY = f"[0-9０-９{NUMERALS}]"
_BETWEEN, _SPACED = f"[\\s.·_\u2010-\u2015－{_HIDDEN}-]{{0,3}}", f"[\\s{_HIDDEN}]{{0,3}}"
_TYPED = (
    rf"(?:(?:[0０]{{2}})?[8８八捌]{_BETWEEN}[6６六陆]{_BETWEEN})?[1１一壹幺]{_BETWEEN}[3-9３-９三叁四肆五伍六陆七柒八捌九玖](?:{_BETWEEN}{_ANY}){{9}}",
    rf"{_ANY}(?:{_SPACED}{_ANY}){{5}}{_SPACED}(?:[1１一壹幺]{_SPACED}[9９九玖]|[2２二贰两]{_SPACED}[0０〇零○]{_SPACED}(?=[0０〇零○]))"
    rf"(?:{_SPACED}{_ANY}){{9}}{_SPACED}(?:{_ANY}|[xXｘＸ])",
    r"[1-9][0-9]{5}-(?:19|20)[0-9]{6}-[0-9]{3}[0-9Xx]",
    r"[1-6１-６][0-9０-９]{7}[01０１][0-9０-９][0-3０-３][0-9０-９]{4}",
    r"[0０][1-9１-９][0-9０-９]{1,2}[ -]{0,2}[2-9２-９][0-9０-９]{6,7}",
)
#: Matches texts without phones and ids, for forms that check what is typed before it is kept anywhere: read alike by
#: Python and browsers, blind to check digits. A code of region, day and number (from 2010) passes, as in codes above.
NONE_TYPED = rf"^(?!(?:[\s\S]*[^0-9０-９{NUMERALS}])?(?:{'|'.join(_TYPED)})(?![0-9０-９{NUMERALS}]))[\s\S]*$"

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_TO_DIGITS = str.maketrans(NUMERALS, AS_DIGITS)


def is_identity(text: str) -> bool:
    """Is this, digits only, an 18-digit citizen's id: a real date and the right check digit (GB 11643)?"""
    digits = re.sub("[^0-9X]", "", text.upper().translate(_TO_DIGITS))
    if len(digits) != 18 or not digits[:17].isdecimal():
        return False
    try:
        born = dt.date(int(digits[6:10]), int(digits[10:12]), int(digits[12:14]))
    except ValueError:
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, digits, strict=False))
    return 1900 <= born.year < 2100 and "10X98765432"[total % 11] == digits[17]


def _is_grouped_identity(text: str) -> bool:
    return bool(re.fullmatch(GROUPED, text)) and is_identity(text) and not re.fullmatch(PERIODS, text)


def _is_phone(text: str) -> bool:
    return bool(re.fullmatch(GROUPED, text)) and not re.search(DATE, text) and not re.fullmatch(ADDRESS, text)


def _always(_: str) -> bool:
    return True


@dataclass(frozen=True)
class Step:
    """One look for numbers: the pattern (group 2 is the number), what of its matches holds, the sign put there."""

    pattern: str
    #: The condition in SQL over the match ``c``; macros of ``ingestion.redaction``.
    sql: str
    holds: Callable[[str], bool]
    sign: str


STEPS = (
    Step(_CALLED_ID, "true", _always, IDENTITY),
    Step(_ASCII_ID, "is_grouped_identity(c)", _is_grouped_identity, IDENTITY),
    Step(_MIXED_ID, "is_grouped_identity(c)", _is_grouped_identity, IDENTITY),
    Step(_OLD_ID, "true", _always, IDENTITY),
    Step(_ASCII_PHONE, "is_phone(c)", _is_phone, PHONE),
    Step(_MIXED_PHONE, "is_phone(c)", _is_phone, PHONE),
    Step(_LANDLINE, "true", _always, PHONE),
)


def masked(text: str) -> str:
    """The text with every phone and citizen's id replaced by its sign; the very text where there is none.

    For single texts that people typed or that machines name things by: file names, headers, messages, reasons. Mask
    first, then quote or cut: half a number is not recognised any more.
    """
    plain = re.sub(ZERO_WIDTH, "", unicodedata.normalize("NFKC", text))
    if not re.search(ENOUGH_DIGITS, plain):
        return text
    found = plain
    for step in STEPS:
        # Looking ahead, a match leaves the sign behind it to the next one; RE2 cannot, see ``redaction``.
        found = re.sub(step.pattern.replace("(?:$|", "(?=$|"), partial(_signed, step), found)
    return text if found == plain else found


def excerpt(text: object, limit: int = 40) -> str:
    """The beginning of a text for a message, masked before it is cut and quoted: half a number is not recognised."""
    return repr(masked(str(text))[:limit])


def _signed(step: Step, match: re.Match[str]) -> str:
    if not step.holds(match[2]):
        return match[0]
    start, end = match.start(2) - match.start(), match.end(2) - match.start()
    return match[0][:start] + step.sign + match[0][end:]
