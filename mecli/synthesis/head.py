"""The head every identity is a variation of: mesh, shape targets, expression units, landmarks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[Any]
    Ints = NDArray[np.int64]

SKIN, EYE, LASH, TEETH, TONGUE, HAIR = range(6)
EYE_CENTRE = (31.2, 728.5, 125.0)
"""Of the eyeball on the right of the image, mm; the other one is its mirror image."""
AXIS_Z = 40.0
"""Depth of the vertical axis that the skin chart is wrapped around, mm."""
CHART_RADIUS = 95.0
CHART_CROWN = 760.0
"""Height above which the chart follows the arc over the skull, mm."""

# Where the 68 points of iBUG 300-W lie on the neutral head, (x, y) in mm, image left half and
# middle; the rest mirrors them. Judged on the mesh after the annotation scheme's figure.
_JAW = (
    (-73, 727), (-72, 707), (-70, 687), (-66, 668), (-56, 653), (-44, 639), (-30, 627),
    (-15, 619), (0, 615),
)  # fmt: skip
_BROW = ((-54, 746), (-46, 751), (-37, 752.5), (-26, 750.5), (-15, 746))
_BRIDGE = ((0, 731), (0, 719), (0, 707), (0, 695))
_NOSE = ((-13, 683), (-6.5, 681), (0, 679.5))
_EYE = ((-45.5, 729), (-38, 734.2), (-27, 733.6), (-18, 727.5), (-27, 723.2), (-38, 723.4))
_MOUTH = ((-26.5, 661.2), (-17, 666.3), (-7, 669.5), (0, 668))
_MOUTH_LOW = ((0, 648.8), (-8, 649.4), (-18, 653))
_INNER = ((-23, 661.5), (-9, 662), (0, 662))
_INNER_LOW = ((0, 660), (-9, 660))


def _mirrored(points: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    return [(-x, y) for x, y in reversed(points)]


def landmark_places() -> Floats:
    """Return the 68 landmarks (68, 2) on the neutral head, mm, in the order of iBUG 300-W."""
    eye = list(_EYE)
    other = [(-x, y) for x, y in (eye[3], eye[2], eye[1], eye[0], eye[5], eye[4])]
    points = [*_JAW, *_mirrored(_JAW[:8]), *_BROW, *_mirrored(_BROW), *_BRIDGE]
    points += [*_NOSE, *_mirrored(_NOSE[:2]), *eye, *other]
    points += [*_MOUTH, *_mirrored(_MOUTH[:3]), *_mirrored(_MOUTH_LOW[1:]), *_MOUTH_LOW]
    points += [*_INNER, *_mirrored(_INNER[:2]), *_mirrored(_INNER_LOW[1:]), *_INNER_LOW]
    return np.array(points, np.float32)


@dataclass(frozen=True)
class Head:
    """MakeHuman's neutral head (CC0), in mm: x to image right, y up, z to the camera."""

    vertices: Floats
    """(N, 3)."""
    faces: Ints
    """(T, 3)."""
    part: NDArray[np.int8]
    """(T,) SKIN, EYE, LASH, TEETH, TONGUE or HAIR."""
    targets: Floats
    """(I, N, 3) offsets of the identity targets."""
    target_names: Mapping[str, int]
    units: Floats
    """(U, N, 3) offsets of the expression units."""
    unit_names: Mapping[str, int]
    lash: Floats
    """(N, 2) place along the lid and how dense the lashes are there, 1 at their roots."""
    directions: Floats
    """(D, 3) unit vectors that `visibility` was sampled along."""
    visibility: Floats
    """(N, D) 0..1: how much of the light from each direction reaches the vertex."""
    landmarks: Ints
    """(68,) vertices."""
    vertex_part: NDArray[np.int8]
    """(N,) part of each vertex."""
    ear: Floats
    """(N,) 0..1."""
    mouth_interior: NDArray[np.bool_]
    """(N,) behind the lips."""
    chart: Floats
    """(N, 2) the skin chart in mm, see `chart_of`."""


