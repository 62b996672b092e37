"""MMEW: micro- and macro-expressions of the same people, 90 fps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from mecli.corpora.indexed import IndexedReader
from mecli.corpora.sheets import pad

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mecli.corpora.entry import Entry
    from mecli.corpora.frames import Disk, Numbered
    from mecli.corpora.indexed import ClipIndex


class Mmew(IndexedReader):
    """MMEW: ``Micro_Expression/{emotion}/S01-01-001/1.jpg``; file names are unique."""

    name = "mmew"
    title = "MMEW"
    paper = "Ben et al., Video-based facial micro-expression analysis: a survey, 2022"
    doi = "10.1109/TPAMI.2021.3067464"
    licence = "granted by Shandong University for research; no sharing"
    fps = 90.0
    sheet_name = "MMEW_Micro_Exp.xlsx"
    sheet_pattern = r"^mmew(?!.*macro)"
    layout = r"^(?!.*/macro_expression/).*/s\d{2}-\d{2}-\d{3}/\d+\.\w+$"
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "subject": ("Subject",),
        "name": ("Filename",),
        "onset": ("OnsetFrame", "Onset"),
        "apex": ("ApexFrame", "Apex"),
        "offset": ("OffsetFrame", "Offset"),
        "aus": ("Action Units", "Action Unit", "AU", "AUs"),
        "emotion": ("Estimated Emotion", "Emotion"),
        "remarks": ("remarks",),
    }
    label_fields = ("emotion", "aus", "remarks")

    def subject(self, text: str) -> str:
        """Return ``S01`` for '1', '01' or 'S01'."""
        return pad(text, "S", 2)

    def parts(self, entry: Entry) -> tuple[str, ...]:
        """Return the clip's folder; the folder above is its emotion."""
        return (entry.cells["name"],)

    def frames_of(self, disk: Disk, place: ClipIndex, entry: Entry) -> Numbered | None:
        """Return the frames, and say where folder or name contradict the sheet."""
        clip = place.find(*self.parts(entry))
        emotion = entry.labels.get("emotion", "")
        if clip is not None and clip.parent.name.strip().casefold() != emotion:
            entry.issues.append(f"lies in folder '{clip.parent.name}', the sheet says '{emotion}'")
        who = re.match(r"s\d+", entry.name.casefold())
        if who and who[0] != entry.subject.casefold():
            entry.issues.append(f"file name says subject {who[0]}, the sheet {entry.subject}")
        return super().frames_of(disk, place, entry)
