"""A folder of flow images beside a label table, as the field passes on prepared data.

One image a clip shows its flow from onset to apex: red is u, green is v, blue the optical
strain, each scaled to its own range. Files are called ``<subject>_<clip> .png`` (a blank
before the dot is usual); ``<subject>_<clip>_1 .png`` and so on are further images.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mecli.clips import Clip, check_part
from mecli.corpora.frames import Disk, natural_key
from mecli.corpora.indexed import pad
from mecli.corpora.reading import Reading
from mecli.corpora.sheets import (
    Table,
    find_table,
    normalise,
    plain,
    positional_table,
    read_sheets,
)
from mecli.errors import InputError
from mecli.schemes.megc2019 import CLASSES as MEGC2019_CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Set

_FIELDS = ("corpus", "subject", "clip", "label")
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
_CLASSES = {
    **{str(index): name for index, name in enumerate(MEGC2019_CLASSES)},
    **{name: name for name in MEGC2019_CLASSES},
}


class FlowArchive:
    """Flow images of the MEGC 2019 composite; clip ids keep the corpus of the table."""

    name = "flow-archive"
    title = "archive of flow images"
    paper = "See et al., MEGC 2019: the second facial micro-expressions grand challenge"
    doi = "10.1109/FG.2019.8756611"
    licence = "that of the corpora behind it: research only, granted by their owners"
    sheet_name = "a CSV corpus,subject,clip,label[,file] beside <subject>_<clip> .png"
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **{field: (field,) for field in _FIELDS},
        "corpus": ("corpus", "dataset"),
        "subject": ("subject", "sub"),
        "clip": ("clip", "filename", "filename_o", "name"),
        "file": ("file",),
    }

    def __init__(self, as_published: bool = False, whole: bool = False) -> None:
        self.as_published = as_published
        self.whole = whole

    def recognises(self, root: Path) -> bool:
        """Whether a label table lies beside images of its clips."""
        return self.has_sheet(Disk(), root)

    def has_sheet(self, disk: Disk, root: Path) -> bool:
        """Whether a label table lies beside images."""
        return self._find(disk, root) is not None

    def has_layout(self, disk: Disk, root: Path) -> bool:
        """Images alone could be anything."""
        return False

    def is_sheet_name(self, stem: str) -> bool:
        """No file name is this table's own."""
        return False

    def read(self, root: Path) -> list[Clip]:
        """Return every clip of the table, sorted by clip id."""
        return self.inspect(root).clips

    def inspect(self, root: Path, sheet: Path | None = None, disk: Disk | None = None) -> Reading:
        """Read the clips of the label table and the images of each."""
        disk = disk or Disk()
        table = label_table(sheet) if sheet else self._find(disk, root)
        if table is None:
            raise InputError(f"{sheet or root}: no label table found, expected {self.sheet_name}")
        images = _images(disk, table.sheet.path.parent)
        rows = [(row.number, _mended(row.cells)) for row in table.rows]
        mains = _mains(images, [cells for _, cells in rows])
        further = _further(images, set(mains))
        clips: dict[str, Clip] = {}
        notes = []
        for (number, cells), main in zip(rows, mains, strict=True):
            names = (main, *further.get(main, ())) if main in images else ()
            issues = [] if names else [f"no image '{main} .png' in {table.sheet.path.parent}"]
            clip = _clip(cells, tuple(images[name] for name in names), issues)
            if clips.setdefault(clip.clip_id, clip) is not clip:
                notes.append(f"row {number} was not read: it is {clip.clip_id} once more")
        used = {path for clip in clips.values() for path in _files(clip)}
        spare = sorted((p.name for p in images.values() if p not in used), key=natural_key)
        notes += [f"{name} is on disk but in no row" for name in spare]
        ordered = sorted(clips.values(), key=lambda c: c.clip_id)
        return Reading(self.name, root, ordered, tuple(notes), table.sheet.path)

    def _find(self, disk: Disk, root: Path) -> Table | None:
        for folder in disk.walk(root, 2):
            for path in disk.listing(folder).others:
                if path.suffix.casefold() == ".csv" and _images(disk, folder):
                    table = label_table(path)
                    if table is not None:
                        return table
        return None


def label_table(path: Path) -> Table | None:
    """Return the rows of a label table, with header or in the headerless form of MEGC."""
    sheets = read_sheets(path)
    table = find_table(sheets, FlowArchive.columns, _FIELDS)
    if table is None:
        found = [positional_table(sheet, (*_FIELDS, "file")) for sheet in sheets[:1]]
        table = next((t for t in found if t.rows and t.rows[0]["label"] in _CLASSES), None)
    return table


def _images(disk: Disk, folder: Path) -> dict[str, Path]:
    """Return the images beside the table, or in its only folder, by name without blanks."""
    inside = disk.listing(folder)
    if not inside.images and inside.folders:
        folder = inside.folders[0]
    return {Path(n).stem.strip().casefold(): folder / n for n in disk.listing(folder).images}


def _mended(cells: Mapping[str, str]) -> Mapping[str, str]:
    """Return the cells of a row with corpus and subject as other readers call them."""
    corpus = _CORPORA.get(normalise(cells["corpus"]), cells["corpus"])
    subject = cells["subject"]
    if corpus in _PEOPLE:
        subject = pad(subject, *_PEOPLE[corpus])
    return {**cells, "corpus": corpus, "subject": subject, "written": cells["subject"]}


def _mains(images: Iterable[str], rows: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the name of each row's first image, without blanks and suffix.

    Where no image has that name, one does that differs in leading zeros alone.
    """
    alike: dict[str, list[str]] = {}
    for name in images:
        alike.setdefault(_without_zeros(name), []).append(name)
    mains = []
    for cells in rows:
        named = Path(cells.get("file", "")).stem.strip()
        main = (named or f"{cells['written']}_{cells['clip']}").casefold()
        near = alike.get(_without_zeros(main), ())
        mains.append(near[0] if len(near) == 1 and main not in near else main)
    return mains


def _without_zeros(name: str) -> str:
    return re.sub(r"(?<!\d)0+(?=\d)", "", name)


def _further(images: Iterable[str], mains: Set[str]) -> dict[str, list[str]]:
    """Return the names of the images ``X_1``, ``X_2`` … that belong to a clip's image ``X``."""
    further: dict[str, list[str]] = {}
    for name in sorted(images, key=natural_key):
        main = re.sub(r"_[1-9]\d?$", "", name)
        if name not in mains and main in mains:
            further.setdefault(main, []).append(name)
    return further


def _clip(cells: Mapping[str, str], images: tuple[Path, ...], issues: list[str]) -> Clip:
    word = plain(cells["label"]).casefold()
    label = _CLASSES.get(re.sub(r"\.0+$", "", word))
    if label is None:
        issues.append(f"label '{word}' is none of 0, 1, 2 or {', '.join(MEGC2019_CLASSES)}")
    return Clip(
        corpus=check_part(cells["corpus"], "corpus"),
        subject=check_part(cells["subject"], "subject"),
        name=check_part(cells["clip"], "clip"),
        frames=images,
        labels={"emotion": label, "megc2019": label} if label else {},
        issues=tuple(issues),
        holds_flow=True,
    )


def _files(clip: Clip) -> tuple[Path, ...]:
    return clip.frames if isinstance(clip.frames, tuple) else (clip.frames,)
