"""One long video in; what was expressed in it out: what `spot` and `predict` share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mecli import spotting
from mecli.motion import LIDS, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from mecli.clips import Clip
    from mecli.interfaces import Landmarker
    from mecli.spotting import Interval

    Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Search:
    """What was expressed in one video; positions are 0-based inclusive frames of the video."""

    intervals: tuple[Interval, ...]
    curve: NDArray[np.float32]
    """(T,) how much the face moves in every `step`-th frame, in multiples of its noise."""
    seen: NDArray[np.bool_]
    """(T,) whether a face was there to be measured."""
    step: int
    frame_count: int
    fps: float
    quality: Mapping[str, float]
    """Reasons to doubt it, as `mecli.doubts.doubts` takes them."""


def search(
    clip: Clip,
    fps: float,
    landmarker: Landmarker,
    *,
    face: int = 0,
    threshold: float = spotting.THRESHOLD,
    progress: Progress | None = None,
) -> Search:
    """Search all of `clip`, whatever interval it names, in bounded memory; decoded once.

    `face` is which one, the largest first, where the video begins; it is followed from
    there. `threshold` is the least `Interval.score`. `progress` is told how many frames are
    done. Raises `InputError` for a video that cannot be decoded, has fewer than two frames
    or never shows that face.
    """
    motion = measure(clip, fps, landmarker, face, progress)
    last, step = motion.frame_count - 1, motion.step
    rate = fps / step
    intervals = tuple(
        replace(
            found,
            onset=found.onset * step,
            apex=found.apex * step,
            # The frames left out until the next one looked at belong to the interval.
            offset=min(found.offset * step + step - 1, last),
        )
        for found in spotting.spot(motion.displacement, rate, LIDS, threshold)
    )
    curve = spotting.curve_of(motion.displacement, rate, LIDS)
    quality = {
        "face_px": motion.face_px,
        "faces": float(motion.faces),
        "lost": 1 - float(motion.seen.mean()),
    }
    return Search(intervals, curve, motion.seen, step, motion.frame_count, fps, quality)
