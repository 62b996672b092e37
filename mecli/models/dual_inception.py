"""dual-inception: two inception blocks for u and two for v (Zhou et al. 2019).

A block has four branches of equally many maps (6, then 16): 1×1; 1×1 and 3×3; 1×1 and 5×5;
pool 3×3 and 1×1; joined and pooled by 2. Then dense 1024. Both streams are one grouped
convolution. There is no normalisation layer to replace.
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

_MAPS, _WIDE, _STREAMS = (6, 16), 1024, 2


@dataclass(frozen=True, slots=True)
class DualInceptionOptions(ApexOptions):
    """Options of `dual-inception`."""

    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 3e-4


class DualInception(ApexModel):
    """The registry's entry for `dual-inception`."""

    name: ClassVar[str] = "dual-inception"
    paper: ClassVar[str] = (
        "Zhou et al., Dual-inception network for cross-database micro-expression "
        "recognition, FG 2019"
    )
    doi: ClassVar[str] = "10.1109/FG.2019.8756579"
    Options: ClassVar[type[ApexOptions]] = DualInceptionOptions

    @classmethod
    def network(cls, shape: tuple[int, ...], n_classes: int, options: Any) -> ApexNetwork:
        """Return an untrained network for maps of `shape`."""
        return DualInceptionNetwork(shape, n_classes, options)


class DualInceptionNetwork(ApexNetwork):
    """(B, 3, S, S), of which u and v are read → (B, K)."""

    def __init__(self, shape: tuple[int, ...], n_classes: int, options: ApexOptions) -> None:
        super().__init__(options)
        first, second = _MAPS
        self.blocks = nn.Sequential(_Block(1, first), _Block(4 * first, second))
        joined = _STREAMS * 4 * second * (shape[1] // 4) ** 2
        self.wide = nn.Linear(joined, _WIDE)
        self.classes = nn.Linear(_WIDE, n_classes)
        self.dropouts = {"wide": Dropout((_WIDE,), options.dropout)}

    def forward(self, batch: Tensor, masks: Mapping[str, Tensor]) -> Tensor:
        """Return class scores."""
        maps = self.blocks(laid_out(batch[:, :_STREAMS]))
        wide = dropped(torch.relu(self.wide(maps.flatten(1))), masks, "wide")
        scores: Tensor = self.classes(wide)
        return scores


class _Block(nn.Module):
    """(B, 2 · inputs, H, W) → (B, 2 · 4 · maps, H/2, W/2), stream by stream."""

    def __init__(self, inputs: int, maps: int) -> None:
        super().__init__()
        self.straight = _grouped(inputs, maps, 1)
        self.before = nn.ModuleList(_grouped(inputs, maps, 1) for _ in range(2))
        self.after = nn.ModuleList(_grouped(maps, maps, k) for k in (3, 5))
        self.pooled = _grouped(inputs, maps, 1)

    def forward(self, values: Tensor) -> Tensor:
        pool = nn.functional.max_pool2d
        parts = [self.straight(values)]
        for before, after in zip(self.before, self.after, strict=True):
            parts.append(after(torch.relu(before(values))))
        parts.append(self.pooled(pool(values, 3, 1, padding=1)))
        joined = torch.relu(pool(torch.cat(parts, dim=1), 2))
        # Branch by branch so far; the next grouped convolution wants stream by stream.
        cut = joined.reshape(len(joined), len(parts), _STREAMS, -1, *joined.shape[2:])
        return laid_out(cut.transpose(1, 2).flatten(1, 3))


def _grouped(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    s = _STREAMS
    return nn.Conv2d(s * inputs, s * outputs, kernel, padding=kernel // 2, groups=s)
