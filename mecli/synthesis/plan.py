"""What each clip will show, drawn before anything is rendered and independent of how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mecli.synthesis.action_units import CLASSES, DISTRACTORS
from mecli.synthesis.motion import (
    Curves,
    Event,
    add_blink,
    add_distractor,
    add_event,
    add_unrest,
    blank,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator

    from mecli.synthesis.identity import Subject

_BLINKS_PER_S = 0.3
_REST_S = 0.3
"""Between a micro-expression and whatever else moves in a long clip."""
_PASTIME_S = (1.2, 3.0)
_TAPER_S = 0.3
LEAST_SLOT_S = 1.0
"""Of a long clip per event and one more, so that no two of them meet."""


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """One clip to render; positions are 0-based inclusive frames, one triple per event."""

    name: str
    subject: int
    """Number of the subject, from 1."""
    identity: int
    """Seed of the subject's looks and way of moving."""
    motion: int
    """Seed of everything else: motion, room, noise."""
    klass: str
    fps: float
    frames: int
    size: tuple[int, int]
    """(H, W)."""
    times: tuple[tuple[int, int, int], ...]
    classes: tuple[str, ...]
    peaks_mm: tuple[float, ...]
    distractor: str
    long: bool = False
    between: tuple[tuple[int, int, str], ...] = ()
    """First frame, frame after the last and kind of what else moves in a long clip."""


