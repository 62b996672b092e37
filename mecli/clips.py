"""The words of the field as types: a clip and where its frames are."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

UNKNOWN_SUBJECT = "unknown"

FASTEST_FPS = 100_000
"""No camera that films a face is faster: a frame rate above it is a slip."""

# Long and short recordings of the same sessions: their subjects are the same people, who
# must never stand on both sides of a fold.
_SAME_PEOPLE = {"samm-lv": "samm", "smic-long": "smic"}
_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")


def person_of(corpus: str, subject: str) -> str:
    """Return the person's name across corpora: ``corpus/subject`` of where they first appear."""
    return f"{_SAME_PEOPLE.get(corpus, corpus)}/{subject}"


def is_rate(fps: float) -> bool:
    """Whether `fps` can be a frame rate: above 0 and not above `FASTEST_FPS`."""
    return 0 < fps <= FASTEST_FPS


def without_zeros(name: str) -> str:
    """Return `name` with its numbers as a data frame writes them: 6 for 006."""
    return _ZEROS.sub("", name)


def check_part(value: str, what: str) -> str:
    """Return `value` if it can be one part of a clip id, else raise `InputError`.

    A part is printable, not blank, and names neither a path nor a parent folder:
    it becomes a group name in the cache and a file name in exports.
    """
    bad = (
        not value.strip()
        or value != value.strip()
        or value in {".", ".."}
        or len(value) > 200
        or any(c in "/\\" or unicodedata.category(c).startswith("C") for c in value)
    )
    if bad:
        raise InputError(
            f"{what} {value!r} cannot be part of a clip id: expected 1 to 200 printable "
            "characters without '/', '\\' or outer blanks; rename it"
        )
    return value


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Frames that are in memory already: (T, H, W, 3) RGB uint8, and their rate if known."""

    images: NDArray[np.uint8]
    fps: float | None = None


@dataclass(frozen=True, slots=True)
class Clip:
    """One annotated sequence of frames as a corpus lists it; no pixels are opened.

    `frames` is a video file or the image files in their order; `held` is there instead
    where a program hands in the frames themselves. `onset`, `apex` and
    `offset` are frame positions in `frames`: 0-based, inclusive, None where the
    annotation does not know them. `labels` holds the corpus's own words
    (``emotion``, ``objective``, ``aus``, …). `landmarks` is a file of precomputed
    68-point arrays. With `holds_flow` the images are flow, not faces, and with `apart` those
    of u and of v follow one another. `issues` says in words what was odd about the annotation.
    """

    corpus: str
    subject: str
    name: str
    frames: Path | tuple[Path, ...]
    onset: int | None = None
    apex: int | None = None
    offset: int | None = None
    fps: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    issues: tuple[str, ...] = ()
    landmarks: Path | None = None
    holds_flow: bool = False
    apart: bool = False
    held: Held | None = None

    def __post_init__(self) -> None:
        for what in ("corpus", "subject", "name"):
            check_part(getattr(self, what), what)
        if self.fps is not None and not is_rate(self.fps):
            raise InputError(
                f"clip {self.clip_id}: fps is {self.fps:g}, expected above 0 to {FASTEST_FPS}"
            )

    @property
    def clip_id(self) -> str:
        """``corpus/subject/name``, the one key that everything is joined on."""
        return f"{self.corpus}/{self.subject}/{self.name}"

    @property
    def person(self) -> str:
        """The subject, unique across corpora; see `person_of`."""
        return person_of(self.corpus, self.subject)

    @property
    def pixels(self) -> Path | tuple[Path, ...] | Held:
        """Where frames are read from: memory, a video or image files."""
        return self.frames if self.held is None else self.held

    @property
    def location(self) -> str:
        """The file or folder a message should name."""
        if self.held is not None:
            return "(frames in memory)"
        if isinstance(self.frames, tuple):
            return str(self.frames[0].parent) if self.frames else "(no frames)"
        return str(self.frames)
