"""The sheet that skin is painted on: a grid over the head chart, noise, strokes and masks."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[Any]

PX_PER_MM = 2.5
LEFT, TOP = -150.0, 915.0
WIDTH, HEIGHT = 750, 900
SIZE = (HEIGHT, WIDTH)


def to_pixels(chart: Floats) -> Floats:
    """Return chart coordinates (..., 2) in mm as (column, row) of the sheet."""
    return np.stack(
        [(chart[..., 0] - LEFT) * PX_PER_MM, (TOP - chart[..., 1]) * PX_PER_MM], -1
    ).astype(np.float32)


@lru_cache(maxsize=1)
def grid() -> tuple[Floats, Floats]:
    """Return u (1, W) and v (H, 1) of the sheet's pixels in mm."""
    u = LEFT + np.arange(WIDTH, dtype=np.float32) / PX_PER_MM
    v = TOP - np.arange(HEIGHT, dtype=np.float32) / PX_PER_MM
    return u[None, :], v[:, None]


def noise(rng: Generator, scale_mm: float, stretch: float = 1.0) -> Floats:
    """Return smooth noise (H, W) of unit variance whose blobs are about `scale_mm` wide.

    `stretch` > 1 makes them that much longer upwards than sideways.
    """
    cell = max(scale_mm * PX_PER_MM, 1.0)
    rows = max(int(HEIGHT / (cell * stretch)), 1) + 4
    columns = max(int(WIDTH / cell), 1) + 4
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    fine = cv2.resize(coarse, (WIDTH + 8, HEIGHT + 8), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(fine[4:-4, 4:-4] * 1.15)


def smoothstep(value: Floats, low: float, high: float) -> Floats:
    """Return 0 below `low`, 1 above `high`, smooth between (either order)."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def bump(u0: float, v0: float, ru: float, rv: float) -> Floats:
    """Return a Gaussian blob (H, W) around (u0, v0)."""
    u, v = grid()
    across = np.exp(-0.5 * ((u - u0) / ru) ** 2).astype(np.float32)
    return across * np.exp(-0.5 * ((v - v0) / rv) ** 2).astype(np.float32)


def both_sides(u0: float, v0: float, ru: float, rv: float) -> Floats:
    """Return a Gaussian blob on either side of the face."""
    return bump(u0, v0, ru, rv) + bump(-u0, v0, ru, rv)


def polygon(points: Sequence[tuple[float, float]], soft_mm: float) -> Floats:
    """Return the inside of a smooth closed curve (H, W) with an edge `soft_mm` wide."""
    image = np.zeros(SIZE, np.uint8)
    corners = np.rint(to_pixels(np.array(points, np.float32)) * 16).astype(np.int32)
    cv2.fillPoly(image, [corners], 255, cv2.LINE_AA, 4)
    sigma = soft_mm * PX_PER_MM
    return cv2.GaussianBlur(image, (0, 0), sigma).astype(np.float32) / 255.0


def strokes(
    lines: Sequence[NDArray[np.float32]], strength: Sequence[float], thickness: int = 1
) -> Floats:
    """Return the cover (H, W) of polylines given in mm; later ones lie on top."""
    image = np.zeros(SIZE, np.uint8)
    for line, value in zip(lines, strength, strict=True):
        points = np.rint(to_pixels(line) * 16).astype(np.int32)
        cv2.polylines(image, [points], False, int(255 * value), thickness, cv2.LINE_AA, 4)
    return image.astype(np.float32) / 255.0


HALF = (HEIGHT // 2, WIDTH // 2)
"""Creases are kept at half the sheet's resolution: they are wide and many."""


def furrow(line: NDArray[np.float32], width_mm: float, depth: float) -> Floats:
    """Return the height (mm, at half resolution) of a crease along a polyline, tapered."""
    total = np.zeros(HALF, np.float32)
    points = to_pixels(line) / 2
    sigma = max(width_mm * PX_PER_MM / 2, 0.5)
    margin = int(9 * sigma) + 2
    left, top = (max(int(v) - margin, 0) for v in points.min(0))
    right, bottom = (int(v) + margin for v in points.max(0))
    window = total[top:bottom, left:right]
    image = np.zeros(window.shape, np.float32)
    places = np.rint((points - (left, top)) * 16).astype(np.int32).tolist()
    count = len(places) - 1
    for i in range(count):
        taper = float(np.sin(np.pi * (i + 0.5) / count)) ** 0.6
        cv2.line(image, places[i], places[i + 1], taper, 1, cv2.LINE_8, 4)
    thin = cv2.GaussianBlur(image, (0, 0), sigma) * sigma
    wide = cv2.GaussianBlur(image, (0, 0), 2.6 * sigma) * sigma
    window[:] = (0.75 * wide - thin) * (2.2 * depth)
    return total


def look_up(sheet: NDArray[Any], column: Floats, row: Floats) -> NDArray[Any]:
    """Return `sheet` (H, W, C) at M places, `column` and `row` (M, 1) px, as (M, C)."""
    # Folded, for cv2 limits an image to 32767 rows.
    count, width = len(column), 256
    x = np.zeros((-(-count // width), width), np.float32)
    y = np.zeros_like(x)
    x.ravel()[:count] = column[:, 0]
    y.ravel()[:count] = row[:, 0]
    found = cv2.remap(sheet, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found.reshape(-1, found.shape[2])[:count]
