"""bi-woof-svm: oriented flow from onset to apex, weighted twice (Liong et al. 2018).

The face is cut into blocks. Each has a histogram of the directions of its flow, in which a
place counts by the length of its flow (the local weight); the histogram as a whole counts
by the mean strain of its block (the global weight).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mecli.errors import UsageError
from mecli.models.apex import WHOLE_FACE, face_maps, without_roi
from mecli.models.svm import SvmOptions, svm_stage
from mecli.rois import crop_grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from mecli.models.contract import Stage
    from mecli.records import ClipRecord

_CELLS = 7
"""Cells that a block is wide and high."""


@dataclass(frozen=True, slots=True)
class BiWoofSvmOptions(SvmOptions):
    """Options of `bi-woof-svm`."""

    blocks: int = 8
    """Blocks that the face is wide and high."""
    bins: int = 8
    """Directions."""
    detrend: int = 1
    """Degree of the polynomial over the face that is taken off the flow; −1 for none."""
    mirror: bool = True

    def __post_init__(self) -> None:
        SvmOptions.__post_init__(self)
        if self.blocks < 1 or self.bins < 2 or self.bins % 2:
            raise UsageError(
                f"blocks is {self.blocks} and bins {self.bins}, expected blocks ≥ 1 and even bins"
            )


class BiWoofSvm:
    """The registry's entry for `bi-woof-svm`."""

    name: ClassVar[str] = "bi-woof-svm"
    paper: ClassVar[str] = (
        "Liong et al., Less is more: micro-expression recognition from video using apex frame, "
        "Signal Processing: Image Communication 2018"
    )
    doi: ClassVar[str] = "10.1016/j.image.2017.11.006"
    input: ClassVar[str] = "apex flow"
    Options: ClassVar[type[BiWoofSvmOptions]] = BiWoofSvmOptions
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @staticmethod
    def features(record: ClipRecord, options: BiWoofSvmOptions) -> NDArray[np.float32]:
        """Return (bins, blocks, blocks) float32; directions count from leftwards, clockwise."""
        n, bins = options.blocks, options.bins
        maps = crop_grid(face_maps(record, options.detrend), WHOLE_FACE, n * _CELLS)[0]
        u, v, deformed = np.moveaxis(maps.reshape(n, _CELLS, n, _CELLS, 3), -1, 0)
        turn = (np.arctan2(v, u) / (2 * np.pi) + 0.5) % 1.0
        at = np.minimum((turn * bins).astype(int), bins - 1)
        length = np.hypot(u, v)
        local = [np.where(at == b, length, 0).sum(axis=(1, 3)) for b in range(bins)]
        return np.asarray(np.stack(local) * deformed.mean(axis=(1, 3)), dtype=np.float32)

    @staticmethod
    def stages(options: BiWoofSvmOptions) -> tuple[Stage, ...]:
        """Return the one stage."""
        return svm_stage(options, mirror if options.mirror else None)

    @staticmethod
    def occlude(features: NDArray[Any], roi: int, options: BiWoofSvmOptions) -> NDArray[Any]:
        """Return the features with the blocks that ROI number `roi` touches standing still."""
        return without_roi(features, roi)


def mirror(batch: Tensor) -> Tensor:
    """Return the histograms (…, bins, blocks, blocks) of the mirrored faces."""
    bins = batch.shape[-3]
    # A direction of x turns becomes one of ½ − x turns.
    order = [(bins // 2 - 1 - b) % bins for b in range(bins)]
    return batch.flip(-1)[..., order, :, :]
