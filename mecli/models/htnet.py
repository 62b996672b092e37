"""htnet: a hierarchical transformer over four areas of the face (Wang et al. 2024).

Areas of half the face's width and height around both eyes and both corners of the mouth
are put together as one map of 28×28, cut into 4×4 patches of 7×7. Transformer blocks look
at each patch, then, joined 2×2 by a convolution and pooling, at each area, then at the
whole: three levels whose width doubles. On every level a block thus sees ONE place, whose
self-attention can only choose itself; it is its value and output projection, and the
queries and keys, which would never see a gradient, are left out.

Layers are normalised per place (LayerNorm), so there is nothing to replace. ``--preset
small`` has 0.2 of its 117 million weights and trains in minutes instead of days.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from mecli.errors import UsageError
from mecli.models.apex import ApexModel, ApexNetwork, ApexOptions, dropped, face_maps
from mecli.models.contract import Dropout
from mecli.rois import FACE_SIZE, ROI_NAMES, crop_grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mecli.records import ClipRecord

_LEVELS = 3
_PATCHES = 2 ** (_LEVELS - 1)
# How far the corners of the mouth are from its middle, in pixels of the aligned face.
_CORNER_PX = 40
# Row and column of the areas that each ROI falls into.
_AREAS: Mapping[str, tuple[tuple[int, int], ...]] = {
    "left_eye": ((0, 0),),
    "right_eye": ((0, 1),),
    "left_cheek": ((1, 0),),
    "right_cheek": ((1, 1),),
    "mouth": ((1, 0), (1, 1)),
}


@dataclass(frozen=True, slots=True)
class HtNetOptions(ApexOptions):
    """Options of `htnet`; the defaults are the published size."""

    width: int = 256
    heads: int = 3
    depths: str = "2,2,10"
    """Transformer blocks on each of the three levels."""
    spread: int = 4
    """How much wider a block's inner layer is."""
    dropout: float = 0.0
    epochs: int = 60
    learning_rate: float = 5e-5

    def __post_init__(self) -> None:
        # slots=True makes a new class, which super() without arguments does not know.
        ApexOptions.__post_init__(self)
        if self.size_px % _PATCHES:
            raise UsageError(f"size_px is {self.size_px}, expected a multiple of {_PATCHES}")
        if self.width < self.heads or self.heads < 1:
            raise UsageError(f"width is {self.width} and heads {self.heads}, expected more width")
        if not all(d.isdigit() and int(d) for d in self.levels) or len(self.levels) != _LEVELS:
            raise UsageError(f"depths is '{self.depths}', expected three numbers such as 2,2,10")

    @property
    def levels(self) -> list[str]:
        """The parts of `depths`."""
        return self.depths.split(",")


class HtNet(ApexModel):
    """The registry's entry for `htnet`."""

    name: ClassVar[str] = "htnet"
    paper: ClassVar[str] = (
        "Wang et al., HTNet for micro-expression recognition, Neurocomputing 2024"
    )
    doi: ClassVar[str] = "10.1016/j.neucom.2024.128196"
    Options: ClassVar[type[ApexOptions]] = HtNetOptions
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {
            "width": 24,
            "depths": "1,1,2",
            "spread": 2,
            "epochs": 40,
            "learning_rate": 1e-3,
            "weight_decay": 1e-2,
        }
    }

    @classmethod
    def network(cls, shape: tuple[int, ...], n_classes: int, options: Any) -> ApexNetwork:
        """Return an untrained network for maps of `shape`."""
        return HtNetwork(shape, n_classes, options)

    @classmethod
    def features(cls, record: ClipRecord, options: Any) -> NDArray[np.float32]:
        """Return (3, S, S) float32: eyes above, corners of the mouth below; see `face_maps`."""
        side = options.size_px // 2
        areas = crop_grid(face_maps(record, options.detrend), _boxes(record.roi_boxes), side)
        grid = areas.reshape(2, 2, side, side, 3).transpose(4, 0, 2, 1, 3)
        return np.ascontiguousarray(grid.reshape(3, 2 * side, 2 * side))

    @classmethod
    def occlude(cls, features: NDArray[Any], roi: int, options: Any) -> NDArray[Any]:
        """Return the features with the areas of ROI number `roi` still; the nose has none."""
        still = features.copy()
        side = options.size_px // 2
        for row, column in _AREAS.get(ROI_NAMES[roi], ()):
            rows, columns = row * side, column * side
            still[:, rows : rows + side, columns : columns + side] = 0
        return still


def _boxes(roi_boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the four areas (4, 4) in face pixels, pushed inside the face."""
    centres = (roi_boxes[:, :2] + roi_boxes[:, 2:]) / 2
    mouth, corner = centres[ROI_NAMES.index("mouth")], np.array([_CORNER_PX, 0])
    middles = np.stack([centres[0], centres[1], mouth - corner, mouth + corner])
    size = np.array(FACE_SIZE[::-1]) / 2
    corners = np.clip(middles - size / 2, 0, size)
    return np.hstack([corners, corners + size]).astype(np.float32)


class HtNetwork(ApexNetwork):
    """(B, 3, S, S) → (B, K)."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, options: HtNetOptions) -> None:
        super().__init__(options)
        self.patch = shape[1] // _PATCHES
        widths = [options.width * 2**level for level in range(_LEVELS)]
        depths = [int(d) for d in options.levels]
        self.embed = nn.Linear(shape[0] * self.patch**2, widths[0])
        self.places = nn.Parameter(torch.randn(_LEVELS))
        self.levels = nn.ModuleList(
            nn.Sequential(
                *(_Block(width, options.heads * 2**level, options.spread) for _ in range(depth))
            )
            for level, (width, depth) in enumerate(zip(widths, depths, strict=True))
        )
        self.joins = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.LayerNorm(w) for w in [*widths[1:], widths[-1]])
        self.classes = nn.Linear(widths[-1], n_classes)
        self.dropouts = {"whole": Dropout((widths[-1],), options.dropout)}

    def forward(self, batch: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        """Return class scores."""
        count, channels = batch.shape[:2]
        cut = batch.reshape(count, channels, _PATCHES, self.patch, _PATCHES, self.patch)
        grid = self.embed(cut.permute(0, 2, 4, 3, 5, 1).flatten(3))
        for level, blocks in enumerate(self.levels):
            grid = blocks(grid + self.places[level])
            if level < _LEVELS - 1:
                joined = self.joins[level](grid.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
                joined = self.norms[level](joined).permute(0, 3, 1, 2)
                grid = nn.functional.max_pool2d(joined, 3, 2, padding=1).permute(0, 2, 3, 1)
        whole = dropped(self.norms[-1](grid).mean((1, 2)), masks, "whole")
        scores: Tensor = self.classes(whole)
        return scores


class _Block(nn.Module):
    """Self-attention of one place, then two dense layers, each added to its input."""

    def __init__(self, width: int, heads: int, spread: int) -> None:
        super().__init__()
        inner = width // heads * heads
        self.attend = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, inner, bias=False), nn.Linear(inner, width)
        )
        self.think = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, spread * width),
            nn.GELU(),
            nn.Linear(spread * width, width),
        )

    def forward(self, values: Tensor) -> Tensor:
        values = values + self.attend(values)
        result: Tensor = values + self.think(values)
        return result
