"""How exactly a training computes: the type of its weights, and of its large products.

``bf16`` keeps weights, optimiser, loss and all scoring in float32 and lets the forward and
backward pass multiply in bfloat16. That pays only where the processor has instructions
for it; without them it was measured ten times slower, so it is refused there. It pays
for wide layers only: on an EPYC with AVX512-BF16 a fold of cnn-lstm took as long as in
float32 and one of roi-flow-lstm a fifth longer, so float32 is the default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mecli.errors import UsageError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

BF16 = "bf16"
DTYPES = {"float32": torch.float32, "float64": torch.float64, BF16: torch.float32}


def products(bf16: bool, device: str) -> AbstractContextManager[object]:
    """Return the context in which a step computes its products in bfloat16, if `bf16`."""
    # Without the cache: it would keep casts of weights that vmap has long left behind.
    return torch.autocast(device, torch.bfloat16, enabled=bf16, cache_enabled=False)


def check(precision: str, device: str) -> None:
    """Raise `UsageError` if `device` (``cpu`` or ``cuda``) has no instructions for it."""
    if precision == BF16 and not has_bf16(device):
        what = "GPU" if device == "cuda" else "CPU"
        raise UsageError(
            f"--precision bf16: this {what} has no bfloat16 instructions, which makes it slower, "
            "not faster; use --precision float32"
        )


def has_bf16(device: str) -> bool:
    """Whether `device` multiplies bfloat16 natively: AVX512-BF16 on a CPU."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported())
