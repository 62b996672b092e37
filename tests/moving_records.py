"""Clip records whose flow is known: each class moves its own region, each subject its own way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mecli import cache
from mecli.records import ClipRecord
from mecli.rois import ROI_BOXES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

EMOTIONS = ("anger", "happiness", "surprise")
# Per class: rows and columns of the 14×12 grid that move, and where to (dx, dy).
_MOVES = (
    (slice(1, 5), slice(2, 10), 0.0, 1.0),
    (slice(9, 12), slice(3, 9), 1.0, -1.0),
    (slice(1, 5), slice(1, 11), 0.0, -1.0),
)


def record(
    subject: str, name: str, label: int, *, steps: int = 4, rgb: bool = True, corpus: str = "made"
) -> ClipRecord:
    """Return one clip of class `label`; noise hangs on subject and name alone."""
    chance = np.random.default_rng([*f"{subject}/{name}".encode()])
    rows, columns, dx, dy = _MOVES[label]
    apex = chance.normal(0, 0.1, (14, 12, 2))
    apex[rows, columns] += np.array([dx, dy]) * chance.uniform(0.8, 1.6)
    rise = np.linspace(0, 1, steps) if steps > 1 else np.ones(1)
    flow = (rise[:, None, None, None] * apex).astype(np.float32)
    frames = chance.integers(0, 60, (steps if rgb else 0, 6, 48, 48, 3)) + 60 * label
    return ClipRecord(
        clip_id=f"{corpus}/{subject}/{name}",
        corpus=corpus,
        subject=subject,
        name=name,
        labels={"emotion": EMOTIONS[label]},
        onset=0,
        offset=steps - 1,
        flow=flow,
        apex_flow=apex.astype(np.float32),
        roi_frames=frames.astype(np.uint8),
        roi_boxes=ROI_BOXES.copy(),
        steps=np.arange(steps, dtype=np.float32),
    )


def records(subjects: int = 4, clips: int = 3) -> list[ClipRecord]:
    """Return `clips` clips of each of `subjects` subjects, all three classes in turn."""
    return [record(f"s{s}", f"c{c}", (s + c) % 3) for s in range(subjects) for c in range(clips)]


def write_cache(path: Path, made: Iterable[ClipRecord]) -> Path:
    """Write a cache of `made` in the order given and return its path."""
    for number, clip in enumerate(made):
        cache.add(path, clip, f"{number:04d}", {})
    cache.merge(path, {})
    return path
