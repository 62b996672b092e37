"""CAS(ME)³, parts A and C: colour frames of long recordings or of clips, 30 fps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from mecli.corpora.frames import Disk
from mecli.corpora.indexed import ClipIndex, IndexedReader
from mecli.corpora.screening import renamed_sheets
from mecli.corpora.sheets import pad, read_sheets
from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mecli.corpora.entry import Entry
    from mecli.corpora.frames import Numbered
    from mecli.corpora.reading import Reading


class PartA(IndexedReader):
    """Part A: ``spNO.1/a/color/1.jpg`` or clips ``spNo.1_a_355/355.jpg``.

    Subject and file name repeat, so every clip name carries its onset. Where both forms
    are on disk, the long recordings are read.
    """

    name = "casme3"
    title = "CAS(ME)³"
    paper = "Li et al., CAS(ME)³: a third generation facial spontaneous micro-expression database"
    doi = "10.1109/TPAMI.2022.3174895"
    licence = "granted by the Institute of Psychology, Chinese Academy of Sciences; no sharing"
    fps = 30.0
    sheet_name = "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"
    sheet_pattern = r"casme3parta(?!.*mae)"
    layout = (
        r"^(?!.*/depth/).*(?:/spno\.?\d+/[^/]+/color|/spno\.?\d+_[a-z]+_\d+)/[^/]*\d+\.(?!png)\w+$"
    )
    key_has_onset = True
    context_s = 1.0
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "subject": ("Subject", "sub"),
        "name": ("Filename", "seq"),
        "type": ("Expression type",),
        "onset": ("Onset",),
        "apex": ("Apex",),
        "offset": ("Offset",),
        "aus": ("AU", "Action Units", "Action Unit", "AUs"),
        "objective": ("Objective class", "Objective Classes"),
        "emotion": ("emotion", "Estimated Emotion"),
    }
    label_fields = ("emotion", "objective", "aus", "type")

    def canonical(self, name: str) -> str:
        """Return the name without case: sheets say spNO, folders spNo."""
        return name.strip().casefold()

    def locate(self, disk: Disk, root: Path) -> ClipIndex | None:
        """Return the recordings on disk, the clips where there are none."""
        index = super().locate(disk, root)
        if index is not None:
            index.form = "recordings" if index.has("color") else "clips"
        return index

    def frames_of(self, disk: Disk, place: ClipIndex, entry: Entry) -> Numbered | None:
        """Return the frames of the recording or, in the other form, of the clip."""
        who, what = entry.cells["subject"], entry.cells["name"]
        onset = entry.numbers.get("onset") or 0
        parts = (who, what, "color") if place.form == "recordings" else (f"{who}_{what}_{onset:g}",)
        clip = place.find(*parts)
        return disk.numbered(clip, *self.span(entry)) if clip else None


class PartC(PartA):
    """Part C, a mock crime: ``part_C/01/a/color/1.jpg``; its people are called C01 and so on."""

    sheet_name = "CAS(ME)3_part_C_ME.xlsx"
    sheet_pattern = r"casme3partc(?!.*mae)"
    layout = r"^(?!.*/depth/).*/\d{2,3}/[^/]+/color/[^/]*\d+\.(?!png)\w+$"
    required = ("subject", "name", "onset", "offset")
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        **PartA.columns,
        "subject": ("sub", "Subject"),
        "name": ("count", "Filename"),
    }

    def subject(self, text: str) -> str:
        """Return ``C01``, another person than part A's spNO.1."""
        return pad(text, "C", 2)

    def frames_of(self, disk: Disk, place: ClipIndex, entry: Entry) -> Numbered | None:
        """Return the frames of the person's one recording."""
        clip = place.find(pad(entry.cells["subject"], "", 2), "color")
        return disk.numbered(clip, *self.span(entry)) if clip else None


class Casme3:
    """CAS(ME)³: part A, part C, or both, as their sheets are there."""

    name = PartA.name
    title = PartA.title
    paper = PartA.paper
    doi = PartA.doi
    licence = PartA.licence
    sheet_name = PartA.sheet_name

    def __init__(self, as_published: bool = False, whole: bool = False) -> None:
        self.parts: tuple[PartA, ...] = (PartA(as_published, whole), PartC(as_published, whole))

    def has_sheet(self, disk: Disk, root: Path) -> bool:
        """Whether either part's sheet lies below `root`."""
        return any(part.has_sheet(disk, root) for part in self.parts)

    def has_layout(self, disk: Disk, root: Path) -> bool:
        """Whether frames lie as only part A's do."""
        return self.parts[0].has_layout(disk, root)

    def is_sheet_name(self, stem: str) -> bool:
        """Whether a file name is that of either part's sheet."""
        return any(part.is_sheet_name(stem) for part in self.parts)

    def inspect(self, root: Path, sheet: Path | None = None, disk: Disk | None = None) -> Reading:
        """Read the parts whose sheets are below `root`, or the one that `sheet` annotates."""
        disk = disk or Disk()
        if sheet is not None:
            fitting = [p for p in self.parts if p.tables(read_sheets(sheet))]
        else:
            fitting = [p for p in self.parts if p.has_sheet(disk, root)]
            fitting = fitting or [p for p in self.parts if renamed_sheets(disk, root, p.tables)][:1]
        readings = [part.inspect(root, sheet, disk) for part in fitting[: 1 if sheet else 2]]
        if not readings:
            raise InputError(
                f"{sheet or root}: no annotation of {self.title} found, expected "
                f"{PartA.sheet_name} or {PartC.sheet_name}; put it beside the frames"
            )
        return replace(
            readings[0],
            clips=sorted((c for r in readings for c in r.clips), key=lambda c: c.clip_id),
            notes=tuple(note for r in readings for note in r.notes),
        )
