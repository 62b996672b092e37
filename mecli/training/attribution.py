"""What each ROI contributes to a decision: by the model's own parts, or by occlusion."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mecli import registry
from mecli.errors import UsageError
from mecli.rois import ROI_NAMES, crop_grid
from mecli.training.checkpoint import features, reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mecli.records import ClipRecord
    from mecli.training.checkpoint import Checkpoint

_CELLS = 12
"""A ROI's flow is averaged over as many rows and columns."""


class Attribution(NamedTuple):
    """How it was found, and each ROI's share; they sum to 1, or to 0 if none counts."""

    method: str
    parts: Mapping[str, float]


def attribute(checkpoint: Checkpoint, record: ClipRecord, method: str | None = None) -> Attribution:
    """Return the share that each ROI has in what is said of one clip, uncalibrated.

    A ROI counts by how much the class scores hang on it, whichever class wins: of a wrong
    decision too it tells what the model looked at. ``weights``, for a model whose class
    scores are a sum over ROIs: the length of the ROI's part, less its mean over classes, and
    less the same on a face that stands still, where a region's part is habit and not what was
    seen. ``occlusion``: half the sum of how much each class's probability changes when the
    ROI stands still (Zeiler, Fergus, ECCV 2014, 10.1007/978-3-319-10590-1_53). None takes the
    first where the model has it.

    Either is multiplied by how far the ROI moves at the apex: models look at more than the
    box of a ROI, and a still one would be given its neighbour's movement. Raises `UsageError`
    for weights that a model does not have.
    """
    values = features(checkpoint, record)
    base, parts = reading(checkpoint, values)
    if method == "occlusion" or (method is None and parts is None):
        change = np.abs(_occluded(checkpoint, values) - base).sum(axis=1) / 2
        return Attribution("occlusion", _shares(change, record))
    if parts is None:
        raise UsageError(
            f"--attribution weights: the scores of {checkpoint.model} are no sum over ROIs; "
            "use --attribution occlusion"
        )
    model, still = registry.load("model", checkpoint.model), values
    for roi in range(len(ROI_NAMES)):
        still = model.occlude(still, roi, checkpoint.options)
    habit = reading(checkpoint, still).roi_scores
    assert habit is not None
    seen = parts - habit
    centred = seen - seen.mean(axis=1, keepdims=True)
    return Attribution("weights", _shares(np.linalg.norm(centred, axis=1), record))


def _occluded(checkpoint: Checkpoint, values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return the class probabilities (R, K) with one ROI after the other standing still."""
    model = registry.load("model", checkpoint.model)
    rows = []
    for roi in range(len(ROI_NAMES)):
        still = model.occlude(values, roi, checkpoint.options)
        rows.append(reading(checkpoint, still).probabilities)
    return np.array(rows, dtype=np.float64)


def _shares(effect: NDArray[np.float64], record: ClipRecord) -> dict[str, float]:
    """Return each ROI's share of `effect` (R,) times the mean length of its apex flow."""
    apex = record.apex_flow if record.apex_flow.size else record.flow[-1]
    lengths = np.linalg.norm(apex, axis=-1, keepdims=True)
    moved = crop_grid(lengths, record.roi_boxes, _CELLS).mean(axis=(1, 2, 3))
    weighed = effect * moved
    shares = weighed / (weighed.sum() or 1.0)
    return {name: float(share) for name, share in zip(ROI_NAMES, shares, strict=True)}
