"""The objective classes of MEGC 2018: groups of action units, not of emotions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mecli.labels import LabelTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mecli.labels import Annotation

CLASSES = ("I", "II", "III", "IV", "V")
_NUMERALS = (*CLASSES, "VI", "VII")


def megc2018(annotations: Iterable[Annotation]) -> LabelTable:
    """Return the objective classes I to V of clips whose corpus gives one; not VI and VII.

    In the challenge these are 185 clips of CASME II (by the sheet of 2019) and 68 of SAMM.
    Sources: Davison, Merghani, Yap, J. Imaging 2018, 10.3390/jimaging4100119 (classes);
    Yap, See, Hong, Wang, FG 2018, 10.1109/FG.2018.00106 (challenge).
    """
    index, excluded = {}, {}
    for a in annotations:
        cell = a.labels.get("objective", "").strip()
        name = _numeral(cell)
        if name in CLASSES:
            index[a.clip_id] = CLASSES.index(name)
        elif name:
            excluded[a.clip_id] = f"objective class {name} is not in MEGC 2018"
        elif cell:
            excluded[a.clip_id] = f"objective class '{cell[:40]}' is none of I to VII"
        else:
            excluded[a.clip_id] = "no objective class given"
    return LabelTable("megc2018", CLASSES, index, excluded)


def _numeral(cell: str) -> str:
    """Return ``IV`` for 'IV', 'iv', '4' or '4.0', nothing for any other cell."""
    word = cell.upper().removesuffix(".0")
    if word in _NUMERALS:
        return word
    number = int(word) if len(word) < 4 and word.isascii() and word.isdigit() else 0
    return _NUMERALS[number - 1] if 1 <= number <= len(_NUMERALS) else ""
