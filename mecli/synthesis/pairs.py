"""Onset and apex of one micro-expression after the other: the quick way to much training data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from mecli.synthesis.action_units import CLASSES, DISTRACTORS
from mecli.synthesis.camera import project
from mecli.synthesis.film import state_at
from mecli.synthesis.identity import make_subject
from mecli.synthesis.motion import (
    Curves,
    Event,
    add_blink,
    add_distractor,
    add_event,
    add_unrest,
    blank,
)  # fmt: skip
from mecli.synthesis.render import Actor, draw, make_actor, surface
from mecli.synthesis.scene import expose, make_scene
from mecli.synthesis.truth import flow_between, landmarks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[Any]


class Pair(NamedTuple):
    """Two frames of one face and what is true of them."""

    onset: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    apex: NDArray[np.uint8]
    klass: str
    """negative, positive, surprise or none."""
    subject: int
    """Seed of the identity."""
    flow: Floats | None
    """(H, W, 2) px, onset → apex, 0 off the head; None unless asked for."""
    landmarks: Floats
    """(68, 2) px in the onset frame."""
    aus: dict[str, float]
    """Strength of each action unit at the apex, mm at its strongest vertex."""
    emotion: str
    distractor: str
    peak_mm: float


@dataclass(frozen=True)
class PairOptions:
    """What pairs look like."""

    size: tuple[int, int] = (352, 320)
    """(H, W)."""
    mm: tuple[float, float] = (0.2, 2.5)
    none: float = 0.15
    """Share of pairs that show no micro-expression."""
    truth: bool = True
    supersample: float = 1.5
    per_actor: int = 8
    """Pairs of one subject in a row, so that its skin is painted once."""


def pairs(
    subjects: Sequence[int], n: int, seed: int, options: PairOptions | None = None
) -> Iterator[Pair]:
    """Yield `n` pairs of the given subjects (seeds of identities), classes in equal shares.

    Deterministic in `seed` (which draws motion and room) and the subjects' own seeds.
    """
    chosen = options or PairOptions()
    order = np.random.default_rng((seed, 1))
    actor: Actor | None = None
    for index in range(n):
        if index % chosen.per_actor == 0:
            person = subjects[int(order.integers(len(subjects)))]
            if actor is None or actor.subject.seed != person:
                actor = make_actor(make_subject(person))
        assert actor is not None
        yield make_pair(actor, np.random.default_rng((seed, 2, index)), chosen)


FPS = 100.0


def act(
    actor: Actor, klass: str, options: PairOptions, rng: Generator
) -> tuple[Curves, int, int, Event | None, str]:
    """Return curves, first and second position, the event or the distractor."""
    rise = int(rng.integers(5, 26))
    onset = 30
    curves = blank(110)
    add_unrest(curves, actor.subject, FPS, rng)
    peak = float(np.exp(rng.uniform(*np.log(options.mm))))
    jitter = rng.normal(0, 1, 2)
    kind = str(rng.choice(DISTRACTORS))
    event = None
    if klass == "none":
        add_distractor(curves, actor.subject, kind, FPS, rng)
        onset = int(rng.integers(20, 60))
    else:
        kind = ""
        offset = onset + rise + int(rise * rng.uniform(0.7, 1.5))
        event = add_event(curves, actor.subject, klass, (onset, onset + rise, offset), peak, rng)
    if rng.random() < 0.06:
        add_blink(curves, actor.subject, onset + rng.uniform(-15, rise), FPS, rng)
    first = max(onset + int(np.rint(0.06 * rise * jitter[0])), 0)
    return curves, first, onset + rise + int(np.rint(0.06 * rise * jitter[1])), event, kind


def make_pair(actor: Actor, rng: Generator, options: PairOptions) -> Pair:
    """Render one pair."""
    scene_rng, motion_rng, noise_rng = rng.spawn(3)
    is_none = motion_rng.random() < options.none
    klass = "none" if is_none else str(motion_rng.choice(CLASSES))
    curves, first, second, event, kind = act(actor, klass, options, motion_rng)
    scene = make_scene(options.size, scene_rng)
    factor = options.supersample
    big = (round(options.size[0] * factor), round(options.size[1] * factor))
    camera = scene.camera.scaled(factor)
    images, kept = [], []
    for position in (first, second):
        state = state_at(curves, position, scene.rest)
        layer, fragments = draw(actor, state, scene.rest, scene.light, camera, big)
        small = cv2.resize(layer, options.size[::-1], interpolation=cv2.INTER_AREA)
        flicker = 1 + scene.flicker[0] * float(noise_rng.normal())
        images.append(expose(scene, small, flicker, noise_rng))
        kept.append((state, fragments))
    points = [surface(actor, state, scene.rest)[0] for state, _ in kept]
    flow = None
    if options.truth:
        xy = (project(points[0], camera), project(points[1], camera))
        dense, _ = flow_between(kept[0][1], actor.faces, xy, big)
        flow = cv2.resize(dense, options.size[::-1], interpolation=cv2.INTER_AREA) / factor
    return Pair(
        images[0], images[1], klass, actor.subject.seed, flow,
        landmarks(points[0], scene.camera),
        {name: float(c[second]) for name, c in curves.actions.items() if c[second] > 0.02},
        event.emotion if event else "none", kind, event.peak_mm if event else 0.0,
    )  # fmt: skip
