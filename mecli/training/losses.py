"""The loss of a batch, as a weighted mean in which held-out clips have weight 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mecli.models.contract import Recipe


def unit_weights(
    labels: NDArray[np.int64], train: NDArray[np.int64], n_classes: int, balance: float
) -> NDArray[np.float64]:
    """Return one weight per clip (N,): 0 outside `train`, mean 1 inside.

    Within `train` a class that occurs n times weighs n^−`balance`; a class that does not
    occur there weighs nothing. Counts are of the training clips alone.
    """
    counts = np.bincount(labels[train], minlength=n_classes).astype(np.float64)
    per_class = np.where(counts > 0, np.maximum(counts, 1.0) ** -balance, 0.0)
    weights = np.zeros(len(labels), dtype=np.float64)
    weights[train] = per_class[labels[train]]
    weights[train] /= weights[train].mean()
    return weights


def batch_loss(recipe: Recipe, scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return Σ w·l / Σ w of scores (B, K) or (B, R, K), summed over the R heads.

    l is the focal loss −(1−p)^γ log p (10.1109/ICCV.2017.324) against labels smoothed by
    ε: (1−ε) on the true class and ε/K on every class.
    """
    log_p = torch.log_softmax(scores, dim=-1)
    n_classes = scores.shape[-1]
    target = torch.nn.functional.one_hot(labels, n_classes).to(scores.dtype)
    if recipe.label_smoothing > 0:
        target = target * (1 - recipe.label_smoothing) + recipe.label_smoothing / n_classes
    if scores.ndim == 3:
        target = target[:, None]
    if recipe.focal_gamma > 0:
        log_p = (1 - log_p.exp()).clamp_min(1e-12) ** recipe.focal_gamma * log_p
    losses = -(target * log_p).sum(-1)
    if scores.ndim == 3:
        losses = losses.sum(-1)
    return (losses * weights).sum() / weights.sum()
