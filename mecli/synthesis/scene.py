"""The room of a clip: lamps, camera, background, and what the sensor makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mecli.synthesis.camera import Camera
from mecli.synthesis.light import Light, make_light

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    Floats = NDArray[Any]


@dataclass(frozen=True)
class Scene:
    """Everything about a clip that does not depend on who is in it or what the face does."""

    size: tuple[int, int]
    """(H, W)."""
    camera: Camera
    light: Light
    rest: Floats
    """(6,) pose of the shoulders, around which the head moves."""
    background: Floats
    """(H, W, 3) display values."""
    shading: Floats
    """(H, W, 3) gain: vignette, exposure, white balance."""
    blur_px: float
    noise: tuple[float, float]
    """Standard deviation in the dark and how much it grows to white, display values."""
    flicker: tuple[float, float]
    """Depth of the lamp's flicker and its frequency after sampling, Hz."""


def make_scene(size: tuple[int, int], rng: Generator) -> Scene:
    """Draw a room; nothing here may depend on the class of the clip."""
    height, width = size
    unit = min(width, height / 1.1)
    scale = rng.uniform(1.18, 1.72) * unit / 320
    centre = (
        width / 2 + rng.normal(0, 0.02) * width, height * 0.54 + rng.normal(0, 0.02) * height,
    )  # fmt: skip
    distance = float(rng.uniform(450, 1600))
    camera = Camera(float(scale), (float(centre[0]), float(centre[1])), distance)
    turn = rng.normal(0, 1, 3) * (0.085, 0.06, 0.035)
    rest = np.array([*np.clip(turn, -0.22, 0.22), 0, 0, 0], np.float32)
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    vignette = 1 - np.float32(rng.uniform(0, 0.7)) * (x * x + y * y)
    cast = np.exp(rng.normal(0, 0.035, 3))
    exposure = np.exp(rng.normal(0.0, 0.1))
    shading = vignette[..., None] * (cast * exposure).astype(np.float32)
    return Scene(
        size, camera, make_light(rng), rest, _background(size, rng), shading.astype(np.float32),
        float(rng.uniform(0.25, 0.8) * unit / 320), _noise(rng),
        (float(rng.exponential(0.004)), float(rng.uniform(0.2, 20))),
    )  # fmt: skip


def _noise(rng: Generator) -> tuple[float, float]:
    dark = float(rng.uniform(0.4, 2.0))
    return dark, float(rng.uniform(0, 1.6))


def _background(size: tuple[int, int], rng: Generator) -> Floats:
    """Paint a wall with texture, a gradient, and sometimes out-of-focus things on it."""
    height, width = size
    colour = np.clip(rng.uniform(50, 220) + rng.normal(0, 7, 3), 20, 240)
    image: Floats = np.zeros((height, width, 3), np.float32) + colour.astype(np.float32)
    for _ in range(int(rng.integers(0, 7))):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        w, h = rng.uniform(0.05, 0.35, 2) * (width, height)
        tint = np.clip(colour + rng.normal(0, 30) + rng.normal(0, 8, 3), 5, 250)
        corners = tuple(int(v) for v in (x - w, y - h)), tuple(int(v) for v in (x + w, y + h))
        cv2.rectangle(image, *corners, tint.tolist(), -1)
    image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(2, 9))), np.float32)
    texture: Floats = np.zeros((height, width), np.float32)
    for cell in (2.0, 5.0, 14.0, 60.0):
        shape = (int(height / cell) + 3, int(width / cell) + 3)
        coarse = rng.standard_normal(shape, dtype=np.float32)
        fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        texture += fine * np.float32(rng.uniform(0.2, 1.3))
    image *= 1 + np.float32(rng.uniform(0.02, 0.06)) * texture[..., None]
    slope = rng.normal(0, 0.12, 2)
    across = np.linspace(-slope[0], slope[0], width, dtype=np.float32) / 2
    down = np.linspace(-slope[1], slope[1], height, dtype=np.float32)[:, None] / 2
    return np.asarray(np.clip(image * (1 + across + down)[..., None], 0, 255), np.float32)


def expose(scene: Scene, layer: Floats, gain: float, rng: Generator) -> NDArray[np.uint8]:
    """Return the photograph (H, W, 3) of a premultiplied layer (H, W, 4) in this room."""
    image = layer[..., :3] + (1 - layer[..., 3:]) * scene.background
    image = cv2.GaussianBlur(image, (0, 0), scene.blur_px) if scene.blur_px > 0.3 else image
    image = image * (scene.shading * np.float32(gain))
    dark, grow = scene.noise
    grain = _grain(image.size, rng).reshape(image.shape)
    image += grain * (np.float32(dark) + np.float32(grow / 255) * image)
    image += np.float32(0.5)
    return np.asarray(np.clip(image, 0, 255, out=image), np.uint8)


@lru_cache(maxsize=1)
def _grain_pool() -> Floats:
    return np.random.default_rng(5).standard_normal(1 << 22, dtype=np.float32)


def _grain(count: int, rng: Generator) -> Floats:
    """Return white noise (count,): a random stretch of a fixed roll, which is quicker to draw."""
    pool = _grain_pool()
    if count > len(pool) // 2:
        return rng.standard_normal(count, dtype=np.float32)
    start = int(rng.integers(len(pool) - count))
    return pool[start : start + count]
