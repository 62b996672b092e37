"""Creases that deepen when the face moves, drawn anew for every subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mecli.synthesis import chart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[Any]

# Which action units deepen which crease: sides that a one-sided movement keeps apart.
DEEPEN: Mapping[str, Mapping[int, float]] = {
    "forehead": {1: 0.8, 2: 1.0, 4: -0.2},
    "glabella": {4: 1.0, 9: 0.5, 7: 0.15},
    "nasion": {9: 1.0, 4: 0.35},
    "crow": {6: 1.0, 12: 0.3, 7: 0.5},
    "under_eye": {6: 0.8, 7: 0.8, 12: 0.2},
    "nasolabial": {12: 1.0, 9: 0.6, 10: 0.9, 6: 0.5, 14: 0.3, 20: 0.3},
    "mouth_corner": {14: 1.0, 15: 0.8, 12: 0.4, 20: 0.6},
    "chin": {17: 1.0, 15: 0.4},
}


def _curve(points: Sequence[tuple[float, float]], rng: Generator, wobble: float) -> Floats:
    """Return a smooth polyline (24, 2) through a few points, a little off each time."""
    knots = np.array(points, np.float64)
    knots += rng.normal(0, wobble, knots.shape)
    t = np.linspace(0, len(knots) - 1, 24)
    degree = min(3, len(knots) - 1)
    at = np.arange(len(knots))
    return np.stack(
        [np.polyval(np.polyfit(at, knots[:, i], degree), t) for i in range(2)], 1
    ).astype(np.float32)


def _mirror(line: Floats) -> Floats:
    return line * np.array([-1, 1], np.float32)


def _pair(line: Floats, width: float, depth: float) -> Floats:
    return chart.furrow(line, width, depth) + chart.furrow(_mirror(line), width, depth)


def draw_wrinkles(rng: Generator) -> dict[str, Floats]:
    """Return the height (mm) of each group of creases, fully deepened, at half resolution."""
    return {
        "forehead": _forehead(rng),
        "glabella": _glabella(rng),
        "nasion": _nasion(rng),
        "crow": _crow(rng),
        "under_eye": _under_eye(rng),
        "nasolabial": _nasolabial(rng),
        "mouth_corner": _mouth_corner(rng),
        "chin": _chin(rng),
    }


def _forehead(rng: Generator) -> Floats:
    total = np.zeros(chart.HALF, np.float32)
    v = rng.uniform(765, 770)
    for _ in range(int(rng.integers(2, 6))):
        reach = rng.uniform(22, 46)
        bow = rng.uniform(-3, 5)
        middle = rng.normal(0, 4)
        points = [(middle + reach * s, v + bow * (1 - s * s)) for s in (-1, -0.5, 0, 0.5, 1)]
        width = rng.uniform(0.6, 1.1)
        total += chart.furrow(_curve(points, rng, 1.0), width, rng.uniform(0.35, 0.8))
        v += rng.uniform(6.5, 11)
    return total


def _glabella(rng: Generator) -> Floats:
    total = np.zeros(chart.HALF, np.float32)
    for side in (-1, 1):
        u = rng.uniform(5, 9)
        points = [(side * u * 0.8, 736), (side * u, 747), (side * (u + 1.5), 757)]
        line = _curve(points, rng, 0.7)
        total += chart.furrow(line, rng.uniform(0.7, 1.1), rng.uniform(0.5, 1.0))
    if rng.random() < 0.4:
        line = _curve([(0, 742), (0.5, 750), (0, 760)], rng, 0.8)
        total += chart.furrow(line, 0.8, rng.uniform(0.3, 0.7))
    return total


def _nasion(rng: Generator) -> Floats:
    total = chart.furrow(_curve([(-8, 734), (0, 736), (8, 734)], rng, 0.6), 0.8, 0.8)
    for _ in range(2):
        v = rng.uniform(713, 728)
        total += _pair(_curve([(6, v), (10, v + 3), (14, v + 4)], rng, 0.6), 0.7, 0.5)
    return total


def _crow(rng: Generator) -> Floats:
    total = np.zeros(chart.HALF, np.float32)
    for _ in range(int(rng.integers(2, 5))):
        angle = rng.uniform(-0.6, 0.6)
        u, v = 47 + rng.uniform(1, 4), 729 + 7 * angle
        length = rng.uniform(8, 16)
        bend = rng.uniform(-2, 2)
        points = [
            (u + length * s * np.cos(angle), v + length * s * np.sin(angle) + bend * s * s)
            for s in (0.0, 0.5, 1.0)
        ]
        total += _pair(_curve(points, rng, 0.4), rng.uniform(0.5, 0.8), rng.uniform(0.35, 0.7))
    return total


def _under_eye(rng: Generator) -> Floats:
    total = np.zeros(chart.HALF, np.float32)
    for drop in (0.0, rng.uniform(3, 5)):
        points = [(19, 721 - drop), (26, 716.5 - drop), (36, 716 - drop), (45, 720 - drop)]
        total += _pair(_curve(points, rng, 0.6), 0.7, rng.uniform(0.25, 0.5))
    return total


def _nasolabial(rng: Generator) -> Floats:
    wide = rng.uniform(-1, 4)
    points = [(19, 692), (26 + wide, 682), (31 + wide, 670), (34 + wide, 657)]
    return _pair(_curve(points, rng, 1.0), rng.uniform(1.1, 1.8), rng.uniform(0.7, 1.3))


def _mouth_corner(rng: Generator) -> Floats:
    points = [(31, 668), (33.5, 661), (32, 653), (29, 645)]
    return _pair(_curve(points, rng, 0.8), rng.uniform(0.9, 1.4), rng.uniform(0.4, 0.9))


def _chin(rng: Generator) -> Floats:
    dimples = chart.noise(rng, rng.uniform(2.0, 3.2)) * chart.bump(0, 628, 12, 8) * 0.22
    small = cv2.resize(dimples, chart.HALF[::-1], interpolation=cv2.INTER_AREA)
    crease = chart.furrow(_curve([(-12, 640), (0, 642), (12, 640)], rng, 0.6), 1.2, 0.6)
    return np.asarray(small + crease, np.float32)
