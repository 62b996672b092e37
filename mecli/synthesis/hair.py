"""Hair on the head and brows: where it grows, how it is combed, what colour it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mecli.synthesis import chart
from mecli.synthesis.chart import grid, noise, smoothstep

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from mecli.synthesis.identity import Looks

    Floats = NDArray[Any]

_COLOURS = np.array(
    [(22, 18, 17), (38, 27, 22), (62, 42, 30), (95, 66, 44), (140, 104, 66), (176, 142, 94),
     (130, 62, 34), (150, 148, 146), (205, 203, 200)], np.float32,
)  # fmt: skip


@dataclass(frozen=True)
class Hair:
    """Cover and strands over the sheet of `chart`, and the volume above the scalp."""

    cover: Floats
    """(H, W) 0..1."""
    strands: Floats
    """(H, W) about -1..1."""
    colour: Floats
    """(3,) linear."""
    brow_colour: Floats
    line: tuple[float, float, float, float]
    """Hairline: middle height (mm), temple recess (mm), sideburn end (mm), fringe waviness."""
    top_mm: float
    side_mm: float
    length_mm: float
    """How far it falls below the ears; 0 for short hair."""


def hairline(u: Floats, line: tuple[float, float, float, float]) -> Floats:
    """Return the height v (mm) above which hair grows at each chart position u (mm)."""
    middle, recess, sideburn, wave = line
    a = np.abs(u)
    front = middle + recess * np.exp(-(((a - 48) / 16) ** 2)) - 0.0065 * a**2
    front = front + wave * np.sin(u / 9.0)
    return np.asarray(sideburn + (front - sideburn) * smoothstep(a, 102, 76), np.float32)


def _linear(srgb: Floats) -> Floats:
    return np.asarray((srgb / 255.0) ** 2.2, np.float32)


def _colour(looks: Looks, rng: Generator) -> Floats:
    if looks.age > 0.5 and rng.random() < 0.5:
        pick = int(rng.integers(7, 9))
    elif looks.tone > 0.5:
        pick = int(rng.integers(0, 2))
    else:
        pick = int(rng.choice(7, p=(0.2, 0.2, 0.2, 0.15, 0.12, 0.07, 0.06)))
    return np.asarray(_COLOURS[pick] * (1 + rng.normal(0, 0.08)) + rng.normal(0, 3, 3))


def paint_hair(looks: Looks, rng: Generator) -> Hair:
    """Draw a haircut."""
    u, v = grid()
    srgb = np.clip(_colour(looks, rng), 6, 240).astype(np.float32)
    long = (not looks.male and rng.random() < 0.65) or (looks.male and rng.random() < 0.05)
    line = (
        float(rng.uniform(803, 818) + (10 * rng.random() * looks.age if looks.male else 0)),
        float(rng.uniform(0, 6) + (8 * rng.random() if looks.male else 0)),
        float(rng.uniform(705, 735)),
        float(rng.uniform(0, 1.2)),
    )
    shaved = looks.male and not long and rng.random() < 0.18
    cut = (0.5, 0.5) if shaved else (float(rng.uniform(4, 16)), float(rng.uniform(1.5, 7)))
    fine = noise(rng, 0.8, 6.0) * (0.8 if shaved else 2.6)
    ragged = fine + noise(rng, 3.0, 2.5) * 1.6 + noise(rng, 9) * 1.8
    fringe = float(rng.uniform(0, 26)) if rng.random() < 0.3 and not shaved else 0.0
    low = hairline(u, line) - fringe * smoothstep(np.abs(u) + 0 * v, 62, 40)
    cover = smoothstep(v - low + ragged, -2.0, 6.0)
    cover *= smoothstep(v, 600, 640)
    strands = _combed(rng, fringe > 0)
    if shaved:
        grain = smoothstep(noise(rng, 0.5), -0.8, 1.0)
        cover = cover * (0.35 + 0.5 * grain) * float(rng.uniform(0.5, 1.0))
    brow = _linear(srgb * 0.75 if srgb.mean() > 60 else srgb)
    fall = float(rng.uniform(25, 150)) if long else 0.0
    return Hair(cover.astype(np.float32), strands, _linear(srgb), brow, line, *cut, fall)


def _combed(rng: Generator, fringe: bool) -> Floats:
    """Return strands (H, W): noise stretched along the direction the hair is combed in."""
    u, v = grid()
    raw = 0.7 * noise(rng, 0.8, 26.0) + 0.5 * noise(rng, 2.6, 30.0) + 0.25 * noise(rng, 0.5, 8.0)
    parting = 0.0 if fringe else float(rng.uniform(-32, 32))
    sweep = 0.0 if fringe else float(rng.uniform(0.2, 1.3))
    lean = sweep * np.tanh((u - parting) / 18.0)
    shift = lean * np.clip(v - 770, 0, 140) + 6 * np.sin(v / 23.0) * rng.uniform(0, 0.5)
    columns = (u + shift - chart.LEFT) * chart.PX_PER_MM
    rows = (chart.TOP - v) * chart.PX_PER_MM + 0 * u
    return cv2.remap(
        raw, columns.astype(np.float32), rows.astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )  # fmt: skip


def paint_brows(looks: Looks, hair: Hair, rng: Generator) -> Floats:
    """Return the cover (H, W) of both brows, strand by strand."""
    thick = float(rng.uniform(2.2, 4.6) * (1.15 if looks.male else 0.8))
    arch = float(rng.uniform(-1.0, 4.0))
    count = int(rng.integers(130, 300))
    reach = (float(rng.uniform(9, 14)), float(rng.uniform(49, 56)))
    base = float(rng.normal(745.5, 1.0))
    lines, strength = [], []
    for side in (-1.0, 1.0):
        s = rng.uniform(0, 1, count) ** 0.9
        across = rng.normal(0, 0.5, count)
        u = reach[0] + (reach[1] - reach[0]) * s
        middle = base + (4.5 + arch) * np.sin(np.pi * np.clip(s * 0.78 + 0.06, 0, 1)) - 4.5 * s**3
        width = thick * np.clip(1.15 - s, 0.18, 1) ** 0.7
        v = middle + across * width
        angle = np.radians(78 - 80 * np.clip(s * 1.25, 0, 1) - 24 * across)
        angle = angle + rng.normal(0, 0.16, count)
        length = rng.uniform(2.6, 5.2, count) * np.clip(1.2 - 0.5 * s, 0.5, 1.2)
        end_u, end_v = u + length * np.cos(angle), v + length * np.sin(angle) * 0.75
        for start, stop, value in zip(
            np.stack([u * side, v], 1), np.stack([end_u * side, end_v], 1),
            rng.uniform(0.35, 0.95, count), strict=True,
        ):  # fmt: skip
            bend = (start + stop) / 2 + np.array([0, 0.25])
            lines.append(np.stack([start, bend, stop]).astype(np.float32))
            strength.append(float(value))
    cover = chart.strokes(lines, strength)
    shadow = cv2.GaussianBlur(cover, (0, 0), 2.2) * float(rng.uniform(0.35, 0.8))
    return np.clip(cover * float(rng.uniform(0.7, 1.0)) + shadow, 0, 0.95).astype(np.float32)
