"""rcn-a: a recurrent convolutional network with attention free of parameters (Xia et al. 2020).

Conv 5×5, pool; then one recurrent convolution: a 1×1 convolution starts the state, and a
3×3 one with the same weights updates it twice, each time with the input added; pool; one
dense layer. The attention of a place is its class activation map under that dense layer,
read on the first maps, scaled to 0..1 per class and averaged over classes.
GroupNorm of eight groups stands where the paper has BatchNorm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from mecli.errors import UsageError
from mecli.models.apex import ApexModel, ApexNetwork, ApexOptions, dropped
from mecli.models.contract import Dropout

if TYPE_CHECKING:
    from collections.abc import Mapping

_GROUPS, _UPDATES = 8, 2


@dataclass(frozen=True, slots=True)
class RcnAOptions(ApexOptions):
    """Options of `rcn-a`."""

    maps: int = 64
    epochs: int = 40
    learning_rate: float = 5e-4

    def __post_init__(self) -> None:
        ApexOptions.__post_init__(self)
        if self.maps < 1 or self.maps % _GROUPS:
            raise UsageError(f"maps is {self.maps}, expected a multiple of {_GROUPS}")


class RcnA(ApexModel):
    """The registry's entry for `rcn-a`."""

    name: ClassVar[str] = "rcn-a"
    paper: ClassVar[str] = (
        "Xia et al., Revealing the invisible with model and data shrinking for "
        "composite-database micro-expression recognition, IEEE TIP 2020"
    )
    doi: ClassVar[str] = "10.1109/TIP.2020.3018222"
    Options: ClassVar[type[ApexOptions]] = RcnAOptions

    @classmethod
    def network(cls, shape: tuple[int, ...], n_classes: int, options: Any) -> ApexNetwork:
        """Return an untrained network for maps of `shape`."""
        return RcnANetwork(shape, n_classes, options)


class RcnANetwork(ApexNetwork):
    """(B, 3, S, S) → (B, K)."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, options: RcnAOptions) -> None:
        super().__init__(options)
        maps, side = options.maps, (shape[1] - 4) // 2
        self.first = nn.Conv2d(shape[0], maps, 5)
        self.start = nn.Conv2d(maps, maps, 1)
        self.update = nn.Conv2d(maps, maps, 3, padding=1)
        self.norms = nn.ModuleList(nn.GroupNorm(_GROUPS, maps) for _ in range(2 + _UPDATES))
        self.classes = nn.Linear(maps * (side // 2) ** 2, n_classes)
        self.dropouts = {
            "first": Dropout((maps, side, side), options.dropout),
            "state": Dropout((maps, side // 2, side // 2), options.dropout),
        }

    def forward(self, batch: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        """Return class scores."""
        pool = nn.functional.max_pool2d
        seen = dropped(torch.relu(pool(self.norms[0](self.first(batch)), 2)), masks, "first")
        state = torch.relu(self.norms[1](self.start(seen)))
        for norm in list(self.norms)[2:]:
            state = torch.relu(norm(self.update(seen + state)))
        state = dropped(pool(state, 2), masks, "state")
        scores: Tensor = self.classes((state * self.attention(seen)).flatten(1))
        return scores

    def attention(self, seen: Tensor) -> Tensor:
        """Return the weight (B, 1, h, w) of every place, without parameters of its own."""
        small = nn.functional.avg_pool2d(seen, 2)
        weights = self.classes.weight.reshape(-1, *small.shape[1:])
        maps = torch.einsum("bchw,kchw->bkhw", small, weights) / small.shape[1]
        maps = maps - maps.amin((2, 3), keepdim=True)
        maps = maps / maps.amax((2, 3), keepdim=True).clamp_min(1e-6)
        return maps.mean(1, keepdim=True)
