"""Motion magnification: aligned faces whose small movements are drawn larger; nothing learned."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from mecli import registry
from mecli.errors import InputError, UsageError
from mecli.flow import dense_flow, remove_head_motion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Floats = NDArray[np.float32]

cv2.setNumThreads(1)

NONE = "none"
LARGEST_FACTOR = 50.0
_LEVELS = 5
_MOVEMENT_PX = 0.25
_FLOW_BLUR_PX = 1.5
_ROUNDS = 8
_SMALLEST_SIDE_PX = 32
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


class Magnification(NamedTuple):
    """A registered method and how many times larger movements become."""

    method: str
    factor: float


def parse(text: str) -> Magnification | None:
    """Return what ``eulerian:5`` asks for, None for ``none``; `UsageError` for anything else."""
    if text == NONE:
        return None
    method, colon, number = text.partition(":")
    registry.check_name("magnification", method)
    try:
        factor = float(number)
    except ValueError:
        factor = math.nan
    if not (colon and 1 < factor <= LARGEST_FACTOR):
        raise UsageError(
            f"magnification is '{text}', expected none or METHOD:FACTOR such as {method}:5, "
            f"FACTOR above 1 and up to {LARGEST_FACTOR:g}"
        )
    return Magnification(method, factor)


def magnify(text: str, reference: Image, frame: Image) -> Image:
    """Return `frame` (H, W, 3) uint8 with its movement since `reference` made larger.

    `text` is read by `parse`; ``none`` returns `frame` itself.
    """
    wanted = parse(text)
    if wanted is None:
        return frame
    magnified: Image = registry.load("magnification", wanted.method)(
        reference, frame, wanted.factor
    )
    return magnified


def eulerian(reference: Image, frame: Image, factor: float) -> Image:
    """Return `frame` (H, W, 3) uint8 with its change of brightness since `reference` amplified.

    Every level of a Laplacian pyramid of the change in luma is multiplied so that
    movements become `factor` times larger: first order, true while the movement drawn
    stays below an eighth of the wavelength. The two finest levels get 1 and 3 at
    most, so what is smooth moves as asked and fine texture less: on patterns with known
    motion of 0.3 px, factor 5 gave 4.4 to 5.0 (3.3 where detail of 2 px ruled), of 1 px
    2.3 to 3.5. Independent noise of the pixels grows 2.5 times at factor 5, 2.7 times at
    10; changes of light grow as movements do. Colour differences stay those of `frame`.
    Source: Wu, Rubinstein, Shih, Guttag, Durand, Freeman, ACM Trans. Graph. 2012,
    10.1145/2185520.2185561; the temporal filter is the difference to the onset.
    """
    _check_pair(reference, frame)
    change = _luma(frame) - _luma(reference)
    extra = _amplified(change, factor)
    return _rounded(frame.astype(np.float32) + extra[..., None])


def lagrangian(reference: Image, frame: Image, factor: float) -> Image:
    """Return `frame` (H, W, 3) uint8 warped on along its measured movement since `reference`.

    Dense flow at half size, less the motion of the head, is smoothed and multiplied, so
    that only local movements grow. Brightness is moved, never multiplied: noise of the
    pixels stays as it is (or falls, by interpolation), errors of the flow grow by
    `factor`. On patterns with known motion factor 5 gave 3.5 to 4.7 for 0.3 and 1 px.
    Source: Liu, Torralba, Freeman, Durand, Adelson, ACM Trans. Graph. 2005,
    10.1145/1073204.1073223; one layer, dense flow instead of clustered trajectories.
    """
    _check_pair(reference, frame)
    flow = dense_flow(_half(reference), _half(frame))
    local = remove_head_motion(flow)
    height, width = frame.shape[:2]
    whole, more = (
        2 * cv2.resize(cv2.GaussianBlur(f, (0, 0), _FLOW_BLUR_PX), (width, height))
        for f in (flow, (factor - 1) * local)
    )
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    here = np.stack([columns, rows], axis=-1)
    # What the onset shows at p is drawn at p + whole + more: find p for every pixel.
    origin = here
    for _ in range(_ROUNDS):
        origin = here - _sampled(whole + more, origin)
    return np.asarray(_sampled(frame, origin + _sampled(whole, origin)), dtype=np.uint8)


def _amplified(change: Floats, factor: float) -> Floats:
    """Return what has to be added for `change` (H, W) to become `factor` times as large."""
    level, total = change, []
    for number in range(_LEVELS):
        smaller = cv2.pyrDown(level)
        fine = level - cv2.pyrUp(smaller, dstsize=level.shape[::-1])
        total.append((_gain(number, factor), fine))
        level = np.asarray(smaller, dtype=np.float32)
    extra: Any = (factor - 1) * level
    for gain, fine in reversed(total):
        extra = cv2.pyrUp(extra, dstsize=fine.shape[::-1]) + gain * fine
    return np.asarray(extra, dtype=np.float32)


def _gain(level: int, factor: float) -> float:
    """Return α of a level: smaller where a movement δ would break (1 + α)·δ < λ/8."""
    wavelength_px = 4.0 * (1 << level)
    return min(factor - 1, wavelength_px / (8 * _MOVEMENT_PX) - 1)


def _luma(image: Image) -> Floats:
    return image.astype(np.float32) @ _LUMA


def _half(image: Image) -> Image:
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    height, width = gray.shape
    small = cv2.resize(gray, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def _sampled(values: NDArray[Any], places: Floats) -> NDArray[Any]:
    """Return `values` (H, W, C) at the pixel coordinates `places` (H, W, 2)."""
    return np.asarray(
        cv2.remap(values, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    )


def _rounded(values: Floats) -> Image:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _check_pair(reference: Image, frame: Image) -> None:
    right = all(i.ndim == 3 and i.shape[2] == 3 and i.dtype == np.uint8 for i in (reference, frame))
    if not right or reference.shape != frame.shape or min(frame.shape[:2]) < _SMALLEST_SIDE_PX:
        raise InputError(
            f"magnification from {reference.dtype} {reference.shape} to {frame.dtype} "
            f"{frame.shape}: expected two uint8 images (H, W, 3) of one size, "
            f"{_SMALLEST_SIDE_PX} px or more a side"
        )
