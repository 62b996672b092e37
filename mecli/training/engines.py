"""Engines: the same folds, one after another or spread over processes.

A fold's result is written by whoever computed it, in one step, as two files of the run
folder. Nothing travels back, so a killed run keeps every finished fold.
"""

from __future__ import annotations

import functools
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli import registry, workers
from mecli.errors import InputError, MecliError, UnknownName
from mecli.models.contract import with_epochs
from mecli.training import folder
from mecli.training.checkpoint import Checkpoint, digest, save_checkpoint, tensors_of
from mecli.training.fit import DTYPES, Fitted, Table, fit, score_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mecli.models.contract import Stage

ENGINES = ("auto", "pool", "stacked", "sequential")


FINAL = -1
# Folds that are stacked at first; halved where the memory does not hold them.
_STACK = {"cpu": 16, "cuda": 128}


@dataclass(frozen=True, slots=True)
class Job:
    """What all folds of a run have in common; small enough to be sent to every worker."""

    run: Path
    model: str
    options: Any
    epochs: int | None
    classes: tuple[str, ...]
    scheme: str
    clip_ids: tuple[str, ...]
    labels: tuple[int, ...]
    description: Mapping[str, Any]
    """Protocol, seeds, caches: what a checkpoint should know of the run."""
    precision: str = "float32"
    keep_weights: bool = True

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of the model with the epochs of this run."""
        stages: tuple[Stage, ...] = registry.load("model", self.model).stages(self.options)
        return with_epochs(stages, self.epochs)

    def table(self) -> Table:
        """Return the clips of the run; features are mapped, shared by all workers."""
        labels = np.array(self.labels, dtype=np.int64)
        return Table(self.clip_ids, folder.map_features(self.run), labels, len(self.classes))


@dataclass(frozen=True, slots=True)
class FoldTask:
    """One fold with one seed: clip ids to fit on and to score.

    Number `FINAL` is no fold: it trains on everything and makes the run's checkpoint.
    """

    number: int
    name: str
    seed: int
    train: tuple[str, ...]
    test: tuple[str, ...]


def choose(engine: str) -> str:
    """Return the engine that `engine` stands for: `auto` stacks on a GPU, else pools."""
    import torch

    if engine not in ENGINES:
        raise UnknownName("engine", engine, ENGINES)
    if engine == "auto":
        return "stacked" if torch.cuda.is_available() else "pool"
    return engine


def run(engine: str, job: Job, tasks: Sequence[FoldTask], jobs: int) -> Iterator[FoldTask]:
    """Train `tasks`, writing each into the run folder; yield each once it is written.

    Raises the first error of a fold after stopping the others; what is written stays.
    """
    chosen = choose(engine)
    if chosen == "stacked":
        yield from _run_stacked(job, tasks)
        return
    count = 0 if chosen == "sequential" else jobs
    if count == 0:
        workers.use_one_thread()
    work = functools.partial(run_fold, job)
    for outcome in workers.run(work, tasks, count, preload="mecli.training.engines"):
        task = tasks[outcome.index]
        if outcome.error is not None:
            raise named_error(job, task, outcome.error, outcome.reason) from outcome.error
        yield task


def named_error(job: Job, task: FoldTask, error: BaseException, reason: str) -> BaseException:
    """Return the error of a fold with the fold's name; a bug stays what it is."""
    where = f"fold {task.name} (seed {task.seed})"
    if isinstance(error, InputError):
        return InputError(f"{where}: {error}")
    if isinstance(error, (MecliError, MemoryError)) or reason == str(error):
        return error
    return InputError(f"{where}: {reason}; go on with --resume {job.run}")


def _run_stacked(job: Job, tasks: Sequence[FoldTask]) -> Iterator[FoldTask]:
    """Train `tasks` of one seed side by side, as many at once as the memory holds."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    table = job.table()
    for task in tasks:
        check_classes(job, task)
    waiting, size = sorted(tasks, key=lambda t: t.seed), _STACK[device]
    while waiting:
        part = [t for t in waiting[:size] if t.seed == waiting[0].seed]
        started = time.perf_counter()
        try:
            fitted = _stack(job, table, part, device)
        except torch.OutOfMemoryError:
            if len(part) == 1:
                raise
            size = len(part) // 2
            logging.getLogger(__name__).warning(
                "%d folds at once need more memory than the GPU has; going on with %d",
                len(part),
                size,
            )
            continue
        each = (time.perf_counter() - started) / len(part)
        for task, result in zip(part, fitted, strict=True):
            write(job, task, table, result, each)
            yield task
        waiting = waiting[len(part) :]


def _stack(job: Job, table: Table, part: Sequence[FoldTask], device: str) -> list[Fitted]:
    from mecli.training.stacked import fit_folds

    trains = [table.rows(task.train) for task in part]
    return fit_folds(job.stages, table, trains, part[0].seed, DTYPES[job.precision], device)


def run_fold(job: Job, task: FoldTask) -> None:
    """Train one fold, score its held-out clips and write both into the run folder."""
    started = time.perf_counter()
    table = job.table()
    check_classes(job, task)
    rows = table.rows(task.train)
    fitted = fit(job.stages, table, rows, task.seed, DTYPES[job.precision])
    write(job, task, table, fitted, time.perf_counter() - started)


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


def write(job: Job, task: FoldTask, table: Table, fitted: Fitted, duration_s: float) -> None:
    """Write a trained fold (weights first, then its scores), or the final checkpoint."""
    history = {"history": fitted.history, "duration_s": round(duration_s, 3), "seed": task.seed}
    if task.number == FINAL:
        save_checkpoint(job.run / folder.FINAL, _checkpoint(job, table, fitted, history))
        return
    scores = score_rows(job.stages, fitted.networks, table, table.rows(task.test))
    counts = np.bincount(table.labels[table.rows(task.train)], minlength=table.n_classes)
    if job.keep_weights:
        about = {**history, "fold": task.name, "held_out": list(task.test)}
        path = folder.weights_path(job.run, task.seed, task.number)
        save_checkpoint(path, _checkpoint(job, table, fitted, about))
    result = folder.FoldResult(
        fold=task.name,
        number=task.number,
        seed=task.seed,
        train_per_class=tuple(map(int, counts)),
        scores={c: tuple(map(float, s)) for c, s in zip(task.test, scores, strict=True)},
        history=fitted.history,
        weights_sha256=digest(tensors_of(job.stages, fitted.networks)),
        duration_s=round(duration_s, 3),
    )
    folder.write_fold(job.run, result)


def _checkpoint(job: Job, table: Table, fitted: Fitted, about: Mapping[str, Any]) -> Checkpoint:
    return Checkpoint(
        model=job.model,
        options=job.options,
        classes=job.classes,
        scheme=job.scheme,
        shape=tuple(table.features.shape[1:]),
        networks=fitted.networks,
        description={**job.description, **about},
    )
