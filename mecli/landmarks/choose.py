"""Which landmarker runs: by name, or the best one whose weights are there."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from mecli.registry import AUTO, check_name, load

if TYPE_CHECKING:
    from pathlib import Path

    from mecli.interfaces import Landmarker


class WeightsStatus(NamedTuple):
    """One weights file of the face-alignment package."""

    name: str
    path: Path
    """Where it is, or would be looked up."""
    present: bool
    purpose: str


def choose(name: str = AUTO) -> Landmarker:
    """Return the landmarker called `name`, one per process.

    ``"auto"`` is face-alignment when its 2DFAN-4 weights are there, else embedded.
    `UnknownName` for a name that is neither; `MissingDependency` for a landmarker
    whose weights are absent.
    """
    return _build(resolve(name))


def resolve(name: str = AUTO) -> str:
    """Return the registry key that `name` stands for now; nothing is loaded."""
    if name != AUTO:
        return check_name("landmarker", name)
    from mecli.landmarks.face_alignment import LANDMARK_WEIGHTS, weights_file

    return "face-alignment" if weights_file(LANDMARK_WEIGHTS) else "embedded"


def weights_status() -> tuple[WeightsStatus, ...]:
    """Return what face-alignment needs and whether it is there."""
    from mecli.landmarks.face_alignment import (
        DETECTOR_WEIGHTS,
        LANDMARK_WEIGHTS,
        weights_folder,
    )

    wanted = ((LANDMARK_WEIGHTS, "landmarks"), (DETECTOR_WEIGHTS, "face detector"))
    paths = [(weights_folder() / name, purpose) for name, purpose in wanted]
    return tuple(WeightsStatus(path.name, path, path.is_file(), use) for path, use in paths)


@cache
def _build(name: str) -> Landmarker:
    landmarker: Landmarker = load("landmarker", name)()
    return landmarker
