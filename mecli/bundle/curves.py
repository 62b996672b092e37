"""Long videos without pictures: how regions and head move, by the exact motion of made heads.

What `mecli.motion` measures in a rendered video, but for the pictures: points of the skin
are aligned as its tracker aligns frames, the rigid motion that is left is taken out, regions
are averages. That takes a hundredth of the time that rendering and measuring take.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mecli.alignment import face_transform
from mecli.head_motion import without_rigid_motion
from mecli.motion import LIDS, REGIONS
from mecli.spotting import MOMENTS_PER_S
from mecli.synthesis.camera import PIVOT, project, rotation
from mecli.synthesis.head import SKIN, load_head
from mecli.synthesis.identity import make_subject
from mecli.synthesis.plan import identity_seed, perform, plan_long, seed_of
from mecli.synthesis.scene import make_scene

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from mecli.synthesis.motion import Curves
    from mecli.synthesis.plan import ClipPlan

    Floats = NDArray[np.float64]

_SIZES = ((352, 320), (480, 640), (400, 440))
_STYLES = {"events": 0.55, "macro": 0.3, "quiet": 0.15}
_STRETCH = round(2 * MOMENTS_PER_S)
_POINTS = 450
_SPREAD_PX = 11.0
_LID_PX = 26.0
_LID_REACH_PX = 4.0
_EYES = (slice(36, 42), slice(42, 48))
_UPPER_LIDS = ((37, 38), (43, 44))


class Lived(NamedTuple):
    """A long video as curves, thirty moments a second."""

    values: NDArray[np.float32]
    """(N, 2R + 6) `Motion.displacement` and `Motion.head`."""
    events: tuple[tuple[float, float, str], ...]
    """Onset, offset and kind of each expression."""
    busy: tuple[tuple[float, float], ...]
    """When it talked, nodded or swallowed."""


def plan_video(
    seed: int, style: str, fps: float, size: tuple[int, int], seconds: float = 20.0
) -> ClipPlan:
    """Plan a video with micro-expressions (``events``), also macro ones, or none (``quiet``)."""
    none = (0, 0) if style == "quiet" else (3, 5)
    plan = plan_long(
        f"{style}{seed}", 1, identity_seed(seed, 1), seed_of(seed, 1, 13), fps, size,
        (0.7, 2.5), seconds, none,
    )  # fmt: skip
    return _with_macros(plan, np.random.default_rng(seed)) if style == "macro" else plan


def _with_macros(plan: ClipPlan, rng: Generator) -> ClipPlan:
    """Put macro-expressions in place of some pastimes."""
    times, classes, peaks = list(plan.times), list(plan.classes), list(plan.peaks_mm)
    between = []
    for first, stop, kind in plan.between:
        if stop - first < 1.2 * plan.fps or rng.random() >= 0.4:
            between.append((first, stop, kind))
            continue
        longest = min(2.6, (stop - first) / plan.fps - 0.1)
        length = int(rng.uniform(0.8, longest) * plan.fps)
        rise = int(rng.uniform(0.25, 0.5) * length)
        times.append((first, first + rise, first + length))
        classes.append(str(rng.choice(["negative", "positive", "positive", "surprise"])))
        peaks.append(round(float(np.exp(rng.uniform(np.log(2), np.log(6)))), 2))
    return replace(
        plan, times=tuple(times), classes=tuple(classes), peaks_mm=tuple(peaks),
        between=tuple(between),
    )  # fmt: skip


def made_video(seed: int) -> Lived:
    """Return a video of a person nobody renders; the same seed gives the same."""
    rng = np.random.default_rng((seed, 77))
    style = str(rng.choice(list(_STYLES), p=list(_STYLES.values())))
    size = _SIZES[int(rng.integers(len(_SIZES)))]
    plan = plan_video(seed, style, MOMENTS_PER_S, size)
    subject = make_subject(plan.identity)
    curves, _ = perform(plan, subject)
    scene = make_scene(size, np.random.default_rng((plan.motion, 3)))
    chosen = _chosen_points()
    units = subject.units[:, chosen].reshape(len(subject.units), -1)
    shape = subject.vertices[chosen] + (curves.units @ units).reshape(plan.frames, -1, 3)
    pose = curves.pose + scene.rest
    turns = np.stack([rotation(*row[:3]) for row in pose])
    posed = np.einsum("tij,tvj->tvi", turns, shape - PIVOT) + (PIVOT + pose[:, None, 3:])
    seen = project(posed, scene.camera).astype(np.float64)
    return lived(plan, _measured(seen, curves, rng))


def lived(plan: ClipPlan, values: NDArray[np.float32]) -> Lived:
    """Return `values` of all moments with what the plan says happened when."""
    to_moments = MOMENTS_PER_S / plan.fps
    events = tuple(
        (a * to_moments, c * to_moments, "micro" if (c - a) / plan.fps <= 0.5 + 1e-6 else "macro")
        for a, _, c in plan.times
    )
    busy = tuple(
        (a * to_moments, c * to_moments)
        for a, c, kind in plan.between
        if kind in {"talk", "nod", "swallow"}
    )
    return Lived(values, events, busy)


def _chosen_points() -> NDArray[np.int64]:
    """Return vertices of the head: the 68 landmarks, then some of the skin in front."""
    head = load_head()
    x, y, z = head.vertices.T
    front = (head.vertex_part == SKIN) & (z > 70) & (np.abs(x) < 70) & (y > 615) & (y < 775)
    there = np.flatnonzero(front & ~head.mouth_interior)
    some = np.random.default_rng(5).choice(there, min(_POINTS, len(there)), replace=False)
    return np.concatenate([head.landmarks, some])


def _measured(seen: Floats, curves: Curves, rng: Generator) -> NDArray[np.float32]:
    """Return (N, 2R + 6) of points `seen` (N, 68 + V, 2) px, two seconds at a time."""
    parts: list[Floats] = []
    here = np.zeros(2 * len(REGIONS) + 6)
    for start in range(0, len(seen) - 1, _STRETCH):
        span = slice(start, start + _STRETCH + 1)
        moved = _stretch(seen[span], curves.gaze[span], rng)
        parts.append((here + moved)[1 if parts else 0 :])
        here = here + moved[-1]
    return np.concatenate(parts).astype(np.float32)


def _stretch(seen: Floats, gaze: NDArray[Any], rng: Generator) -> Floats:
    to_face = face_transform(seen[0, :68]).astype(np.float64)
    scale = float(np.sqrt(abs(np.linalg.det(to_face[:, :2]))))
    face = seen[0] @ to_face[:, :2].T + to_face[:, 2]
    turn, shift = _alignment(seen, face)
    aligned = np.einsum("tij,tvj->tvi", turn, seen) + shift[:, None]
    shifts = (aligned - seen[0]) @ to_face[:, :2].T
    left, turned = without_rigid_motion(shifts[:, 68:], face[68:], face[:68])
    centres = np.stack([face[list(members)].mean(axis=0) for members in REGIONS.values()])
    apart = ((face[None, 68:] - centres[:, None]) ** 2).sum(axis=-1)
    near = np.exp(-apart / (2 * _SPREAD_PX**2))
    regions = np.einsum("rv,tvc->trc", near / near.sum(axis=1, keepdims=True), left)
    # Lids and irises move more than the skin around them: flow shows them, to a reach.
    look = (gaze - gaze[0]) * [1, -1] * rng.uniform(8, 18) * scale
    for lid, members in zip(LIDS, _UPPER_LIDS, strict=True):
        closed = 1.2 * shifts[:, list(members)].mean(axis=1)
        looked = np.clip(look, -_LID_REACH_PX, _LID_REACH_PX) * rng.uniform(0.5, 1)
        regions[:, lid] = np.clip(closed, -_LID_REACH_PX, _LID_REACH_PX) + looked
    back = np.linalg.inv(turn)
    place = np.einsum("tij,tj->ti", back, seen[0].mean(axis=0) - shift) * scale
    roll = 100 * np.arctan2(back[:, 1, 0], back[:, 0, 0])
    size = 50 * np.log(np.abs(np.linalg.det(back)))
    head = np.column_stack([place, roll, size, turned])
    return np.hstack([regions.reshape(len(seen), -1), head - head[0]])


def _alignment(seen: Floats, face: Floats) -> tuple[Floats, Floats]:
    """Return similarities (N, 2, 2), (N, 2) back to the first of `seen`, as the tracker finds them.

    Points of the upper face but the lids count, those that agree.
    """
    steady = (face[:, 1] < face[33, 1]) & (face[:, 1] > face[27, 1] - 90)
    steady[:68] = False
    for eye in _EYES:
        steady &= np.hypot(*(face - face[eye].mean(axis=0)).T) >= _LID_PX
    points, first = seen[:, steady], seen[0, steady]
    weights = np.ones(points.shape[:2])
    for _ in range(4):
        turn, shift = _similarities(points, first, weights)
        aligned = np.einsum("tij,tvj->tvi", turn, points) + shift[:, None]
        apart = np.linalg.norm(aligned - first, axis=2)
        usual = np.maximum(2 * np.median(apart, axis=1, keepdims=True), 0.15)
        weights = (1 + (apart / usual) ** 2) ** -2
    return turn, shift


def _similarities(points: Floats, first: Floats, weights: Floats) -> tuple[Floats, Floats]:
    shares = (weights / weights.sum(axis=1, keepdims=True))[..., None]
    here, there = (shares * points).sum(axis=1), (shares * first).sum(axis=1)
    a, b = points - here[:, None], first - there[:, None]
    spread = (shares * a * a).sum(axis=(1, 2))
    cosine = (shares[..., 0] * (a * b).sum(axis=-1)).sum(axis=1) / spread
    cross = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    sine = (shares[..., 0] * cross).sum(axis=1) / spread
    turn = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], -2)
    return turn, there - np.einsum("tij,tj->ti", turn, here)
