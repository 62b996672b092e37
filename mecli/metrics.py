"""Scores of a pooled confusion matrix over a class list that is fixed beforehand.

TP, FP and FN are summed over all folds before anything is divided, never averaged over
folds (See et al., MEGC 2019, FG 2019, 10.1109/FG.2019.8756611; Forman & Scholz,
SIGKDD Explorations 2010, 10.1145/1882471.1882479). A score that is 0/0 is 0, as in
scikit-learn with ``zero_division=0``: a class that never occurs lowers the mean over
the given classes, and `absent_classes` names it, so that nobody overlooks it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mecli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


def confusion(labels: ArrayLike, predictions: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    """Count clips by label (row) and prediction (column).

    `labels` and `predictions` are (N,) class positions in ``range(n_classes)``; the
    result is (K, K) int64. Raises `InputError` for other shapes or positions.
    """
    rows, columns = _positions(labels, n_classes), _positions(predictions, n_classes)
    if rows.shape != columns.shape:
        raise InputError(f"{len(rows)} labels but {len(columns)} predictions, expected one each")
    counts = np.bincount(rows * n_classes + columns, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes).astype(np.int64)


def f1_per_class(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return 2TP / (2TP + FP + FN) of (…, K, K) confusion matrices as (…, K) float64."""
    hits = _hits(counts)
    return _ratio(2 * hits, counts.sum(-1) + counts.sum(-2))


def recall_per_class(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return TP / n, the share of each class that was found, (…, K, K) → (…, K) float64."""
    return _ratio(_hits(counts), counts.sum(-1))


def precision_per_class(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return TP / (TP + FP) of (…, K, K) confusion matrices as (…, K) float64."""
    return _ratio(_hits(counts), counts.sum(-2))


def headline(counts: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Return the four headline scores of (…, K, K) confusion matrices, each (…) float64.

    Raises `InputError` for a matrix that counts no clip: it has no score.
    """
    total = counts.sum((-1, -2))
    if not np.all(total > 0):
        raise InputError("no predictions to score: the confusion matrix is empty")
    return {
        "uf1": f1_per_class(counts).mean(-1),
        "uar": recall_per_class(counts).mean(-1),
        "accuracy": _hits(counts).sum(-1) / total,
        "macro_precision": precision_per_class(counts).mean(-1),
    }


def uf1(counts: NDArray[np.int64]) -> float:
    """Unweighted F1 of MEGC 2019: the mean of `f1_per_class` over all K classes of (K, K)."""
    return float(headline(counts)["uf1"])


def uar(counts: NDArray[np.int64]) -> float:
    """Unweighted average recall: the mean of `recall_per_class` over all K classes of (K, K)."""
    return float(headline(counts)["uar"])


def accuracy(counts: NDArray[np.int64]) -> float:
    """Share of clips on the diagonal of the (K, K) confusion matrix."""
    return float(headline(counts)["accuracy"])


def macro_precision(counts: NDArray[np.int64]) -> float:
    """Mean of `precision_per_class` over all K classes; some papers print it as UAR."""
    return float(headline(counts)["macro_precision"])


def weighted_f1(counts: NDArray[np.int64]) -> float:
    """Mean of `f1_per_class` weighted by the clips of each class, as MEGC 2018 asks."""
    headline(counts)  # refuses an empty matrix
    return float(np.average(f1_per_class(counts), weights=counts.sum(-1)))


def absent_classes(counts: NDArray[np.int64], classes: Sequence[str]) -> tuple[str, ...]:
    """Name the classes that no clip is labelled with."""
    return tuple(name for name, n in zip(classes, counts.sum(1), strict=True) if n == 0)


def _positions(values: ArrayLike, n_classes: int) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.size == 0:
        array = array.astype(np.int64)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise InputError(
            f"class positions have shape {array.shape} and type {array.dtype}, expected (N,) int"
        )
    outside = array[(array < 0) | (array >= n_classes)]
    if outside.size:
        raise InputError(f"class position {outside[0]} is outside 0..{n_classes - 1}")
    return array.astype(np.int64)


def _hits(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    zeros = np.zeros(np.broadcast_shapes(part.shape, whole.shape))
    return np.divide(part, whole, out=zeros, where=whole > 0)
