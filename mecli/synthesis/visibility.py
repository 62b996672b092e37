"""How much of the light from each direction reaches each vertex: soft shadows for free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.synthesis.raster import interpolate, rasterise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[Any]
    Ints = NDArray[np.int64]


def sky(count: int = 160) -> Floats:
    """Return unit vectors (D, 3) spread evenly over the sky in front of and above a head."""
    k = np.arange(count) + 0.5
    y = 1 - 2 * k / count
    angle = np.pi * (1 + 5**0.5) * k
    radius = np.sqrt(1 - y**2)
    all_round = np.stack([radius * np.cos(angle), y, radius * np.sin(angle)], 1)
    return all_round[(all_round[:, 2] > -0.35) & (y > -0.8)].astype(np.float32)


def visibility(
    vertices: Floats, faces: Ints, directions: Floats, step_mm: float = 1.5, bias_mm: float = 3.0
) -> Floats:
    """Return (N, D) float32 in 0..1: 1 where nothing stands between the vertex and the light.

    One depth image per direction, each vertex looked up in it with a tolerance of `bias_mm`
    (so a triangle does not shadow itself), then averaged over the neighbours of each vertex,
    which turns the hard shadow of one direction into a soft one.
    """
    seen = np.empty((len(vertices), len(directions)), np.float32)
    for column, towards in enumerate(directions):
        seen[:, column] = _lit(vertices, faces, towards, step_mm, bias_mm)
    edges = np.concatenate([faces[:, (0, 1)], faces[:, (1, 2)], faces[:, (2, 0)]])
    edges = np.concatenate([edges, edges[:, ::-1]])
    degree = np.bincount(edges[:, 0], minlength=len(vertices))[:, None] + 1.0
    for _ in range(2):
        total = seen.copy()
        np.add.at(total, edges[:, 0], seen[edges[:, 1]])
        seen = (total / degree).astype(np.float32)
    return seen


def _lit(vertices: Floats, faces: Ints, towards: Floats, step_mm: float, bias_mm: float) -> Floats:
    right = np.cross((0.0, 1.0, 1e-3), towards)
    right /= np.linalg.norm(right)
    up = np.cross(towards, right)
    flat = np.stack([vertices @ right, -(vertices @ up)], 1)
    xy = ((flat - flat.min(0)) / step_mm + 1).astype(np.float32)
    width, height = (int(v) + 3 for v in xy.max(0))
    depth = (vertices @ towards).astype(np.float32)
    fragments = rasterise(xy, depth, faces, (height, width), both_sides=True)
    nearest = np.full(height * width, -np.inf, np.float32)
    nearest[fragments.pixel] = interpolate(depth[:, None], faces, fragments)[:, 0]
    at = np.rint(xy).astype(np.int64)
    open_to_sky = depth > nearest[at[:, 1] * width + at[:, 0]] - bias_mm
    return np.asarray(open_to_sky, np.float32)
