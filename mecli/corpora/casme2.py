"""CASME II: the 2014 and the 2019 sheet; raw, raw-selected, cropped and avi frames."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mecli.corpora.annotation import SheetReader
from mecli.corpora.frames import Disk, Numbered
from mecli.corpora.sheets import Row, Table, find_table, normalise, pad, read_sheets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mecli.corpora.entry import Entry

FORMS = ("raw-selected", "raw", "cropped", "avi")
_SUBJECT = re.compile(r"sub\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Form:
    """One of the forms CASME II has on disk, and the folder of its subjects."""

    name: str
    root: Path


class Casme2(SheetReader[Form]):
    """CASME II at 200 fps.

    Where a folder holds several forms of the frames, all clips come from one: the
    raw-selected frames, else the raw ones, the cropped ones, the avi files. Of several
    sheets the oldest is read (official lists follow the 2014 one); objective classes
    are added from a later one.
    """

    name = "casme2"
    title = "CASME II"
    paper = "Yan et al., CASME II: an improved spontaneous micro-expression database, 2014"
    doi = "10.1371/journal.pone.0086041"
    licence = "granted by the Institute of Psychology, Chinese Academy of Sciences; no sharing"
    fps = 200.0
    sheet_name = "CASME2-coding-20140508.xlsx or CASME2-coding-20190701.xlsx"
    sheet_pattern = (
        r"^(?!.*(?:final|blink)).*casme(?:2|ii)(?:$|.*(?:coding|label|objective|annotation))"
    )
    oldest_sheet_first = True
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "subject": ("Subject",),
        "name": ("Filename", "File name"),
        "onset": ("OnsetFrame", "Onset"),
        "apex": ("ApexFrame", "Apex"),
        "offset": ("OffsetFrame", "Offset"),
        "aus": ("Action Units", "Action Unit", "AU", "AUs"),
        "emotion": ("Estimated Emotion", "Emotion"),
        "objective": ("Objective Classes", "Objective Class"),
    }

    def subject(self, text: str) -> str:
        """Return ``sub01`` for '01', '1' or 'sub01'."""
        return pad(text, "sub", 2)

    def prepare(self, disk: Disk, root: Path, table: Table, entries: list[Entry]) -> None:
        """Add objective classes from another sheet where this one has none."""
        if "objective" in table.fields:
            return
        wanted = {k: self.columns[k] for k in ("subject", "name", "objective")}
        for path in self.sheets(disk, root):
            other = (
                None if path == table.sheet.path else find_table(read_sheets(path), wanted, wanted)
            )
            if other is not None:
                given = {self._key(row): row["objective"] for row in other.rows}
                for entry in entries:
                    if word := given.get((entry.subject, entry.name)):
                        entry.labels["objective"] = word
                return

    def _key(self, row: Row) -> tuple[str, str]:
        return self.subject(row["subject"]), row["name"]

    def has_layout(self, disk: Disk, root: Path) -> bool:
        """Whether subjects hold clips EP… whose frames are called img… or reg_img…."""
        return self.locate(disk, root) is not None

    def locate(self, disk: Disk, root: Path) -> Form | None:
        """Return the preferred form on disk."""
        found = []
        for folder in disk.walk(root, 3):
            subjects = [f for f in disk.folders(folder) if _SUBJECT.fullmatch(f.name.strip())]
            kind = next((k for f in subjects if (k := _kind(disk, root, f))), None)
            if kind:
                found.append(Form(kind, folder))
        return min(found, key=lambda f: (FORMS.index(f.name), str(f.root)), default=None)

    def frames_of(self, disk: Disk, place: Form, entry: Entry) -> Numbered | None:
        """Return the frames of ``sub01/EP02_01f``."""
        subject = disk.child(place.root, entry.subject)
        clip = disk.child(subject, entry.cells["name"]) if subject else None
        if clip is None:
            return None
        if place.name == "avi":
            return Numbered(clip)
        frames = disk.numbered(disk.unnest(clip))
        return frames if frames.frames else None

    def form(self, place: Form) -> str:
        """Return which form the frames come from."""
        return place.name

    def leftovers(self, disk: Disk, place: Form, entries: list[Entry]) -> list[str]:
        """Return the clip folders that are in no row."""
        listed = {(e.subject.casefold(), e.cells["name"].casefold()) for e in entries}
        return [
            f"{subject.name}/{clip.name} is on disk but in no row"
            for subject in disk.folders(place.root)
            if _SUBJECT.fullmatch(subject.name.strip())
            for clip in disk.folders(subject)
            if (subject.name.strip().casefold(), clip.name.strip().casefold()) not in listed
        ]


def _kind(disk: Disk, root: Path, subject: Path) -> str | None:
    """Return the form that the clips of one subject folder are in, None if not CASME II's."""
    inside = disk.listing(subject)
    if any(v.stem.casefold().startswith("ep") for v in inside.videos):
        return "avi"
    for clip in inside.folders:
        folder = disk.unnest(clip)
        images = [name.casefold() for name in disk.listing(folder).images]
        if not images or not clip.name.casefold().startswith("ep"):
            continue
        if images[0].startswith("reg_img"):
            return "cropped"
        return _raw(disk, root, subject, folder) if images[0].startswith("img") else None
    return None


def _raw(disk: Disk, root: Path, subject: Path, clip: Path) -> str:
    above = (normalise(p.name) for p in subject.parents if p == root or root in p.parents)
    for name in above:
        if "select" in name:
            return "raw-selected"
        if "raw" in name:
            return "raw"
    return "raw" if disk.numbered(clip).numbers[0] == 1 else "raw-selected"
