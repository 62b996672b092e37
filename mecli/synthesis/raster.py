"""Triangles to pixels in plain NumPy: which triangle is seen where, and at which weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[Any]
    Ints = NDArray[np.integer]


class Fragments(NamedTuple):
    """The visible surface: M covered pixels, each once, in no particular order."""

    pixel: Ints
    """(M,) flat index ``row * width + column``."""
    triangle: Ints
    """(M,) row of `faces`."""
    weight: Floats
    """(3, M) barycentric weights, affine in the image."""


def rasterise(
    xy: Floats, depth: Floats, faces: Ints, size: tuple[int, int], both_sides: bool = False
) -> Fragments:
    """Return what is seen of a mesh of N points and T triangles in an image of `size` (H, W).

    `xy` (N, 2) float32 are pixels (centres at whole numbers, y down), `depth` (N,) grows
    towards the camera, `faces` (T, 3). A triangle that runs clockwise on screen (the back of
    a mesh whose y axis points up) is culled unless `both_sides`. Every row of a triangle
    becomes one span of pixels; the nearest fragment of each pixel stays.
    """
    height, width = size
    corner = xy[faces]
    e1, e2 = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    area = e1[:, 0] * e2[:, 1] - e1[:, 1] * e2[:, 0]
    first, second, third = corner[:, 0], corner[:, 1], corner[:, 2]
    low = np.minimum(np.minimum(first, second), third)
    high = np.maximum(np.maximum(first, second), third)
    keep = (np.abs(area) > 1e-6) if both_sides else (area < -1e-6)
    keep &= (high[:, 0] >= 0) & (high[:, 1] >= 0)
    keep &= (low[:, 0] <= width - 1) & (low[:, 1] <= height - 1)
    chosen = np.flatnonzero(keep)
    corner, area = corner[chosen], area[chosen]
    planes = _weight_planes(corner, area)
    triangle, row, left, count = _spans(planes, low[chosen], high[chosen], height, width)
    column = np.arange(int(count.sum()), dtype=np.int32)
    column -= np.repeat((np.cumsum(count) - count - left).astype(np.int32), count)
    near = _depths(planes, depth[faces[chosen]].T, triangle, row, column, count)
    pixel = np.repeat(row * width, count) + column
    buffer = np.full(height * width, -np.inf, np.float32)
    np.maximum.at(buffer, pixel, near)
    won = np.flatnonzero(near == buffer[pixel])
    first = np.full(height * width, -1, np.int32)
    first[pixel[won]] = won
    seen = first[first >= 0]
    tri, pixel, column = np.repeat(triangle, count)[seen], pixel[seen], column[seen]
    x, y = column.astype(np.float32), ((pixel - column) // width).astype(np.float32)
    weight = np.empty((3, len(tri)), np.float32)
    for out, a, b, c in zip(weight[:2], *(plane[:2] for plane in planes), strict=True):
        out[:] = a[tri] * x + b[tri] * y + c[tri]
    weight[2] = 1.0 - weight[0] - weight[1]
    return Fragments(pixel, chosen[tri], weight)


def _depths(
    planes: tuple[Floats, Floats, Floats],
    z: Floats,
    triangle: Ints,
    row: Ints,
    column: Ints,
    count: Ints,
) -> Floats:
    """Return the depth of every fragment; linear along a span, so no gather is needed."""
    a, b, c = ((plane * z).sum(0) for plane in planes)
    start = (b[triangle] * row + c[triangle]).astype(np.float32)
    near = np.repeat(a[triangle], count)
    near *= column
    near += np.repeat(start, count)
    return near


def _weight_planes(corner: Floats, area: Floats) -> tuple[Floats, Floats, Floats]:
    """Return a, b, c (3, T) such that weight i = a x + b y + c."""
    nxt, prv = corner[:, (1, 2, 0)], corner[:, (2, 0, 1)]
    inverse = (1.0 / area)[:, None]
    a = (nxt[..., 1] - prv[..., 1]) * inverse
    b = (prv[..., 0] - nxt[..., 0]) * inverse
    c = (nxt[..., 0] * prv[..., 1] - prv[..., 0] * nxt[..., 1]) * inverse
    return (
        np.ascontiguousarray(a.T, np.float32),
        np.ascontiguousarray(b.T, np.float32),
        np.ascontiguousarray(c.T, np.float32),
    )


def _spans(
    planes: tuple[Floats, Floats, Floats], low: Floats, high: Floats, height: int, width: int
) -> tuple[Ints, Ints, Ints, Ints]:
    """Return triangle, row, first column and length of every non-empty span."""
    top = np.clip(np.ceil(low[:, 1]), 0, height).astype(np.int32)
    bottom = np.clip(np.floor(high[:, 1]), -1, height - 1).astype(np.int32)
    rows = np.maximum(bottom - top + 1, 0)
    triangle = np.repeat(np.arange(len(rows), dtype=np.int32), rows)
    row = np.arange(int(rows.sum()), dtype=np.int32)
    row -= np.repeat((np.cumsum(rows) - rows - top).astype(np.int32), rows)
    left = low[triangle, 0]
    right = high[triangle, 0]
    for a, b, c in zip(*planes, strict=True):
        slope = a[triangle]
        rest = -(b[triangle] * row + c[triangle])
        with np.errstate(divide="ignore", invalid="ignore"):
            bound = rest / slope
        left = np.where(slope > 1e-9, np.maximum(left, bound), left)
        right = np.where(slope < -1e-9, np.minimum(right, bound), right)
    first = np.clip(np.ceil(left - 1e-3), 0, width).astype(np.int32)
    last = np.clip(np.floor(right + 1e-3), -1, width - 1).astype(np.int32)
    count = np.maximum(last - first + 1, 0)
    some = count > 0
    return triangle[some], row[some], first[some], count[some]


def interpolate(attributes: Floats, faces: Ints, fragments: Fragments) -> Floats:
    """Return `attributes` (N, C) at the fragments, (M, C) float32."""
    count = len(fragments.pixel)
    columns = np.take(faces, fragments.triangle, axis=0).ravel()
    weights = np.ascontiguousarray(fragments.weight.T).ravel()
    starts = np.arange(0, 3 * count + 1, 3, dtype=columns.dtype)
    blend = csr_array((weights, columns, starts), shape=(count, len(attributes)))
    out: Floats = blend @ np.ascontiguousarray(attributes, np.float32)
    return out
