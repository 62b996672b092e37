"""Where in a long video something was expressed: onset, apex and offset from motion curves.

Pure functions between the motion of a face (`mecli.motion`) and a network that says for
thirty moments a second how likely each is part of an expression (`mecli.spotter`): before
it, curves in multiples of their own noise, poses taken out; after it, intervals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CLASSES = ("none", "micro", "macro")
"""What a moment may be part of. A micro-expression lasts half a second at most: Yan et al.
2013, 10.1007/s10919-013-0159-8."""

MOMENTS_PER_S = 30.0

THRESHOLD = 0.85
"""Least `Interval.score`: the best F1 in two-fold cross-validation over 65 expressions of
rendered persons."""

_POSE_S, _COARSE, _WINDOWS = 4.0, 3, 500
_NOISE_LAG = 3
# Below this, pixels of the face or what `Motion.head` counts in, nothing is noise alone.
_LEAST_NOISE_PX = 0.04
_LEAST_HEAD_NOISE = (0.15, 0.15, 0.05, 0.05, 0.05, 0.05)
_REACH, _BENT = 12.0, 4.0
_FOOT, _FOOT_SHARE = 0.5, 0.7
_FEWEST_MOMENTS = 3
_MOVED_REGIONS = 3


@dataclass(frozen=True, slots=True)
class Interval:
    """One expression: frame positions, 0-based and inclusive, and how likely it is one."""

    onset: int
    apex: int
    offset: int
    kind: str
    """``micro`` or ``macro``."""
    score: float
    """Likelihood of its likeliest moment, 0 to 1; not calibrated on real faces."""
    region: int
    """Which region moved most, in multiples of its noise."""


def in_noise(
    displacement: NDArray[np.float32],
    head: NDArray[np.float32],
    fps: float,
    seen: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """Return (N, 2R + 6) how far regions and head are from where they rest, thirty times a second.

    `displacement` (T, R, 2) is in pixels of the 240×280 face, `head` (T, 6) as in `Motion`,
    `fps` their frames a second. Rest is the median of four seconds around; the unit is the
    noise of each region or number: the median change within a tenth of a second, which
    rare movements do not raise, and moments in which the face is not `seen` (T,) do not
    lower. Raises `InputError` for another shape, fewer than two frames or no rate.
    """
    if displacement.ndim != 3 or displacement.shape[-1] != 2 or len(displacement) < 2:
        raise InputError(f"displacement has shape {displacement.shape}, expected (T ≥ 2, R, 2)")
    if head.shape != (len(displacement), 6):
        raise InputError(f"head has shape {head.shape}, expected ({len(displacement)}, 6)")
    if not fps > 0:
        raise InputError(f"fps is {fps}, expected a positive number")
    flat = np.hstack([displacement.reshape(len(displacement), -1), head]).astype(np.float64)
    curves = resampled(flat, fps)
    regions = 2 * displacement.shape[1]
    there = np.ones(len(flat), bool) if seen is None else seen
    noise = np.maximum(
        _noise(curves, resampled(there[:, None].astype(np.float64), fps)[:, 0] == 1),
        [_LEAST_NOISE_PX] * regions + list(_LEAST_HEAD_NOISE),
    )
    # Both directions of a region share one noise.
    pairs = noise[:regions].reshape(-1, 2)
    noise[:regions] = np.repeat(np.sqrt((pairs**2).mean(axis=1)), 2)
    return ((curves - _rest(curves)) / noise).astype(np.float32)


def bent(curves: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return curves (N, C) as the network takes them: large values bent to within ±4."""
    return np.asarray(np.tanh(curves / _REACH) * _BENT, dtype=np.float32)


def strength(curves: NDArray[np.float32], lids: Sequence[int]) -> NDArray[np.float32]:
    """Return (N,) how far the three regions but `lids` are from rest that are farthest."""
    farthest = np.sort(_lengths(curves, lids), axis=1)[:, -_MOVED_REGIONS:]
    return np.asarray(farthest.mean(axis=1), dtype=np.float32)


