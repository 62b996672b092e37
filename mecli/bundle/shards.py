"""Rendered pairs through the toolkit's own path: draw, compress, decode, detect, align, flow.

One shard is one identity. What is kept of a pair is what a cache would keep of it, without
the pictures: the flow of its apex and where the regions lie.
"""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mecli import files
from mecli.clips import Clip
from mecli.errors import InputError
from mecli.filming import write_video
from mecli.landmarks.choose import choose
from mecli.preprocess import preprocess
from mecli.recipe import Recipe
from mecli.synthesis.identity import make_subject
from mecli.synthesis.pairs import PairOptions, make_pair
from mecli.synthesis.plan import identity_seed
from mecli.synthesis.render import Actor, make_actor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.random import Generator
    from numpy.typing import NDArray

    from mecli.interfaces import Landmarker
    from mecli.records import ClipRecord
    from mecli.synthesis.pairs import Pair

_RECIPE = Recipe(steps=2)
_CODECS = ("h264", "jpeg", "png")
_FPS = 100.0


@dataclass(frozen=True, slots=True)
class ShardTask:
    """One identity to be rendered."""

    folder: Path
    seed: int
    number: int
    """Of the identity, from 0."""
    pairs: int
    none: float
    """Share of pairs without a micro-expression."""

    @property
    def path(self) -> Path:
        """Where the shard lies once it is done."""
        return self.folder / f"shard-{self.number:05d}.npz"


def make_shard(task: ShardTask) -> int:
    """Render and extract the pairs of one identity; return how many could be extracted."""
    cv2.setNumThreads(1)
    actor = make_actor(make_subject(identity_seed(task.seed, task.number)))
    rows = [
        row
        for index in range(task.pairs)
        for row in _extracted(
            task, actor, np.random.default_rng((task.seed, 21, task.number, index))
        )
    ]
    columns: dict[str, Any] = {
        name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ())
    }
    data = io.BytesIO()
    np.savez(data, **columns)
    files.write_bytes(task.path, data.getvalue())
    return len(rows)


def _extracted(task: ShardTask, actor: Actor, rng: Generator) -> Iterator[dict[str, Any]]:
    height = int(rng.integers(220, 353))
    size = (height, round(height * rng.uniform(0.85, 1.0)))
    supersample = float(rng.uniform(1.0, 1.5))
    options = PairOptions(size, (0.2, 2.5), task.none, truth=False, supersample=supersample)
    pair = make_pair(actor, rng, options)
    codec = str(rng.choice(_CODECS, p=(0.4, 0.35, 0.25)))
    try:
        record = through(pair, codec, rng)
    except InputError:
        return
    yield {
        "flow": record.apex_flow.astype(np.float16), "boxes": record.roi_boxes,
        "klass": pair.klass, "aus": "+".join(sorted(pair.aus)), "peak_mm": pair.peak_mm,
        "emotion": pair.emotion, "distractor": pair.distractor, "codec": codec,
        "identity": task.number, "face_px": record.quality["face_px"],
    }  # fmt: skip


def through(pair: Pair, codec: str, rng: Generator) -> ClipRecord:
    """Return the record of a pair that was compressed by `codec` and read back from a file."""
    with tempfile.TemporaryDirectory(prefix="mecli-bundle-") as name:
        place = Path(name)
        frames: Path | tuple[Path, ...]
        if codec == "h264":
            frames = place / "clip.mp4"
            write_video(frames, (pair.onset, pair.apex), _FPS, float(rng.uniform(12, 26)))
        else:
            setting = (
                _png() if codec == "png" else [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(80, 99))]
            )
            suffix = ".png" if codec == "png" else ".jpg"
            frames = tuple(place / f"{k}{suffix}" for k in range(2))
            for path, image in zip(frames, (pair.onset, pair.apex), strict=True):
                _write(path, image, setting)
        clip = Clip("synthetic", "s", "pair", frames, onset=0, apex=1, offset=1, fps=_FPS)
        return preprocess(clip, _RECIPE, _landmarker())


def _png() -> list[int]:
    return [cv2.IMWRITE_PNG_COMPRESSION, 1]


def _write(path: Path, image: NDArray[np.uint8], setting: list[int]) -> None:
    ok, data = cv2.imencode(path.suffix, np.ascontiguousarray(image[..., ::-1]), setting)
    assert ok
    path.write_bytes(data.tobytes())


@lru_cache(maxsize=1)
def _landmarker() -> Landmarker:
    return choose(_RECIPE.landmarks)
