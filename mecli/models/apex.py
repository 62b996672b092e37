"""What the networks that read one onset→apex map have in common: input, options, mirroring.

Their papers normalise over the batch (BatchNorm) in places. That would mix clips, held-out
ones included, so each file here uses GroupNorm (Wu & He 2018, 10.1007/978-3-030-01261-8_1)
or nothing instead, and says which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from mecli.errors import InputError, UsageError
from mecli.flow import strain
from mecli.models.contract import Network, Recipe, Stage
from mecli.models.roi_flow_lstm import detrended, strength
from mecli.rois import FACE_SIZE, ROI_BOXES, crop_grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from mecli.records import ClipRecord

CHANNELS = ("u", "v", "strain")
WHOLE_FACE = np.array([[0, 0, FACE_SIZE[1], FACE_SIZE[0]]], dtype=np.float32)
# A tenth of a pixel over the 20 pixels that an expression's border is wide at least.
_LEAST_STRAIN = 0.005


@dataclass(frozen=True, slots=True)
class ApexOptions:
    """Options that all networks on an apex map share."""

    size_px: int = 28
    detrend: int = 2
    """Degree of the polynomial over the face that is taken off the flow; −1 for none."""
    mirror: bool = True
    """Augmentation: half of the clips are mirrored; scoring averages both views."""
    dropout: float = 0.5
    epochs: int = 60
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    balance: float = 0.5
    """Exponent of the inverse class frequency in the loss."""

    def __post_init__(self) -> None:
        if self.size_px < 16:
            raise UsageError(f"size_px is {self.size_px}, expected 16 or more")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout is {self.dropout}, expected 0 to below 1")


def face_maps(record: ClipRecord, detrend: int) -> NDArray[np.float32]:
    """Return u, v and strain from onset to apex over the face (H, W, 3), on the cache's grid.

    Flow is in units of the clip's own strongest motion and strain (Shreve et al. 2011,
    10.1109/FG.2011.5771451) in units of its own strongest strain (95th percentiles).
    Raises `InputError` if the clip has no flow.
    """
    flow = record.apex_flow
    if flow.ndim != 3 or min(flow.shape[:2]) < 2:
        raise InputError(
            f"clip {record.clip_id}: no flow from onset to apex in the cache; extract it anew"
        )
    moved = detrended(flow[None], detrend)[0]
    height, width = flow.shape[:2]
    spacing = float(np.sqrt(FACE_SIZE[0] / height * FACE_SIZE[1] / width))
    deformed = strain(moved, spacing)
    largest = max(float(np.percentile(deformed, 95)), _LEAST_STRAIN)
    parts = [moved / strength(record, detrend), deformed[..., None] / largest]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def mirror(batch: Tensor) -> Tensor:
    """Return the maps (…, 3, H, W) of the mirrored faces."""
    flipped = batch.flip(-1)
    flipped[..., 0, :, :].neg_()
    return flipped


def dropped(values: Tensor, masks: Mapping[str, Tensor], name: str) -> Tensor:
    """Multiply (B, …) by the dropout mask `name`; without masks keep all."""
    return values * masks[name] if name in masks else values


def laid_out(batch: Tensor) -> Tensor:
    """Return `batch` (B, C, H, W) with channels last in memory: pooling is several times faster."""
    return batch.movedim(1, -1).contiguous().movedim(-1, 1)


class ApexNetwork(Network):
    """A network that maps (B, 3, S, S) to class scores (B, K)."""

    def __init__(self, options: ApexOptions) -> None:
        super().__init__()
        self.mirrored = options.mirror
        self.uniforms = int(options.mirror)

    def augment(self, batch: Tensor, uniforms: Tensor) -> Tensor:
        """Mirror half of the clips."""
        turned = (uniforms[:, 0] < 0.5).reshape(-1, *[1] * (batch.ndim - 1))
        return torch.where(turned, mirror(batch), batch)

    def views(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Score a clip and its mirror image, if it was trained on such."""
        return (batch, mirror(batch)) if self.mirrored else (batch,)


class ApexModel:
    """What the registry's entries of such networks share."""

    name: ClassVar[str]
    paper: ClassVar[str]
    doi: ClassVar[str]
    input: ClassVar[str] = "apex flow"
    Options: ClassVar[type[ApexOptions]] = ApexOptions
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @classmethod
    def network(cls, shape: tuple[int, ...], n_classes: int, options: Any) -> ApexNetwork:
        """Return an untrained network for maps of `shape`."""
        raise NotImplementedError

    @classmethod
    def features(cls, record: ClipRecord, options: Any) -> NDArray[np.float32]:
        """Return (3, S, S) float32: u, v and strain, see `face_maps`."""
        maps = crop_grid(face_maps(record, options.detrend), WHOLE_FACE, options.size_px)
        return np.ascontiguousarray(np.moveaxis(maps[0], -1, 0))

    @classmethod
    def stages(cls, options: Any) -> tuple[Stage, ...]:
        """Return the one stage: Adam on the (weighted) cross-entropy."""
        recipe = Recipe(
            epochs=options.epochs,
            batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            weight_decay=options.weight_decay,
            schedule="cosine",
            balance=options.balance,
        )
        return (Stage("apex", recipe, lambda shape, k: cls.network(shape, k, options)),)

    @classmethod
    def occlude(cls, features: NDArray[Any], roi: int, options: Any) -> NDArray[Any]:
        """Return the features with the published box of ROI number `roi` standing still."""
        return without_roi(features, roi)


def without_roi(maps: NDArray[Any], roi: int) -> NDArray[Any]:
    """Return maps (…, H, W) over the face that are 0 in the published box of a ROI."""
    height, width = maps.shape[-2:]
    x0, y0, x1, y1 = ROI_BOXES[roi]
    rows = slice(int(y0 * height / FACE_SIZE[0]), int(np.ceil(y1 * height / FACE_SIZE[0])))
    columns = slice(int(x0 * width / FACE_SIZE[1]), int(np.ceil(x1 * width / FACE_SIZE[1])))
    still = maps.copy()
    still[..., rows, columns] = 0
    return still
