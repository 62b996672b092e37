"""off-apexnet: one small CNN for u and one for v, then two wide dense layers (Gan et al. 2019).

Per stream: conv 5×5×6, pool, conv 5×5×16, pool; joined, dense 1024 twice. The two streams
are one grouped convolution. There is no normalisation layer to replace.
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

_FIRST, _SECOND, _WIDE = 6, 16, 1024


@dataclass(frozen=True, slots=True)
class OffApexNetOptions(ApexOptions):
    """Options of `off-apexnet`."""

    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 3e-4


class OffApexNet(ApexModel):
    """The registry's entry for `off-apexnet`."""

    name: ClassVar[str] = "off-apexnet"
    paper: ClassVar[str] = (
        "Gan et al., OFF-ApexNet on micro-expression recognition system, "
        "Signal Processing: Image Communication 2019"
    )
    doi: ClassVar[str] = "10.1016/j.image.2019.02.005"
    Options: ClassVar[type[ApexOptions]] = OffApexNetOptions

    @classmethod
    def network(cls, shape: tuple[int, ...], n_classes: int, options: Any) -> ApexNetwork:
        """Return an untrained network for maps of `shape`."""
        return OffApexNetwork(shape, n_classes, options)


class OffApexNetwork(ApexNetwork):
    """(B, 3, S, S), of which u and v are read → (B, K)."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, options: ApexOptions) -> None:
        super().__init__(options)
        self.first = nn.Conv2d(2, 2 * _FIRST, 5, padding=2, groups=2)
        self.second = nn.Conv2d(2 * _FIRST, 2 * _SECOND, 5, padding=2, groups=2)
        joined = 2 * _SECOND * (shape[1] // 4) ** 2
        self.wide = nn.Linear(joined, _WIDE)
        self.deep = nn.Linear(_WIDE, _WIDE)
        self.classes = nn.Linear(_WIDE, n_classes)
        self.dropouts = {n: Dropout((_WIDE,), options.dropout) for n in ("wide", "deep")}

    def forward(self, batch: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        """Return class scores."""
        pool = nn.functional.max_pool2d
        maps = torch.relu(pool(self.first(laid_out(batch[:, :2])), 2))
        maps = torch.relu(pool(self.second(maps), 2))
        wide = dropped(torch.relu(self.wide(maps.flatten(1))), masks, "wide")
        deep = dropped(torch.relu(self.deep(wide)), masks, "deep")
        scores: Tensor = self.classes(deep)
        return scores
