"""The networks that tell expressions from what else a face does, and its weights that ship.

Four convolutions over time, two seconds wide together, look at the curves of all regions
and of the head. They were trained on faces that nobody has: see `mecli.bundle.spotter`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHTS = Path(__file__).parent / "weights" / "spotter.safetensors"


Layers = tuple[tuple["NDArray[np.float32]", "NDArray[np.float32]"], ...]
"""Weights (out, in, width) and bias (out,) of each convolution of one network."""


@dataclass(frozen=True, slots=True)
class Spotter:
    """Networks trained alike from other random numbers, whose likelihoods are averaged."""

    networks: tuple[Layers, ...]

    def likelihood(self, curves: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (N, 3) how likely each moment of `curves` (N, C) is of each class.

        `curves` are those of `mecli.spotting.bent`. Layer k looks at every 2^k-th moment;
        before the first and after the last there is rest.
        """
        said = [_likelihood(layers, curves) for layers in self.networks]
        return np.asarray(np.mean(said, axis=0), dtype=np.float32)


def load_spotter(path: Path = WEIGHTS) -> Spotter:
    """Return the spotter in the weights `path`, the one that ships by default."""
    from safetensors.numpy import load_file

    arrays = {name: values.astype(np.float32) for name, values in load_file(path).items()}
    members: dict[str, list[str]] = {}
    for name in sorted(arrays):
        if name.endswith(".weight"):
            members.setdefault(name.partition(".")[0], []).append(name.removesuffix(".weight"))
    return Spotter(
        tuple(
            tuple((arrays[f"{layer}.weight"], arrays[f"{layer}.bias"]) for layer in layers)
            for layers in members.values()
        )
    )


def _likelihood(layers: Layers, curves: NDArray[np.float32]) -> NDArray[np.float32]:
    values = curves
    for depth, (weights, bias) in enumerate(layers):
        last = depth == len(layers) - 1
        values = _convolved(values, weights, 1 if last else 2**depth) + bias
        if not last:
            values = np.maximum(values, 0)
    shares = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float32)


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
