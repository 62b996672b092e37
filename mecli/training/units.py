"""What a stage is trained on: units of clips by position, and the batch of one step."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mecli import files
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
    scratch: Path | None = None
    """Where arrays that are too large for memory are put; by default where the system does."""
    memory_bytes: int = 256 << 20
    """The largest array that a stage hands on in memory."""

    def rows(self, clip_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the row of each of `clip_ids`."""
        row = {clip: i for i, clip in enumerate(self.clip_ids)}
        return np.array([row[c] for c in clip_ids], dtype=np.int64)

    def zeros(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return zeros of `shape` and of the type of `like`, mapped from a file if too many.

        The file has no name and goes with the array; features are mapped from the run's.
        """
        if like.device.type != "cpu" or math.prod(shape) * like.itemsize <= self.memory_bytes:
            return like.new_zeros(shape)
        rows = np.zeros(shape[1:], dtype=like.numpy().dtype)
        folder = self.scratch or Path(tempfile.gettempdir())
        with files.writing(folder), tempfile.TemporaryFile(dir=folder) as file:
            # Written first: on a full disk, writing to a map kills the process.
            file.writelines(rows.data for _ in range(shape[0]))
            file.flush()
            return torch.from_numpy(np.memmap(file, rows.dtype, "r+", shape=shape))


class Units:
    """The units of one stage by position: features, wanted scores and random keys.

    Positions count ALL clips (times steps), so that the schedule is that of every fold.
    `weights` are (N,), or (F, N) for F folds at once. `values` are what the stage before
    exported, (N, …), or (F, N, …) because each fold has its own; without them the table's
    features are used. Who takes part in a step is settled on the CPU, so that nobody has to
    wait for a GPU to say it.
    """

    def __init__(
        self,
        table: Table,
        stage: Stage,
        weights: Tensor,
        values: Tensor | None = None,
        device: str = "cpu",
    ) -> None:
        self.by_step, self.device = stage.unit == "step", device
        self.per_fold = values is not None and weights.ndim == 2
        data = torch.from_numpy(table.features) if values is None else values
        self.data = data.to(device) if device != "cuda" or fits_gpu(data) else data
        inner = self.data.shape[1 + self.per_fold :]
        self.steps = inner[0] if self.by_step else 1
        self.shape = tuple(inner[1:] if self.by_step else inner)
        keys = randomness.clip_keys(table.clip_ids)
        self.keys = randomness.step_keys(keys, self.steps) if self.by_step else keys
        self.labels = torch.from_numpy(table.labels).repeat_interleave(self.steps)
        weights = weights.repeat_interleave(self.steps, dim=-1)
        self.counts = weights > 0
        self.wanted = targets(stage.recipe, self.labels, weights, table.n_classes).to(device)

    def take(self, positions: Tensor) -> Tensor:
        """Return the features of the units at `positions`: (B, …), or (F, B, …) per fold."""
        at = positions.to(self.data.device)
        where = (at // self.steps, at % self.steps) if self.by_step else (at,)
        taken = self.data[(slice(None), *where)] if self.per_fold else self.data[where]
        return taken.to(self.device)


def fits_gpu(data: Tensor) -> bool:
    """Whether `data` leaves the GPU room for the folds; else its batches are sent one by one."""
    return bool(data.nbytes < torch.cuda.mem_get_info()[0] // 4)


class Inputs(NamedTuple):
    """All that one step of training needs besides the weights."""

    values: Tensor
    masks: dict[str, Tensor]
    wanted: Tensor
    """Weighted targets (…, B, K); a leading axis is one row per fold."""


class Epoch:
    """One pass over the units of a stage, and the chance that hangs on it."""

    def __init__(
        self,
        stage: Stage,
        units: Units,
        seed: int,
        number: int,
        drawn: randomness.Drawn | None = None,
    ) -> None:
        self.stage, self.units, self.drawn = stage, units, drawn
        self.of = (seed, stage.name, number)
        self._numbers: dict[str, Tensor] = {}

    def numbers(self, purpose: str, count: int) -> Tensor:
        """Return `count` numbers in [0, 1) of every unit for `purpose`, float64 (N, count)."""
        if purpose not in self._numbers:
            key = randomness.stream(*self.of, purpose)
            made = randomness.numbers(key, self.units.keys, count)
            self._numbers[purpose] = made.to(self.units.device)
        return self._numbers[purpose]


class Batch:
    """The units of one step that count for some fold."""

    def __init__(self, epoch: Epoch, part: Tensor) -> None:
        self.epoch, self.units, self.mixup = epoch, epoch.units, epoch.stage.recipe.mixup
        self.part, other = part, part.roll(-1) if self.mixup else part
        counts = self.units.counts[..., part]
        if self.mixup:
            counts &= self.units.counts[..., other]
        self.kept = torch.nonzero(counts.any(0) if counts.ndim == 2 else counts)[:, 0]
        self.counts = counts[..., self.kept]
        self.positions, self.others = part[self.kept], other[self.kept]

    @property
    def active(self) -> Tensor:
        """Whether a fold has any unit in this step, bool (F,)."""
        return self.counts.any(-1)

    def inputs(self, network: Network, dtype: torch.dtype) -> Inputs:
        """Return what `network` is trained on; the same in every fold but for `wanted`."""
        device = self.units.device
        at = self.positions.to(device)
        wanted, values = self.units.wanted[..., at, :], self._values(network, at, dtype)
        if self.mixup:
            others, share = self.others.to(device), self._share(at)
            with_others = self.units.wanted[..., others, :]
            wanted = share[:, None] * wanted + (1 - share[:, None]) * with_others
            wanted = wanted * self.counts.to(device)[..., None]
            each = share.to(dtype).reshape(-1, *[1] * len(self.units.shape))
            values = each * values + (1 - each) * self._values(network, others, dtype)
        masks = randomness.masks(
            network.dropouts, self.epoch.of, self.units.keys[self.part], self.kept, dtype,
            device, self.epoch.drawn,
        )  # fmt: skip
        return Inputs(values, masks, wanted.to(dtype))

    def _values(self, network: Network, at: Tensor, dtype: torch.dtype) -> Tensor:
        values = as_input(self.units.take(at), dtype)
        if not network.uniforms:
            return values
        numbers = self.epoch.numbers("augment", network.uniforms)[at]
        return network.augment(values, numbers.to(dtype))

    def _share(self, at: Tensor) -> Tensor:
        """Return each pair's share of its first half, float64 in [½, 1]."""
        share = torch.sin(torch.pi / 2 * self.epoch.numbers("mixup", 1)[at, 0]) ** 2
        return torch.maximum(share, 1 - share)


def as_input(batch: Tensor, dtype: torch.dtype) -> Tensor:
    """Return `batch` as a network takes it: pixels become −1..1, floats get `dtype`."""
    values = batch.to(dtype)
    return values / 127.5 - 1 if batch.dtype == torch.uint8 else values
