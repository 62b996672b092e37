"""What BlazeFace and FaceMesh share: their building block, reading weights, feeding pictures."""

from __future__ import annotations

import contextlib
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, TypeVar, cast

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own habit)
from safetensors.torch import load_file
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

ModuleT = TypeVar("ModuleT", bound=nn.Module)


class SameConv2d(nn.Conv2d):
    """Convolution whose output is input/stride; the odd padding pixel goes right and bottom.

    For inputs that `stride` divides, which holds everywhere in the two networks.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(channels_in, channels_out, kernel, stride, groups=groups)
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        self.margins = (before, after, before, after)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H/stride, W/stride)."""
        return super().forward(F.pad(x, self.margins) if any(self.margins) else x)


class ResidualBlock(nn.Module):
    """Depthwise 3×3, pointwise 1×1, plus the input, then an activation.

    The input is max-pooled where the block strides and zero-filled to the wider
    output (BlazeFace, section 3.1, doi:10.48550/arXiv.1907.05047).
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        stride: int,
        activation: Callable[[int], nn.Module],
    ) -> None:
        super().__init__()
        self.stride, self.widening = stride, channels_out - channels_in
        self.depthwise = SameConv2d(channels_in, channels_in, 3, stride, groups=channels_in)
        self.pointwise = nn.Conv2d(channels_in, channels_out, 1)
        self.activation = activation(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H/stride, W/stride)."""
        out = self.pointwise(self.depthwise(x))
        if self.stride > 1:
            x = F.max_pool2d(x, self.stride)
        if self.widening:
            x = F.pad(x, (0, 0, 0, 0, 0, self.widening))
        return cast("Tensor", self.activation(out + x))


def load_bundled(module: ModuleT, name: str) -> ModuleT:
    """Fill `module` with ``mecli/weights/<name>.safetensors`` (fp16), ready for inference."""
    with as_file(files("mecli") / "weights" / f"{name}.safetensors") as path:
        module.load_state_dict(load_file(path))
    for parameter in module.parameters():
        parameter.requires_grad_(False)
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    module.eval()
    return module


def to_tensor(pictures: NDArray[np.uint8], scale: float, shift: float) -> Tensor:
    """(N, H, W, 3) uint8 to a channels-last (N, 3, H, W) float32 of value × scale + shift."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().mul_(scale).add_(shift)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread inside: small layers lose to hand-over, clips run in parallel."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
