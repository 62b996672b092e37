"""Rendered faces that move one action unit, and where its exact motion field lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mecli.clips import Clip, Held
from mecli.landmarks.choose import choose
from mecli.preprocess import preprocess
from mecli.recipe import Recipe
from mecli.rois import FACE_SIZE, ROI_NAMES
from mecli.synthesis.action_units import CLASSES
from mecli.synthesis.film import state_at
from mecli.synthesis.identity import make_subject
from mecli.synthesis.motion import add_event, add_unrest, blank
from mecli.synthesis.plan import identity_seed
from mecli.synthesis.render import Actor, draw, make_actor
from mecli.synthesis.scene import expose, make_scene
from mecli.synthesis.truth import flow_truth

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mecli.records import ClipRecord
    from mecli.synthesis.motion import Curves

_FPS, _LENGTH = 100.0, 110
_SIZE, _SCALE = (352, 320), 1.5
_PER_ACTOR = 10


def single_actions(count: int, seed: int) -> Iterator[tuple[ClipRecord, dict[str, float]]]:
    """Yield records of onset and apex, and the share of the true motion that each ROI holds.

    Heads turn and sway as they do; the true field is that of the action unit alone.
    """
    landmarker = choose("embedded")
    for number in range(count):
        if number % _PER_ACTOR == 0:
            actor = make_actor(make_subject(identity_seed(seed, number // _PER_ACTOR)))
        random = np.random.default_rng((seed, number))
        scene = make_scene(_SIZE, random)
        acted, alone, moments = _curves(actor, CLASSES[number % 3], random)
        images = []
        for moment in moments:
            state = state_at(acted, moment, scene.rest)
            size = (round(_SIZE[0] * _SCALE), round(_SIZE[1] * _SCALE))
            camera = scene.camera.scaled(_SCALE)
            layer, _ = draw(actor, state, scene.rest, scene.light, camera, size)
            small = cv2.resize(layer, _SIZE[::-1], interpolation=cv2.INTER_AREA)
            images.append(expose(scene, small, 1.0, random))
        held = Held(np.stack(images), _FPS)
        clip = Clip("au", "s", f"c{number}", (), onset=0, apex=1, offset=1, fps=_FPS, held=held)
        record = preprocess(clip, Recipe(steps=2), landmarker)
        first, second = (state_at(alone, moment, scene.rest) for moment in moments)
        flow, _ = flow_truth(actor, (first, second), scene)
        yield record, _shares(np.linalg.norm(flow, axis=-1), record)


def _curves(
    actor: Actor, klass: str, random: np.random.Generator
) -> tuple[Curves, Curves, tuple[int, int]]:
    """Return a face at rest that moves one action unit, that unit alone, onset and apex."""
    rise = int(random.integers(6, 26))
    times = (30, 30 + rise, 30 + 2 * rise)
    peak = float(np.exp(random.uniform(*np.log((0.7, 2.5)))))
    units = "+"
    while "+" in units:
        seed = int(random.integers(1 << 30))
        alone = blank(_LENGTH)
        event = add_event(alone, actor.subject, klass, times, peak, np.random.default_rng(seed))
        units = event.action_units
    acted = blank(_LENGTH)
    add_unrest(acted, actor.subject, _FPS, random)
    add_event(acted, actor.subject, klass, times, peak, np.random.default_rng(seed))
    return acted, alone, times[:2]


def _shares(lengths: Any, record: ClipRecord) -> dict[str, float]:
    face = cv2.warpAffine(lengths, record.transforms[0], FACE_SIZE[::-1])
    boxes = record.roi_boxes.astype(int).tolist()
    held = [float(face[y0:y1, x0:x1].sum()) for x0, y0, x1, y1 in boxes]
    return {name: share / sum(held) for name, share in zip(ROI_NAMES, held, strict=True)}
