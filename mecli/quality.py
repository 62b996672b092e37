"""How far a clip's pixels and time stamps can be trusted: pure array functions."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

_BLOCK = 8
_STRIDE = 6


def blockiness(gray: NDArray[np.uint8], corner: ArrayLike = (0, 0)) -> float:
    """Return how much larger steps between neighbours are at block borders than inside, ≥ 0.

    `gray` (H, W) uint8 was cut out of a frame at x, y = `corner`; blocks are 8×8 px of the
    frame, as in JPEG and H.264. 1 is no block to be seen; it is 1 too for a picture that
    has no borders or is flat. After Wang, Sheikh, Bovik, ICIP 2002, 10.1109/ICIP.2002.1038064.
    """
    x, y = (int(v) for v in np.asarray(corner))
    values = gray.astype(np.float32)
    across = np.abs(np.diff(values, axis=1)).mean(axis=0)
    down = np.abs(np.diff(values, axis=0)).mean(axis=1)
    borders, insides = 0.0, 0.0
    for steps, start in ((across, x), (down, y)):
        border = (np.arange(len(steps)) + start) % _BLOCK == _BLOCK - 1
        if border.all() or not border.any():
            return 1.0
        borders += float(steps[border].mean())
        insides += float(steps[~border].mean())
    return borders / insides if insides > 0 else 1.0


def missing_frames(times_s: Sequence[float | None], step: int = 1) -> int:
    """Return how many frames are missing by the gaps between time stamps in seconds.

    The stamps are those of every `step`-th frame. A gap counts against the median distance;
    None (image files) has no gaps.
    """
    stamps = np.array([t for t in times_s if t is not None])
    if len(stamps) < 3 or len(stamps) < len(times_s):
        return 0
    gaps = np.diff(stamps)
    usual = float(np.median(gaps)) / step
    return int(np.maximum(np.rint(gaps / usual) - step, 0).sum()) if usual > 0 else 0


def repeated_frames(frames: Sequence[NDArray[np.uint8]]) -> int:
    """Return how many of `frames` (H, W, 3) show exactly what the one before them shows."""
    thin = [frame[::_STRIDE, ::_STRIDE, 1] for frame in frames]
    return sum(np.array_equal(before, after) for before, after in pairwise(thin))
