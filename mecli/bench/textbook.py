"""The training loops that papers publish, for comparison: plain PyTorch, one step at a time.

The same networks as `roi-flow-lstm`, `cnn-lstm` and `ststnet`, written as one would from
their description: modules per region and patch, a loop over time, activation before pooling,
NCHW, `nn.LSTM`, a `DataLoader` over clips held in memory, `torch.optim`, default threads,
one fold after another. Nothing is slowed down on purpose, nor is scoring counted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - as everybody writes it
from torch.utils.data import DataLoader, Dataset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from mecli.models.contract import Recipe

    Change = Callable[[Tensor], Tensor]

_ROIS, _KIND = 6, (0, 0, 1, 2, 2, 3)
_WARM = 2


class RoiFlowNet(nn.Module):
    """`roi-flow-lstm`: (B, T, R, C, S, S) → (B, K)."""

    def __init__(self, shape: Sequence[int], n_classes: int, o: Any) -> None:
        super().__init__()
        channels, size, kinds = shape[2], shape[3], range(max(_KIND) + 1)
        pixels, seen = channels * size**2, 2 * o.channels * (size // 4) ** 2
        self.first = nn.Conv2d(channels, o.channels, 3, padding=1)
        self.second = nn.Conv2d(o.channels, 2 * o.channels, 3, padding=1)
        self.norm, self.scale = nn.GroupNorm(4, 2 * o.channels), nn.LayerNorm(o.feature)
        self.dense = nn.ModuleList(nn.Linear(pixels, o.dense) for _ in kinds)
        self.feature = nn.ModuleList(nn.Linear(seen + o.dense, o.feature) for _ in kinds)
        self.lstm = nn.ModuleList(nn.LSTM(o.feature, o.hidden, batch_first=True) for _ in kinds)
        self.attention = nn.ModuleList(nn.Linear(o.hidden, 1) for _ in kinds)
        self.evidence = nn.ModuleList(nn.Linear(o.hidden, n_classes) for _ in kinds)
        self.drop_pixels, self.drop = nn.Dropout(o.dropout / 2), nn.Dropout(o.dropout)

    def forward(self, clips: Tensor) -> Tensor:
        """Return class scores."""
        weights, evidence = [], []
        for roi, kind in enumerate(_KIND):
            steps = [self._step(clips[:, t, roi], kind) for t in range(clips.shape[1])]
            states, _ = self.lstm[kind](torch.stack(steps, dim=1))
            state = self.drop(states[:, -1])
            weights.append(self.attention[kind](state))
            evidence.append(self.evidence[kind](state))
        share = torch.softmax(torch.stack(weights, dim=1), dim=1)
        return _ROIS * (share * torch.stack(evidence, dim=1)).sum(1)

    def _step(self, maps: Tensor, kind: int) -> Tensor:
        dense = F.gelu(self.dense[kind](self.drop_pixels(maps.flatten(1))))
        maps = F.max_pool2d(F.relu(self.first(maps)), 2)
        maps = F.max_pool2d(F.relu(self.norm(self.second(maps))), 2)
        both = self.drop(torch.cat([maps.flatten(1), dense], dim=1))
        return F.gelu(self.scale(self.feature[kind](both)))


class PatchCnn(nn.Module):
    """The convolutions of one patch: (B, 3, s, s) → (B, 72, s / 8, s / 8)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, 4, 5, padding=2)
        self.second = nn.Conv2d(4, 8, 3, padding=1)
        self.branches = nn.ModuleList(nn.Conv2d(8, 16, k, padding=k // 2) for k in (1, 3, 5, 7))

    def forward(self, patch: Tensor) -> Tensor:
        """Return the maps of all branches."""
        maps = F.max_pool2d(F.relu(self.first(patch)), 2)
        maps = F.max_pool2d(F.relu(self.second(maps)), 2)
        branches = [F.max_pool2d(F.relu(branch(maps)), 2) for branch in self.branches]
        return torch.cat([F.max_pool2d(maps, 2), *branches], dim=1)


class RoiCnn(nn.Module):
    """The CNN of one region: (B, 3, S, S) → features (B, 256) and scores (B, K)."""

    def __init__(self, channels: int, patches: int, n_classes: int) -> None:
        super().__init__()
        self.side = round(patches**0.5)
        self.patches = nn.ModuleList(PatchCnn(channels) for _ in range(patches))
        self.mix = nn.Conv2d(72 * patches, 162, 1)
        self.wide, self.narrow = nn.Linear(162, 2048), nn.Linear(2048, 256)
        self.classes, self.drop = nn.Linear(256, n_classes), nn.Dropout(0.5)

    def features(self, region: Tensor) -> Tensor:
        """Return what the LSTM reads."""
        size = region.shape[-1] // self.side
        cut = [
            region[..., r * size : (r + 1) * size, c * size : (c + 1) * size]
            for r in range(self.side)
            for c in range(self.side)
        ]
        maps = torch.cat([cnn(part) for cnn, part in zip(self.patches, cut, strict=True)], dim=1)
        pooled = F.relu(self.mix(maps)).mean((2, 3))
        return F.relu(self.narrow(self.drop(F.relu(self.wide(pooled)))))

    def forward(self, region: Tensor) -> Tensor:
        """Return class scores."""
        scores: Tensor = self.classes(self.drop(self.features(region)))
        return scores


class FrameNet(nn.Module):
    """Stage 1 of `cnn-lstm`: a frame (B, R, 3, S, S) → scores of every region (B, R, K)."""

    def __init__(self, shape: Sequence[int], n_classes: int, o: Any) -> None:
        super().__init__()
        channels = shape[2]
        self.rois = nn.ModuleList(RoiCnn(channels, o.patches, n_classes) for _ in range(_ROIS))

    def forward(self, frame: Tensor) -> Tensor:
        """Return class scores of each region."""
        return torch.stack([cnn(frame[:, r]) for r, cnn in enumerate(self.rois)], dim=1)


class SequenceNet(nn.Module):
    """Stage 2 of `cnn-lstm`: features (B, T, R, 256) → (B, K)."""

    def __init__(self, shape: Sequence[int], n_classes: int, o: Any) -> None:
        super().__init__()
        self.padding = o.sequence - shape[0]
        self.lstm = nn.ModuleList(nn.LSTM(256, 64, batch_first=True) for _ in range(_ROIS))
        self.head, self.classes = nn.Linear(_ROIS * 64, 256), nn.Linear(256, n_classes)
        self.drop_state, self.drop = nn.Dropout(0.2), nn.Dropout(0.5)

    def forward(self, clips: Tensor) -> Tensor:
        """Return class scores."""
        padded = F.pad(clips, (0, 0, 0, 0, self.padding, 0))
        states = [lstm(padded[:, :, r])[0][:, -1] for r, lstm in enumerate(self.lstm)]
        joined = torch.cat([self.drop_state(F.leaky_relu(s, 0.01)) for s in states], dim=1)
        scores: Tensor = self.classes(self.drop(F.leaky_relu(self.head(joined), 0.01)))
        return scores


class StstNet(nn.Module):
    """`ststnet`: three streams over (B, 3, S, S)."""

    def __init__(self, shape: Sequence[int], n_classes: int, o: Any) -> None:
        super().__init__()
        self.streams = nn.ModuleList(nn.Conv2d(shape[0], n, 3, padding=2) for n in (3, 5, 8))
        side = (shape[1] + 1) // 3 + 1
        self.classes, self.drop = nn.Linear(16 * (side // 2) ** 2, n_classes), nn.Dropout(o.dropout)

    def forward(self, maps: Tensor) -> Tensor:
        """Return class scores."""
        streams = [
            self.drop(F.max_pool2d(F.relu(conv(maps)), 3, 3, padding=1)) for conv in self.streams
        ]
        scores: Tensor = self.classes(F.avg_pool2d(torch.cat(streams, dim=1), 2).flatten(1))
        return scores


class Resident(Dataset[tuple[Tensor, int]]):
    """Clips in memory, some of them changed a little every time they are asked for."""

    def __init__(
        self, clips: NDArray[np.float32], labels: NDArray[np.int64], change: Change | None
    ) -> None:
        self.clips = [torch.from_numpy(clip) for clip in clips]
        self.labels, self.change = labels.tolist(), change

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        clip = self.clips[number]
        return (self.change(clip) if self.change else clip), self.labels[number]


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of training takes, by the clock and by the processor; how many were timed."""

    wall_s: float
    core_s: float
    count: int


@dataclass(frozen=True, slots=True)
class Loop:
    """One training of a fold: a network, its clips and its recipe."""

    name: str
    network: nn.Module
    recipe: Recipe
    clips: NDArray[np.float32]
    labels: NDArray[np.int64]
    change: Change | None = None

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.recipe.epochs * -(-len(self.clips) // self.recipe.batch_size)

    def time_step(self, seconds: float) -> Step:
        """Train for `seconds` and return what one step takes."""
        recipe = self.recipe
        data = Resident(self.clips, self.labels, self.change)
        loader = DataLoader(data, batch_size=recipe.batch_size, shuffle=True)
        optimiser = torch.optim.AdamW(
            self.network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.network.train()
        count, started, core = -_WARM, time.perf_counter(), time.process_time()
        while True:
            for clips, labels in loader:
                if count == 0:
                    started, core = time.perf_counter(), time.process_time()
                self._step(optimiser, clips, labels)
                count += 1
                spent = time.perf_counter() - started
                if count > 0 and spent >= seconds:
                    return Step(spent / count, (time.process_time() - core) / count, count)

    def _step(self, optimiser: torch.optim.Optimizer, clips: Tensor, labels: Tensor) -> None:
        if self.recipe.mixup:
            share = float(torch.distributions.Beta(0.5, 0.5).sample())
            other = torch.randperm(len(clips))
            scores = self.network(share * clips + (1 - share) * clips[other])
            loss = share * self._loss(scores, labels)
            loss = loss + (1 - share) * self._loss(scores, labels[other])
        else:
            loss = self._loss(self.network(clips), labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.gradient_norm > 0:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_norm)
        optimiser.step()

    def _loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        recipe = self.recipe
        if scores.ndim == 3:
            return torch.stack([self._loss(part, labels) for part in scores.unbind(1)]).sum()
        if recipe.focal_gamma == 0:
            return F.cross_entropy(scores, labels, label_smoothing=recipe.label_smoothing)
        p = torch.softmax(scores, dim=1).gather(1, labels[:, None])[:, 0]
        return (-((1 - p) ** recipe.focal_gamma) * torch.log(p + 1e-12)).mean()


def _mirrored_and_scaled(amplitude: float) -> Change:
    def change(clip: Tensor) -> Tensor:
        if torch.rand(()) < 0.5:
            clip = clip.flip(-1) * torch.tensor([-1.0, 1.0])[:, None, None]
        return clip * torch.exp(amplitude * (2 * torch.rand(()) - 1))

    return change


def _mirrored(clip: Tensor) -> Tensor:
    if torch.rand(()) < 0.5:
        clip = clip.flip(-1) * torch.tensor([-1.0, 1.0, 1.0])[:, None, None]
    return clip


def loops(
    model: str,
    options: Any,
    recipes: Sequence[Recipe],
    clips: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> list[Loop]:
    """Return the trainings of one fold of `model` on its features `clips` (N, …)."""
    shape, n_classes = clips.shape[1:], int(labels.max()) + 1
    if model == "roi-flow-lstm":
        regions = RoiFlowNet(shape, n_classes, options)
        change = _mirrored_and_scaled(options.amplitude)
        return [Loop("rois", regions, recipes[0], clips, labels, change)]
    if model == "ststnet":
        streams = StstNet(shape, n_classes, options)
        return [Loop("apex", streams, recipes[0], clips, labels, _mirrored)]
    frames = np.ascontiguousarray(clips.reshape(-1, *shape[1:]).transpose(0, 1, 4, 2, 3))
    first = FrameNet(frames.shape, n_classes, options)
    exported = clips.reshape(*clips.shape[:3], -1)[..., :256]
    return [
        Loop("frames", first, recipes[0], frames, labels.repeat(shape[0])),
        Loop("sequence", SequenceNet(shape, n_classes, options), recipes[1], exported, labels),
    ]
