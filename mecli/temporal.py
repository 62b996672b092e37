"""Clips of any length as a fixed number of steps: uniform sampling and TIM; where they peak."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_LEAST_PROMINENCE = 0.05
"""Of a summit, as a share of all that the curve does."""


def positions(count: int, steps: int) -> NDArray[np.float32]:
    """Return (steps,) frame positions, evenly spaced from 0 to `count` − 1.

    Both `uniform` and `tim` read the clip there. Raises `InputError` below one frame
    or one step.
    """
    if count < 1 or steps < 1:
        raise InputError(f"got {count} frames and {steps} steps, expected at least 1 of each")
    return np.linspace(0.0, count - 1.0, steps, dtype=np.float32)


@lru_cache(maxsize=64)
def uniform_matrix(count: int, steps: int) -> NDArray[np.float32]:
    """Return (steps, count) float32 weights that interpolate linearly at `positions`."""
    wanted = _exact_positions(count, steps)
    weights = np.maximum(0.0, 1.0 - np.abs(wanted[:, None] - np.arange(count)))
    return _frozen(weights)


@lru_cache(maxsize=64)
def tim_matrix(count: int, steps: int) -> NDArray[np.float32]:
    """Return (steps, count) float32 weights of the temporal interpolation model.

    TIM embeds a clip as a curve of sin(πkt + π(n − k)/2n), k = 1 … n − 1, and maps the
    curve back to images by least squares. For linearly independent frames that map is
    exact at the frames and, the sines being a cosine basis there, the whole model is
    1/n + 2/n Σₖ cos(πk(p + ½)/n) cos(πk(i + ½)/n) for position p and frame i: no SVD.
    Frames that depend on one another are where the published algorithm drops
    components; this form keeps all.

    Source: Zhou, Zhao, Pietikäinen, CVPR 2011, 10.1109/CVPR.2011.5995345.
    """
    wanted = _exact_positions(count, steps)
    order = np.arange(1, count)
    at_steps = np.cos(np.pi * np.outer(wanted + 0.5, order) / count)
    at_frames = np.cos(np.pi * np.outer(np.arange(count) + 0.5, order) / count)
    return _frozen((1.0 + 2.0 * at_steps @ at_frames.T) / count)


def uniform(frames: NDArray[Any], steps: int) -> NDArray[Any]:
    """Return (steps, …) of `frames` (N, …) by linear interpolation at `positions`."""
    return _apply(uniform_matrix, frames, steps)


def tim(frames: NDArray[Any], steps: int) -> NDArray[Any]:
    """Return (steps, …) of `frames` (N, …) by the temporal interpolation model.

    uint8 in gives uint8 out (rounded, clipped), anything else float32. See `tim_matrix`.
    """
    return _apply(tim_matrix, frames, steps)


def _exact_positions(count: int, steps: int) -> NDArray[np.float64]:
    """`positions` before rounding to float32, which would blur weights at whole frames."""
    positions(count, steps)
    return np.linspace(0.0, count - 1.0, steps)


def _frozen(weights: NDArray[np.float64]) -> NDArray[np.float32]:
    matrix = weights.astype(np.float32)
    matrix.flags.writeable = False
    return matrix


def _apply(
    matrix: Callable[[int, int], NDArray[np.float32]], frames: NDArray[Any], steps: int
) -> NDArray[Any]:
    if frames.ndim < 1:
        raise InputError("got a single number, expected frames (N, …)")
    weights = matrix(len(frames), steps)
    flat = frames.reshape(len(frames), -1).astype(np.float32, copy=False)
    mixed = (weights @ flat).reshape(steps, *frames.shape[1:])
    if frames.dtype == np.uint8:
        return np.asarray(np.clip(np.rint(mixed), 0, 255), dtype=np.uint8)
    return np.asarray(mixed)


def summit(curve: NDArray[np.float32]) -> int:
    """Return the index where the smoothed `curve` (F,) stands out most, never the first.

    A peak counts by its prominence, so that slow drift towards the end of a clip does not
    win over a short movement; without a peak (a face that stays moved) it is the maximum.
    """
    width = max(1, len(curve) // 30)
    kernel = np.ones(2 * width + 1) / (2 * width + 1)
    smooth = np.convolve(np.pad(curve, width, mode="edge"), kernel, mode="valid")
    summits, prominences = peaks(smooth)
    if len(summits) and prominences.max() >= _LEAST_PROMINENCE * float(np.ptp(smooth)) + 1e-6:
        return int(summits[prominences.argmax()])
    return 1 + int(np.argmax(smooth[1:]))


def peaks(values: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return where `values` (T,) have a summit, (P,), and how far each stands out, (P,) float64.

    A summit is higher than what is beside it, the middle one of equals counts, the ends do
    not. Its prominence is its height over the higher of the two lowest points on the ways
    to something higher. The same as scipy.signal.find_peaks, whose import takes longer than
    judging a clip.
    """
    heights = np.asarray(values, dtype=np.float64)
    change = np.flatnonzero(np.diff(heights))
    rises = np.sign(np.diff(heights)[change])
    tops = np.flatnonzero((rises[:-1] > 0) & (rises[1:] < 0))
    found = (change[tops] + 1 + change[tops + 1]) // 2
    return found, np.array([_prominence(heights, k) for k in found], dtype=np.float64)


def _prominence(heights: NDArray[np.float64], place: int) -> float:
    higher = np.flatnonzero(heights > heights[place])
    left, right = higher[higher < place], higher[higher > place]
    before = heights[(left[-1] if len(left) else 0) : place + 1].min()
    after = heights[place : right[0] + 1 if len(right) else None].min()
    return float(heights[place] - max(before, after))