def chart_of(points: Floats) -> Floats:
    """Unroll points (..., 3) in mm of the neutral head to the skin chart (..., 2), mm.

    A cylinder around the vertical axis; above the brows the second coordinate follows the
    arc over the skull, so that it keeps its scale up to the crown.
    """
    x, y, z = points[..., 0], points[..., 1], points[..., 2] - AXIS_Z
    radius = np.hypot(x, z)
    arc = CHART_CROWN + 100.0 * np.arctan2(y - CHART_CROWN, radius)
    return np.stack([np.arctan2(x, z) * CHART_RADIUS, np.where(y > CHART_CROWN, arc, y)], -1)


def normals(vertices: Floats, faces: Ints) -> Floats:
    """Return unit vertex normals (N, 3), weighted by the area of the faces around."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    face = np.cross(b - a, c - a)
    total = np.zeros_like(vertices)
    for axis in range(3):
        total[:, axis] = sum(
            np.bincount(faces[:, i], face[:, axis], len(vertices)) for i in range(3)
        )
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.asarray(total / np.maximum(length, 1e-9), np.float32)


def _snap(vertices: Floats, candidates: Ints) -> Ints:
    """Return the frontmost skin vertex near each landmark place."""
    places = landmark_places()
    found = []
    for place in places:
        off = vertices[candidates][:, :2] - place
        cost = (off**2).sum(1) - 0.15 * vertices[candidates][:, 2]
        found.append(candidates[int(cost.argmin())])
    return np.array(found, np.int64)


def _lashes(vertices: Floats, part: NDArray[np.int8], uv: Floats) -> Floats:
    out = np.zeros((len(vertices), 2), np.float32)
    lash = np.flatnonzero(part == LASH)
    lid = vertices[(part == SKIN) & (vertices[:, 2] > 100)]
    gap = np.linalg.norm(vertices[lash][:, None] - lid[None], axis=-1).min(1)
    upper = vertices[lash][:, 1] > EYE_CENTRE[1] - 0.5
    out[lash, 0] = uv[lash, 0]
    out[lash, 1] = np.clip(1 - gap / 3.5, 0, 1) * np.where(upper, 1.0, 0.35)
    return out


@lru_cache(maxsize=1)
def load_head() -> Head:
    """Read the head that ships in the package (see weights/PROVENANCE-heads.md)."""
    with as_file(files("mecli").joinpath("weights/heads_cc0.npz")) as path, np.load(path) as data:
        arrays = {name: data[name] for name in data.files}
    vertices = arrays["V"].astype(np.float32)
    faces = arrays["F"].astype(np.int64)
    part = arrays["part"].astype(np.int8)
    vertex_part = np.zeros(len(vertices), np.int8)
    uv = np.zeros((len(vertices), 2), np.float32)
    for i in range(3):
        vertex_part[faces[:, i]] = part
        uv[faces[:, i]] = arrays["uv"][arrays["uvF"][:, i]]
    targets = arrays["td"].astype(np.float32)
    names = {str(name): i for i, name in enumerate(arrays["tn"])}
    ear = np.zeros(len(vertices), np.float32)
    for side in "lr":
        moved = targets[names[f"ears/{side}-ear-scale-incr"]]
        outer = np.clip((np.abs(vertices[:, 0]) - 70.5) / 2, 0, 1) * (vertices[:, 1] < 741)
        ear = np.maximum(ear, outer * np.clip((np.linalg.norm(moved, axis=1) - 1) / 1.5, 0, 1))
    skin = vertex_part == SKIN
    interior = skin & (uv[:, 1] < 0.145)
    outside = np.flatnonzero(skin & ~interior & (vertices[:, 2] > 20))
    return Head(
        vertices, faces, part, targets, names,
        arrays["ud"].astype(np.float32), {str(n): i for i, n in enumerate(arrays["un"])},
        _lashes(vertices, vertex_part, uv), arrays["directions"].astype(np.float32),
        arrays["visibility"].astype(np.float32) / 15.0,
        _snap(vertices, outside), vertex_part, ear, interior, chart_of(vertices),
    )  # fmt: skip
