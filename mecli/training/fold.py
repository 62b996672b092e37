"""One fold: trained, scored on whom it held out, and written in one step."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli.errors import InputError
from mecli.training import folder, start
from mecli.training.checkpoint import Checkpoint, digest, save_checkpoint, tensors_of
from mecli.training.fit import fit, score_rows
from mecli.training.job import FINAL
from mecli.training.selection import hits_per_epoch, train_folds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from mecli.training.fit import Course, Fitted
    from mecli.training.job import FoldTask, Job
    from mecli.training.selection import Trained
    from mecli.training.units import Table


def run_fold(job: Job, task: FoldTask) -> None:
    """Train one fold, score its held-out clips and write both into the run folder."""
    started = time.perf_counter()
    table = job.table()
    check_classes(job, task)

    def fit_each(trains: Sequence[NDArray[np.int64]], courses: Sequence[Course]) -> list[Fitted]:
        return [
            fit(job.stages, table, train, task.seed, job.dtype, course)
            for train, course in zip(trains, courses, strict=True)
        ]

    (trained,) = train_folds(job, table, [task], fit_each)
    write(job, task, table, trained, time.perf_counter() - started)


def check_classes(job: Job, task: FoldTask) -> None:
    """Raise `InputError` if the training clips of a fold are all of one class."""
    label_of = dict(zip(job.clip_ids, job.labels, strict=True))
    present = {label_of[c] for c in task.train}
    if len(present) < 2:
        names = ", ".join(job.classes[k] for k in sorted(present)) or "none"
        raise InputError(
            f"trains on {len(task.train)} clip(s) of one class ({names}), expected at least "
            "two classes; add clips or choose another protocol"
        )


def write(job: Job, task: FoldTask, table: Table, trained: Trained, duration_s: float) -> None:
    """Write a trained fold (weights first, then its scores), or the final checkpoint."""
    fitted = trained.fitted
    about = {
        "history": fitted.history,
        "duration_s": round(duration_s, 3),
        "seed": task.seed,
        "persons": persons(job, task),
        "epochs_chosen": dict(trained.epochs),
    }
    checkpoint = _checkpoint(job, table, fitted, about)
    if task.number == FINAL:
        save_checkpoint(job.run / folder.FINAL, checkpoint)
        return
    scores = score_rows(job.stages, fitted.networks, table, table.rows(task.test))
    counts = np.bincount(table.labels[table.rows(task.train)], minlength=table.n_classes)
    if job.keep_weights:
        named = {**checkpoint.description, "fold": task.name, "held_out": list(task.test)}
        path = folder.weights_path(job.run, task.seed, task.number)
        save_checkpoint(path, replace(checkpoint, description=named))
    result = folder.FoldResult(
        fold=task.name,
        number=task.number,
        seed=task.seed,
        train_per_class=tuple(map(int, counts)),
        scores={c: tuple(map(float, s)) for c, s in zip(task.test, scores, strict=True)},
        history=fitted.history,
        weights_sha256=digest(tensors_of(checkpoint.stages, checkpoint.networks)),
        duration_s=round(duration_s, 3),
        epochs=trained.epochs,
        leaked=_leaked(task, table, trained),
    )
    folder.write_fold(job.run, result)


def _leaked(task: FoldTask, table: Table, trained: Trained) -> folder.Leaked | None:
    if not trained.epoch_scores:
        return None
    labels = table.labels[table.rows(task.test)]
    hits = hits_per_epoch(trained.epoch_scores, labels)
    # Of equal epochs the first, as scripts do that keep a subject's best.
    best = hits.index(max(hits))
    shares = trained.epoch_scores[best]
    scores = {c: tuple(map(float, s)) for c, s in zip(task.test, shares, strict=True)}
    return folder.Leaked(best + 1, tuple(hits), scores)


def persons(job: Job, task: FoldTask) -> list[str]:
    """Return everyone whom the weights of `task` have learned from, directly or before."""
    person_of = dict(zip(job.clip_ids, job.persons, strict=True))
    checkpoint = job.checkpoint()
    before = start.persons_of(checkpoint) if checkpoint else frozenset()
    return sorted(before | {person_of[c] for c in task.train})


def _checkpoint(job: Job, table: Table, fitted: Fitted, about: Mapping[str, Any]) -> Checkpoint:
    frozen, shape = job.frozen()
    return Checkpoint(
        model=job.model,
        options=job.options,
        classes=job.classes,
        scheme=job.scheme,
        shape=shape or tuple(table.features.shape[1:]),
        networks=(*frozen, *fitted.networks),
        description={**job.description, **about},
    )
