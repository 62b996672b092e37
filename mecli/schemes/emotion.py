"""The corpus's own emotion words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mecli.labels import LabelTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mecli.labels import Annotation


def emotion(annotations: Iterable[Annotation]) -> LabelTable:
    """Return the corpus's own emotion words, lower case, in alphabetical order."""
    named, excluded = {}, {}
    for a in annotations:
        word = a.labels.get("emotion", "").strip().casefold()
        if word:
            named[a.clip_id] = word
        else:
            excluded[a.clip_id] = "no emotion given"
    classes = tuple(sorted(set(named.values())))
    return LabelTable("emotion", classes, {c: classes.index(w) for c, w in named.items()}, excluded)
