"""The six regions of the paper in the 240×280 aligned face, and crops of them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

FACE_SIZE = (280, 240)
"""Height and width of the aligned face in pixels."""

ROI_NAMES = ("left_eye", "right_eye", "nose", "left_cheek", "right_cheek", "mouth")
"""Image left first: ``left_eye`` lies at small x."""

ROI_BOXES: NDArray[np.float32] = np.array(
    [
        [0, 20, 100, 100],
        [140, 20, 240, 100],
        [60, 80, 180, 160],
        [0, 120, 60, 180],
        [180, 120, 240, 180],
        [40, 180, 200, 240],
    ],
    dtype=np.float32,
)
"""x0, y0, x1, y1 of each ROI as published (Aouayeb et al. 2019, HAL hal-02334439)."""
ROI_BOXES.flags.writeable = False


def roi_boxes(landmarks_in_face: ArrayLike) -> NDArray[np.float32]:
    """Return the ROIs (6, 4) of one aligned face: x0, y0, x1, y1 in whole face pixels.

    `landmarks_in_face` is (68, 2) in pixels of the 240×280 face. Every box has the size
    of its `ROI_BOXES` row and is centred on its landmarks (eye with brow, nose, mouth;
    cheeks between jaw and nostril), then pushed inside the face. Raises `InputError` if
    the landmarks are not 68 finite points.
    """
    points = np.asarray(landmarks_in_face, dtype=np.float64)
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise InputError(f"landmarks have shape {points.shape}, expected (68, 2) finite pixels")
    centres = np.array(
        [
            points[[*range(17, 22), *range(36, 42)]].mean(axis=0),
            points[[*range(22, 27), *range(42, 48)]].mean(axis=0),
            points[27:36].mean(axis=0),
            0.7 * points[2:4].mean(axis=0) + 0.3 * points[31],
            0.7 * points[13:15].mean(axis=0) + 0.3 * points[35],
            points[48:60].mean(axis=0),
        ]
    )
    sizes = ROI_BOXES[:, 2:] - ROI_BOXES[:, :2]
    room = np.array(FACE_SIZE[::-1], dtype=np.float64) - sizes
    corners = np.clip(np.round(centres - sizes / 2), 0, room)
    return np.hstack([corners, corners + sizes]).astype(np.float32)


def crop_rois(
    face: NDArray[np.uint8], boxes: NDArray[np.float32], size_px: int = 48
) -> NDArray[np.uint8]:
    """Return (R, size_px, size_px, 3) uint8 crops of one aligned face (280, 240, 3) uint8.

    `boxes` (R, 4) are face pixels, rounded to whole ones. Sides that shrink are averaged
    over area. Raises `InputError` for a face of another size or a box outside it.
    """
    import cv2

    if face.shape != (*FACE_SIZE, 3) or face.dtype != np.uint8:
        raise InputError(
            f"aligned face is {face.dtype} {face.shape}, expected uint8 {(*FACE_SIZE, 3)}"
        )
    crops = np.empty((len(boxes), size_px, size_px, 3), dtype=np.uint8)
    for crop, box in zip(crops, _checked(boxes), strict=True):
        x0, y0, x1, y1 = (round(float(v)) for v in box)
        area = face[y0:y1, x0:x1]
        shrinks = min(area.shape[:2]) >= size_px
        crop[:] = cv2.resize(
            area, (size_px, size_px), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
    return crops


def crop_grid(grid: NDArray[Any], boxes: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return (…, R, size, size, C) float32 crops of maps (…, H, W, C) over the face.

    `boxes` (R, 4) are pixels of the 240×280 face whatever H and W are. Where cells
    shrink they are averaged, where they grow they are interpolated; values keep their
    unit. Raises `InputError` for a box outside the face or fewer than three axes.
    """
    if grid.ndim < 3:
        raise InputError(f"map has shape {grid.shape}, expected (…, H, W, C)")
    values = np.asarray(grid, dtype=np.float32)
    *lead, height, width, channels = values.shape
    crops = np.empty((*lead, len(boxes), size, size, channels), dtype=np.float32)
    flat, out = (
        values.reshape(-1, height, width * channels),
        crops.reshape(-1, len(boxes), size, size, channels),
    )
    for r, box in enumerate(_checked(boxes)):
        x0, y0, x1, y1 = (float(v) for v in box)
        rows = _resampling(y0 / FACE_SIZE[0], y1 / FACE_SIZE[0], height, size)
        columns = _resampling(x0 / FACE_SIZE[1], x1 / FACE_SIZE[1], width, size)
        narrow = np.matmul(rows, flat).reshape(-1, size, width, channels)
        out[:, r] = np.matmul(columns, narrow)
    return crops


def _checked(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    limits = np.array([FACE_SIZE[1], FACE_SIZE[0]])
    fits = boxes.ndim == 2 and boxes.shape[1] == 4
    inside = fits and (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= limits).all()
    if not (inside and (boxes[:, 2:] - boxes[:, :2] >= 1).all()):
        raise InputError(
            f"ROI boxes {boxes.tolist()} are not x0, y0, x1, y1 inside the "
            f"{FACE_SIZE[1]}×{FACE_SIZE[0]} face"
        )
    return boxes


@lru_cache(maxsize=256)
def _resampling(start: float, stop: float, cells: int, size: int) -> NDArray[np.float32]:
    """(size, cells) weights from `cells` over 0..1 to `size` samples over start..stop.

    Each sample is the mean of points a half cell apart or closer, read by linear
    interpolation: fine maps are averaged and coarse ones interpolated by one rule.
    """
    parts = int(np.ceil(2 * (stop - start) * cells / size))
    points = (np.arange(size * parts) + 0.5) / (size * parts)
    wanted = np.clip((start + (stop - start) * points) * cells - 0.5, 0, cells - 1)
    hats = np.maximum(0.0, 1.0 - np.abs(wanted[:, None] - np.arange(cells)))
    weights = hats.reshape(size, parts, cells).mean(axis=1)
    return np.asarray(weights, dtype=np.float32)
