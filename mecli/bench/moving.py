"""Clips that need no files: seeded flow whose class is where the face moves, of real size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mecli.records import ClipRecord
from mecli.rois import ROI_BOXES

if TYPE_CHECKING:
    from collections.abc import Iterator

GRID, STEPS = (70, 60), 16
CLASSES = ("negative", "positive", "surprise")
# Per class: where on the grid (row, column) the face moves, and which way (dx, dy).
_MOVES = ((15, 30, 0.0, 1.0), (50, 22, -1.0, -0.6), (14, 18, 0.0, -1.0))


def moving_clips(clips: int, subjects: int, seed: int = 0) -> Iterator[tuple[ClipRecord, int]]:
    """Yield `clips` records with their class, shared out over `subjects` persons.

    Flow (16, 70, 60, 2) grows from rest to a bump of 0.5 to 2 face pixels with noise.
    """
    y, x = np.meshgrid(np.arange(GRID[0]), np.arange(GRID[1]), indexing="ij")
    rise = np.linspace(0, 1, STEPS, dtype=np.float32)[:, None, None, None]
    for number in range(clips):
        random = np.random.default_rng((seed, number))
        label = int(random.integers(len(_MOVES)))
        row, column, dx, dy = _MOVES[label]
        where = np.exp(-((y - row) ** 2 + (x - column) ** 2) / random.uniform(40, 90))
        apex = where[..., None] * np.array([dx, dy]) * random.uniform(0.5, 2.0)
        apex = (apex + random.normal(0, 0.08, apex.shape)).astype(np.float32)
        subject, name = f"s{number * subjects // clips:04d}", f"c{number:05d}"
        record = ClipRecord(
            clip_id=f"bench/{subject}/{name}",
            corpus="bench",
            subject=subject,
            name=name,
            flow=rise * apex,
            apex_flow=apex,
            roi_boxes=ROI_BOXES.copy(),
        )
        yield record, label
