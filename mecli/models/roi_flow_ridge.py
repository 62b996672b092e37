"""roi-flow-ridge: the flow of six ROIs over time, compared ROI by ROI with the training clips.

Kernel ridge regression (Saunders et al. 1998) on the sum of one RBF kernel per ROI: evidence
adds up over regions, so what each one brings is exact. Mirrored copies of the training clips
count too. They need no room of their own: with them the solution is the same for a clip and
its mirror image, so k(x, y) + k(mirrored x, y) takes their place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from mecli.errors import UsageError
from mecli.models.contract import Network, Recipe, Stage
from mecli.models.roi_flow_lstm import SWAPPED, RoiFlowLstm, RoiFlowLstmOptions, mirror

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from mecli.records import ClipRecord


@dataclass(frozen=True, slots=True)
class RoiFlowRidgeOptions:
    """Options of `roi-flow-ridge`; the first four are those of `roi-flow-lstm`."""

    steps: int = 4
    size_px: int = 12
    detrend: int = 2
    grow: float = 1.6
    gamma: float = 0.5
    """Width of the kernels: exp(−γ d² / the mean d² of the training clips), by ROI."""
    ridge: float = 0.1
    """How much a coefficient costs; more makes smoother scores."""
    balance: float = 1.0
    """Exponent of the inverse class frequency, counted on the fold's training clips."""

    def __post_init__(self) -> None:
        if not (self.gamma > 0 and self.ridge > 0):
            raise UsageError(
                f"gamma is {self.gamma:g} and ridge {self.ridge:g}, expected more than 0"
            )
        _ = self.crops

    def showing(self, moments: int) -> RoiFlowRidgeOptions:
        """Return the options with no more steps than clips have `moments` of motion."""
        return replace(self, steps=min(self.steps, moments))

    @property
    def crops(self) -> RoiFlowLstmOptions:
        """How a clip becomes crops of its ROIs, as `roi-flow-lstm` has it."""
        return RoiFlowLstmOptions(
            steps=self.steps, size_px=self.size_px, detrend=self.detrend, grow=self.grow
        )


class RoiFlowRidge:
    """The registry's entry for `roi-flow-ridge`."""

    name: ClassVar[str] = "roi-flow-ridge"
    paper: ClassVar[str] = (
        "a baseline of this project; regions after Aouayeb et al., A spatiotemporal deep learning "
        "solution for automatic micro-expressions recognition from local facial regions, MLSP 2019"
    )
    doi: ClassVar[str] = "10.1109/MLSP.2019.8918771"
    input: ClassVar[str] = "flow"
    Options: ClassVar[type[RoiFlowRidgeOptions]] = RoiFlowRidgeOptions
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @staticmethod
    def features(record: ClipRecord, options: RoiFlowRidgeOptions) -> NDArray[np.float32]:
        """Return (T, R, 2, S, S) float32: flow in units of the clip's own strongest motion."""
        return RoiFlowLstm.features(record, options.crops)

    @staticmethod
    def looks_at(steps: int, options: RoiFlowRidgeOptions) -> frozenset[int]:
        """Return at which of a record's `steps` steps `features` looks."""
        return RoiFlowLstm.looks_at(steps, options.crops)

    @staticmethod
    def stages(options: RoiFlowRidgeOptions) -> tuple[Stage, ...]:
        """Return the one stage, solved at once."""

        def build(shape: tuple[int, ...], n_classes: int) -> RoiFlowRidgeNetwork:
            return RoiFlowRidgeNetwork(shape, n_classes, options)

        return (Stage("ridge", Recipe(epochs=1), build, solved=True),)

    @staticmethod
    def occlude(features: NDArray[Any], roi: int, options: RoiFlowRidgeOptions) -> NDArray[Any]:
        """Return the features with ROI number `roi` standing still."""
        return RoiFlowLstm.occlude(features, roi, options.crops)


class RoiFlowRidgeNetwork(Network):
    """(B, T, R, C, S, S) → (B, K). Weights: training clips (N, …), coefficients (N, K), scales."""

    def __init__(
        self, shape: tuple[int, ...], n_classes: int, options: RoiFlowRidgeOptions
    ) -> None:
        super().__init__()
        self.options, self.shape, self.n_classes = options, shape, n_classes
        self.scale = _fixed(torch.ones(shape[1]))
        self.clips = _fixed(torch.zeros(0, *shape))
        self.coefficients = _fixed(torch.zeros(0, n_classes))

    def make_room(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Take as many training clips as a checkpoint has."""
        if shapes.get("clips"):
            self._resize(shapes["clips"][0])

    def _resize(self, count: int) -> None:
        self.clips = _fixed(self.scale.new_zeros(count, *self.shape))
        self.coefficients = _fixed(self.scale.new_zeros(count, self.n_classes))

    def forward(self, batch: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        """Return class scores (B, K); they sum to 0."""
        return self.roi_scores(batch).sum(1)

    def roi_scores(self, batch: Tensor) -> Tensor:
        """Return the part (B, R, K) of the class scores that each ROI brings."""
        distances = self._distances(batch, self.clips)
        return (self._kernels(distances, self.scale) @ self.coefficients).transpose(0, 1)

    def _kernels(self, distances: tuple[Tensor, Tensor], scale: Tensor) -> Tensor:
        """Return what likeness (R, B, N) each ROI adds, as it is and mirrored."""
        straight, mirrored = (
            torch.exp(-self.options.gamma * d / scale[:, None, None]) for d in distances
        )
        # A mirrored clip has the left eye in the right eye's place.
        return (straight + mirrored[list(SWAPPED)]) / len(scale)

    @staticmethod
    def _distances(batch: Tensor, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Return squared distances (R, B, N) of clips as they are, and of mirrored ones."""
        known = _by_roi(clips)
        return _squared(_by_roi(batch), known), _squared(_by_roi(mirror(batch)), known)

    @torch.no_grad()
    def solve(self, values: Tensor, labels: Tensor) -> float:
        """Fit scales and coefficients to clips (N, …) with labels (N,); return their mean loss."""
        clips = values.to(torch.float64)
        distances = self._distances(clips, clips)
        means = torch.stack(distances).mean((0, 2, 3))
        scale = ((means + means[list(SWAPPED)]) / 2).clamp_min(1e-12)
        kernel = self._kernels(distances, scale).sum(0)
        counts = torch.bincount(labels, minlength=self.n_classes)
        weights = (len(labels) / (self.n_classes * counts[labels])) ** self.options.balance
        wanted = self.n_classes * nn.functional.one_hot(labels, self.n_classes) - 1.0
        costs = torch.diag(self.options.ridge / weights.to(torch.float64))
        self._resize(len(clips))
        self.scale.copy_(scale)
        self.clips.copy_(clips)
        self.coefficients.copy_(torch.linalg.solve(kernel + costs, wanted.to(torch.float64)))
        return float(nn.functional.cross_entropy(self(values, {}), labels))


def _fixed(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)


def _by_roi(clips: Tensor) -> Tensor:
    """Return clips (N, T, R, …) as (R, N, values)."""
    return clips.transpose(1, 2).flatten(2).transpose(0, 1)


def _squared(values: Tensor, known: Tensor) -> Tensor:
    """Return squared distances (R, B, N) between (R, B, D) and (R, N, D)."""
    squares = (values**2).sum(-1)[..., None] + (known**2).sum(-1)[:, None]
    return (squares - 2 * values @ known.transpose(1, 2)).clamp_min(0)
