"""Label schemes: an ordered tuple of class names and the rule from a corpus's own labels."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mecli import files, registry
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
        table = list(files.csv_reader(io.StringIO(files.read_text(path), newline="")))
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: cannot be read as a CSV label table: it is not UTF-8 ({error.reason}); "
            "save it as 'CSV UTF-8'"
        ) from error
    except csv.Error as error:
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


def check_scheme(scheme: str, *also: str) -> None:
    """Raise `UsageError` if `scheme` is neither registered nor a CSV; says `also` what may be."""
    if not _is_table(scheme):
        registry.check_name("label scheme", scheme, (*also, "a table FILE.csv"))


def _is_table(scheme: str) -> bool:
    return scheme.casefold().endswith(".csv")


def apply_scheme(scheme: str, annotations: Iterable[Annotation]) -> LabelTable:
    """Label `annotations` by a registered scheme, or by a CSV if `scheme` ends in ``.csv``."""
    annotations = sorted(annotations, key=lambda a: a.clip_id)
    check_scheme(scheme)
    if _is_table(scheme):
        return from_csv(Path(scheme), annotations)
    table: LabelTable = registry.load("label scheme", scheme)(annotations)
    return table
