"""Many folds as one: a row of weights per fold, one shared batch, a weight per (fold, clip).

Where single folds would be bound by launching small operations, stacked ones run side by
side. A clip that is held out in a fold has weight 0 there, so that its gradient is 0; no
layer mixes clips, so nothing else of it can arrive. The order of the batches and all chance
are those of `fit`, so are the weights that come out, to rounding.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from mecli.training.fit import (
    FROM_SCRATCH,
    Course,
    Fitted,
    batches,
    begin,
    build,
    checked_loss,
    clip_weights,
    exported,
    fit,
    step_loss,
    steps_per_epoch,
)
from mecli.training.optimiser import Adam, FlatWeights
from mecli.training.units import Batch, Epoch, Units, as_input

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from mecli.models.contract import Network, Stage
    from mecli.training.units import Table


def fit_folds(
    stages: tuple[Stage, ...],
    table: Table,
    trains: Sequence[NDArray[np.int64]],
    seed: int,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    courses: Sequence[Course] = (),
) -> list[Fitted]:
    """Train one fold per entry of `trains` (rows of `table`), all at once with one seed.

    `courses` has one entry per fold, or none; they all start with the same weights
    and have the same precision.
    Raises `InputError` if a loss leaves the numbers.
    """
    courses = courses or [FROM_SCRATCH] * len(trains)
    if any(stage.solved for stage in stages):
        each = zip(trains, courses, strict=True)
        return [fit(stages, table, train, seed, dtype, course) for train, course in each]
    networks: list[list[Network]] = [[] for _ in trains]
    histories: list[dict[str, list[float]]] = [{} for _ in trains]
    values: Tensor | None = None
    for stage in stages:
        weights = torch.stack([clip_weights(table, stage, train) for train in trains])
        units = Units(table, stage, weights, values, device)
        network = build(stage, units.shape, table.n_classes, seed, dtype)
        begin(network, stage, courses[0].start)
        stack = Stack(network.to(device), len(trains), courses[0].bf16)
        losses = _train(stage, stack, units, seed, courses)
        for fold, (history, course) in enumerate(zip(histories, courses, strict=True)):
            history[stage.name] = losses[: course.stops.get(stage.name), fold].tolist()
            if course.watch:
                stack.show(fold, partial(course.watch.after_stage, stage))
            mine = build(stage, units.shape, table.n_classes, seed, dtype)
            mine.load_state_dict(stack.of_fold(fold))
            networks[fold].append(mine)
        if stage is not stages[-1]:
            values = export(stack, units, table)
    return [Fitted(tuple(n), h) for n, h in zip(networks, histories, strict=True)]


class Stack:
    """The weights of F networks of one shape as (F, P), and how to run them side by side."""

    def __init__(self, network: Network, folds: int, bf16: bool = False) -> None:
        self.network = network
        self.named = [(n, p.shape) for n, p in network.named_parameters()]
        flat = FlatWeights(network)
        self.decays = flat.decays
        self.values = flat.values.detach().expand(folds, -1).clone()
        # Autocast fails at layer norms under vmap (torch 2.13); so all layers are cast.
        self.computes = torch.bfloat16 if bf16 else self.values.dtype

    def named_weights(self, row: Tensor) -> dict[str, Tensor]:
        """Return one fold's weights (P,) by parameter name."""
        parts = torch.split(row, [shape.numel() for _, shape in self.named])
        return {n: p.view(shape) for (n, shape), p in zip(self.named, parts, strict=True)}

    def of_fold(self, fold: int) -> dict[str, Tensor]:
        """Return fold number `fold`'s weights by name, on the CPU."""
        return {n: w.detach().cpu().clone() for n, w in self._row(fold).items()}

    def _row(self, fold: int) -> dict[str, Tensor]:
        return self.named_weights(self.values[fold])

    def show(self, fold: int, look: Callable[[Network], None]) -> None:
        """Let `look` see, and change, one fold's network."""
        self.network.load_state_dict({**self.network.state_dict(), **self._row(fold)})
        look(self.network)
        changed = dict(self.network.named_parameters())
        row = torch.cat([changed[name].detach().flatten() for name, _ in self.named])
        self.values[fold] = row

    def call(self, run: Callable[..., Any], row: Tensor, *arguments: Any) -> Any:
        """Return ``run(network, *arguments)`` with one fold's weights (P,) in the network."""
        named = {f"network.{n}": w for n, w in self.named_weights(row).items()}
        return functional_call(_Bound(self.network, run), named, arguments)

    def step(
        self, stage: Stage, values: Tensor, masks: dict[str, Tensor], wanted: Tensor, own: bool
    ) -> tuple[Tensor, Tensor]:
        """Return the gradient (F, P) and the loss (F,) of one step.

        `own` says whether `values` has a leading axis of folds; `wanted` always has one.
        """

        def loss(network: Network, mine: Tensor, want: Tensor) -> Tensor:
            return step_loss(stage, network, network(mine, masks).to(want.dtype), want)

        def of_row(row: Tensor, mine: Tensor, want: Tensor) -> Tensor:
            result: Tensor = self.call(loss, row.to(self.computes), mine, want)
            return result

        each = vmap(grad_and_value(of_row), in_dims=(0, 0 if own else None, 0))
        gradient, losses = each(self.values, values, wanted)
        return gradient, losses

    def export(self, clip: Tensor, by_step: bool, own: bool) -> Tensor:
        """Return what the folds' networks say of one clip to the next stage, (F, …)."""

        def of_row(row: Tensor, mine: Tensor) -> Tensor:
            result: Tensor = self.call(lambda n, c: exported(n, c, by_step), row, mine)
            return result

        values: Tensor = vmap(of_row, in_dims=(0, 0 if own else None))(self.values, clip)
        return values


