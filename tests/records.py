"""Records with known contents, for tests that need a cache but no video."""

from __future__ import annotations

from typing import Any

import numpy as np

from mecli.records import ClipRecord


def make_record(
    clip_id: str = "toy/s1/a", *, seed: int = 0, steps: int = 4, **changes: Any
) -> ClipRecord:
    corpus, subject, name = clip_id.split("/")
    rng = np.random.default_rng(seed)
    arrays: dict[str, Any] = {
        "flow": rng.normal(size=(steps, 14, 12, 2)).astype(np.float32),
        "apex_flow": rng.normal(size=(14, 12, 2)).astype(np.float32),
        "roi_frames": rng.integers(0, 256, (steps, 6, 48, 48, 3), dtype=np.uint8),
        "roi_boxes": rng.uniform(0, 200, (6, 4)).astype(np.float32),
        "steps": np.linspace(2, 9, steps, dtype=np.float32),
        "landmarks": rng.uniform(0, 200, (2, 68, 2)).astype(np.float32),
        "landmark_positions": np.array([2, 5], dtype=np.int32),
        "transforms": rng.normal(size=(8, 2, 3)).astype(np.float32),
        "curve": rng.uniform(size=8).astype(np.float32),
    }
    values: dict[str, Any] = {
        "clip_id": clip_id,
        "corpus": corpus,
        "subject": subject,
        "name": name,
        "labels": {"emotion": "disgust"},
        "fps": 100.0,
        "onset": 2,
        "apex": 5,
        "offset": 9,
        "first_frame": 2,
        "frame_count": 8,
        "quality": {"residual_px": 0.05},
        "issues": ("something odd",),
        **arrays,
        **changes,
    }
    return ClipRecord(**values)
