"""Cut a face out of a frame and map points of the crop back; pixel centres are whole numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def cut(
    frame: NDArray[np.uint8], transform: NDArray[np.float64], size_px: int
) -> NDArray[np.uint8]:
    """(size, size, 3) crop of an RGB frame by its (2, 3) transform frame px → crop px.

    What shrinks by two or more is first shrunk by area, so that it does not alias.
    """
    shrink = int(1 / max(float(np.hypot(*transform[:, 0])), 1e-6))
    shrink = min(shrink, *frame.shape[:2])
    if shrink > 1:
        height, width = (side // shrink for side in frame.shape[:2])
        frame = frame[: height * shrink, : width * shrink]
        frame = np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA))
        # pixel centres: x = shrink · x' + (shrink − 1) / 2
        offset = transform[:, :2] @ np.full(2, (shrink - 1) / 2) + transform[:, 2]
        transform = np.column_stack([transform[:, :2] * shrink, offset])
    crop = cv2.warpAffine(frame, transform, (size_px, size_px), flags=cv2.INTER_LINEAR)
    return np.asarray(crop, np.uint8)


def uncut(points: NDArray[np.floating], transform: NDArray[np.float64]) -> NDArray[np.float32]:
    """(L, 2) crop px back to frame px."""
    back = np.linalg.inv(transform[:, :2])
    return np.asarray((points - transform[:, 2]) @ back.T, np.float32)
