"""What makes curves differ from one video to the next: expressions, gain, noise, sides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mecli.alignment import face_transform
from mecli.bundle.curves import Lived
from mecli.motion import LIDS, REGIONS
from mecli.rois import FACE_SIZE
from mecli.spotting import MOMENTS_PER_S
from mecli.synthesis.action_units import CLASSES
from mecli.synthesis.camera import rotation
from mecli.synthesis.head import load_head
from mecli.synthesis.identity import make_subject
from mecli.synthesis.motion import expression

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_NAMES = list(REGIONS)
_SIDES = {"left": "right", "right": "left"}
_MIRRORED = [
    _NAMES.index(f"{_SIDES.get(side, side)}_{rest}" if rest else side)
    for side, _, rest in (name.partition("_") for name in _NAMES)
]
_LOWER = _NAMES.index("left_mouth_corner")
# How much of a lid's movement flow smears over the region beside it, least and most.
_LEAKS = {
    "outer_brow": (-0.1, 0.2),
    "inner_brow": (-0.1, 0.2),
    "nostril": (-0.06, 0.12),
    "mouth_corner": (-0.02, 0.03),
}
# The middles of the regions of a usual face: noise is partly a smooth field over them.
_ACROSS = (35, 85, 155, 205, 62, 178, 95, 145, 80, 160, 120, 120, 120)
_DOWN = (35, 32, 32, 35, 70, 70, 130, 130, 190, 190, 180, 205, 235)
_EACH, _FIRST_SUBJECT = 20, 900_000
_GAP, _NEAR = 9, 6


def shapes(subjects: int = 200) -> NDArray[np.float32]:
    """Return (20 · `subjects`, R, 2) how regions move at the apex, face px per mm.

    Twenty expressions of each subject, in turn of the three classes.
    """
    head, rng = load_head(), np.random.default_rng(0)
    rows = []
    for number in range(subjects):
        subject = make_subject(_FIRST_SUBJECT + number)
        still, units = subject.vertices[head.landmarks], subject.units[:, head.landmarks]
        for index in range(_EACH):
            _, _, parts = expression(CLASSES[index % len(CLASSES)], subject, 1.0, rng)
            moved = np.tensordot(np.sum(parts, axis=0), units, 1)
            yaw, pitch = rng.normal(0, 0.12, 2)
            turn = rotation(yaw, pitch, 0.0)
            flat, shift = ((v @ turn.T)[:, :2] * [1, -1] for v in (still, moved))
            seen = shift @ face_transform(flat)[:, :2].T
            rows.append([seen[list(members)].mean(axis=0) for members in REGIONS.values()])
    return np.array(rows, np.float32)


def with_expressions(
    video: Lived, patterns: NDArray[np.float32], per_s: float, rng: Generator
) -> Lived:
    """Return `video` with further expressions where it neither speaks nor moves its head."""
    values, count = video.values.copy(), len(video.values)
    regions = values[:, :-6].reshape(count, -1, 2)
    taken = np.zeros(count, bool)
    for onset, offset, _ in video.events:
        taken[max(0, int(onset) - _GAP) : int(offset) + _GAP + 1] = True
    for first, last in video.busy:
        taken[max(0, int(first)) : int(last) + 1] = True
    events = list(video.events)
    for _ in range(int(rng.poisson(per_s * count / MOMENTS_PER_S))):
        macro = bool(rng.random() < 0.25)
        length = (rng.uniform(0.6, 3.0) if macro else rng.uniform(0.16, 0.5)) * MOMENTS_PER_S
        onset = float(rng.uniform(3, max(4.0, count - length - 3)))
        if taken[max(0, int(onset) - _NEAR) : int(onset + length) + _NEAR + 1].any():
            continue
        taken[max(0, int(onset) - _GAP) : int(onset + length) + _GAP + 1] = True
        size_mm = float(np.exp(rng.uniform(*np.log((1.5, 6.0) if macro else (0.7, 2.5)))))
        shape = patterns[int(rng.integers(len(patterns)))] * size_mm
        regions += _played(count, onset, length, rng, hold=rng.uniform(0, 0.4) * macro) * shape
        events.append((onset, onset + length, "macro" if macro else "micro"))
    values[:, :-6] = regions.reshape(count, -1)
    return Lived(values, tuple(events), video.busy)


def _played(count: int, onset: float, length: float, rng: Generator, hold: float) -> Floats:
    """Return (N, R, 1) the course of one expression in each region, as dense flow shows it."""
    rise = length * rng.uniform(0.35, 0.6)
    gain = rng.uniform(0.3, 0.55) * np.exp(rng.normal(0, 0.25, len(REGIONS)))
    moments = np.arange(count)[:, None]
    start = onset + rng.uniform(0, 0.1, len(REGIONS)) * rise
    top = onset + rise + rng.uniform(-0.05, 0.05, len(REGIONS)) * length
    stop = onset + length - rng.uniform(0, 0.1, len(REGIONS)) * length
    up = np.clip((moments - start) / (top - start), 0, 1)
    down = np.clip((stop - moments) / (stop - top), 0, 1)
    share = np.minimum(1, np.minimum(up, down) * (1 + hold))
    return ((0.5 - 0.5 * np.cos(np.pi * share)) * gain)[..., None]


def disturbed(values: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """Return made curves (N, 2R + 6) as flow between compressed frames would measure them.

    Like measured noise, theirs grows with the time between two moments, and half of it is a
    smooth field over the face; lids smear over what is beside them.
    """
    values, count = values.copy(), len(values)
    regions = values[:, :-6].reshape(count, -1, 2) * rng.uniform(0.55, 1.1)
    regions *= np.exp(rng.normal(0, 0.15, (len(REGIONS), 1)))
    regions[:, list(LIDS)] *= rng.uniform(0.7, 2.2)
    for name, (least, most) in _LEAKS.items():
        leak = rng.uniform(least, most, 2)
        for side, lid in zip(_SIDES, LIDS, strict=True):
            regions[:, _NAMES.index(f"{side}_{name}")] += regions[:, lid] * leak
    level = float(np.exp(rng.uniform(*np.log((0.02, 0.16)))))
    own = np.exp(rng.normal(0, 0.25, (len(REGIONS), 1)))
    own[_LOWER:] *= 1.3
    wander = 1.2 * _wander((count, len(REGIONS), 2), 0.35, rng)
    regions += level * own * (wander + 0.35 * rng.normal(0, 1, regions.shape))
    sizes = np.array([0.3, 0.4, 0.4, 0.7, 0.7, 0.7])[:, None]
    regions += level * np.einsum("ri,tic->trc", _smooth(), _wander((count, 6, 2), 0.3, rng) * sizes)
    values[:, :-6] = regions.reshape(count, -1)
    values[:, -6:] += level * rng.normal(0, 0.3, (count, 6))
    return values


def jittered(values: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """Return measured curves of a face a little larger or smaller, sometimes noisier."""
    values = values.copy()
    values[:, :-6] *= np.exp(rng.normal(0, 0.2))
    if rng.random() < 0.5:
        values[:, :-6] += rng.normal(0, rng.uniform(0, 0.12), values[:, :-6].shape)
    return values


def mirrored(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the curves of the mirrored video: x, roll and yaw turn round, sides swap."""
    values, count = values.copy(), len(values)
    regions = values[:, :-6].reshape(count, -1, 2)[:, _MIRRORED] * [-1, 1]
    values[:, :-6] = regions.reshape(count, -1)
    values[:, -6:] *= [-1, 1, -1, 1, -1, 1]
    return values


def _smooth() -> Floats:
    """Return (R, 6) the monomials up to degree two at the middle of each region."""
    middle = (np.array(FACE_SIZE[::-1]) - 1) / 2
    x, y = ((np.column_stack([_ACROSS, _DOWN]) - middle) / (FACE_SIZE[1] / 2)).T
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def _wander(shape: tuple[int, ...], memory_s: float, rng: Generator) -> Floats:
    """Return a random walk (N, …) of spread 1 that forgets within `memory_s`."""
    keep = float(np.exp(-1 / (memory_s * MOMENTS_PER_S)))
    steps = rng.normal(0, np.sqrt(1 - keep**2), shape)
    steps[0] = rng.normal(0, 1, shape[1:])
    for moment in range(1, len(steps)):
        steps[moment] += keep * steps[moment - 1]
    return steps
