"""Adam on one flat vector of weights per fold, the same arithmetic in every engine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.optim.adamw import adamw

if TYPE_CHECKING:
    from torch import nn

    from mecli.models.contract import Recipe

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8
_BLOCK = 1 << 17


class FlatWeights:
    """All parameters of a network laid end to end, and their gradients alike.

    The network's parameters become views of `values`, so that one step of the optimiser
    is a handful of operations whatever the number of layers.
    """

    def __init__(self, network: nn.Module) -> None:
        parameters = list(network.parameters())
        self.values = torch.cat([p.detach().flatten() for p in parameters])
        self.gradient = torch.zeros_like(self.values)
        self.decays = torch.cat(
            [torch.full_like(p.detach().flatten(), float(p.ndim > 1)) for p in parameters]
        )
        start = 0
        for p in parameters:
            stop = start + p.numel()
            p.data = self.values[start:stop].view(p.shape)
            p.grad = self.gradient[start:stop].view(p.shape)
            start = stop


class Adam:
    """Adam with decoupled weight decay (arXiv 1412.6980, 1711.05101) on (…, P) weights."""

    def __init__(self, values: Tensor, decays: Tensor, recipe: Recipe, steps: int) -> None:
        self.recipe, self.steps, self.decays = recipe, steps, decays
        self.mean, self.square = torch.zeros_like(values), torch.zeros_like(values)
        self.count = torch.zeros((*values.shape[:-1], 1), dtype=values.dtype, device=values.device)

    def rate(self, step: int) -> float:
        """Return the learning rate of `step` out of all planned ones."""
        if self.recipe.schedule == "constant":
            return self.recipe.learning_rate
        share = (step + 0.5) / max(self.steps, 1)
        return self.recipe.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))

    @torch.no_grad()
    def update_some(self, values: Tensor, gradient: Tensor, step: int, active: Tensor) -> None:
        """Move only the rows of `values` (F, P) where `active` (F,), on the CPU, says so."""
        if bool(active.all()):
            self.update(values, gradient, step)
            return
        active = active.to(values.device)
        kept = (values, self.mean, self.square, self.count)
        before = [tensor[~active] for tensor in kept]
        self.update(values, gradient, step)
        for tensor, rows in zip(kept, before, strict=True):
            tensor[~active] = rows

    @torch.no_grad()
    def update(self, values: Tensor, gradient: Tensor, step: int) -> None:
        """Move `values` (…, P) in place; each row is one fold and is clipped by itself."""
        if self.recipe.gradient_norm > 0:
            norm = gradient.norm(dim=-1, keepdim=True)
            gradient = gradient * (self.recipe.gradient_norm / norm.clamp_min(1e-12)).clamp_max(1.0)
        self.count += 1
        rate = self.rate(step)
        if values.ndim == 1 and values.device.type == "cpu":
            self._move_alone(rate, values, gradient)
            return
        # A block at a time stays in the processor's cache through all these operations.
        size = _BLOCK if values.device.type == "cpu" else values.shape[-1]
        parts = (values, gradient, self.mean, self.square, self.decays)
        for block in zip(*(torch.split(part, size, -1) for part in parts), strict=True):
            self._move(rate, *block)

    def _move(
        self, rate: float, values: Tensor, gradient: Tensor, mean: Tensor, square: Tensor,
        decays: Tensor,
    ) -> None:  # fmt: skip
        mean.lerp_(gradient, 1 - _BETA1)
        square.mul_(_BETA2).addcmul_(gradient, gradient, value=1 - _BETA2)
        corrected = (square / (1 - _BETA2**self.count)).sqrt_().add_(_EPSILON)
        move = (mean / (1 - _BETA1**self.count)).div_(corrected)
        if self.recipe.weight_decay > 0:
            values.addcmul_(values, decays, value=-rate * self.recipe.weight_decay)
        values.sub_(move, alpha=rate)

    def _move_alone(self, rate: float, values: Tensor, gradient: Tensor) -> None:
        """Do the same to one fold's weights in one pass, by torch's own kernel."""
        if self.recipe.weight_decay > 0:
            values.addcmul_(values, self.decays, value=-rate * self.recipe.weight_decay)
        before = self.count[0].to(torch.float32) - 1
        adamw(
            [values], [gradient], [self.mean], [self.square], [], [before], fused=True,
            amsgrad=False, beta1=_BETA1, beta2=_BETA2, lr=rate, weight_decay=0.0, eps=_EPSILON,
            maximize=False,
        )  # fmt: skip
