"""The five emotions that single-corpus results on CASME II and on SAMM are given for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mecli.errors import InputError
from mecli.labels import LabelTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mecli.labels import Annotation

CLASSES_OF = {
    "casme2": ("disgust", "happiness", "others", "repression", "surprise"),
    "samm": ("anger", "contempt", "happiness", "other", "surprise"),
}
_TITLES = {"casme2": "CASME II", "samm": "SAMM"}


def emotion5(annotations: Iterable[Annotation]) -> LabelTable:
    """Return the five emotions of one corpus: 246 clips of CASME II or 136 of SAMM.

    The two corpora are not mixed: only two of the classes mean the same in both, so no
    score over a common list would be anybody's. Raises `InputError` if both are there.
    """
    annotations = list(annotations)
    corpora = sorted({a.corpus for a in annotations} & set(CLASSES_OF))
    if len(corpora) > 1:
        raise InputError(
            "emotion5 names five emotions of CASME II and another five of SAMM: use a cache of "
            "one of them, or labels megc2019 or megc2018 for both"
        )
    classes = CLASSES_OF[corpora[0]] if corpora else ()
    index, excluded = {}, {}
    for a in annotations:
        word = a.labels.get("emotion", "").strip().casefold()
        if a.corpus not in CLASSES_OF:
            excluded[a.clip_id] = f"emotion5 is for CASME II or SAMM, not {a.corpus}"
        elif word in classes:
            index[a.clip_id] = classes.index(word)
        else:
            title = _TITLES[a.corpus]
            excluded[a.clip_id] = f"emotion '{word or 'unknown'}' is none of the five of {title}"
    return LabelTable("emotion5", classes, index, excluded)
