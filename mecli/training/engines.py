"""Engines: the same folds, one after another or spread over processes.

A fold's result is written by whoever computed it, in one step, as two files of the run
folder. Nothing travels back, so a killed run keeps every finished fold.
"""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mecli import registry, workers
from mecli.errors import InputError, MecliError, UnknownName, UsageError
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
    """Return the engine that `engine` stands for; `auto` is the pool."""
    if engine not in ENGINES:
        raise UnknownName("engine", engine, ENGINES)
    if engine == "stacked":
        raise UsageError("engine 'stacked' is not there yet; use pool or sequential")
    return "pool" if engine == "auto" else engine


def run(engine: str, job: Job, tasks: Sequence[FoldTask], jobs: int) -> Iterator[FoldTask]:
    """Train `tasks`, writing each into the run folder; yield each once it is written.

    Raises the first error of a fold after stopping the others; what is written stays.
    """
    count = 0 if choose(engine) == "sequential" else jobs
    if count == 0:
        workers.use_one_thread()
    work = functools.partial(run_fold, job)
    for outcome in workers.run(work, tasks, count, preload="mecli.training.engines"):
        task = tasks[outcome.index]
        if outcome.error is None:
            yield task
            continue
        where = f"fold {task.name} (seed {task.seed})"
        if isinstance(outcome.error, InputError):
            raise InputError(f"{where}: {outcome.error}") from outcome.error
        if isinstance(outcome.error, MecliError) or outcome.reason == str(outcome.error):
            raise outcome.error
        raise InputError(f"{where}: {outcome.reason}; go on with --resume {job.run}")


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
