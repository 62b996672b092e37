"""Training one fold with one seed: the definition that every engine has to reproduce."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from mecli.errors import InputError
from mecli.training import randomness
from mecli.training.losses import batch_loss, unit_weights
from mecli.training.optimiser import Adam, FlatWeights
from mecli.training.precision import products
from mecli.training.units import Batch, Epoch, Units, as_input

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from mecli.models.contract import Network, Recipe, Stage
    from mecli.training.units import Table


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The networks of all stages after training, and the loss of every epoch by stage."""

    networks: tuple[Network, ...]
    history: dict[str, list[float]] = field(default_factory=dict)


class Watch(Protocol):
    """Looks at a training of one fold while it goes on."""

    def after_epoch(self, stage: Stage, epoch: int, network: Network) -> None:
        """Look at `network` after `epoch` (from 0) of `stage`."""

    def after_stage(self, stage: Stage, network: Network) -> None:
        """Look at what `stage` has become; may put other weights of it in their place."""


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Where the training of a fold starts, when it stops and who watches."""

    start: Mapping[str, Tensor] = field(default_factory=dict)
    """Weights by ``<stage>.<parameter>``; all others are drawn from the seed."""
    stops: Mapping[str, int] = field(default_factory=dict)
    """Stage → epochs after which it stops, on the schedule of all its epochs."""
    watch: Watch | None = None
    bf16: bool = False
    """Whether products are computed in bfloat16; see `precision`."""
    drawn: randomness.Drawn | None = None
    """Masks that other folds of the same seed have drawn already."""


FROM_SCRATCH = Course()


class Reading(NamedTuple):
    """What the networks say about one clip: probabilities (K,), and ROIs' parts (R, K) if any."""

    probabilities: NDArray[np.float64]
    roi_scores: NDArray[np.float64] | None


def build(
    stage: Stage, shape: tuple[int, ...], n_classes: int, seed: int, dtype: torch.dtype
) -> Network:
    """Return the network of `stage` with weights drawn from `seed`, the same in all folds."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(randomness.stream(seed, stage.name, "weights"))
        network = stage.build(shape, n_classes)
    return network.to(dtype)


def begin(network: Network, stage: Stage, start: Mapping[str, Tensor]) -> None:
    """Put those weights of `start` that belong to `stage` into `network`; others stay."""
    mine = f"{stage.name}."
    part = {n.removeprefix(mine): w for n, w in start.items() if n.startswith(mine)}
    network.load_state_dict({**network.state_dict(), **part})


def batches(
    recipe: Recipe, stage: str, seed: int, keys: Tensor
) -> Iterator[tuple[int, tuple[Tensor, ...]]]:
    """Yield (epoch, batches of unit positions): one order of ALL clips, whoever is held out."""
    for epoch in range(recipe.epochs):
        order = randomness.order(randomness.stream(seed, stage, epoch, "order"), keys)
        yield epoch, torch.tensor_split(order, steps_per_epoch(recipe, keys))


def steps_per_epoch(recipe: Recipe, keys: Tensor) -> int:
    """Return the number of batches that an epoch over units `keys` is cut into."""
    return -(-len(keys) // recipe.batch_size)


def fit(
    stages: tuple[Stage, ...],
    table: Table,
    train: NDArray[np.int64],
    seed: int,
    dtype: torch.dtype = torch.float32,
    course: Course = FROM_SCRATCH,
) -> Fitted:
    """Train `stages` one after another on the rows `train` of `table`; no other row is read.

    Raises `InputError` if the loss leaves the numbers.
    """
    networks: list[Network] = []
    history: dict[str, list[float]] = {}
    values: Tensor | None = None
    for stage in stages:
        units = Units(table, stage, clip_weights(table, stage, train), values)
        network = build(stage, units.shape, table.n_classes, seed, dtype)
        begin(network, stage, course.start)
        if stage.solved:
            history[stage.name] = _solve(stage, network, units)
        else:
            history[stage.name] = _train(stage, network, units, seed, course)
        if course.watch:
            course.watch.after_stage(stage, network)
        networks.append(network)
        if stage is not stages[-1]:
            values = export(network, units, table)
    return Fitted(tuple(networks), history)


def clip_weights(table: Table, stage: Stage, train: NDArray[np.int64]) -> Tensor:
    """Return the weight (N,) of every clip in a fold that trains on rows `train`."""
    weights = unit_weights(table.labels, train, table.n_classes, stage.recipe.balance)
    return torch.from_numpy(weights)


@torch.no_grad()
def export(network: Network, units: Units, table: Table) -> Tensor:
    """Return what the next stage is trained on, (N, …); held-out clips stay 0, unread."""
    network.eval()
    dtype = next(network.parameters()).dtype
    read = units.counts[:: units.steps]
    values: Tensor | None = None
    for row in torch.nonzero(read)[:, 0].tolist():
        value = exported(network, as_input(units.data[row], dtype), units.by_step)
        if values is None:
            values = table.zeros((len(read), *value.shape), value)
        values[row] = value
    assert values is not None
    return values


def exported(network: Network, clip: Tensor, by_step: bool) -> Tensor:
    """Return one clip's features for the next stage; always computed alone."""
    return network.export(clip) if by_step else network.export(clip[None])[0]


