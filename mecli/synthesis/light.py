"""Lamps and the light that arrives at every vertex, with soft shadows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.synthesis.head import load_head

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[Any]


@dataclass(frozen=True)
class Light:
    """Radiance over the directions of `Head.directions`, and the lamps that give highlights."""

    radiance: Floats
    """(D, 3) linear RGB."""
    lamps: Floats
    """(2, 3) unit vectors towards the two lamps."""
    lamp_colour: Floats
    """(2, 3) linear RGB."""


def make_light(rng: Generator) -> Light:
    """Draw an ambient sky and two broad lamps, white-balanced up to a small cast."""
    directions = load_head().directions
    key = _direction(rng.uniform(-0.9, 0.9), rng.uniform(0.1, 0.85))
    fill = _direction(-np.sign(key[0]) * rng.uniform(0.3, 1.2), rng.uniform(-0.1, 0.6))
    warm = rng.normal(0, 0.05)
    cast = np.array([1 + warm, 1 + rng.normal(0, 0.012), 1 - warm])
    other = np.array([1 - warm, 1.0, 1 + warm]) * rng.uniform(0.15, 0.6)
    colours = np.stack([cast * rng.uniform(0.7, 1.1), other])
    ambient = rng.uniform(0.18, 0.5)
    up = 0.5 + 0.5 * directions[:, 1:2]
    radiance = ambient * (0.35 + 0.65 * up) * np.array([0.96, 1.0, 1.04])
    for lamp, colour in zip((key, fill), colours, strict=True):
        tight = rng.uniform(5, 22)
        lobe = np.exp(tight * (directions @ lamp - 1))
        reach = float(np.clip(directions[:, 2], 0, None) @ lobe)
        radiance = radiance + lobe[:, None] * colour * (0.3 * len(directions) / max(reach, 1e-3))
    facing = np.clip(directions[:, 2], 0, 1)[:, None]
    level = (radiance * facing).sum(0).mean()
    return Light(
        (radiance / level).astype(np.float32), np.stack([key, fill]).astype(np.float32),
        colours.astype(np.float32),
    )  # fmt: skip


def _direction(yaw: float, pitch: float) -> Floats:
    return np.array(
        [np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)], np.float32
    )


def irradiance(normal: Floats, light: Light, rows: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return diffuse light (N, 3) and its mean direction times strength (N, 3).

    `normal` (N, 3) are those of the head's vertices `rows` (N,).
    """
    head = load_head()
    facing = normal @ head.directions.T
    seen = head.visibility[rows]
    reaching = seen * (facing > 0) * light.radiance.mean(1)
    # Light bleeds a little past the terminator, as it does under real skin.
    facing += np.float32(0.12)
    facing *= np.float32(1 / 1.12)
    np.maximum(facing, 0, out=facing)
    facing *= seen
    return facing @ light.radiance, reaching @ head.directions


def highlights(normal: Floats, light: Light, rows: NDArray[np.int64]) -> Floats:
    """Return the strength of the lamps' reflections (N,), shadows included."""
    head = load_head()
    total = np.zeros(len(normal), np.float32)
    view = np.array([0, 0, 1], np.float32)
    for lamp, colour in zip(light.lamps, light.lamp_colour, strict=True):
        half = (lamp + view) / np.linalg.norm(lamp + view)
        nearest = np.argsort(-(head.directions @ lamp))[:4]
        seen = head.visibility[np.ix_(rows, nearest)].mean(1)
        shine = np.clip(normal @ half, 0, 1) ** 8
        total += colour.mean() * seen * (0.75 * shine**3 + 0.25 * shine)
    fresnel = 1 + 1.5 * (1 - np.clip(normal[:, 2], 0, 1)) ** 3
    return (total * fresnel).astype(np.float32)


def unshadowed(normal: Floats, light: Light) -> Floats:
    """Return diffuse light (N, 3) for unit normals (N, 3) that nothing stands in front of."""
    directions = load_head().directions
    return np.asarray(np.clip(normal @ directions.T, 0, None) @ light.radiance, np.float32)
