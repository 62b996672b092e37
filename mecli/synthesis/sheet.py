"""The annotation sheet of rendered clips, in the columns of CASME II."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mecli.synthesis.studio import Shot

SHEETS = {"flat": "annotation.csv", "casme2": "CASME2-coding-20140508.csv"}
"""What the sheet is called in each layout of a corpus."""

_COLUMNS = (
    "Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units",
    "Estimated Emotion", "Class", "FPS", "Frames", "PeakMM", "Distractor",
)  # fmt: skip


def sheet(shots: Sequence[Shot]) -> str:
    """Return the annotation of `shots` as CSV, a row per expression, frames counted from 1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for shot in shots:
        told = [[f"{t + 1}" for t in (e.onset, e.apex, e.offset)] for e in shot.rows]
        cells = [
            [*times, e.action_units, e.emotion, e.klass, f"{e.peak_mm:.2f}"]
            for times, e in zip(told, shot.rows, strict=True)
        ] or [["", "", "", "", "none", "none", "0.00"]]
        size = (f"{shot.fps:g}", shot.frames)
        for *what, peak in cells:
            writer.writerow(
                (f"{shot.subject:02d}", shot.shown, *what, *size, peak, shot.distractor)
            )
    return text.getvalue()
