"""Engines: the same folds, one after another or spread over processes.

A fold's result is written by whoever computed it, in one step, as two files of the run
folder. Nothing travels back, so a killed run keeps every finished fold.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

from mecli import cluster, workers
from mecli.errors import InputError, MecliError, UnknownName
from mecli.training.fold import run_fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mecli.cluster import Cluster
    from mecli.training.job import FoldTask, Job

ENGINES = ("auto", "pool", "stacked", "sequential")


def choose(engine: str) -> str:
    """Return the engine that `engine` stands for: `auto` stacks on a GPU, else pools."""
    import torch

    if engine not in ENGINES:
        raise UnknownName("engine", engine, ENGINES)
    if engine == "auto":
        return "stacked" if torch.cuda.is_available() else "pool"
    return engine


def device(engine: str) -> str:
    """Return what `engine` computes on: only stacked folds use a GPU."""
    import torch

    return "cuda" if choose(engine) == "stacked" and torch.cuda.is_available() else "cpu"


def run(
    engine: str, job: Job, tasks: Sequence[FoldTask], jobs: int, there: Cluster | None = None
) -> Iterator[FoldTask]:
    """Train `tasks`, writing each into the run folder; yield each once it is written.

    Where a cluster is named they are trained `there`. Raises the first error of a fold after
    stopping the others; what is written stays.
    """
    chosen = choose(engine)
    if chosen == "stacked" and there is None:
        from mecli.training.chunks import run_stacked

        yield from run_stacked(job, tasks)
        return
    for outcome in _outcomes(job, tasks, 0 if chosen == "sequential" else jobs, there):
        task = tasks[outcome.index]
        if outcome.error is not None:
            raise named_error(job, task, outcome.error, outcome.reason) from outcome.error
        yield task


def _outcomes(
    job: Job, tasks: Sequence[FoldTask], jobs: int, there: Cluster | None
) -> Iterator[workers.Outcome[None]]:
    if there is not None and tasks:
        inputs = {job.features: job.run / job.features}
        return cluster.run(functools.partial(_run_in, job), tasks, there, job.run, inputs)
    if jobs == 0:
        workers.use_one_thread()
    work = functools.partial(run_fold, job)
    return workers.run(work, tasks, jobs, preload="mecli.training.engines")


def _run_in(job: Job, folder: Path, task: FoldTask) -> None:
    """Train one fold on some machine, on its GPU if it holds one; `folder` stands for the run."""
    import torch

    job = replace(job, run=folder)
    if torch.cuda.is_available():
        from mecli.training.chunks import run_stacked

        list(run_stacked(job, [task]))
    else:
        run_fold(job, task)


def named_error(job: Job, task: FoldTask, error: BaseException, reason: str) -> BaseException:
    """Return the error of a fold with the fold's name; a bug stays what it is."""
    where = f"fold {task.name} (seed {task.seed})"
    if isinstance(error, InputError):
        return InputError(f"{where}: {error}")
    if isinstance(error, (MecliError, MemoryError)) or reason == str(error):
        return error
    return InputError(f"{where}: {reason}; go on with --resume {job.run}")
