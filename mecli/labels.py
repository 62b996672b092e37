"""Label schemes: an ordered tuple of class names and the rule from a corpus's own labels."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mecli import registry
from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a label rule may look at: the clip's names and its corpus's own labels."""

    clip_id: str
    corpus: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LabelTable:
    """The classes of a scheme, the class index of each clip, and who was left out and why."""

    scheme: str
    classes: tuple[str, ...]
    index: Mapping[str, int]
    """clip id → position in `classes`."""
    excluded: Mapping[str, str]
    """clip id → reason."""


MEGC2019_CLASSES = ("negative", "positive", "surprise")
_MEGC2019 = {
    "repression": "negative",
    "anger": "negative",
    "contempt": "negative",
    "disgust": "negative",
    "fear": "negative",
    "sadness": "negative",
    "negative": "negative",
    "happiness": "positive",
    "positive": "positive",
    "surprise": "surprise",
}
# The organisers' list holds only these two emotions of CASME II as negative, and leaves
# out two of its disgust clips (See et al., FG 2019, 10.1109/FG.2019.8756611).
_CASME2_NEGATIVE = {"disgust", "repression"}
_CASME2_UNLISTED = {"casme2/sub04/EP12_01f", "casme2/sub05/EP09_05f"}


def megc2019(annotations: Iterable[Annotation]) -> LabelTable:
    """Three classes of the MEGC 2019 composite (See et al., 10.1109/FG.2019.8756611)."""
    index, excluded = {}, {}
    for a in annotations:
        if a.labels.get("megc2019") in MEGC2019_CLASSES:
            # A table of the organisers' own: its classes and its membership are theirs.
            index[a.clip_id] = MEGC2019_CLASSES.index(a.labels["megc2019"])
            continue
        emotion = a.labels.get("emotion", "").strip().casefold()
        name = _MEGC2019.get(emotion)
        if a.corpus == "casme2" and name == "negative" and emotion not in _CASME2_NEGATIVE:
            excluded[a.clip_id] = f"emotion '{emotion}' of CASME II is not in MEGC 2019"
        elif a.clip_id in _CASME2_UNLISTED:
            excluded[a.clip_id] = "not in the official MEGC 2019 list"
        elif name is None:
            excluded[a.clip_id] = f"emotion '{emotion or 'unknown'}' is no class of megc2019"
        else:
            index[a.clip_id] = MEGC2019_CLASSES.index(name)
    return LabelTable("megc2019", MEGC2019_CLASSES, index, excluded)


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


def from_csv(path: Path, annotations: Iterable[Annotation]) -> LabelTable:
    """Read ``label,class`` (own emotion word → class) or ``clip,class`` rows from `path`.

    Classes keep the order of their first row. A row with an empty class excludes.
    Raises `InputError` naming file, row and column.
    """
    key, rows = _read_table(path)
    classes = tuple(dict.fromkeys(c for c in rows.values() if c))
    if len(classes) < 2:
        raise InputError(f"{path}: names {len(classes)} class(es), expected at least 2")
    index, excluded = {}, {}
    for a in annotations:
        word = a.clip_id if key == "clip" else a.labels.get("emotion", "").strip()
        name = rows.get(word.casefold())
        if name:
            index[a.clip_id] = classes.index(name)
        else:
            excluded[a.clip_id] = f"{key} '{word}' has no class in {path.name}"
    return LabelTable(str(path), classes, index, excluded)


def _read_table(path: Path) -> tuple[str, dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = list(csv.reader(file))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such label table") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a CSV label table: {error}") from error
    header = [cell.strip().casefold() for cell in table[0]] if table else []
    key = next((k for k in ("clip", "label") if k in header), None)
    if key is None or "class" not in header:
        raise InputError(
            f"{path}: header is {','.join(header) or '(empty)'}, expected 'label,class' "
            "or 'clip,class'"
        )
    rows: dict[str, str] = {}
    for number, row in enumerate(table[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            raise InputError(f"{path}: row {number} has {len(row)} cells, expected {len(header)}")
        word = row[header.index(key)].strip().casefold()
        name = row[header.index("class")].strip()
        if rows.setdefault(word, name) != name:
            raise InputError(f"{path}: row {number} gives '{word}' a second class '{name}'")
    return key, rows


def apply_scheme(scheme: str, annotations: Iterable[Annotation]) -> LabelTable:
    """Label `annotations` by a registered scheme, or by a CSV if `scheme` ends in ``.csv``."""
    annotations = sorted(annotations, key=lambda a: a.clip_id)
    if scheme.casefold().endswith(".csv"):
        return from_csv(Path(scheme), annotations)
    table: LabelTable = registry.load("label scheme", scheme)(annotations)
    return table
