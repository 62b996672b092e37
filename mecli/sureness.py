"""What the class scores of a table are worth: calibrated or not, at odds with it or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mecli import calibration
from mecli.report.evaluation import Sureness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mecli.predictions import PredictionTable


def sureness(table: PredictionTable, classes: Sequence[str]) -> Sureness | None:
    """Return how well the class scores are calibrated, if there is one for each class.

    `table` is spelled as in `classes` (see `in_classes`); scores that are no shares of 1
    have no calibration.
    """
    if table.score_classes != tuple(classes):
        return None
    scores = np.array([row.scores for row in table.rows])
    if not (scores.min() >= 0 and np.allclose(scores.sum(axis=1), 1, atol=1e-3)):
        return None
    labels = [classes.index(row.label) for row in table.rows]
    folds = [row.fold for row in table.rows]
    calibrated = None
    if len(set(folds)) > 1:
        calibrated = calibration.ece(calibration.cross_fitted(scores, labels, folds), labels)
    return Sureness(
        ece=calibration.ece(scores, labels),
        temperature=calibration.fit_temperature(scores, labels),
        ece_calibrated=calibrated,
    )


def scores_doubted(table: PredictionTable, classes: Sequence[str]) -> str:
    """Say where the class scores and the predictions of `table` do not meet, empty if they do."""
    if not table.score_classes:
        return ""
    if table.score_classes != tuple(classes):
        return (
            f"class scores of {', '.join(table.score_classes)} are not looked at: expected one "
            f"column score_<class> for each of {', '.join(classes)}"
        )
    others = [r for r in table.rows if r.scores[classes.index(r.prediction)] < max(r.scores)]
    if not others:
        return ""
    return (
        f"{len(others)} of {len(table.rows)} predictions are not the class of the highest score, "
        f"{others[0].clip} first: the figures go by the predictions; are the columns score_<class> "
        "in their order?"
    )
