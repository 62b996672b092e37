"""One long video in; what was expressed in it out: what `spot` and `predict` share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mecli import spotting
from mecli.motion import LIDS, measure
from mecli.spotter import load_spotter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    people: int
    """How many people there are in it, one after the other or at once."""
    centre: NDArray[np.float32]
    """(T, 2) pixels: the middle of the face when it was looked for last, NaN if not there."""
    outline: NDArray[np.float32]
    """(T, 4, 2) pixels: the corners of the upright face, NaN where it was not seen."""
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

    `face` is whose: people count in the order in which they come, the larger face first, and
    are followed. `threshold` is the least `Interval.score`. `progress` is told how many frames are
    done. Raises `InputError` for a video that cannot be decoded, has fewer than two frames
    or never shows that face.
    """
    motion = measure(clip, fps, landmarker, face, progress)
    curves = spotting.in_noise(motion.displacement, motion.head, fps / motion.step, motion.seen)
    likelihood = load_spotter().likelihood(spotting.bent(curves))
    moments = spotting.intervals(likelihood, curves, LIDS, threshold)
    far = spotting.strength(curves, LIDS)
    at = np.arange(len(motion.seen)) * motion.step / fps * spotting.MOMENTS_PER_S
    curve = np.interp(at, np.arange(len(far)), far).astype(np.float32)

    def frame(moment: int) -> int:
        return min(round(moment * fps / spotting.MOMENTS_PER_S), motion.frame_count - 1)

    intervals = tuple(
        replace(i, onset=frame(i.onset), apex=frame(i.apex), offset=frame(i.offset))
        for i in moments
    )
    quality = {
        "face_px": motion.face_px,
        "faces": float(motion.faces),
        "lost": 1 - float(motion.seen.mean()),
        "missing": float(motion.missing),
    }
    return Search(
        intervals=intervals,
        curve=curve,
        seen=motion.seen,
        step=motion.step,
        frame_count=motion.frame_count,
        fps=fps,
        people=motion.people,
        centre=motion.centre,
        outline=motion.outline,
        quality=quality,
    )