def seed_of(*parts: int) -> int:
    """Return one seed made of several, the same on every machine."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def identity_seed(seed: int, number: int) -> int:
    """Return the seed of subject `number` in the crowd `seed`."""
    return seed_of(seed, number, 11)


def class_cycle(classes: Sequence[str], count: int, rng: Generator) -> list[str]:
    """Return `count` classes in random order, each as often as the others (±1)."""
    rounds = -(-count // len(classes)) if count else 0
    drawn = [str(c) for _ in range(rounds) for c in rng.permutation(list(classes))]
    return drawn[:count]


def plan_clip(
    name: str, number: int, identity: int, motion: int, klass: str, fps: float,
    size: tuple[int, int], mm: tuple[float, float],
) -> ClipPlan:  # fmt: skip
    """Draw length, moments and amplitude; none of them depends on the class."""
    rng = np.random.default_rng((motion, 1))
    lead, tail = rng.uniform(0.2, 0.45, 2) * fps
    rise = max(rng.uniform(0.06, 0.26) * fps, 2.0)
    fall = max(min(rise * rng.uniform(0.7, 1.6), 0.5 * fps - rise), 2.0)
    onset = round(lead)
    apex = onset + max(round(rise), 2)
    offset = apex + max(round(fall), 2)
    frames = offset + max(round(tail), 1) + 1
    peak = float(np.exp(rng.uniform(*np.log(mm))))
    kind = str(rng.choice(DISTRACTORS))
    shown = klass in CLASSES
    return ClipPlan(
        name, number, identity, motion, klass, fps, frames, size,
        ((onset, apex, offset),) if shown else (), (klass,) if shown else (),
        (round(peak, 2),) if shown else (), "" if shown else kind,
    )  # fmt: skip


def plan_long(
    name: str, number: int, identity: int, motion: int, fps: float, size: tuple[int, int],
    mm: tuple[float, float], seconds: float, events: tuple[int, int],
) -> ClipPlan:  # fmt: skip
    """Draw a long recording: some micro-expressions, and blinks, talk and turns between.

    `events` is the least and the greatest number of micro-expressions.
    """
    rng = np.random.default_rng((motion, 1))
    frames = round(seconds * fps)
    shown = int(rng.integers(events[0], events[1] + 1))
    slot = frames / (shown + 1)
    times, peaks = [], []
    for index in range(shown):
        rise = max(round(rng.uniform(0.08, 0.26) * fps), 2)
        fall = max(min(round(rise * rng.uniform(0.7, 1.5)), round(0.5 * fps) - rise), 2)
        start = round((index + rng.uniform(0.3, 0.7)) * slot)
        times.append((start, start + rise, start + rise + fall))
        peaks.append(round(float(np.exp(rng.uniform(*np.log(mm)))), 2))
    classes = class_cycle(CLASSES, shown, rng)
    return ClipPlan(
        name, number, identity, motion, "long", fps, frames, size, tuple(times), tuple(classes),
        tuple(peaks), "", True, _pastimes(times, frames, fps, rng),
    )  # fmt: skip


def _pastimes(
    times: Sequence[tuple[int, int, int]], frames: int, fps: float, rng: Generator
) -> tuple[tuple[int, int, str], ...]:
    """Fill the time between events with what is none; the last of it is talk."""
    rest = round(_REST_S * fps)
    first, last = round(_PASTIME_S[0] * fps), frames - rest
    starts = [rest, *(offset + rest for _, _, offset in times)]
    stops = [*(onset - rest for onset, _, _ in times), last]
    spans = []
    for start, stop in zip(starts, stops, strict=True):
        at = start
        while stop - at >= first:
            end = min(at + round(rng.uniform(*_PASTIME_S) * fps), stop)
            spans.append((at, end))
            at = end + round(rng.uniform(0.2, 0.8) * fps)
    kinds = class_cycle(DISTRACTORS, len(spans), rng)
    return tuple(
        (start, end, "talk" if (start, end) == spans[-1] else kind)
        for (start, end), kind in zip(spans, kinds, strict=True)
    )


def perform(plan: ClipPlan, subject: Subject) -> tuple[Curves, tuple[Event, ...]]:
    """Let the subject act out a plan."""
    rng = np.random.default_rng((plan.motion, 2))
    unrest, acting, blinking = rng.spawn(3)
    curves = blank(plan.frames)
    add_unrest(curves, subject, plan.fps, unrest)
    events = tuple(
        add_event(curves, subject, klass, times, peak, acting)
        for klass, times, peak in zip(plan.classes, plan.times, plan.peaks_mm, strict=True)
    )
    if plan.distractor:
        add_distractor(curves, subject, plan.distractor, plan.fps, acting)
    for first, stop, kind in plan.between:
        part = blank(stop - first)
        add_distractor(part, subject, kind, plan.fps, acting)
        _insert(curves, part, first, max(round(_TAPER_S * plan.fps), 1))
    _blink(curves, subject, plan, blinking)
    return curves, events


def _blink(curves: Curves, subject: Subject, plan: ClipPlan, rng: Generator) -> None:
    """Blink now and then, seldom during a micro-expression."""
    length = plan.frames / plan.fps
    for start in rng.uniform(0, plan.frames, int(rng.poisson(_BLINKS_PER_S * length))):
        clear = all(
            start > offset or start + 0.3 * plan.fps < onset for onset, _, offset in plan.times
        )
        if rng.random() < 0.1 or clear:
            add_blink(curves, subject, float(start), plan.fps, rng)


def _insert(curves: Curves, part: Curves, first: int, taper: int) -> None:
    """Add a part from frame `first` on, faded in and out over `taper` frames."""
    count = len(part.pose)
    span = slice(first, first + count)
    # A movement that the part cuts short would else end in a jump, which no face makes.
    edge = np.minimum(np.arange(1, count + 1), np.arange(count, 0, -1)) / taper
    fade = (0.5 - 0.5 * np.cos(np.pi * np.minimum(edge, 1))).astype(np.float32)
    curves.units[span] += part.units * fade[:, None]
    curves.pose[span] += part.pose * fade[:, None]
    curves.gaze[span] += part.gaze * fade[:, None]
    for name, depth in part.creases.items():
        curves.creases[name][span] += depth * fade[:, None]
    for name, strength in part.actions.items():
        whole = curves.actions.setdefault(name, np.zeros(len(curves.pose), np.float32))
        whole[span] += strength * fade
