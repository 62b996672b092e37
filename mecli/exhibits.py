"""Answers drawn: the film of a clip, and its part of a report."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from mecli import files
from mecli.errors import InputError
from mecli.filming import write_video
from mecli.report.answers import MOMENTS, NOTHING
from mecli.report.overlay import film, shown_fps
from mecli.report.page import anchor, fragment, watched
from mecli.report.spot_film import spot_film
from mecli.report.timeline import Track
from mecli.video import read_frames, read_spans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from mecli.clips import Clip
    from mecli.judging import Judged
    from mecli.records import ClipRecord
    from mecli.report.spots import Spotted
    from mecli.searching import Search

_TAIL_S = 0.2
_TOLD_EVERY = 50


def write_film(
    path: Path,
    clip: Clip,
    judged: Sequence[Judged],
    progress: Callable[[float], None] | None = None,
) -> None:
    """Write the film of `clip` with all that is said of it; `InputError` if it has no frames.

    A long video is shown as a whole; else it ends a little after the last offset where the
    clip goes on for longer. `progress` is told which share is drawn.
    """
    if clip.holds_flow:
        raise InputError(f"{clip.location}: clip {clip.clip_id}: holds flow, no frames to draw on")
    told = [(j.answer, j.record) for j in judged if not j.answer.error]
    pairs = [(answer, record) for answer, record in told if record is not None]
    seen = {a.face: a.watched for a, _ in told if a.watched is not None}
    fps = told[0][0].fps
    ends = [record.offset or 0 for _, record in pairs]
    end = max([*ends, *(one.frames - 1 for one in seen.values())])
    last = end + round(_TAIL_S * (fps or 0))

    drawn = film(_frames(clip, last, progress), pairs, end, list(seen.values()))
    write_video(path, drawn, shown_fps(fps, end + 1), crf=20)


def write_spot_film(
    path: Path,
    clip: Clip,
    video: Spotted,
    found: Search,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Write the film of a long video and the intervals `found` in it; `progress` as above."""
    frames = _frames(clip, video.frames - 1, progress)
    drawn = spot_film(frames, video, Track(0, found.step, found.curve), found.outline)
    write_video(path, drawn, shown_fps(video.fps, video.frames), crf=20)


def _frames(
    clip: Clip, last: int, progress: Callable[[float], None] | None
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield position and picture of each frame up to `last`, telling which share is done."""
    for frame in read_frames(clip.pixels, 0, last):
        if progress is not None and frame.position % _TOLD_EVERY == 0:
            progress(min(frame.position / (last + 1), 1.0))
        yield frame.position, frame.image


def write_fragments(path: Path, place: int, clip: Clip, judged: Sequence[Judged]) -> None:
    """Write what a report says of clip number `place`: a long video first, then each answer."""
    faces: dict[int, list[tuple[str, Judged]]] = {}
    for number, one in enumerate(judged):
        if not one.answer.error:
            faces.setdefault(one.answer.face, []).append((anchor(place, number), one))
    parts = []
    for told in faces.values():
        name, first = told[0]
        if first.answer.watched is not None:
            own = name if first.answer.kind == NOTHING else ""
            parts.append(watched([one.answer for _, one in told], own))
        frames = _moments(clip, [one.record for _, one in told if one.record is not None])
        for name, (answer, record) in told:
            if record is not None:
                parts.append(fragment(answer, record, next(frames), name))
    files.write_text(path, "".join(parts))


def _moments(
    clip: Clip, records: Sequence[ClipRecord]
) -> Iterator[Mapping[int, NDArray[np.uint8]]]:
    """Yield the frames at the moments of each record by position; a video is decoded once."""
    positions = [
        sorted({p for m in MOMENTS if (p := getattr(record, m)) is not None}) for record in records
    ]
    if clip.holds_flow:
        yield from ({} for _ in records)
        return
    frames = read_spans(clip.pixels, [(p, p) for moments in positions for p in moments])
    for moments in positions:
        yield {frame.position: frame.image for frame in islice(frames, len(moments))}
