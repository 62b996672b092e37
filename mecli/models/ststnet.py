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
        self.streams = nn.Conv2d(shape[0], maps, 3, padding=2)
        side = (shape[1] + 2 - 1) // 3 + 1
        self.classes = nn.Linear(maps * (side // 2) ** 2, n_classes)
        self.dropouts = {"streams": Dropout((maps, side, side), options.dropout)}

    def forward(self, batch: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        """Return class scores."""
        maps = nn.functional.max_pool2d(self.streams(laid_out(batch)), 3, 3, padding=1)
        maps = dropped(torch.relu(maps), masks, "streams")
        scores: Tensor = self.classes(nn.functional.avg_pool2d(maps, 2).flatten(1))
        return scores
