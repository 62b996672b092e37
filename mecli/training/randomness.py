"""Random numbers that hang on what they are for, never on the order in which they are drawn.

Every number is a hash of (stream, unit, element). The same unit of the same seed, stage and
epoch gets the same mask whether it is trained in a worker, alone, or stacked with other
folds, and wherever it sits in the batch. The mixer is the finaliser of SplitMix64
(Steele, Lea & Flood, OOPSLA 2014, 10.1145/2660193.2660195).
"""

from __future__ import annotations

import math
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

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


class Drawn:
    """Dropout masks as bits: what one fold drew, the next ones of its seed need as well.

    Kept until they fill `budget_bytes`; what comes later is drawn anew by every fold. All
    folds ask in the same order, so dropping the oldest instead would keep nothing.
    """

    def __init__(self, budget_bytes: int = 64 << 20) -> None:
        self.left_bytes = budget_bytes
        self._bits: dict[tuple[int, Dropout, bytes], NDArray[np.uint8]] = {}

    def kept(self, key: int, dropout: Dropout, keys: Tensor, rows: Tensor) -> Tensor:
        """Return what `keep` says of some `rows` of `keys`, from memory if it is there."""
        count, name = _size(dropout), (key, dropout, keys.numpy().tobytes())
        bits = self._bits.get(name)
        if bits is None:
            bits = np.packbits(keep(key, dropout, keys).numpy(), axis=1)
            if bits.nbytes <= self.left_bytes:
                self._bits[name] = bits
                self.left_bytes -= bits.nbytes
        return torch.from_numpy(np.unpackbits(bits[rows.numpy()], axis=1, count=count))


@lru_cache(maxsize=1)
def drawn(run: Path, seed: int) -> Drawn:
    """Return the masks that folds of `run` with `seed` have drawn in this process."""
    return Drawn()


def keep(key: int, dropout: Dropout, keys: Tensor) -> Tensor:
    """Return which elements of the units `keys` stay for the purpose `key`, bool (B, n)."""
    # Compared as whole numbers: scaling the rate by a power of two is exact.
    return _counts(key, keys, _size(dropout)) >= math.ceil(dropout.rate * 2**53)


def _size(dropout: Dropout) -> int:
    return math.prod(dropout.shape)


def masks(
    dropouts: Mapping[str, Dropout],
    stage: tuple[int, str, int],
    keys: Tensor,
    rows: Tensor,
    dtype: torch.dtype,
    device: str = "cpu",
    before: Drawn | None = None,
) -> dict[str, Tensor]:
    """Return the dropout masks (B, …) of those `rows` of units `keys`: 0 or 1 / (1 − rate).

    `stage` is (seed, stage, epoch). Masks on the CPU are looked up in `before`.
    """
    made = {}
    for name, dropout in dropouts.items():
        key = stream(*stage, name)
        if before is not None and device == "cpu":
            stays = before.kept(key, dropout, keys, rows)
        else:
            stays = keep(key, dropout, keys[rows].to(device))
        made[name] = stays.to(dtype).mul_(1 / (1 - dropout.rate)).reshape(-1, *dropout.shape)
    return made
