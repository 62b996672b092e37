"""People who do not exist: one seed gives one head, its own way of moving, and its looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.synthesis.head import EYE, SKIN, load_head

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[Any]

_LIDS = (((37, 38), (41, 40)), ((43, 44), (47, 46)))
"""Landmarks of upper and lower lid, image left first."""
_FACE_SHAPES = ("diamond", "invertedtriangular", "oval", "rectangular", "round", "square",
                "triangular")  # fmt: skip


@dataclass(frozen=True)
class Looks:
    """What is painted rather than modelled."""

    male: bool
    age: float
    """0 (young adult) .. 1 (old)."""
    tone: float
    """Melanin, 0 (pale) .. 1 (dark)."""
    seed: int


@dataclass(frozen=True)
class Subject:
    """One identity: neutral geometry and expression units of its own, in mm."""

    seed: int
    vertices: Floats
    """(N, 3) neutral face."""
    units: Floats
    """(U, N, 3) offsets, perturbed for this subject, in the order of `Head.unit_names`."""
    gain: Floats
    """(2, 64) factor on each action unit, for image left and right."""
    eyes: Floats
    """(2, 3) centres of the eyeballs, image left first."""
    looks: Looks


def make_subject(seed: int) -> Subject:
    """Draw the identity of `seed`; the same seed gives the same person everywhere."""
    head = load_head()
    rng = np.random.default_rng((seed, 101))
    male = bool(rng.random() < 0.5)
    age = float(rng.beta(1.1, 2.2))
    ethnicity = rng.dirichlet((0.4, 0.4, 0.4))
    weights = np.zeros(len(head.targets), np.float32)
    _macro(weights, ethnicity, male, age, rng)
    _details(weights, rng)
    offset = np.tensordot(weights, head.targets, 1)
    vertices = _centred(head.vertices + offset, head.vertices)
    tone = float(np.clip(ethnicity @ (0.85, 0.3, 0.15) + rng.normal(0, 0.14), 0, 1))
    eyes = np.stack([
        vertices[(head.vertex_part == EYE) & (np.sign(head.vertices[:, 0]) == side)].mean(0)
        for side in (-1, 1)
    ])  # fmt: skip
    return Subject(
        seed, vertices, _own_units(vertices, rng), _own_gain(rng), eyes.astype(np.float32),
        Looks(male, age, tone, seed),
    )  # fmt: skip


def _macro(
    weights: Floats, ethnicity: NDArray[np.float64], male: bool,
    age: float, rng: Generator,
) -> None:  # fmt: skip
    sex = "male" if male else "female"
    other = "female" if male else "male"
    mix = float(rng.uniform(0.75, 1.0))
    old = 0.75 * age
    heaviness = float(rng.uniform(-0.8, 0.8))
    index = load_head().target_names
    for kind, share in zip(("african", "asian", "caucasian"), ethnicity, strict=True):
        for who, part in ((sex, mix), (other, 1 - mix)):
            weights[index[f"macrodetails/{kind}-{who}-young"]] += share * part * (1 - old)
            weights[index[f"macrodetails/{kind}-{who}-old"]] += share * part * old
    build = "maxweight" if heaviness > 0 else "minweight"
    for stage, part in (("young", 1 - old), ("old", old)):
        name = f"macrodetails/universal-{sex}-{stage}-averagemuscle-{build}"
        weights[index[name]] += abs(heaviness) * part


def _details(weights: Floats, rng: Generator) -> None:
    """Add a few dozen local features, the same on both sides up to a small asymmetry."""
    index = load_head().target_names
    shape = rng.choice(_FACE_SHAPES)
    weights[index[f"head/head-{shape}"]] += rng.uniform(0, 0.45)
    for name, at in index.items():
        group, _, rest = name.partition("/")
        if group == "macrodetails" or rest.startswith("head-trans"):
            continue
        if group == "asym":
            if rng.random() < 0.12:
                weights[at] += rng.uniform(0, 0.35)
            continue
        if rest.startswith("r-"):
            continue
        if rng.random() > 0.28:
            continue
        limit = 0.22 if "nubian" in rest or "scale-vert" in rest or group == "head" else 0.55
        amount = abs(rng.normal(0, limit / 1.6))
        amount = min(amount, limit)
        weights[at] += amount
        if rest.startswith("l-"):
            weights[index[f"{group}/r-{rest[2:]}"]] += amount * rng.uniform(0.8, 1.2)


def _centred(vertices: Floats, neutral: Floats) -> Floats:
    """Put the eyes back where the neutral head has them, and most of the size."""
    head = load_head()
    eyes = [head.landmarks[36:42], head.landmarks[42:48]]
    ours = np.stack([vertices[e].mean(0) for e in eyes])
    theirs = np.stack([neutral[e].mean(0) for e in eyes])
    ratio = np.linalg.norm(theirs[1] - theirs[0]) / np.linalg.norm(ours[1] - ours[0])
    scale = float(ratio) ** 0.6
    return np.asarray((vertices - ours.mean(0)) * scale + theirs.mean(0), np.float32)


def _own_units(vertices: Floats, rng: Generator) -> Floats:
    """Vary the expression units: smooth gain and turn of the offsets over the face."""
    head = load_head()
    neutral = (head.vertices, vertices)
    skin = np.flatnonzero(head.vertex_part == SKIN)
    places = head.vertices[rng.choice(skin[head.vertices[skin, 2] > 60], 10, replace=False)]
    distance = ((head.vertices[:, None] - places[None]) ** 2).sum(-1)
    bump = np.exp(-distance / (2 * 28.0**2)).astype(np.float32)
    count = len(head.units)
    gain = np.exp(rng.normal(0, 0.3, (count, 10)).astype(np.float32) @ bump.T)
    turn = rng.normal(0, 0.22, (count, 10)).astype(np.float32) @ bump.T
    cos, sin = np.cos(turn) * gain, np.sin(turn) * gain
    units = np.empty_like(head.units)
    units[..., 0] = head.units[..., 0] * cos - head.units[..., 1] * sin
    units[..., 1] = head.units[..., 0] * sin + head.units[..., 1] * cos
    units[..., 2] = head.units[..., 2] * gain
    # Lids must meet: what opens and shuts the eye stays as it is, to the size of the eye.
    for name, at in head.unit_names.items():
        if name.startswith(("eyeBlink", "eyeLook")):
            units[at] = head.units[at]
        if name.startswith("eyeBlink"):
            upper, lower = (list(lid) for lid in _LIDS["Left" in name])
            gaps = [v[head.landmarks[upper], 1] - v[head.landmarks[lower], 1] for v in neutral]
            units[at] *= np.clip(gaps[1].mean() / gaps[0].mean(), 0.4, 1.2)
    rigid = head.vertex_part == EYE
    units[:, rigid] = head.units[:, rigid]
    return units


def _own_gain(rng: Generator) -> Floats:
    """Return how strongly this subject moves each action unit on either side."""
    both = np.exp(rng.normal(0, 0.25, 64))
    lean = rng.normal(0, 0.12, 64)
    return np.stack([both * (1 - lean), both * (1 + lean)]).astype(np.float32)