def _solve(stage: Stage, network: Network, units: Units) -> list[float]:
    """Let `network` set its weights from the training clips; return its one loss."""
    rows = torch.nonzero(units.counts)[:, 0]
    values = as_input(units.take(rows), next(network.parameters()).dtype)
    return [checked_loss(stage, 0, network.solve(values, units.labels[rows]))]


def _train(stage: Stage, network: Network, units: Units, seed: int, course: Course) -> list[float]:
    recipe = stage.recipe
    network.train()
    flat = FlatWeights(network)
    per_epoch = steps_per_epoch(recipe, units.keys)
    adam = Adam(flat.values, flat.decays, recipe, recipe.epochs * per_epoch)
    losses: list[float] = []
    planned = batches(recipe, stage.name, seed, units.keys)
    for epoch, parts in islice(planned, course.stops.get(stage.name)):
        total = weight = 0.0
        this = Epoch(stage, units, seed, epoch, course.drawn)
        for number, part in enumerate(parts):
            batch = Batch(this, part)
            if len(batch.positions) == 0:
                continue
            values, masks, wanted = batch.inputs(network, flat.values.dtype)
            with products(course.bf16, "cpu"):
                scores = network(values, masks).to(wanted.dtype)
            loss = step_loss(stage, network, scores, wanted)
            flat.gradient.zero_()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.update(flat.values, flat.gradient, epoch * per_epoch + number)
            share = float(wanted.sum())
            total, weight = total + share * loss.item(), weight + share
        # Mixup may leave a tiny fold without any pair in an epoch: then nothing moves.
        losses.append(checked_loss(stage, epoch, total / weight if weight else 0.0))
        if course.watch:
            course.watch.after_epoch(stage, epoch, network)
    return losses


def checked_loss(stage: Stage, epoch: int, loss: float) -> float:
    """Return the mean `loss` of `epoch` if it is a number, else raise `InputError`."""
    if not np.isfinite(loss):
        raise InputError(
            f"stage {stage.name}: the loss became {loss} in epoch {epoch + 1}; "
            "lower the learning rate"
        )
    return loss


def step_loss(stage: Stage, network: Network, scores: Tensor, wanted: Tensor) -> Tensor:
    """Return the loss of one fold's step, with the penalty on its weights."""
    return batch_loss(stage.recipe, scores, wanted) + network.penalty()


@torch.no_grad()
def probabilities(stage: Stage, network: Network, clips: Tensor) -> Tensor:
    """Return the class probabilities (B, K) float64 that one stage gives to clips (B, …).

    Where it judges single steps or has several heads, theirs are averaged.
    """
    units = clips.flatten(0, 1) if stage.unit == "step" else clips
    views = network.eval().views(units)
    scores = torch.stack([network(view, {}) for view in views]).to(torch.float64)
    shares = torch.softmax(scores, -1).mean(0)
    return shares.reshape(len(clips), -1, shares.shape[-1]).mean(1)


@torch.no_grad()
def read(
    stages: tuple[Stage, ...], networks: Sequence[Network], clip: NDArray[np.generic]
) -> Reading:
    """Return what the networks say about one clip, computed alone: no other clip matters."""
    dtype = next(networks[-1].parameters()).dtype
    value = as_input(torch.from_numpy(np.array(clip)), dtype)
    for stage, network in zip(stages[:-1], networks[:-1], strict=True):
        value = exported(network.eval(), value, stage.unit == "step")
    shares: NDArray[np.float64] = probabilities(stages[-1], networks[-1], value[None])[0].numpy()
    parts = networks[-1].roi_scores(value[None])
    return Reading(shares, None if parts is None else parts[0].to(torch.float64).numpy())


def score_rows(
    stages: tuple[Stage, ...],
    networks: Sequence[Network],
    table: Table,
    rows: Sequence[int] | NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the class probabilities (len(rows), K) of some clips of `table`."""
    scores = [read(stages, networks, table.features[r]).probabilities for r in rows]
    return np.array(scores, dtype=np.float64).reshape(-1, table.n_classes)
