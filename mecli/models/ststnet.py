"""ststnet: three shallow streams over u, v and strain (Liong et al. 2019).

Each stream is one 3×3 convolution (3, 5 and 8 maps) with its own pooling; as all three see
the same input and pool alike, they are computed as one convolution of 16 maps. Then means
of 2×2 cells and one dense layer: 1,651 weights for three classes. There is no normalisation
layer to replace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from mecli.models.apex import ApexModel, ApexNetwork, ApexOptions, dropped, laid_out
from mecli.models.contract import Dropout

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAPS = (3, 5, 8)


@dataclass(frozen=True, slots=True)
class StstNetOptions(ApexOptions):
    """Options of `ststnet`."""

    epochs: int = 100
    learning_rate: float = 3e-3


class StstNet(ApexModel):
    """The registry's entry for `ststnet`."""

    name: ClassVar[str] = "ststnet"
    paper: ClassVar[str] = (
        "Liong et al., Shallow triple stream three-dimensional CNN (STSTNet) for "
        "micro-expression recognition, FG 2019"
    )
    doi: ClassVar[str] = "10.1109/FG.2019.8756567"
    Options: ClassVar[type[ApexOptions]] = StstNetOptions
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "paper": {
            "mirror": False,
            "detrend": -1,
            "balance": 0.0,
            "epochs": 500,
            "batch_size": 256,
            "learning_rate": 5e-5,
        }
    }

    @classmethod
    def network(cls, shape: tuple[int, ...], n_classes: int, options: Any) -> ApexNetwork:
        """Return an untrained network for maps of `shape`."""
        return StstNetwork(shape, n_classes, options)


class StstNetwork(ApexNetwork):
    """(B, 3, S, S) → (B, K)."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, options: ApexOptions) -> None:
        super().__init__(options)
        maps = sum(_MAPS)
        self.streams = nn.Conv2d(shape[0], maps, 3)
        size = shape[1]
        side = (size + 2 - 1) // 3 + 1
        # Padded by 2, less the last row and column of maps where no pooling window reaches.
        after = min(size + 2, 3 * side - 1) - size
        self.border = (2, after, 2, after)
        self.cells = (maps, side // 2, side // 2)
        self.classes = nn.Linear(maps * (side // 2) ** 2, n_classes)
        self.dropouts = {"streams": Dropout((side, side, maps), options.dropout)}

    def forward(self, batch: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        """Return class scores."""
        # Everything is laid out channels last, where pooling and its gradient are cheapest.
        maps = laid_out(nn.functional.pad(batch, self.border))
        maps = torch.relu(_pooled(self.streams, maps))
        maps = dropped(maps.movedim(1, -1), masks, "streams").movedim(-1, 1)
        means = nn.functional.avg_pool2d(maps, 2).movedim(1, -1).flatten(1)
        weight = self.classes.weight.reshape(-1, *self.cells).movedim(1, -1).flatten(1)
        return nn.functional.linear(means, weight, self.classes.bias)


def _pooled(conv: nn.Conv2d, batch: Tensor) -> Tensor:
    """Return the maxima of ``conv(batch)`` in cells of 3×3, the first row and column cut short.

    The bias is added to the maxima, which is the same and spares a sum over all pixels.
    """
    maps = nn.functional.conv2d(batch, conv.weight)
    assert conv.bias is not None
    return nn.functional.max_pool2d(maps, 3, padding=1) + conv.bias[:, None, None]
