"""cnn-lstm: a CNN over patches of each ROI, then an LSTM over time (Aouayeb et al. 2019).

Stage 1 learns the class from single frames, ROI by ROI; stage 2 reads its frozen 256
features per frame. Both are trained inside the fold, which the published evaluation
did not do (on such leaks: Varanka et al. 2024, arXiv 2211.11425).

A ROI is cut into m patches with weights of their own. Per patch: conv 5×5×4, pool, conv
3×3×8, pool, then five branches {identity, 1×1, 3×3, 5×5, 7×7, 16 maps each}, pooled. The
72·m maps of a ROI then pass 1×1×162, the mean over the map, dense 2048 and dense 256.
All patches of all ROIs are one grouped convolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from mecli.errors import InputError, UsageError
from mecli.models.contract import Dropout, Network, Recipe, Stage
from mecli.models.layers import GroupedDense, GroupedLstm, drop
from mecli.models.roi_flow_lstm import resampled, strength
from mecli.rois import crop_grid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mecli.records import ClipRecord

_MAPS = 162
_WIDE, _EXPORTED, _STATE, _HEAD = 2048, 256, 64, 256
_FIRST, _SECOND, _BRANCH = 4, 8, 16
_KERNELS = (1, 3, 5, 7)
_L1 = 1e-5


@dataclass(frozen=True, slots=True)
class CnnLstmOptions:
    """Options of `cnn-lstm`: the paper's network, with a schedule that a CPU can bear.

    The paper trains far longer and more slowly; ``--preset paper`` has its figures.
    """

    input: Literal["flow", "rgb"] = "flow"
    training: Literal["two-stage", "end-to-end"] = "two-stage"
    patches: int = 9
    size_px: int = 24
    steps: int = 8
    sequence: int = 8
    """Length that shorter clips are padded to with zeros in front."""
    spatial_epochs: int = 10
    spatial_batch: int = 32
    temporal_epochs: int = 30
    temporal_batch: int = 32
    learning_rate: float = 5e-4
    focal_gamma: float = 2.0
    attention: bool = False
    """Squeeze-and-excitation gates, as added in 2022 (10.3389/frsip.2022.861469)."""

    def __post_init__(self) -> None:
        side = round(self.patches**0.5)
        if self.patches not in {4, 9, 16}:
            raise UsageError(f"patches is {self.patches}, expected 4, 9 or 16")
        if not 8 * side <= self.size_px <= 48 or self.size_px % side or 48 % self.size_px:
            raise UsageError(
                f"size_px is {self.size_px}, expected 24 or 48 with at least 8 pixels a patch"
            )
        if not 1 <= self.steps <= self.sequence:
            raise UsageError(
                f"steps is {self.steps} and sequence {self.sequence}, expected 1 ≤ steps ≤ sequence"
            )


class CnnLstm:
    """The registry's entry for `cnn-lstm`."""

    name: ClassVar[str] = "cnn-lstm"
    paper: ClassVar[str] = (
        "Aouayeb et al., A spatiotemporal deep learning solution for automatic micro-expressions "
        "recognition from local facial regions, MLSP 2019"
    )
    doi: ClassVar[str] = "10.1109/MLSP.2019.8918771"
    input: ClassVar[str] = "flow or rgb"
    Options: ClassVar[type[CnnLstmOptions]] = CnnLstmOptions
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "input": "rgb",
            "size_px": 48,
            "steps": 16,
            "sequence": 250,
            "spatial_epochs": 60,
            "temporal_epochs": 250,
            "temporal_batch": 128,
            "learning_rate": 1e-4,
        }
    }

    @staticmethod
    def features(record: ClipRecord, options: CnnLstmOptions) -> NDArray[np.generic]:
        """Return (T, R, S, S, 3): uint8 RGB, or float32 u, v and speed in the clip's own unit."""
        if options.input == "rgb":
            return _rgb(record, options)
        if record.flow.ndim != 4 or not len(record.flow):
            raise InputError(f"clip {record.clip_id}: no flow in the cache; extract it anew")
        maps = resampled(record.flow, options.steps) / strength(record)
        speed = np.linalg.norm(maps, axis=-1, keepdims=True)
        maps = np.concatenate([maps, speed], axis=-1)
        return np.asarray(crop_grid(maps, record.roi_boxes, options.size_px), dtype=np.float32)

    @staticmethod
    def stages(options: CnnLstmOptions) -> tuple[Stage, ...]:
        """Return the CNN on frames and the LSTM on its features, or both as one."""
        o = options
        spatial = Recipe(
            o.spatial_epochs, o.spatial_batch, o.learning_rate, focal_gamma=o.focal_gamma
        )
        temporal = Recipe(
            o.temporal_epochs, o.temporal_batch, o.learning_rate, focal_gamma=o.focal_gamma
        )
        if o.training == "end-to-end":
            return (Stage("both", temporal, lambda shape, k: EndToEnd(shape, k, o)),)
        return (
            Stage("frames", spatial, lambda shape, k: FrameNetwork(shape, k, o), unit="step"),
            Stage("sequence", temporal, lambda shape, k: SequenceNetwork(shape, k, o)),
        )

    @staticmethod
    def occlude(features: NDArray[Any], roi: int, options: CnnLstmOptions) -> NDArray[Any]:
        """Return the features with ROI number `roi` still: no flow, or its first frame."""
        still = features.copy()
        still[:, roi] = features[0, roi] if options.input == "rgb" else 0
        return still


