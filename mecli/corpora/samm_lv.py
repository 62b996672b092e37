"""SAMM Long Videos: micro- and macro-movements in 147 long recordings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from mecli.corpora.frames import natural_key
from mecli.corpora.indexed import IndexedReader
from mecli.corpora.samm import Samm
from mecli.corpora.sheets import Table, find_table, pad, plain, read_sheets

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mecli.corpora.entry import Entry
    from mecli.corpora.frames import Disk


class SammLv(IndexedReader):
    """SAMM Long Videos: fractional frames, apex -1, no emotions of its own.

    The frames are numbered otherwise than in SAMM. Where SAMM's sheet lies beside, its
    emotions are given to the micro-expressions of the same file name.
    """

    name = "samm-lv"
    title = "SAMM Long Videos"
    paper = (
        "Yap et al., SAMM Long Videos: a spontaneous facial micro- and macro-expressions dataset"
    )
    doi = "10.1109/FG47880.2020.00029"
    licence = "granted by Manchester Metropolitan University for research; no sharing"
    fps = 200.0
    sheet_name = "SAMM_LongVideos_V3_Release.xlsx"
    sheet_pattern = r"samm.*long"
    layout = r"/(\d{3})_\d+/\1_\d+_\d+\.\w+$"
    required = ("subject", "name", "onset", "offset", "type")
    label_fields = ("type", "aus")
    context_s = 1.0
    columns: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "subject": ("Subject",),
        "name": ("Filename",),
        "onset": ("Onset", "Onset Frame"),
        "apex": ("Apex", "Apex Frame"),
        "offset": ("Offset", "Offset Frame"),
        "type": ("Type", "Micro"),
        "aus": ("Action Units", "Action Unit", "AUs"),
    }

    def subject(self, text: str) -> str:
        """Return ``006`` for '006' or 6."""
        return pad(text, "", 3)

    def parts(self, entry: Entry) -> tuple[str, ...]:
        """Return the recording: ``006_1`` of ``006_1_2``."""
        return (re.sub(r"^(\d+_\d+)_.*$", r"\1", entry.cells["name"]),)

    def prepare(self, disk: Disk, root: Path, table: Table, entries: list[Entry]) -> None:
        """Add the emotions of SAMM to the micro-expressions that both corpora list."""
        for path in sorted(Samm().sheets(disk, root), key=lambda p: natural_key(p.name)):
            micro = find_table(read_sheets(path), Samm.columns, ("name", "emotion"))
            emotions = {row["name"]: row["emotion"] for row in micro.rows} if micro else {}
            for entry in entries:
                word = plain(emotions.get(entry.cells["name"], "")).casefold()
                if word and "micro" in entry.labels.get("type", "").casefold():
                    entry.labels.setdefault("emotion", word)
