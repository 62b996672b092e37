"""Videos of one size and length, made from any clip."""

from __future__ import annotations

from itertools import cycle, islice
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_FRAME = (480, 640)


def film(frames: Iterator[NDArray[np.uint8]], count: int) -> Iterator[NDArray[np.uint8]]:
    """Yield `count` frames of 640×480: the clip forth and back, its border repeated around."""
    strip = list(islice(frames, count))
    turn = cycle([*strip, *strip[-2:0:-1]] if len(strip) > 2 else strip)
    for image in islice(turn, count):
        yield _fit(image)


def _fit(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = _FRAME
    image = image[:height, :width]
    up, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
    down, right = height - image.shape[0] - up, width - image.shape[1] - left
    return np.pad(image, ((up, down), (left, right), (0, 0)), mode="symmetric")
