"""BlazeFace, short range: a 128×128 picture in, face boxes with six points out."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (torch's own habit)
from torch import Tensor, nn

from mecli.landmarks.blocks import ResidualBlock, SameConv2d

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE_PX = 128
MIN_SCORE = 0.5
MAX_OVERLAP = 0.3
# (channels in, channels out, stride); the map of 16×16 cells leaves after the first eleven.
_FINE = (
    *((24, 24, 1), (24, 28, 1), (28, 32, 2), (32, 36, 1), (36, 42, 1), (42, 48, 2)),
    *((48, 56, 1), (56, 64, 1), (64, 72, 1), (72, 80, 1), (80, 88, 1)),
)
_COARSE = ((88, 96, 2), (96, 96, 1), (96, 96, 1), (96, 96, 1), (96, 96, 1))
_VALUES = 16  # centre x, y, width, height, then x, y of six points


class Detections(NamedTuple):
    """Faces in one picture, best score first, in units of the picture's side."""

    boxes: NDArray[np.float32]
    """(D, 4) x0, y0, x1, y1."""
    points: NDArray[np.float32]
    """(D, 6, 2): eye on the image's left, the other eye, nose tip, mouth, two ears."""
    scores: NDArray[np.float32]
    """(D,) in 0..1."""


class BlazeFace(nn.Module):
    """Bazarevsky et al. 2019, doi:10.48550/arXiv.1907.05047, as published with mediapipe."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv2d(3, 24, 5, 2)
        self.fine = nn.Sequential(*(ResidualBlock(*block, _relu) for block in _FINE))
        self.coarse = nn.Sequential(*(ResidualBlock(*block, _relu) for block in _COARSE))
        self.fine_scores = nn.Conv2d(88, 2, 1)
        self.fine_boxes = nn.Conv2d(88, 2 * _VALUES, 1)
        self.coarse_scores = nn.Conv2d(96, 6, 1)
        self.coarse_boxes = nn.Conv2d(96, 6 * _VALUES, 1)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, 128, 128) in −1..1 to raw boxes (N, 896, 16) and score logits (N, 896)."""
        fine = self.fine(F.relu(self.stem(pictures)))
        coarse = self.coarse(fine)
        boxes = (_by_anchor(self.fine_boxes(fine)), _by_anchor(self.coarse_boxes(coarse)))
        scores = (self.fine_scores(fine), self.coarse_scores(coarse))
        count = len(pictures)
        return (
            torch.cat([box.reshape(count, -1, _VALUES) for box in boxes], 1),
            torch.cat([_by_anchor(score).reshape(count, -1) for score in scores], 1),
        )


def _relu(_channels: int) -> nn.Module:
    return nn.ReLU()


def _by_anchor(maps: Tensor) -> Tensor:
    """Put channels last, so that flattening runs over rows, columns, anchors of a cell."""
    return maps.permute(0, 2, 3, 1)


@cache
def anchors() -> NDArray[np.float32]:
    """(896, 2) anchor centres in 0..1: two for each 8 px cell, six for each 16 px cell."""
    grids = []
    for stride, per_cell in ((8, 2), (16, 6)):
        middle = (np.arange(SIZE_PX // stride, dtype=np.float32) + 0.5) * stride / SIZE_PX
        cells = np.stack(np.meshgrid(middle, middle), -1).reshape(-1, 2)
        grids.append(np.repeat(cells, per_cell, 0))
    return np.concatenate(grids)


def decode(raw: NDArray[np.float32], logits: NDArray[np.float32]) -> Detections:
    """Turn the output for one picture, (896, 16) and (896,), into scored candidates."""
    scores = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
    kept = np.flatnonzero(scores >= MIN_SCORE)
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    values = raw[kept].reshape(-1, _VALUES // 2, 2) / SIZE_PX
    centres, sizes = values[:, 0] + anchors()[kept], values[:, 1]
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], 1)
    points = values[:, 2:] + anchors()[kept][:, None]
    return Detections(
        boxes.astype(np.float32), points.astype(np.float32), scores[kept].astype(np.float32)
    )


def overlap(box: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of one (4,) box with each of (D, 4)."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), 1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
    union = np.prod(box[2:] - box[:2]) + areas - shared
    return np.asarray(shared / np.maximum(union, 1e-12), np.float32)


def merge(found: Detections) -> Detections:
    """Blend candidates that overlap, weighted by score, best first.

    The paper's section 3.3: averaging instead of suppressing keeps a box steady
    from frame to frame. `found` is sorted by score.
    """
    boxes, points, scores = [], [], []
    left = np.arange(len(found.scores))
    while len(left):
        near = overlap(found.boxes[left[0]], found.boxes[left]) > MAX_OVERLAP
        near[0] = True
        group = left[near]
        weights = found.scores[group] / found.scores[group].sum()
        boxes.append(np.tensordot(weights, found.boxes[group], 1))
        points.append(np.tensordot(weights, found.points[group], 1))
        scores.append(found.scores[group[0]])
        left = left[~near]
    return Detections(
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(points, np.float32).reshape(-1, 6, 2),
        np.asarray(scores, np.float32),
    )
