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


def targets(recipe: Recipe, labels: Tensor, weights: Tensor, n_classes: int) -> Tensor:
    """Return what the scores of units (B,) should be, times each unit's weight: (…, B, K).

    `weights` are (…, B): a leading axis is one row per fold. Labels are smoothed by ε:
    (1−ε) on the true class and ε/K on every class.
    """
    hard = torch.nn.functional.one_hot(labels, n_classes).to(weights.dtype)
    soft = hard * (1 - recipe.label_smoothing) + recipe.label_smoothing / n_classes
    return soft * weights[..., None]


def batch_loss(recipe: Recipe, scores: Tensor, wanted: Tensor) -> Tensor:
    """Return Σ w·l / Σ w of scores (B, K) or (B, R, K), summed over the R heads.

    `wanted` are weighted `targets` (B, K), whose sum is Σ w. l is the focal loss
    −(1−p)^γ log p (10.1109/ICCV.2017.324), which is the cross-entropy for γ = 0. Without
    any weight the loss is 0.
    """
    log_p = torch.log_softmax(scores, dim=-1)
    if recipe.focal_gamma > 0:
        log_p = (1 - log_p.exp()).clamp_min(1e-12) ** recipe.focal_gamma * log_p
    each = wanted[:, None] if scores.ndim == 3 else wanted
    total = wanted.sum()
    return -(each * log_p).sum() / torch.where(total > 0, total, torch.ones_like(total))
