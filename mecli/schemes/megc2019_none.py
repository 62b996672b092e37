"""The three classes of MEGC 2019, and a fourth for clips without a micro-expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mecli.labels import LabelTable
from mecli.schemes.megc2019 import CLASSES as EXPRESSIONS
from mecli.schemes.megc2019 import megc2019

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mecli.labels import Annotation

NONE = "none"
CLASSES = (*EXPRESSIONS, NONE)


def megc2019_none(annotations: Iterable[Annotation]) -> LabelTable:
    """Return the classes of `megc2019`; a clip whose emotion is ``none`` is of the fourth."""
    annotations = list(annotations)
    table = megc2019(annotations)
    still = {a.clip_id for a in annotations if _is_none(a)}
    return LabelTable(
        "megc2019-none",
        CLASSES,
        {**table.index, **dict.fromkeys(sorted(still), CLASSES.index(NONE))},
        {clip: reason for clip, reason in table.excluded.items() if clip not in still},
    )


def _is_none(annotation: Annotation) -> bool:
    return annotation.labels.get("emotion", "").strip().casefold() == NONE
