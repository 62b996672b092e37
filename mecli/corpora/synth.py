"""Synthetic clips with known truth, as in `sample_data`: annotation.csv beside clips/."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from mecli.corpora.annotation import SheetReader
from mecli.corpora.frames import Disk, Numbered

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mecli.corpora.entry import Entry


class Synth(SheetReader["Path"]):
    """Rendered clips: frames counted from 1, a row without onset is a clip without expression."""

    name = "synth"
    title = "synthetic sample clips"
    paper = "rendered for this project from CC0 head meshes; no real person is shown"
    doi = "none"
    licence = "CC0 1.0"
    sheet_name = "annotation.csv beside a folder clips/"
    sheet_pattern = r"^annotation$"
    required = ("subject", "name", "onset", "offset", "emotion")
    label_fields = ("emotion", "class", "aus", "distractor")
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "subject": ("Subject",),
        "name": ("Filename",),
        "onset": ("OnsetFrame",),
        "apex": ("ApexFrame",),
        "offset": ("OffsetFrame",),
        "aus": ("Action Units",),
        "emotion": ("Estimated Emotion",),
        "class": ("Class",),
        "fps": ("FPS",),
        "distractor": ("Distractor",),
    }

    def sheets(self, disk: Disk, root: Path) -> list[Path]:
        """Return the annotation.csv that lies beside clips/ in `root` or its only folder."""
        return [
            path
            for folder in (root, *disk.folders(root)[:1])
            for path in disk.listing(folder).others
            if path.name.casefold() == "annotation.csv" and disk.child(folder, "clips")
        ][:1]

    def has_layout(self, disk: Disk, root: Path) -> bool:
        """Clips alone could be anyone's."""
        return False

    def locate(self, disk: Disk, root: Path) -> Path | None:
        """Return the folder of clips."""
        sheets = self.sheets(disk, root)
        return disk.child(sheets[0].parent if sheets else root, "clips")

    def subject(self, text: str) -> str:
        """Return ``s01`` for '01' or '1'."""
        return f"s{int(text):02d}" if re.fullmatch(r"\d{1,9}", text) else text

    def add_labels(self, entry: Entry) -> None:
        """Fill labels and frame rate; a clip without expression has no moments to miss."""
        super().add_labels(entry)
        if entry.labels.get("emotion") == "none":
            entry.issues = [i for i in entry.issues if "unknown (empty cell)" not in i]

    def frames_of(self, disk: Disk, place: Path, entry: Entry) -> Numbered | None:
        """Return the video or the image folder called as the row."""
        clip = disk.child(place, entry.cells["name"])
        if clip is None or clip.is_file():
            return Numbered(clip) if clip else None
        frames = disk.numbered(clip)
        return frames if frames.frames else None
