"""An aligned clip as a fixed number of steps: the pictures of its regions, and its flow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mecli import magnification, registry
from mecli.alignment import apply, gray, warp
from mecli.flow import dense_flow, reduce
from mecli.rois import FACE_SIZE, crop_rois, roi_boxes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mecli.footage import Footage, Stopwatch
    from mecli.recipe import Recipe

GRID = (70, 60)
"""Rows and columns of the flow that is kept: one cell is 4×4 pixels of the face."""

_FLOW_SIZE = (FACE_SIZE[0] // 2, FACE_SIZE[1] // 2)


@dataclass(frozen=True, slots=True)
class Need:
    """What of a record somebody looks at; the rest is not worked out, which takes half the time."""

    steps: frozenset[int] | None = None
    """Steps whose flow is wanted, None for all; that of the others is NaN, so that nobody can
    take it for stillness."""
    pictures: bool = True
    """The regions' pictures and the landmarks at the apex, which is what people are shown."""


EVERYTHING = Need()


@dataclass(frozen=True, slots=True)
class Aligned:
    """The frames of a clip and what brings each into the 240×280 face."""

    footage: Footage
    transforms: NDArray[np.float32]
    """(F, 2, 3) pixels of crop k → pixels of the face."""
    apex: int
    """Number of the crop."""

    def face(self, k: int) -> NDArray[np.uint8]:
        """Return crop number `k` as the upright face (280, 240, 3)."""
        return warp(self.footage.crops[k], self.transforms[k])


def measure(aligned: Aligned, recipe: Recipe, need: Need, watch: Stopwatch) -> dict[str, Any]:
    """Return the steps with their ROI pictures and flow, and the flow of the apex.

    The flow of each step comes from that step alone, so that it is the same whatever else
    `need` asks for.
    """
    count = len(aligned.footage.crops)
    if need.steps is None or need.pictures:
        wanted = np.arange(recipe.steps)
    else:
        wanted = np.array(sorted(need.steps), dtype=np.int64)
    with watch.stage("warp"):
        onset_face = aligned.face(0)
        faces = np.concatenate([_steps(aligned, recipe, wanted), aligned.face(aligned.apex)[None]])
    if recipe.magnify != magnification.NONE:
        with watch.stage("magnify"):
            magnify = partial(magnification.magnify, recipe.magnify, onset_face)
            faces = np.stack([magnify(face) for face in faces])
    with watch.stage("warp"):
        points = apply(aligned.transforms[0], aligned.footage.landmarks)
        boxes = roi_boxes(points)
        shown = faces[:-1] if need.pictures else faces[:0]
        pictures = [crop_rois(face, boxes) for face in shown]
    with watch.stage("flow"):
        reference = _half(onset_face)
        moved = [_flow(reference, _half(face), recipe.flow) for face in faces]
        known = registry.load("head motion", recipe.head_motion)(np.stack(moved), points)
        flow = np.full((recipe.steps, *GRID, 2), np.nan, dtype=np.float32)
        flow[wanted] = known[:-1]
    return {
        "flow": flow,
        "apex_flow": known[-1],
        **({"roi_frames": np.stack(pictures)} if pictures else {}),
        "roi_boxes": boxes,
        "steps": aligned.footage.first + np.linspace(0, count - 1, recipe.steps, dtype=np.float32),
    }


def _steps(aligned: Aligned, recipe: Recipe, wanted: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the faces (S, 280, 240, 3) at the `wanted` steps, mixed of the frames beside them."""
    count = len(aligned.footage.crops)
    weigh = registry.load("temporal normalisation", recipe.temporal)
    weights = weigh(count, recipe.steps)[wanted]
    used = np.flatnonzero(np.abs(weights).max(axis=0, initial=0.0) > 1e-6)
    faces = np.empty((len(used), *FACE_SIZE, 3), dtype=np.uint8)
    for face, k in zip(faces, used, strict=True):
        face[:] = aligned.face(int(k))
    return _mix(weights[:, used], faces)


def _mix(weights: NDArray[np.float32], faces: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the steps (S, H, W, 3) that `weights` (S, N) mix of `faces` (N, H, W, 3)."""
    parts = [np.flatnonzero(row) for row in weights]
    if max(map(len, parts), default=0) > 2:
        flat = faces.reshape(len(faces), -1).astype(np.float32)
        mixed = np.clip(np.rint(weights @ flat), 0, 255).reshape(len(weights), *faces.shape[1:])
        return np.asarray(mixed, dtype=np.uint8)
    # Between two neighbours the same numbers come in a tenth of the time.
    steps = np.empty((len(weights), *faces.shape[1:]), dtype=np.uint8)
    for row, (low, *high), step in zip(weights, parts, steps, strict=True):
        other = high[0] if high else low
        share = float(row[other]) if high else 0.0
        cv2.addWeighted(faces[low], float(row[low]), faces[other], share, 0.0, dst=step)
    return steps


def _half(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    small = cv2.resize(gray(face), _FLOW_SIZE[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def _flow(
    reference: NDArray[np.uint8], frame: NDArray[np.uint8], method: str
) -> NDArray[np.float32]:
    if np.array_equal(reference, frame):
        # As the first step nearly always is: the onset frame itself.
        return np.zeros((*GRID, 2), dtype=np.float32)
    unit = FACE_SIZE[0] / _FLOW_SIZE[0]
    return reduce(dense_flow(reference, frame, method), GRID) * unit
