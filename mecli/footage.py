"""The frames of one clip from onset to offset, cut down to the surroundings of the face."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mecli.errors import InputError
from mecli.video import probe, read_frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from mecli.clips import Clip
    from mecli.interfaces import Face, Landmarker
    from mecli.pictures import Frame

_MARGIN = 0.4
_MAX_PIXEL_BYTES = 1 << 30


@dataclass(slots=True)
class Stopwatch:
    """CPU seconds spent per stage of one clip."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside to stage `name`."""
        start = time.process_time()
        try:
            yield
        finally:
            spent = time.process_time() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + spent


@dataclass(slots=True)
class Footage:
    """The frames from onset to offset, cut down to the surroundings of the face."""

    face: Face
    """Of the first frame, in its pixels."""
    corner: NDArray[np.float32]
    """(2,) x, y of the crops in the frames."""
    crops: list[NDArray[np.uint8]]
    """(h, w, 3) RGB, all of one size."""
    times_s: list[float | None]
    first: int
    """Frame position in the clip of the first crop."""
    faces: int = 1
    """How many faces the first frame shows."""

    @property
    def landmarks(self) -> NDArray[np.float32]:
        """(68, 2) of the onset frame in pixels of the crops."""
        return self.face.landmarks - self.corner


@dataclass(frozen=True, slots=True)
class Interval:
    """Frame positions in the clip, 0-based and inclusive; None is the first or last frame."""

    onset: int | None
    apex: int | None
    offset: int | None


def checked_interval(clip: Clip, issues: list[str]) -> Interval:
    """Return what of the annotation can be used; oddities go to `issues`."""
    onset, apex, offset = clip.onset, clip.apex, clip.offset
    start = onset or 0
    if offset is not None and offset <= start:
        raise InputError(
            f"clip {clip.clip_id}: offset {offset} is not after onset {start}; "
            "a clip needs two frames or more"
        )
    if apex is not None and (apex < start or (offset is not None and apex > offset)):
        issues.append(f"apex {apex} lies outside onset {start} to offset {offset}: estimated")
        apex = None
    elif apex == start:
        issues.append("apex equals onset: estimated")
        apex = None
    return Interval(onset, apex, offset)


def check_end(clip: Clip, interval: Interval, last: int, issues: list[str]) -> None:
    """Hold the annotation against the `last` frame there is; `InputError` if the apex is absent."""
    if interval.offset is not None and last < interval.offset:
        issues.append(f"offset {interval.offset} lies behind the last frame {last}: cut there")
    if interval.apex is not None and last < interval.apex:
        raise InputError(
            f"{clip.location}: clip {clip.clip_id}: annotation names apex frame {interval.apex}, "
            f"but the last frame is {last}; check the sheet against the frames"
        )


def read_footage(
    clip: Clip,
    interval: Interval,
    landmarker: Landmarker,
    watch: Stopwatch,
    face: int | NDArray[np.float32] = 0,
    frames: Iterator[Frame] | None = None,
) -> Footage:
    """Decode onset to offset once, keeping the surroundings of face number `face`, largest first.

    Where somebody follows it, `face` is where its middle (2,) is expected, pixels. `frames`
    are those from onset to offset where somebody reads the clip already. Raises `InputError`
    if the onset frame shows no such face, if the clip ends before its second frame, or if it
    is too long to be held.
    """
    start = interval.onset or 0
    frames = _timed(frames or read_frames(clip.pixels, start, interval.offset), watch)
    first = next(frames, None)
    if first is None:
        raise InputError(
            f"{clip.location}: clip {clip.clip_id}: annotation names onset frame {start}, "
            "but the clip ends before it; check the sheet against the frames"
        )
    with watch.stage("landmarks"):
        faces = landmarker.find(first.image[None], clip, [first.position])[0]
    if not faces:
        raise InputError(
            f"{clip.location}: clip {clip.clip_id}: no face found in onset frame {start}"
        )
    if isinstance(face, np.ndarray):
        chosen = min(faces, key=lambda one: float(np.hypot(*(one.landmarks.mean(axis=0) - face))))
    elif face < len(faces):
        chosen = faces[face]
    else:
        raise InputError(
            f"{clip.location}: clip {clip.clip_id}: face {face + 1} asked for, but onset frame "
            f"{start} shows {len(faces)}"
        )
    x0, y0, x1, y1 = _surroundings(chosen, first.image.shape[:2])
    corner = np.array([x0, y0], dtype=np.float32)
    footage = Footage(chosen, corner, [], [], first.position, len(faces))
    room = _MAX_PIXEL_BYTES // ((x1 - x0) * (y1 - y0) * 3)
    for frame in _chain(first, frames):
        if len(footage.crops) >= room:
            raise InputError(
                f"{clip.location}: clip {clip.clip_id}: more than {room} frames from onset to "
                "offset; a micro-expression lasts half a second, so name its onset and offset"
            )
        footage.crops.append(np.ascontiguousarray(frame.image[y0:y1, x0:x1]))
        footage.times_s.append(frame.time_s)
    if len(footage.crops) < 2:
        raise InputError(
            f"{clip.location}: clip {clip.clip_id}: one frame only; expected two or more "
            "from onset to offset"
        )
    return footage


def _timed(frames: Iterator[Frame], watch: Stopwatch) -> Iterator[Frame]:
    while True:
        with watch.stage("decode"):
            frame = next(frames, None)
        if frame is None:
            return
        yield frame


def _chain(first: Frame, rest: Iterator[Frame]) -> Iterator[Frame]:
    yield first
    yield from rest


def _surroundings(face: Face, shape: Sequence[int]) -> tuple[int, int, int, int]:
    """Return x0, y0, x1, y1 of the face and what it may drift into, inside the frame."""
    low, high = face.landmarks.min(axis=0), face.landmarks.max(axis=0)
    margin = _MARGIN * float((high - low).max())
    x0, y0 = np.maximum(np.floor(low - margin), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(high + margin), [shape[1], shape[0]]).astype(int)
    return int(x0), int(y0), int(x1), int(y1)


def measured_fps(clip: Clip, footage: Footage) -> float | None:
    """Return the rate by the frames' own time stamps, None for image files."""
    times = [t for t in footage.times_s if t is not None]
    if len(times) == len(footage.times_s) and times[-1] > times[0]:
        return (len(times) - 1) / (times[-1] - times[0])
    return probe(clip.pixels).fps
