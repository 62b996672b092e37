"""The network that tells expressions from what else a face does, and its weights that ship.

Four convolutions over time, two seconds wide together, look at the curves of all regions
and of the head. It was trained on made curves alone: see `mecli.bundle.spotter`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHTS = Path(__file__).parent / "weights" / "spotter.safetensors"


@dataclass(frozen=True, slots=True)
class Spotter:
    """Weights (out, in, width) and biases (out,) of each convolution, the last one wide."""

    layers: tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]

    def likelihood(self, curves: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (N, 3) how likely each moment of `curves` (N, C) is of each class.

        `curves` are those of `mecli.spotting.bent`. Layer k looks at every 2^k-th moment;
        before the first and after the last there is rest.
        """
        values = curves
        for depth, (weights, bias) in enumerate(self.layers):
            last = depth == len(self.layers) - 1
            values = _convolved(values, weights, 1 if last else 2**depth) + bias
            if not last:
                values = np.maximum(values, 0)
        shares = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float32)


@lru_cache(maxsize=1)
def load_spotter() -> Spotter:
    """Return the spotter that ships."""
    from safetensors.numpy import load_file

    arrays = load_file(WEIGHTS)
    count = len(arrays) // 2
    return Spotter(
        tuple(
            (arrays[f"{k}.weight"].astype(np.float32), arrays[f"{k}.bias"].astype(np.float32))
            for k in range(count)
        )
    )


def _convolved(
    values: NDArray[np.float32], weights: NDArray[np.float32], apart: int
) -> NDArray[np.float32]:
    width = weights.shape[2]
    reach = apart * (width // 2)
    padded = np.pad(values, ((reach, reach), (0, 0)))
    count = len(values)
    out = np.zeros((count, weights.shape[0]), np.float32)
    for k in range(width):
        out += padded[k * apart : k * apart + count] @ weights[:, :, k].T
    return out
