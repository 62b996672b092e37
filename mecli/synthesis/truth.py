"""What is exactly true of a rendering: flow and landmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mecli.synthesis.camera import project
from mecli.synthesis.head import load_head
from mecli.synthesis.raster import Fragments, interpolate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mecli.synthesis.camera import Camera

    Floats = NDArray[np.float32]


def flow_between(
    fragments: Fragments, faces: NDArray[np.int64], xy: tuple[Floats, Floats], size: tuple[int, int]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the displacement (H, W, 2) in px of what each pixel shows, and where a head is.

    `fragments` are of the first picture; `xy` are the points (N, 2) of both in px.
    """
    moved = interpolate(xy[1] - xy[0], faces, fragments)
    flow = np.zeros((size[0] * size[1], 2), np.float32)
    flow[fragments.pixel] = moved
    inside = np.zeros(size[0] * size[1], bool)
    inside[fragments.pixel] = True
    return flow.reshape(*size, 2), inside.reshape(size)


def landmarks(points: Floats, camera: Camera) -> Floats:
    """Return the 68 landmarks (68, 2) in px of posed points (N, 3) in mm."""
    return project(points[load_head().landmarks], camera)
