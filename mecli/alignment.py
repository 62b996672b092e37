"""The upright 240×280 face, and transforms between it and frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mecli.errors import InputError
from mecli.rois import FACE_SIZE

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Transform = NDArray[np.float32]

cv2.setNumThreads(1)

_BROW_MARGIN = 0.1
LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)


def face_transform(landmarks: ArrayLike) -> Transform:
    """Return the similarity (2, 3) float32 from source pixels to the 240×280 face.

    The box of the paper, brow end to brow end (points 17, 26) and brow line to chin (18
    or 25, 8), is made upright by the line between the eyes and letterboxed. Unlike the
    paper, a tenth of its height stays free above the brows: raised they would leave the
    face, and with it the published ROI boxes hold what they are named after.
    Raises `InputError` if the landmarks span no face.
    Source: Aouayeb et al., MLSP 2019, HAL hal-02334439.
    """
    points = checked_landmarks(landmarks)
    across = points[RIGHT_EYE].mean(axis=0) - points[LEFT_EYE].mean(axis=0)
    length = float(np.hypot(*across))
    if length < 1.0:
        raise InputError("landmarks span no face: the eyes lie on one another")
    cosine, sine = across / length
    turn = np.array([[cosine, sine], [-sine, cosine]])
    upright = points @ turn.T
    left, right = upright[17, 0], upright[26, 0]
    top, bottom = min(upright[18, 1], upright[25, 1]), upright[8, 1]
    top -= _BROW_MARGIN * (bottom - top)
    if right - left < 1.0 or bottom - top < 1.0:
        raise InputError("landmarks span no face: brows and chin are not where they belong")
    height, width = FACE_SIZE
    scale = min(width / (right - left), height / (bottom - top))
    centre = np.array([left + right, top + bottom]) / 2
    # Pixel centres are whole numbers: the middle of 240 pixels lies at 119.5.
    shift = np.array([width - 1, height - 1]) / 2 - scale * centre
    return np.hstack([scale * turn, shift[:, None]]).astype(np.float32)


def from_landmarks(landmarks: ArrayLike, onset_landmarks: ArrayLike) -> Transform:
    """Return the least squares similarity (2, 3) float32 of one (68, 2) onto another.

    Only brows, eyes and nose are used: mouth and jaw move on their own.
    Source: Umeyama, IEEE TPAMI 1991, 10.1109/34.88573.
    """
    moved, still = checked_landmarks(landmarks)[17:48], checked_landmarks(onset_landmarks)[17:48]
    return similarity(moved, still)


def compose(outer: Transform, inner: Transform) -> Transform:
    """Return the (2, 3) transform that does `inner` first and `outer` after it."""
    return (_square(outer) @ _square(inner))[:2].astype(np.float32)


def invert(transform: Transform) -> Transform:
    """Return the (2, 3) transform that undoes `transform`; `InputError` if it cannot be undone."""
    try:
        return np.linalg.inv(_square(transform))[:2].astype(np.float32)
    except np.linalg.LinAlgError as error:
        raise InputError("transform squeezes the plane flat and cannot be undone") from error


def gray(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the brightness (H, W) of `image` (H, W, 3) uint8 RGB."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def warp(
    image: NDArray[np.uint8], transform: Transform, size: tuple[int, int] = FACE_SIZE
) -> NDArray[np.uint8]:
    """Return `image` (H, W) or (H, W, 3) uint8 moved by `transform` into `size` (rows, columns).

    Pixels outside repeat the border. An image that shrinks to less than two thirds is
    blurred first, so that fine detail does not turn into false motion.
    """
    height, width = size
    scale = float(np.sqrt(abs(np.linalg.det(transform[:, :2].astype(np.float64)))))
    if scale < 2 / 3:
        image = _blurred(image, transform, size, 0.5 * float(np.sqrt(1 / scale**2 - 1)))
    return np.asarray(
        cv2.warpAffine(
            image,
            transform,
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        dtype=np.uint8,
    )


def _blurred(
    image: NDArray[np.uint8], transform: Transform, size: tuple[int, int], sigma: float
) -> NDArray[np.uint8]:
    """Return `image` blurred where `warp` looks at it; anything is elsewhere."""
    (rows, columns), most = size, np.array(image.shape[1::-1])
    corners = np.array([[0, 0], [columns, 0], [0, rows], [columns, rows]])
    seen = apply(invert(transform), corners)
    # Two pixels more for reading between them; the kernel reaches three sigma.
    low = np.clip(np.floor(seen.min(axis=0)).astype(int) - 2, 0, most - 1)
    high = np.clip(np.ceil(seen.max(axis=0)).astype(int) + 3, low + 1, most)
    reach = int(np.ceil(3 * sigma)) + 2
    x0, y0 = np.maximum(low - reach, 0)
    x1, y1 = np.minimum(high + reach, most)
    part = cv2.GaussianBlur(image[y0:y1, x0:x1], (0, 0), sigma)
    blurred = np.empty_like(image)
    inside = part[low[1] - y0 : high[1] - y0, low[0] - x0 : high[0] - x0]
    blurred[low[1] : high[1], low[0] : high[0]] = inside
    return blurred


def similarity(moved: NDArray[Any], still: NDArray[Any]) -> Transform:
    """Return the least squares similarity (2, 3) from `moved` to `still` (N, 2)."""
    a, b = moved - moved.mean(axis=0), still - still.mean(axis=0)
    spread = float((a**2).sum())
    if spread < 1e-6:
        raise InputError("points of a transform lie on one another")
    cosine = float((a * b).sum()) / spread
    sine = float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / spread
    turn = np.array([[cosine, -sine], [sine, cosine]])
    shift = still.mean(axis=0) - turn @ moved.mean(axis=0)
    return np.column_stack([turn, shift]).astype(np.float32)


def apply(transform: Transform, points: NDArray[Any]) -> NDArray[np.float32]:
    """Return `points` (N, 2) after `transform`, float32."""
    return np.asarray(points @ transform[:, :2].T + transform[:, 2], dtype=np.float32)


def _square(transform: Transform) -> NDArray[np.float64]:
    return np.vstack([transform, [0, 0, 1]]).astype(np.float64)


def checked_landmarks(landmarks: ArrayLike) -> NDArray[np.float64]:
    """Return `landmarks` (68, 2) as float64; `InputError` for another shape or NaN."""
    points = np.asarray(landmarks, dtype=np.float64)
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise InputError(f"landmarks have shape {points.shape}, expected (68, 2) finite pixels")
    return points
