"""Layers that more than one architecture uses; none of them mixes clips.

Grouped layers work on (G, N, …): group g has its own weights, or shares those of another
group where `share` says so (left and right eye, for example).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def drop(values: Tensor, masks: Mapping[str, Tensor], name: str) -> Tensor:
    """Multiply (G, B, …) by the dropout mask `name` (B, G, …); without masks keep all."""
    return values * masks[name].transpose(0, 1) if name in masks else values


class _Grouped(nn.Module):
    """Weights per kind of group, handed out to the groups that share them."""

    def __init__(self, share: Sequence[int]) -> None:
        super().__init__()
        self.kinds = max(share) + 1
        self.shared = tuple(share) != tuple(range(self.kinds))
        self.share: Tensor
        self.register_buffer("share", torch.tensor(tuple(share)), persistent=False)

    def of_groups(self, weight: Tensor) -> Tensor:
        return weight[self.share] if self.shared else weight


class GroupedDense(_Grouped):
    """Dense layers: (G, N, inputs) → (G, N, outputs); `gain` / inputs is the variance."""

    def __init__(self, share: Sequence[int], inputs: int, outputs: int, gain: float = 2.0) -> None:
        super().__init__(share)
        weight = torch.empty(self.kinds, inputs, outputs)
        # Without memory only shapes count, and there a product would import torch's compiler: 1 s.
        if not weight.is_meta:
            weight = torch.randn_like(weight) * (gain / inputs) ** 0.5
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(self.kinds, 1, outputs))

    def forward(self, values: Tensor) -> Tensor:
        """Apply the layer of group g to ``values[g]``."""
        return torch.baddbmm(self.of_groups(self.bias), values, self.of_groups(self.weight))


class GroupedLstm(_Grouped):
    """LSTMs (Hochreiter & Schmidhuber 1997, 10.1162/neco.1997.9.8.1735), written by hand.

    (G, N, T, inputs) → last state (G, N, hidden). torch's own LSTM cannot be stacked over
    folds. Gates lie in the order in, forget, out, candidate; the forget gate starts at 1.
    """

    def __init__(self, share: Sequence[int], inputs: int, hidden: int) -> None:
        super().__init__(share)
        bound = hidden**-0.5
        self.hidden = hidden
        kinds = self.kinds
        self.inward = nn.Parameter(torch.empty(kinds, inputs, 4 * hidden).uniform_(-bound, bound))
        self.across = nn.Parameter(torch.empty(kinds, hidden, 4 * hidden).uniform_(-bound, bound))
        bias = torch.zeros(kinds, 1, 4 * hidden)
        bias[..., hidden : 2 * hidden] = 1.0
        self.bias = nn.Parameter(bias)

    def forward(self, values: Tensor) -> Tensor:
        """Return the state after the last step."""
        groups, n, steps, inputs = values.shape
        flat = values.reshape(groups, n * steps, inputs)
        projected = torch.baddbmm(self.of_groups(self.bias), flat, self.of_groups(self.inward))
        across = self.of_groups(self.across)
        state = cell = values.new_zeros(groups, n, self.hidden)
        for part in projected.reshape(groups, n, steps, -1).unbind(2):
            gates = torch.baddbmm(part, state, across)
            let_in, forget, let_out = torch.sigmoid(gates[..., : 3 * self.hidden]).chunk(3, -1)
            cell = forget * cell + let_in * torch.tanh(gates[..., 3 * self.hidden :])
            state = let_out * torch.tanh(cell)
        return state


def nudge(batch: Tensor, amounts: Tensor, dim: int) -> Tensor:
    """Shift every clip of `batch` (B, …) along `dim` by its own amount (B,) in −1..1 cells.

    Linear interpolation between a cell and its neighbour; the border cell is repeated.
    """
    size = batch.shape[dim]
    before = torch.cat([batch.narrow(dim, 0, 1), batch.narrow(dim, 0, size - 1)], dim)
    after = torch.cat([batch.narrow(dim, 1, size - 1), batch.narrow(dim, size - 1, 1)], dim)
    amounts = amounts.reshape(-1, *[1] * (batch.ndim - 1))
    forward, backward = amounts.clamp_min(0), (-amounts).clamp_min(0)
    return batch + forward * (before - batch) + backward * (after - batch)
