"""4DME: micro-expressions in several modalities, of which the gray 2D frames are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mecli.corpora.indexed import IndexedReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mecli.corpora.entry import Entry


class FourDme(IndexedReader):
    """4DME: ``gray_micro/{sub_ID}/{fold_name}/``; a clip may have two emotions."""

    name = "4dme"
    title = "4DME"
    paper = "Li et al., 4DME: a spontaneous 4D micro-expression dataset with multimodalities, 2023"
    doi = "10.1109/TAFFC.2022.3182342"
    licence = "granted by the University of Oulu for research; no sharing"
    fps = 60.0
    sheet_name = "4DME_Labelling_Micro_release v1.xlsx"
    sheet_pattern = r"^4d(?:me|micro).*(?:label|micro)"
    layout = r"/gray_micro[^/]*/[^/]+/[^/]+/[^/]+$"
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "subject": ("sub_ID", "Subject"),
        "name": ("fold_name", "folder_name", "Filename"),
        "onset": ("Onset",),
        "apex": ("Apex",),
        "offset": ("Offset",),
        "aus": ("AUs", "AU"),
        "emotion": ("Emotion",),
        "blink": ("eye blink",),
    }
    label_fields = ("emotion", "aus", "blink")

    def add_labels(self, entry: Entry) -> None:
        """Fill the labels; several emotions are said."""
        super().add_labels(entry)
        if "+" in entry.labels.get("emotion", ""):
            entry.issues.append(f"several emotions: {entry.labels['emotion']}")
