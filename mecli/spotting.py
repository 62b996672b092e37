"""Where in a long video something was expressed: onset, apex and offset from motion curves.

Pure functions of the displacement of facial regions. What stays (a new pose) is taken out
by a running median, what is left is measured in multiples of each region's own noise, and
summits that stand out enough become intervals. Lids alone make a blink, a row of summits
within a second makes talking; neither is an expression.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mecli.errors import InputError
from mecli.temporal import peaks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MICRO_S = 0.5
"""A micro-expression lasts half a second at most: Yan et al. 2013, 10.1007/s10919-013-0159-8."""

THRESHOLD = 3.5
"""Least `Interval.score`, chosen on seven synthetic long videos."""

_SHORTEST_S, _LONGEST_S = 0.06, 4.0
_SMOOTHED_S = 0.06
_POSE_S = 6.0
_COARSE_S = 0.1
_MOVED_REGIONS = 3
_LEAST_NOISE_PX = 0.03
_LEAST_PX = 0.15
_FOOT_SHARE = 0.2
_LID_SHARE = 0.6
_TALK_S, _TALK_SUMMITS, _TALK_SHARE = 1.0, 3, 0.25


@dataclass(frozen=True, slots=True)
class Interval:
    """One expression: frame positions, 0-based and inclusive, and how much it stands out."""

    onset: int
    apex: int
    offset: int
    kind: str
    """``micro`` up to `MICRO_S`, else ``macro``."""
    score: float
    """Prominence of the summit in multiples of the noise of the whole video."""
    region: int
    """Which region moved most, in multiples of its noise."""


def spot(
    displacement: NDArray[np.float32], fps: float, lids: Sequence[int], threshold: float = THRESHOLD
) -> list[Interval]:
    """Return the intervals that `displacement` (T, R, 2) px shows, in their order.

    `displacement` is of the 240×280 face, `fps` its frames a second, `lids` the regions
    that blinks move; `threshold` is the least `Interval.score`. Intervals do not overlap.
    Raises `InputError` for another shape, fewer than two frames or no rate.
    """
    if displacement.ndim != 3 or displacement.shape[-1] != 2 or len(displacement) < 2:
        raise InputError(f"displacement has shape {displacement.shape}, expected (T ≥ 2, R, 2)")
    if not fps > 0:
        raise InputError(f"fps is {fps}, expected a positive number")
    moved, face, noise, curve = _measured(displacement, fps, lids)
    level = float(np.median(curve))
    spread = max(1.4826 * float(np.median(np.abs(curve - level))), 0.1)
    summits, prominences = peaks(curve)
    quiet = ~_talking(summits, prominences, fps, threshold * spread / 2)
    found = []
    for apex, prominence in zip(summits[quiet], prominences[quiet], strict=True):
        onset, offset = _feet(curve, int(apex), level)
        part = moved[onset : offset + 1]
        length_s = (offset - onset) / fps
        strong = prominence / spread >= threshold and part[:, face].max() >= _LEAST_PX
        if not strong or not _SHORTEST_S <= length_s <= _LONGEST_S:
            continue
        if _is_blink(part, face, lids):
            continue
        kind = "micro" if length_s <= MICRO_S else "macro"
        region = int(face[(moved[apex, face] / noise[face]).argmax()])
        found.append(Interval(onset, int(apex), offset, kind, float(prominence / spread), region))
    return _apart(found)


def curve_of(
    displacement: NDArray[np.float32], fps: float, lids: Sequence[int]
) -> NDArray[np.float32]:
    """Return (T,) how much the face less its lids moves, in multiples of its noise; as `spot`."""
    return _measured(displacement, fps, lids)[-1].astype(np.float32)


def _measured(
    displacement: NDArray[np.float32], fps: float, lids: Sequence[int]
) -> tuple[Floats, NDArray[np.int64], Floats, Floats]:
    """Return movement (T, R) px, the regions but lids, the noise of each (R,), the curve (T,)."""
    moved = movement(displacement, fps)
    face = np.setdiff1d(np.arange(moved.shape[1]), lids)
    noise = np.maximum(np.median(moved, axis=0), _LEAST_NOISE_PX)
    return moved, face, noise, strength(moved[:, face] / noise[face])


def movement(displacement: NDArray[np.float32], fps: float) -> Floats:
    """Return (T, R) px how far each region is from where it rests, poses and jitter taken out.

    Rest is the median of six seconds around, jitter what a mean over 0.06 s removes.
    """
    values = np.asarray(displacement, dtype=np.float64)
    smooth = _windows(values, round(_SMOOTHED_S * fps)).mean(axis=-1)
    # Poses are slow: ten medians a second, joined by lines, are as good as one a frame.
    step = max(1, round(_COARSE_S * fps))
    coarse = smooth[::step]
    rest = np.median(_windows(coarse, round(_POSE_S * fps / step)), axis=-1)
    places, every = np.arange(0, len(values), step), np.arange(len(values))
    lines = [np.interp(every, places, column) for column in rest.reshape(len(rest), -1).T]
    away = smooth - np.stack(lines, axis=-1).reshape(smooth.shape)
    return np.asarray(np.hypot(away[..., 0], away[..., 1]))


def strength(ratios: Floats) -> Floats:
    """Return (T,) the mean of the three largest of `ratios` (T, R): expressions move several."""
    count = min(_MOVED_REGIONS, ratios.shape[1])
    return np.asarray(np.sort(ratios, axis=1)[:, -count:].mean(axis=1))


def _windows(values: Floats, width: int) -> Floats:
    """Return (T, …, W) the odd `width` of frames around each, mirrored at the ends."""
    reach = max(width, 1) // 2
    pad = [(reach, reach)] + [(0, 0)] * (values.ndim - 1)
    return sliding_window_view(np.pad(values, pad, mode="symmetric"), 2 * reach + 1, axis=0)


def _talking(
    summits: NDArray[np.int64], prominences: Floats, fps: float, least: float
) -> NDArray[np.bool_]:
    """Return which summits have three or more of a quarter of their height within a second.

    Those below `least` are noise and count for nobody.
    """
    near = np.abs(summits[:, None] - summits) <= _TALK_S * fps
    alike = prominences >= np.maximum(_TALK_SHARE * prominences[:, None], least)
    np.fill_diagonal(alike, val=False)
    return np.asarray((near & alike).sum(axis=1) >= _TALK_SUMMITS)


def _feet(curve: Floats, apex: int, level: float) -> tuple[int, int]:
    """Return where the movement around `apex` begins and ends.

    From where it falls below a fifth of its height, which noise spares, each flank goes on
    as long as the rest of a raised cosine does.
    """
    low = np.flatnonzero(curve <= level + _FOOT_SHARE * (curve[apex] - level))
    before, after = low[low < apex], low[low > apex]
    rise = apex - int(before[-1]) if len(before) else apex
    fall = int(after[0]) - apex if len(after) else len(curve) - 1 - apex
    longer = np.pi / np.arccos(2 * _FOOT_SHARE - 1)
    onset, offset = apex - round(longer * rise), apex + round(longer * fall)
    return max(onset, 0), min(offset, len(curve) - 1)


def _is_blink(part: Floats, face: NDArray[np.int64], lids: Sequence[int]) -> bool:
    """Tell a short movement of both eyes alike that hardly anything else takes part in."""
    both = float(part[:, list(lids)].min(axis=1).max()) if len(lids) else 0.0
    return both >= _LID_SHARE * float(part[:, face].max())


def _apart(found: list[Interval]) -> list[Interval]:
    """Keep the strongest of intervals that overlap."""
    kept: list[Interval] = []
    for interval in sorted(found, key=lambda i: -i.score):
        if all(interval.onset > k.offset or interval.offset < k.onset for k in kept):
            kept.append(replace(interval, score=round(interval.score, 3)))
    return sorted(kept, key=lambda i: i.onset)
