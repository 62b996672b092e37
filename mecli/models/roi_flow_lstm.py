"""roi-flow-lstm: flow of six ROIs, one small CNN and LSTM per ROI, a readable weight per ROI.

Right ROIs are flipped, with the horizontal flow negated, so that left and right share all
weights; mirroring a clip is then little more than swapping its ROIs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from mecli.errors import InputError, UsageError
from mecli.models.contract import Dropout, Network, Recipe, Stage
from mecli.models.layers import GroupedDense, GroupedLstm, drop, nudge
from mecli.rois import FACE_SIZE, crop_grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mecli.records import ClipRecord

# Which kind of region (eye, nose, cheek, mouth) each ROI is, in the order of ROI_NAMES.
_KINDS = (0, 0, 1, 2, 2, 3)
_RIGHT = (1, 4)
SWAPPED = (1, 0, 2, 4, 3, 5)
_CENTRAL = (2, 5)
# Clips that hardly move are not blown up: below this, in face pixels, it is noise.
_LEAST_MOTION_PX = 0.1


@dataclass(frozen=True, slots=True)
class RoiFlowLstmOptions:
    """Options of `roi-flow-lstm`; the defaults are what `mecli train` uses."""

    steps: int = 4
    """How many moments are shown, if the clips have that many; a single one is the apex."""
    moment: Literal["sequence", "apex"] = "sequence"
    """What the steps show: the clip on its way, or its apex alone, as in pairs and archives."""
    size_px: int = 12
    channels: int = 8
    dense: int = 128
    """Width of the position-specific path beside the convolutions."""
    feature: int = 32
    hidden: int = 32
    dropout: float = 0.3
    epochs: int = 30
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 5e-2
    label_smoothing: float = 0.1
    balance: float = 1.0
    amplitude: float = 0.3
    """Augmentation: motion is scaled by e^±amplitude."""
    shift: float = 0.0
    """Augmentation: ROIs are shifted by up to this share of a cell."""
    jitter: float = 0.0
    """Augmentation: steps are shifted by up to this share of a step."""

    mixup: bool = True
    """Augmentation: blend each clip with another one of the training clips."""
    detrend: int = 2
    """Degree of the polynomial over the face that is taken off each map; −1 for none."""
    grow: float = 1.6
    """How much larger than the paper's the regions are."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.size_px < 4 or self.size_px % 4 or self.channels % 4:
            raise UsageError(
                f"steps is {self.steps}, size_px {self.size_px} and channels {self.channels}, "
                "expected steps ≥ 1, size_px and channels multiples of 4"
            )
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout is {self.dropout}, expected 0 to below 1")

    def showing(self, moments: int) -> RoiFlowLstmOptions:
        """Return the options with no more steps than clips have `moments` of motion."""
        return replace(self, steps=min(self.steps, moments))


class RoiFlowLstm:
    """The registry's entry for `roi-flow-lstm`."""

    name: ClassVar[str] = "roi-flow-lstm"
    paper: ClassVar[str] = (
        "this project; regions after Aouayeb et al., A spatiotemporal deep learning solution for "
        "automatic micro-expressions recognition from local facial regions, MLSP 2019"
    )
    doi: ClassVar[str] = "10.1109/MLSP.2019.8918771"
    input: ClassVar[str] = "flow"
    Options: ClassVar[type[RoiFlowLstmOptions]] = RoiFlowLstmOptions
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @staticmethod
    def features(record: ClipRecord, options: RoiFlowLstmOptions) -> NDArray[np.float32]:
        """Return (T, R, 2, S, S) float32: flow in units of the clip's own strongest motion."""
        if record.flow.ndim != 4 or not len(record.flow):
            raise InputError(f"clip {record.clip_id}: no flow in the cache; extract it anew")
        # At the end of a clip the face is back at rest: one step alone has to be the apex.
        shown = record.apex_flow[None] if _apex_alone(options) else record.flow
        maps = resampled(shown, options.steps)
        maps = detrended(maps, options.detrend)
        boxes = grown(record.roi_boxes, options.grow)
        crops = np.moveaxis(crop_grid(maps, boxes, options.size_px), -1, 2).copy()
        for roi in _RIGHT:
            crops[:, roi] = crops[:, roi, :, :, ::-1]
            crops[:, roi, 0] *= -1
        return np.asarray(crops / strength(record, options.detrend), dtype=np.float32)

    @staticmethod
    def looks_at(steps: int, options: RoiFlowLstmOptions) -> frozenset[int]:
        """Return at which of a record's `steps` steps `features` looks."""
        if _apex_alone(options):
            return frozenset()
        low, _ = _between(steps, options.steps)
        return frozenset([*low.tolist(), *(low + 1).tolist()])

    @staticmethod
    def stages(options: RoiFlowLstmOptions) -> tuple[Stage, ...]:
        """Return the one stage: everything is trained together."""
        recipe = Recipe(
            epochs=options.epochs,
            batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            weight_decay=options.weight_decay,
            schedule="cosine",
            label_smoothing=options.label_smoothing,
            balance=options.balance,
            gradient_norm=5.0,
            mixup=options.mixup,
        )
        return (Stage("rois", recipe, lambda shape, k: RoiFlowNetwork(shape, k, options)),)

    @staticmethod
    def occlude(features: NDArray[Any], roi: int, options: RoiFlowLstmOptions) -> NDArray[Any]:
        """Return the features with ROI number `roi` standing still."""
        still = features.copy()
        still[:, roi] = 0
        return still


