"""A textured face-sized picture that moves by known similarities, and where its landmarks are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.test_rois import upright_landmarks

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

HEIGHT, WIDTH = 300, 320
CENTRE = np.array([160.0, 150.0])
LANDMARKS = (0.62 * (upright_landmarks() - [120, 140]) + CENTRE).astype(np.float32)


def similarity(
    angle_deg: float = 0.0, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.float64]:
    """The (2, 3) similarity about `CENTRE` that is followed by `shift`."""
    angle = np.deg2rad(angle_deg)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, CENTRE + shift - turn @ CENTRE])


def apply(transform: NDArray[np.floating], points: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(points @ transform[:, :2].T + transform[:, 2], dtype=np.float64)


class Scene:
    """A textured picture known at every real place, so that it moves without resampling."""

    def __init__(self, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        pace = 2 * np.pi / random.uniform(9, 60, 40)
        angle = random.uniform(0, 2 * np.pi, 40)
        self.waves = pace[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        self.phases = random.uniform(0, 2 * np.pi, 40)
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
        self.grid = np.stack([x, y], axis=-1).reshape(-1, 2)

    def show(
        self,
        to_onset: NDArray[np.float64],
        local: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
        noise: float = 1.0,
        seed: int = 0,
    ) -> NDArray[np.uint8]:
        """The frame whose pixels `to_onset` maps to the scene; `local` moves it there too."""
        places = apply(to_onset, self.grid)
        if local is not None:
            places = places - local(places)
        light = np.sin(places @ self.waves.T + self.phases).sum(axis=1).reshape(HEIGHT, WIDTH)
        grain = np.random.default_rng(seed).normal(0, noise, light.shape)
        return np.asarray(np.clip(np.rint(128 + 14 * light + grain), 0, 255), dtype=np.uint8)
