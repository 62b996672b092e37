"""How clips are to be judged: what the verb ``predict`` and `Predictor` can be told alike."""

from __future__ import annotations

from dataclasses import dataclass

from mecli import registry
from mecli.clips import FASTEST_FPS, is_rate
from mecli.errors import UnknownName, UsageError

ATTRIBUTIONS = ("weights", "occlusion")


@dataclass(frozen=True, slots=True)
class Question:
    """Which face, what counts as good enough, and how the regions' shares are found."""

    landmarks: str | None = None
    """None: the landmarker that the checkpoint's clips were extracted with."""
    face: int | None = None
    """1 is the largest; None takes that one too, but doubts the answer if there are others."""
    all_faces: bool = False
    fps: float | None = None
    """Of clips that do not say it themselves."""
    attribution: str | None = None
    """``weights``, ``occlusion``, or None for the weights where the model has them."""
    whole: bool = False
    """Judge a long video as one clip; else it is searched, and each interval found is judged."""
    force: bool = False
    """Judge slow videos too."""

    def __post_init__(self) -> None:
        if self.landmarks not in {None, registry.AUTO}:
            registry.check_name("landmarker", str(self.landmarks))
        if self.face is not None and self.face < 1:
            raise UsageError(f"--face is {self.face}, expected 1 (the largest) or more")
        if self.face is not None and self.all_faces:
            raise UsageError("--face and --all-faces exclude each other; give one of them")
        if self.fps is not None and not is_rate(self.fps):
            raise UsageError(f"--fps is {self.fps:g}, expected above 0 to {FASTEST_FPS}")
        if self.attribution is not None and self.attribution not in ATTRIBUTIONS:
            raise UnknownName("attribution", self.attribution, ATTRIBUTIONS)
