"""What a stage is trained on: units of clips by position, and the batch of one step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mecli.training import randomness
from mecli.training.losses import targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mecli.models.contract import Network, Stage


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """All labelled clips of a run, sorted by clip id: features (N, …) and labels (N,)."""

    clip_ids: tuple[str, ...]
    features: NDArray[np.generic]
    labels: NDArray[np.int64]
    n_classes: int

    def rows(self, clip_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the row of each of `clip_ids`."""
        row = {clip: i for i, clip in enumerate(self.clip_ids)}
        return np.array([row[c] for c in clip_ids], dtype=np.int64)


class Units:
    """The units of one stage: features, label, weight and random key by position.

    Positions count ALL clips (times steps), so that the schedule is that of every fold.
    `weights` are (N,), or (F, N) for F folds at once. `values` are what the stage before
    exported, (N, …), or (F, N, …) because each fold has its own; without them the table's
    features are used.
    """

    def __init__(
        self,
        table: Table,
        stage: Stage,
        weights: Tensor,
        values: Tensor | None = None,
        device: str = "cpu",
    ) -> None:
        self.by_step, self.n_classes = stage.unit == "step", table.n_classes
        self.per_fold = values is not None and weights.ndim == 2
        self.data = (torch.from_numpy(table.features) if values is None else values).to(device)
        inner = self.data.shape[1 + self.per_fold :]
        self.steps = inner[0] if self.by_step else 1
        self.shape = tuple(inner[1:] if self.by_step else inner)
        keys = randomness.clip_keys(table.clip_ids)
        keys = randomness.step_keys(keys, self.steps) if self.by_step else keys
        self.keys = keys.to(device)
        self.labels = torch.from_numpy(table.labels).repeat_interleave(self.steps).to(device)
        self.weights = weights.repeat_interleave(self.steps, dim=-1).to(device)

    def take(self, positions: Tensor) -> Tensor:
        """Return the features of the units at `positions`: (B, …), or (F, B, …) per fold."""
        clips = positions // self.steps
        where = (clips, positions % self.steps) if self.by_step else (clips,)
        return self.data[(slice(None), *where)] if self.per_fold else self.data[where]


class Inputs(NamedTuple):
    """All that one step of training needs besides the weights."""

    values: Tensor
    masks: dict[str, Tensor]
    wanted: Tensor
    """Weighted targets (…, B, K); a leading axis is one row per fold."""


class Batch:
    """The units of one step that count for some fold, and the chance that hangs on them."""

    def __init__(self, stage: Stage, units: Units, part: Tensor, seed: int, epoch: int) -> None:
        self.stage, self.units, self.seed, self.epoch = stage, units, seed, epoch
        other = part.roll(-1)
        counts = units.weights[..., part] > 0
        if stage.recipe.mixup:
            counts &= units.weights[..., other] > 0
        kept = counts.reshape(-1, len(part)).any(0)
        self.positions, self.others = part[kept], other[kept]
        self.counts = counts[..., kept]

    def inputs(self, network: Network, dtype: torch.dtype) -> Inputs:
        """Return what `network` is trained on; the same in every fold but for `wanted`."""
        wanted = self._wanted(self.positions)
        values = self._values(network, self.positions, dtype)
        if self.stage.recipe.mixup:
            share = self._share()
            wanted = share[:, None] * wanted + (1 - share[:, None]) * self._wanted(self.others)
            each = share.to(dtype).reshape(-1, *[1] * len(self.units.shape))
            values = each * values + (1 - each) * self._values(network, self.others, dtype)
        keys = self.units.keys[self.positions]
        drawn = randomness.masks(network.dropouts, self.seed, self.stage.name, self.epoch, keys)
        masks = {name: mask.to(dtype) for name, mask in drawn.items()}
        return Inputs(values, masks, (wanted * self.counts[..., None]).to(dtype))

    def _wanted(self, positions: Tensor) -> Tensor:
        units = self.units
        labels, weights = units.labels[positions], units.weights[..., positions]
        return targets(self.stage.recipe, labels, weights, units.n_classes)

    def _values(self, network: Network, positions: Tensor, dtype: torch.dtype) -> Tensor:
        values = as_input(self.units.take(positions), dtype)
        if not network.uniforms:
            return values
        key = randomness.stream(self.seed, self.stage.name, self.epoch, "augment")
        numbers = randomness.numbers(key, self.units.keys[positions], network.uniforms)
        return network.augment(values, numbers.to(dtype))

    def _share(self) -> Tensor:
        """Return each pair's share of its first half, float64 in [½, 1]."""
        key = randomness.stream(self.seed, self.stage.name, self.epoch, "mixup")
        drawn = randomness.numbers(key, self.units.keys[self.positions], 1)[:, 0]
        share = torch.sin(torch.pi / 2 * drawn) ** 2
        return torch.maximum(share, 1 - share)


def as_input(batch: Tensor, dtype: torch.dtype) -> Tensor:
    """Return `batch` as a network takes it: pixels become −1..1, floats get `dtype`."""
    values = batch.to(dtype)
    return values / 127.5 - 1 if batch.dtype == torch.uint8 else values
