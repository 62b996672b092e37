"""What each ROI contributes to a decision: by the model's own parts, or by occlusion."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mecli import registry
from mecli.errors import UsageError
from mecli.rois import ROI_NAMES
from mecli.training.checkpoint import features
from mecli.training.fit import read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from mecli.records import ClipRecord
    from mecli.training.checkpoint import Checkpoint


class Attribution(NamedTuple):
    """How it was found, and each ROI's part; a negative one speaks against the decision."""

    method: str
    parts: Mapping[str, float]


def attribute(checkpoint: Checkpoint, record: ClipRecord, method: str | None = None) -> Attribution:
    """Return what each ROI contributes to the winning class of one clip, uncalibrated.

    ``weights``, for a model whose class scores are a sum over ROIs: the ROI's part of the
    winning class's score, less the mean of its parts over all classes, and less the same on
    a face that stands still, where a region's part is habit and not what was seen.
    ``occlusion``: how much probability the winning class loses when the ROI stands still
    (Zeiler, Fergus, ECCV 2014, 10.1007/978-3-319-10590-1_53). None takes the first where the
    model has it. Raises `UsageError` for weights that a model does not have.
    """
    values = features(checkpoint, record)
    base, parts = read(checkpoint.stages, checkpoint.networks, values)
    winner = int(base.argmax())
    if method == "occlusion" or (method is None and parts is None):
        shares = base[winner] - _occluded(checkpoint, values)[:, winner]
        return Attribution("occlusion", _named(shares))
    if parts is None:
        raise UsageError(
            f"--attribution weights: the scores of {checkpoint.model} are no sum over ROIs; "
            "use --attribution occlusion"
        )
    model, still = registry.load("model", checkpoint.model), values
    for roi in range(len(ROI_NAMES)):
        still = model.occlude(still, roi, checkpoint.options)
    habit = read(checkpoint.stages, checkpoint.networks, still).roi_scores
    assert habit is not None
    seen = parts - habit
    return Attribution("weights", _named(seen[:, winner] - seen.mean(axis=1)))


def _occluded(checkpoint: Checkpoint, values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return the class probabilities (R, K) with one ROI after the other standing still."""
    model = registry.load("model", checkpoint.model)
    rows = []
    for roi in range(len(ROI_NAMES)):
        still = model.occlude(values, roi, checkpoint.options)
        rows.append(read(checkpoint.stages, checkpoint.networks, still).probabilities)
    return np.array(rows, dtype=np.float64)


def _named(shares: NDArray[np.floating]) -> dict[str, float]:
    return {name: float(share) for name, share in zip(ROI_NAMES, shares, strict=True)}