def intervals(
    likelihood: NDArray[np.float32],
    curves: NDArray[np.float32],
    lids: Sequence[int],
    threshold: float = THRESHOLD,
) -> list[Interval]:
    """Return what `likelihood` (N, 3) of `CLASSES` makes of N moments; positions are moments.

    Moments next to one another that are likelier than not part of any expression are one
    interval, cut where they fall below seven tenths of its likeliest, which has to reach
    `threshold`. `curves` are those of `in_noise`; the apex is where they are farthest.
    """
    any_expression = likelihood[:, 1:].sum(axis=1)
    inside = np.concatenate([[False], any_expression > _FOOT, [False]])
    turns = np.flatnonzero(np.diff(inside))
    lengths = _lengths(curves, lids)
    far = strength(curves, lids)
    found = []
    for start, stop in zip(turns[::2], turns[1::2], strict=True):
        part = any_expression[start:stop]
        top = int(part.argmax())
        low = np.flatnonzero(part < _FOOT_SHARE * part[top])
        onset = start + int(low[low < top].max(initial=-1)) + 1
        offset = start + int(low[low > top].min(initial=len(part))) - 1
        if part[top] < threshold or offset - onset + 1 < _FEWEST_MOMENTS:
            continue
        span = slice(onset, offset + 1)
        apex = onset + int(far[span].argmax())
        kind = CLASSES[1 + int(likelihood[span, 1:].sum(axis=0).argmax())]
        region = int(lengths[apex].argmax())
        score = round(float(part[top]), 3)
        found.append(Interval(int(onset), int(apex), int(offset), kind, score, region))
    return found


def _lengths(curves: NDArray[np.float32], lids: Sequence[int]) -> NDArray[np.float32]:
    """Return (N, R) how far each region is from rest, 0 for `lids`."""
    regions = curves[:, :-6].reshape(len(curves), -1, 2)
    lengths = np.hypot(regions[..., 0], regions[..., 1])
    lengths[:, list(lids)] = 0
    return np.asarray(lengths)


def resampled(values: Floats, fps: float) -> Floats:
    """Return `values` (T, C) at `MOMENTS_PER_S`, averaged over what lies between."""
    between = max(1, round(fps / MOMENTS_PER_S))
    if between > 1:
        before = between // 2
        padded = np.pad(values, ((before, between - 1 - before), (0, 0)), mode="edge")
        values = sliding_window_view(padded, between, axis=0).mean(axis=-1)
    count = int((len(values) - 1) / fps * MOMENTS_PER_S) + 1
    at, known = np.arange(count) / MOMENTS_PER_S, np.arange(len(values)) / fps
    return np.stack([np.interp(at, known, column) for column in values.T], axis=1)


def _noise(curves: Floats, there: NDArray[np.bool_]) -> Floats:
    """Return (C,) the robust spread of each moment `there` about the middle of those beside it."""
    lag = _NOISE_LAG
    told = there[lag:-lag] & there[: -2 * lag] & there[2 * lag :]
    if not told.any():
        return np.zeros(curves.shape[1])
    change = (curves[lag:-lag] - (curves[: -2 * lag] + curves[2 * lag :]) / 2)[told]
    return np.asarray(1.4826 * np.median(np.abs(change), axis=0))


def _rest(curves: Floats) -> Floats:
    """Return (N, C) the median of four seconds around each moment."""
    # Poses are slow: ten medians a second, joined by lines, are as good as thirty.
    coarse = curves[::_COARSE]
    reach = int(_POSE_S * MOMENTS_PER_S / _COARSE) // 2
    padding = ((reach, reach), (0, 0))
    enough = len(coarse) > reach
    padded = np.pad(coarse, padding, "reflect") if enough else np.pad(coarse, padding, "edge")
    windows = sliding_window_view(padded, 2 * reach + 1, axis=0)
    # A median copies every window: of half an hour at once that takes a quarter of a gigabyte.
    parts = np.array_split(windows, 1 + len(windows) // _WINDOWS)
    rest = np.concatenate([np.median(part, axis=-1) for part in parts])
    every, places = np.arange(len(curves)), np.arange(0, len(curves), _COARSE)
    return np.stack([np.interp(every, places, column) for column in rest.T], axis=1)
