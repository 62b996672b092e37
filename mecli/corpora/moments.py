"""Onset, apex and offset: from annotated frame numbers to positions in the frames."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from mecli.clips import is_rate
from mecli.corpora.sheets import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mecli.corpora.frames import Numbered

MOMENTS = ("onset", "apex", "offset")
_UNKNOWN = frozenset({"", "/", "?", "-", "--", "nan", "na", "n/a", "none", "null", "unknown"})
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d{1,2})?", re.IGNORECASE)
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?: 00:00:00)?")
_DATES_OF_TODAY = range(32874, 51136)  # 1990 to 2039: a date somebody meant, no frame number
_DAY_0 = date(1899, 12, 30)  # of the serial dates of spreadsheets, from March 1900 on


def frame_number(text: str, *, zero_is_unknown: bool = True) -> tuple[float | None, str]:
    """Return (number, "") or (None, why): '/', '?', -1, 0 and empty cells are unknown."""
    word = plain(text).casefold()
    if word in _UNKNOWN:
        return None, f"unknown ('{word}')" if word else "unknown (empty cell)"
    if found := _DATE.fullmatch(word):
        serial = (date.fromisoformat(found[1]) - _DAY_0).days
        serial -= serial <= 60  # they count a 29 February 1900, which was none
        if serial not in _DATES_OF_TODAY:
            return float(serial), f"is formatted as the date {found[1]}, taken as {serial}"
    if not _NUMBER.fullmatch(word) or abs(float(word)) >= 1e12:
        return None, f"is '{plain(text)[:40]}', expected a frame number"
    number = float(word)
    if number < 0 or (number == 0 and zero_is_unknown):
        return None, f"unknown ({number:g})"
    return number, ""


def place_moments(
    frames: Numbered, numbers: Mapping[str, float | None], issues: list[str]
) -> dict[str, int | None]:
    """Turn annotated frame numbers into positions in `frames`; oddities go to `issues`.

    An offset before the onset and an apex outside both become unknown. Numbers of which
    none is on disk become unknown too: clamping would make up an interval.
    """
    known = _ordered({m: numbers.get(m) for m in MOMENTS}, issues)
    given = [n for n in known.values() if n is not None]
    if given and not frames.covers(min(given), max(given)):
        issues.append(
            f"annotated frames {min(given):g} to {max(given):g} are not on disk, which has "
            f"{frames.numbers[0]} to {frames.numbers[-1]}"
        )
        return dict.fromkeys(MOMENTS)
    positions: dict[str, int | None] = {}
    for moment, number in known.items():
        positions[moment], odd = (None, "") if number is None else frames.position(number, moment)
        if odd:
            issues.append(odd)
    return positions


def _ordered(numbers: dict[str, float | None], issues: list[str]) -> dict[str, float | None]:
    onset, apex, offset = (numbers[m] for m in MOMENTS)
    if onset is not None and offset is not None and offset < onset:
        issues.append(f"offset {offset:g} is before onset {onset:g}; offset taken as unknown")
        offset = None
    if apex is not None and _outside(apex, onset, offset):
        low, high = ("?" if n is None else f"{n:g}" for n in (onset, offset))
        issues.append(f"apex {apex:g} is outside {low} to {high}; apex taken as unknown")
        apex = None
    if apex is not None and apex == onset:
        issues.append(f"apex {apex:g} is the onset")
    return {"onset": onset, "apex": apex, "offset": offset}


def _outside(number: float, low: float | None, high: float | None) -> bool:
    return (low is not None and number < low) or (high is not None and number > high)


def frame_rate(text: str) -> float | None:
    """Return frames per second, None for what can be none."""
    try:
        number = float(plain(text))
    except ValueError:
        return None
    return number if is_rate(number) else None
