"""How a clip becomes a record: the options that a cache and a checkpoint store."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mecli import magnification, registry
from mecli.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


_UNNAMED = "polynomial"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What decides a record besides the clip itself; stored in every cache and checkpoint."""

    steps: int = 16
    temporal: str = "uniform"
    flow: str = "dis"
    head_motion: str = "rigid"
    """How the head's part is taken out of the flow of frames. Flow images name no landmarks,
    so of them it is always a polynomial."""
    landmarks: str = "embedded"
    images: tuple[int, ...] = (0,)
    """Which images of a clip make its sequence, where a corpus holds flow images."""
    magnify: str = magnification.NONE
    """Method and strength of motion magnification, as ``lagrangian:5``."""

    def __post_init__(self) -> None:
        if not self.images or min(self.images) < 0:
            raise UsageError(f"--images is {self.images}, expected numbers from 0")
        registry.check_name("temporal normalisation", self.temporal)
        registry.check_name("flow", self.flow)
        registry.check_name("head motion", self.head_motion)
        registry.check_name("landmarker", self.landmarks)
        magnification.parse(self.magnify)
        if not 2 <= self.steps <= 512:
            raise UsageError(f"--steps is {self.steps}, expected 2 to 512")

    def as_options(self) -> dict[str, Any]:
        """Return the recipe as the cache stores it.

        The polynomial is not written down: caches of the time when there was no other, which
        do not name it either, can be added to.
        """
        options = {**asdict(self), "images": list(self.images)}
        if self.head_motion == _UNNAMED:
            del options["head_motion"]
        return options

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Recipe:
        """Return the recipe that a cache or checkpoint stores; `InputError` if it is none."""
        try:
            return cls(**{"head_motion": _UNNAMED, **options, "images": tuple(options["images"])})
        except (KeyError, TypeError) as error:
            raise InputError(
                f"extraction options {dict(options)} are not those of a clip"
            ) from error
