"""A face to draw on: the mean landmarks of synthetic heads, made symmetric; nobody's face.

Places are in pixels of the 240×280 aligned face, which ends at brows, ears and chin; the
outline of the head reaches beyond it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Point = tuple[float, float]

VIEW = (-42.0, 282.0, 296.0, -112.0)
"""Left, right, bottom, top of what is drawn."""

# Image left half and middle of the 68 points of iBUG 300-W; the rest mirrors them.
_JAW = ((-8, 80), (-9, 107), (-2, 163), (5, 188), (20, 223), (34, 240), (67, 264), (99, 278))
_BROW = ((12, 38), (24, 25), (42, 18), (65, 19), (92, 22))
_BRIDGE = ((120, 60), (120, 92), (120, 119), (120, 136))
_NOSE = ((98, 155), (107, 162))
_EYE = ((36, 72), (49, 65), (68, 64), (88, 75), (70, 80), (50, 79))
_MOUTH = ((75, 202), (94, 191), (107, 187), (120, 189))
_MOUTH_LOW = ((120, 220), (107, 220), (95, 216))
_INNER = ((81, 200), (110, 200), (120, 201))
_INNER_LOW = ((120, 203), (109, 203))
_MIDDLE = 120.0
# What the landmarks leave out, drawn by hand.
_DOME = ((-13, 72), (-15, 20), (-4, -32), (25, -74), (70, -98), (120, -105))
_EAR = ((-11, 84), (-25, 74), (-32, 92), (-27, 120), (-20, 140), (-8, 138))
_UNDER_BROW = ((90, 29), (65, 26), (43, 25), (26, 31))
_IRIS = tuple(
    (62 + 8.5 * math.cos(k * math.pi / 6), 71.5 + 8.5 * math.sin(k * math.pi / 6))
    for k in range(12)
)
_WING = ((104, 127), (95, 139), (90, 149), (98, 155))


def landmarks() -> NDArray[np.float32]:
    """Return the 68 landmarks (68, 2) float32 in pixels of the 240×280 face."""
    eye = [_mirror(_EYE[k]) for k in (3, 2, 1, 0, 5, 4)]
    points = [*_JAW, (120, 280), *_mirrored(_JAW), *_BROW, *_mirrored(_BROW), *_BRIDGE, *_NOSE]
    points += [(120, 162), *_mirrored(_NOSE), *_EYE, *eye, *_MOUTH, *_mirrored(_MOUTH[:3])]
    points += [*_mirrored(_MOUTH_LOW[1:]), *_MOUTH_LOW, *_INNER, *_mirrored(_INNER[:2])]
    return np.array([*points, *_mirrored(_INNER_LOW[1:]), *_INNER_LOW], dtype=np.float32)


class Stroke(NamedTuple):
    """One part of the drawing: points (N, 2) along it; a closed one has an inside."""

    name: str
    points: NDArray[np.float64]
    closed: bool


def strokes() -> list[Stroke]:
    """Return the drawing from back to front: head, ears, brows, eyes, irises, nose, lips."""
    points = landmarks()
    jaw = [*points[1:16]]
    return [
        Stroke("head", _smooth([*jaw, *_mirrored(_DOME)[::-1], *_DOME[-2::-1]], closed=True), True),
        *_pair("ear", _EAR, closed=False),
        *_pair("brow", [*_BROW, *_UNDER_BROW], closed=True),
        *_pair("eye", _EYE, closed=True),
        *_pair("iris", _IRIS, closed=True),
        *_pair("nose", _WING, closed=False),
        Stroke("nose", _smooth([*points[31:36]], closed=False), False),
        Stroke("lips", _lips(points), True),
        Stroke("mouth", _smooth([points[k] for k in (60, 61, 62, 63, 64)], closed=False), False),
    ]


def _pair(name: str, half: Sequence[Point], *, closed: bool) -> list[Stroke]:
    sides = (half, [_mirror(p) for p in half])
    return [Stroke(name, _smooth(side, closed=closed), closed) for side in sides]


def _lips(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the outer lips; their corners stay sharp."""
    upper = _smooth([*points[48:55]], closed=False)
    lower = _smooth([*points[54:60], points[48]], closed=False)
    return np.concatenate([upper, lower[1:-1]])


def _mirror(point: Point) -> Point:
    return 2 * _MIDDLE - point[0], point[1]


def _mirrored(points: Sequence[Point]) -> list[Point]:
    return [_mirror(point) for point in reversed(points)]


def _smooth(points: Sequence[Any], *, closed: bool, per_span: int = 8) -> NDArray[np.float64]:
    """Return a Catmull-Rom curve (N, 2) through `points`."""
    p = np.asarray(points, dtype=np.float64)
    ends = (p[-1], p[0], p[1]) if closed else (p[0], p[-1], p[-1])
    around = np.vstack([ends[0], p, *ends[1:]])
    t = np.linspace(0, 1, per_span, endpoint=False)[:, None]
    spans = len(p) if closed else len(p) - 1
    curve = []
    for a, b, c, d in (around[k : k + 4] for k in range(spans)):
        pull = (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
        curve.append(b + ((c - a) * t + pull) / 2)
    return np.vstack([*curve, *([] if closed else [p[-1:]])])
