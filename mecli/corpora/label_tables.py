"""The label tables of flow archives: which CSV is one, and what its rows say.

The organisers' own (``casme2,sub01,EP02_01f,1``) has no header; those that data frames
write have one, in words of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mecli.corpora.sheets import (
    Table,
    find_table,
    normalise,
    pad,
    plain,
    positional_table,
    read_sheets,
)
from mecli.errors import InputError
from mecli.schemes.megc2019 import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mecli.corpora.frames import Disk
    from mecli.corpora.sheets import Row, Sheet

COLUMNS = {
    "corpus": ("corpus", "dataset", "database"),
    "subject": ("subject", "sub", "subject_id"),
    "clip": ("clip", "filename", "filename_o", "name", "clip_name", "video"),
    "label": ("label", "class", "emotion", "gt", "ground_truth", "labels"),
    "file": ("file", "image", "imagename", "image_name"),
}
_ORDER = ("corpus", "subject", "clip", "label", "file")
_WANTED = ("subject", "clip", "label")
# Columns that a table of predictions, a manifest or a sheet about frames has.
_OTHERS = {"prediction", "path", "onset", "onsetframe", "onsetf"}
# How the composite's corpora are called here, and how they call their people: data frames
# write '006' as 6.
_CORPORA = {
    "casme2": "casme2",
    "casmeii": "casme2",
    "samm": "samm",
    "smic": "smic",
    "smichs": "smic",
}
_PEOPLE = {"casme2": ("sub", 2), "samm": ("", 3), "smic": ("s", 2)}
_CLASSES = {str(index): name for index, name in enumerate(CLASSES)}
_CLASSES |= {short: name for name in CLASSES for short in (name, name[:3])}


@dataclass(frozen=True, slots=True)
class Labelled:
    """One row: the clip as other readers call it, its class, and the words of the row."""

    table: Path
    number: int
    corpus: str
    subject: str
    clip: str
    label: str | None
    """Class of megc2019; None for any other word."""
    word: str
    written: str
    """The subject as the row has it."""
    file: str = ""

    @property
    def clip_id(self) -> str:
        """``corpus/subject/name``, as the clip will have it."""
        return f"{self.corpus}/{self.subject}/{self.clip}"


def label_tables(disk: Disk, root: Path, depth: int) -> Iterator[Table]:
    """Yield the label tables down to `depth`; below a folder that holds one there is no other."""
    taken: set[Path] = set()
    for folder in disk.walk(root, depth):
        if taken.isdisjoint(folder.parents):
            for table in _beside(disk, folder):
                taken.add(folder)
                yield table


def _beside(disk: Disk, folder: Path) -> Iterator[Table]:
    inside = disk.listing(folder)
    for path in inside.others:
        try:
            table = label_table(path)
        except InputError:
            if inside.images:
                raise
            continue  # no image lies beside it: another file, which need not be readable
        if table:
            yield table


def label_table(path: Path) -> Table | None:
    """Return the rows of a label table, with header or in the headerless form of MEGC."""
    if path.suffix.casefold() != ".csv":
        return None
    sheets = read_sheets(path)
    table = find_table(sheets, COLUMNS, _WANTED)
    if table is not None:
        return None if _OTHERS & set(map(normalise, _header(table))) else table
    found = [positional_table(sheet, _ORDER) for sheet in sheets[:1]]
    return next((t for t in found if t.rows and class_of(t.rows[0]["label"])), None)


def class_of(word: str) -> str | None:
    """Return the class of megc2019 behind ``1``, ``1.0``, ``Positive`` or ``pos``."""
    return _CLASSES.get(re.sub(r"\.0+$", "", plain(word).casefold()))


def corpus_of(name: str) -> str:
    """Return a corpus's name as other readers have it, `name` itself for an unknown one."""
    return _CORPORA.get(normalise(name), name)


def rows_of(table: Table) -> Iterator[Labelled]:
    """Yield every row; `InputError` where neither column, file nor folder name its corpus."""
    around = _corpus_around(table.sheet)
    for row in table.rows:
        corpus = row["corpus"] or around
        if not corpus:
            raise InputError(
                f"{table.sheet.path}: row {row.number} names no corpus; add a column 'corpus' "
                f"({', '.join(dict.fromkeys(_CORPORA.values()))}, or a name of yours)"
            )
        yield _labelled(table.sheet, row, corpus_of(corpus))


def subject_as_called(corpus: str, written: str) -> str:
    """Return a subject as other readers call them: 6, 006 and sub006 of SAMM are one person."""
    if corpus not in _PEOPLE:
        return written
    prefix, digits = _PEOPLE[corpus]
    full = re.fullmatch(rf"[A-Za-z]+[ _-]*(\d{{{digits}}})", written)
    return pad(full[1] if full else written, prefix, digits)


def _labelled(sheet: Sheet, row: Row, corpus: str) -> Labelled:
    word = plain(row["label"]).casefold()
    return Labelled(
        table=sheet.path,
        number=row.number,
        corpus=corpus,
        subject=subject_as_called(corpus, row["subject"]),
        clip=row["clip"],
        label=class_of(word),
        word=word,
        written=row["subject"],
        file=row["file"],
    )


def _header(table: Table) -> Iterable[str]:
    first = table.rows[0].number if table.rows else len(table.sheet.rows) + 1
    return (cell for row in table.sheet.rows[: first - 1] for cell in row)


def _corpus_around(sheet: Sheet) -> str:
    """Return the corpus that the table's file or its folder is called after, "" for none."""
    for name in (sheet.path.stem, sheet.path.absolute().parent.name):
        for word in re.split(r"[\W_]+", name.casefold()):
            if word in _CORPORA:
                return word
    return ""