class _Bound(nn.Module):
    """A function of a network, as a module whose weights can be swapped."""

    def __init__(self, network: Network, run: Callable[..., Any]) -> None:
        super().__init__()
        self.network, self.run = network, run

    def forward(self, *arguments: Any) -> Any:
        return self.run(self.network, *arguments)


def _train(
    stage: Stage, stack: Stack, units: Units, seed: int, courses: Sequence[Course]
) -> Tensor:
    """Train the stack in place; return the mean loss of every epoch and fold (E, F)."""
    recipe, network = stage.recipe, stack.network.train()
    per_epoch = steps_per_epoch(recipe, units.keys)
    adam = Adam(stack.values, stack.decays, recipe, recipe.epochs * per_epoch)
    ends = [course.stops.get(stage.name, recipe.epochs) for course in courses]
    stops = torch.tensor(ends)
    history = []
    for epoch, parts in islice(batches(recipe, stage.name, seed, units.keys), max(ends)):
        total = torch.zeros(len(stack.values), dtype=torch.float64, device=stack.values.device)
        weight = torch.zeros_like(total)
        this = Epoch(stage, units, seed, epoch, courses[0].drawn)
        for number, part in enumerate(parts):
            batch = Batch(this, part)
            if len(batch.positions) == 0:
                continue
            values, masks, wanted = batch.inputs(network, stack.values.dtype)
            values = values.to(stack.computes)
            masks = {name: mask.to(stack.computes) for name, mask in masks.items()}
            gradient, loss = stack.step(stage, values, masks, wanted, units.per_fold)
            active = batch.active & (epoch < stops)
            adam.update_some(stack.values, gradient, epoch * per_epoch + number, active)
            share = wanted.sum((-1, -2))
            total, weight = total + share * loss.detach(), weight + share
        history.append(total / torch.where(weight > 0, weight, torch.ones_like(weight)))
        for loss_of_fold in history[-1].tolist():
            checked_loss(stage, epoch, loss_of_fold)
        for fold, course in enumerate(courses):
            if course.watch:
                stack.show(fold, partial(course.watch.after_epoch, stage, epoch))
    return torch.stack(history).cpu()


@torch.no_grad()
def export(stack: Stack, units: Units, table: Table) -> Tensor:
    """Return what the next stage of each fold is trained on, (F, N, …).

    A clip that is held out in a fold stays 0 there.
    """
    stack.network.eval()
    dtype = stack.values.dtype
    counts = units.counts[:, :: units.steps]
    values: Tensor | None = None
    for row in range(counts.shape[1]):
        data = units.data[:, row] if units.per_fold else units.data[row]
        clip = as_input(data.to(units.device), dtype)
        value = stack.export(clip, units.by_step, units.per_fold)
        used = counts[:, row].to(value.device).reshape(-1, *[1] * (value.ndim - 1))
        if values is None:
            values = table.zeros((len(value), counts.shape[1], *value.shape[1:]), value)
        values[:, row] = torch.where(used, value, torch.zeros_like(value))
    assert values is not None
    return values
