"""SAMM: micro-expressions of 29 people at 200 fps, gray."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mecli.corpora.indexed import IndexedReader
from mecli.corpora.sheets import pad

if TYPE_CHECKING:
    from collections.abc import Mapping


class Samm(IndexedReader):
    """SAMM: text rows above the header, frames as ``006/006_1_2/006_05562.jpg``."""

    name = "samm"
    title = "SAMM"
    paper = "Davison et al., SAMM: a spontaneous micro-facial movement dataset, 2018"
    doi = "10.1109/TAFFC.2016.2573832"
    licence = "granted by Manchester Metropolitan University for research; no sharing"
    fps = 200.0
    sheet_name = "SAMM_Micro_FACS_Codes_v2.xlsx"
    sheet_pattern = r"samm.*facs"
    layout = r"/(\d{3})/\1_\d+_\d+/\1_\d+\.\w+$"
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "subject": ("Subject",),
        "name": ("Filename",),
        "onset": ("Onset Frame", "Onset"),
        "apex": ("Apex Frame", "Apex"),
        "offset": ("Offset Frame", "Offset"),
        "aus": ("Action Units", "Action Unit", "AUs"),
        "emotion": ("Estimated Emotion", "Emotion"),
        "objective": ("Objective Classes", "Objective Class"),
    }

    def subject(self, text: str) -> str:
        """Return ``006`` for '006' or 6."""
        return pad(text, "", 3)
