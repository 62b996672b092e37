"""How a run stands: which folds are finished, what they score, what there is to say."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli import calibration, metrics, statistics
from mecli.errors import InputError
from mecli.training import folder
from mecli.training.selection import selectable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

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


NOTE = "held-out clips picked the epoch: the leak, no result"


@dataclass(frozen=True, slots=True)
class Scores:
    """UF1 and UAR, pooled over held-out clips."""

    uf1: float
    uar: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How the held-out clips of a run were scored."""

    ensemble: Scores | None
    """Of the seeds' mean probabilities; None if nobody was held out."""
    by_seed: Mapping[int, Scores]
    leaked: Scores | None
    """Like `ensemble`, if each fold's best test epoch is picked; selection oracle only."""

    def as_json(self) -> dict[str, Any]:
        """Return mean and deviation over several seeds, and what leaks, where there is any."""
        document: dict[str, Any] = {}
        if len(self.by_seed) > 1:
            values = [asdict(scores) for scores in self.by_seed.values()]
            document["by_seed"] = {str(seed): asdict(s) for seed, s in self.by_seed.items()}
            document["seed_mean"], document["seed_sd"] = statistics.mean_and_sd(values)
        if self.leaked:
            document["LEAKED"] = {**asdict(self.leaked), "note": NOTE}
        return document


def standing(job: Job, results: Sequence[FoldResult]) -> Standing:
    """Score `results`: each seed alone and the ensemble of all."""
    seeds = sorted({r.seed for r in results})
    each = {seed: pooled(job, [r for r in results if r.seed == seed]) for seed in seeds}
    return Standing(
        ensemble=pooled(job, _mean(results)),
        by_seed={seed: scores for seed, scores in each.items() if scores},
        leaked=pooled(job, _mean(_picked(results))),
    )


def pooled(job: Job, results: Sequence[FoldResult]) -> Scores | None:
    """Return the scores of all held-out predictions of `results`, None if there are none."""
    label_of = dict(zip(job.clip_ids, job.labels, strict=True))
    pairs = [(label_of[c], int(np.argmax(s))) for r in results for c, s in r.scores.items()]
    if not pairs:
        return None
    labels, predictions = zip(*pairs, strict=True)
    counts = metrics.confusion(labels, predictions, len(job.classes))
    scores = metrics.headline(counts)
    return Scores(float(scores["uf1"]), float(scores["uar"]))


class Tally:
    """UF1 as it stands while folds come in, each counted once."""

    def __init__(self, job: Job) -> None:
        self._label_of = dict(zip(job.clip_ids, job.labels, strict=True))
        size = len(job.classes)
        self._honest, self._leaked = (np.zeros((size, size), np.int64) for _ in range(2))

    def add(self, result: FoldResult) -> None:
        """Count the held-out clips of one more fold; `InputError` if it knows other classes."""
        if len(result.train_per_class) != len(self._honest):
            raise InputError(
                f"fold {result.fold} (seed {result.seed}): knows {len(result.train_per_class)} "
                f"classes, expected {len(self._honest)}; remove its result and resume"
            )
        self._count(self._honest, result.scores)
        if result.leaked:
            self._count(self._leaked, result.leaked.scores)

    def _count(self, counts: NDArray[np.int64], scores: Mapping[str, Sequence[float]]) -> None:
        for clip, shares in scores.items():
            counts[self._label_of[clip], int(np.argmax(shares))] += 1

    def __str__(self) -> str:
        """Return it in words, empty before the first clip; what leaks is called so."""
        if not self._honest.any():
            return ""
        text = f"UF1 so far {metrics.uf1(self._honest):.3f}"
        if not self._leaked.any():
            return text
        return f"{text} at the last epoch, LEAKED {metrics.uf1(self._leaked):.3f}"


def _picked(results: Sequence[FoldResult]) -> list[FoldResult]:
    return [replace(r, scores=r.leaked.scores) for r in results if r.leaked]


def _mean(results: Sequence[FoldResult]) -> list[FoldResult]:
    """Return one result per fold: the mean of its seeds' probabilities."""
    of_fold: dict[int, list[FoldResult]] = {}
    for result in results:
        of_fold.setdefault(result.number, []).append(result)
    return [
        replace(
            first,
            scores={
                clip: tuple(np.mean([r.scores[clip] for r in (first, *others)], axis=0).tolist())
                for clip in first.scores
            },
        )
        for first, *others in of_fold.values()
    ]


def epochs_chosen(results: Sequence[FoldResult]) -> dict[str, dict[str, dict[str, int]]]:
    """Return the epochs that selection inner chose, by seed, fold and stage."""
    chosen: dict[str, dict[str, dict[str, int]]] = {}
    for result in results:
        if result.epochs:
            chosen.setdefault(str(result.seed), {})[result.fold] = dict(result.epochs)
    return chosen


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
    """Name classes that never occur or that a fold cannot learn; say if nothing was selected."""
    never = [n for k, n in enumerate(job.classes) if k not in job.labels]
    said = []
    if job.selection == "inner" and not selectable(job.stages):
        said.append(
            f"model {job.model} solves for its weights: selection inner has no epoch to choose"
        )
    said += [f"no clip at all of class '{name}'; it counts as F1 = 0" for name in never]
    for result in results:
        for name, count in zip(job.classes, result.train_per_class, strict=True):
            if count == 0 and name not in never:
                said.append(f"fold {result.fold}: no training clip of class '{name}'")
    return tuple(dict.fromkeys(said))
