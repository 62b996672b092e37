"""SMIC-E long clips: micro-expressions with the frames around them; a clip may hold two."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from mecli.corpora.indexed import ClipIndex, IndexedReader
from mecli.corpora.moments import frame_number
from mecli.corpora.sheets import Row, pad
from mecli.corpora.smic import FPS, camera_of, clip_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mecli.corpora.entry import Entry
    from mecli.corpora.frames import Disk, Numbered


class SmicLong(IndexedReader):
    """SMIC-E: OffsetF and FirstF are formulas, Onset2F marks a second expression.

    One camera is read, that of the first sheet found; the emotion is in the file name.
    """

    name = "smic-long"
    title = "SMIC-E long"
    paper = (
        "Li et al., Towards reading hidden emotions: spontaneous micro-expression spotting, 2018"
    )
    doi = "10.1109/TAFFC.2017.2667642"
    licence = "granted by the University of Oulu for research; no sharing"
    fps = FPS["HS"]
    sheet_name = "SMIC-HS-E_annotation.xlsx"
    sheet_pattern = r"smic.*annotation"
    layout = r"/s\d+/s\d+_(?:ne|po|sur)_\d+/[^/]*image\d+\.\w+$"
    required = ("subject", "name", "onset", "offset")
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "subject": ("Subject",),
        "name": ("Filename",),
        "onset": ("OnsetF", "Onset1F", "OnsetFrame", "Onset"),
        "apex": ("ApexF", "ApexFrame", "Apex"),
        "offset": ("OffsetF", "Offset1F", "OffsetFrame", "Offset"),
        "onset2": ("Onset2F", "OnsetF2"),
        "offset2": ("Offset2F", "OffsetF2"),
        "first": ("FirstF", "FirstFrame"),
        "emotion": ("Emotion",),
    }

    def subject(self, text: str) -> str:
        """Return ``s01`` for 1 or 's1'."""
        return pad(text, "s", 2)

    def clip_name(self, text: str) -> str:
        """Return ``s01_ne_01`` for 's1_ne_01'."""
        return clip_name(text)[1]

    def canonical(self, name: str) -> str:
        """Return the name at full width."""
        return clip_name(name)[1].casefold()

    def entries(self, row: Row) -> list[Entry]:
        """Return one entry, two where the row annotates a second expression."""
        found = super().entries(row)
        if frame_number(row["onset2"])[0] is not None:
            second = {**row.cells, "onset": row["onset2"], "offset": row["offset2"]}
            second.pop("apex", None)  # it is the first expression's
            found += super().entries(Row(row.number, second))
        return found

    def add_labels(self, entry: Entry) -> None:
        """Take the emotion from the name where the sheet has no column for it."""
        entry.cells["emotion"] = entry.cells.get("emotion") or clip_name(entry.cells["name"])[2]
        super().add_labels(entry)

    def locate(self, disk: Disk, root: Path) -> ClipIndex | None:
        """Return the frames of the camera whose sheet is read."""
        index = super().locate(disk, root)
        sheets = self.sheets(disk, root)
        camera = camera_of(sheets[0].with_suffix("")) if sheets else "HS"
        if index is not None:
            index.keep(lambda path: camera_of(path) == camera)
            index.form = camera
        return index

    def frames_of(self, disk: Disk, place: ClipIndex, entry: Entry) -> Numbered | None:
        """Return the frames, and say where they do not begin as the sheet has it."""
        entry.fps = FPS.get(place.form)
        frames = super().frames_of(disk, place, entry)
        first = frame_number(entry.cells.get("first", ""))[0]
        if frames is None or first is None or not frames.numbers or frames.numbers[0] == first:
            return frames
        odd = f"frames begin at {frames.numbers[0]}, the sheet says {first:g}"
        return replace(frames, issues=(*frames.issues, odd))
