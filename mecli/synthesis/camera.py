"""Where the camera stands, and what lens, sensor and lamp do to the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[Any]

PIVOT = np.array([0.0, 660.0, 20.0], np.float32)
"""What the head turns around, mm."""
_NECK = (570.0, 640.0)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in front of the face."""

    px_per_mm: float
    """At the depth of the eyes."""
    centre: tuple[float, float]
    """Where the point between nose and eyes lands, px."""
    distance_mm: float

    def scaled(self, factor: float) -> Camera:
        """Return the camera of an image enlarged by `factor` (pixel centres at whole numbers)."""
        x, y = ((c + 0.5) * factor - 0.5 for c in self.centre)
        return Camera(self.px_per_mm * factor, (x, y), self.distance_mm)


def rotation(yaw: float, pitch: float, roll: float) -> Floats:
    """Return the matrix (3, 3) of a head turn in radians: yaw to image right, pitch up."""
    cy, sy, cp, sp, cr, sr = (
        np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    )  # fmt: skip
    around_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    around_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    around_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(around_z @ around_x @ around_y, np.float32)


def place(vertices: Floats, pose: Floats, rest: Floats) -> Floats:
    """Turn and shift the head (N, 3) by `pose`; the shoulders stay in the pose `rest`.

    A pose is yaw, pitch, roll in radians and x, y, z in mm.
    """
    share = np.clip((vertices[:, 1:2] - _NECK[0]) / (_NECK[1] - _NECK[0]), 0, 1)
    share = share * share * (3 - 2 * share)
    moved = [(vertices - PIVOT) @ rotation(*p[:3]).T + (PIVOT + p[3:]) for p in (pose, rest)]
    return np.asarray(moved[1] + share * (moved[0] - moved[1]), np.float32)


def project(points: Floats, camera: Camera) -> Floats:
    """Return points (..., 3) in mm as pixels (..., 2)."""
    middle = (0.0, 705.0, 130.0)
    depth = camera.distance_mm / (camera.distance_mm + middle[2] - points[..., 2])
    x = camera.centre[0] + (points[..., 0] - middle[0]) * depth * camera.px_per_mm
    y = camera.centre[1] - (points[..., 1] - middle[1]) * depth * camera.px_per_mm
    return np.stack([x, y], -1).astype(np.float32)
