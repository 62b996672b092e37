"""Long recordings: which intervals of a corpus lie in the same video, and what it is called."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mecli.clips import Clip


@dataclass(frozen=True, slots=True)
class Recording:
    """One video from end to end, and the intervals that its corpus annotates in it."""

    clip: Clip
    """All of it, named after its file or folder; it has no moments of its own."""
    intervals: tuple[Clip, ...]


def recordings(clips: Iterable[Clip]) -> list[Recording]:
    """Return one recording for all `clips` of the same frames, in the order of their first.

    `clips` are read whole: every one has all frames of its recording. Those whose frames
    are not on disk are recordings of their own.
    """
    groups: dict[Path | str, list[Clip]] = {}
    for clip in clips:
        groups.setdefault(_place(clip), []).append(clip)
    names: dict[str, Path | str] = {}
    found = []
    for place, members in groups.items():
        whole = replace(
            members[0],
            name=_name(members[0], place, names),
            onset=None,
            apex=None,
            offset=None,
            labels={},
        )
        found.append(Recording(whole, tuple(members)))
    return found


def _place(clip: Clip) -> Path | str:
    """Return the video file or the folder of the images."""
    if isinstance(clip.frames, tuple):
        return clip.frames[0].parent if clip.frames else clip.clip_id
    return clip.frames


def _name(clip: Clip, place: Path | str, names: dict[str, Path | str]) -> str:
    """Return what the video is called, with as many folders before it as tell it from others."""
    parts = [clip.name]
    if isinstance(place, Path):
        last = place.stem if place is clip.frames else place.name
        parts = [*(p.name for p in reversed(place.absolute().parents) if p.name), last]
    for count in range(1, len(parts) + 1):
        name = "-".join(part.strip() for part in parts[-count:])
        if names.setdefault(f"{clip.corpus}/{clip.subject}/{name}", place) == place:
            break
    return name
