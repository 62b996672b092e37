"""One action unit at a time: shown or not. Twelve such schemes make the AU protocol.

An AU is judged by a classifier of its own (binary relevance: Tsoumakas & Katakis, 2007,
10.4018/jdwm.2007070101), so that every model and engine can be trained on it as it is.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mecli.labels import LabelTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mecli.labels import Annotation

UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17)
"""Those of CD6ME (Varanka et al., IEEE TAFFC 2024, arXiv 2211.11425)."""


def classes_of(unit: int) -> tuple[str, str]:
    """Return the names of the clips without and with an action unit, in this order."""
    return f"without AU{unit}", f"AU{unit}"


def shows(unit: int, annotations: Iterable[Annotation]) -> LabelTable:
    """Return whether each clip shows action unit `unit`, whatever else it shows.

    Clips whose corpus codes no action units, or none for them, are left out.
    """
    index, excluded = {}, {}
    for a in annotations:
        coded = a.labels.get("au", "").split("+")
        if coded == [""]:
            excluded[a.clip_id] = "no action units given"
        else:
            index[a.clip_id] = int(str(unit) in coded)
    return LabelTable(f"au{unit}", classes_of(unit), index, excluded)


au1, au2, au4, au5, au6, au7 = (partial(shows, unit) for unit in UNITS[:6])
au9, au10, au12, au14, au15, au17 = (partial(shows, unit) for unit in UNITS[6:])
SCHEMES = {f"au{unit}": unit for unit in UNITS}
ALL = "au"
"""What stands for all of them on the command line: multi-label, a run for each."""
