"""Answers drawn: the film of a clip, and its part of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mecli import files
from mecli.errors import InputError
from mecli.report.answers import MOMENTS
from mecli.report.overlay import film, shown_fps
from mecli.report.page import anchor, fragment
from mecli.video import frames_at, read_frames, write_video

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from mecli.clips import Clip
    from mecli.judging import Judged

_TAIL_S = 0.2


def write_film(path: Path, clip: Clip, judged: Sequence[Judged]) -> None:
    """Write the film of `clip` with all that is said of it; `InputError` if it has no frames.

    It ends a little after the last offset where the clip goes on for longer.
    """
    if clip.holds_flow:
        raise InputError(f"{clip.location}: clip {clip.clip_id}: holds flow, no frames to draw on")
    pairs = [(j.answer, j.record) for j in judged if j.record is not None]
    end = max((record.offset or 0) for _, record in pairs)
    fps = pairs[0][0].fps
    last = end + round(_TAIL_S * (fps or 0))
    frames = ((f.position, f.image) for f in read_frames(clip.pixels, 0, last))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, film(frames, pairs, end), shown_fps(fps, end + 1), crf=20)


def write_fragments(path: Path, place: int, clip: Clip, judged: Sequence[Judged]) -> None:
    """Write what a report says of clip number `place`."""
    parts = []
    for number, (answer, record) in enumerate(judged):
        if record is None:
            continue
        frames: dict[int, NDArray[np.uint8]] = {}
        if not clip.holds_flow:
            moments = {getattr(record, moment) for moment in MOMENTS}
            frames = frames_at(clip.pixels, {m for m in moments if m is not None})
        parts.append(fragment(answer, record, frames, anchor(place, number)))
    files.write_text(path, "".join(parts))
