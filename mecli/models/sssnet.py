"""sssnet: one shallow stream over u, v and strain (Varanka et al. 2021).

Conv 5×5×32, pool 3, conv 3×3×64, pool 2, dense 256; whole maps are dropped after either
pooling. GroupNorm of eight groups stands where the paper has BatchNorm.
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

_FIRST, _SECOND, _WIDE, _GROUPS = 32, 64, 256, 8


@dataclass(frozen=True, slots=True)
class SssNetOptions(ApexOptions):
    """Options of `sssnet`."""

    epochs: int = 60
    learning_rate: float = 1e-3


class SssNet(ApexModel):
    """The registry's entry for `sssnet`."""

    name: ClassVar[str] = "sssnet"
    paper: ClassVar[str] = (
        "Varanka et al., Micro-expression recognition with noisy labels, "
        "IS&T Electronic Imaging 2021"
    )
    doi: ClassVar[str] = "10.2352/ISSN.2470-1173.2021.11.HVEI-157"
    Options: ClassVar[type[ApexOptions]] = SssNetOptions

    @classmethod
    def network(cls, shape: tuple[int, ...], n_classes: int, options: Any) -> ApexNetwork:
        """Return an untrained network for maps of `shape`."""
        return SssNetwork(shape, n_classes, options)


class SssNetwork(ApexNetwork):
    """(B, 3, S, S) → (B, K)."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, options: ApexOptions) -> None:
        super().__init__(options)
        side = ((shape[1] - 4) // 3 - 2) // 2
        self.first, self.second = nn.Conv2d(shape[0], _FIRST, 5), nn.Conv2d(_FIRST, _SECOND, 3)
        self.norms = nn.ModuleList(nn.GroupNorm(_GROUPS, m) for m in (_FIRST, _SECOND))
        self.wide = nn.Linear(_SECOND * side**2, _WIDE)
        self.classes = nn.Linear(_WIDE, n_classes)
        self.dropouts = {
            "first": Dropout((_FIRST, 1, 1), options.dropout),
            "second": Dropout((_SECOND, 1, 1), options.dropout),
            "wide": Dropout((_WIDE,), options.dropout),
        }

    def forward(self, batch: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        """Return class scores."""
        pool = nn.functional.max_pool2d
        maps = self.norms[0](torch.relu(pool(self.first(laid_out(batch)), 3)))
        maps = pool(self.second(dropped(maps, masks, "first")), 2)
        maps = dropped(self.norms[1](torch.relu(maps)), masks, "second")
        wide = dropped(torch.relu(self.wide(maps.flatten(1))), masks, "wide")
        scores: Tensor = self.classes(wide)
        return scores
