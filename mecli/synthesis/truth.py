"""What is exactly true of a rendering: flow and landmarks."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.files import write_bytes
from mecli.synthesis.camera import project
from mecli.synthesis.film import state_at
from mecli.synthesis.head import load_head
from mecli.synthesis.raster import Fragments, interpolate, rasterise
from mecli.synthesis.render import Actor, State, surface

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mecli.synthesis.camera import Camera
    from mecli.synthesis.motion import Curves
    from mecli.synthesis.scene import Scene

    Floats = NDArray[Any]


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


def flow_truth(
    actor: Actor, states: tuple[State, State], scene: Scene
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the exact flow (H, W, 2) px between two moments and where the head is (H, W)."""
    first, second = (surface(actor, s, scene.rest, with_normals=False)[0] for s in states)
    xy = project(first, scene.camera), project(second, scene.camera)
    seen = rasterise(xy[0], first[:, 2], actor.faces, scene.size)
    return flow_between(seen, actor.faces, xy, scene.size)


def write_truth(
    path: Path, actor: Actor, curves: Curves, scene: Scene, moments: tuple[int, int], pair: bool
) -> None:
    """Write what is true of a clip as npz.

    ``flow`` (H, W, 2) float16 px and ``head`` (H, W) bool between the frames ``moments`` (0-based,
    in the frames of the plan), ``landmarks`` (T, 68, 2) float32 px, ``actions`` (A,) names,
    ``strength`` (A, T) mm, ``pose`` (T, 6) rad and mm, ``gaze`` (T, 2) rad. A pair has T = 2.
    """
    states = (
        state_at(curves, moments[0], scene.rest), state_at(curves, moments[1], scene.rest),
    )  # fmt: skip
    flow, head = flow_truth(actor, states, scene)
    positions = list(moments) if pair else list(range(len(curves.pose)))
    marks = []
    for position in positions:
        state = state_at(curves, position, scene.rest)
        points, _ = surface(actor, state, scene.rest, with_normals=False)
        marks.append(landmarks(points, scene.camera))
    names = sorted(curves.actions)
    strength = [curves.actions[n][positions] for n in names]
    data = io.BytesIO()
    np.savez_compressed(
        data, flow=flow.astype(np.float16), head=head, moments=np.array(moments),
        landmarks=np.stack(marks), actions=np.array(names, "U8"),
        strength=np.array(strength, np.float32).reshape(len(names), len(positions)),
        pose=curves.pose[positions] + scene.rest, gaze=curves.gaze[positions],
    )  # fmt: skip
    write_bytes(path, data.getvalue())
