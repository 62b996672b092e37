"""How sure a model may be: a temperature for its class scores, and how far off they are.

One number T > 0 that all log scores are divided by, fitted on clips that were held out
(Guo et al., ICML 2017, arXiv 1706.04599). It never changes which class wins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

TEMPERATURES = (0.05, 20.0)
"""The smallest and the largest temperature that is believed."""

BINS = 10
_LEAST = 1e-12
_HALVINGS = 60


def tempered(probabilities: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """Return (…, K) float64 probabilities at `temperature`: above 1 less sure, below 1 surer."""
    logs = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), _LEAST)) / temperature
    shares = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True))


def fit_temperature(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Return the temperature of least cross-entropy for (N, K) scores of labels (N,).

    A label counts as certain but for 1 / (N + 2), so that a few clips that are all right
    make no model infinitely sure (Platt 1999, Advances in Large Margin Classifiers).
    Raises `InputError` for no clips or shapes that do not fit.
    """
    shares, classes = _checked(probabilities, labels)
    doubt = 1 / (len(classes) + 2)
    wanted = np.full(shares.shape, doubt / shares.shape[1])
    wanted[np.arange(len(classes)), classes] += 1 - doubt
    logs = np.log(np.maximum(shares, _LEAST))
    target = float((wanted * logs).sum(axis=1).mean())
    # The loss is convex in 1/T: its slope, mean log score here less there, rises through 0.
    low, high = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    for _ in range(_HALVINGS):
        middle = (low * high) ** 0.5
        if float((tempered(shares, 1 / middle) * logs).sum(axis=1).mean()) < target:
            low = middle
        else:
            high = middle
    return float(1 / (low * high) ** 0.5)


def cross_fitted(
    probabilities: ArrayLike, labels: ArrayLike, folds: Sequence[str]
) -> NDArray[np.float64]:
    """Return scores (N, K), each at the temperature that all other folds ask for.

    This is how a temperature fitted on held-out scores can itself be judged. Raises
    `InputError` for fewer than two folds.
    """
    shares, classes = _checked(probabilities, labels)
    names = np.asarray(folds)
    if len(set(folds)) < 2 or len(names) != len(classes):
        raise InputError(f"{len(set(folds))} fold(s) of {len(names)} clips, expected 2 or more")
    result = shares.copy()
    for name in sorted(set(folds)):
        mine = names == name
        result[mine] = tempered(shares[mine], fit_temperature(shares[~mine], classes[~mine]))
    return result


def ece(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Return the expected calibration error of (N, K) scores of labels (N,), 0 to 1.

    The winning class's score less how often it is right, over ten bins of equal width,
    each weighted by its clips (Naeini et al., AAAI 2015, 10.1609/aaai.v29i1.9602).
    """
    shares, classes = _checked(probabilities, labels)
    sure = shares.max(axis=1)
    right = shares.argmax(axis=1) == classes
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=sure - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(classes))


def _checked(
    probabilities: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    shares = np.asarray(probabilities, dtype=np.float64)
    classes = np.asarray(labels, dtype=np.int64)
    if shares.ndim != 2 or classes.shape != shares.shape[:1] or not len(classes):
        raise InputError(
            f"scores {shares.shape} of labels {classes.shape}, expected (N, K) of (N,), N ≥ 1"
        )
    if not (classes.min() >= 0 and classes.max() < shares.shape[1]):
        raise InputError(f"labels hold {classes.max()}, expected 0 to {shares.shape[1] - 1}")
    return shares, classes
