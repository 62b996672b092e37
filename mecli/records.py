"""A clip after extraction: everything that later stages may know of it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.clips import person_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mecli.clips import Clip


NO_LANDMARKER = "none"
"""As the landmarker of a clip that came as flow images."""


def _array(*shape: int, dtype: str = "float32") -> Any:
    """Declare an array field; its metadata is what the cache checks on reading."""
    empty = np.zeros(shape, dtype=dtype)
    return field(default_factory=empty.copy, metadata={"ndim": len(shape), "dtype": dtype})


@dataclass(frozen=True, slots=True, eq=False)
class ClipRecord:
    """One clip as the cache keeps it. Flow is in pixels of the 240×280 face.

    Frame positions are 0-based in the source and inclusive. A failed clip has
    ``status == "failed"``, a reason, and empty arrays.
    """

    clip_id: str
    corpus: str
    subject: str
    name: str
    status: str = "ok"
    reason: str = ""
    source: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    fps: float | None = None
    onset: int | None = None
    apex: int | None = None
    offset: int | None = None
    onset_estimated: bool = False
    apex_estimated: bool = False
    offset_estimated: bool = False
    first_frame: int = 0
    frame_count: int = 0
    landmarker: str = ""
    quality: Mapping[str, float] = field(default_factory=dict)
    issues: tuple[str, ...] = ()
    flow: NDArray[np.float32] = _array(0, 0, 0, 2)
    apex_flow: NDArray[np.float32] = _array(0, 0, 2)
    roi_frames: NDArray[np.uint8] = _array(0, 6, 48, 48, 3, dtype="uint8")
    roi_boxes: NDArray[np.float32] = _array(6, 4)
    steps: NDArray[np.float32] = _array(0)
    landmarks: NDArray[np.float32] = _array(0, 68, 2)
    landmark_positions: NDArray[np.int32] = _array(0, dtype="int32")
    transforms: NDArray[np.float32] = _array(0, 2, 3)
    curve: NDArray[np.float32] = _array(0)

    @property
    def person(self) -> str:
        """The subject, unique across corpora; see `person_of`."""
        return person_of(self.corpus, self.subject)

    @property
    def holds_flow(self) -> bool:
        """Whether the clip came as flow images, so that no face was looked for."""
        return self.landmarker == NO_LANDMARKER

    @property
    def ok(self) -> bool:
        """Whether extraction succeeded."""
        return self.status == "ok"

    def meta(self) -> dict[str, Any]:
        """Return every field that is not an array, ready for JSON."""
        return {name: getattr(self, name) for name in META}

    def without_arrays(self) -> ClipRecord:
        """Return the same record with empty arrays."""
        return ClipRecord(**self.meta())

    def failed(self, reason: str) -> ClipRecord:
        """Return this record without arrays, marked as failed for `reason`."""
        return replace(self.without_arrays(), status="failed", reason=reason)


ARRAYS = tuple(f.name for f in fields(ClipRecord) if "ndim" in f.metadata)
META = tuple(f.name for f in fields(ClipRecord) if f.name not in ARRAYS)


def described(clip: Clip) -> dict[str, Any]:
    """Return the fields of a record that are known before any frame is opened."""
    return {
        "clip_id": clip.clip_id,
        "corpus": clip.corpus,
        "subject": clip.subject,
        "name": clip.name,
        "source": clip.location,
        "labels": dict(clip.labels),
    }
