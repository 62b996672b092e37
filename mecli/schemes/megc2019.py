"""The composite of MEGC 2019: three classes, 442 clips of CASME II, SAMM and SMIC-HS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mecli.labels import LabelTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mecli.labels import Annotation

CLASSES = ("negative", "positive", "surprise")
_CLASS_OF = {
    "repression": "negative",
    "anger": "negative",
    "contempt": "negative",
    "disgust": "negative",
    "fear": "negative",
    "sadness": "negative",
    "sad": "negative",
    "negative": "negative",
    "happiness": "positive",
    "happy": "positive",
    "positive": "positive",
    "surprise": "surprise",
}
# The organisers' list holds only these two emotions of CASME II as negative, and leaves
# out two of its disgust clips: one without apex, one whose apex is its onset.
_CASME2_NEGATIVE = {"disgust", "repression"}
_CASME2_UNLISTED = {"casme2/sub04/EP12_01f", "casme2/sub05/EP09_05f"}
_SLOW_CAMERA = re.compile(r"_(VIS|NIR)$", re.IGNORECASE)


def megc2019(annotations: Iterable[Annotation]) -> LabelTable:
    """Return the three classes by emotion, and of the composite's corpora its clips alone.

    Clips of other corpora are classed by the same rule. A table of the organisers' own
    (label ``megc2019``) is believed as it is.
    Source: See, Yap, Li, Hong, Wang, FG 2019, 10.1109/FG.2019.8756611.
    """
    index, excluded = {}, {}
    for a in annotations:
        if a.labels.get("megc2019") in CLASSES:
            index[a.clip_id] = CLASSES.index(a.labels["megc2019"])
            continue
        emotion = a.labels.get("emotion", "").strip().casefold()
        reason = _reason(a, emotion)
        if reason:
            excluded[a.clip_id] = reason
        else:
            index[a.clip_id] = CLASSES.index(_CLASS_OF[emotion])
    return LabelTable("megc2019", CLASSES, index, excluded)


def _reason(a: Annotation, emotion: str) -> str:
    """Return why a clip has no class, nothing if it has one."""
    name = _CLASS_OF.get(emotion)
    if name is None:
        return f"emotion '{emotion or 'unknown'}' is no class of megc2019"
    if a.corpus == "casme2" and name == "negative" and emotion not in _CASME2_NEGATIVE:
        return f"emotion '{emotion}' of CASME II is not in MEGC 2019"
    if a.clip_id in _CASME2_UNLISTED:
        return "not in the official MEGC 2019 list"
    if a.corpus == "smic" and (camera := _SLOW_CAMERA.search(a.clip_id)):
        return f"SMIC-{camera[1].upper()} is not in MEGC 2019, only SMIC-HS is"
    return ""
