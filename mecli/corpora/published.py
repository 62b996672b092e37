"""How many clips the owners of a corpus publish, and of which emotion, to hold a copy against."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mecli.corpora.reading import Reading

# CASME II by its sheet of 2014, SMIC by its fast camera.
_CLASSES: Mapping[str, Mapping[str, int]] = {
    "casme2": {
        "others": 99,
        "disgust": 63,
        "happiness": 32,
        "repression": 27,
        "surprise": 25,
        "sadness": 7,
        "fear": 2,
    },
    "samm": {
        "anger": 57,
        "other": 26,
        "happiness": 26,
        "surprise": 15,
        "contempt": 12,
        "disgust": 9,
        "fear": 8,
        "sadness": 6,
    },
    "smic": {"negative": 70, "positive": 51, "surprise": 43},
}


def differences(reading: Reading) -> tuple[str, ...] | None:
    """Return where the classes of `reading` are not as many as published; None if not known."""
    published = _CLASSES.get(reading.corpus)
    if published is None or (reading.corpus == "smic" and not reading.form.startswith("HS")):
        return None
    here = Counter(clip.labels.get("emotion", "unknown") for clip in reading.clips)
    return tuple(
        f"{name}: {published.get(name, 0)} published, {here[name]} here"
        for name in dict.fromkeys([*published, *sorted(here)])
        if here[name] != published.get(name, 0)
    )
