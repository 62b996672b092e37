"""Flow as colours: hue is direction, brightness is size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mecli.records import ClipRecord

    Image = NDArray[np.uint8]

_LEAST_SCALE_PX = 0.2


def flow_colours(flow: NDArray[np.float32], full_px: float) -> Image:
    """Return (H, W, 3) uint8 RGB of `flow` (H, W, 2): hue is direction, brightness is size.

    Motion to the right is red, then clockwise as on the screen: down is yellow-green, left
    cyan, up violet. Motion of `full_px` and more has full brightness.
    """
    size, angle = cv2.cartToPolar(flow[..., 0], flow[..., 1], angleInDegrees=True)
    value = np.clip(size / max(full_px, 1e-9), 0, 1) * 255
    hsv = np.stack([angle / 2 % 180, np.full_like(size, 255), value], axis=-1)
    return np.asarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB), dtype=np.uint8)


def legend(size: int) -> Image:
    """Return the disc of all directions and sizes that `flow_colours` uses, on white."""
    half = (size - 1) / 2
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    offsets = np.stack([x - half, y - half], axis=-1)
    disc = flow_colours(offsets, half)
    disc[np.hypot(offsets[..., 0], offsets[..., 1]) > half] = 255
    return disc


def flow_scale(record: ClipRecord) -> float:
    """Return the motion in face pixels that is drawn at full brightness."""
    maps = [record.flow.reshape(-1, 2), record.apex_flow.reshape(-1, 2)]
    size = np.linalg.norm(np.concatenate(maps), axis=-1)
    return max(float(np.quantile(size, 0.995)) if size.size else 0.0, _LEAST_SCALE_PX)


def resize(flow: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return `flow` (H, W, 2) interpolated to `size`; its unit stays."""
    resized = cv2.resize(flow, size[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.float32)
