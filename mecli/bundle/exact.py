"""Flow maps as archives hold them, from the exact motion of the mesh, without a picture.

The window of the release that was measured against is larger than the face of this
project: it was read off where brows and mouth corners move in the mean map of each class there
(284 × 341 face pixels).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from mecli import files
from mecli.alignment import face_transform
from mecli.flow_images import WINDOW_EXTENT, WINDOW_MIDDLE
from mecli.synthesis.action_units import CLASSES, Action, weights_of
from mecli.synthesis.camera import Camera, place, project
from mecli.synthesis.film import state_at
from mecli.synthesis.head import TONGUE, load_head
from mecli.synthesis.identity import make_subject
from mecli.synthesis.pairs import PairOptions, act
from mecli.synthesis.plan import identity_seed
from mecli.synthesis.raster import rasterise
from mecli.synthesis.render import shape
from mecli.synthesis.truth import flow_between

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.random import Generator
    from numpy.typing import NDArray

GRID = (98, 72)
"""Rows and columns, one cell 4×4 px of the aligned face, which begins at `_CORNER`."""
_CORNER = (6, 21)
_CELL_PX = 4.0
_NONE = 0.2
_STILLER = (0.05, 1.0)
"""Share that is left of what the head does in a micro-expression: people hold still for a camera
that is to catch one."""
_COMPANY = (0.45, 0.4, 0.15)
"""How likely no, one or two weak other units move along."""
_SIDES = ("", "", "", "L", "R")
_COMPANIONS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 24, 25)


class Exact(NamedTuple):
    """The motion of one pair."""

    flow: NDArray[np.float16]
    """(98, 72, 2) in face pixels, 0 off the head, head motion included."""
    klass: str


@dataclass(frozen=True, slots=True)
class MapTask:
    """The maps of one identity, to be drawn."""

    folder: Path
    seed: int
    number: int
    """Of the identity, from 0."""
    maps: int
    views: int
    """How often each is seen, in another window and through another estimator's eyes."""

    @property
    def path(self) -> Path:
        """Where they lie once they are drawn."""
        return self.folder / f"maps-{self.number:05d}.npz"


def make_maps(task: MapTask) -> int:
    """Draw the maps of one identity as an archive would hold them; return how many there are."""
    cv2.setNumThreads(1)
    images, classes = [], []
    for index, exact in enumerate(exact_flows(task.seed, task.number, task.maps)):
        for view in range(task.views):
            rng = np.random.default_rng((task.seed, 41, task.number, index, view))
            images.append(archived(exact.flow, rng))
            classes.append(exact.klass)
    data = io.BytesIO()
    np.savez(data, image=np.array(images), klass=np.array(classes))
    files.write_bytes(task.path, data.getvalue())
    return len(images)


def exact_flows(seed: int, number: int, each: int) -> Iterator[Exact]:
    """Yield the flow of `each` pairs of one identity; the same arguments give the same maps."""
    actor: Any = SimpleNamespace(subject=make_subject(identity_seed(seed, number)))
    for index in range(each):
        yield _exact(actor, np.random.default_rng((seed, 31, number, index)))


def _exact(actor: Any, rng: Generator) -> Exact:
    klass = "none" if rng.random() < _NONE else str(rng.choice(CLASSES))
    curves, first, second, event, _ = act(actor, klass, PairOptions(mm=(0.3, 2.5)), rng)
    if event:
        left = float(np.exp(rng.uniform(*np.log(_STILLER))))
        curves.pose[second] += (left - 1) * (curves.pose[second] - curves.pose[first])
        # Real faces seldom move what a class asks for and nothing else.
        for _ in range(int(rng.choice(len(_COMPANY), p=_COMPANY))):
            action = Action(int(rng.choice(_COMPANIONS)), str(rng.choice(_SIDES)))
            share = event.peak_mm * float(rng.uniform(0.1, 0.35))
            curves.units[second] += weights_of(action, actor.subject, rng) * share
    turn = np.clip(rng.normal(0, 1, 3) * (0.085, 0.06, 0.035), -0.22, 0.22)
    rest = np.array([*turn, 0, 0, 0], np.float32)
    camera = Camera(1.4, (160.0, 180.0), float(rng.uniform(450, 1600)))
    head = load_head()
    faces = head.faces[head.part <= TONGUE]
    states = [state_at(curves, position, rest) for position in (first, second)]
    points = [place(shape(actor, s), s.pose, rest) for s in states]
    to_face = face_transform(project(points[0][head.landmarks], camera))
    cells = [_cells(project(p, camera) @ to_face[:, :2].T + to_face[:, 2]) for p in points]
    seen = rasterise(cells[0], points[0][:, 2], faces, GRID)
    flow, _ = flow_between(seen, faces, (cells[0], cells[1]), GRID)
    return Exact((flow * _CELL_PX).astype(np.float16), klass)


def _cells(points: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray((points + 0.5) / _CELL_PX - 0.5 + _CORNER, np.float32)


def archived(flow: NDArray[Any], rng: Generator) -> NDArray[np.uint8]:
    """Return a flow (98, 72, 2) as the image (28, 28, 3) that an archive would hold of it.

    Smoothed, weakened where skin has no texture and disturbed as estimated flow is, seen in a
    window of uncertain place, and u and v each scaled to its own range; the strain in the
    third channel is left at 0.
    """
    values: NDArray[Any] = np.asarray(flow, np.float32)
    values = cv2.GaussianBlur(values, (0, 0), float(rng.uniform(0.5, 1.5)))
    values = values * np.exp(-rng.uniform(0, 0.6) * np.abs(_smooth(rng, 8, 1)))
    values = values + rng.uniform(0.03, 0.25) * _disturbance(rng)
    width, height = (
        extent * float(np.exp(rng.normal(0, 0.05))) / _CELL_PX for extent in WINDOW_EXTENT
    )
    middle = [m + rng.normal(0, s) for m, s in zip(WINDOW_MIDDLE, (6, 8), strict=True)]
    left, top = (m / _CELL_PX + c for m, c in zip(middle, _CORNER, strict=True))
    left, top = left - width / 2, top - height / 2
    across, down = 84 / width, 84 / height
    matrix = np.array([[across, 0, -left * across], [0, down, -top * down]], np.float32)
    wide = cv2.warpAffine(values, matrix, (84, 84), borderMode=cv2.BORDER_REPLICATE)
    small = cv2.resize(wide, (28, 28), interpolation=cv2.INTER_AREA)
    image = np.zeros((28, 28, 3), np.uint8)
    for k in range(2):
        low, high = small[..., k].min(), small[..., k].max()
        image[..., k] = np.rint((small[..., k] - low) / max(high - low, 1e-6) * 255)
    return image


def _disturbance(rng: Generator) -> NDArray[np.float32]:
    """Return smooth random flow (98, 72, 2) of three scales, about 1 in size."""
    total = sum(_smooth(rng, cells, 2) for cells in (4, 8, 16))
    return np.asarray(total / np.sqrt(3), np.float32)


def _smooth(rng: Generator, cells: int, channels: int) -> NDArray[np.float32]:
    """Return a random field (98, 72, C) that changes over so many `cells`, about 1 in size."""
    height, width = GRID
    coarse = rng.standard_normal((height // cells + 2, width // cells + 2, channels))
    fine = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(fine, np.float32).reshape(height, width, channels)