def _apex_alone(options: RoiFlowLstmOptions) -> bool:
    return options.moment == "apex" or options.steps == 1


def strength(record: ClipRecord, detrend: int = -1) -> float:
    """Return how far the clip's face moves at its apex: the 95th percentile, face pixels."""
    apex = record.apex_flow if record.apex_flow.size else record.flow[-1]
    lengths = np.linalg.norm(detrended(apex[None], detrend), axis=-1)
    return max(float(np.percentile(lengths, 95)), _LEAST_MOTION_PX)


def detrended(maps: NDArray[np.float32], degree: int) -> NDArray[np.float32]:
    """Return maps (T, H, W, 2) less a polynomial over the face, fitted without its outliers.

    What is left of head motion is smooth; an expression is local and counts as an outlier
    (weights 1 / (1 + (r / 3s)²) of the residual r and its median s).
    """
    if degree < 0:
        return maps
    count, height, width, _ = maps.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = [x**i * y**j for i in range(degree + 1) for j in range(degree + 1 - i)]
    basis = np.stack(terms, axis=-1).reshape(-1, len(terms))
    values = maps.reshape(count, -1, 2).astype(np.float64)
    residual, weights = values, np.ones((count, len(basis)))
    for _ in range(6):
        weighted = basis * weights[..., None]
        solution = np.linalg.solve(
            weighted.transpose(0, 2, 1) @ basis, weighted.transpose(0, 2, 1) @ values
        )
        residual = values - basis @ solution
        length = np.linalg.norm(residual, axis=-1)
        middle = np.maximum(np.median(length, axis=1, keepdims=True), 1e-9)
        weights = 1 / (1 + (length / (3 * middle)) ** 2)
    return np.asarray(residual.reshape(maps.shape), dtype=np.float32)


