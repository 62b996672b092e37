"""DFME: micro-expressions at 200 to 500 fps, the frame rate given per clip."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mecli.corpora.indexed import IndexedReader

if TYPE_CHECKING:
    from collections.abc import Mapping


class Dfme(IndexedReader):
    """DFME: the annotation may come in several sheets (parts, training and test)."""

    name = "dfme"
    title = "DFME"
    paper = "Zhao et al., DFME: a new benchmark for dynamic facial micro-expression recognition"
    doi = "10.1109/TAFFC.2023.3341918"
    licence = "granted by the University of Science and Technology of China; no sharing"
    sheet_name = "the DFME annotation (Subject, Filename, OnsetFrame, …, Emotion, Fps, AU)"
    sheet_pattern = r"^dfme"
    sheets_add_up = True
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "subject": ("Subject",),
        "name": ("Filename",),
        "onset": ("OnsetFrame", "Onset"),
        "apex": ("ApexFrame", "Apex"),
        "offset": ("OffsetFrame", "Offset"),
        "emotion": ("Emotion", "Estimated Emotion"),
        "fps": ("Fps", "Frame rate"),
        "aus": ("AU", "AUs", "Action Units", "Action Unit"),
    }
