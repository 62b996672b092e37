"""What a corpus reader and a landmarker promise; models do in `mecli.models.contract`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from mecli.clips import Clip


@runtime_checkable
class CorpusReader(Protocol):
    """A corpus folder in, clips out: annotations and frame paths, no pixels."""

    name: ClassVar[str]
    """Registry key and first part of every clip id."""
    title: ClassVar[str]
    """The corpus as its authors call it."""
    paper: ClassVar[str]
    doi: ClassVar[str]

    def recognises(self, root: Path) -> bool:
        """Whether the folder `root` (or its only subfolder) has this corpus's layout."""
        ...

    def read(self, root: Path) -> list[Clip]:
        """Return every annotated clip below `root`, sorted by clip id.

        Odd cells and missing frames become `issues` of the clip, never an exception;
        `InputError` is for a folder that cannot be read as this corpus at all.
        """
        ...


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
