"""What a landmarker promises; corpora do in `corpora.reading`, models in `models.contract`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from mecli.clips import Clip


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one frame, in pixels of that frame (x right, y down)."""

    box: NDArray[np.float32]
    """(4,) x0, y0, x1, y1."""
    landmarks: NDArray[np.float32]
    """(68, 2) in the order of iBUG 300-W."""
    score: float
    """Detector confidence in 0..1."""


class Landmarker(Protocol):
    """RGB frames in, faces with 68 landmarks out."""

    name: ClassVar[str]
    paper: ClassVar[str]
    doi: ClassVar[str]

    def find(
        self, frames: NDArray[np.uint8], clip: Clip | None = None, positions: Sequence[int] = ()
    ) -> list[list[Face]]:
        """Return the faces of each of `frames` (N, H, W, 3), the largest first.

        `clip` and `positions` (of the frames in the clip) are for back ends that
        read landmarks from files. A frame without a face gives an empty list.
        """
        ...
