"""Action units as coders write them: '4A/B', 'L12 or L14', '(R6 or R12)+R15', 'ref(5)+20C'."""

from __future__ import annotations

import re

from mecli.corpora.sheets import plain

_UNIT = re.compile(
    r"(?<![0-9A-Za-z])(?:A[UD]\s*)?[LRTBUM]?(\d{1,2})(?:[A-E](?:[/-][A-E])?)?(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"(?:\s|[-+,;:./&()\[\]、?]|\bor\b|\bref\b|\band\b|\bk\b)+", re.IGNORECASE)
_NONE = frozenset({"", "0", "none", "null", "nan", "/"})


def parse_action_units(text: str) -> tuple[tuple[int, ...], str]:
    """Return the action unit numbers in a cell, rising, and what could not be read.

    Sides and prefixes (L, R, T, B, U, M, AU, AD) and intensities (A to E) are left out.
    Alternatives ('or') and doubtful units ('?', '(k)') are listed; the second value says so.
    """
    words = plain(text)
    if words.casefold() in _NONE:
        return (), ""
    numbers = sorted({int(n) for n in _UNIT.findall(words)} - {0})
    rest = _BETWEEN.sub("", _UNIT.sub(" ", words))
    if rest or not numbers:
        return tuple(numbers), f"action units '{words[:60]}' not fully understood"
    if re.search(r"\bor\b|\?|\(k\)", words, re.IGNORECASE):
        return tuple(numbers), f"action units '{words[:60]}' are uncertain"
    return tuple(numbers), ""
