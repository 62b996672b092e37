"""Long hair: a sheet that hangs from the crown around the back and the sides of the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.synthesis.head import normals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mecli.synthesis.hair import Hair
    from mecli.synthesis.identity import Subject

    Floats = NDArray[Any]

_ROUND, _DOWN = 49, 20


@dataclass(frozen=True)
class Curtain:
    """A mesh of its own; empty (no vertices) for short hair."""

    vertices: Floats
    faces: NDArray[np.int64]
    normals: Floats
    strand: Floats
    """(N, 2) mm across and along the strands."""
    occlusion: Floats


def make_curtain(subject: Subject, hair: Hair) -> Curtain:
    """Return the hanging hair of a subject, open towards the face."""
    if hair.length_mm <= 0:
        none = np.zeros((0, 3), np.float32)
        return Curtain(none, np.zeros((0, 3), np.int64), none, none[:, :2], none[:, 0])
    rng = np.random.default_rng((subject.seed, 404))
    skull = subject.vertices[subject.vertices[:, 1] > 690]
    half = float(np.abs(skull[:, 0]).max()) * 0.97 + hair.side_mm * 0.5
    behind = -70.0 - hair.side_mm
    front = float(rng.uniform(34, 62))
    top, bottom = 838.0, 690.0 - hair.length_mm
    t = np.linspace(0, 1, _DOWN)[:, None]
    angle = np.linspace(-np.pi / 2, 3 * np.pi / 2, _ROUND)[None, :]
    # A horseshoe: both ends at the temples, the middle behind the head.
    phase = np.linspace(0, np.pi, _ROUND)[None, :]
    dome = np.sqrt(np.clip(1 - np.clip(1 - (top - (top - bottom) * t - 760) / 78, 0, 1), 0, 1))
    flare = (1 + rng.uniform(0.0, 0.18) * t**1.5) * (1 - 0.55 * dome**2)
    wave = 2.5 * np.sin(7 * phase + 5 * t + rng.uniform(0, 6))
    x = (half * flare + wave) * np.cos(phase) * (1 + 0 * angle)
    depth = np.sin(phase) ** 0.7
    z = front * (1 - 0.25 * t) + (behind - front) * depth + 0 * t
    ends = rng.uniform(-8, 8, (1, _ROUND)) * t**2
    y = top + (bottom - top) * t + ends + 0 * phase
    y = y - 20 * (1 - t) * (1 - depth)
    vertices = np.stack(np.broadcast_arrays(x, y, z), -1).reshape(-1, 3).astype(np.float32)
    i = np.arange((_DOWN - 1) * _ROUND).reshape(_DOWN - 1, _ROUND)[:, :-1].ravel()
    quads = np.stack([i, i + _ROUND, i + _ROUND + 1, i, i + _ROUND + 1, i + 1], 1).reshape(-1, 3)
    outward = normals(vertices, quads)
    if (outward * (vertices - (0, 700, 0))).sum() < 0:
        quads, outward = quads[:, ::-1], -outward
    both = np.concatenate([quads, quads[:, ::-1]])
    strand = np.stack(np.broadcast_arrays(phase * 110, t * 200), -1).reshape(-1, 2)
    shade = 0.35 + 0.4 * (1 - depth) + 0 * t
    return Curtain(
        vertices, both.astype(np.int64), outward.astype(np.float32),
        strand.astype(np.float32), shade.reshape(-1).astype(np.float32),
    )  # fmt: skip
