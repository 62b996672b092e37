"""Random numbers that hang on what they are for, never on the order in which they are drawn.

Every number is a hash of (stream, unit, element). The same unit of the same seed, stage and
epoch gets the same mask whether it is trained in a worker, alone, or stacked with other
folds, and wherever it sits in the batch. The mixer is the finaliser of SplitMix64
(Steele, Lea & Flood, OOPSLA 2014, 10.1145/2660193.2660195).
"""

from __future__ import annotations

import math
from hashlib import sha256
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mecli.models.contract import Dropout


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)


def _mix(x: Tensor) -> Tensor:
    """Scramble int64 numbers; `>>` keeps the sign, hence the masks."""
    x = _folded(x, 30, (1 << 34) - 1).mul_(_FIRST)
    x = _folded(x, 27, (1 << 37) - 1).mul_(_SECOND)
    return _folded(x, 31, (1 << 33) - 1)


def _folded(x: Tensor, bits: int, mask: int) -> Tensor:
    """Return x ^ (x >> bits), the shift without its sign, in one new tensor."""
    return (x >> bits).bitwise_and_(mask).bitwise_xor_(x)


def stream(*parts: int | str) -> int:
    """Return the int64 key of a purpose such as ``(seed, stage, epoch, "order")``."""
    digest = sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def clip_keys(clip_ids: Iterable[str]) -> Tensor:
    """Return one int64 key per clip id, (N,)."""
    return torch.tensor([stream("clip", c) for c in clip_ids], dtype=torch.int64)


def step_keys(keys: Tensor, steps: int) -> Tensor:
    """Return (N * steps,) keys, one per time step of every clip."""
    return _mix(keys[:, None] + torch.arange(1, steps + 1) * _GOLDEN).flatten()


def numbers(key: int, keys: Tensor, count: int) -> Tensor:
    """Return float64 in [0, 1), (len(keys), count), for the purpose `key`."""
    return _counts(key, keys, count).to(torch.float64) * 2.0**-53


def _counts(key: int, keys: Tensor, count: int) -> Tensor:
    """Return `numbers` as int64 multiples of 2⁻⁵³."""
    elements = torch.arange(1, count + 1, device=keys.device) * _GOLDEN
    bits = _mix(_mix(keys[:, None] ^ key) + elements)
    return (bits >> 11).bitwise_and_((1 << 53) - 1)


def order(key: int, keys: Tensor) -> Tensor:
    """Return a permutation (N,) in which the order of two units hangs on those two alone."""
    return torch.argsort(_mix(_mix(keys ^ key)))


def masks(
    dropouts: Mapping[str, Dropout], seed: int, stage: str, epoch: int, keys: Tensor
) -> dict[str, Tensor]:
    """Return the dropout masks (B, …) of units `keys`: 0 or 1 / (1 − rate), float64."""
    drawn = {}
    for name, dropout in dropouts.items():
        count = int(torch.Size(dropout.shape).numel())
        counts = _counts(stream(seed, stage, epoch, name), keys, count)
        # Compared as whole numbers: scaling the rate by a power of two is exact.
        kept = counts >= math.ceil(dropout.rate * 2**53)
        keep = kept.to(torch.float64).div_(1.0 - dropout.rate)
        drawn[name] = keep.reshape(-1, *dropout.shape)
    return drawn