def grown(boxes: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Return boxes (R, 4) grown about their centres, cut off at the face's border."""
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    corners = np.hstack([middle - factor * half, middle + factor * half])
    limits = [FACE_SIZE[1], FACE_SIZE[0]] * 2
    return np.asarray(np.clip(corners, 0, limits), dtype=np.float32)


def resampled(flow: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    """Return `steps` maps evenly spaced over the motion (T, H, W, 2), without the still onset.

    A single map (onset→apex, as flow archives have it) is held for all steps.
    """
    if len(flow) == 1:
        return np.repeat(flow, steps, axis=0)
    low, share = _between(len(flow), steps)
    between: NDArray[np.float32] = flow[low] * (1 - share) + flow[low + 1] * share
    return between


def _between(count: int, steps: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return before which of `count` maps each of `steps` lies, and how near to the next."""
    at = np.linspace(0, count - 1, steps + 1)[1:]
    low = np.minimum(at.astype(np.int64), count - 2)
    return low, (at - low).astype(np.float32)[:, None, None, None]


class RoiFlowNetwork(Network):
    """Convolutions shared by all ROIs beside a dense path per kind of region, then an LSTM.

    Aligned faces put the same muscle at the same pixel: the dense path learns places, the
    convolutions shapes.
    """

    uniforms = 5

    def __init__(self, shape: tuple[int, ...], n_classes: int, options: RoiFlowLstmOptions) -> None:
        super().__init__()
        self.options = o = options
        rois, channels, size = shape[1:4]
        self.first = nn.Conv2d(channels, o.channels, 3, padding=1)
        self.second = nn.Conv2d(o.channels, 2 * o.channels, 3, padding=1)
        self.norm = nn.GroupNorm(4, 2 * o.channels)
        pixels, seen = channels * size**2, 2 * o.channels * (size // 4) ** 2
        self.dense = GroupedDense(_KINDS, pixels, o.dense)
        self.feature = GroupedDense(_KINDS, seen + o.dense, o.feature)
        self.scale = nn.LayerNorm(o.feature)
        self.lstm = GroupedLstm(_KINDS, o.feature, o.hidden)
        self.attention = GroupedDense(_KINDS, o.hidden, 1, gain=1.0)
        self.evidence = GroupedDense(_KINDS, o.hidden, n_classes, gain=1.0)
        self.dropouts = {
            "pixels": Dropout((rois, 1, pixels), o.dropout / 2),
            "paths": Dropout((rois, 1, seen + o.dense), o.dropout),
            "state": Dropout((rois, o.hidden), o.dropout),
        }

    def augment(self, batch: Tensor, uniforms: Tensor) -> Tensor:
        """Mirror half of the clips; scale their motion; shift them a little."""
        each = (-1, *[1] * (batch.ndim - 1))
        # Chosen by `where`: to pick rows out, a GPU would have to tell how many they are.
        batch = torch.where((uniforms[:, 0] < 0.5).reshape(each), mirror(batch), batch)
        centred = 2 * uniforms - 1
        if self.options.shift > 0:
            batch = nudge(batch, self.options.shift * centred[:, 2], -1)
            batch = nudge(batch, self.options.shift * centred[:, 3], -2)
        if self.options.jitter > 0:
            batch = nudge(batch, self.options.jitter * centred[:, 4], 1)
        return batch * torch.exp(self.options.amplitude * centred[:, 1]).reshape(each)

    def views(self, batch: Tensor) -> tuple[Tensor, ...]:
        """Score a clip and its mirror image."""
        return batch, mirror(batch)

    def forward(self, batch: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        """Return class scores (B, K) of flow (B, T, R, C, S, S)."""
        weights, evidence = self._read(batch, masks)
        return batch.shape[2] * (weights * evidence).sum(0)

    def roi_scores(self, batch: Tensor) -> Tensor:
        """Return the part (B, R, K) of the class scores that each ROI brings: weight × evidence."""
        weights, evidence = self._read(batch, {})
        return (len(weights) * weights * evidence).transpose(0, 1)

    def _read(self, batch: Tensor, masks: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the weight (R, B, 1) of each ROI, in sum 1, and its evidence (R, B, K)."""
        clips, steps, rois = batch.shape[:3]
        # Pooling before the activation is the same function on a quarter of the numbers.
        maps = batch.reshape(clips * steps * rois, *batch.shape[3:])
        maps = self.first(maps.contiguous(memory_format=torch.channels_last))
        maps = torch.relu(nn.functional.max_pool2d(maps, 2))
        maps = torch.relu(nn.functional.max_pool2d(self.norm(self.second(maps)), 2))
        maps = maps.reshape(clips, steps, rois, -1).permute(2, 0, 1, 3)
        pixels = batch.reshape(clips, steps, rois, -1).permute(2, 0, 1, 3)
        dense = self._each(self.dense, drop(pixels, masks, "pixels"))
        both = torch.cat([maps, nn.functional.gelu(dense)], dim=-1)
        features = self._each(self.feature, drop(both, masks, "paths"))
        state = self.lstm(nn.functional.gelu(self.scale(features)))
        state = drop(state, masks, "state")
        return torch.softmax(self.attention(state), dim=0), self.evidence(state)

    @staticmethod
    def _each(layer: GroupedDense, values: Tensor) -> Tensor:
        """Apply a grouped layer to (R, B, T, …) step by step."""
        rois, clips, steps = values.shape[:3]
        flat: Tensor = layer(values.reshape(rois, clips * steps, -1))
        return flat.reshape(rois, clips, steps, -1)


def mirror(batch: Tensor) -> Tensor:
    """Return the flow of the mirrored face, (…, R, C, S, S)."""
    parts = list(batch.unbind(-4))
    for roi in _CENTRAL:
        flipped = parts[roi].flip(-1)
        parts[roi] = torch.cat([-flipped[..., :1, :, :], flipped[..., 1:, :, :]], dim=-3)
    return torch.stack([parts[roi] for roi in SWAPPED], dim=-4)
