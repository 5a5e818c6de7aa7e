"""What looks like personal data: in a key that a result would show (masked), in a published text column (found).

Ingestion has made tokens of the personal columns and redacted free text. This is the second pair of eyes at the edges:
a phone or an identity number that someone typed into a key, a title or a unit's name.
"""

from __future__ import annotations

import re
import unicodedata

#: Signs of the shortest number that is looked for: a mobile number.
SHORTEST = 11

_ZERO_WIDTH = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
_PHONE = r"1[3-9][0-9][ \-]?[0-9]{4}[ \-]?[0-9]{4}"
#: 18 digits with a date of birth in them; the check digit is looked at separately.
_IDENTITY = r"[1-9][0-9]{5}(?:18|19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx]"
_LOOKS_PERSONAL = re.compile(rf"(?<![0-9A-Za-z])(?:\+?86[ \-]?)?(?:{_PHONE}|{_IDENTITY})(?![0-9A-Za-z])")

#: Numerals as people write them in a text, digit by digit, and the digits they stand for.
_NUMERALS = "０１２３４５６７８９〇零一二三四五六七八九幺壹贰叁肆伍陆柒捌玖"
_DIGITS = "0123456789001234567891123456789"
_AS_DIGITS = str.maketrans(_NUMERALS, _DIGITS)
#: Weights of the digits of an identity number in its check sum (GB 11643).
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def scrubbed(text: str | None, limit: int = 80) -> str:
    """The text, narrowed and cut to ``limit`` signs, with whatever looks like a phone or an identity number masked."""
    shown = _ZERO_WIDTH.sub("", unicodedata.normalize("NFKC", text or ""))
    for match in reversed(list(_LOOKS_PERSONAL.finditer(shown.translate(_AS_DIGITS)))):
        shown = f"{shown[: match.start()]}＊＊＊{shown[match.end() :]}"
    return shown[:limit]


def found_sql(text: str) -> str:
    """A DuckDB predicate: the text (an SQL expression) holds a mobile number or a valid identity number.

    Long hexadecimal words (tokens, digests) are left out; full-width digits, Chinese numerals, zero-width signs and the
    usual grouping by spaces and hyphens are seen through.
    """
    plain = f"regexp_replace({text}, '[0-9a-f]{{24,}}', '#', 'g')"
    plain = f"regexp_replace({plain}, '[\\x{{200B}}-\\x{{200F}}\\x{{2060}}\\x{{FEFF}}\\x{{00AD}}]', '', 'g')"
    digits = f"translate({plain}, '{_NUMERALS}', '{_DIGITS}')"
    phone = f"regexp_matches({digits}, '\\b(?:86[ \\-]?)?{_PHONE}\\b')"
    candidates = f"regexp_extract_all({digits}, '\\b{_IDENTITY}\\b')"
    weighted = " + ".join(f"substr(c, {place + 1}, 1)::int * {weight}" for place, weight in enumerate(_WEIGHTS))
    checked = f"substr('10X98765432', ({weighted}) % 11 + 1, 1) = upper(substr(c, 18, 1))"
    identity = f"len(list_filter({candidates}, lambda c: {checked})) > 0"
    return f"length({text}) >= {SHORTEST} and ({phone} or {identity})"
