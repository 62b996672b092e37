"""Engines: the same folds, one after another or spread over processes.

A fold's result is written by whoever computed it, in one step, as two files of the run
folder. Nothing travels back, so a killed run keeps every finished fold.
"""

from __future__ import annotations

import functools
import logging
import time
from typing import TYPE_CHECKING

from mecli import workers
from mecli.errors import InputError, MecliError, UnknownName
from mecli.training.fold import check_classes, run_fold, write
from mecli.training.selection import train_folds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from mecli.training.fit import Course, Fitted, Table
    from mecli.training.job import FoldTask, Job
    from mecli.training.selection import Trained

ENGINES = ("auto", "pool", "stacked", "sequential")


# Folds that are stacked at first; halved where the memory does not hold them.
_STACK = {"cpu": 16, "cuda": 128}


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
            trained = _stack(job, table, part, device)
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
        for task, result in zip(part, trained, strict=True):
            write(job, task, table, result, each)
            yield task
        waiting = waiting[len(part) :]


def _stack(job: Job, table: Table, part: Sequence[FoldTask], device: str) -> list[Trained]:
    from mecli.training.stacked import fit_folds

    def fit_stacked(trains: Sequence[NDArray[np.int64]], courses: Sequence[Course]) -> list[Fitted]:
        return fit_folds(job.stages, table, trains, part[0].seed, job.dtype, device, courses)

    return train_folds(job, table, part, fit_stacked)