def _rgb(record: ClipRecord, options: CnnLstmOptions) -> NDArray[np.uint8]:
    frames = record.roi_frames
    if not len(frames):
        raise InputError(
            f"clip {record.clip_id}: the cache has no ROI frames; train with input=flow"
        )
    at = np.round(np.linspace(0, len(frames) - 1, options.steps)).astype(int)
    size = options.size_px
    steps, rois, full = options.steps, frames.shape[1], frames.shape[2]
    cells = frames[at].reshape(steps, rois, size, full // size, size, full // size, 3)
    return np.asarray(np.rint(cells.mean(axis=(3, 5))), dtype=np.uint8)


class Gate(nn.Module):
    """Squeeze-and-excitation (Hu et al. 2018, 10.1109/CVPR.2018.00745) per group."""

    def __init__(self, groups: int, channels: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze = GroupedDense(range(groups), channels, squeezed)
        self.excite = GroupedDense(range(groups), squeezed, channels, gain=1.0)

    def forward(self, values: Tensor) -> Tensor:
        """Return the factor (G, N, channels) of every channel."""
        return torch.sigmoid(self.excite(torch.relu(self.squeeze(values))))


class FrameNetwork(Network):
    """Stage 1: one CNN per ROI on single frames (B, R, S, S, 3)."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, options: CnnLstmOptions) -> None:
        super().__init__()
        self.rois, self.side = shape[0], round(options.patches**0.5)
        groups, channels = self.rois * options.patches, shape[-1]
        each = range(self.rois)
        self.first = _patchwise(groups, channels, _FIRST, 5)
        self.second = _patchwise(groups, _FIRST, _SECOND, 3)
        self.branches = nn.ModuleList(_patchwise(groups, _SECOND, _BRANCH, k) for k in _KERNELS)
        maps = options.patches * (_SECOND + len(_KERNELS) * _BRANCH)
        self.gate = Gate(self.rois, maps, maps // 4) if options.attention else None
        self.mix = GroupedDense(each, maps, _MAPS)
        self.wide = GroupedDense(each, _MAPS, _WIDE)
        self.narrow = GroupedDense(each, _WIDE, _EXPORTED)
        self.classes = GroupedDense(each, _EXPORTED, n_classes, gain=1.0)
        self.dropouts = {
            "wide": Dropout((self.rois, _WIDE), 0.5),
            "narrow": Dropout((self.rois, _EXPORTED), 0.5),
        }

    def forward(self, batch: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        """Return class scores (B, R, K), one head per ROI."""
        scores: Tensor = self.classes(drop(self.read(batch, masks), masks, "narrow"))
        return scores.transpose(0, 1)

    def export(self, batch: Tensor) -> Tensor:
        """Return 256 features per ROI, (B, R, 256)."""
        return self.read(batch, {}).transpose(0, 1)

    def read(self, batch: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        """Return (R, B, 256) of frames (B, R, S, S, 3)."""
        mixed = self._branches(self._patches(batch))
        rois, count, cells, channels = mixed.shape
        if self.gate is not None:
            mixed = mixed * self.gate(mixed.mean(2))[:, :, None]
        mixed = torch.relu(self.mix(mixed.reshape(rois, count * cells, channels)))
        pooled = mixed.reshape(rois, count, cells, -1).mean(2)
        wide = drop(torch.relu(self.wide(pooled)), masks, "wide")
        return torch.relu(self.narrow(wide))

    def _patches(self, batch: Tensor) -> Tensor:
        """Return (B, R·m·C, s, s), laid out channels last, which is what the CPU likes."""
        count, rois, size, _, channels = batch.shape
        s = size // self.side
        batch = batch.to(self.first.weight.dtype)
        cut = batch.reshape(count, rois, self.side, s, self.side, s, channels)
        cut = cut.permute(0, 3, 5, 1, 2, 4, 6).reshape(count, s, s, -1)
        return cut.permute(0, 3, 1, 2)

    def _branches(self, patches: Tensor) -> Tensor:
        """Return (R, B, cells, m·72)."""
        pool = nn.functional.max_pool2d
        maps = torch.relu(pool(self.first(patches), 2))
        maps = torch.relu(pool(self.second(maps), 2))
        # The identity branch is not negative already; of the others, pool before ReLU.
        parts = [pool(maps, 2), *(torch.relu(pool(b(maps), 2)) for b in self.branches)]
        count = len(patches)
        split = [p.reshape(count, self.rois, self.side**2, -1, *p.shape[2:]) for p in parts]
        joined = torch.cat(split, dim=3).flatten(4).flatten(2, 3)
        return joined.permute(1, 0, 3, 2)


def _patchwise(groups: int, inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(groups * inputs, groups * outputs, kernel, padding=kernel // 2, groups=groups)


class SequenceNetwork(Network):
    """Stage 2: one LSTM per ROI over the exported features (B, T, R, 256), then a dense head."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, options: CnnLstmOptions) -> None:
        super().__init__()
        steps, rois, inputs = shape
        self.padding = options.sequence - steps
        self.lstm = GroupedLstm(range(rois), inputs, _STATE)
        joined = rois * _STATE
        self.gate = Gate(1, joined, joined // 4) if options.attention else None
        self.head = nn.Linear(joined, _HEAD)
        self.classes = nn.Linear(_HEAD, n_classes)
        self.dropouts = {
            "state": Dropout((rois, _STATE), 0.2),
            "head": Dropout((_HEAD,), 0.5),
        }

    def forward(self, batch: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        """Return class scores (B, K)."""
        features = nn.functional.pad(batch.permute(2, 0, 1, 3), (0, 0, self.padding, 0))
        state = nn.functional.leaky_relu(self.lstm(features), 0.01)
        joined = drop(state, masks, "state").transpose(0, 1).flatten(1)
        if self.gate is not None:
            joined = joined * self.gate(joined[None])[0]
        head = nn.functional.leaky_relu(self.head(joined), 0.01)
        if "head" in masks:
            head = head * masks["head"]
        scores: Tensor = self.classes(head)
        return scores

    def penalty(self) -> Tensor:
        """Return the paper's L1 penalty on the dense layer."""
        return _L1 * self.head.weight.abs().sum()


class EndToEnd(Network):
    """Both stages as one network, time folded into the batch: (B, T, R, S, S, 3) → (B, K)."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, options: CnnLstmOptions) -> None:
        super().__init__()
        steps, rois = shape[:2]
        self.frames = FrameNetwork(shape[1:], n_classes, options)
        # The heads per frame are of no use here and would never see a gradient.
        del self.frames.classes
        self.sequence = SequenceNetwork((steps, rois, _EXPORTED), n_classes, options)
        wide, narrow = self.frames.dropouts["wide"], self.frames.dropouts["narrow"]
        self.dropouts = {
            "wide": Dropout((steps, *wide.shape), wide.rate),
            "narrow": Dropout((steps, *narrow.shape), narrow.rate),
            **self.sequence.dropouts,
        }

    def forward(self, batch: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        """Return class scores (B, K)."""
        clips, steps = batch.shape[:2]
        folded = {n: m.flatten(0, 1) for n, m in masks.items() if n in self.frames.dropouts}
        read = self.frames.read(batch.flatten(0, 1), folded)
        read = drop(read, folded, "narrow").transpose(0, 1)
        scores: Tensor = self.sequence(read.reshape(clips, steps, *read.shape[1:]), masks)
        return scores

    def penalty(self) -> Tensor:
        """Return the paper's L1 penalty on the dense layer."""
        return self.sequence.penalty()
