"""How a run stands: which folds are finished, what they score, what there is to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mecli import calibration, metrics
from mecli.errors import InputError
from mecli.training import folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mecli.training.dataset import Dataset
    from mecli.training.folder import FoldResult
    from mecli.training.job import FoldTask, Job


def finished(run: Path, task: FoldTask) -> bool:
    """Whether `task` has a result; `InputError` if the result is of another fold."""
    result = folder.read_fold(run, task.seed, task.number)
    if result is None:
        return False
    if (result.fold, set(result.scores)) != (task.name, set(task.test)):
        path = folder.fold_path(run, task.seed, task.number)
        raise InputError(f"{path}: result of fold {result.fold}, expected {task.name}; remove it")
    return True


def pooled(job: Job, results: Sequence[FoldResult]) -> tuple[float | None, float | None]:
    """Return UF1 and UAR of the held-out predictions of `results`, None if there are none."""
    label_of = dict(zip(job.clip_ids, job.labels, strict=True))
    pairs = [(label_of[c], int(np.argmax(s))) for r in results for c, s in r.scores.items()]
    if not pairs:
        return None, None
    labels, predictions = zip(*pairs, strict=True)
    counts = metrics.confusion(labels, predictions, len(job.classes))
    scores = metrics.headline(counts)
    return float(scores["uf1"]), float(scores["uar"])


def temperature(job: Job, results: Sequence[FoldResult]) -> float | None:
    """Return the temperature that the held-out scores of `results` ask for, if there are any."""
    label_of = dict(zip(job.clip_ids, job.labels, strict=True))
    pairs = [(scores, label_of[clip]) for r in results for clip, scores in r.scores.items()]
    if not pairs:
        return None
    scores, labels = zip(*pairs, strict=True)
    return calibration.fit_temperature(scores, labels)


def named(data: Dataset) -> dict[str, tuple[str, str, str]]:
    """Return subject, corpus and class of every clip by its id."""
    classes = data.table.classes
    return {
        r.clip_id: (r.subject, r.corpus, classes[data.table.index[r.clip_id]]) for r in data.clips
    }


def warnings(job: Job, results: Sequence[FoldResult]) -> tuple[str, ...]:
    """Name classes that never occur, and folds that had no clip of a class to learn from."""
    never = [n for k, n in enumerate(job.classes) if k not in job.labels]
    said = [f"no clip at all of class '{name}'; it counts as F1 = 0" for name in never]
    for result in results:
        for name, count in zip(job.classes, result.train_per_class, strict=True):
            if count == 0 and name not in never:
                said.append(f"fold {result.fold}: no training clip of class '{name}'")
    return tuple(dict.fromkeys(said))
