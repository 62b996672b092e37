"""What a face does in a clip: micro-expression, distractor, and the unrest that all faces share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.synthesis.action_units import Action, draw_actions, peak_mm, weights_of
from mecli.synthesis.head import load_head
from mecli.synthesis.wrinkles import DEEPEN

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from mecli.synthesis.identity import Subject

    Floats = NDArray[Any]

FULL_CREASE_MM = 3.5
"""Movement at which a crease is as deep as it gets."""


@dataclass(frozen=True)
class Event:
    """One micro-expression; positions are 0-based inclusive frames."""

    klass: str
    emotion: str
    actions: tuple[Action, ...]
    onset: int
    apex: int
    offset: int
    peak_mm: float

    @property
    def action_units(self) -> str:
        """Return the action units as a sheet writes them."""
        return "+".join(map(str, self.actions))


@dataclass
class Curves:
    """Everything that changes over a clip of T frames."""

    units: Floats
    """(T, U) weights of expression units."""
    pose: Floats
    """(T, 6) yaw, pitch, roll in radians, x, y, z in mm."""
    gaze: Floats
    """(T, 2) yaw and pitch of the eyeballs in radians."""
    creases: dict[str, Floats]
    """(T, 2) depth of each group of creases on image left and right."""
    actions: dict[str, Floats] = field(default_factory=dict)
    """(T,) strength of each action unit in mm at its strongest vertex."""


def blank(count: int) -> Curves:
    """Return `count` frames in which nothing moves."""
    return Curves(
        np.zeros((count, len(load_head().units)), np.float32), np.zeros((count, 6), np.float32),
        np.zeros((count, 2), np.float32),
        {name: np.zeros((count, 2), np.float32) for name in DEEPEN},
    )  # fmt: skip


def pulse(time: Floats, onset: float, apex: float, offset: float, power: float = 1.0) -> Floats:
    """Return a raised cosine that is 0 at `onset` and `offset` and 1 at `apex`."""
    up = np.clip((time - onset) / max(apex - onset, 1e-6), 0, 1)
    down = np.clip((offset - time) / max(offset - apex, 1e-6), 0, 1)
    rise = 0.5 - 0.5 * np.cos(np.pi * np.minimum(up, down))
    return np.asarray(rise**power, np.float32)


def expression(
    klass: str, subject: Subject, peak: float, rng: Generator
) -> tuple[tuple[Action, ...], str, list[Floats]]:
    """Return action units, emotion word, and the unit weights (U,) of each at the apex."""
    actions, emotion = draw_actions(klass, rng)
    parts = [weights_of(a, subject, rng) * rng.uniform(0.55, 1.2) for a in actions]
    scale = peak / max(peak_mm(np.sum(parts, 0), subject), 1e-6)
    return actions, emotion, [part * scale for part in parts]


def add_event(
    curves: Curves, subject: Subject, klass: str, times: tuple[int, int, int], peak: float,
    rng: Generator,
) -> Event:  # fmt: skip
    """Let the face make one micro-expression and say what it was."""
    actions, emotion, parts = expression(klass, subject, peak, rng)
    time = np.arange(len(curves.units), dtype=np.float32)
    onset, apex, offset = times
    for action, part in zip(actions, parts, strict=True):
        early, late = (apex - onset) * 0.12, (offset - apex) * 0.12
        mine = (
            onset + rng.uniform(0, early), apex + rng.uniform(-early, late) * 0.5,
            offset - rng.uniform(0, late),
        )  # fmt: skip
        curve = pulse(time, *mine, power=float(rng.uniform(0.8, 1.3)))
        curves.units += curve[:, None] * part
        strength = peak_mm(part, subject)
        curves.actions[str(action)] = curves.actions.get(str(action), 0) + curve * strength
        deepen(curves, action, curve * strength)
    return Event(klass, emotion, actions, onset, apex, offset, peak)


def deepen(curves: Curves, action: Action, strength_mm: Floats) -> None:
    """Deepen the creases that an action unit folds."""
    depth = np.clip(strength_mm / FULL_CREASE_MM, 0, 1)
    for name, shares in DEEPEN.items():
        share = shares.get(action.unit, 0.0)
        if action.side != "L":
            curves.creases[name][:, 0] += share * depth
        if action.side != "R":
            curves.creases[name][:, 1] += share * depth


def add_blink(curves: Curves, subject: Subject, start: float, fps: float, rng: Generator) -> None:
    """Shut both eyes for 120 to 350 ms, never quite as far as the lid would overshoot."""
    time = np.arange(len(curves.units), dtype=np.float32)
    close, hold, reopen = rng.uniform(0.05, 0.1), rng.uniform(0, 0.05), rng.uniform(0.1, 0.2)
    top = start + close * fps
    down = pulse(time, start, top, top + 1e6)
    up = pulse(time, -1e6, top + hold * fps, top + (hold + reopen) * fps)
    curve = np.where(time < top, down, up) * rng.uniform(0.65, 0.85)
    names = load_head().unit_names
    for side in ("Left", "Right"):
        column = names[f"eyeBlink{side}"]
        curves.units[:, column] = np.maximum(curves.units[:, column], curve)
    before = curves.actions.get("45", np.zeros(len(time), np.float32))
    curves.actions["45"] = np.maximum(before, curve * 15.5).astype(np.float32)


def add_unrest(curves: Curves, subject: Subject, fps: float, rng: Generator) -> None:
    """Add what every face does: drift in six degrees of freedom, tremor, gaze."""
    count = len(curves.pose)
    second = np.arange(count, dtype=np.float32) / fps
    calm = float(rng.uniform(0.4, 1.6))
    for axis in range(6):
        size = (0.006 if axis < 3 else 0.9) * calm
        for rate in (0.25, 0.6, 1.3):
            rate_hz = rate * rng.uniform(0.6, 1.6)
            wave = np.sin(2 * np.pi * (rate_hz * second + rng.random()))
            curves.pose[:, axis] += wave * size * abs(rng.normal()) * (0.3 / rate_hz) ** 0.7
        tremor = np.sin(2 * np.pi * (rng.uniform(6, 11) * second + rng.random()))
        curves.pose[:, axis] += tremor * size * 0.02
    _gaze(curves, second, rng, reach=0.09, rate_hz=0.8)
    for name in ("browInnerUp", "jawOpen", "mouthPressLeft", "mouthPressRight"):
        wave = np.sin(2 * np.pi * (rng.uniform(0.3, 0.9) * second + rng.random()))
        curves.units[:, load_head().unit_names[name]] += (0.004 + 0.004 * wave) * rng.random()


def _gaze(curves: Curves, second: Floats, rng: Generator, reach: float, rate_hz: float) -> None:
    """Add fixations and saccades; the upper lid follows the eye."""
    look = np.zeros_like(curves.gaze) + rng.normal(0, 0.03, 2)
    length = float(second[-1]) if len(second) else 0.0
    for _ in range(int(rng.poisson(rate_hz * length))):
        start, step = rng.uniform(0, length), rng.normal(0, reach, 2) * (1, 0.6)
        ramp = 0.5 - 0.5 * np.cos(np.pi * np.clip((second - start) / rng.uniform(0.03, 0.05), 0, 1))
        look = look + ramp[:, None] * step
    look = np.clip(look, -0.4, 0.4) + rng.normal(0, 0.0006, look.shape)
    curves.gaze += look.astype(np.float32)
    names = load_head().unit_names
    pitch = np.clip(curves.gaze[:, 1], -0.4, 0.4)
    for side in ("Left", "Right"):
        curves.units[:, names[f"eyeLookDown{side}"]] = np.clip(-pitch, 0, 1) * 1.3
        curves.units[:, names[f"eyeLookUp{side}"]] = np.clip(pitch, 0, 1) * 1.3


def add_distractor(curves: Curves, subject: Subject, kind: str, fps: float, rng: Generator) -> None:
    """Move in a way that is no micro-expression, and more than one would."""
    count = len(curves.pose)
    time = np.arange(count, dtype=np.float32)
    middle = rng.uniform(0.35, 0.6) * count
    if kind == "blink":
        for shift in rng.choice([0, -0.45, 0.4], int(rng.integers(1, 4)), replace=False):
            add_blink(curves, subject, middle + shift * fps, fps, rng)
    elif kind == "nod":
        _nod(curves, time, middle, fps, rng)
    elif kind == "talk":
        _talk(curves, subject, time, fps, rng)
    elif kind == "swallow":
        _swallow(curves, subject, time, middle, fps, rng)
    elif kind == "saccade":
        _gaze(curves, time / fps, rng, reach=0.25, rate_hz=4.0)
    else:
        curves.pose += _sway(time / fps, rng)


def _nod(curves: Curves, time: Floats, middle: float, fps: float, rng: Generator) -> None:
    axis = int(rng.choice([1, 0, 2], p=[0.6, 0.3, 0.1]))
    half = rng.uniform(0.18, 0.35) * fps
    turn = rng.uniform(0.04, 0.13) * rng.choice([-1, 1])
    curves.pose[:, axis] += turn * pulse(time, middle - half, middle, middle + half)
    if rng.random() < 0.5:
        again = middle + 1.6 * half
        curves.pose[:, axis] += 0.6 * turn * pulse(time, again - half, again, again + half)
    curves.pose[:, 4] -= np.abs(turn) * 20 * pulse(time, middle - half, middle, middle + half)


def _talk(curves: Curves, subject: Subject, time: Floats, fps: float, rng: Generator) -> None:
    at = rng.uniform(0.05, 0.2) * len(time)
    shapes: list[dict[int, float]] = [{26: 1.0}, {26: 0.5, 20: 0.8}, {26: 0.4, 24: 1}, {25: 1.2}]
    while at < 0.9 * len(time):
        half = rng.uniform(0.06, 0.12) * fps
        curve = pulse(time, at, at + half, at + 2 * half)
        for unit, share in shapes[int(rng.integers(len(shapes)))].items():
            action = Action(unit)
            size = share * rng.uniform(2.5, 6.5)
            part = weights_of(action, subject, rng) * size
            curves.units += curve[:, None] * part
            before = curves.actions.get(str(action), np.zeros(len(time), np.float32))
            curves.actions[str(action)] = before + curve * size
            deepen(curves, action, curve * size)
        at += 2 * half * rng.uniform(0.7, 1.1)


def _swallow(
    curves: Curves, subject: Subject, time: Floats, middle: float, fps: float, rng: Generator
) -> None:
    half = rng.uniform(0.2, 0.35) * fps
    for unit, size in ((17, 2.6), (24, 2.2), (26, 1.2)):
        action = Action(unit)
        curve = pulse(time, middle - half, middle, middle + half) * rng.uniform(0.8, 1.5)
        curves.units += curve[:, None] * weights_of(action, subject, rng) * size
        curves.actions[str(action)] = (curve * size).astype(np.float32)
        deepen(curves, action, curve * size)
    dip = pulse(time, middle - half, middle + 0.2 * half, middle + 1.4 * half)
    curves.pose[:, 1] -= dip * rng.uniform(0.01, 0.03)


def _sway(second: Floats, rng: Generator) -> Floats:
    sway = np.zeros((len(second), 6), np.float32)
    for axis in range(6):
        size = 0.03 if axis < 3 else 4.0
        rate = rng.uniform(0.5, 1.0)
        sway[:, axis] = size * rng.normal() * np.sin(2 * np.pi * (rate * second + rng.random()))
    return sway
