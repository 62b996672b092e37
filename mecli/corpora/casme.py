"""CASME: the first corpus of its group, 60 fps, two cameras."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mecli.corpora.indexed import IndexedReader
from mecli.corpora.sheets import pad

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mecli.corpora.entry import Entry


class Casme(IndexedReader):
    """CASME: ``sub01/EP01_12/EP01_12-73.jpg``, two apex columns, repeated file names."""

    name = "casme"
    title = "CASME"
    paper = "Yan et al., CASME database: a dataset of spontaneous micro-expressions, 2013"
    doi = "10.1109/FG.2013.6553799"
    licence = "granted by the Institute of Psychology, Chinese Academy of Sciences; no sharing"
    fps = 60.0
    sheet_name = "CASME.xlsx"
    sheet_pattern = r"^casme1?(?![23]|ii|sq)(?:database|coding|code|label|annotation|sheet|v\d|$)"
    sheets_add_up = True
    layout = r"/sub\d+/([^/]+)/\1-\d+\.\w+$"
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "subject": ("Subject",),
        "name": ("Filename",),
        "onset": ("OnsetF", "OnsetFrame", "Onset"),
        "apex": ("ApexF1", "ApexF", "ApexFrame"),
        "apex2": ("ApexF2",),
        "offset": ("OffsetF", "OffsetFrame", "Offset"),
        "aus": ("AU", "AUs", "Action Units", "Action Unit"),
        "emotion": ("Emotion", "Estimated Emotion"),
    }

    def subject(self, text: str) -> str:
        """Return ``sub01`` for '01' or 1."""
        return pad(text, "sub", 2)

    def add_labels(self, entry: Entry) -> None:
        """Fill the labels; a second apex is said, the first is used."""
        super().add_labels(entry)
        second = entry.cells.get("apex2", "")
        if second not in {"", "0", "/", entry.cells.get("apex", "")}:
            entry.issues.append(f"second apex {second} not used")
